"""Receives what systemd receives: python3 notify_socket.py SOCKET PORT...

Prints a line for each datagram, with the number of the given ports of 127.0.0.1 that accept a connection at that moment.
"""

import socket
import sys

path, *ports = sys.argv[1:]


def is_open(port: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
    receiver.bind(path)
    print("bound", flush=True)
    while True:
        text = receiver.recv(4096).decode()
        opened = sum(is_open(port) for port in ports)
        for line in text.splitlines():
            print(line, opened, flush=True)
