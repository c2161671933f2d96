"""pyzmq as a peer: each one is a process with one socket that does one task, or with a proxy.

    peer.py

A nursery: reads one line of JSON for each peer from standard input, which is a list of words, and forks it; so
that Python and pyzmq are loaded once. It ends when its input does. The words are those of
`src/bin/libzmq-peer.rs`, which does the same with libzmq itself; `src/theirs.rs` starts both and says what they do.
"""

import json
import os
import shutil
import signal
import socket as sockets
import struct
import sys
import tempfile
import threading
import time

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

DEADLINE_SECONDS = 30
NUMBERS_IN_ONE_GO = 100
TEXTS = (
    "CURVE_PUBLICKEY",
    "CURVE_SECRETKEY",
    "CURVE_SERVERKEY",
    "PLAIN_PASSWORD",
    "PLAIN_USERNAME",
    "ROUTING_ID",
    "SUBSCRIBE",
    "ZAP_DOMAIN",
)


def main():
    # Nobody waits for children here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in iter(sys.stdin.readline, ""):
        words = json.loads(line)
        if os.fork() == 0:
            try:
                live(*words)
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)


def live(path, task, *words):
    report = sockets.socket(sockets.AF_UNIX)
    report.connect(path)
    os.dup2(report.fileno(), 0)
    os.dup2(report.fileno(), 1)
    report.close()
    sys.stdout = open(1, "w", closefd=False)
    say("pid", os.getpid())
    if task == "proxy":
        return proxy(*words)
    kind, side, endpoint, *options = words
    Peer(kind, options).run(task, side, endpoint)


class Peer:
    def __init__(self, kind, options):
        self.context = zmq.Context(io_threads=1)
        self.socket = self.context.socket(getattr(zmq, kind))
        self.kind = kind
        self.told = threading.Event()
        self.topics = []
        self.epoch = b"0"
        self.holds = self.stays = False
        self.zap = None
        for option in options:
            self.set(*option.split("=", 1))

    def set(self, name, value):
        if name == "EPOCH":
            self.epoch = value.encode()
        elif name == "HOLD":
            self.holds = True
        elif name == "STAY":
            self.stays = True
        elif name == "TOPIC":
            self.topics.append(value.encode())
        elif name == "SUBSCRIBE" and self.kind == "XSUB":
            self.socket.send(b"\1" + value.encode())
        elif name == "ZAP":
            handle_zap(self.context, value.encode())
        elif name == "PASSWORD":
            self.authenticator().configure_plain("global", dict([value.split(":")]))
        elif name == "ALLOW":
            allow_keys(self.authenticator(), value)
        elif name in TEXTS:
            self.socket.setsockopt(getattr(zmq, name), value.encode())
        else:
            self.socket.setsockopt(getattr(zmq, name), int(value))

    def authenticator(self):
        """pyzmq's own ZAP handler, which refuses whoever it was not told of."""
        self.zap = ThreadAuthenticator(self.context)
        self.zap.start()
        return self.zap

    def run(self, task, side, endpoint):
        if side == "bind":
            bind(self.socket, endpoint)
        else:
            self.socket.connect(endpoint)
        say("at", self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
        messages = []
        if task in ("ask", "receive", "send"):
            messages = [[read_octets() for _ in range(read_number())] for _ in range(read_number())]
        threading.Thread(target=self.watch_input, daemon=True).start()
        self.wait_until_told()
        getattr(self, task)(messages)
        say("sent", len(messages))
        if self.stays:
            self.told.wait()
        self.socket.close(DEADLINE_SECONDS * 1000)
        if self.zap:
            self.zap.stop()
        self.context.term()
        say("done", len(messages))

    def watch_input(self):
        while os.read(0, 1):
            self.told.set()
        os._exit(1)

    def wait_until_told(self):
        """A publisher repeats `TOPIC?`: only who asked knows that the subscriptions have arrived."""
        wait = 0.001
        must_wait = self.holds or (self.topics and self.kind != "SUB")
        while must_wait and not self.told.wait(wait):
            # libzmq takes new connections in only when it is called.
            self.socket.getsockopt(zmq.EVENTS)
            for topic in self.topics:
                self.socket.send(topic + b"?")
            wait = min(2 * wait, 0.1)

    def echo(self, _):
        while True:
            frames = self.socket.recv_multipart()
            if self.kind != "XPUB" or frames[0][:1] not in (b"\0", b"\1"):
                self.socket.send_multipart(frames)

    def ask(self, messages):
        for number, frames in enumerate(messages):
            self.send_when_routable(frames)
            compare(number, self.socket.recv_multipart(), frames)

    def send(self, messages):
        for frames in messages:
            self.socket.send_multipart(frames)

    def receive(self, messages):
        questions = [[topic + b"?"] for topic in self.topics]
        has_heard = False
        for number, frames in enumerate(messages):
            got = self.socket.recv_multipart()
            while got in questions:
                if not has_heard:
                    say("heard", 1)
                    has_heard = True
                got = self.socket.recv_multipart()
            compare(number, got, frames)

    def count(self, _):
        number = 0
        while True:
            self.socket.send_multipart(numbered(self.epoch, number))
            number += 1
            # Who never waits for room would fill the memory.
            if self.kind in ("PUB", "XPUB") and number % NUMBERS_IN_ONE_GO == 0:
                time.sleep(0.001)

    def ledger(self, _):
        while True:
            frames = self.socket.recv_multipart()
            compare(int(frames[1]), frames, numbered(frames[0], int(frames[1])))
            say("got", int(frames[1]))

    def inquire(self, _):
        number = 0
        while True:
            self.socket.send_multipart(numbered(self.epoch, number))
            try:
                heard = self.hear_answer(number)
                say("got", heard)
            except zmq.Again:
                pass
            number += 1

    def hear_answer(self, number):
        while True:
            frames = self.socket.recv_multipart()
            if self.kind == "REQ":
                compare(number, frames, numbered(self.epoch, number))
                return number
            # Late ones, and what a ROUTER that connects had for whoever was here before, come, too.
            heard = int(frames[1])
            compare(heard, frames, numbered(frames[0], heard))
            if frames[0] == self.epoch:
                return heard

    def send_when_routable(self, frames):
        until = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                return self.socket.send_multipart(frames)
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH or time.monotonic() > until:
                    raise
            time.sleep(0)


def proxy(front_kind, front_side, front_endpoint, back_kind, back_side, back_endpoint):
    context = zmq.Context(io_threads=1)
    ends = []
    for kind, side, endpoint in (
        (front_kind, front_side, front_endpoint),
        (back_kind, back_side, back_endpoint),
    ):
        end = context.socket(getattr(zmq, kind))
        end.sndhwm = end.rcvhwm = 0
        end.bind(endpoint) if side == "bind" else end.connect(endpoint)
        say("at", end.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
        ends.append(end)
    threading.Thread(target=end_with_input, daemon=True).start()
    zmq.proxy(*ends)


def handle_zap(context, status):
    """A ZAP handler that says the same to everybody."""
    handler = context.socket(zmq.REP)
    handler.bind("inproc://zeromq.zap.01")

    def answer():
        try:
            while True:
                version, number, *_ = handler.recv_multipart()
                # Without a user: a REQ of libzmq, if it has one, takes that for a reply.
                handler.send_multipart([version, number, status, b"said so", b"", b""])
        except zmq.ContextTerminated:
            handler.close(0)

    threading.Thread(target=answer, daemon=True).start()


def allow_keys(started, key):
    """Holders of this one, or of any."""
    if key == "any":
        return started.configure_curve("global", zmq.auth.CURVE_ALLOW_ANY)
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "one.key"), "w") as file:
        file.write(f'curve\n    public-key = "{key}"\n')
    started.configure_curve("global", folder)
    shutil.rmtree(folder)


def bind(socket, endpoint):
    """Also at a place that another process has just left."""
    until = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return socket.bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE or time.monotonic() > until:
                raise
        time.sleep(0)


def numbered(epoch, number):
    size = number * 7919 % 3000
    return [epoch, b"%d" % number, (b"%d," % number * (size // 2 + 1))[:size]]


def compare(number, got, expected):
    if got != expected:
        sizes = [[len(frame) for frame in frames] for frames in (got, expected)]
        sys.exit(f"message {number} is another one: frames of {sizes[0]} octets instead of {sizes[1]}")


def end_with_input():
    while os.read(0, 1):
        pass
    os._exit(1)


def read_number():
    (number,) = struct.unpack(">I", read(4))
    return number


def read_octets():
    return bytes(read(read_number()))


def read(count):
    """Without a buffer, which would take what another thread waits for."""
    octets = bytearray(count)
    room = memoryview(octets)
    while room:
        size = os.readv(0, [room])
        if size == 0:
            os._exit(1)
        room = room[size:]
    return octets


def say(*words):
    print(*words, flush=True)


if __name__ == "__main__":
    main()
