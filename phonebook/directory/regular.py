"""What a regular file holds: no pipe and no device is read, and no more than a bound.

Implements [D-76] of spec/directory.md, and of [D-77] the bound on a file.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

_NO_WAITING = getattr(os, "O_NONBLOCK", 0)


class NotRegular(OSError):
    """This is not a file: name a file or a folder."""


class TooLarge(OSError):
    """This has more octets than are read."""


def open_at_once(name: str, flags: int, folder: int | None = None) -> int:
    """Open without waiting for whoever writes into a pipe that took the file's place.

    It is in an open `folder`, if one is given.
    """
    return os.open(name, flags | _NO_WAITING, dir_fd=folder)


def read_regular(file: Path, most: int, opener: Callable[[str, int], int] = open_at_once) -> bytes:
    """Return the octets of a file, of which there are `most` at most. Raises `OSError`."""
    _see_file(os.stat(file))  # nothing but a file is even opened: a device might act on it
    with open(file, "rb", opener=opener) as opened:
        status = os.fstat(opened.fileno())
        _see_file(status)
        size = status.st_size
        if size <= most:
            octets = opened.read(size + 1)
            if len(octets) > size:  # it grows
                octets += opened.read(most - size)
            if len(octets) <= most:
                return octets
        raise TooLarge(TooLarge.__doc__)


def _see_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(NotRegular.__doc__)
