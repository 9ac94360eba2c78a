"""Credentials: what TLS needs of the operator's files, and the watch for newer ones.

Of spec/phonebook.md it implements what [V-10] says of trust anchors: sessions begin under what is
in force here. Files that are no good change nothing: the old ones go on.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from phonebook.server.account import own_name
from phonebook.server.reload import POLL_INTERVAL

log = logging.getLogger("phonebook.server")

Seen = tuple[tuple[int, ...] | None, ...]
"""How files looked: of each its number, size and time, None where there was none."""


class TlsError(Exception):
    """TLS cannot be offered."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the operator keeps them, in PEM."""

    certificate: Path
    key: Path
    anchors: Path | None = None
    """Of clients' certificates."""

    def look(self) -> Seen:
        """Return how they look: a link is followed, so that one which is switched is seen."""
        return tuple(map(_look, filter(None, (self.certificate, self.key, self.anchors))))

    def read(self) -> "Credentials":
        """Return what is in them. Raises `TlsError`."""
        seen = self.look()
        return Credentials(
            self,
            _read("tls-cert", self.certificate),
            _read("tls-cert" if self.key == self.certificate else "tls-key", self.key),
            _read("tls-client-ca", self.anchors) if self.anchors else None,
            seen,
        )


def _read(setting: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except PermissionError as error:
        user = own_name()
        raise TlsError(
            f"{setting} is {file}: {error.strerror}: it is read as user {user}, again when it "
            f"changes: chown {user} {file}, and let {user} into the folders above it"
        ) from None
    except OSError as error:
        raise TlsError(f"{setting} is {file}: {error.strerror}") from None


def _look(file: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was in the files."""

    files: Files
    certificate: bytes
    key: bytes = field(repr=False)
    anchors: bytes | None
    seen: Seen = field(compare=False)
    """How the files looked before they were read."""


class Renewal:
    """Watches the files, and puts in force what is new in them if nothing is wrong with it."""

    def __init__(self, credentials: Credentials, switch: Callable[[Credentials], None]) -> None:
        """Begin with what is in force; `switch` puts other ones there, or raises `TlsError`."""
        self._current, self._switch = credentials, switch
        self._dealt_with = self._seen = credentials.seen

    def begin(self, clock: IReactorTime) -> None:
        """Look for changes from now on."""
        self._clock = clock
        clock.callLater(POLL_INTERVAL, self._poll)

    def _poll(self) -> None:
        """See whether something changed, and stands still: the files may come one by one."""
        now = self._current.files.look()
        if now != self._dealt_with and now == self._seen:
            self.renew()
        self._seen = now
        self._clock.callLater(POLL_INTERVAL, self._poll)

    def renew(self) -> None:
        """Read them now (SIGHUP, or a change)."""
        self._dealt_with = self._current.files.look()
        try:
            found = self._current.files.read()
            if found == self._current:
                return
            self._switch(found)
        except TlsError as error:
            log.error("%s; TLS goes on with what it had before", error)
        else:
            self._current = found
            log.info("TLS: new connections get what is in %s by now", found.files.certificate)
