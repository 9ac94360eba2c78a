"""The wiring of a server: sockets, door, reload, signals. The only place that runs a reactor."""

import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import (
    IListeningPort,
    IReactorCore,
    IReactorFDSet,
    IReactorSocket,
)

from phonebook.directory.entry import Directory
from phonebook.server import reload
from phonebook.server.factory import Door
from phonebook.server.reload import Fingerprint, Reloader, fingerprint, read_snapshot
from phonebook.server.sockets import bind
from phonebook.server.state import State
from phonebook.server.udp import DatagramPort
from phonebook.service.snapshot import Terms
from phonebook.wire import ALPN

if TYPE_CHECKING:
    from twisted.internet.ssl import CertificateOptions

log = logging.getLogger("phonebook.server")

STOP_TIME = 3.0  # seconds for what was asked, once the server is told to stop
_STOP_POLL = 0.02  # seconds
_LAST_LOOK = 0.05  # seconds in which what has arrived is still read


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
    idle_time: float | None = None


def serve(options: Options, ready: Callable[[str], None]) -> int:
    """Serve until SIGTERM or SIGINT and return which; `ready` is told the line that says so.

    Raises `DirectoryError`, `BindError` and `TlsError` before anything is answered.
    """
    tls = _tls(options)
    before = fingerprint(options.path)
    snapshot, loaded = read_snapshot(options.path, lambda each: _terms(each, options))
    for problem in loaded.problems:
        log.warning("%s", problem)
    bound = bind(list(options.hosts), options.port, tcp=options.tcp, udp=options.udp)

    from twisted.internet import reactor

    return _run(cast(Reactor, reactor), options, State(snapshot), before, bound, tls, ready)


class Reactor(IReactorCore, IReactorFDSet, IReactorSocket, reload.Reactor):
    """What the server asks of a reactor."""


def _run(
    reactor: Reactor,
    options: Options,
    state: State,
    before: Fingerprint,
    bound: list[socket.socket],
    tls: "CertificateOptions | None",
    ready: Callable[[str], None],
) -> int:
    addresses = list(dict.fromkeys(_address(each.getsockname()) for each in bound))
    door = Door(state, reactor, tls)
    streams: list[IListeningPort] = []
    datagrams: list[DatagramPort] = []
    ended: list[int] = []  # by which signal
    for each in bound:
        if each.type == socket.SOCK_STREAM:
            family = each.family
            streams.append(reactor.adoptStreamPort(each.fileno(), family, door))
            each.close()  # the reactor has its own duplicate
        else:
            datagrams.append(DatagramPort(each, state))
            reactor.addReader(datagrams[-1])
    reloader = Reloader(options.path, before, state, lambda each: _terms(each, options))

    def stop() -> None:
        for port in streams:
            port.stopListening()
        for each in datagrams:
            each.doRead()  # what was asked before
            reactor.removeReader(each)
        reactor.callLater(_LAST_LOOK, door.finish)
        reactor.callLater(_LAST_LOOK, wait, reactor.seconds() + STOP_TIME)

    def wait(deadline: float) -> None:
        if door.conversations and reactor.seconds() < deadline:
            reactor.callLater(_STOP_POLL, wait, deadline)
        else:
            reactor.stop()

    def announce() -> None:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: reactor.callFromThread(act, number))
        reloader.begin(reactor)
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
    count = len(state.snapshot.exact)
    entries = "1 entry" if count == 1 else f"{count} entries"
    offered = " ".join(state.snapshot.terms.transports)
    return f"phonebook: ready: {entries} from {options.path} on {' '.join(addresses)} ({offered})"


def _address(name: tuple[str, int]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _terms(directory: Directory, options: Options) -> Terms:
    settings = directory.settings
    transports = [name for name, on in (("tcp", options.tcp), ("udp", options.udp)) if on]
    if options.tls_cert is not None and options.tcp:
        transports.append("tls")
    default = Terms()
    idle = options.idle_time
    return Terms(
        tuple(transports),
        float(settings.get("idle-timeout", default.idle_time)) if idle is None else idle,
        float(settings.get("request-timeout", default.request_time)),
        float(settings.get("session-timeout", default.connection_time)),
    )


def _tls(options: Options) -> "CertificateOptions | None":
    if options.tls_cert is None:
        return None
    try:
        from OpenSSL import SSL, crypto
        from twisted.internet.ssl import CertificateOptions, TLSVersion
    except ImportError:
        raise TlsError("TLS needs the extra: pip install 'phonebook[tls]'") from None
    key_path = options.tls_key or options.tls_cert
    try:
        key_text = key_path.read_bytes()
        chain_text = options.tls_cert.read_bytes()
    except OSError as error:
        raise TlsError(f"{error.filename}: {error.strerror}") from None
    with contextlib.suppress(crypto.Error, SSL.Error, ValueError):
        from cryptography import x509

        first, *chain = [
            crypto.X509.from_cryptography(each)
            for each in x509.load_pem_x509_certificates(chain_text)
        ]
        offered = CertificateOptions(
            privateKey=crypto.load_privatekey(crypto.FILETYPE_PEM, key_text),
            certificate=first,
            extraCertChain=chain,
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=[ALPN],
        )
        offered.getContext()  # which finds a key of another certificate
        return offered
    raise TlsError(f"{options.tls_cert}, {key_path}: these are no PEM certificate and its key")
