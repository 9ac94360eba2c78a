"""Reload: a changed directory is loaded aside, and takes over only if nothing is wrong with it.

It looks at the files' names, sizes, times and numbers instead of asking the system for events:
that sees renames, new files, switched symlinks and network disks alike.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IReactorThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from phonebook.directory.entry import Directory
from phonebook.directory.load import Loaded, directory_files, load
from phonebook.directory.problems import DirectoryError
from phonebook.server.state import State
from phonebook.service.snapshot import Snapshot, Terms

log = logging.getLogger("phonebook.server")

POLL_INTERVAL = 0.5  # seconds; a change counts once it has stood still for one of them

Fingerprint = tuple[tuple[str, int, int, int], ...]


def read_snapshot(path: Path, terms: Callable[[Directory], Terms]) -> tuple[Snapshot, Loaded]:
    """Load and compile a directory. Raises `DirectoryError` with all its problems."""
    loaded = load(path)
    directory = loaded.unwrap()
    return Snapshot(directory, terms(directory)), loaded


def fingerprint(path: Path) -> Fingerprint:
    """Return what changes when a file of the directory does."""
    found = []
    for file in directory_files(path):
        try:
            status = os.stat(file)
        except OSError:
            continue
        found.append((str(file), status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(found)


class Reactor(IReactorTime, IReactorThreads):
    """What a reload asks of a reactor."""


class Reloader:
    """Watches a directory and swaps the state's snapshot."""

    def __init__(
        self, path: Path, served: Fingerprint, state: State, terms: Callable[[Directory], Terms]
    ) -> None:
        """Watch `path`, as it was before the state's snapshot was read; `begin` starts it."""
        self._path, self._state, self._terms = path, state, terms
        self._served = self._seen = served
        self._busy = False

    def begin(self, reactor: Reactor) -> None:
        """Look for changes from now on."""
        self._reactor = reactor
        reactor.callLater(POLL_INTERVAL, self._poll)

    def _poll(self) -> None:
        now = fingerprint(self._path)
        if now != self._served and now == self._seen:
            self.reload()
        self._seen = now
        self._reactor.callLater(POLL_INTERVAL, self._poll)

    def reload(self) -> None:
        """Load now (SIGHUP, or a change); the old directory answers until the new one is whole."""
        if self._busy:
            return  # the poll comes back to it: what is served is not what is seen
        self._busy = True
        before = fingerprint(self._path)
        self._served = before
        done = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), read_snapshot, self._path, self._terms
        )
        done.addCallbacks(self._loaded, self._refused)

    def _loaded(self, result: tuple[Snapshot, Loaded]) -> None:
        self._busy = False
        self._state.snapshot = result[0]
        for problem in result[1].problems:
            log.warning("%s", problem)
        log.info("reloaded: %d entries from %s", len(result[0].exact), self._path)

    def _refused(self, failure: Failure) -> None:
        self._busy = False
        if isinstance(failure.value, DirectoryError):
            for problem in failure.value.problems:
                log.error("%s", problem)
            log.error("the changed directory is refused; the old one goes on answering")
        else:
            log.error("the directory cannot be loaded, the old one goes on: %r", failure.value)
