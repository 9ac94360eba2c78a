"""Reload: a changed directory is loaded aside, and takes over only if nothing is wrong with it.

It looks at the files' names, sizes, times and numbers instead of asking the system for events:
that sees renames, new files, switched symlinks and network disks alike.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall, IReactorThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from phonebook import store
from phonebook.directory.problems import DirectoryError, counted, cure, printable
from phonebook.server.state import Served, State
from phonebook.server.viewers import PUBLIC, Viewers
from phonebook.service.snapshot import Compiled, Snapshot, Terms
from phonebook.store import Fingerprint, fingerprint

log = logging.getLogger("phonebook.server")

POLL_INTERVAL = 0.5  # seconds; a change counts once it has stood still for one of them
RETRY_INTERVAL, _LONGEST_RETRY = 5.0, 60.0
"""Seconds before what could not be read is tried again, unchanged: twice as many each time."""

_NICE = 10  # how far a compiling process gives way
_PATIENCE = 60.0  # seconds for which it gives way altogether, where answers are given meanwhile
_REFUSED = 4  # the exit code of `phonebook compile` for a directory with errors

_ERRORS = 20  # of a refused directory, kept for the status

TermsOf = Callable[[Mapping[str, str]], Terms]
"""What the server offers under the settings of a directory."""


def read_served(
    path: Path,
    terms: TermsOf,
    place: Path | None = None,
    aside: bool = False,
    outside: bool = False,
) -> Served:
    """Load a directory, by way of the cache at `place`, and return what is served of it.

    Its warnings go to the log. Where answers are given meanwhile, they go first, and this is done
    `aside`. Links lead `outside` if allowed. Raises `DirectoryError` with all its problems.
    """
    compiled = None
    if place is not None and not store.is_small(fingerprint(path, outside)):
        compiled = store.cached(path, place, outside=outside)
        if compiled is None:
            (_compile_aside if aside else _compile_first)(path, place, outside)
            compiled = store.cached(path, place, outside=outside)
    if compiled is None:
        compiled = _compiled_here(path, outside)
    return serving(compiled, terms)


def serving(compiled: Mapping[str, Compiled], terms: TermsOf) -> Served:
    """Return what is served of a directory, compiled for each view."""
    public = compiled[PUBLIC]
    offered = terms(public.settings)
    snapshots = {view: Snapshot(each, offered) for view, each in compiled.items()}
    return Served(snapshots, Viewers(public.views), offered)


def _compiled_here(path: Path, outside: bool) -> Mapping[str, Compiled]:
    made = store.make(path, None, outside=outside)
    if made.compiled is None:
        raise DirectoryError(made.problems)
    for problem in made.problems:
        log.warning("%s", problem)
    return made.compiled


# Both compile a directory into the cache in a process of its own, which does not fill this one.
# What cannot be written there costs the cache, not the service. They raise `DirectoryError` where
# the directory is refused.


def _compile_first(path: Path, place: Path, outside: bool) -> None:
    """Compile at a start; what is wrong with the directory is logged."""
    refused, lines, unwritten = store.make_apart(path, place, outside=outside)
    if refused:
        lines.append(f"{printable(str(path))} is not compiled")
    elif unwritten:
        lines.append(f"{printable(str(store.cache_file(path, place)))}: {unwritten}")
    for line in lines:
        log.log(logging.ERROR if refused else logging.WARNING, "%s", line)
    if refused:
        raise _Refused(lines)


def _compile_aside(path: Path, place: Path, outside: bool) -> None:
    """Compile beside what answers, in a fresh process that gives way to it."""
    command = [sys.executable, "-P", "-m", "phonebook", "compile", "--cache", str(place)]
    command += ["--links-out" if outside else "--no-links-out", "--", str(path)]
    code, said = _run(command, _idle, _PATIENCE)
    if code is None:
        code, said = _run(command, _nice)
    lines = said.decode("utf-8", "backslashreplace").splitlines()
    if code == _REFUSED:
        raise _Refused(lines)
    for line in lines:
        log.warning("%s", line.removeprefix("phonebook: "))


def _run(
    command: list[str], give_way: Callable[[int], None], patience: float | None = None
) -> tuple[int | None, bytes]:
    """Run a command; return its exit code, None where patience ended, and what it said of errors.

    It and the processes that it begins give way as is said of its number.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        with suppress(AttributeError, OSError):
            give_way(process.pid)
        try:
            _, said = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            return None, b""
        return process.returncode, said


def _idle(pid: int) -> None:
    """Let a process run only when nobody else wants to.

    One that is merely nice still keeps a server waiting that has just been asked something.
    """
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def _nice(pid: int) -> None:
    """Let a process have less time than others."""
    os.setpriority(os.PRIO_PROCESS, pid, _NICE)


class _Refused(DirectoryError):
    """A process of its own refused the directory, and said why."""

    def __init__(self, said: list[str]) -> None:
        super().__init__([])
        self.said = said


class Reactor(IReactorTime, IReactorThreads):
    """What a reload asks of a reactor."""


class Reloader:
    """Watches a directory and swaps what the state serves."""

    def __init__(
        self,
        path: Path,
        served: Fingerprint,
        state: State,
        terms: TermsOf,
        place: Path | None = None,
        began: Callable[[], None] = lambda: None,
        ended: Callable[[bool], None] = lambda _: None,
        outside: bool = False,
    ) -> None:
        """Watch `path`, as it was before what the state serves was read; `begin` starts it.

        `began` is called as a reload begins, `ended` after it, with whether what is served changed.
        """
        self._path, self._state, self._terms, self._place = path, state, terms, place
        self._began, self._ended, self._outside = began, ended, outside
        self._served: Fingerprint | None = served
        self._seen = served
        self._busy = self._again = False
        self._retry: IDelayedCall | None = None
        self._retries = 0
        self.loaded = time.time()
        """When what is in force was loaded."""
        self.errors: list[str] = []
        """Why the last reload was refused."""

    def begin(self, reactor: Reactor) -> None:
        """Look for changes from now on."""
        self._reactor = reactor
        reactor.callLater(POLL_INTERVAL, self._poll)

    def _poll(self) -> None:
        now = fingerprint(self._path, self._outside)
        if now != self._served and now == self._seen:
            self.reload()
        self._seen = now
        self._reactor.callLater(POLL_INTERVAL, self._poll)

    def reload(self) -> None:
        """Load now (SIGHUP, or a change); the old directory answers until the new one is whole."""
        if self._busy:
            self._again = True
            return
        if self._retry and self._retry.active():
            self._retry.cancel()
        self._retries = 0
        self._load()

    def _try_again(self) -> None:
        """Load what could not be read; that it still cannot be is no news."""
        if not self._busy:
            self._retries += 1
            self._load()

    def _load(self) -> None:
        self._busy = True
        self._served = fingerprint(self._path, self._outside)
        self._began()
        done = deferToThreadPool(
            self._reactor,
            self._reactor.getThreadPool(),
            read_served,
            self._path,
            self._terms,
            self._place,
            True,
            self._outside,
        )
        done.addCallbacks(self._loaded, self._refused)

    def _loaded(self, served: Served) -> None:
        if fingerprint(self._path, self._outside) != self._served:
            log.info("the directory changed while it was read: it is read again")
            self._served = None  # some of it may have been read before the change, some after
            return self._end(False)
        began = time.perf_counter()
        self._state.switch(served, self._reactor)
        log.debug("the switch took %.3f ms", (time.perf_counter() - began) * 1_000)
        entries = counted(served.public.count, "entry", "entries")
        log.info("reloaded: %s from %s", entries, self._path)
        self.loaded, self.errors = time.time(), []
        self._end(True)

    def _refused(self, failure: Failure) -> None:
        """Keep the old directory, and say why; try again where no change may be needed."""
        error = failure.value
        if isinstance(error, DirectoryError):
            said = error.said if isinstance(error, _Refused) else map(str, error.problems)
            errors = [*said]
            passes = any(line.endswith("[unreadable]") for line in errors)
        else:
            passes = isinstance(error, OSError)
            why = f"{error.strerror}: {cure(error)}" if isinstance(error, OSError) else repr(error)
            errors = [f"the directory cannot be loaded: {why}"]
        if not self._retries or errors[:_ERRORS] != self.errors:
            for line in errors:
                log.error("%s", line)
            log.error("the changed directory is refused; the old one goes on answering")
        self.errors = errors[:_ERRORS]
        if passes:
            pause = min(RETRY_INTERVAL * 2 ** min(self._retries, 10), _LONGEST_RETRY)
            self._retry = self._reactor.callLater(pause, self._try_again)
        self._end(False)

    def _end(self, switched: bool) -> None:
        again, self._busy, self._again = self._again, False, False
        self._ended(switched)
        if again:
            self.reload()
