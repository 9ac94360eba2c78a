"""Random and mutated octets over both transports: no reply longer than its request, no reply that
is answered, no traceback, no lost answer beside it, no growing memory. Seeded; a failure names the
octets.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running import WAIT, Server, read_all

from phonebook.directory.load import load
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Snapshot, Terms
from phonebook.share import share
from phonebook.wire import MAX_LINE, Code, LineReader, parse_reply, render
from phonebook.wire.codes import CLOSING, MIN_DATAGRAM

Serve = Callable[..., Server]

SEED = 767
REAL = [
    b"LOOKUP ada",
    b"LOOKUP #t1 limit=3 fields=name,phone muller",
    b"LOOKUP after=ada-byron a",
    b'LOOKUP "van der" berg',
    b"LOOKUP name:grace room:2.14",
    b"LOOKUP fields=name +1 202 555 0143",
    "LOOKUP Bäbbage Ľubica".encode(),
    b"LOOKUP . #x limit=3",
    b"LOOKUP kind:person a",
    b"ENTRY #k3J9 fields=phone ada-byron",
    b"ENTRY charles-babbage",
    b"ENTRY nobody-of-this-name",
    b"HELP #0123456789abcdef",
    b"HELP",
]
PIECES = [
    *(b"#", b"#t", b"limit=", b"limit=32", b"after=", b"fields=", b"fields=name", b":", b'"', b"-"),
    *(b"LOOKUP ", b"ENTRY ", b"HELP", b"NOVERB #t ", b"250 matched=1\r\n.\r\n", b".", b"*", b"+1"),
    *(b"\x00", b"\x16", b"\r", b"\n", b"\r\n", b" ", b"\x7f", b"\xc2\x85", b"\xff", b"\xc0\x80"),
    *("é ß ﬁ İ \u202e \u2028 \ufeff 中 م ก \U0001f600 \u0301\u0301\u0301".encode().split(b" ")),
]


def valid(chance: random.Random) -> bytes:
    """Return a real request, padded or not."""
    line = chance.choice(REAL)
    return line.ljust(chance.choice([62, 200, 600, 1_198])) + chance.choice([b"\r\n", b"\n"])


def mutated(chance: random.Random) -> bytes:
    """Return a real request with some octets changed, cut, doubled or put in."""
    octets = bytearray(valid(chance))
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(octets) + 1)
        match chance.randrange(5):
            case 0:
                octets[place : place + 1] = chance.randbytes(1)
            case 1:
                del octets[place : place + chance.choice([1, 2, 500])]
            case 2:
                octets[place:place] = octets[place : place + chance.choice([1, 20, 1_000])]
            case _:
                octets[place:place] = chance.choice(PIECES)
    return bytes(octets[:2_000])


def noise(chance: random.Random) -> bytes:
    """Return octets without sense, some behind a verb."""
    if chance.random() < 0.5:
        return chance.randbytes(chance.randint(0, 1_400))
    words = chance.choices(PIECES, k=chance.randint(0, 40))
    return chance.choice(PIECES) + chance.choice([b"", b" "]).join(words) + b"\r\n"


def datagrams(count: int, seed: int) -> Iterator[tuple[bytes, bool]]:
    """Give datagrams, and whether each is a valid request: a third of them are."""
    chance = random.Random(seed)
    for number in range(count):
        yield (valid, mutated, noise)[number % 3](chance), number % 3 == 0


def line_of(datagram: bytes) -> bytes:
    return datagram.removesuffix(b"\n").removesuffix(b"\r")


def right_datagram(datagram: bytes, snapshot: Snapshot) -> bytes | None:
    """Return what a valid datagram must be answered with, found by way of the TCP answer."""
    if len(datagram) < MIN_DATAGRAM:
        return None
    whole, _ = answer(line_of(datagram), snapshot)
    if len(whole) <= len(datagram):
        return whole
    reply = parse_reply(whole)
    fits = 0
    if datagram.startswith(b"LOOKUP") and reply.code == Code.FOUND:
        verb, _, rest = line_of(datagram).replace(b" limit=3", b"").partition(b" ")
        tag = b""
        if rest.startswith(b"#"):
            tag, _, rest = rest.partition(b" ")
        for limit in range(1, len(reply.entries)):
            smaller = b" ".join(filter(None, [verb, tag, b"limit=%d" % limit, rest]))
            if len(answer(smaller, snapshot)[0]) > len(datagram):
                break
            fits = limit
    return render(Code.TOO_LONG, reply.tag, f"octets={len(whole)} fits={fits}")


def right_stream(octets: bytes, snapshot: Snapshot) -> bytes:
    """Return all that a stream must be answered with, once it is half-closed."""
    reader = LineReader()
    replies = []
    for line in reader.feed(octets):
        reply, closes = answer(line, snapshot)
        replies.append(reply)
        if closes:
            return b"".join(replies)
    if reader.too_long:
        replies.append(render(Code.LINE_TOO_LONG))
    return b"".join(replies)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    terms = Terms(("tcp", "udp"), 60.0, 20.0, 600.0)  # as examples/lab has them
    return Snapshot(load(share("examples/lab")).unwrap(), terms)


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_service(snapshot: Snapshot, count: int) -> None:
    """The volume, in one process: the very functions that both transports call."""
    worst, answered, expected = 0.0, 0, dict[bytes, bytes | None]()
    for datagram, is_valid in datagrams(count, SEED):
        reply = answer_datagram(datagram, snapshot)
        if is_valid:
            if datagram not in expected:
                expected[datagram] = right_datagram(datagram, snapshot)
            assert reply == expected[datagram], datagram
        if reply is None:
            continue
        answered += 1
        worst = max(worst, len(reply) / len(datagram))
        parse_reply(reply)
        assert answer_datagram(reply, snapshot) is None, datagram
        assert answer_datagram(reply.ljust(1_198) + b"\r\n", snapshot) is None, datagram
    print(f"{count} datagrams, {answered} answered, longest reply / request: {worst:.3f}")
    assert worst <= 1.00
    assert answered > count / 4


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_datagrams(serve: Serve, snapshot: Snapshot, count: int) -> None:
    server = serve(share("examples/lab"))
    good = b"HELP #good".ljust(1_198) + b"\r\n"
    expected_beside = answer(good.strip(), snapshot)[0]
    before = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", server.port))
        asker.settimeout(WAIT)
        for number, (datagram, _) in enumerate(datagrams(count, SEED + 1)):
            asker.send(datagram)
            asker.send(good)  # its reply tells that the one before is dealt with
            reply = asker.recv(4_096)
            expected = answer_datagram(datagram, snapshot)
            if expected is not None:
                assert reply == expected, datagram
                assert len(reply) <= len(datagram)
                asker.send(reply)  # nobody answers a reply
                reply = asker.recv(4_096)
            assert reply == expected_beside, datagram
            if number == min(1_000, count // 2):
                before = server.memory()
    assert server.memory() - before < 8_000_000
    assert server.stop() == 0
    assert server.said.count("\n") == 1, server.said


def streams(count: int, seed: int) -> Iterator[bytes]:
    """Give streams of up to twelve good, changed and senseless lines."""
    chance = random.Random(seed)
    for _ in range(count):
        made = b"".join(
            chance.choices((valid, mutated, noise), (6, 2, 1))[0](chance)
            for _ in range(chance.randint(1, 12))
        )
        yield made.lstrip(b"\x16")  # TLS has tests of its own


def send_stream(server: Server, octets: bytes, number: int, snapshot: Snapshot) -> None:
    """Send one stream in pieces, and compare every octet of what comes back."""
    chance = random.Random(number)
    longest = chance.choice([1, 7, 100, 1_500, 100_000])
    pause = chance.choice([0.0, 0.0, 0.002])  # seconds
    if longest == 1:
        octets = octets[:400]  # each octet alone
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        place = 0
        while place < len(octets):
            size = chance.randint(1, longest)
            connection.sendall(octets[place : place + size])
            place += size
            if pause and chance.random() < 0.2:
                time.sleep(pause)
        if chance.random() < 0.05:
            return  # a peer that hangs up
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == right_stream(octets, snapshot), octets


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.full)])
def test_streams(serve: Serve, snapshot: Snapshot, count: int) -> None:
    server = serve(share("examples/lab"))
    good = b"ENTRY #good fields=name ada-byron\r\n"
    expected = answer(good.rstrip(), snapshot)[0]
    stopped, lost, asked = threading.Event(), list[bytes](), 0

    def beside() -> None:
        nonlocal asked
        with server.connect() as connection:
            while not stopped.is_set():
                connection.sendall(good)
                got = connection.recv(65_536)
                asked += 1
                if got != expected:
                    lost.append(got)
                    return
                time.sleep(0.002)

    def play(seed: int, number: int) -> None:
        with ThreadPoolExecutor(16) as pool:
            jobs = [
                pool.submit(send_stream, server, octets, seed + index, snapshot)
                for index, octets in enumerate(streams(number, seed))
            ]
            for job in jobs:
                job.result()

    play(SEED - 1, 200)  # warm
    before = server.memory()
    witness = threading.Thread(target=beside)
    witness.start()
    try:
        play(SEED, count)
    finally:
        stopped.set()
        witness.join(WAIT)
    assert not lost
    assert asked > 20
    assert server.memory() - before < 8_000_000, "memory is back where it was"
    assert server.stop() == 0
    told = server.said.splitlines()[1:]
    assert all("TLS" in line for line in told), server.said


def test_every_split(serve: Serve, snapshot: Snapshot) -> None:
    """One stream, divided at every octet (T-11)."""
    server = serve(share("examples/lab"))
    octets = b"ENTRY ada-byron\r\nLOOKUP #x limit=1 a\nHELP extra\r\nbad\r\nENTRY ada-byron\r\n"
    expected = right_stream(octets, snapshot)
    assert expected.count(b"\r\n.\r\n") == 4
    assert Code.MALFORMED in CLOSING
    for place in range(1, len(octets)):
        with server.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(octets[:place])
            connection.sendall(octets[place:])
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == expected, place


@pytest.mark.parametrize("excess", [-1, 0, 1, 70_000])
def test_long_lines(serve: Serve, lab: Path, excess: int) -> None:
    server = serve(lab)
    line = b"LOOKUP ada".ljust(MAX_LINE - 2 + excess) + b"\r\n"
    reply = server.ask(b"ENTRY nobody\r\n" + line)
    assert reply.startswith(b"252 Nothing found\r\n.\r\n")
    assert reply.endswith(b"502 PHONEBOOK/1 Line too long\r\n.\r\n") == (excess > 0)
