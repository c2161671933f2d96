"""pyzmq as a peer: one socket that does one task.

    peer.py TASK TYPE bind|connect ENDPOINT [TOPIC ...]

Reads the messages of its task from standard input: how many; for each, how many frames; for each of those, its
size and octets; numbers as four octets, big-endian. Writes to standard output `at ENDPOINT` when its socket is
bound or connects, and `done COUNT` when so many messages were sent, or came and were the same octet by octet.
What is wrong goes to standard error, with a status other than 0.

TASK is `echo` (sends back what it gets, until it is killed), `ask` (sends each message and gets it back),
`send` or `receive`. A PUB repeats `TOPIC?` until one more octet comes on standard input: only who asked knows
that the subscriptions have arrived. When standard input ends, the test is over, and so is this.
"""

import os
import struct
import sys
import threading
import time

import zmq

DEADLINE_SECONDS = 30
OURS = b"one of ours"
THEIRS = b"one of theirs"


def main():
    task, kind, side, endpoint, *topics = sys.argv[1:]
    topics = [topic.encode() for topic in topics]
    context = zmq.Context(io_threads=1)
    socket = open_socket(context, getattr(zmq, kind), topics)
    if side == "bind":
        socket.bind(endpoint)
    else:
        socket.connect(endpoint)
    report("at", socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
    messages = [[read_octets() for _ in range(read_number())] for _ in range(read_number())]
    told = threading.Event()
    threading.Thread(target=watch_input, args=[told], daemon=True).start()
    if kind == "PUB":
        await_subscribers(socket, topics, told)
    {"echo": echo, "ask": ask, "send": send, "receive": receive}[task](socket, messages)
    socket.close()
    context.term()
    report("done", len(messages))


def open_socket(context, kind, topics):
    socket = context.socket(kind)
    socket.sndtimeo = socket.rcvtimeo = socket.linger = DEADLINE_SECONDS * 1000
    if kind in (zmq.PUB, zmq.SUB):
        # Without limits: what is lost is lost by mistake.
        socket.sndhwm = socket.rcvhwm = 0
    if kind == zmq.DEALER:
        socket.routing_id = THEIRS
    if kind == zmq.ROUTER:
        socket.router_mandatory = 1
    if kind == zmq.SUB:
        for topic in topics:
            socket.subscribe(topic)
    return socket


def echo(socket, _):
    while True:
        frames = socket.recv_multipart()
        if socket.type == zmq.ROUTER and frames[0] != OURS:
            sys.exit(f"from {frames[0]!r}")
        socket.send_multipart(frames)


def ask(socket, messages):
    in_front = [OURS] if socket.type == zmq.ROUTER else []
    for number, frames in enumerate(messages):
        send_when_routable(socket, in_front + frames)
        compare(number, socket.recv_multipart(), in_front + frames)


def send(socket, messages):
    for frames in messages:
        socket.send_multipart(frames)


def receive(socket, messages):
    for number, frames in enumerate(messages):
        compare(number, socket.recv_multipart(), frames)


def send_when_routable(socket, frames):
    until = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return socket.send_multipart(frames)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH or time.monotonic() > until:
                raise
        time.sleep(0)


def await_subscribers(socket, topics, told):
    until = time.monotonic() + DEADLINE_SECONDS
    while not told.wait(0.001):
        if time.monotonic() > until:
            sys.exit("nobody has heard anything")
        for topic in topics:
            socket.send(topic + b"?")


def compare(number, got, expected):
    if got != expected:
        sizes = [[len(frame) for frame in frames] for frames in (got, expected)]
        sys.exit(f"message {number} is another one: frames of {sizes[0]} octets instead of {sizes[1]}")


def watch_input(told):
    # Not through the buffer, whose lock would be held at exit. Nothing is left in there: more is written only
    # when what this publishes was heard.
    while os.read(sys.stdin.fileno(), 1):
        told.set()
    os._exit(1)


def read_number():
    (number,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    return number


def read_octets():
    return sys.stdin.buffer.read(read_number())


def report(*words):
    print(*words, flush=True)


if __name__ == "__main__":
    main()
