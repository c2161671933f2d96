"""A guest in a room of the example `chat`, as pyzmq's own examples are written: a Poller for socket and keyboard.

    chat_guest.py NAME ENDPOINT
"""

import sys

import zmq


def main():
    name, endpoint = sys.argv[1:]
    context = zmq.Context()
    room = context.socket(zmq.XSUB)
    # To hear everything, and to be seen.
    room.send(b"\x01")
    room.send(b"\x01@" + name.encode())
    room.connect(endpoint)

    poller = zmq.Poller()
    poller.register(room, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    while True:
        events = dict(poller.poll())
        if room in events:
            words, *_ = room.recv_multipart()
            print(words.decode())
        if sys.stdin.fileno() in events:
            line = sys.stdin.readline()
            if not line:
                break
            room.send_multipart([f"{name}: {line.rstrip()}".encode(), name.encode()])
    room.close()
    context.term()


if __name__ == "__main__":
    main()
