"""Limits: how many there may be of something, in all and of one network.

Implements "connections at a time" and "handshakes at a time" of spec/phonebook.md, section 12.
"""

import logging
from collections import Counter
from dataclasses import dataclass

log = logging.getLogger("phonebook.server")

MAX_CONNECTIONS = 1_000
MAX_HANDSHAKES = 100
"""Of TLS, under way at a time."""

_OTHER_FILES = 48  # beside connections: sockets, metrics, status, what a reload needs


def room_for(connections: int, workers: int = 1) -> int:
    """Return how many connections the limit on open files leaves room for, at most those wanted.

    The limit is raised as far as it may be and as they need; what is still missing is logged.
    """
    try:
        import resource
    except ImportError:  # there is no such limit here
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = -(-connections // workers) + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = max(1, soft - _OTHER_FILES) * workers
    if room < connections:
        log.warning(
            "%d open files are allowed, which is room for %d of %d --connections: raise that limit "
            "(ulimit -Hn, LimitNOFILE= of a unit)",
            *(soft, room, connections),
        )
    return min(room, connections)


class Seats:
    """Places to take, none of which a single network can have all of."""

    def __init__(self, in_all: int, for_one: int | None = None) -> None:
        """Have so many; for one network a quarter of them where nothing is said."""
        self.in_all = in_all
        self.for_one = max(1, in_all // 4) if for_one is None else for_one
        self._taken = Counter[bytes]()
        self.count = 0
        """How many are taken."""

    def full(self, network: bytes) -> bool:
        """Return whether there is none for this network."""
        return self.count >= self.in_all or self.crowded(network)

    def crowded(self, network: bytes) -> bool:
        """Return whether this network has all that one may have."""
        return self._taken[network] >= self.for_one

    def fullest(self, count: int) -> dict[bytes, int]:
        """Return so many of the networks that have taken most, with how many."""
        return dict(self._taken.most_common(count))

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
