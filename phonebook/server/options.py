"""Options: what the operator chose, and what a process that answers is made of by that."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from phonebook.directory.load import settings_file
from phonebook.server.credentials import Credentials, Files
from phonebook.server.journal import Journal, Span
from phonebook.server.limits import MAX_CONNECTIONS
from phonebook.server.state import Served, State, Tls
from phonebook.service.snapshot import Terms

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
    confined: frozenset[Path] = frozenset()
    """The paths among these that may not lead out of the directory: its file names them."""
    connections: int = MAX_CONNECTIONS
    connections_per_network: int | None = None
    """A quarter of all where it is None."""
    entries_per_minute: int | None = None
    """For a network; 0: as many as are asked for."""
    idle_time: float | None = None
    request_time: float | None = None
    connection_time: float | None = None
    said_by: Mapping[str, str] = field(default_factory=dict)
    """What gave a setting, by its key, where it is no default: its flag, its variable, the file."""
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
    queries: Span | None = None
    """The same once it has begun."""


def terms_of(settings: Mapping[str, str], options: Options) -> Terms:
    """Return what is offered under the settings of a directory."""
    transports = [name for name, on in (("tcp", options.tcp), ("udp", options.udp)) if on]
    if options.tls_cert is not None and options.tcp:
        transports.append("tls")
    for key in options.not_in_force(settings):
        log.warning(
            "`%s` of `server:` is not in force: it holds from the next start on (restart the "
            "server), if it stands above the entries",
            key,
        )

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
    wanted = options.log_requests or options.queries
    journal = Journal(options.log_requests, options.log_addresses, options.queries)
    return State(
        served,
        tls,
        connections=options.connections,
        connections_per_network=options.connections_per_network,
        key=options.budget_key or os.urandom(_KEY_OCTETS),
        budgets=budgets,
        journal=journal if wanted else None,
    )


def share_of(options: Options) -> Options:
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
        options.tls_cert,
        options.tls_key or options.tls_cert,
        options.tls_client_ca,
        frozenset() if options.links_out else options.confined,
        settings_file(options.path).parent,
    ).read()


def tls_of(credentials: Credentials | None) -> Callable[[bool], Tls] | None:
    """Return what speaks TLS with a connection, if it is set up. Raises `TlsError`.

    It is told whether to ask for a certificate.
    """
    if credentials is None:
        return None
    from phonebook.server.tls import speaker

    return speaker(credentials)
