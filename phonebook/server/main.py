"""The wiring of a server: sockets, who answers on them, reload, signals, what watches it.

Implements nothing of the protocol. Where a reactor runs: here, and in each worker.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from twisted.internet.interfaces import IReactorCore, IReactorSocket

import phonebook
from phonebook.directory.text import unicode_tables
from phonebook.server import account, channel, reload
from phonebook.server.answering import Answering
from phonebook.server.control import Control, ControlError, Heir, control_file
from phonebook.server.credentials import Credentials, Files, Renewal
from phonebook.server.journal import Journal
from phonebook.server.limits import MAX_CONNECTIONS, room_for
from phonebook.server.metrics import Metrics
from phonebook.server.notify import Manager
from phonebook.server.reload import Reloader, read_served
from phonebook.server.report import Figures, budgets_of, limits_of
from phonebook.server.sharing import mapped_budgets, new_budgets, shared
from phonebook.server.sockets import BindError, bind, given
from phonebook.server.state import Served, State, Tls
from phonebook.server.steady import steady_reactor
from phonebook.server.viewers import Viewers
from phonebook.server.workers import Workers
from phonebook.service.snapshot import Terms
from phonebook.store import Fingerprint, fingerprint

log = logging.getLogger("phonebook.server")


_KEY_OCTETS = 16


def _all_in_force(settings: Mapping[str, str]) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator chose; times in seconds, None where the directory or the spec decides."""

    path: Path
    hosts: tuple[str, ...] = ()
    port: int = 767
    tcp: bool = True
    udp: bool = True
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """The trust anchors of clients' certificates."""
    connections: int = MAX_CONNECTIONS
    connections_per_network: int | None = None
    """A quarter of all where it is None."""
    entries_per_minute: int | None = None
    """For a network; 0: as many as are asked for."""
    idle_time: float | None = None
    request_time: float | None = None
    connection_time: float | None = None
    not_in_force: Callable[[Mapping[str, str]], list[str]] = _all_in_force
    """Which keys of the directory's settings say what does not hold before the next start."""
    budget_key: bytes = b""
    """Of the budgets that workers share."""
    cache: Path | None = None
    """Where compiled snapshots of large directories are kept."""
    links_out: bool = False
    """Whether links in the directory may lead out of it."""
    workers: int = 1
    """Processes that answer."""
    user: str = ""
    """Whose rights are kept, once the sockets are bound."""
    takeover: bool = False
    """Whether a running server's sockets are taken over."""
    metrics: tuple[str, int] | None = None
    """Where Prometheus is answered."""
    log_level: int = logging.INFO
    log_format: str = "text"
    log_requests: bool = False
    """Whether a line is logged for each reply, without what was asked."""
    log_addresses: str = "none"
    """What such a line says of who asked: `none`, `network` or `full`."""
    log_queries: int = 0
    """For how long after the start a line is logged for each reply, with what was asked."""
    log_queries_until: float = 0.0
    """The time of day when that is over."""


def serve(options: Options, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT and return which; `ready` is told the line that says so.

    Raises `DirectoryError`, `BindError`, `AccountError` and `TlsError` before anything is answered.
    """
    manager = Manager(os.environ)
    heir = _heir(options) if options.takeover else None
    bound = heir.sockets if heir else given(manager.sockets())
    if bound:
        bound, options = _narrowed(bound, options)
    else:
        bound = bind(list(options.hosts), options.port, tcp=options.tcp, udp=options.udp)
    metrics = heir.metrics if heir else []
    if options.metrics and not metrics:
        metrics = bind([options.metrics[0]], options.metrics[1], tcp=True, udp=False)
    unicode_tables()  # which another user may not be able to read
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
        options = replace(options, log_queries_until=time.time() + options.log_queries)
    budgets = new_budgets()
    state = state_of(options, served, tls, mapped_budgets(os.dup(budgets)))
    running = _Running(
        cast(Reactor, steady_reactor()),
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


class Reactor(IReactorCore, IReactorSocket, channel.Reactor, reload.Reactor):
    """What the server asks of a reactor."""


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
        self.addresses = list(dict.fromkeys(_address(each.getsockname()) for each in self.sockets))
        self.control: Control | None = None
        self.ended_by = 0  # a signal
        self.since = time.time()
        self.crew: Crew = (
            Answering(self.sockets, self.state, self.reactor)
            if count == 1
            else Workers(
                count,
                _share_of(options),
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
        if self.state.journal and self.state.journal.with_queries():
            until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._queries_until))
            log.warning("what is asked is logged until %s (--log-queries)", until)
            self._look_at_queries()
        self.crew.begin(self._ready)

    @property
    def _queries_until(self) -> float:
        return self.options.log_queries_until

    def _look_at_queries(self) -> None:
        """Tell when what is asked is logged no longer; the clock may have been set meanwhile."""
        left = self._queries_until - time.time()
        if left > 0:
            self.reactor.callLater(left, self._look_at_queries)
        else:
            log.warning("what is asked is logged no longer (--log-queries)")

    def _ready(self) -> None:
        self._listen()
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            log.warning("this runs as root: --user NAME gives that up once the port is bound")
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
            log.info("metrics: http://%s/metrics", _address(each.getsockname()))
        if self.options.cache is None:
            return
        file = control_file(self.options.path, self.options.cache)
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
    except ControlError as error:
        raise BindError(f"--takeover: {error}") from None


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
    """Return the line that says what is answered, where, over what."""
    count = state.served.public.count
    entries = "1 entry" if count == 1 else f"{count} entries"
    offered = " ".join(state.served.terms.transports)
    return f"phonebook: ready: {entries} from {options.path} on {' '.join(addresses)} ({offered})"


def _address(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def terms_of(settings: Mapping[str, str], options: Options) -> Terms:
    """Return what is offered under the settings of a directory."""
    transports = [name for name, on in (("tcp", options.tcp), ("udp", options.udp)) if on]
    if options.tls_cert is not None and options.tcp:
        transports.append("tls")
    for key in options.not_in_force(settings):
        log.warning("`%s` of `server:` is not in force: it is read at a start, above entries", key)

    def seconds(chosen: float | None, key: str, default: float) -> float:
        return float(settings.get(key, default)) if chosen is None else chosen

    default = Terms()
    return Terms(
        tuple(transports),
        seconds(options.idle_time, "idle-timeout", default.idle_time),
        seconds(options.request_time, "request-timeout", default.request_time),
        seconds(options.connection_time, "session-timeout", default.connection_time),
        int(seconds(options.entries_per_minute, "entries-per-minute", default.entries_per_minute)),
    )


def state_of(
    options: Options,
    served: Served,
    tls: Callable[[bool], Tls] | None,
    budgets: memoryview,
) -> State:
    """Return the state of a process that answers; all share the memory of the budgets."""
    wanted = options.log_requests or options.log_queries_until
    journal = Journal(options.log_requests, options.log_addresses, options.log_queries_until)
    return State(
        served,
        tls,
        connections=options.connections,
        connections_per_network=options.connections_per_network,
        key=options.budget_key or os.urandom(_KEY_OCTETS),
        budgets=budgets,
        journal=journal if wanted else None,
    )


def _share_of(options: Options) -> Options:
    """Return what one of several workers is told: of the connections, its share."""
    few = options.connections_per_network
    return replace(
        options,
        connections=-(-options.connections // options.workers),
        connections_per_network=few and -(-few // options.workers),
        not_in_force=_all_in_force,
        budget_key=os.urandom(_KEY_OCTETS),
    )


def credentials_of(options: Options) -> Credentials | None:
    """Return what TLS needs, if it is set up. Raises `TlsError`."""
    if options.tls_cert is None:
        return None
    return Files(
        options.tls_cert, options.tls_key or options.tls_cert, options.tls_client_ca
    ).read()


def tls_of(credentials: Credentials | None) -> Callable[[bool], Tls] | None:
    """Return what speaks TLS with a connection, if it is set up. Raises `TlsError`.

    It is told whether to ask for a certificate.
    """
    if credentials is None:
        return None
    from phonebook.server.tls import speaker

    return speaker(credentials)
