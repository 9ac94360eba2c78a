"""What the parts of a running server share: the snapshot in force, and its own limit."""

from phonebook.service.snapshot import Snapshot

MAX_CONNECTIONS = 1_000
"""Connections at a time; a further one is closed at once, so that memory stays bounded."""


class State:
    """The one thing that a reload changes."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Begin with a snapshot."""
        self.snapshot = snapshot
