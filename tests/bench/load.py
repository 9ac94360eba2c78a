"""The load: a process of its own that asks and counts, `load.py KIND PORT SECONDS` with the request
on standard input. Prints how many replies came and in how many seconds, as JSON.

Kinds: udp (32 datagrams on their way), tcp (50 connections, one request at a time each), pipelined
(50 connections, 16 requests at a time each).
"""

import json
import select
import socket
import sys
import time

CONNECTIONS = 50
ON_THEIR_WAY = 32
PIPELINE = 16


def over_udp(port: int, request: bytes, seconds: float) -> int:
    """Return how many replies came."""
    replies = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", port))
        asker.settimeout(0.2)
        for _ in range(ON_THEIR_WAY):
            asker.send(request)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            try:
                asker.recv(2_048)
            except TimeoutError:  # one was lost
                asker.send(request)
                continue
            replies += 1
            asker.send(request)
    return replies


def over_tcp(port: int, request: bytes, seconds: float, at_once: int) -> int:
    """Return how many replies came."""
    batch = request * at_once
    poll = select.epoll()
    connections = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    first = next(iter(connections.values()))
    first.sendall(request)
    length = 0
    octets = b""
    while not octets.endswith(b"\n.\r\n"):
        octets += first.recv(65_536)
    length = len(octets) * at_once
    due = dict.fromkeys(connections, length)
    for connection in connections.values():
        connection.sendall(batch)
    batches = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number, _ in poll.poll(0.2):
            due[number] -= len(connections[number].recv(262_144))
            if not due[number]:
                batches += 1
                due[number] = length
                connections[number].sendall(batch)
    return batches * at_once


def main() -> None:
    """Ask as the arguments say."""
    kind, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    request = sys.stdin.buffer.read()
    start = time.perf_counter()
    if kind == "udp":
        replies = over_udp(port, request, seconds)
    else:
        replies = over_tcp(port, request, seconds, PIPELINE if kind == "pipelined" else 1)
    print(json.dumps({"replies": replies, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
