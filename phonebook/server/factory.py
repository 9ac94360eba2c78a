"""The door: text or TLS by the first octet, and a watch over all connections' times.

Implements spec/phonebook.md, section 13 ([L-1] to [L-4]).
"""

import logging
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress, IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, ServerFactory

from phonebook.server.state import MAX_CONNECTIONS, State
from phonebook.server.tcp import Conversation

if TYPE_CHECKING:
    from twisted.internet.ssl import CertificateOptions

log = logging.getLogger("phonebook.server")

_TLS_HANDSHAKE = 0x16
WATCH_INTERVAL = 0.25  # seconds


class Door(ServerFactory):
    """Makes a conversation for each connection, and ends those whose time has run out."""

    noisy = False

    def __init__(
        self, state: State, clock: IReactorTime, tls: "CertificateOptions | None" = None
    ) -> None:
        """Share the state; `tls` is None where TLS is not offered."""
        self.state, self.clock, self.tls = state, clock, tls
        self.conversations: set[Conversation] = set()
        self.waiting: set[FirstOctet] = set()
        clock.callLater(WATCH_INTERVAL, self._watch)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return what waits for the first octet, or nothing if the house is full."""
        if len(self.conversations) + len(self.waiting) >= MAX_CONNECTIONS:
            return None
        return FirstOctet(self, addr)

    def opened(self, conversation: Conversation) -> None:
        """Watch a conversation."""
        self.conversations.add(conversation)

    def closed(self, conversation: Conversation) -> None:
        """Watch it no longer."""
        self.conversations.discard(conversation)

    def _watch(self) -> None:
        now = self.clock.seconds()
        for each in list(self.conversations):
            each.watch()
        terms = self.state.snapshot.terms
        limit = min(terms.idle_time, terms.connection_time)
        for waiting in list(self.waiting):
            if now - waiting.opened >= limit:
                waiting.transport.abortConnection()
        self.clock.callLater(WATCH_INTERVAL, self._watch)

    def finish(self) -> None:
        """Answer what was asked, and close everything."""
        for waiting in list(self.waiting):
            waiting.transport.loseConnection()
        for each in list(self.conversations):
            each.finish()


class FirstOctet(Protocol):
    """Waits for the first octet, which tells TLS from text (L-1)."""

    transport: ITCPTransport

    def __init__(self, door: Door, address: IAddress | None) -> None:
        """Belong to a door."""
        self._door, self._address = door, address
        self.opened = door.clock.seconds()

    def connectionMade(self) -> None:
        """Begin to wait."""
        self._door.waiting.add(self)

    def dataReceived(self, octets: bytes) -> None:
        """Hand the connection, these octets first, to who can speak with the peer."""
        self._door.waiting.discard(self)
        door, transport = self._door, self.transport
        protocol: Protocol
        if octets[0] != _TLS_HANDSHAKE:
            protocol = self._conversation(tls=False)
        elif door.tls is not None:
            from twisted.protocols.tls import TLSMemoryBIOFactory

            inner = Factory.forProtocol(lambda: self._conversation(tls=True))
            inner.noisy = False
            protocol = TLSMemoryBIOFactory(door.tls, False, inner).buildProtocol(self._address)
        else:
            log.info("a TLS connection was cut off: TLS is not set up (--tls-cert, --tls-key)")
            transport.abortConnection()
            return
        transport.protocol = protocol  # type: ignore[attr-defined]
        protocol.makeConnection(transport)  # type: ignore[no-untyped-call]
        protocol.dataReceived(octets)

    def _conversation(self, tls: bool) -> Conversation:
        door = self._door
        return Conversation(door.state, door.clock, door, tls, self.opened)

    def connectionLost(self, reason: object = None) -> None:
        """Stop waiting."""
        self._door.waiting.discard(self)
