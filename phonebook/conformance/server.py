"""The server under test: where it is, what it says of itself in HELP, how long to wait for it."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from phonebook.conformance.reply import read_reply
from phonebook.conformance.wire import Address, Datagrams, NotTried, Stream, refuses_datagrams

HOME = ("127.0.0.1", "localhost")
ELSEWHERE = {"other": "127.0.0.3", "broadcast": "127.255.255.255"}
PADDED = 1_200  # octets: what a client pads its datagram to
LONGEST_WAIT = 5.0  # seconds that a case waits for an announced time
IN_VAIN = 12  # replies that never came, after which the suite waits for less long
IMPATIENT = 1.0  # seconds


def padded(request: bytes, size: int) -> bytes:
    """Return a request line of so many octets, spaces and its end among them."""
    return request.ljust(size - 2, b" ") + b"\r\n"


_HELP = padded(b"HELP #help", PADDED)


class NoAnswer(Exception):
    """Nothing answers at the server's address."""


@dataclass
class Server:
    """The server under test, and what it says of itself in HELP."""

    address: Address
    fields: dict[str, list[str]] = field(default_factory=dict)
    answers: frozenset[str] = frozenset()
    unanswered: int = 0

    def patience(self) -> float:
        """Return for how many seconds to wait for a reply: less after many in vain."""
        return self.address.timeout if self.unanswered < IN_VAIN else IMPATIENT

    def offers(self, name: str) -> bool:
        """Tell whether the server announces a transport or a capability."""
        return any(name in self.fields.get(key, ()) for key in ("transport", "capability"))

    def limit(self, name: str) -> float:
        """Return a time that the server announces."""
        values = self.fields.get(name, [])
        if not values or not values[0].isdecimal():
            raise NotTried(f"the server does not announce {name}")
        if float(values[0]) > LONGEST_WAIT:
            raise NotTried(f"{name} is {values[0]} s")
        return float(values[0])

    def elsewhere(self, name: str) -> Address:
        """Return another address of a server that hears datagrams at every address of its host.

        Those of the loopback network lead to no stranger; where a system lacks them, or the server
        does not hear there, the case is not tried.
        """
        if self.address.host not in HOME:
            raise NotTried("the server is not at 127.0.0.1")
        datagrams = Datagrams(replace(self.address, host=ELSEWHERE["other"]))
        try:
            if not datagrams.exchange(_HELP, IMPATIENT) and not datagrams.strangers:
                raise NotTried("the server hears at one address alone")
        finally:
            datagrams.close()
        return replace(self.address, host=ELSEWHERE[name])


def ask_help(address: Address, transports: Iterable[str]) -> Server:
    """Return the server at an address, after its HELP; over UDP if nobody answers over TCP."""
    server = Server(address)
    answers = set[str]()
    for transport in transports:
        octets = b""
        if transport == "tcp":
            try:
                stream = Stream(address)
            except OSError:
                continue
            stream.send(b"HELP\r\n")
            octets = stream.reply()
            stream.close()
        elif transport == "udp":
            if not answers and refuses_datagrams(address, _HELP, IMPATIENT):
                continue
            # one that does not announce it is hardly there
            announced = not server.fields or server.offers("udp")
            seconds = address.timeout if announced else IMPATIENT
            with contextlib.suppress(NotTried):
                octets = help_over_udp(replace(address, timeout=seconds))
        if octets:
            answers.add(transport)
        for line in read_reply(octets).lines if octets and not server.fields else ():
            name, _, value = line.partition(": ")
            server.fields.setdefault(name, []).append(value)
    if not answers:
        raise NoAnswer(f"Nothing answers HELP at {address}.")
    server.answers = frozenset(answers)
    return server


def help_over_udp(address: Address) -> bytes:
    """Return what HELP is answered with over UDP."""
    datagrams = Datagrams(address)
    try:
        return datagrams.exchange(_HELP, address.timeout)
    finally:
        datagrams.close()
