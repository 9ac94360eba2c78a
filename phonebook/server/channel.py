"""Lines, and open files beside them, over a Unix socket: how processes of this machine speak.

The supervisor and its workers do, and the control socket with whoever asks it. A line is short, and
whoever does not take one at once is gone: nothing is kept for him.
"""

import logging
import socket
import struct
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorFDSet, IReactorTime, IReadDescriptor
from zope.interface import implementer

log = logging.getLogger("phonebook.server")

MAX_LINE = 65_536
"""Octets of a line; whoever sends a longer one is cut off."""

_AT_ONCE = 64  # reads before anything else is done: what was said last is in force by then
_MAX_FILES = 253  # for one message: Linux's SCM_MAX_FD
_CLOSED_BY_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


def peer_of(end: socket.socket) -> tuple[int, int] | None:
    """Return the process and the user at the other end, where the system tells it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    told = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(told)
    return process, user


class Reactor(IReactorTime, IReactorFDSet):
    """What a channel, and those at its ends, ask of a reactor."""


@implementer(IReadDescriptor)
class Channel:
    """One end, read by the reactor."""

    def __init__(
        self,
        end: socket.socket,
        reactor: Reactor,
        heard: Callable[[bytes], None],
        gone: Callable[[], None],
        longest: int = MAX_LINE,
    ) -> None:
        """Take over a socket: `heard` gets each line, `gone` is called once, at the other's end."""
        end.setblocking(False)
        self._socket, self._reactor = end, reactor
        self._heard, self._gone, self._longest = heard, gone, longest
        self._begun = b""
        self._open = True
        self.files: list[int] = []
        """What came beside lines, and nobody took yet."""
        reactor.addReader(self)

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return how Twisted's log calls it."""
        return "phonebook channel"

    def doRead(self) -> None:
        """Hear what has been said so far, though not without end."""
        for _ in range(_AT_ONCE):
            if not self._open or not self._read():
                return

    def _read(self) -> bool:
        """Take octets and files, and hand out the lines that are whole; return whether any came."""
        try:
            octets, files, _, _ = socket.recv_fds(
                self._socket, MAX_LINE, _MAX_FILES, _CLOSED_BY_EXEC
            )
        except BlockingIOError:
            return False
        except OSError:
            octets, files = b"", []
        self.files += files
        if not octets:
            self.close()
            return False
        *lines, self._begun = (self._begun + octets).split(b"\n")
        for line in lines:
            if self._open:
                self._heard(line)
        if len(self._begun) > self._longest:
            self.close()
        return True

    def peer(self) -> int:
        """Return the number of the process at the other end, 0 where it is not known."""
        return (peer_of(self._socket) or (0, 0))[0]

    def send(self, line: bytes, files: Sequence[int] = ()) -> None:
        """Send a line, and files beside it."""
        octets = line + b"\n"
        try:
            if self._open and socket.send_fds(self._socket, [octets], list(files)) < len(octets):
                self.close()
        except OSError:
            self.close()

    def take_sockets(self, count: int) -> list[socket.socket]:
        """Return the first files that came, which are sockets."""
        taken, self.files = self.files[:count], self.files[count:]
        return [socket.socket(fileno=each) for each in taken]

    def close(self) -> None:
        """Close, once."""
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
            self._socket.close()
            for each in self.files:
                socket.close(each)
            self._gone()

    def connectionLost(self, reason: object) -> None:
        """Close: the process stops, or something here went wrong."""
        self.close()
