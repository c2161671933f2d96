"""A room for guests of the example `chat`, as pyzmq's own examples are written.

    chat_room.py ENDPOINT

It tells everybody what somebody says. A subscription to `@` and a name says that a guest has come, its end that it
has left.
"""

import sys

import zmq


def main():
    context = zmq.Context()
    room = context.socket(zmq.XPUB)
    room.setsockopt(zmq.XPUB_VERBOSER, 1)
    room.bind(sys.argv[1])
    print(room.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
    while True:
        words, *more = room.recv_multipart()
        if words[:1] not in (b"\x00", b"\x01"):
            room.send_multipart([words, *more])
        elif words[1:2] == b"@":
            room.send_string(f"* {words[2:].decode()} {'came' if words[0] else 'left'}")


if __name__ == "__main__":
    main()
