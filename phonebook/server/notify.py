"""systemd, where it started this: the sockets that it opened, and what it is told.

Implements sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3), which are a few environment
variables and one datagram for each message. Elsewhere none of them is set, and nothing happens.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

from twisted.internet.interfaces import IReactorTime

_FIRST = 3  # SD_LISTEN_FDS_START
_VARIABLES = (
    "NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID LISTEN_FDNAMES LISTEN_PIDFDID"
).split()


class Manager:
    """What started this process, if it wants to be told."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take its variables out of the environment: they are not for our children."""
        told = {name: environment.pop(name, "") for name in _VARIABLES}
        self._address = told["NOTIFY_SOCKET"]
        if self._address.startswith("@"):  # an abstract name
            self._address = "\0" + self._address[1:]
        own = str(os.getpid())
        self._watch_time = _number(told["WATCHDOG_USEC"])
        self._watched = told["WATCHDOG_PID"] in ("", own)
        self._opened = _number(told["LISTEN_FDS"]) if told["LISTEN_PID"] == own else 0

    def sockets(self) -> list[socket.socket]:
        """Return the sockets that it opened for this process, non-blocking."""
        taken = [socket.socket(fileno=_FIRST + each) for each in range(self._opened)]
        for each in taken:
            each.set_inheritable(False)
            each.setblocking(False)
        self._opened = 0
        return taken

    def ready(self, reactor: IReactorTime, in_place_of_another: bool = False) -> None:
        """Say that everybody is answered, and from now on that this loop still turns.

        In place of another process of the same service, this is the one to watch from now on.
        """
        self._tell(f"MAINPID={os.getpid()}\nREADY=1" if in_place_of_another else "READY=1")
        if self._watch_time and (self._watched or in_place_of_another):
            self._alive(reactor, self._watch_time / 2_000_000)

    def reloading(self) -> None:
        """Say that a reload has begun; `reloaded` says that it has ended, well or not."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def reloaded(self) -> None:
        """Say that what is served is in force again."""
        self._tell("READY=1")

    def inherited(self, heir: int) -> None:
        """Say that another process is the service from now on: it lives, though this one ends.

        Where NotifyAccess= is `main`, as it is by itself, only this one is believed yet.
        """
        if heir:
            self._tell(f"MAINPID={heir}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("STOPPING=1")

    def _alive(self, reactor: IReactorTime, interval: float) -> None:
        self._tell("WATCHDOG=1")
        reactor.callLater(interval, self._alive, reactor, interval)

    def _tell(self, message: str) -> None:
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
                teller.setblocking(False)  # a manager that does not listen holds nobody up
                teller.sendto(message.encode(), self._address)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
