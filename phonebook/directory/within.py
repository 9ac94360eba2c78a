"""What lies within a folder once all links are followed, and stays there while it is opened.

Implements [D-74] of spec/directory.md. Whoever writes in the folder may switch a link at any time,
between a look at it and the opening too. So no link is followed while a file is opened.
"""

import errno
import os
from pathlib import Path

from phonebook.directory.regular import open_at_once

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK

_A_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)  # what opening one gives, by system


class LeadsOutError(OSError):
    """This leads out of the folder."""


class Within:
    """A folder out of which nothing is read."""

    def __init__(self, top: Path) -> None:
        """Follow the links that lead to it, once."""
        self._top = top
        self._real = _real(top)

    def has(self, file: str | os.PathLike[str]) -> bool:
        """Whether a file is within the folder; one that cannot be told is not."""
        real = os.path.join(_real(file), "")
        return bool(self._real) and real.startswith(os.path.join(self._real, ""))

    def open(self, file: Path, flags: int) -> int:
        """Open a file that is within the folder at this moment. Raises OSError."""
        if not self._real:
            raise LeadsOutError
        try:
            return self._open(file.relative_to(self._top), flags)
        except OSError as error:
            if error.errno not in _A_LINK:
                raise
        if not self.has(file):
            raise LeadsOutError
        return self._open(Path(_real(file)).relative_to(self._real), flags)

    def _open(self, path: Path, flags: int) -> int:
        """Open what lies at a path below the folder, if no part of it is a link."""
        if os.open not in os.supports_dir_fd:
            return open_at_once(os.path.join(self._real, path), flags)
        *folders, name = path.parts
        folder = os.open(self._real, _FOLDER)
        try:
            for each in folders:
                inner = os.open(each, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            return open_at_once(name, flags | _NO_LINK, folder)
        finally:
            os.close(folder)


def _real(file: str | os.PathLike[str]) -> str:
    """Return where a path leads; empty where a link was switched meanwhile."""
    try:
        return os.path.realpath(file)
    except OSError:
        return ""
