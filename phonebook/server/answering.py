"""What answers in a process: doors and ports over bound sockets, until it is told to stop."""

import socket
from collections.abc import Callable, Sequence

from phonebook.server.channel import Reactor
from phonebook.server.credentials import Credentials
from phonebook.server.door import ACCEPT_AT_ONCE, Door, watch
from phonebook.server.poller import poller
from phonebook.server.report import Figures, figures_of
from phonebook.server.state import State
from phonebook.server.udp import DatagramPort, DatagramPortEverywhere

STOP_TIME = 3.0  # seconds for what was asked, once the server is told to stop
_STOP_POLL = 0.02  # seconds
_LAST_LOOK = 0.05  # seconds in which what has arrived is still read
_LONG_LOOK = 1.0  # seconds: the same, where others answer already


class Answering:
    """Answers from a state on some sockets: alone, or as one worker of several."""

    def __init__(
        self,
        bound: Sequence[socket.socket],
        state: State,
        reactor: Reactor,
        accept_at_once: int = ACCEPT_AT_ONCE,
    ) -> None:
        """Answer on these bound, non-blocking sockets from now on."""
        self._state, self._reactor = state, reactor
        self._doors: list[Door] = []
        self._ports: list[DatagramPort] = []
        waiting = poller(reactor)
        for each in bound:
            if each.type == socket.SOCK_STREAM:
                self._doors.append(Door(each, state, waiting, reactor, accept_at_once))
            else:
                everywhere = each.getsockname()[0] in ("0.0.0.0", "::")
                port = (DatagramPortEverywhere if everywhere else DatagramPort)(each, state)
                self._ports.append(port)
                reactor.addReader(port)
        watch(state, reactor)

    def begin(self, ready: Callable[[], None]) -> None:
        """Say that all is ready: it answers since it was made."""
        ready()

    def switch(self, done: Callable[[], None]) -> None:
        """Answer from the state's new snapshot: that is in force already."""
        done()

    def renew(self, credentials: Credentials) -> None:
        """Speak TLS with these: the state has them already."""

    def figures(self) -> Figures:
        """Return what the status tells of it."""
        return figures_of(self._state)

    def stop(self, done: Callable[[], None], others: bool = False) -> None:
        """Answer what was asked, close everything, and call `done`.

        Where others answer on the same sockets, they let in who waits, and who was let in here has
        a while longer to say what he wants.
        """
        for each in self._doors:
            each.close(others)
        for port in self._ports:
            port.doRead()  # what was asked before
            self._reactor.removeReader(port)
        self._reactor.callLater(_LONG_LOOK if others else _LAST_LOOK, self._finish, done)

    def _finish(self, done: Callable[[], None]) -> None:
        for each in list(self._state.connections):
            each.finish()
        self._wait(self._reactor.seconds() + STOP_TIME, done)

    def _wait(self, deadline: float, done: Callable[[], None]) -> None:
        if self._state.connections and self._reactor.seconds() < deadline:
            self._reactor.callLater(_STOP_POLL, self._wait, deadline, done)
        else:
            done()
