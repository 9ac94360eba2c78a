"""What the parts of a running server share: what is served, who is connected, who had enough."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorTime

from phonebook.server.budget import BUDGET_OCTETS, Budget
from phonebook.server.journal import Journal
from phonebook.server.limits import MAX_CONNECTIONS, MAX_HANDSHAKES, Refused, Seats
from phonebook.server.viewers import PUBLIC, Certificate, Viewers
from phonebook.service.snapshot import Snapshot, Terms

if TYPE_CHECKING:
    from phonebook.server.tcp import Connection

_FEW = 4  # replies: more of them are counted together, at a third of the cost


class Tls(Protocol):
    """One end of a TLS connection, as `tls` has it: imported only where TLS is set up."""

    ready: bool
    ended: bool
    certificate: Certificate | None

    def open(self, octets: bytes) -> bytes:
        """Return the text in octets that came."""

    def seal(self, text: bytes, last: bool) -> bytes:
        """Return the octets to send for a text."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """What is in force since the last load: another takes its place all at once."""

    snapshots: Mapping[str, Snapshot]
    """By the view; the public one is always there."""
    viewers: Viewers = field(default_factory=Viewers)
    terms: Terms = field(default_factory=Terms)

    @property
    def public(self) -> Snapshot:
        """What everybody sees."""
        return self.snapshots[PUBLIC]

    @property
    def pace(self) -> float:
        """The seconds that an entry takes to be paid by a network's budget; 0 without one."""
        rate = self.terms.entries_per_minute
        return 60 / rate if rate else 0.0

    def seen(self, address: str, certificate: Certificate | None = None) -> Snapshot:
        """Return what is seen from an address, by who shows this certificate."""
        if not self.viewers.views:
            return self.snapshots[PUBLIC]
        return self.snapshots[self.view(address, certificate)]

    def view(self, address: str, certificate: Certificate | None = None) -> str:
        """Return the name of the view of who asks from an address, and shows this certificate."""
        if certificate is None:
            return self.viewers.of_address(address)
        return self.viewers.of_certificate(certificate, address)


class State:
    """What is the same for all connections; a reload changes what is served."""

    def __init__(
        self,
        served: Served,
        new_tls: Callable[[bool], Tls] | None = None,
        *,
        connections: int = MAX_CONNECTIONS,
        connections_per_network: int | None = None,
        key: bytes = b"",
        budgets: memoryview | None = None,
        journal: Journal | None = None,
    ) -> None:
        """Begin with what is served; `key` is the budgets' and nobody else's; see `Budget`.

        `new_tls` speaks TLS with a new connection, if it is offered, and asks it for a certificate
        if it is told to.
        """
        self.served, self.new_tls = served, new_tls
        self.connections: set[Connection] = set()
        self.seats = Seats(connections, connections_per_network)
        self.handshakes = Seats(MAX_HANDSHAKES)
        # apart, so that forged datagrams use up nothing that is given over TCP
        halves = (budgets[:BUDGET_OCTETS], budgets[BUDGET_OCTETS:]) if budgets else (None, None)
        self.over_tcp, self.over_udp = Budget(key, halves[0]), Budget(key, halves[1])
        self.refused = Refused()
        self.counts = {name: defaultdict[bytes, int](int) for name in ("tcp", "udp", "tls")}
        """Replies, by transport and by code."""
        self.told_no_tls = False
        """Whether a line has said that TLS was asked for in vain."""
        self.journal = journal

    def switch(self, served: Served, clock: IReactorTime) -> None:
        """Serve this from now on; what was served before gives its memory back little by little."""
        before, self.served = self.served, served
        steps = chain.from_iterable(each.let_go() for each in {*before.snapshots.values()})
        clock.callLater(0, _take, steps, clock)


def _take(steps: Iterator[None], clock: IReactorTime) -> None:
    """Take one of some steps, and the next when others had their turn."""
    for _ in steps:
        clock.callLater(0, _take, steps, clock)
        return


def tally(counts: defaultdict[bytes, int], replies: Sequence[bytes]) -> None:
    """Count some replies by their codes, which they begin with."""
    if len(replies) > _FEW:  # the least and the greatest share a code: so do all between them
        code = min(replies)[:3]
        if code == max(replies)[:3]:
            counts[code] += len(replies)
            return
    for reply in replies:
        counts[reply[:3]] += 1
