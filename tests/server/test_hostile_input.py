"""Streams that people and attackers send: requests of the cases, changed, joined, cut, slow, split
anywhere. No traceback, no hang, no lost answer, neither in the stream nor beside it, no growing
memory.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import WAIT, Server, read_all
from traffic import PIECES, Traffic, real

from phonebook.directory.load import load
from phonebook.service.answer import answer
from phonebook.service.snapshot import Snapshot, Terms, compile
from phonebook.share import share
from phonebook.wire import MAX_LINE, Code, LineReader, render
from phonebook.wire.codes import CLOSING

SEED = 767
BATCH = 16  # streams that a server gets at the same time
LONGEST = 30_000  # octets of a stream: some linger in the pipe when the server has closed
EACH_OCTET = [60, 300, 1_300]  # octets of streams divided at each: the last, a line too long
SLOW = 0.05  # seconds for all of a slow stream
GROWTH = 8_000_000  # octets that a server's memory may differ by

Serve = Callable[..., Server]

answered = lru_cache(10_000)(answer)  # most lines come again and again


@dataclass(frozen=True)
class Stream:
    """Octets, where they are divided, and how their sender behaves."""

    octets: bytes
    cuts: tuple[int, ...] = ()
    seconds: float = 0.0
    ends: str = "half-close"


def requests() -> list[bytes]:
    """Return requests to draw from: those of the cases as they are, and random ones, padded."""
    traffic = Traffic(load(share("examples/lab")).unwrap(), SEED)
    return [line + b"\r\n" for line in real()] + [traffic.valid() for _ in range(1_000)]


LINES = st.deferred(lambda: st.sampled_from(requests()))
OCTETS = st.sampled_from(PIECES) | st.binary(max_size=6)
PLACES = st.integers(0, LONGEST)
CHANGES = st.tuples(
    st.sampled_from(["insert", "replace", "delete", "repeat", "truncate"]),
    PLACES,
    st.integers(0, 40),
    OCTETS,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request, changed."""
    octets = bytearray(draw(LINES))
    for change, drawn, size, piece in draw(st.lists(CHANGES, min_size=1, max_size=3)):
        place = drawn % (len(octets) + 1)
        end = place + size
        match change:
            case "insert":
                octets[place:place] = piece
            case "replace":
                octets[place:end] = piece
            case "delete":
                del octets[place:end]
            case "repeat":
                octets[place:place] = octets[place:end] * len(piece)
            case "truncate":
                del octets[place:]
    return bytes(octets)


GOOD = st.lists(LINES, min_size=4, max_size=20)
BAD = st.lists(mutated() | LINES | st.binary(max_size=60), max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Requests in one pipe, good and bad; a bad one is often the last that is read."""
    octets = b"".join(draw(GOOD) + draw(BAD))
    octets = octets.lstrip(b"\x16")  # TLS has tests of its own
    octets = (octets * draw(st.sampled_from([1, 1, 1, 5])))[:LONGEST]
    cuts: list[int] = []
    match draw(st.sampled_from(["nowhere", "anywhere", "each octet"])):
        case "anywhere":
            cuts = [drawn % (len(octets) + 1) for drawn in draw(st.lists(PLACES, max_size=12))]
        case "each octet":
            octets = octets[: draw(st.sampled_from(EACH_OCTET))]
            cuts = list(range(len(octets)))
    return Stream(
        octets,
        tuple(sorted(cuts)),
        draw(st.sampled_from([0.0, 0.0, 0.0, SLOW])),
        draw(st.sampled_from([*["half-close"] * 8, "hang up", "reset"])),
    )


def send(connection: socket.socket, stream: Stream) -> None:
    """Send a stream in its pieces, each in a segment of its own if the system lets it."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bounds = [0, *stream.cuts, len(stream.octets)]
    for first, last in zip(bounds, bounds[1:], strict=False):
        connection.sendall(stream.octets[first:last])
        if stream.seconds:
            time.sleep(stream.seconds / len(bounds))


def play(server: Server, stream: Stream, snapshot: Snapshot) -> int:
    """Send a stream, compare every octet of what comes back, and count the replies."""
    with server.connect() as connection:
        send(connection, stream)
        if stream.ends == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif stream.ends == "half-close":
            connection.shutdown(socket.SHUT_WR)
            got = read_all(connection)
            assert got == right(stream.octets, snapshot)
            return got.count(b"\r\n.\r\n")
    return 0


def right(octets: bytes, snapshot: Snapshot) -> bytes:
    """Return all that a stream must be answered with, once it is half-closed."""
    reader = LineReader()
    replies = []
    for line in reader.feed(octets):
        reply, closes = answered(line, snapshot)
        replies.append(reply)
        if closes:
            return b"".join(replies)
    if reader.too_long:
        replies.append(render(Code.LINE_TOO_LONG))
    return b"".join(replies)


@contextmanager
def witness(server: Server, snapshot: Snapshot) -> Iterator[None]:
    """Ask good requests beside whatever else is sent: each gets its answer."""
    good = b"ENTRY #good fields=name ada-byron\r\n"
    expected = answer(good.rstrip(), snapshot)[0]
    stopped, answers = threading.Event(), list[bytes]()

    def ask() -> None:
        with server.connect() as connection:
            while not stopped.is_set() and set(answers) <= {expected}:
                connection.sendall(good)
                answers.append(connection.recv(65_536))
                stopped.wait(0.002)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(WAIT)
    assert set(answers) == {expected}
    assert len(answers) > 20


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    terms = Terms(("tcp", "udp"), 60.0, 20.0, 600.0)  # as examples/lab has them
    return Snapshot(compile(load(share("examples/lab")).unwrap()), terms)


@pytest.mark.parametrize(
    "count, seeded", [(500, True), pytest.param(10_000, False, marks=pytest.mark.full)]
)
def test_streams(serve: Serve, snapshot: Snapshot, count: int, seeded: bool) -> None:
    server = serve(share("examples/lab"))
    played, octets, replies = 0, 0, 0

    def send_batches(number: int, seeded: bool) -> None:
        @settings(
            max_examples=number,
            derandomize=seeded,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(streams(), min_size=BATCH, max_size=BATCH))
        def send_batch(batch: list[Stream]) -> None:
            nonlocal played, octets, replies
            replies += sum(pool.map(lambda each: play(server, each, snapshot), batch))
            octets += sum(len(each.octets) for each in batch)
            played += len(batch)

        send_batch()

    with ThreadPoolExecutor(BATCH) as pool:
        send_batches(3, seeded=True)  # warm
        before = server.memory()
        played = octets = replies = 0
        start = time.monotonic()
        with witness(server, snapshot):
            send_batches(-(-count // BATCH), seeded)
    growth = server.memory() - before
    print(
        f"{played} streams of {octets:,} octets, {replies} replies, "
        f"{time.monotonic() - start:.0f} s; memory: {growth:+,} octets"
    )
    assert played >= count
    assert growth < GROWTH, "memory is back where it was"
    assert server.stop() == 0
    assert server.said.endswith(f"{server.ready}\n"), "nothing was to be told"


def test_every_split(serve: Serve, snapshot: Snapshot) -> None:
    """One stream, divided at every octet (T-11)."""
    server = serve(share("examples/lab"))
    octets = b"ENTRY ada-byron\r\nLOOKUP #x limit=1 a\nHELP extra\r\nbad\r\nENTRY ada-byron\r\n"
    assert right(octets, snapshot).count(b"\r\n.\r\n") == 4
    assert Code.MALFORMED in CLOSING
    for place in range(1, len(octets)):
        play(server, Stream(octets, (place,)), snapshot)


@pytest.mark.parametrize("excess", [-1, 0, 1, 70_000])
def test_long_lines(serve: Serve, lab: Path, excess: int) -> None:
    server = serve(lab)
    line = b"LOOKUP ada".ljust(MAX_LINE - 2 + excess) + b"\r\n"
    reply = server.ask(b"ENTRY nobody\r\n" + line)
    assert reply.startswith(b"252 Nothing found\r\n.\r\n")
    assert reply.endswith(b"502 PHONEBOOK/1 Line too long\r\n.\r\n") == (excess > 0)
