"""One request to one server, without I/O: events in, actions out, time passed in.

Implements spec/phonebook.md, [K-1] to [K-8], [C-1] to [C-8] and [L-6]. A driver (blocking.py,
asking.py) calls a method for each event, does what it returns, calls `tick` when `wake` has come,
and ends, closing everything, once `outcome` is set.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from phonebook.client.answer import BadInput, BrokenReply, ClientError, NoAnswer
from phonebook.wire import (
    PADDED,
    Code,
    Reply,
    ReplyError,
    ReplyReader,
    Request,
    RequestError,
    parse_reply,
)

_BEGINNING = re.compile(rb"[2-5][0-9]{2}( [#A-Za-z]|\r)")
RACE = 0.25  # seconds without an answer over UDP until TCP is tried beside it (K-4)
AGAIN = (1.0, 3.0)  # seconds after which the same datagram is sent again (K-4)

Trace = Callable[[str, bytes], None]
"""Sees everything that travels: "C" or "S", and the octets of one message."""


class Transport(Enum):
    """How to ask: UDP and then TCP, or one of them alone; TLS never falls back (L-6)."""

    AUTO = "auto"
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class Send(NamedTuple):
    """Send a datagram to the server's address of this number, from that one's own socket."""

    octets: bytes
    address: int


class Connect(NamedTuple):
    """Open a connection, with TLS or without."""

    tls: bool


class Write(NamedTuple):
    """Write to the connection."""

    octets: bytes


Action = Send | Connect | Write


class Exchange:
    """A request on its way; `outcome` is the reply, or the error, once there is one."""

    def __init__(
        self,
        request: Request,
        transport: Transport,
        deadline: float,
        *,
        addresses: int = 1,
        trace: Trace | None = None,
    ) -> None:
        """Prepare a request that bears a fresh tag. Raises `BadInput` if it cannot be sent."""
        try:
            self._line = request.octets()
            self._datagram = request.octets(pad=PADDED)
        except RequestError as error:
            raise BadInput(f"This cannot be asked: {error.sentence}.") from None
        self.outcome: Reply | ClientError | None = None
        self.wake = deadline
        """When `tick` is to be called next."""
        self._tag = request.tag
        self._transport = transport
        self._deadline = deadline
        self._addresses = addresses
        self._trace = trace or (lambda direction, octets: None)
        self._due: list[float] = []  # when to send the datagram again
        self._sent = 0
        self._race = deadline  # when to try TCP
        self._datagrams = False  # whether an answer over UDP can still come
        self._unreachable = False  # whether an ICMP error came
        self._connecting = False  # whether TCP was tried
        self._reconnecting = False  # whether that was once more
        self._failure: ClientError | None = None  # why TCP gave no answer
        self._reader = ReplyReader()
        self._stream = b""

    def begin(self, now: float) -> list[Action]:
        """Ask."""
        if self._transport in (Transport.TCP, Transport.TLS):
            return self._connect()
        self._datagrams = True
        self._due = [now + after for after in AGAIN]
        if self._transport is Transport.AUTO:
            self._race = now + RACE
        return [self._send(), *self.tick(now)]

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        if now >= self._deadline:
            self._end(self._failure or NoAnswer("There was no answer in time."))
        if now >= self._race:
            actions += self._connect()
        if self._due and now >= self._due[0]:
            del self._due[0]
            actions.append(self._send())
        self.wake = min([self._race, self._deadline, *self._due[:1]])
        return [] if self.outcome else actions

    def datagram(self, octets: bytes) -> list[Action]:
        """Take a datagram; one that is no whole reply, or not to this request, is dropped (K-2)."""
        if not self._datagrams:
            return []
        try:
            reply = parse_reply(octets)
        except ReplyError:
            return []
        if reply.tag != self._tag:
            return []
        self._trace("S", octets)
        if self._transport is Transport.AUTO and _elsewhere(reply):
            return self._connect(instead=True)
        return self._end(reply)

    def datagram_refused(self, now: float) -> list[Action]:
        """Take an ICMP error: it ends nothing, but TCP, or another address, is tried now (K-8)."""
        if self._transport is Transport.AUTO:
            self._unreachable = True
            if self._failure:  # TCP, which is harder to forge, said the same
                return self._end(self._failure)
            return self._connect()
        if self._due and self._sent < self._addresses:
            self._due[0] = now
            return self.tick(now)
        return []

    def connected(self) -> list[Write]:
        """The connection, its TLS included, is open."""
        self._due.clear()
        self._trace("C", self._line)
        return [Write(self._line)]

    def received(self, octets: bytes) -> list[Action]:
        """Take octets from the connection; what is no reply is the end (C-5, C-8)."""
        self._stream += octets
        if len(self._stream) > 4 and not _BEGINNING.match(self._stream):
            return self._broken("What answers there does not speak phonebook.")
        try:
            replies = self._reader.feed(octets)
        except ReplyError as error:
            return self._broken(f"The reply is broken: {error}.")
        if not replies:
            return []
        self._trace("S", self._stream)
        reply = replies[0]
        untagged = not reply.tag and reply.code in (Code.MALFORMED, Code.LINE_TOO_LONG)
        if reply.tag != self._tag and not untagged:
            return self._broken("The reply is to another request.", traced=True)
        if reply.code in (Code.TOO_LONG, Code.USE_TCP):
            return self._broken(f"The reply {reply.code} has no place over TCP.", traced=True)
        return self._end(reply)

    def closed(self, sentence: str = "", *, refused: bool = False) -> list[Action]:
        """The connection could not be opened (`refused`), or was closed; the sentence says why."""
        if self._stream:
            return self._broken("The reply ended before its last line.")
        if not (refused or sentence or self._reconnecting):  # a part of the server died
            self._reconnecting = True
            return [Connect(self._transport is Transport.TLS)]
        default = "Nobody answers at this port." if refused else "It closed without a reply."
        self._failure = NoAnswer(sentence or default)
        waiting = self._datagrams and not self._unreachable
        return [] if waiting else self._end(self._failure)

    def _send(self) -> Send:
        number, self._sent = self._sent, self._sent + 1
        self._trace("C", self._datagram)
        return Send(self._datagram, number % self._addresses)

    def _connect(self, *, instead: bool = False) -> list[Action]:
        """Turn to TCP, beside UDP or, after 320 and 321, instead of it (K-5, K-6)."""
        self._race = self._deadline
        if instead:
            self._datagrams = False
            self._due.clear()
            if self._failure:
                return self._end(self._failure)
        if self._connecting:
            return []
        self._connecting = True
        return [Connect(self._transport is Transport.TLS)]

    def _broken(self, sentence: str, *, traced: bool = False) -> list[Action]:
        if not traced:
            self._trace("S", self._stream)
        return self._end(BrokenReply(sentence))

    def _end(self, outcome: Reply | ClientError) -> list[Action]:
        self.outcome = self.outcome or outcome
        return []


def _elsewhere(reply: Reply) -> bool:
    """Whether a datagram says "use TCP"; an unknown 3xx does unless it names servers (C-1)."""
    return reply.code // 100 == 3 and not reply.entries
