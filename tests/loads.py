"""Clients that ask one request after another, see that each answer is right, and count the losses.

Each is a thread; tests of servers under load have several of each kind.
"""

import socket
import threading
import time
from collections.abc import Sequence

from running import WAIT, Server, read_all

from phonebook.client.answer import ClientError
from phonebook.client.blocking import lookup
from phonebook.wire import PADDED, Reply, ReplyError, parse_reply

QUICK = 0.25  # seconds: who asks notices no wait
RETRY = 3.0  # seconds until a datagram is sent again: it is lost, and not only late


class Truth:
    """What is asked, and what may be answered: here the phone of Ada, whatever it is."""

    verb, argument = "ENTRY", "fields=phone ada-byron"

    def oldest(self) -> int:
        """Return which state of the directory is the oldest that may be told to who asks now."""
        return 0

    def holds(self, reply: Reply, oldest: int) -> bool:
        """Return whether a reply that comes now is right."""
        return reply.code == 250


class Load(threading.Thread):
    """Asks until told to stop, and keeps what went wrong."""

    def __init__(self, server: Server, truth: Truth | None = None, pause: float = 0.0) -> None:
        """Ask this server, and rest so many seconds after each answer."""
        super().__init__(daemon=True)
        self.server, self.truth, self.pause = server, truth or Truth(), pause
        self.stopped = threading.Event()
        self.answered = 0
        self.slowest = 0.0
        """The seconds of the longest wait for an answer, with all repetitions."""
        self.late = 0
        """How many answers took longer than `QUICK`."""
        self.lost = list[float]()
        """When what was lost had been sent, on the monotonic clock."""
        self.wrong = list[str]()

    @property
    def again(self) -> int:
        """How often a request was sent again."""
        return len(self.lost)

    def run(self) -> None:
        """Ask."""
        try:
            while not self.stopped.is_set():
                oldest, began = self.truth.oldest(), time.monotonic()
                self.once(oldest)
                took = time.monotonic() - began
                self.slowest = max(self.slowest, took)
                self.late += took > QUICK
                if self.pause:
                    self.stopped.wait(self.pause)
        except (OSError, ClientError, ReplyError) as error:
            self.wrong.append(repr(error))

    def once(self, oldest: int) -> None:
        """Ask once, as often as it takes, and look at the answer."""
        octets = self.ask()
        reply = parse_reply(octets)
        if self.truth.holds(reply, oldest):
            self.answered += 1
        else:
            self.wrong.append(f"{oldest}: {octets!r}")

    def line(self, tag: str = "") -> bytes:
        """Return the request."""
        return f"{self.truth.verb} {tag}{self.truth.argument}\r\n".encode()

    def ask(self) -> bytes:
        """Return the reply."""
        raise NotImplementedError

    def end(self) -> None:
        """Stop, with nothing wrong."""
        self.stopped.set()
        self.join(WAIT)
        assert not self.wrong, self.wrong[:5]
        assert self.answered


class Datagrams(Load):
    """Asks over UDP; sends again what was not answered."""

    asker: socket.socket | None = None
    number = 0

    def ask(self) -> bytes:
        """Return the reply that bears the request's tag."""
        if self.asker is None:
            self.asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.asker.connect(("127.0.0.1", self.server.port))
            self.asker.settimeout(RETRY)
        self.number = (self.number + 1) % 10  # few, for every reply that differs is recorded
        tag = f"#{self.number} "
        datagram = self.line(tag)[:-2].ljust(PADDED - 2) + b"\r\n"
        answers = f"250 {tag}".encode()
        while True:
            began = time.monotonic()
            self.asker.send(datagram)
            try:
                while not (reply := self.asker.recv(2_048)).startswith(answers):
                    pass  # to what was asked before
                return reply
            except TimeoutError:
                self.lost.append(began)


class OneShot(Load):
    """Makes a connection for each request; where it ends before a reply begins, another."""

    def ask(self) -> bytes:
        """Return the reply."""
        while True:
            began = time.monotonic()
            with self.server.connect() as connection:
                try:
                    connection.sendall(self.line())
                    connection.shutdown(socket.SHUT_WR)
                    reply = read_all(connection)
                except ConnectionError:
                    reply = b""
            if reply:
                return reply
            self.lost.append(began)


class Staying(Load):
    """Asks over a connection that stays; where it ends before a reply begins, over another."""

    connection: socket.socket | None = None

    def ask(self) -> bytes:
        """Return the reply."""
        while True:
            if self.connection is None:
                self.connection = self.server.connect()
            began = time.monotonic()
            try:
                self.connection.sendall(self.line())
                reply = b""
                while not reply.endswith(b"\r\n.\r\n"):
                    octets = self.connection.recv(65_536)
                    if not octets:
                        break
                    reply += octets
            except ConnectionError:
                reply = b""
            if reply:
                return reply
            self.lost.append(began)
            self.connection.close()
            self.connection = None


class Person(Load):
    """Asks as `phone` does, by way of the client: it may not even notice that something is lost."""

    transport = "auto"

    def once(self, oldest: int) -> None:
        """Look up, and see what came."""
        came = list[bytes]()
        lookup(
            self.truth.argument,
            server=f"127.0.0.1:{self.server.port}",
            transport=self.transport,
            trace=lambda direction, octets: came.append(octets) if direction == "S" else None,
        )
        if self.truth.holds(parse_reply(came[-1]), oldest):
            self.answered += 1
        else:
            self.wrong.append(f"{oldest}: {came[-1]!r}")


class PersonOverTcp(Person):
    """The same over TCP alone."""

    transport = "tcp"


def on_the_way(server: Server, loads: Sequence[Load], count: int = 50) -> None:
    """Wait until each of these has been answered so many times more."""
    before = [each.answered for each in loads]
    server.until(
        lambda: all(
            each.answered > then + count or each.wrong
            for each, then in zip(loads, before, strict=True)
        )
    )
