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

from phonebook.directory.load import leads_out
from phonebook.directory.problems import cure, printable
from phonebook.directory.regular import NotRegular, TooLarge, read_regular
from phonebook.server.account import own_name
from phonebook.server.reload import POLL_INTERVAL

log = logging.getLogger("phonebook.server")

MAX_OCTETS = 1 << 20
"""Of each file."""

Seen = tuple[tuple[int, ...] | None, ...]
"""How files looked: of each its number, size and time, None where there was none."""


class TlsError(Exception):
    """TLS cannot be offered."""


class PassingError(TlsError):
    """TLS cannot be offered, for what the system refuses: nobody may have to change a file."""

    @classmethod
    def of(cls, what: str, error: OSError) -> "PassingError":
        """Return what says of something that the system refuses it, and what to do about it."""
        return cls(f"{what}: {error.strerror or error}: {cure(error)}")


@dataclass(frozen=True, slots=True)
class Files:
    """Where the operator keeps them, in PEM."""

    certificate: Path
    key: Path
    anchors: Path | None = None
    """Of clients' certificates."""

    confined: frozenset[Path] = frozenset()
    """Those that the directory's file names: they may not lead out of its folder."""
    folder: Path = Path()
    """The folder of the directory's file."""

    def look(self) -> Seen:
        """Return how they look: a link is followed, so that one which is switched is seen."""
        return tuple(map(_look, filter(None, (self.certificate, self.key, self.anchors))))

    def read(self) -> "Credentials":
        """Return what is in them. Raises `TlsError`."""
        seen = self.look()
        return Credentials(
            self,
            self._read("tls-cert", self.certificate),
            self._read("tls-cert" if self.key == self.certificate else "tls-key", self.key),
            self._read("tls-client-ca", self.anchors) if self.anchors else None,
            seen,
        )

    def _read(self, setting: str, file: Path) -> bytes:
        told = f"{setting} is {printable(str(file))}"
        if file in self.confined and leads_out(file, self.folder):
            raise TlsError(
                f"{told}: that leads out of the directory: put the file itself there, or allow it "
                "with --links-out"
            )
        try:
            return read_regular(file, MAX_OCTETS)
        except (NotRegular, TooLarge):
            raise TlsError(f"{told}: this is no file of at most {MAX_OCTETS:,} octets") from None
        except PermissionError as error:
            user = own_name()
            raise PassingError(
                f"{told}: {error.strerror}: it is read as user {user}, again when it changes: "
                f"chown {user} {file}, and let {user} into the folders above it"
            ) from None
        except OSError as error:
            raise PassingError.of(told, error) from None


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
        self._seen = credentials.seen
        self._dealt_with: Seen | None = credentials.seen  # None: it may be good without a change
        self._told = ""  # of what went wrong

    def begin(self, clock: IReactorTime) -> None:
        """Look for changes from now on."""
        self._clock = clock
        clock.callLater(POLL_INTERVAL, self._poll)

    def _poll(self) -> None:
        """See whether something changed, and stands still: the files may come one by one."""
        try:
            now = self._current.files.look()
            if now == self._seen and self._dealt_with is None:
                self._try()
            elif now == self._seen != self._dealt_with:
                self.renew()
            self._seen = now
        finally:  # whatever goes wrong, the next look is to come
            self._clock.callLater(POLL_INTERVAL, self._poll)

    def renew(self) -> None:
        """Read them now (SIGHUP, or a change)."""
        self._told = ""
        self._try()

    def _try(self) -> None:
        """Read them; what may pass is tried again at each look, and told once."""
        self._dealt_with = self._current.files.look()
        try:
            found = self._current.files.read()
            if found == self._current:
                return
            self._switch(found)
        except TlsError as error:
            if isinstance(error, PassingError):
                self._dealt_with = None
            if str(error) != self._told:
                log.error("%s; TLS goes on with what it had before", error)
            self._told = str(error)
        else:
            self._current = found
            log.info("TLS: new connections get what is in %s by now", found.files.certificate)
