"""A server under what years bring: crowds, slow clients, killed workers, reloads without end.

Each test has a size for every day and one that takes long; `-s` shows the figures.
"""

import os
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crowd import Crowd
from editions import Editions
from figures import Held, held, room_for_files, sockets
from load import PERSISTENT, UDP, Generator, Subject, rotate, write_requests
from loads import Datagrams, Load, OneShot, Person, PersonOverTcp, Staying, on_the_way
from processes import NotHereError
from processes import Server as Process
from running import Server
from tap import FOLDER

from phonebook.server.control import Asking, control_file

Serve = Callable[..., Server]

MINUTES = float(os.environ.get("PHONEBOOK_LOAD_MINUTES", "10"))
SOAK_MINUTES = float(os.environ.get("PHONEBOOK_SOAK_MINUTES", "30"))

REQUEST = b"ENTRY fields=phone ada-byron\r\n"
BETWEEN_RELOADS = 10.0  # seconds
SLACK = 1_024  # KiB that memory may differ by
SLOWEST = 3.0  # seconds for an answer, on a busy machine
LATE = 2.0  # seconds between a kill and when what it lost was sent


@pytest.fixture
def serve(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Return what starts a server that records nothing: there is too much, and it is measured."""

    def start(*arguments: Any) -> Server:
        with monkeypatch.context() as patch:
            patch.delenv(FOLDER)
            return serve(*arguments)

    return start


def full(*values: object) -> Any:
    """Return a size that takes long."""
    return pytest.param(*values, marks=pytest.mark.full)


def crowded(serve: Serve, lab: Path, count: int, *flags: str) -> Server:
    """Return a server with room for a crowd and some clients beside."""
    needed = count + 200
    if (files := room_for_files()) < needed:
        pytest.skip(f"{count} connections need {needed} open files, and {files} are allowed")
    return serve(lab, "--connections", str(2 * count), "--idle-timeout", "3600", *flags)


def quick(server: Server, loads: Sequence[Load]) -> None:
    """Have these answered for a while; they end with no answer lost or late."""
    for each in loads:
        each.start()
    on_the_way(server, loads)
    for each in loads:
        each.end()
        assert not each.lost


# Crowds


def settled(server: Server, files: int) -> Held:
    """Return what a server holds once it has let in, or closed, until so many files are open."""
    server.until(lambda: held(server.pid).files == files)
    return held(server.pid)


@pytest.mark.parametrize("count", [300, full(10_000)])
def test_idle_connections_cost_little_memory(serve: Serve, lab: Path, count: int) -> None:
    server = crowded(serve, lab, count)
    files = held(server.pid).files
    quick(server, [Datagrams(server), Staying(server), OneShot(server)])
    alone = settled(server, files)
    with Crowd(server.port, count, "idle") as crowd:
        each = (settled(server, files + count).rss - alone.rss) * 1_024 / count
        print(f"\n{count} idle connections: {each:.0f} octets of memory for each")
        quick(server, [Datagrams(server), Staying(server), OneShot(server)])
    assert crowd.told["closed"] == 0
    settled(server, files)
    assert each < 8_192


@pytest.mark.full
def test_idle_connections_cost_no_time(serve: Serve, lab: Path, tmp_path: Path) -> None:
    count, seconds, rounds = 10_000, 2.0, 3
    server = crowded(serve, lab, count)
    try:
        generator = Generator(tmp_path)
    except NotHereError as error:
        pytest.skip(str(error))
    requests = write_requests(tmp_path / "requests", [REQUEST])
    process = Process(server.pid, server.port)
    arrivals = {"TCP": PERSISTENT, "UDP": UDP}
    subjects = [Subject(name, process, each, requests) for name, each in arrivals.items()]
    alone = held(server.pid).files
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):  # in turn, so that what the machine does besides hits both
        for beside in (0, count):
            with Crowd(server.port, beside, "idle"):
                settled(server, alone + beside)
                for name, results in rotate(generator, subjects, 1, seconds).items():
                    rates.setdefault((name, beside), []).append(results[0].per_cpu_second)
            settled(server, alone)
    for (name, beside), found in rates.items():
        told = ", ".join(f"{each:.0f}" for each in found)
        print(f"\n{name}, {beside:6} idle: {told} requests per CPU second", end="")
    for name in arrivals:
        assert max(rates[name, count]) > 0.6 * max(rates[name, 0])


@pytest.mark.parametrize(
    ("count", "limit", "seconds"), [(200, 1, 2.5), full(5_000, 10, 60.0)], ids=str
)
def test_slow_ones_keep_nobody_waiting(
    serve: Serve, lab: Path, count: int, limit: int, seconds: float
) -> None:
    server = crowded(serve, lab, count, "--request-timeout", str(limit))
    loads: list[Load] = [Datagrams(server), Staying(server), OneShot(server)]
    for each in loads:
        each.pause = 0.01
    with Crowd(server.port, count, "slow") as crowd:
        for each in loads:
            each.start()
        time.sleep(seconds)  # how long the crowd is there
        for each in loads:
            each.end()
            print(
                f"{type(each).__name__}: {each.answered} answered, {each.late} late, "
                f"slowest {each.slowest:.3f} s"
            )
            assert not each.lost
            assert each.late <= each.answered / 20
            assert each.slowest < SLOWEST
    closed, lived = crowd.told["closed"], crowd.told["lived"]
    ended = sorted(lived[:closed])
    print(
        f"{closed} slow ones closed after {ended[0]:.2f} s, half of them within "
        f"{ended[closed // 2]:.2f}, all within {ended[-1]:.2f}"
    )
    assert crowd.told["answered"] == 0
    assert closed >= count
    assert ended[0] >= limit - 0.01
    assert ended[closed // 2] < limit + 1
    assert max(lived) < 2 * limit + SLOWEST


# Workers that are killed, and a directory that changes


def workers_of(folder: Path, place: Path) -> list[dict[str, Any]]:
    """Return what the status says of each worker."""
    told: list[dict[str, Any]] = Asking(control_file(folder, place)).ask("status")[0]["workers"]
    return told


@pytest.mark.parametrize(
    ("seconds", "between_kills", "between_changes", "pause"),
    [(2.5, 1.2, 1.0, 0.02), full(60 * MINUTES, 5.0, 2.0, 0.0)],
    ids=["short", "full"],
)
def test_kills_and_reloads_lose_nothing(
    serve: Serve,
    tmp_path: Path,
    seconds: float,
    between_kills: float,
    between_changes: float,
    pause: float,
) -> None:
    folder, place = tmp_path / "lab", tmp_path / "cache"
    editions = Editions(folder)
    server = serve(folder, "--workers", "2", "--cache", str(place))
    kinds = [Datagrams, Datagrams, OneShot, Staying, Staying]
    loads: list[Load] = [kind(server, editions, pause) for kind in kinds]
    loads += [Person(server, editions, 0.05), PersonOverTcp(server, editions, 0.05)]
    for each in loads:
        each.start()
    on_the_way(server, loads, 10)

    def workers() -> list[int]:
        return [each["pid"] for each in workers_of(folder, place)]

    workers()  # the first question, and the first reload, take what all later ones need
    editions.change(server)
    server.until(lambda: editions.oldest() == editions.newest)
    before, kills = held(server.pid), list[float]()
    bound = sockets(server.pid)  # which workers have as soon as they begin
    next_kill = next_change = now = time.monotonic()
    end = now + seconds
    while now < end or len(kills) < 2:
        if now >= next_kill and all(each & bound for each in map(sockets, workers())):
            next_kill = now + between_kills
            kills.append(time.monotonic())
            os.kill(workers()[len(kills) % 2], signal.SIGKILL)
        if now >= next_change:
            next_change += between_changes
            editions.change(server)
        time.sleep(0.05)
        now = time.monotonic()
    server.until(lambda: editions.oldest() == editions.newest)
    on_the_way(server, loads, 10)  # from the last one
    for each in loads:
        print(
            f"{type(each).__name__:14} {each.answered:8} answered, {each.again:3} sent again, "
            f"slowest {each.slowest:.3f} s, {each.wrong[:2]}"
        )
    print(f"{len(kills)} kills, {editions.count} editions")
    after = held(server.pid)
    print(f"supervisor: {before}")
    print(f"then        {after}")
    assert after.dirty <= before.dirty * 1.05 + SLACK
    for each in loads:
        each.end()
        for sent in each.lost:
            assert any(abs(sent - kill) < LATE for kill in kills), "no worker died then"
        assert each.again <= len(kills)


# A soak


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.full
def test_a_soak_leaves_everything_flat(serve: Serve, tmp_path: Path, large: bool) -> None:
    """Two workers under half of what they bear, with reloads; a large directory is mapped."""
    folder, place = tmp_path / "lab", tmp_path / "cache"
    editions = Editions(folder, large)
    server = serve(folder, "--workers", "2", "--cache", str(place))
    generator = Generator(tmp_path)
    requests = write_requests(tmp_path / "requests", [b"LOOKUP team\r\n"])
    process = Process(server.pid, server.port)
    most = generator(Subject("full", process, PERSISTENT, requests), 3.0).per_second
    half = replace(PERSISTENT, rate=most / 2)
    loads = [
        *(kind(server, editions, 0.01) for kind in (Datagrams, OneShot, Staying)),
        *(kind(server, editions, 0.1) for kind in (Person, PersonOverTcp)),
    ]
    seen: dict[str, list[Held]] = {}

    def meanwhile() -> None:
        pids = {"supervisor": server.pid}
        pids |= {f"worker {each['pid']}": each["pid"] for each in workers_of(folder, place)}
        for each in loads:
            each.start()
        end = time.monotonic() + 60 * SOAK_MINUTES
        while (now := time.monotonic()) < end:
            editions.change(server)
            time.sleep(max(0.0, min(end, now + BETWEEN_RELOADS) - time.monotonic()))
            for name, pid in pids.items():
                seen.setdefault(name, []).append(held(pid))
        for each in loads:
            each.end()
            assert not each.lost

    subject = Subject("half", process, half, requests)
    found = generator(subject, 60 * SOAK_MINUTES, meanwhile)
    print(
        f"\n{SOAK_MINUTES:g} minutes, {found.per_second:.0f} requests a second of {most:.0f}, "
        f"p99 {found.p99:.0f} us, {found.lost} lost, "
        f"{sum(each.answered for each in loads)} looked at, {editions.count} editions"
    )
    print(f"{'KiB':16}{'':8}" + "".join(f"{name:>10}" for name in Held._fields))
    ends = {name: (third(each, 1), third(each, 3)) for name, each in seen.items()}
    for name, (first, last) in ends.items():
        for when, figures in (("begin", first), ("end", last)):
            print(f"{name:16}{when:8}" + "".join(f"{each:10}" for each in figures))
    assert not found.lost
    for first, last in ends.values():
        for name in ("rss", "pss", "dirty"):
            assert getattr(last, name) <= getattr(first, name) * 1.05 + SLACK, name
        assert last.files <= first.files + 3
        assert last.threads <= first.threads + 1


def third(figures: Sequence[Held], number: int) -> Held:
    """Return the medians of a third of figures, the first tenth of them left out: it is warm."""
    warm = figures[len(figures) // 10 :]
    length = len(warm) // 3
    part = warm[(number - 1) * length : number * length]
    return Held(*(int(statistics.median(each)) for each in zip(*part, strict=True)))
