"""Reload: a changed directory is loaded aside, and takes over only if nothing is wrong with it.

It looks at the files' names, sizes, times and numbers instead of asking the system for events:
that sees renames, new files, switched symlinks and network disks alike.
"""

import errno
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorThreads, IReactorTime
from twisted.python.failure import Failure

from phonebook import store
from phonebook.directory.problems import DirectoryError, counted, cure, printable
from phonebook.server.state import Served, State
from phonebook.server.viewers import PUBLIC, Viewers
from phonebook.service.snapshot import Compiled, Snapshot, Terms
from phonebook.store import Fingerprint, fingerprint

log = logging.getLogger("phonebook.server")

POLL_INTERVAL = 0.5  # seconds; a change counts once it has stood still for one of them
_SHARE = 20  # of the time: a look takes no more than a part in so many
_LOOKS, _READINGS = 20, 5  # for so many, what changes without pause is waited for
RETRY_INTERVAL, _LONGEST_RETRY = 5.0, 60.0
"""Seconds before what could not be read is tried again, unchanged: twice as many each time."""

_NICE = 10  # how far a compiling process gives way
_PATIENCE = 60.0  # seconds for which it gives way altogether, where answers are given meanwhile
_COMPILED, _REFUSED, _UNWRITTEN = 0, 4, 5  # exit codes of `phonebook compile`
_SAID = 1 << 20  # octets that it says of errors, and that are read

_ERRORS = 20  # of a refused directory, kept for the status

T = TypeVar("T")

TermsOf = Callable[[Mapping[str, str]], Terms]
"""What the server offers under the settings of a directory."""


def read_served(
    path: Path,
    terms: TermsOf,
    place: Path | None = None,
    aside: "Aside | None" = None,
    outside: bool = False,
) -> Served:
    """Load a directory, by way of the cache at `place`, and return what is served of it.

    Its warnings go to the log. Where answers are given meanwhile, they go first, and this is done
    `aside` of them. Links lead `outside` if allowed. Raises `DirectoryError` with all its problems.
    """
    compiled = None
    if place is not None and not store.is_small(fingerprint(path, outside)):
        compiled = store.cached(path, place, outside=outside)
        if compiled is None:
            if aside is None:
                _compile_first(path, place, outside)
            else:
                _compile_aside(path, place, outside, aside)
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
# the directory is refused, or the process came to no end of its own: here, that would end what
# answers.


def _compile_first(path: Path, place: Path, outside: bool) -> None:
    """Compile at a start; what is wrong with the directory is logged."""
    made = store.make_apart(path, place, outside=outside)
    if made is None:
        refused, lines = True, [_not_compiled(path, "ended before it was done")]
    else:
        refused, lines, unwritten = made
        if refused:
            lines.append(f"{printable(str(path))} is not compiled")
        elif unwritten:
            lines.append(f"{printable(str(store.cache_file(path, place)))}: {unwritten}")
    for line in lines:
        log.log(logging.ERROR if refused else logging.WARNING, "%s", line)
    if refused:
        raise _Refused(lines, passes=False)


def _compile_aside(path: Path, place: Path, outside: bool, aside: "Aside") -> None:
    """Compile beside what answers, in a fresh process that gives way to it."""
    command = [sys.executable, "-P", "-m", "phonebook", "compile", "--cache", str(place)]
    command += ["--links-out" if outside else "--no-links-out", "--", str(path)]
    code, said = aside.run(command, _idle, _PATIENCE)
    if code is None:
        code, said = aside.run(command, _nice)
    lines = said.decode("utf-8", "backslashreplace").splitlines()
    if code == _REFUSED:
        raise _Refused(lines, passes=False)
    if code not in (_COMPILED, _UNWRITTEN):
        raise _Refused([_not_compiled(path, _how_it_ended(code or 0, lines))], passes=True)
    for line in lines:
        log.warning("%s", line.removeprefix("phonebook: "))


def _how_it_ended(code: int, said: list[str]) -> str:
    if code < 0:
        how = f"was ended by signal {-code}"
        with suppress(ValueError):
            how += f" ({signal.Signals(-code).name})"
        return how
    return f"ended with {code}" + (f" ({printable(said[-1])})" if said else "")


def _not_compiled(path: Path, how: str) -> str:
    """Say what became of a process that neither compiled a directory nor refused it."""
    return (
        f"{printable(str(path))} was not compiled, since the process for that {how}: if memory is "
        "short, give it more (MemoryMax= of a unit), or make the directory smaller"
    )


class Aside:
    """A process beside the one that answers, which does not outlast it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._process: subprocess.Popen[bytes] | None = None
        self.ended = False

    def run(
        self,
        command: list[str],
        give_way: Callable[[int], None],
        patience: float | None = None,
    ) -> tuple[int | None, bytes]:
        """Run a command; return its exit code, None where patience ended, and what it said of
        errors.

        It and the processes that it begins give way as is said of its number.
        """
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            self._process = process
            if self.ended:  # just now, in another thread
                process.kill()
            with suppress(AttributeError, OSError):
                give_way(process.pid)
            assert process.stderr is not None
            said = _read(process.stderr.fileno(), patience)
            if said is None:
                process.kill()
                return None, b""
            return process.wait(), said

    def end(self) -> None:
        """Have it end, and any that is begun."""
        self.ended = True
        if self._process is not None:
            self._process.kill()


def _read(pipe: int, patience: float | None) -> bytes | None:
    """Return what is said at first, once all is said; None where patience ended."""
    until = None if patience is None else time.monotonic() + patience
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(None if until is None else max(0.0, until - time.monotonic())):
            octets = os.read(pipe, 65_536)
            if not octets:
                return said
            said = (said + octets)[:_SAID]
    return None


def _idle(pid: int) -> None:
    """Let a process run only when nobody else wants to.

    One that is merely nice still keeps a server waiting that has just been asked something.
    """
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def _nice(pid: int) -> None:
    """Let a process have less time than others."""
    os.setpriority(os.PRIO_PROCESS, pid, _NICE)


class _Refused(DirectoryError):
    """A process of its own did not compile the directory, and said why."""

    def __init__(self, said: list[str], passes: bool) -> None:
        super().__init__([])
        self.said = said
        self.passes = passes
        """Whether it may be another time, though nothing changes."""


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
        self._moved = 0  # looks in a row at each of which it was another
        self._torn = 0  # readings in a row during which it changed
        self._why = ""  # the last look failed
        self._aside = Aside()
        self.loaded = time.time()
        """When what is in force was loaded."""
        self.errors: list[str] = []
        """Why the last reload was refused."""

    def begin(self, reactor: Reactor) -> None:
        """Look for changes from now on."""
        self._reactor = reactor
        reactor.callLater(POLL_INTERVAL, self._poll)

    def stop(self) -> None:
        """Give up what is being loaded."""
        self._aside.end()

    def _poll(self) -> None:
        """Look for changes, aside: many files take long. The longer, the later is the next look."""
        spent = 0.0

        def look() -> Fingerprint:
            nonlocal spent
            began = time.thread_time()
            try:
                return fingerprint(self._path, self._outside)
            finally:
                spent = time.thread_time() - began

        def again(_: object) -> None:
            self._reactor.callLater(max(POLL_INTERVAL, _SHARE * spent), self._poll)

        looked = _in_thread(self._reactor, look)
        looked.addCallback(self._look).addErrback(self._unseen).addBoth(again)

    def _look(self, now: Fingerprint) -> None:
        """Reload what has changed and stands still, or never does."""
        self._why = ""
        self._moved = 0 if now == self._seen else self._moved + 1
        self._seen = now
        if not self._busy and now != self._served and (not self._moved or self._moved >= _LOOKS):
            self.reload()

    def _unseen(self, failure: Failure) -> None:
        """Say once what nobody foresaw."""
        why = failure.getErrorMessage()
        if why != self._why:
            log.error("the directory cannot be looked at: %s", why)
        self._why = why

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
        self._began()
        done = _in_thread(self._reactor, lambda: fingerprint(self._path, self._outside))
        done.addCallback(self._read).addCallbacks(self._loaded, self._refused)

    def _read(self, before: Fingerprint) -> "Deferred[tuple[Served, Fingerprint]]":
        self._served = before

        def read() -> tuple[Served, Fingerprint]:
            served = read_served(self._path, self._terms, self._place, self._aside, self._outside)
            return served, fingerprint(self._path, self._outside)

        return _in_thread(self._reactor, read)

    def _loaded(self, read: tuple[Served, Fingerprint]) -> None:
        served, after = read
        if after == self._served:
            self._torn = 0
        else:
            self._served = None  # some of it may have been read before the change, some after
            self._torn += 1
            if self._torn < _READINGS:
                log.info("the directory changed while it was read: it is read again")
                return self._end(False)
            if self._torn == _READINGS:
                log.warning("the directory changes without pause: it is served as it is found")
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
        if self._aside.ended:
            return
        if isinstance(error, DirectoryError):
            said = error.said if isinstance(error, _Refused) else map(str, error.problems)
            errors = [*said]
            passes = any(line.endswith("[unreadable]") for line in errors)
            passes |= isinstance(error, _Refused) and error.passes
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


def _in_thread(reactor: Reactor, work: Callable[[], T]) -> "Deferred[T]":
    """Do some work in a thread of its own, for which the end of the process does not wait."""
    done: Deferred[T] = Deferred()

    def run() -> None:
        try:
            result: T | Failure = work()
        except Exception:
            result = Failure()  # type: ignore[no-untyped-call]
        reactor.callFromThread(done.callback, result)

    try:
        threading.Thread(target=run, name="reload", daemon=True).start()
    except RuntimeError as error:  # there is no room for one more
        done.errback(OSError(errno.EAGAIN, str(error)))
    return done
