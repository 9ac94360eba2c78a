"""Limits: how many there may be of something, in all and of one network.

Implements "connections at a time" and "handshakes at a time" of spec/phonebook.md, section 12.
"""

from collections import Counter
from dataclasses import dataclass

MAX_CONNECTIONS = 1_000
MAX_HANDSHAKES = 100
"""Of TLS, under way at a time."""


class Seats:
    """Places to take, none of which a single network can have all of."""

    def __init__(self, in_all: int, for_one: int | None = None) -> None:
        """Have so many; for one network a quarter of them where nothing is said."""
        self._in_all = in_all
        self._for_one = max(1, in_all // 4) if for_one is None else for_one
        self._taken = Counter[bytes]()
        self.count = 0
        """How many are taken."""

    def full(self, network: bytes) -> bool:
        """Return whether there is none for this network."""
        return self.count >= self._in_all or self.crowded(network)

    def crowded(self, network: bytes) -> bool:
        """Return whether this network has all that one may have."""
        return self._taken[network] >= self._for_one

    def take(self, network: bytes) -> None:
        """Take one."""
        self.count += 1
        self._taken[network] += 1

    def leave(self, network: bytes) -> None:
        """Give one back."""
        self.count -= 1
        self._taken[network] -= 1
        if not self._taken[network]:
            del self._taken[network]


@dataclass(slots=True)
class Refused:
    """How often something was refused since the start."""

    connections: int = 0
    """There were as many as there may be."""
    connections_of_network: int = 0
    """One network had as many as it may have."""
    handshakes: int = 0
    over_tcp: int = 0
    """A budget was used up: 430."""
    over_udp: int = 0
    """A budget was used up: 321."""
