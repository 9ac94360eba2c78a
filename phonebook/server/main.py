"""The wiring of a server: sockets, doors, reload, signals. The only place that runs a reactor."""

import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from twisted.internet.interfaces import IReactorCore, IReactorFDSet

from phonebook.server import reload
from phonebook.server.door import Door, watch
from phonebook.server.limits import MAX_CONNECTIONS
from phonebook.server.poller import poller
from phonebook.server.reload import Reloader, read_served, tell_views
from phonebook.server.sockets import bind
from phonebook.server.state import State, Tls
from phonebook.server.udp import DatagramPort, DatagramPortEverywhere
from phonebook.service.snapshot import Terms
from phonebook.store import Fingerprint, fingerprint

log = logging.getLogger("phonebook.server")

STOP_TIME = 3.0  # seconds for what was asked, once the server is told to stop
_STOP_POLL = 0.02  # seconds
_LAST_LOOK = 0.05  # seconds in which what has arrived is still read
_KEY_OCTETS = 16


class TlsError(Exception):
    """TLS cannot be offered."""


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
    not_in_force: Callable[[Mapping[str, str]], list[str]] = lambda settings: []
    """Which keys of the directory's settings say what does not hold before the next start."""
    cache: Path | None = None
    """Where compiled snapshots of large directories are kept."""


def serve(options: Options, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT and return which; `ready` is told the line that says so.

    Raises `DirectoryError`, `BindError` and `TlsError` before anything is answered.
    """
    tls = _tls(options)
    before = fingerprint(options.path)
    served = read_served(options.path, lambda each: _terms(each, options), options.cache)
    bound = bind(list(options.hosts), options.port, tcp=options.tcp, udp=options.udp)

    from twisted.internet import reactor

    state = State(
        served,
        tls,
        connections=options.connections,
        connections_per_network=options.connections_per_network,
        key=os.urandom(_KEY_OCTETS),
    )
    return _run(cast(Reactor, reactor), options, state, before, bound, ready)


class Reactor(IReactorCore, IReactorFDSet, reload.Reactor):
    """What the server asks of a reactor."""


def _run(
    reactor: Reactor,
    options: Options,
    state: State,
    before: Fingerprint,
    bound: list[socket.socket],
    ready: Callable[[str], None],
) -> int:
    addresses = list(dict.fromkeys(_address(each.getsockname()) for each in bound))
    doors: list[Door] = []
    ports: list[DatagramPort] = []
    waiting = poller(reactor)
    ended: list[int] = []  # by which signal
    for each in bound:
        if each.type == socket.SOCK_STREAM:
            doors.append(Door(each, state, waiting, reactor))
        else:
            everywhere = each.getsockname()[0] in ("0.0.0.0", "::")
            ports.append((DatagramPortEverywhere if everywhere else DatagramPort)(each, state))
            reactor.addReader(ports[-1])
    watch(state, reactor)
    reloader = Reloader(
        options.path, before, state, lambda each: _terms(each, options), options.cache
    )

    def stop() -> None:
        for each in doors:
            each.close()
        for port in ports:
            port.doRead()  # what was asked before
            reactor.removeReader(port)
        reactor.callLater(_LAST_LOOK, finish)

    def finish() -> None:
        for each in list(state.connections):
            each.finish()
        wait(reactor.seconds() + STOP_TIME)

    def wait(deadline: float) -> None:
        if state.connections and reactor.seconds() < deadline:
            reactor.callLater(_STOP_POLL, wait, deadline)
        else:
            reactor.stop()

    def announce() -> None:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: reactor.callFromThread(act, number))
        reloader.begin(reactor)
        viewers = state.served.viewers
        if viewers.views:
            tell_views(viewers)
        if viewers.by_certificate and (options.tls_cert is None or options.tls_client_ca is None):
            log.warning("no certificate is asked for: that takes --tls-cert and --tls-client-ca")
        ready(ready_line(options, state, addresses))

    def act(number: int) -> None:
        if number == signal.SIGHUP:
            reloader.reload()
        elif not ended:  # a second signal changes nothing
            ended.append(number)
            stop()

    reactor.callWhenRunning(announce)
    reactor.run()
    return ended[0]


def ready_line(options: Options, state: State, addresses: list[str]) -> str:
    """Return the line that says what is answered, where, over what."""
    count = state.served.public.count
    entries = "1 entry" if count == 1 else f"{count} entries"
    offered = " ".join(state.served.terms.transports)
    return f"phonebook: ready: {entries} from {options.path} on {' '.join(addresses)} ({offered})"


def _address(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _terms(settings: Mapping[str, str], options: Options) -> Terms:
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


def _tls(options: Options) -> Callable[[bool], Tls] | None:
    if options.tls_cert is None:
        return None
    from phonebook.server.tls import TlsServer, tls_context

    key, anchors = options.tls_key or options.tls_cert, options.tls_client_ca
    try:
        for each in (key, options.tls_cert, *([anchors] if anchors else [])):
            each.open("rb").close()  # for the system's own words, with the name
    except OSError as error:
        raise TlsError(f"{error.filename}: {error.strerror}") from None
    try:
        context = tls_context(options.tls_cert, key)
    except (OSError, ValueError):  # an ssl.SSLError is an OSError
        raise TlsError(
            f"{options.tls_cert}, {key}: these are no PEM certificate and its key"
        ) from None
    if anchors is None:
        return lambda _asks: TlsServer(context)
    try:
        asking = tls_context(options.tls_cert, key, anchors)
    except (OSError, ValueError):
        raise TlsError(f"{anchors}: these are no certificates in PEM") from None
    return lambda asks: TlsServer(asking if asks else context)
