"""The supervisor: it holds the sockets and the snapshot, and keeps workers that answer.

Workers are processes of a fresh interpreter each. All of them read the same sockets, so what waits
in one is taken by whoever is free, and a worker that dies takes along what it has read and no more.
A socket for each of them (SO_REUSEPORT) would be read by one alone: what waits there waits for the
worker to come back, a client behind one port stays with one worker, and a server that takes over,
or that systemd hands its sockets, would need as many workers as there were.

The supervisor alone watches the directory and the files of TLS. It hands the workers each snapshot,
and what TLS needs, as an open file.
"""

import json
import logging
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from phonebook.directory.problems import cure
from phonebook.server.answering import STOP_TIME
from phonebook.server.channel import Channel, Reactor
from phonebook.server.credentials import Credentials, PassingError
from phonebook.server.report import Figures, added
from phonebook.server.sharing import shared_credentials

log = logging.getLogger("phonebook.server")

BEAT = 0.5
"""Seconds between two reports of a worker to its supervisor."""

SILENCE = 30.0
"""Seconds without a report, after which a worker hangs and is replaced."""

_STEADY = 2.0  # seconds: a worker that lived so long is replaced at once
_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds before one that did not, twice as long each time
_REAP = 0.01  # seconds until a process that ended is looked for again
_STOP_TIME = STOP_TIME + 2.0  # seconds until a worker that does not stop is killed


class _Worker:
    """One worker as the supervisor knows it; its place is kept when its process ends."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: Channel
        self.ready = False
        self.owes = 0  # snapshots that it was handed and has not put in force yet
        self.began = self.heard = 0.0  # seconds of the monotonic clock
        self.since = 0.0  # the time of day
        self.restarts = self.short_lives = 0
        self.figures = Figures()

    @property
    def pid(self) -> int:
        """The number of its process, 0 where there never was one."""
        return self.process.pid if self.process else 0

    @property
    def lives(self) -> bool:
        """Whether it has a process that has not been seen to end."""
        return self.process is not None and self.process.returncode is None

    def kill(self) -> None:
        """End its process, whatever it does."""
        if self.process:
            self.process.kill()


class Workers:
    """Keeps a number of workers."""

    def __init__(
        self,
        count: int,
        options: object,
        sockets: Sequence[socket.socket],
        share: Callable[[], int],
        budgets: int,
        credentials: Credentials | None,
        reactor: Reactor,
    ) -> None:
        """Hand `options`, sockets and credentials to each, what `share` returns, and budgets.

        `begin` starts them.
        """
        self._options = pickle.dumps(options).hex()
        self._sockets, self._share, self._reactor = sockets, share, reactor
        self._snapshot, self._budgets = share(), budgets
        self._short = False  # of files or memory, which has been told
        self._credentials = shared_credentials(credentials)
        self._workers = [_Worker() for _ in range(count)]
        self._ended = Figures()  # what was counted by workers that are no more
        self._ready: Callable[[], None] | None = None
        self._switched: Callable[[], None] | None = None
        self._stopped: Callable[[], None] | None = None

    def begin(self, ready: Callable[[], None]) -> None:
        """Start them, and call `ready` once all are."""
        self._ready = ready
        for each in self._workers:
            self._try(each)
        self._reactor.callLater(BEAT, self._look)

    def switch(self, done: Callable[[], None]) -> None:
        """Hand out the snapshot that is in force by now, and call `done` when all have it."""
        try:
            snapshot = self._share()
        except OSError as error:  # files or memory are used up
            if not self._short:
                log.error("workers keep the old directory (%s): %s", error.strerror, cure(error))
            self._short = True
            self._reactor.callLater(_LONGEST_PAUSE, self.switch, done)
            return
        socket.close(self._snapshot)
        self._snapshot, self._short = snapshot, False
        self._switched = done
        for each in self._workers:
            if each.lives:
                each.owes += 1
                each.channel.send(b'{"do": "map"}', [self._snapshot])
        self._told()

    def renew(self, credentials: Credentials) -> None:
        """Hand out what TLS needs from now on. Raises `PassingError`, and keeps what was before."""
        try:
            shared = shared_credentials(credentials)
        except OSError as error:  # files or memory are used up
            raise PassingError.of("a file for workers", error) from None
        socket.close(self._credentials)
        self._credentials = shared
        for each in self._workers:
            if each.lives:
                each.channel.send(b'{"do": "renew"}', [self._credentials])

    def figures(self) -> Figures:
        """Return what all of them count, as they last said; and who they are."""
        workers: list[dict[str, Any]] = [
            {"pid": each.pid, "since": each.since, "restarts": each.restarts}
            | {"connections": each.figures.used.get("connections", 0)}
            for each in self._workers
        ]
        told = added([self._ended, *(each.figures for each in self._workers)])
        return replace(told, workers=workers)

    def stop(self, done: Callable[[], None], others: bool = False) -> None:
        """Have all answer what they were asked and end, and call `done`; see `Answering.stop`."""
        self._stopped = done
        if not others:  # nobody is to wait for us in vain
            for held in self._sockets:
                held.close()
        for each in self._workers:
            if each.ready:
                each.channel.send(json.dumps({"do": "stop", "others": others}).encode())
            else:
                each.kill()
        self._reactor.callLater(_STOP_TIME, self._kill)
        self._told()

    def _kill(self) -> None:
        for each in self._workers:
            each.kill()

    def _start(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-P", "-m", "phonebook.server.worker", str(number)]
            worker.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[number])
        worker.began = worker.heard = time.monotonic()
        worker.since = time.time()
        worker.ready, worker.owes = False, 0
        worker.channel = Channel(
            ours,
            self._reactor,
            lambda line: self._heard(worker, json.loads(line)),
            lambda: self._ends(worker),
        )
        first = {"do": "begin", "options": self._options, "sockets": len(self._sockets)}
        files = [each.fileno() for each in self._sockets]
        files += [self._snapshot, self._budgets, self._credentials]
        worker.channel.send(json.dumps(first).encode(), files)

    def _heard(self, worker: _Worker, told: dict[str, Any]) -> None:
        worker.heard = time.monotonic()
        match told["told"]:
            case "ready":
                worker.ready = True
            case "mapped":
                worker.owes -= 1
            case "figures":
                worker.figures = Figures(**told["figures"])
        self._told()

    def _told(self) -> None:
        """See whether what somebody waits for has come."""
        if self._ready and all(each.ready for each in self._workers):
            ready, self._ready = self._ready, None
            ready()
        if self._switched and not any(each.owes for each in self._workers):
            switched, self._switched = self._switched, None
            switched()
        if self._stopped and not any(each.lives for each in self._workers):
            stopped, self._stopped = self._stopped, None
            stopped()

    def _ends(self, worker: _Worker) -> None:
        """Its end of the channel is closed: it has ended, or is of no use any more."""
        worker.kill()
        if worker.process is None or worker.process.poll() is None:
            self._reactor.callLater(_REAP, self._ends, worker)
            return
        self._ended = added([self._ended, worker.figures.when_ended()])
        worker.figures = Figures()
        worker.ready, worker.owes = False, 0
        if self._stopped is None:
            lived = time.monotonic() - worker.began
            worker.short_lives = 0 if lived >= _STEADY else worker.short_lives + 1
            pause = 0.0
            if worker.short_lives > 1:
                pause = min(_PAUSE * 2 ** min(worker.short_lives - 2, 10), _LONGEST_PAUSE)
            log.warning(
                "worker %d ended (%s); another comes %s",
                worker.pid,
                _cause(worker.process.returncode),
                f"in {pause:g} s" if pause else "at once",
            )
            self._reactor.callLater(pause, self._restart, worker)
        self._told()

    def _restart(self, worker: _Worker) -> None:
        if self._stopped is None:
            worker.restarts += 1
            self._try(worker)

    def _try(self, worker: _Worker) -> None:
        if self._stopped is None:
            try:
                self._start(worker)
            except OSError as error:  # the system has no room for a process
                log.error("no worker can be started (%s): %s", error.strerror, cure(error))
                self._reactor.callLater(_LONGEST_PAUSE, self._try, worker)

    def _look(self) -> None:
        """Replace those that hang."""
        now = time.monotonic()
        for each in self._workers:
            if each.lives and now - each.heard > SILENCE:
                log.error("worker %d hangs: it is replaced", each.pid)
                each.heard = now
                each.kill()
        self._reactor.callLater(BEAT, self._look)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
