"""Many sockets as one: the reactor waits for the poller, and the poller calls the sockets.

Twisted spends some 2 us on each event, most of it for its log. So all connections that are ready
are one event of the reactor's: an epoll may wait for another. tests/bench/README.md says what that
pays. Where the system has no epoll, the reactor waits for each socket, by the same four calls.
"""

import logging
import select
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReadDescriptor, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

log = logging.getLogger("phonebook.server")

_AT_ONCE = 64  # sockets for one turn of the reactor


class Waiting(Protocol):
    """What a socket asks of a poller, or of a reactor; it reads or writes, and never both."""

    def addReader(self, reader: IReadDescriptor) -> None:
        """Call `doRead` whenever something has come."""

    def addWriter(self, writer: IReadWriteDescriptor) -> None:
        """Call `doWrite` whenever there is room to send."""

    def removeReader(self, reader: IReadDescriptor) -> None:
        """Call it no longer."""

    def removeWriter(self, writer: IReadWriteDescriptor) -> None:
        """Call it no longer."""


def poller(reactor: Waiting) -> Waiting:
    """Return who waits for sockets while this reactor runs."""
    if not hasattr(select, "epoll"):
        return reactor
    made = Poller()
    reactor.addReader(made)
    return made


@implementer(IReadDescriptor)
class Poller:
    """An epoll that the reactor waits for."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._epoll = select.epoll()
        self._waiting: dict[int, tuple[IReadDescriptor, Callable[[], object]]] = {}

    def addReader(self, reader: IReadDescriptor) -> None:
        """Call `doRead` whenever something has come."""
        self._epoll.register(reader.fileno(), select.EPOLLIN)
        self._waiting[reader.fileno()] = reader, reader.doRead

    def addWriter(self, writer: IReadWriteDescriptor) -> None:
        """Call `doWrite` whenever there is room to send."""
        self._epoll.register(writer.fileno(), select.EPOLLOUT)
        self._waiting[writer.fileno()] = writer, writer.doWrite

    def removeReader(self, reader: IReadDescriptor) -> None:
        """Call it no longer."""
        if self._waiting.pop(reader.fileno(), None):
            self._epoll.unregister(reader.fileno())

    def removeWriter(self, writer: IReadWriteDescriptor) -> None:
        """Call it no longer."""
        self.removeReader(writer)

    def fileno(self) -> int:
        """Return its own number."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """Return how Twisted's log calls it."""
        return "phonebook poller"

    def connectionLost(self, reason: object) -> None:
        """Wait no longer: the server stops."""
        self._epoll.close()

    def doRead(self) -> None:
        """Call the sockets that are ready, or have failed: to read or write tells them which."""
        for number, _ in self._epoll.poll(0, _AT_ONCE):
            found = self._waiting.get(number)
            if found is None:  # one before it in this turn closed it
                continue
            try:
                found[1]()
            except Exception:  # a bug costs its own connection alone
                log.exception("a connection is cut off")
                found[0].connectionLost(Failure())  # type: ignore[no-untyped-call]
