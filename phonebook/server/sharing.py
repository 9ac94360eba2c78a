"""What is served as an open file, which any process of ours can map.

So workers read no directory and depend on none: they answer from what their supervisor has in
force, even where the directory is broken by now, or has no cache; with the credentials of TLS it is
the same. The pages are shared by all.
"""

import mmap
import os
import pickle
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import cast

from phonebook import store
from phonebook.server.budget import BUDGET_OCTETS
from phonebook.server.credentials import Credentials
from phonebook.server.reload import TermsOf, serving
from phonebook.server.state import Served
from phonebook.service import image


def shared(path: Path, place: Path | None, served: Served, outside: bool = False) -> int:
    """Return a file that holds what is served: the cache's, or else one without a name, in memory.

    Where the cache's is newer already, so is the directory, and the next look at it tells.
    """
    if place is not None and store.cached(path, place, outside=outside) is not None:
        with suppress(OSError):
            return os.open(store.cache_file(path, place), os.O_RDONLY | os.O_CLOEXEC)
    views = {view: each.compiled for view, each in served.snapshots.items()}
    return filled(image.dump(views, {}))


def mapped(number: int, terms: TermsOf) -> Served:
    """Return what an open file says is to be served, and close that."""
    try:
        octets = memoryview(mmap.mmap(number, 0, access=mmap.ACCESS_READ))
    finally:
        os.close(number)
    compiled, _ = image.load(octets, compared=True)
    return serving(compiled, terms)


def new_budgets() -> int:
    """Return an open file in which the workers' budgets are, all of them paid."""
    number = nameless()
    os.ftruncate(number, 2 * BUDGET_OCTETS)
    return number


def mapped_budgets(number: int) -> memoryview:
    """Return the memory of the budgets in an open file, and close that."""
    try:
        return memoryview(mmap.mmap(number, 0))
    finally:
        os.close(number)


def shared_credentials(credentials: Credentials | None) -> int:
    """Return an open file that holds what TLS needs, if there is TLS."""
    return filled([pickle.dumps(credentials)])


def mapped_credentials(number: int) -> Credentials | None:
    """Return what TLS needs, from an open file, and close that."""
    try:
        with mmap.mmap(number, 0, access=mmap.ACCESS_READ) as octets:
            return cast(Credentials | None, pickle.loads(octets))
    finally:
        os.close(number)


def filled(pieces: Iterable[bytes | memoryview]) -> int:
    """Return an open file without a name that holds these octets; none is left where it fails."""
    number = nameless()
    try:
        with open(number, "wb", closefd=False) as file:
            for piece in pieces:
                file.write(piece)
    except BaseException:
        os.close(number)
        raise
    return number


def nameless() -> int:
    """Return a new open file without a name, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("phonebook snapshot")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
