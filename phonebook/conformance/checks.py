"""What a situation's notes must show of a client, beside how it ended and what it printed."""

import math
from collections.abc import Callable, Iterable, Iterator

from phonebook.conformance.stage import Notes

MOST_TAKEN = 8_388_608  # octets of an endless reply that a client may take: what buffers hold
MOST_SERVERS = 8
ON_ITS_WAY = 0.3  # seconds for a request that had left before the refusal came

Check = Callable[[Notes], Iterable[tuple[str, str]]]
"""Yields a requirement and how it was broken."""


def nothing(_: Notes) -> Iterator[tuple[str, str]]:
    """Check nothing."""
    yield from ()


def gives_up(notes: Notes) -> Iterator[tuple[str, str]]:
    """Check that a reply without end is not read on and on (C-8)."""
    if notes.taken > MOST_TAKEN:
        yield "C-8", f"The client took {notes.taken:,} octets of a reply without end"


def not_again(requirement: str) -> Check:
    """Check that a refusal with `retry` is heeded (C-4)."""

    def check(notes: Notes) -> Iterator[tuple[str, str]]:
        refused = min(notes.answered, default=math.inf)
        late = [each for each in notes.requests if each.seconds > refused + ON_ITS_WAY]
        if late:
            after = late[0].seconds - refused
            yield requirement, f"The client asked again {after:.1f} s after a refusal with retry=30"

    return check


def tries_tcp(notes: Notes) -> Iterator[tuple[str, str]]:
    """Check that TCP is tried where UDP is silent (K-6)."""
    if not notes.connections:
        yield "K-6", "The client did not try TCP before it gave up"


def silence(notes: Notes) -> Iterator[tuple[str, str]]:
    """Check how a server is asked that never answers (K-4, K-6)."""
    yield from tries_tcp(notes)
    times = [each.seconds for each in notes.requests if each.transport == "udp"]
    if len(times) > 1 and times[1] - times[0] < 0.75:
        yield "K-4", f"The client sent again after {times[1] - times[0]:.2f} s, before 1 s"


def unsent(requirement: str) -> Check:
    """Check that nothing was sent."""

    def check(notes: Notes) -> Iterator[tuple[str, str]]:
        if notes.requests:
            yield requirement, "The client sent what it must refuse"

    return check


def unsplit(requirement: str, query: str) -> Check:
    """Check that nothing was sent but the whole query, with spaces for its white space."""
    words = query.encode().split()

    def check(notes: Notes) -> Iterator[tuple[str, str]]:
        if any(each.line.split()[-len(words) :] != words for each in notes.requests):
            yield requirement, "The client sent what it must refuse"

    return check


def only_tls(requirement: str) -> Check:
    """Check that nothing was sent in plain text."""

    def check(notes: Notes) -> Iterator[tuple[str, str]]:
        plain = [each for each in notes.requests if each.transport in ("udp", "tcp")]
        if plain:
            how = plain[0].transport.upper()
            yield requirement, f"The client, set to TLS, asked {plain[0].host} over plain {how}"

    return check


def unasked(requirement: str, host: str, *, tls: bool = False) -> Check:
    """Check that a host was not asked, or not without TLS, and the trap not either."""

    def check(notes: Notes) -> Iterator[tuple[str, str]]:
        plain = [each for each in notes.requests if each.host == host]
        if tls:
            plain = [each for each in plain if each.transport in ("udp", "tcp")]
        if plain:
            how = " without TLS" if tls else ""
            yield requirement, f"The client asked {host}{how}, which it must not"
        if notes.trap:
            yield requirement, "The client asked at a port that it must not ask at"

    return check


def walk(notes: Notes) -> Iterator[tuple[str, str]]:
    """Check what holds in every referral (X-3)."""
    asked: dict[tuple[str, int, str], set[str]] = {}
    for each in notes.requests:
        if each.transport != "hello":
            asked.setdefault((each.host, each.port, each.transport), set()).add(each.tag)
    for (host, port, transport), tags in asked.items():
        if len(tags) > 1:
            yield "X-3", f"The client asked {host}:{port} over {transport} {len(tags)} times"
    if len({host for host, *_ in asked}) > MOST_SERVERS:
        yield "X-3", f"The client asked more than {MOST_SERVERS} servers for one question"
    lines = {each.untagged for each in notes.requests if each.transport != "hello"}
    if len(lines) > 1:
        yield "X-3", "The client did not repeat its request unchanged"
    hosts = list(dict.fromkeys(each.host for each in notes.requests))
    if hosts != sorted(hosts, key=lambda host: int(host.rpartition(".")[2])):
        yield "X-3", "The client did not ask in the order given"
