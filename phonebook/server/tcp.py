"""TCP: request lines in, replies out, in order and within the spec's limits.

Implements spec/phonebook.md, section 6. What tells TLS from text is in `tls`.
"""

from collections import deque
from typing import Protocol as Interface

from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from phonebook.server.state import State
from phonebook.service.answer import answer
from phonebook.wire import ALPN, Code, LineReader, render
from phonebook.wire.codes import (
    HANDSHAKE_TIME,
    LINGER_OCTETS,
    LINGER_TIME,
    MAX_PENDING_OCTETS,
    MAX_PENDING_REQUESTS,
)


class Keeper(Interface):
    """Who is told of the beginning and the end of each conversation, and watches its times."""

    def opened(self, conversation: "Conversation") -> None:
        """Tell that a connection stands."""

    def closed(self, conversation: "Conversation") -> None:
        """Tell that it is gone."""


class Transport(ITCPTransport, IConsumer, IPushProducer):
    """A connection of Twisted, plain or TLS."""


@implementer(IHalfCloseableProtocol, IPushProducer, IHandshakeListener)
class Conversation(Protocol):
    """One connection's requests and replies.

    Lines wait in a queue and are answered while the peer takes the replies; when it does not, the
    transport pauses us, we pause reading, and memory holds one read and one batch of replies.
    """

    transport: Transport

    def __init__(
        self, state: State, clock: IReactorTime, keeper: Keeper, tls: bool, opened: float
    ) -> None:
        """Share the state; the clock is the reactor's, or a test's, and `opened` is by it."""
        self._state, self._clock, self._keeper, self._tls = state, clock, keeper, tls
        self._reader = LineReader()
        self._lines: deque[bytes] = deque()
        self._paused = False  # the peer does not read
        self._ending = False  # nothing more is read: what waits is answered, then we close
        self._peer_ended = False
        self._closing = False  # all is answered; what still comes is thrown away
        self._lingering_since: float | None = None  # our half is closed
        self._lingered = 0  # octets
        self._opened, self._active = opened, clock.seconds()
        self._line_began: float | None = None
        self._handshaken = not tls
        self._turn = False  # the next batch is due
        self._gone = False

    def connectionMade(self) -> None:
        """Send small replies at once, and hear when the peer does not take them."""
        if not self._tls:
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._keeper.opened(self)

    def handshakeCompleted(self) -> None:
        """Refuse a TLS peer that did not choose our protocol (L-3)."""
        if self.transport.negotiatedProtocol != ALPN:  # type: ignore[attr-defined]
            self.transport.abortConnection()
        self._handshaken = True

    def dataReceived(self, octets: bytes) -> None:
        """Take octets, divided however they are."""
        if self._closing:
            self._lingered += len(octets)
            if self._lingered >= LINGER_OCTETS:
                self.transport.abortConnection()
            return
        if self._ending:
            return
        self._lines += self._reader.feed(octets)
        if not self._reader.pending:
            self._line_began = None
        elif self._line_began is None or self._lines:
            self._line_began = self._clock.seconds()
        self._answer()

    def _answer(self) -> None:
        """Answer what waits, a batch at a time, in one write."""
        replies: list[bytes] = []
        size = 0
        while self._lines and not self._paused:
            if len(replies) >= MAX_PENDING_REQUESTS or size >= MAX_PENDING_OCTETS:
                break
            reply, closes = answer(self._lines.popleft(), self._state.snapshot)
            replies.append(reply)
            size += len(reply)
            if closes:
                self._lines.clear()
                self._write(replies)
                return self._close()
        done = not self._lines
        if done and self._reader.too_long and not self._paused:
            replies.append(render(Code.LINE_TOO_LONG))
            self._write(replies)
            return self._close()
        self._write(replies)
        if done and self._ending:
            self._close()
        elif done:
            self._read_on()
        else:
            self.transport.pauseProducing()
            if not self._paused and not self._turn:  # others are served between two batches
                self._turn = True
                self._clock.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = False
        if not self._closing and not self._gone:
            self._answer()

    def _read_on(self) -> None:
        if not self._paused and not self._ending:
            self.transport.resumeProducing()

    def _write(self, replies: list[bytes]) -> None:
        if replies:
            self._active = self._clock.seconds()
            self.transport.write(b"".join(replies))

    def pauseProducing(self) -> None:
        """Hear that the peer does not take its replies (T-7)."""
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Hear that it took them."""
        self._paused = False
        if not self._closing and not self._turn:
            self._answer()

    def stopProducing(self) -> None:
        """Hear that the connection is gone."""
        self._lines.clear()

    def readConnectionLost(self) -> None:
        """Answer all complete lines after the peer's half-close, then close (T-5)."""
        self._peer_ended = True
        if self._closing:
            self.transport.loseConnection()
        else:
            self.finish()

    def writeConnectionLost(self) -> None:
        """Begin to linger: all replies are sent, and our end."""
        self._lingering_since = self._clock.seconds()

    def finish(self) -> None:
        """Answer what was asked, then close: the peer's half-close, or the server stops."""
        if not self._ending:
            self._ending = True
            if not self._closing and not self._turn:
                self._answer()

    def _close(self) -> None:
        """Send what is due and our end, and read on for a while: no reset eats it (T-6)."""
        self._closing = True
        self.transport.unregisterProducer()
        if self._tls or self._peer_ended:
            self.transport.loseConnection()
        else:
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()

    def watch(self) -> None:
        """Close if a time has run out (T-8 to T-10, L-4); the keeper calls every second or so."""
        now = self._clock.seconds()
        terms = self._state.snapshot.terms
        reading = not (self._paused or self._lines or self._ending or self._closing)
        if self._lingering_since is not None:
            since, limit = self._lingering_since, LINGER_TIME
        elif not self._handshaken:
            since, limit = self._opened, HANDSHAKE_TIME
        elif self._line_began is not None and reading:
            since, limit = self._line_began, terms.request_time
        else:  # nothing is asked, or the peer does not take its replies
            since, limit = self._active, terms.idle_time
        if now - since >= limit:
            self.transport.abortConnection()
        elif now - self._opened >= terms.connection_time:
            self.finish()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection."""
        self._gone = True
        self._lines.clear()
        self._keeper.closed(self)
