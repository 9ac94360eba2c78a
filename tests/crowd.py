"""A crowd of connections, in a process of its own: they say nothing, or an octet each second.

`python crowd.py PORT COUNT idle|slow` is how `Crowd` starts one. Each connection comes from a
network of its own within 127.0.0.0/8, so that no limit for one network meets it.
"""

import contextlib
import heapq
import json
import select
import socket
import subprocess
import sys
import time
from typing import Any

from figures import room_for_files

PACE = 1.0  # seconds between two octets of a slow one
_OPENING = 100  # at a time, so that they fit into the server's queue
_LINE = b"LOOKUP " + b"a" * 1_000  # what slow ones have to say, and never end
_TURN = 0.05  # seconds


class Crowd:
    """A crowd that is there until the block ends; then `told` says what became of it."""

    def __init__(self, port: int, count: int, kind: str) -> None:
        """Have so many connections, `idle` or `slow`."""
        self._command = [sys.executable, __file__, str(port), str(count), kind]
        self.told: dict[str, Any] = {}

    def __enter__(self) -> "Crowd":
        """Wait until all are connected."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "there\n", "a crowd did not come together"
        return self

    def __exit__(self, *_: object) -> None:
        """Let all go."""
        told, _nothing = self._process.communicate()
        self.told = json.loads(told)


class _Members:
    """The connections as their process has them; one that is closed is opened again."""

    def __init__(self, port: int, count: int, slow: bool) -> None:
        self._port, self._slow = port, slow
        self._poll = select.epoll()
        self._open: dict[int, tuple[socket.socket, int]] = {}  # and its place
        self.began: dict[int, float] = {}
        """When the first octet of those that are open was sent."""
        self._due: list[tuple[float, int, socket.socket, int]] = []  # octets: a heap
        self._coming = set[int]()
        self._missing = list(range(count))
        self.lived = list[float]()
        """Seconds from the first octet of a connection until the server closed it."""
        self.closed = self.answered = 0

    @property
    def there(self) -> bool:
        """Whether all are connected."""
        return not self._missing and not self._coming

    def turn(self) -> None:
        """Open those that are missing, see who was closed, send what is due."""
        while self._missing and len(self._coming) < _OPENING:
            self._connect(self._missing.pop())
        for number, event in self._poll.poll(_TURN, 1_000):
            made, place = self._open[number]
            if number in self._coming and not event & (select.EPOLLHUP | select.EPOLLERR):
                self._connected(made, number, place)
            else:
                self._came(made, number, place)
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            due, number, made, sent = heapq.heappop(self._due)
            if self._open.get(number, (None,))[0] is not made:
                continue  # it was closed
            with contextlib.suppress(OSError):  # it was closed: an event says so
                made.send(_LINE[sent : sent + 1])
            heapq.heappush(self._due, (due + PACE, number, made, sent + 1))

    def _connect(self, place: int) -> None:
        made = socket.socket()
        made.setblocking(False)
        made.bind((f"127.{1 + (place >> 8)}.{place & 255}.1", 0))
        with contextlib.suppress(BlockingIOError):
            made.connect(("127.0.0.1", self._port))
        self._open[made.fileno()] = made, place
        self._coming.add(made.fileno())
        self._poll.register(made, select.EPOLLOUT)

    def _connected(self, made: socket.socket, number: int, place: int) -> None:
        self._coming.discard(number)
        self._poll.modify(number, select.EPOLLIN)
        if self._slow:
            self.began[number] = time.monotonic()
            made.send(_LINE[:1])
            later = self.began[number] + PACE
            heapq.heappush(self._due, (later, number, made, 1))

    def _came(self, made: socket.socket, number: int, place: int) -> None:
        """Take what came: nobody asked, so it is the end."""
        with contextlib.suppress(OSError):
            self.answered += len(made.recv(1_000))
        self.closed += 1
        if number in self.began:
            self.lived.append(time.monotonic() - self.began.pop(number))
        self._coming.discard(number)
        del self._open[number]
        made.close()
        self._missing.append(place)


def main(port: int, count: int, kind: str) -> None:
    """Be a crowd until standard input ends."""
    room_for_files()
    members, told = _Members(port, count, kind == "slow"), False
    while not select.select([sys.stdin], [], [], 0)[0]:
        members.turn()
        if members.there and not told:
            print("there", flush=True)
            told = True
    now = time.monotonic()
    lived = members.lived + [now - each for each in members.began.values()]
    told_at_last = {"closed": members.closed, "answered": members.answered, "lived": lived}
    print(json.dumps(told_at_last))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
