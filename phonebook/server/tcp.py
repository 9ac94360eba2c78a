"""TCP: request lines in, replies out, in order and within the spec's limits.

Implements spec/phonebook.md, section 6; what is inside TLS (section 13) `tls` opens and seals. A
connection is a socket on the reactor, without Twisted's transport and protocol. That is the one
shortcut here, and tests/bench/README.md says what it pays.
"""

import logging
import socket
import struct
import time

from twisted.internet.interfaces import IReadWriteDescriptor
from zope.interface import implementer

from phonebook.server.journal import Journal
from phonebook.server.networks import network
from phonebook.server.poller import Waiting
from phonebook.server.state import Served, State, Tls, tally
from phonebook.service.answer import answer, cost, enough
from phonebook.service.snapshot import Snapshot
from phonebook.wire import Code, LineReader, render
from phonebook.wire.codes import (
    HANDSHAKE_TIME,
    LINGER_OCTETS,
    LINGER_TIME,
    MAX_PENDING_OCTETS,
    MAX_PENDING_REQUESTS,
    MAX_REPLY,
)

log = logging.getLogger("phonebook.server")

_RECEIVE = 65_536  # octets
MAX_HELD = 2 * _RECEIVE + MAX_PENDING_OCTETS + MAX_REPLY
"""Octets that may wait at a connection: of one read, with what of TLS was not whole before it, and
of replies, the last of them whole."""

_TLS_HANDSHAKE = 0x16
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: the system keeps nothing for the peer


@implementer(IReadWriteDescriptor)
class Connection:
    """One connection: it reads, or it has something to answer or to send, and never does both.

    So memory holds one read and one batch of replies, a peer that does not take its replies is not
    read (T-7), and when the end of what it sends is read, all before that is answered (T-5).
    """

    def __init__(
        self, accepted: socket.socket, address: str, state: State, waiting: Waiting
    ) -> None:
        """Take over a non-blocking socket; be one of the state's connections until it closes."""
        self._socket, self._state, self._waiting = accepted, state, waiting
        self._address, self._account = address, state.over_tcp.account(address)
        self._served: Served | None = None  # what `_snapshot` was looked up in
        self._snapshot: Snapshot
        self._shaking_hands = False
        self._plain = False  # the first octet has come, and was text
        self._tls: Tls | None = None
        self._reader = LineReader()
        self._lines: list[bytes] = []  # not answered yet
        self._took = 0  # octets, in the read that these came with
        self._unsent: bytes | memoryview = b""
        self._reading = True
        self._ending = False  # nothing more is read: what waits is answered, then our half is shut
        self._to_linger: int | None = None  # octets, once our half is shut
        self._opened: float | None = None  # seen by `watch`, as the next three
        self._phase, self._since = "", 0.0
        self._moved = True  # something was asked or taken since the last look
        self._counts = state.counts["tcp"]
        waiting.addReader(self)
        state.connections.add(self)
        state.seats.take(network(address))

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return how Twisted's log calls it."""
        return "phonebook tcp"

    def doRead(self) -> None:
        """Take octets, divided however they are."""
        try:
            octets = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            return self.close()
        if not octets:
            return self.close()
        if self._to_linger is not None:
            self._to_linger -= len(octets)
            if self._to_linger <= 0:
                self.close()
            return
        if not self._plain:
            text = self._open(octets)
            if text is None:
                return self.close()
            octets = text
        self._took = len(octets)
        self._lines = self._reader.feed(octets)
        self._go_on()

    def doWrite(self) -> None:
        """Go on: the peer took some of its replies, or the others had their turn."""
        self._moved = True
        if not self._unsent or self._send(self._unsent):
            self._go_on()

    def _open(self, octets: bytes) -> bytes | None:
        """Return the text in what came: the first octet tells TLS from text (L-1, L-2)."""
        if self._tls is None:
            if octets[0] != _TLS_HANDSHAKE:
                self._plain = True
                return octets
            self._tls = self._begin_tls()
            if self._tls is None:
                return None
        text = self._tls.open(octets)
        self._ending = self._tls.ended
        if self._tls.ready and self._shaking_hands:
            self._end_handshake()
            self._served = None  # the certificate may show more
        return text

    def _begin_tls(self) -> Tls | None:
        """Return what speaks TLS, if it is offered and there is room for a handshake more."""
        state, from_where = self._state, network(self._address)
        if state.new_tls is None:
            if not state.told_no_tls:
                state.told_no_tls = True
                log.info("TLS connections are cut off: TLS is not set up (--tls-cert, --tls-key)")
            return None
        if state.handshakes.full(from_where):
            state.refused.handshakes += 1
            return None
        state.handshakes.take(from_where)
        self._shaking_hands = True
        self._counts = state.counts["tls"]
        return state.new_tls(state.served.viewers.by_certificate)

    def _end_handshake(self) -> None:
        self._shaking_hands = False
        self._state.handshakes.leave(network(self._address))

    def _go_on(self) -> None:
        """Answer a batch of what waits, send it in one piece, and see what is next."""
        octets = self._answer()
        last = self._ending and not self._lines
        if self._tls is not None:
            octets = self._tls.seal(octets, last)
        if octets and not self._send(octets):
            return
        if self._lines or not self._reading:
            self._read(not self._lines)
        if last:
            self._shut()

    def _answer(self) -> bytes:
        """Return the replies to what waits, up to the batch after which others have their turn."""
        served = self._state.served
        if served is not self._served:  # there was a load, or this is the first
            self._served = served
            certificate = self._tls.certificate if self._tls is not None else None
            self._snapshot = served.seen(self._address, certificate)
        lines, snapshot = self._lines, self._snapshot
        replies, size, closes = [], 0, False
        journal, began, took = self._state.journal, 0, list[int]()
        if journal and not journal.wanted():
            journal = None
        for line in lines[:MAX_PENDING_REQUESTS]:
            if journal:
                began = time.perf_counter_ns()
            reply, closes = answer(line, snapshot)
            if journal:
                took.append(time.perf_counter_ns() - began)
            replies.append(reply)
            size += len(reply)
            if closes or size >= MAX_PENDING_OCTETS:
                break
        if served.pace:
            self._charge(lines, replies, served.pace)
        asked = lines[: len(replies)]
        del lines[: len(replies)]
        if self._reader.too_long and not lines and not closes:
            asked.append(b"")
            took.append(0)
            replies.append(render(Code.LINE_TOO_LONG))
            closes = True
        if journal:
            self._tell(journal, asked, replies, took)
        if closes:  # nothing that came later is parsed (T-2)
            self._reader, self._ending = LineReader(), True
            lines.clear()
        if replies:
            self._moved = True
            tally(self._counts, replies)
        return b"".join(replies)

    def _charge(self, lines: list[bytes], replies: list[bytes], pace: float) -> None:
        """Charge the network for its replies; put refusals in the place of those too many (B-3)."""
        now, budget, account = time.monotonic(), self._state.over_tcp, self._account
        costs = [*map(cost, lines, replies)]
        if len(costs) > 1 and budget.bears(account, sum(costs), now, pace):  # one charge is quicker
            costs = [sum(costs)]
        for place, each in enumerate(costs):
            if not budget.charge(account, each, now, pace):
                refusal = enough(lines[place], budget.wait(account, now))
                if refusal is not None:
                    replies[place] = refusal
                    self._state.refused.over_tcp += 1

    def _tell(
        self, journal: Journal, asked: list[bytes], replies: list[bytes], took: list[int]
    ) -> None:
        """Have lines written about replies; a view has its name here alone."""
        transport, certificate = "tcp", None
        if self._tls is not None:
            transport, certificate = "tls", self._tls.certificate
        view = self._state.served.view(self._address, certificate)
        for line, reply, nanoseconds in zip(asked, replies, took, strict=True):
            journal.tell(transport, self._address, view, line, reply, nanoseconds)

    def _send(self, octets: bytes | memoryview) -> bool:
        """Send at once, which nearly always takes all; return whether it did."""
        try:
            sent = self._socket.send(octets)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return False
        if sent == len(octets):
            self._unsent = b""
            return True
        self._unsent = memoryview(octets)[sent:]
        self._read(False)
        return False

    def _read(self, wanted: bool) -> None:
        """Read, or wait until the peer takes more."""
        if wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self._waiting.removeWriter(self)
            self._waiting.addReader(self)
        else:
            self._waiting.removeReader(self)
            self._waiting.addWriter(self)

    def _shut(self) -> None:
        """Shut our half, and read on for a while: a reset might eat the last reply (T-6)."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return self.close()
        self._to_linger = LINGER_OCTETS

    def finish(self) -> None:
        """Answer what was asked, then close: the server stops, or the time is up (T-10)."""
        if not self._ending:
            self._ending = True
            if self._reading:
                self._go_on()

    def watch(self, now: float) -> None:
        """Close if a time has run out (T-8 to T-10, L-4).

        Times run from one look to another, a fraction of a second long rather than short, so that
        a request costs no clock.
        """
        terms = self._state.served.terms
        if self._to_linger is not None:
            phase, limit = "linger", LINGER_TIME
        elif self._tls is not None and not self._tls.ready:
            phase, limit = "handshake", HANDSHAKE_TIME
        elif self._reading and self._reader.pending:
            phase, limit = "line", terms.request_time
        else:  # nothing is asked, or the peer does not take its replies
            phase, limit = "idle", terms.idle_time
        if self._opened is None:
            self._opened = now
        if self._moved or phase != self._phase:
            self._moved, self._phase, self._since = False, phase, now
        if now - self._since >= limit:
            self.close()
        elif now - self._opened >= terms.connection_time:
            self.finish()
        elif self._tls is not None and self._tls.ready and self._is_over(self._tls):
            if self._reading:
                self.finish()
            else:  # what waits is not answered by a view that has ended
                self.close()

    def _is_over(self, tls: Tls) -> bool:
        """Return whether the time of what the peer has shown is over (V-11)."""
        return tls.certificate is not None and tls.certificate.until <= time.time()

    def load(self, now: float) -> dict[str, float]:
        """Return what it has of what is bounded, by the names of `report`, as `watch` saw it."""
        waiting = len(self._lines)
        held = (self._took if waiting else 0) + len(self._unsent)
        session = 0.0 if self._opened is None else now - self._opened
        found = {"requests": waiting, "octets": held, "session": session}
        if self._phase in ("handshake", "line", "idle"):
            found[self._phase] = now - self._since
        return found

    def close(self) -> None:
        """Close, at once if the peer has not taken what it had to."""
        if self not in self._state.connections:
            return
        self._state.connections.discard(self)
        self._state.seats.leave(network(self._address))
        if self._shaking_hands:
            self._end_handshake()
        if self._reading:
            self._waiting.removeReader(self)
        else:
            self._waiting.removeWriter(self)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._socket.close()

    def connectionLost(self, reason: object) -> None:
        """Close: the peer reset it, or the server stops."""
        self.close()
