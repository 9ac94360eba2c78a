"""The control socket: the owner of a running server asks it how it is, or takes its sockets over.

A line of one word asks, and a line of JSON answers:

    status      the report
    takeover    {"sockets": N, "metrics": M}, and so many listening sockets beside it; the old
                server goes on until the line `done` comes over this connection, then finishes

Whoever runs the server may ask, and root. The socket stands in $RUNTIME_DIRECTORY, else beside the
cache's snapshot of the directory, and leaves with its server. Of several servers over a directory
the first one has it, until one takes over.
"""

import json
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from phonebook.server.channel import MAX_LINE, Channel, Reactor, peer_of
from phonebook.store import name_of

log = logging.getLogger("phonebook.server")

MAX_ASKING = 8
"""Connections at a time; a further one is closed at once."""

ASK_TIME = 5.0
"""Seconds in which a question has to come."""

_PAUSE = 1.0  # seconds before the next try where the system has no room
_LONGEST = 64  # octets of a question
_MAX_FILES = 253


class ControlError(Exception):
    """No running server can be asked."""


class Nobody(ControlError):
    """Nobody listens there."""


def control_file(path: Path, place: Path) -> Path:
    """Return where the control socket of a server over this directory stands.

    A link is not followed: where it leads may change while the server runs.
    """
    if given := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0]) / "phonebook.sock"
    return place / f"{name_of(Path(os.path.abspath(path)))}.sock"


def is_taken(file: Path) -> bool:
    """Whether a server listens at a control socket; one that has died leaves its file."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        try:
            with _short(file) as name:
                asking.connect(name)
        except BlockingIOError:  # too many ask already
            return True
        except OSError:
            return False
    return True


@implementer(IReadDescriptor)
class Control:
    """The server's end."""

    def __init__(
        self,
        file: Path,
        reactor: Reactor,
        report: Callable[[], dict[str, Any]],
        sockets: Sequence[socket.socket],
        metrics: Sequence[socket.socket],
        finish: Callable[[int], None],
    ) -> None:
        """Take the place of whoever stood at `file`. Raises OSError.

        `finish` is called with the number of the process that has taken over.
        """
        self._file, self._reactor = file, reactor
        self._report, self._finish = report, finish
        self._sockets, self._metrics = sockets, metrics
        self._asking: set[Channel] = set()
        self._heir: Channel | None = None
        self._socket = _listen(file)
        self._number = os.stat(file).st_ino
        reactor.addReader(self)

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return how Twisted's log calls it."""
        return "phonebook control"

    def connectionLost(self, reason: object) -> None:
        """Close: the server stops."""
        self.close()

    def doRead(self) -> None:
        """Let one in, if it may ask and there is room."""
        try:
            accepted = self._socket.accept()[0]
        except BlockingIOError:
            return
        except OSError:  # files are used up: the door tells
            self._reactor.removeReader(self)
            self._reactor.callLater(_PAUSE, self._accept_again)
            return
        if len(self._asking) >= MAX_ASKING or not _may_ask(accepted):
            accepted.close()
            return
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_LINE)
        channel = Channel(
            accepted,
            self._reactor,
            lambda line: self._answer(channel, line),
            lambda: self._gone(channel),
            _LONGEST,
        )
        self._asking.add(channel)
        self._reactor.callLater(ASK_TIME, self._late, channel)

    def _accept_again(self) -> None:
        if self._socket.fileno() != -1:
            self._reactor.addReader(self)

    def _late(self, channel: Channel) -> None:
        if channel is not self._heir:
            channel.close()

    def _gone(self, channel: Channel) -> None:
        self._asking.discard(channel)
        if channel is self._heir:
            self._heir = None

    def _answer(self, channel: Channel, line: bytes) -> None:
        if line == b"status":
            channel.send(json.dumps(self._report()).encode())
        elif line == b"takeover" and self._heir is None:
            self._heir = channel
            counts = {"sockets": len(self._sockets), "metrics": len(self._metrics)}
            files = [each.fileno() for each in (*self._sockets, *self._metrics)]
            channel.send(json.dumps(counts).encode(), files)
        elif line == b"done" and channel is self._heir:
            log.info("another server takes over")
            heir = channel.peer()
            channel.close()
            self._finish(heir)
        else:
            channel.send(b'{"error": "not now, or not known: status, takeover"}')

    def close(self) -> None:
        """Leave, unless another has taken this place."""
        self._reactor.removeReader(self)
        self._socket.close()
        with suppress(OSError):
            if os.stat(self._file).st_ino == self._number:
                os.unlink(self._file)


def _may_ask(accepted: socket.socket) -> bool:
    """Whether the other end is the owner's, or root's; where the system tells it."""
    known = peer_of(accepted)
    return known is None or known[1] in (os.geteuid(), 0)


def _listen(file: Path) -> socket.socket:
    """Return a listening socket that takes its name in one step."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = socket.socket(socket.AF_UNIX)
    made.setblocking(False)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".") as aside:  # the owner's alone
        with _short(Path(aside) / "s") as name:
            made.bind(name)
        os.chmod(f"{aside}/s", 0o600)
        made.listen(MAX_ASKING)
        os.replace(f"{aside}/s", file)
    return made


@contextmanager
def _short(file: Path) -> Iterator[str]:
    """Give a name for a Unix socket: they have 107 octets at most, and folders may have more."""
    if len(os.fsencode(file)) <= 107 or not hasattr(os, "O_PATH"):
        yield str(file)
        return
    folder = os.open(file.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{file.name}"
    finally:
        os.close(folder)


class Asking:
    """Somebody who asks a running server, and waits."""

    def __init__(self, file: Path, seconds: float = ASK_TIME) -> None:
        """Connect. Raises `ControlError`."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(seconds)
        try:
            with _short(file) as name:
                self._socket.connect(name)
        except OSError as error:
            self._socket.close()
            empty = isinstance(error, FileNotFoundError | ConnectionRefusedError)
            kind = Nobody if empty else ControlError
            raise kind(f"no server answers at {file} ({error.strerror})") from None

    def ask(self, word: str) -> tuple[dict[str, Any], list[int]]:
        """Return the answer to a question, and the files beside it. Raises `ControlError`."""
        octets, files = b"", list[int]()
        try:
            self._socket.sendall(word.encode() + b"\n")
            while not octets.endswith(b"\n"):
                more, beside, _, _ = socket.recv_fds(self._socket, MAX_LINE, _MAX_FILES)
                if not more:
                    raise ControlError("the server hung up: it lets its owner ask, and root")
                octets, files = octets + more, files + list(beside)
            answer = json.loads(octets)
        except (OSError, ValueError) as error:
            raise ControlError(f"the server gives no answer: {error}") from None
        if not isinstance(answer, dict) or "error" in answer:
            raise ControlError(f"the server refuses: {answer}")
        return answer, files

    def tell(self, word: str) -> None:
        """Say something that has no answer, and hang up."""
        with suppress(OSError), self._socket:
            self._socket.sendall(word.encode() + b"\n")


class Heir(Asking):
    """A server that takes over from another one, which goes on until this one is ready."""

    def __init__(self, file: Path) -> None:
        """Get the sockets of the server that is asked at `file`. Raises `ControlError`."""
        super().__init__(file)
        answer, files = self.ask("takeover")
        taken = [socket.socket(fileno=each) for each in files]
        self.sockets, self.metrics = taken[: answer["sockets"]], taken[answer["sockets"] :]

    def ready(self) -> None:
        """Let the other finish."""
        self.tell("done")
