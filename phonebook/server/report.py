"""What a running server tells of itself: figures, summed over its processes, and the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from phonebook.server.state import State

Counts = Mapping[str, Mapping[str, int]]
"""Replies, by transport and by code."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted where requests are answered."""

    connections: int
    requests: Counts
    workers: list[dict[str, Any]] = field(default_factory=list)
    """Each with its `pid`, `since`, `restarts`; none where one process does it all."""


def counts_of(state: State) -> Counts:
    """Return a state's counts, with codes as text."""
    return {
        transport: {code.decode(): count for code, count in sorted(codes.items())}
        for transport, codes in state.counts.items()
    }


def added(one: Counts, other: Counts) -> dict[str, dict[str, int]]:
    """Return the sums of two counts."""
    sums = {transport: dict(codes) for transport, codes in one.items()}
    for transport, codes in other.items():
        into = sums.setdefault(transport, {})
        for code, count in codes.items():
            into[code] = into.get(code, 0) + count
    return sums
