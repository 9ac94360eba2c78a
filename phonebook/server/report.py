"""What a running server tells of itself: its counts and how full it is, over all its processes.

The limits are those of spec/phonebook.md, section 12, the budgets those of section 15.2.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from phonebook.server import logs
from phonebook.server.networks import written
from phonebook.server.state import State
from phonebook.server.tcp import MAX_HELD
from phonebook.wire.codes import HANDSHAKE_TIME, MAX_PENDING_REQUESTS

_NETWORKS = 16  # of each process, the fullest

Counts = Mapping[str, Mapping[str, int]]
"""Replies, by transport and by code."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted where requests are answered; its fields are what JSON holds."""

    requests: Counts = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    """By the names of `limits.Refused`."""
    used: Mapping[str, int] = field(default_factory=dict)
    """Now, of what is bounded in all: `connections`, `handshakes`, `log_lines` of this second."""
    most: Mapping[str, float] = field(default_factory=dict)
    """Now, of what is bounded for a connection, that of the one which has most of it."""
    networks: Mapping[str, int] = field(default_factory=dict)
    """Connections of the networks that have most."""
    workers: list[dict[str, Any]] = field(default_factory=list)
    """Each with its `pid`, `since`, `restarts`; none where one process does it all."""

    def when_ended(self) -> "Figures":
        """Return what is left of them when their process has ended."""
        return Figures(self.requests, self.refused)


def figures_of(state: State) -> Figures:
    """Return what one process counts."""
    requests = {
        transport: {code.decode(): count for code, count in sorted(codes.items())}
        for transport, codes in state.counts.items()
    }
    used = {
        "connections": state.seats.count,
        "handshakes": state.handshakes.count,
        "log_lines": logs.lines(),
    }
    now = time.monotonic()
    most = _highest(each.load(now) for each in state.connections)
    fullest = state.seats.fullest(_NETWORKS)
    networks = {written(network): count for network, count in fullest.items()}
    return Figures(requests, asdict(state.refused), used, most, networks)


def added(several: list[Figures]) -> Figures:
    """Return the figures of several processes together."""
    requests: dict[str, Mapping[str, int]] = {}
    for each in several:
        for transport, codes in each.requests.items():
            requests[transport] = _sums((requests.get(transport, {}), codes))
    return Figures(
        requests,
        _sums(each.refused for each in several),
        _sums(each.used for each in several),
        _highest(each.most for each in several),
        _sums(each.networks for each in several),
    )


def limits_of(figures: Figures, state: State) -> dict[str, dict[str, Any]]:
    """Return by name of each limit how much there is `now`, and how much there may be at `most`.

    The state's limits are those of the whole server, or where it says so of each process.
    """
    seats, terms, processes = state.seats, state.served.terms, max(1, len(figures.workers))
    fullest = max(figures.networks.items(), key=lambda each: each[1], default=("", 0))
    used, refused = figures.used.get, figures.refused.get

    def of_one(name: str, most: float) -> dict[str, Any]:
        return {"now": round(figures.most.get(name, 0), 1), "most": most}

    return {
        "connections": {
            "now": used("connections", 0),
            "most": seats.in_all,
            "refused": refused("connections", 0),
        },
        "connections_of_a_network": {
            "now": fullest[1],
            "most": seats.for_one,
            "refused": refused("connections_of_network", 0),
            "network": fullest[0],
        },
        "handshakes": {
            "now": used("handshakes", 0),
            "most": state.handshakes.in_all * processes,
            "refused": refused("handshakes", 0),
        },
        "requests_of_a_connection": of_one("requests", MAX_PENDING_REQUESTS),
        "octets_of_a_connection": of_one("octets", MAX_HELD),
        "handshake_seconds": of_one("handshake", HANDSHAKE_TIME),
        "request_seconds": of_one("line", terms.request_time),
        "idle_seconds": of_one("idle", terms.idle_time),
        "session_seconds": of_one("session", terms.connection_time),
        "log_lines_of_a_second": {
            "now": used("log_lines", 0),
            "most": logs.PER_SECOND * (len(figures.workers) + 1),
        },
    }


def budgets_of(figures: Figures, state: State) -> dict[str, dict[str, int]]:
    """Return by transport how many networks have had enough, and how often that was said."""
    now = time.monotonic()
    return {
        name: {**budget.exhausted(now), "refused": figures.refused.get(f"over_{name}", 0)}
        for name, budget in (("tcp", state.over_tcp), ("udp", state.over_udp))
    }


def _sums(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums = Counter[str]()
    for each in several:
        sums.update(each)
    return dict(sums)


def _highest(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    highest: dict[str, float] = {}
    for each in several:
        for name, value in each.items():
            if value > highest.get(name, 0):
                highest[name] = value
    return highest
