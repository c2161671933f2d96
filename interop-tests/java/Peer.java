import java.io.DataInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.zeromq.ZMQ;
import org.zeromq.ZMQException;

/**
 * JeroMQ as a peer: one socket that does one task. How it is told, and what it reports, is written down in
 * peers/src/lib.rs, whose tasks these are.
 */
final class Peer {
    private static final byte[] OURS = octets("one of ours");
    private static final byte[] THEIRS = octets("one of theirs");

    private final String kind;
    private final List<String> topics;
    private final ZMQ.Context context = ZMQ.context(1);
    private final ZMQ.Socket socket;

    public static void main(String[] arguments) throws Exception {
        try {
            new Peer(arguments[1], Arrays.asList(arguments).subList(4, arguments.length))
                .run(arguments[0], arguments[2].equals("bind"), arguments[3]);
        } catch (Throwable failure) {
            failure.printStackTrace();
            System.exit(1);
        }
    }

    private Peer(String kind, List<String> topics) throws ReflectiveOperationException {
        this.kind = kind;
        this.topics = topics;
        socket = context.socket(ZMQ.class.getField(kind).getInt(null));
        socket.setReconnectIVL(5);
        if (kind.equals("PUB") || kind.equals("SUB")) {
            // Without limits: what is lost is lost by mistake.
            socket.setHWM(0);
        }
        if (kind.equals("DEALER")) {
            socket.setIdentity(THEIRS);
        }
        if (kind.equals("ROUTER")) {
            socket.setRouterMandatory(true);
        }
        if (kind.equals("SUB")) {
            topics.forEach(topic -> socket.subscribe(octets(topic)));
        }
    }

    private void run(String task, boolean binds, String endpoint) throws Exception {
        report("at " + (binds ? bind(endpoint) : connect(endpoint)));
        DataInputStream input = new DataInputStream(System.in);
        List<List<byte[]>> messages = new ArrayList<>();
        for (int left = input.readInt(); left > 0; left--) {
            messages.add(readMessage(input));
        }
        CountDownLatch told = new CountDownLatch(1);
        Thread watcher = new Thread(() -> watch(input, told));
        watcher.setDaemon(true);
        watcher.start();
        if (kind.equals("PUB")) {
            awaitSubscribers(told);
        }
        List<byte[]> inFront = kind.equals("ROUTER") ? Arrays.asList(OURS) : Arrays.asList();
        switch (task) {
            case "echo":
                echo(inFront);
                break;
            case "ask":
                for (List<byte[]> frames : messages) {
                    List<byte[]> request = new ArrayList<>(inFront);
                    request.addAll(frames);
                    send(request);
                    compare(receive(), request);
                }
                break;
            case "send":
                for (List<byte[]> frames : messages) {
                    send(frames);
                }
                break;
            case "receive":
                for (List<byte[]> frames : messages) {
                    compare(receive(), frames);
                }
                break;
            case "flow":
                flow();
                break;
            case "demand":
                demand();
                break;
            case "record":
                record();
                break;
            default:
                throw new IllegalArgumentException(task);
        }
        report("done " + messages.size());
        // What was sent may still be on its way: the socket stays until the test is over.
        watcher.join();
    }

    private String bind(String endpoint) {
        if (endpoint.endsWith(":0")) {
            String host = endpoint.substring(0, endpoint.length() - 2);
            return host + ":" + socket.bindToRandomPort(host);
        }
        socket.bind(endpoint);
        return endpoint;
    }

    private String connect(String endpoint) {
        socket.connect(endpoint);
        return endpoint;
    }

    private void echo(List<byte[]> inFront) {
        while (true) {
            List<byte[]> frames = receive();
            compare(frames.subList(0, inFront.size()), inFront);
            send(frames);
        }
    }

    private void flow() throws InterruptedException {
        for (long number = 0;; number++) {
            // A PUB would gather without limit what a subscriber does not take in time.
            if (kind.equals("PUB") && number % 32 == 0) {
                Thread.sleep(1);
            }
            send(numbered(number));
        }
    }

    private void demand() {
        for (long number = 0;; number++) {
            List<byte[]> request = numbered(number);
            send(request);
            List<byte[]> reply = receive();
            // A reply to the one that had this routing id before is none to this.
            while (!Arrays.equals(reply.get(0), request.get(0))) {
                reply = receive();
            }
            compare(reply, request);
        }
    }

    private void record() {
        while (true) {
            List<byte[]> frames = receive();
            byte[] last = frames.get(frames.size() - 1);
            report("got " + frames.size() + " " + new String(last, StandardCharsets.UTF_8));
        }
    }

    private List<byte[]> numbered(long number) {
        return Arrays.asList(octets(topics.isEmpty() ? "" : topics.get(0)), octets(Long.toString(number)));
    }

    private void awaitSubscribers(CountDownLatch told) throws InterruptedException {
        while (!told.await(1, TimeUnit.MILLISECONDS)) {
            topics.forEach(topic -> send(Arrays.asList(octets(topic + "?"))));
        }
    }

    private void send(List<byte[]> frames) {
        for (int part = 0; part < frames.size(); part++) {
            int flags = part + 1 < frames.size() ? ZMQ.SNDMORE : 0;
            while (true) {
                try {
                    if (!socket.send(frames.get(part), flags)) {
                        throw new IllegalStateException("not sent");
                    }
                    break;
                } catch (ZMQException failure) {
                    // A ROUTER knows its peer only when that has connected.
                    if (part > 0 || failure.getErrorCode() != zmq.ZError.EHOSTUNREACH) {
                        throw failure;
                    }
                    Thread.yield();
                }
            }
        }
    }

    private List<byte[]> receive() {
        List<byte[]> frames = new ArrayList<>();
        do {
            frames.add(socket.recv());
        } while (socket.hasReceiveMore());
        return frames;
    }

    private static void compare(List<byte[]> got, List<byte[]> expected) {
        if (!Arrays.deepEquals(got.toArray(), expected.toArray())) {
            String sizes = sizes(got) + " octets instead of " + sizes(expected);
            throw new IllegalStateException("another message: frames of " + sizes);
        }
    }

    private static List<Integer> sizes(List<byte[]> frames) {
        List<Integer> sizes = new ArrayList<>();
        frames.forEach(frame -> sizes.add(frame.length));
        return sizes;
    }

    private static List<byte[]> readMessage(DataInputStream input) throws IOException {
        List<byte[]> frames = new ArrayList<>();
        for (int left = input.readInt(); left > 0; left--) {
            byte[] frame = new byte[input.readInt()];
            input.readFully(frame);
            frames.add(frame);
        }
        return frames;
    }

    /** Tells of the first octet that comes; at the end the program ends. */
    private static void watch(DataInputStream input, CountDownLatch told) {
        try {
            while (input.read() >= 0) {
                told.countDown();
            }
        } catch (IOException gone) {
            // Nobody is there any more.
        }
        Runtime.getRuntime().halt(1);
    }

    private static void report(String line) {
        byte[] octets = octets(line + "\n");
        // In one go, so that a line is there whole or not at all.
        System.out.write(octets, 0, octets.length);
        System.out.flush();
    }

    private static byte[] octets(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
