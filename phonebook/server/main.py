"""The wiring of a server: sockets, who answers on them, reload, signals, what watches it.

Implements nothing of the protocol. Where a reactor runs: here, and in each worker.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import phonebook
from phonebook.directory.load import load
from phonebook.directory.problems import counted
from phonebook.directory.text import unicode_tables
from phonebook.server import account
from phonebook.server.answering import Answering
from phonebook.server.control import (
    Control,
    ControlError,
    Heir,
    Nobody,
    control_file,
    is_taken,
)
from phonebook.server.credentials import Credentials, Renewal
from phonebook.server.journal import Span
from phonebook.server.limits import room_for
from phonebook.server.logs import KEPT
from phonebook.server.metrics import Metrics
from phonebook.server.notify import Manager
from phonebook.server.options import (
    Options,
    credentials_of,
    share_of,
    state_of,
    terms_of,
    tls_of,
)
from phonebook.server.reload import Reloader, read_served
from phonebook.server.report import Figures, budgets_of, limits_of
from phonebook.server.sharing import mapped_budgets, new_budgets, shared
from phonebook.server.sockets import BindError, bind, elsewhere, given, place
from phonebook.server.state import State
from phonebook.server.steady import Reactor, steady_reactor
from phonebook.server.viewers import Viewers
from phonebook.server.workers import Workers
from phonebook.store import Fingerprint, fingerprint

log = logging.getLogger("phonebook.server")


def serve(options: Options, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT and return which; `ready` is told the sentence that says so.

    Raises `DirectoryError`, `BindError`, `AccountError` and `TlsError` before anything is answered.
    """
    manager = Manager(os.environ)
    heir = _heir(options) if options.takeover else None
    bound = heir.sockets if heir else given(manager.sockets())
    if bound:
        bound, options = _narrowed(bound, options)
        _see_addresses(bound, heir.metrics if heir else [], options)
    else:
        bound = bind(
            list(options.hosts),
            options.port,
            tcp=options.tcp,
            udp=options.udp,
            by=options.said_by.get("host", "host"),
        )
    metrics = heir.metrics if heir else []
    if options.metrics and not metrics:
        metrics = _bind_metrics(*options.metrics, options.said_by.get("metrics", "metrics"))
    unicode_tables()  # which another user may not be able to read
    reactor = steady_reactor()  # nor its modules
    account.become(options.user)
    credentials = credentials_of(options)
    tls = tls_of(credentials)
    before = fingerprint(options.path, options.links_out)
    served = read_served(
        options.path,
        lambda each: terms_of(each, options),
        options.cache,
        outside=options.links_out,
    )
    options = replace(options, connections=room_for(options.connections, options.workers))
    if options.log_queries:
        options = replace(options, queries=Span.of(options.log_queries))
    budgets = new_budgets()
    state = state_of(options, served, tls, mapped_budgets(os.dup(budgets)))
    running = _Running(
        reactor,
        options,
        state,
        budgets,
        credentials,
        before,
        bound,
        metrics if options.metrics else [],
        manager,
        heir,
        ready,
    )
    return running.run()


class Crew(Protocol):
    """Who answers: this process (`Answering`), or its workers (`Workers`)."""

    def begin(self, ready: Callable[[], None]) -> None:
        """Begin, and call `ready` when all answer."""

    def switch(self, done: Callable[[], None]) -> None:
        """Put the state's new snapshot in force, and call `done` when all answer from it."""

    def renew(self, credentials: Credentials) -> None:
        """Speak TLS with these from now on, as the state does."""

    def figures(self) -> Figures:
        """Return what is counted."""

    def stop(self, done: Callable[[], None], others: bool = False) -> None:
        """Answer what was asked, and call `done`; `others` may answer on the same sockets."""


@dataclass
class _Running:
    """A server from its first answer to its last."""

    reactor: Reactor
    options: Options
    state: State
    budgets: int
    """The open file that the state's budgets are in."""
    credentials: Credentials | None
    before: Fingerprint
    """The directory, before the state's snapshot was read."""
    sockets: list[socket.socket]
    metrics: list[socket.socket]
    manager: Manager
    heir: Heir | None
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        """Begin to answer, if no worker does that."""
        options, count = self.options, self.options.workers
        self.addresses = _addresses(self.sockets)
        self.control: Control | None = None
        self.ended_by = 0  # a signal
        self.since = time.time()
        self.crew: Crew = (
            Answering(self.sockets, self.state, self.reactor)
            if count == 1
            else Workers(
                count,
                share_of(options),
                self.sockets,
                self._share,
                self.budgets,
                self.credentials,
                self.reactor,
            )
        )
        self.renewal = self.credentials and Renewal(self.credentials, self._renew)
        self.told = Viewers()
        self.reloader = Reloader(
            options.path,
            self.before,
            self.state,
            lambda each: terms_of(each, options),
            options.cache,
            self.manager.reloading,
            self._reloaded,
            options.links_out,
        )

    def run(self) -> int:
        """Serve, and return the signal that ended it."""
        self.reactor.callWhenRunning(self._begin)
        self.reactor.run()
        return self.ended_by

    def _share(self) -> int:
        options = self.options
        return shared(options.path, options.cache, self.state.served, options.links_out)

    def _begin(self) -> None:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda each, _: self.reactor.callFromThread(self._act, each))
        self.reloader.begin(self.reactor)
        if self.renewal:
            self.renewal.begin(self.reactor)
        if queries := self.options.queries:
            until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(queries.time_of_day))
            log.warning("what is asked is logged until %s (--log-queries)", until, extra=KEPT)
            self._look_at_queries(queries)
        self.crew.begin(self._ready)

    def _look_at_queries(self, queries: Span) -> None:
        """Tell when what is asked is logged no longer; the clock may have been set meanwhile."""
        if (left := queries.left()) > 0:
            self.reactor.callLater(left, self._look_at_queries, queries)
        else:
            log.warning("what is asked is logged no longer (--log-queries)", extra=KEPT)

    def _ready(self) -> None:
        self._listen()
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            log.warning(
                "this runs as root: --user NAME gives that up once the port is bound; NAME has to "
                "be able to read the directory, and the key of TLS"
            )
        self._tell_views()
        self.say(ready_line(self.options, self.state, self.addresses))
        self.manager.ready(self.reactor, in_place_of_another=self.heir is not None)
        if self.heir:
            self.heir.ready()

    def _tell_views(self) -> None:
        """Log who sees which view, where that has not been told."""
        viewers, options = self.state.served.viewers, self.options
        if viewers.views == self.told.views:
            return
        self.told = viewers
        for line in viewers.told():
            log.info("%s", line)
        log.info("everybody else sees what is public")
        if viewers.by_certificate and (options.tls_cert is None or options.tls_client_ca is None):
            log.warning("no certificate is asked for: that takes --tls-cert and --tls-client-ca")

    def _listen(self) -> None:
        """Open the control socket, without which everything else goes on, and the metrics."""
        for each in self.metrics:
            self.reactor.adoptStreamPort(
                each.fileno(), each.family, Metrics(self._report, self.reactor)
            )
            log.info("metrics: http://%s/metrics", place(*each.getsockname()[:2]))
        if self.options.cache is None:
            return
        file = control_file(self.options.path, self.options.cache)
        if self.heir is None and is_taken(file):
            own = "$RUNTIME_DIRECTORY" if "RUNTIME_DIRECTORY" in os.environ else "--cache PLACE"
            log.warning(
                "another server over this directory has the control socket %s: status and "
                "--takeover reach that one alone; a %s of its own lets them reach this one",
                file,
                own,
            )
            return
        try:
            self.control = Control(
                file, self.reactor, self._report, self.sockets, self.metrics, self._inherited
            )
        except OSError as error:
            log.warning("no control socket (status, takeover): %s: %s", file, error.strerror)

    def _act(self, number: int) -> None:
        if number == signal.SIGHUP:
            if self.renewal:
                self.renewal.renew()
            self.reloader.reload()
        else:
            self._stop(number)

    def _renew(self, credentials: Credentials) -> None:
        self.state.new_tls = tls_of(credentials)
        self.crew.renew(credentials)

    def _inherited(self, heir: int) -> None:
        if self.ended_by:
            return
        self.manager.inherited(heir)
        self._stop(signal.SIGTERM, others=True)

    def _stop(self, number: int, others: bool = False) -> None:
        if self.ended_by:  # a second signal changes nothing
            return
        self.ended_by = number
        self.reloader.stop()
        if not others:
            self.manager.stopping()
        if self.control:
            self.control.close()
        self.crew.stop(self.reactor.stop, others)

    def _reloaded(self, switched: bool) -> None:
        """Have all answer from what was reloaded; tell who started this that it is over."""
        if switched:
            self._tell_views()
            self.crew.switch(self.manager.reloaded)
        else:
            self.manager.reloaded()

    def _report(self) -> dict[str, Any]:
        """Return what `phonebook status` shows."""
        figures, served = self.crew.figures(), self.state.served
        return {
            "version": phonebook.__version__,
            "pid": os.getpid(),
            "since": self.since,
            "addresses": self.addresses,
            "transports": list(served.terms.transports),
            "directory": {
                "path": os.path.abspath(self.options.path),
                "views": {
                    view or "public": {"entries": each.count, "at": each.at}
                    for view, each in served.snapshots.items()
                },
                "found": served.public.compiled.tables.count,  # by everybody, not by id alone
                "loaded": self.reloader.loaded,
                "errors": self.reloader.errors,
            },
            "workers": figures.workers,
            "limits": limits_of(figures, self.state),
            "budgets": budgets_of(figures, self.state),
            "requests": figures.requests,
        }


def _heir(options: Options) -> Heir:
    if options.cache is None:
        raise BindError("--takeover needs a place for the control socket: --cache")
    try:
        return Heir(control_file(options.path, options.cache))
    except Nobody:
        if not os.path.exists(options.path):
            load(options.path).unwrap()  # it says so
        raise BindError(
            f"--takeover: no server of this user answers for {options.path} here: start one "
            "without it, or name the PLACE of the one that runs with --cache"
        ) from None
    except ControlError as error:
        raise BindError(f"--takeover: {error}") from None


def _see_addresses(
    bound: list[socket.socket], metrics: list[socket.socket], options: Options
) -> None:
    """Warn where sockets that were handed over are not where the operator wants to answer."""
    said_by, vain = options.said_by, list[str]()
    if elsewhere(bound, options.hosts, 0):
        vain.append(f"{said_by.get('host', 'host')} {' '.join(options.hosts)}")
    if "port" in said_by and elsewhere(bound, (), options.port):
        vain.append(f"{said_by['port']} {options.port}")
    if metrics and options.metrics and elsewhere(metrics, options.metrics[:1], options.metrics[1]):
        vain.append(f"{said_by.get('metrics', 'metrics')} {place(*options.metrics)}")
    if vain:
        log.warning(
            "without effect: %s; the sockets that were handed over are at %s: to answer "
            "elsewhere, %s",
            ", ".join(vain),
            " ".join(_addresses([*bound, *metrics])),
            "stop the old server, and start this one without --takeover"
            if options.takeover
            else "change the unit of the sockets",
        )


def _bind_metrics(host: str, port: int, by: str) -> list[socket.socket]:
    instead = f"--metrics {place(host, 9767)}"
    return bind([host], port, tcp=True, udp=False, by=by, instead=instead)


def _narrowed(bound: list[socket.socket], options: Options) -> tuple[list[socket.socket], Options]:
    """Return of sockets that were handed to us those that are wanted, and what that leaves."""
    wanted = {socket.SOCK_STREAM: options.tcp, socket.SOCK_DGRAM: options.udp}
    kept = [each for each in bound if wanted[socket.SocketKind(each.type)]]
    kinds = {each.type for each in kept}
    for each in bound:
        if each not in kept:
            each.close()
    if not kept:
        raise BindError("of the sockets that were handed over none is left: see --no-tcp, --no-udp")
    tcp, udp = socket.SOCK_STREAM in kinds, socket.SOCK_DGRAM in kinds
    return kept, replace(options, tcp=tcp, udp=udp)


def ready_line(options: Options, state: State, addresses: list[str]) -> str:
    """Return what is said once all answer: from what, where, over what."""
    entries = counted(state.served.public.count, "entry", "entries")
    offered = " ".join(state.served.terms.transports)
    return f"ready: {entries} from {options.path} on {' '.join(addresses)} ({offered})"


def _addresses(sockets: list[socket.socket]) -> list[str]:
    return list(dict.fromkeys(place(*each.getsockname()[:2]) for each in sockets))
