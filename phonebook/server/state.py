"""What the parts of a running server share: the snapshot in force and the connections."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from phonebook.service.snapshot import Snapshot

if TYPE_CHECKING:
    from phonebook.server.tcp import Connection

MAX_CONNECTIONS = 1_000
"""Connections at a time; a further one is closed at once, so that memory stays bounded."""


class Tls(Protocol):
    """One end of a TLS connection, as `tls` has it: imported only where TLS is set up."""

    ready: bool
    ended: bool

    def open(self, octets: bytes) -> bytes:
        """Return the text in octets that came."""

    def seal(self, text: bytes, last: bool) -> bytes:
        """Return the octets to send for a text."""


class State:
    """What is the same for all connections; a reload changes the snapshot."""

    def __init__(self, snapshot: Snapshot, new_tls: Callable[[], Tls] | None = None) -> None:
        """Begin with a snapshot, and what speaks TLS with a new connection, if it is offered."""
        self.snapshot, self.new_tls = snapshot, new_tls
        self.connections: set[Connection] = set()
