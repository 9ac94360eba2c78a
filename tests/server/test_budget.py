"""Budgets and limits by network: in code with a clock that is passed in, and over real sockets."""

import contextlib
import socket
import string
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import WAIT, Server, write
from servers import profile

from phonebook.directory.load import load
from phonebook.server.budget import Budget
from phonebook.server.limits import Seats
from phonebook.service.answer import answer, answer_datagram, cost
from phonebook.service.snapshot import Snapshot, Terms, compile
from phonebook.wire import ReplyReader, parse_reply, render
from phonebook.wire.codes import BUDGET_TIME, MAX_ENTRIES, MAX_RETRY, Code

Serve = Callable[..., Server]

KEY = b"a key of a test."
PACE = 0.1  # seconds: 600 entries a minute
BURST = round(BUDGET_TIME / PACE)
START = 1e6  # seconds: a clock has run before


# What a reply costs


def test_cost() -> None:
    """It is what the reply holds, told without reading it."""
    snapshot = Snapshot(compile(load(profile("core")).unwrap()), Terms())
    lines = [
        *(b"LOOKUP %b" % bytes([each]) for each in string.ascii_lowercase.encode()),
        *(b"LOOKUP limit=%d chorus" % each for each in range(1, 33)),
        *(b"LOOKUP fields=note limit=32 chorus", b"LOOKUP bayron", b"ENTRY links=room annex-two"),
    ]
    seen = set()
    for line in lines:
        octets, _ = answer(line, snapshot)
        reply = parse_reply(octets)
        seen.add(reply.code)
        if reply.code in (Code.FOUND, Code.NEAR):
            assert cost(line, octets) == len(reply.entries) > 0
        else:
            assert cost(line, octets) == 0
    assert seen >= {Code.FOUND, Code.NEAR}


@pytest.mark.parametrize(
    ("line", "reply", "entries"),
    [
        (b"LOOKUP after=z z", render(Code.FOUND, "", "matched=1 left=0 at=x"), 1),
        (b"LOOKUP z", render(Code.NOTHING), 0),
        (b"LOOKUP z", render(Code.REFERRAL, "", "", [b"id: a\r\n", b"id: b\r\n"]), 0),
        (b"LOOKUP a", render(Code.TOO_BROAD), 0),
        (b"LOOKUP a", render(Code.TOO_LONG, "", "octets=9999 fits=3"), 1),
        (b"ENTRY z", render(Code.NOTHING), 1),
        (b"ENTRY z", render(Code.REFERRAL, "", "", [b"id: a\r\n"]), 1),
        (b"ENTRY z", render(Code.TOO_LONG, "", "octets=9999 fits=0"), 1),
        (b"ENTRY links=room after=z z", render(Code.START_OVER), 1),
        (b"ENTRY -", render(Code.BAD_ARGUMENT), 0),
        (b"ENTRY x=y z", render(Code.UNKNOWN_OPTION), 0),
        (b"HELP", render(Code.HELP, "", "", [b"id: phonebook\r\n"]), 0),
    ],
)
def test_cost_of_others(line: bytes, reply: bytes, entries: int) -> None:
    assert cost(line, reply) == entries


def test_a_short_datagram_tells_nothing_for_less() -> None:
    """That something matches, told by 320, costs one: else small questions would find all."""
    snapshot = Snapshot(compile(load(profile("core")).unwrap()), Terms())
    for line in (b"ENTRY ada-byron", b"LOOKUP name:ada"):
        datagram = line.ljust(62) + b"\r\n"
        reply = answer_datagram(datagram, snapshot)
        assert reply is not None and reply.startswith(b"320 ")
        assert cost(datagram, reply) == 1


# Budgets by a clock that is passed in


def test_burst_and_pace() -> None:
    budget = Budget(KEY)
    account = budget.account("192.0.2.1")
    for _ in range(BURST // 10):
        assert budget.charge(account, 10, START, PACE)
    assert budget.charge(account, 32, START, PACE), "nothing too much was given so far"
    assert not budget.charge(account, 1, START, PACE)
    assert not budget.charge(account, 0, START, PACE), "a miss is refused as a hit is"
    assert budget.wait(account, START) == 4  # 3.2 seconds
    assert not budget.charge(account, 1, START + 3.1, PACE)
    assert budget.charge(account, 1, START + 4, PACE)
    for _ in range(9):
        budget.charge(account, 1, START + 4, PACE)
    assert not budget.charge(account, 1, START + 4, PACE)
    later = START + 4 + 2 * BUDGET_TIME  # full again, and no fuller
    for _ in range(BURST):
        assert budget.charge(account, 1, later, PACE)
    assert budget.charge(account, 1, later, PACE)
    assert not budget.charge(account, 1, later, PACE)


@given(
    st.lists(st.tuples(st.floats(0, 900), st.integers(0, MAX_ENTRIES)), max_size=300),
    st.sampled_from([0.1, 1.0, 60.0]),
)
def test_what_is_given_is_bounded(asked: list[tuple[float, int]], pace: float) -> None:
    """Whatever the times: the burst, what time brings, and one overdraft; and `wait` is true."""
    budget, now, given, start = Budget(KEY), START, 0, START
    account = budget.account("2001:db8::1")
    for pause, entries in asked:
        now += pause / 100
        if budget.charge(account, entries, now, pace):
            given += entries
        else:
            wait = budget.wait(account, now)
            assert 1 <= wait <= MAX_RETRY
            assert budget.charge(account, 0, now + wait, pace)
        assert given <= (BUDGET_TIME + now - start) / pace + MAX_ENTRIES


@pytest.mark.parametrize(
    ("one", "same", "apart"),
    [
        ("192.0.2.1", "192.0.2.254", "192.0.3.1"),
        ("192.0.2.1", "::ffff:192.0.2.9", "192.0.3.1"),
        ("2001:db8:0:1200::1", "2001:db8:0:12ff::1", "2001:db8:0:1300::1"),
    ],
)
def test_networks(one: str, same: str, apart: str) -> None:
    budget = Budget(KEY)
    while budget.charge(budget.account(one), 32, START, PACE):
        pass
    assert not budget.charge(budget.account(same), 1, START, PACE)
    assert budget.charge(budget.account(apart), 1, START, PACE)


@pytest.mark.parametrize(
    ("addresses", "beside", "apart", "times"),
    [
        ([f"192.0.{each}.1" for each in range(64)], "192.0.99.1", "198.51.100.1", 16),
        (
            [f"2001:db8:0:{each}00::" for each in range(64)],
            "2001:db8::9900:0:0:1",
            "2001:db9::",
            16,
        ),
        ([f"{each}.0.0.1" for each in range(1, 99)], "198.51.100.1", "2001:db8::", 64),
        ([f"20{each}:db8::" for each in range(10, 99)], "2009:db8::", "192.0.2.1", 64),
    ],
    ids=["v4", "v6", "all v4", "all v6"],
)
def test_wider_networks(addresses: list[str], beside: str, apart: str, times: int) -> None:
    """Each network has its budget, and all of them together that of so many."""
    budget, given = Budget(KEY), 0
    for address in addresses:
        while budget.charge(budget.account(address), 25, START, PACE):
            given += 25
    assert times * BURST < given <= times * (BURST + 25) + 25
    assert not budget.charge(budget.account(beside), 1, START, PACE)
    assert budget.charge(budget.account(apart), 1, START, PACE)


def test_networks_seldom_share_a_budget() -> None:
    """One that has had enough takes nothing from a thousand others."""
    for seed in range(20):
        budget = Budget(bytes([seed]))
        taken = budget.account("10.0.0.1")
        while budget.charge(taken, 32, START, PACE):
            pass
        for each in range(1, 1_001):
            account = budget.account(f"10.{each % 200 + 1}.{each // 200}.1")
            assert budget.charge(account, 0, START, PACE)


def test_memory_is_fixed() -> None:
    budget = Budget(KEY)
    before = len(budget._paid)
    for number in range(20_000):
        address = f"{number >> 8 & 255}.{number & 255}.{number % 7}.1"
        budget.charge(budget.account(address), 1, START, PACE)
    assert len(budget._paid) == before
    assert budget.account.cache_info().currsize <= 4_096


def test_nobody_knows_who_shares_a_budget() -> None:
    one, other = Budget(b"one"), Budget(b"other")
    addresses = [f"10.0.{each}.1" for each in range(256)]
    assert [one.account(each) for each in addresses] == [one.account(each) for each in addresses]
    same = sum(one.account(each)[0] == other.account(each)[0] for each in addresses)
    assert same < 5


# Over sockets


def crowd(folder: Path, rate: int | None, entries: int = 200) -> Path:
    """Write a directory of so many people, and such a budget."""
    settings = "" if rate is None else f"server: {{entries-per-minute: {rate}}}\n"
    letters = string.ascii_lowercase
    people = "".join(
        f"  - {{id: p-{each}, name: {letters[each % 26].upper()}{letters[each // 26]}a Person}}\n"
        for each in range(entries)
    )
    write(folder / "phonebook.yaml", f"{settings}entries:\n{people}")
    return folder / "phonebook.yaml"


def padded(line: bytes) -> bytes:
    return line.ljust(1_198) + b"\r\n"


def over_tcp(server: Server, lines: Iterable[bytes], source: str) -> Iterator[bytes]:
    """Yield the reply to each line, asked on one connection, one after another."""
    reader = ReplyReader()
    with server.connect(source=source) as connection:
        for line in lines:
            connection.sendall(line + b"\r\n")
            replies = reader.feed(connection.recv(65_536))
            while not replies:
                replies = reader.feed(connection.recv(65_536))
            yield replies[0].octets


def over_udp(server: Server, lines: Iterable[bytes], source: str) -> Iterator[bytes]:
    """Yield the reply to each datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(WAIT)
        asker.bind((source, 0))
        asker.connect(("127.0.0.1", server.port))
        for line in lines:
            asker.send(padded(line))
            yield asker.recv(65_536)


def test_over_tcp(serve: Serve, tmp_path: Path) -> None:
    """430 says when to ask again, and then it is answered."""
    server = serve(crowd(tmp_path, 600), budget=True)
    asked = [b"LOOKUP #t limit=32 person"] * (BURST // 32 + 1) + [b"LOOKUP #t limit=10 person"]
    *replies, last = over_tcp(server, asked, "127.0.5.1")
    assert all(each.startswith(b"250 #t ") for each in replies[:-1])
    refused = parse_reply(last)
    assert (refused.code, refused.tag, refused.entries) == (430, "t", ())
    retry = int(refused.parameters["retry"])
    assert 1 <= retry <= 5
    (other,) = over_tcp(server, [b"LOOKUP person"], "127.0.6.1")
    assert other.startswith(b"250 "), "another network is answered"
    (same,) = over_tcp(server, [b"LOOKUP person"], "127.0.5.200")
    assert same.startswith(b"430 "), "the same one is not, from another address either"
    deadline = time.monotonic() + retry
    server.until(lambda: time.monotonic() > deadline)
    (again,) = over_tcp(server, [b"LOOKUP person"], "127.0.5.1")
    assert again.startswith(b"250 ")


def test_workers_share_a_budget(serve: Serve, tmp_path: Path) -> None:
    """A network has it once, whichever worker it is that answers each connection."""
    server = serve(crowd(tmp_path, 6), "--workers", "2", budget=True)  # sixty at once
    given = 0
    for _ in range(40):
        (reply,) = over_tcp(server, [b"LOOKUP limit=10 person"], "127.0.5.1")
        given += len(parse_reply(reply).entries)
    assert 60 < given <= 60 + 10 + 10  # two workers may charge it at the same instant


def test_over_udp(serve: Serve, tmp_path: Path) -> None:
    """321 and no entry, whatever is asked; TCP has a budget of its own."""
    server = serve(crowd(tmp_path, 1), budget=True)  # ten at once
    asked = [b"LOOKUP limit=11 person", b"LOOKUP #t person", b"ENTRY p-1", b"ENTRY p-none"]
    asked += [b"LOOKUP nobody", b"HELP", b"LOOKUP limit=0 person"]
    replies = [*over_udp(server, asked, "127.0.5.1")]
    assert replies[0].startswith(b"250 ")
    assert [each[:3] for each in replies[1:]] == [b"321"] * 4 + [b"210", b"504"]
    assert parse_reply(replies[1]).tag == "t"
    tcp = [*over_tcp(server, asked[:2], "127.0.5.1")]
    assert [each[:3] for each in tcp] == [b"250", b"430"]
    (other,) = over_udp(server, [b"LOOKUP person"], "127.0.6.1")
    assert other.startswith(b"250 ")


def test_forged_sources(serve: Serve, tmp_path: Path) -> None:
    """A flood of datagrams from everywhere ends in 321 for all, and silences nobody over TCP."""
    server = serve(crowd(tmp_path, 1), budget=True)
    for number in range(70):
        source = f"127.{number}.1.1"
        replies = [*over_udp(server, [b"LOOKUP limit=11 person"] * 2, source)]
        assert replies[-1].startswith(b"321 ")
    (spent,) = over_udp(server, [b"LOOKUP person"], "127.99.1.1")
    assert spent.startswith(b"321 "), "they had together what all may have"
    for source in ("127.0.1.1", "127.5.1.1", "127.99.1.1"):
        (reply,) = over_tcp(server, [b"LOOKUP limit=3 person"], source)
        assert reply.startswith(b"250 ")


def test_a_walk_over_the_alphabet(serve: Serve, tmp_path: Path) -> None:
    """It gets what a budget holds and no more, from as many addresses of a network as it likes."""
    entries, rate = 600, 6  # sixty at once
    server = serve(crowd(tmp_path, rate, entries), budget=True)
    walk = [b"LOOKUP limit=32 " + bytes([each]) for each in string.ascii_lowercase.encode()]
    got: dict[str, set[str]] = {"tcp": set(), "udp": set()}
    began = time.monotonic()
    for number in range(1, 6):
        source = f"127.0.5.{number}"
        for name, asks in (("tcp", over_tcp), ("udp", over_udp)):
            for octets in asks(server, walk, source):
                got[name] |= {entry[0][1] for entry in parse_reply(octets).entries}
    most = 10 * rate + MAX_ENTRIES + (time.monotonic() - began) * rate / 60
    for name, found in got.items():
        assert 0 < len(found) <= most, name
    print({name: len(found) for name, found in got.items()}, "of", entries)


def test_settings(serve: Serve, tmp_path: Path) -> None:
    """The directory sets it, a reload changes it, the command line goes before."""
    lines = [b"LOOKUP limit=32 person"] * 3
    file = crowd(tmp_path, 1)
    server = serve(file, budget=True)
    assert [each[:3] for each in over_tcp(server, lines, "127.0.5.1")] == [b"250", b"430", b"430"]
    crowd(tmp_path, 0)
    server.until(lambda: "reloaded" in server.said)
    assert [each[:3] for each in over_tcp(server, lines, "127.0.5.1")] == [b"250"] * 3
    crowd(tmp_path, 1)
    server = serve(file, "--entries-per-minute", "600", budget=True)
    assert [each[:3] for each in over_tcp(server, lines, "127.0.5.1")] == [b"250"] * 3
    crowd(tmp_path, None)
    server = serve(file, budget=True)
    lines *= BURST // 32 // 3 + 2
    assert [*over_tcp(server, lines, "127.0.5.1")][-1].startswith(b"430 "), "600 if nothing is said"


# Limits


def test_seats() -> None:
    seats = Seats(8)
    for _ in range(2):
        assert not seats.full(b"a")
        seats.take(b"a")
    assert seats.full(b"a") and seats.crowded(b"a")
    for network in (b"b", b"c", b"d"):
        for _ in range(2):
            seats.take(network)
    assert seats.full(b"e") and not seats.crowded(b"e")
    seats.leave(b"b")
    assert not seats.full(b"e") and seats.full(b"a")
    for network in (b"a", b"a", b"b", b"c", b"c", b"d", b"d"):
        seats.leave(network)
    assert seats.count == len(seats._taken) == 0, "what is over leaves nothing behind"


def test_connections_of_a_network(serve: Serve, tmp_path: Path) -> None:
    """One network has a quarter of them; what is over the limit is closed without a reply."""
    server = serve(crowd(tmp_path, 0), "--connections", "12")
    with contextlib.ExitStack() as stack:

        def connect(source: str) -> socket.socket:
            made = stack.enter_context(server.connect(source=source))
            made.sendall(b"ENTRY nobody\r\n")
            return made

        def is_served(connection: socket.socket) -> bool:
            with contextlib.suppress(ConnectionError):
                return connection.recv(100).startswith(b"252 ")
            return False

        ours = [connect("127.0.5.1") for _ in range(3)]
        assert all(map(is_served, ours))
        assert not is_served(connect("127.0.5.2"))
        others = [connect(f"127.0.{each}.1") for each in (6, 7, 8) for _ in range(3)]
        assert all(map(is_served, others))
        assert not is_served(connect("127.0.9.1")), "the house is full"
        ours[0].close()
        server.until(lambda: is_served(connect("127.0.9.1")))
    server.until(lambda: is_served(connect("127.0.5.1")))


def test_how_many_are_exhausted() -> None:
    """Each network counts once, and a wider one when those in it have had enough."""
    budget = Budget(b"key")
    assert budget.exhausted(0.0) == {"networks": 0, "wider": 0, "all": 0}
    for network in range(3):
        account = budget.account(f"192.0.{network}.1")
        while budget.charge(account, 32, 0.0, 0.5):
            pass
    assert budget.exhausted(0.0) == {"networks": 3, "wider": 0, "all": 0}
    for network in range(20):
        while budget.charge(budget.account(f"198.51.{network}.1"), 32, 0.0, 0.5):
            pass
    # the wider one is used up by 15 of them: the others had nothing
    assert budget.exhausted(0.0) == {"networks": 18, "wider": 1, "all": 0}
    assert budget.exhausted(60.0) == {"networks": 0, "wider": 0, "all": 0}, "the clock pays"
