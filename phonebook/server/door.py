"""The door: connections are accepted here, as many as there is room for, and their times watched.

Implements spec/phonebook.md, section 12 ("connections at a time"), and the clock of section 6.
"""

import logging
import socket
import time

from twisted.internet.interfaces import IReactorTime, IReadDescriptor
from zope.interface import implementer

from phonebook.directory.problems import cure
from phonebook.server.networks import network
from phonebook.server.poller import Waiting
from phonebook.server.state import State
from phonebook.server.tcp import Connection

log = logging.getLogger("phonebook.server")

WATCH_INTERVAL = 0.25  # seconds
_PAUSE = 1.0  # seconds before the next try where the system has no room
ACCEPT_AT_ONCE = 64
"""Connections that are let in during one turn of the reactor."""


@implementer(IReadDescriptor)
class Door:
    """A listening socket of the server, read by the reactor."""

    def __init__(
        self,
        listening: socket.socket,
        state: State,
        waiting: Waiting,
        clock: IReactorTime,
        at_once: int = ACCEPT_AT_ONCE,
    ) -> None:
        """Take over a listening, non-blocking socket."""
        self._socket, self._state, self._waiting = listening, state, waiting
        self._clock, self._at_once = clock, at_once
        self._short = False  # of files or memory, which has been told
        waiting.addReader(self)

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return how Twisted's log calls it."""
        return "phonebook door"

    def doRead(self) -> None:
        """Accept those who wait, some at a time."""
        try:
            self._accept()
        except Exception:  # else the socket would be closed, and nobody be let in any more
            log.exception("a connection that cannot be accepted")

    def _accept(self) -> None:
        for _ in range(self._at_once):
            try:
                accepted, peer = self._socket.accept()
                if self._is_full(network(peer[0])):
                    accepted.close()
                    continue
                accepted.setblocking(False)
                Connection(accepted, peer[0], self._state, self._waiting)
            except BlockingIOError:  # all who waited are in
                self._short = False
                return
            except ConnectionAbortedError:
                return
            except OSError as error:  # files or memory are used up: wait for one to be closed
                if not self._short:
                    log.warning(
                        "no connection can be accepted (%s): %s, or lower --connections",
                        *(error.strerror, cure(error)),
                    )
                self._short = True
                self._waiting.removeReader(self)
                self._clock.callLater(_PAUSE, self._accept_again)
                return

    def _is_full(self, network: bytes) -> bool:
        """Return whether there is no room for one more of a network, and count it if not."""
        seats, refused = self._state.seats, self._state.refused
        if not seats.full(network):
            return False
        if seats.crowded(network):
            refused.connections_of_network += 1
        else:
            refused.connections += 1
        return True

    def _accept_again(self) -> None:
        if self._socket.fileno() != -1:
            self._waiting.addReader(self)

    def close(self, others: bool = False) -> None:
        """Let in those who wait, unless others do, and nobody more."""
        if not others:
            self.doRead()
        self._waiting.removeReader(self)
        self._socket.close()

    def connectionLost(self, reason: object) -> None:
        """Close the socket: the server stops."""
        self._socket.close()


def watch(state: State, clock: IReactorTime) -> None:
    """Look at the times of all connections, now and from now on: one timer for them all."""
    clock.callLater(WATCH_INTERVAL, watch, state, clock)
    now = time.monotonic()
    for each in list(state.connections):
        each.watch(now)
