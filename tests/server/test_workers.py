"""Workers, the control socket and a server that takes over: real processes, under load."""

import contextlib
import io
import json
import logging
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loads import Datagrams, Load, OneShot, Staying, on_the_way
from running import WAIT, Server, read_all, write

from phonebook.server.control import MAX_ASKING, Asking, ControlError, control_file
from phonebook.server.journal import Journal, Span
from phonebook.server.logs import KEPT, PER_SECOND, Bounded, formatter
from phonebook.wire import parse_reply

Serve = Callable[..., Server]

ADA = b"ENTRY fields=phone ada-byron\r\n"
ADA_DATAGRAM = ADA[:-2].ljust(1_198) + b"\r\n"
NOBODY = b"252 Nothing found\r\n.\r\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache's place of a test, where its servers have their control sockets."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    return tmp_path / "cache"


def status(lab: Path, place: Path) -> dict[str, Any]:
    return Asking(control_file(lab, place)).ask("status")[0]


def running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def phone_in(reply: bytes) -> str:
    return dict(parse_reply(reply).entries[0])["phone"]


def change(lab: Path, old: str, new: str) -> None:
    write(lab / "phonebook.yaml", (lab / "phonebook.yaml").read_text().replace(old, new))


# Workers


def test_a_killed_worker_loses_its_own_connections(serve: Serve, lab: Path, place: Path) -> None:
    """And those alone; test_load.py goes on for longer."""
    kills = 3
    server = serve(lab, "--workers", "2", "--cache", str(place))
    loads: list[Load] = [Staying(server) for _ in range(6)]
    datagrams = [Datagrams(server), Datagrams(server)]
    for each in [*loads, *datagrams]:
        each.start()
    on_the_way(server, [*loads, *datagrams])
    for killed in range(kills):
        seen: dict[str, Any] = {}

        def counted(seen: dict[str, Any] = seen) -> bool:
            """Whether the workers' figures are of now: all connections are some worker's."""
            seen.update(status(lab, place))
            return seen["limits"]["connections"]["now"] == len(loads)

        server.until(counted)
        victim = max(seen["workers"], key=lambda each: each["connections"])
        before = sum(each.again for each in loads)
        os.kill(victim["pid"], signal.SIGKILL)
        server.until(lambda: "SIGKILL" in server.said.splitlines()[-1])
        on_the_way(server, [*loads, *datagrams])
        assert sum(each.again for each in loads) - before == victim["connections"]

        def back(killed: int = killed, victim: dict[str, Any] = victim) -> bool:
            workers = status(lab, place)["workers"]
            pids = {each["pid"] for each in workers}
            restarts = sum(each["restarts"] for each in workers)
            return restarts == killed + 1 and victim["pid"] not in pids and all(map(running, pids))

        server.until(back)
    for each in [*loads, *datagrams]:
        each.end()
    lost = sum(each.again for each in datagrams)
    print(
        f"{sum(each.answered for each in loads + datagrams)} answered, {kills} kills, {lost} lost"
    )
    assert lost <= kills, "a datagram that it held, each time"
    told = status(lab, place)["requests"]
    assert sum(told["udp"].values()) >= 200, "what the dead counted is not forgotten"


def held_by_each(server: Server, lab: Path, place: Path) -> list[socket.socket]:
    """Return connections, some to each worker."""
    connections = list[socket.socket]()

    def all_have_some() -> bool:
        connections.append(server.connect())
        connections[-1].sendall(ADA)
        assert connections[-1].recv(2_048)
        return all(each["connections"] for each in status(lab, place)["workers"])

    server.until(all_have_some)
    return connections


def asked(connection: socket.socket) -> str:
    connection.sendall(ADA)
    return phone_in(connection.recv(2_048))


@pytest.mark.parametrize("large", [False, True])
def test_a_reload_reaches_all_workers(serve: Serve, lab: Path, place: Path, large: bool) -> None:
    if large:  # by way of the cache
        entries = "".join(
            f"- {{name: Person {each}, note: {'x' * 100}}}\n" for each in range(2_500)
        )
        write(lab / "many.yaml", entries)
    server = serve(lab, "--workers", "3", "--cache", str(place))
    connections = held_by_each(server, lab, place)
    for number in range(3):
        change(lab, f"471{number}", f"471{number + 1}")
        server.until(lambda number=number: server.said.count("reloaded") > number)  # type: ignore[misc]
        server.until(
            lambda number=number: {asked(each) for each in connections} == {f"471{number + 1}"}  # type: ignore[misc]
        )
    workers = [each["pid"] for each in status(lab, place)["workers"]]
    if large:
        for pid in workers:
            assert ".snapshot" in Path(f"/proc/{pid}/maps").read_text(), "mapped, not read"
    for each in connections:
        each.close()


def test_a_worker_begins_with_the_newest(serve: Serve, lab: Path, place: Path) -> None:
    """Whatever came between its start and its first answer."""
    server = serve(lab, "--workers", "2", "--cache", str(place))

    def pids() -> list[int]:
        return [each["pid"] for each in status(lab, place)["workers"]]

    killed = pids()
    for each, pid in enumerate(killed):
        os.kill(pid, signal.SIGKILL)
        server.until(lambda each=each, pid=pid: pids()[each] != pid)  # type: ignore[misc]
        os.kill(pids()[each], signal.SIGSTOP)  # long before it is ready
    for number in range(3):
        change(lab, f"471{number + 1}", f"471{number + 2}")
        server.until(lambda number=number: server.said.count("reloaded") > number)  # type: ignore[misc]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(WAIT)
        asker.connect(("127.0.0.1", server.port))
        for _ in range(50):
            asker.send(ADA_DATAGRAM)
        assert status(lab, place)  # the supervisor has told them of it by now
        for pid in pids():
            os.kill(pid, signal.SIGCONT)
        assert {phone_in(asker.recv(2_048)) for _ in range(50)} == {"4714"}


def test_a_worker_comes_back_while_the_directory_is_broken(
    serve: Serve, lab: Path, place: Path
) -> None:
    server = serve(lab, "--workers", "2", "--cache", str(place))
    write(lab / "bad.yaml", "- phone: 1\n")
    server.until(lambda: "goes on answering" in server.said)
    assert any("bad.yaml:1" in error for error in status(lab, place)["directory"]["errors"])
    killed = {each["pid"] for each in status(lab, place)["workers"]}
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    server.until(lambda: not any(map(running, killed)))
    assert phone_in(server.ask(ADA)) == "4711", "a connection waits until there is a worker"
    reply = server.ask_datagram(ADA_DATAGRAM)
    assert reply is not None
    assert phone_in(reply[0]) == "4711"


def test_a_worker_that_dies_again_and_again_comes_back_later(
    serve: Serve, lab: Path, place: Path
) -> None:
    server = serve(lab, "--workers", "2", "--cache", str(place))
    for _ in range(3):
        pid = status(lab, place)["workers"][0]["pid"]
        os.kill(pid, signal.SIGKILL)
        server.until(lambda pid=pid: status(lab, place)["workers"][0]["pid"] != pid)  # type: ignore[misc]
    server.until(lambda: "another comes in 0." in server.said)
    assert phone_in(server.ask(ADA)) == "4711", "there is the other one"


def test_workers_stop_with_their_supervisor(serve: Serve, lab: Path, place: Path) -> None:
    server = serve(lab, "--workers", "2", "--cache", str(place))
    workers = [each["pid"] for each in status(lab, place)["workers"]]
    count = 2_000
    with server.connect() as asking, server.connect() as idle:
        asking.sendall(b"ENTRY nobody\r\n" * count)
        server.signal(signal.SIGTERM)
        assert read_all(asking) == NOBODY * count
        assert read_all(idle) == b""
    assert server.wait() == 0
    assert not any(map(running, workers))
    assert not list(place.glob("*.sock"))


def test_workers_end_without_their_supervisor(serve: Serve, lab: Path, place: Path) -> None:
    server = serve(lab, "--workers", "2", "--cache", str(place))
    workers = [each["pid"] for each in status(lab, place)["workers"]]
    server.signal(signal.SIGKILL)
    server.until(lambda: not any(map(running, workers)))
    with pytest.raises(ConnectionRefusedError):
        server.connect()


# The control socket


def command(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "phonebook", "status", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_status(serve: Serve, lab: Path, place: Path, workers: str) -> None:
    server = serve(lab, "--workers", workers, "--cache", str(place))
    server.ask(ADA * 3 + b"ENTRY nobody\r\nbad\r\n")
    server.ask_datagram(ADA_DATAGRAM)
    expected = {"tcp": {"250": 3, "252": 1, "500": 1}, "udp": {"250": 1}, "tls": {}}
    server.until(lambda: status(lab, place)["requests"] == expected)
    code, told, _ = command("--json", "--cache", str(place), str(lab))
    assert code == 0
    report = json.loads(told)
    assert report["pid"] == server.pid
    assert report["directory"]["views"]["public"]["entries"] == 2
    assert report["directory"]["path"] == str(lab)
    assert len(report["workers"]) == (2 if workers == "2" else 0)
    processes = max(1, int(workers) if workers == "2" else 1)
    limits = report["limits"]
    assert limits["connections"] == {"now": 0, "most": 1_000, "refused": 0}
    assert limits["handshakes"]["most"] == 100 * processes
    with server.connect() as one, server.connect() as other:
        for each in (one, other):
            each.sendall(ADA)
            assert each.recv(2_048)
        fullest = {"now": 2, "most": 250, "refused": 0, "network": "127.0.0.0/24"}
        server.until(
            lambda: (
                status(lab, place)["limits"]["connections_of_a_network"] == fullest
                and status(lab, place)["limits"]["session_seconds"]["now"] > 0
            )
        )
    expected["tcp"]["250"] += 2
    server.until(lambda: status(lab, place)["requests"] == expected)
    code, told, _ = command("--cache", str(place))
    assert code == 0
    for line in (
        r"connections: \d of 1000 at most",
        r"requests that wait at a connection: \d of 64 at most",
        r"octets held for a connection: \d+ of 663552 at most",
        r"seconds of an idle connection: [\d.]+ of 60 at most",
        r"budgets over udp: exhausted by 0 networks, 0 wider ones",
    ):
        assert re.search(f"^{line}$", told, re.MULTILINE), (line, told)
    assert "replies over tcp: 250: 5, 252: 1, 500: 1\n" in told
    assert "view public: 2 entries" in told


def test_status_of_who_takes_nothing(serve: Serve, lab: Path, place: Path) -> None:
    """What waits at a connection is shown, and is no more than there may be."""
    server = serve(lab, "--cache", str(place))
    with server.connect(receive_buffer=4_096) as greedy:
        greedy.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                greedy.send(ADA * 1_000)
        limits = status(lab, place)["limits"]
        assert (
            0 < limits["octets_of_a_connection"]["now"] <= limits["octets_of_a_connection"]["most"]
        )
        assert limits["requests_of_a_connection"]["now"] > 0
    server.until(lambda: status(lab, place)["limits"]["octets_of_a_connection"]["now"] == 0)


def test_status_over_the_network(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    code, told, _ = command(f"127.0.0.1:{server.port}")
    assert code == 0
    assert "protocol: PHONEBOOK/1\n" in told
    code, told, _ = command("--json", f"127.0.0.1:{server.port}")
    assert json.loads(told)["help"]["verb"] == ["LOOKUP", "ENTRY", "HELP"]
    server.stop()
    code, told, wrong = command(f"127.0.0.1:{server.port}")
    assert (code, told, wrong.count("\n")) == (3, "", 1)


def test_status_where_a_link_leads_elsewhere_now(
    serve: Serve, lab: Path, place: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    shutil.copytree(lab, second)
    (link := tmp_path / "link").symlink_to(lab)
    serve(link, "--cache", str(place))
    link.unlink()
    link.symlink_to(second)
    for path in (link, second):
        assert command("--cache", str(place), str(path))[0] == 0
    assert command("--cache", str(place), str(lab))[0] == 3


def test_nobody_to_ask(lab: Path, place: Path) -> None:
    code, told, wrong = command("--cache", str(place), str(lab))
    assert (code, told, wrong.count("\n")) == (3, "", 1)
    assert f"no server of this user answers for {lab} here" in wrong


def test_control_socket_is_bounded(
    serve: Serve, lab: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lab, "--cache", str(place))
    file = control_file(lab, place)
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.chdir(file.parent)  # the whole path may be too long for a socket's
    held = []
    for _ in range(MAX_ASKING):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].connect(file.name)
    with pytest.raises(ControlError):
        status(lab, place)
    held[0].sendall(b"x" * 100)  # too long a line
    assert held[0].recv(100) == b""
    held[1].sendall(b"nonsense\n")
    assert b"error" in held[1].recv(1_000)
    server.until(lambda: bool(status(lab, place)))
    for each in held:
        each.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_control_socket_is_the_owners(serve: Serve, lab: Path, tmp_path: Path) -> None:
    """Even where the file's mode would let others in."""
    with tempfile.TemporaryDirectory() as folder:
        serve(lab, "--cache", folder)
        file = control_file(lab, Path(folder))
        os.chmod(folder, 0o755)
        os.chmod(file, 0o666)
        assert status(lab, Path(folder))
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.setuid(pwd.getpwnam("nobody").pw_uid)
                with socket.socket(socket.AF_UNIX) as other:
                    other.settimeout(WAIT)
                    other.connect(str(file))
                    with contextlib.suppress(ConnectionError):
                        other.sendall(b"status\n")
                        assert other.recv(100) == b""
                    os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# Another server takes over


@pytest.mark.parametrize(("old", "new"), [("1", "1"), ("2", "1"), ("1", "2"), ("2", "2")])
def test_takeover_under_load(serve: Serve, lab: Path, place: Path, old: str, new: str) -> None:
    server = serve(lab, "--workers", old, "--cache", str(place))
    loads = [kind(server) for kind in (Datagrams, OneShot, OneShot, Staying) for _ in range(2)]
    for each in loads:
        each.start()
    on_the_way(server, loads)
    heir = serve(lab, "--workers", new, "--cache", str(place), "--takeover")
    assert heir.port == server.port
    assert server.wait() == 0
    on_the_way(heir, loads)
    for each in loads:
        each.end()
        staying = isinstance(each, Staying)
        assert each.again <= staying, "only a connection that stayed open is made anew, once"
    assert status(lab, place)["pid"] == heir.pid
    print(f"{sum(each.answered for each in loads)} answered")


def test_takeover_that_fails(serve: Serve, lab: Path, place: Path) -> None:
    """Who takes over and cannot answer leaves the old server as it was."""
    server = serve(lab, "--cache", str(place))
    write(lab / "bad.yaml", "- phone: 1\n")
    with pytest.raises(AssertionError, match="is not served"):
        serve(lab, "--cache", str(place), "--takeover")
    assert phone_in(server.ask(ADA)) == "4711"
    (lab / "bad.yaml").unlink()
    heir = serve(lab, "--cache", str(place), "--takeover", "--port", "1")
    assert server.wait() == 0
    said = "without effect: --port 1; the sockets that were handed over are at 127.0.0.1"
    assert f"{said}:{server.port}: " in heir.said


def test_takeover_from_nobody(serve: Serve, lab: Path, place: Path) -> None:
    with pytest.raises(AssertionError, match="no server of this user answers for"):
        serve(lab, "--cache", str(place), "--takeover")
    with pytest.raises(AssertionError, match="There is no"):
        serve(lab / "nowhere", "--cache", str(place), "--takeover")


def test_a_second_server_leaves_the_first_its_control_socket(
    serve: Serve, lab: Path, place: Path
) -> None:
    """But one that has died has left its file alone."""
    first = serve(lab, "--cache", str(place))
    second = serve(lab, "--cache", str(place))
    assert "another server over this directory has the control socket" in second.said
    assert status(lab, place)["pid"] == first.pid
    assert second.stop() == 0
    assert status(lab, place)["pid"] == first.pid
    first.signal(signal.SIGKILL)
    first.wait()
    third = serve(lab, "--cache", str(place))
    assert "control socket" not in third.said
    assert status(lab, place)["pid"] == third.pid


# Metrics and the log


def scraped(server: Server) -> bytes:
    """Return what Prometheus would get."""
    address = next(line for line in server.said.splitlines() if "metrics: http://" in line)
    port = int(address.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), WAIT) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        return read_all(connection)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_metrics(serve: Serve, lab: Path, place: Path, workers: str) -> None:
    flags = ["--workers", workers, "--cache", str(place), "--metrics", "127.0.0.1:0"]
    server = serve(lab, *flags)
    server.ask(ADA * 3 + b"bad\r\n")
    line = b'\nphonebook_replies_total{transport="tcp",code="250"} 3\n'
    server.until(lambda: line in scraped(server))
    head, _, body = scraped(server).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    sample = re.compile(r'phonebook_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.]+')
    for each in body.decode().splitlines():
        assert each.startswith("# TYPE phonebook_") or sample.fullmatch(each), each
    heir = serve(lab, *flags, "--takeover")  # and the metrics go along
    assert server.wait() == 0
    assert b"\nphonebook_connections_limit " in scraped(heir)


HIDING = """
views: [{name: staff, networks: 127.0.0.0/8}]
entries:
- name: Ada
- {name: Berta, view: staff}
- {name: Dora, id: 6f1c02d5b7e3a948, unlisted: yes}
"""


def test_metrics_are_bounded_and_tell_nothing_hidden(
    serve: Serve, tmp_path: Path, place: Path
) -> None:
    (tmp_path / "phonebook.yaml").write_text(HIDING)
    server = serve(tmp_path / "phonebook.yaml", "--cache", str(place), "--metrics", "127.0.0.1:0")
    assert b"\nphonebook_entries 1\n" in scraped(server)
    assert b"staff" not in scraped(server)
    port = int(re.findall(r"metrics: http://127\.0\.0\.1:(\d+)/", server.said)[0])
    with socket.create_connection(("127.0.0.1", port), WAIT) as connection:
        connection.sendall(b"x" * 20_000)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100) == b""
    assert scraped(server).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_requests_are_logged_without_the_query(
    serve: Serve, lab: Path, place: Path, workers: str
) -> None:
    flags = ["--log-requests", "--log-format", "json", "--workers", workers]
    server = serve(lab, *flags, "--cache", str(place))
    server.ask(b"LOOKUP somebody secret\r\nLOOKUP ada\r\n")
    server.ask_datagram(ADA_DATAGRAM)
    server.ask_datagram(b"LOOKUP secret".ljust(20), seconds=0.1)  # too short: silence
    told = journal(server, 4)
    assert all(map(json.loads, server.said.splitlines())), "the line that says it is ready, too"
    assert [(line["transport"], line["code"]) for line in told] == [
        ("tcp", "252"),
        ("tcp", "250"),
        ("udp", "250"),
        ("udp", "none"),
    ]
    assert all(line["microseconds"] >= 0 for line in told)
    assert told[0]["octets"] == len(NOBODY)
    assert {line["view"] for line in told} == {"public"}
    assert not any("address" in line for line in told)
    assert "secret" not in server.said


def journal(server: Server, count: int) -> list[dict[str, Any]]:
    """Return the log's lines about replies, as JSON, once there are so many."""
    server.until(lambda: server.said.count('"code": ') >= count)
    lines = [json.loads(line) for line in server.said.splitlines() if line.startswith("{")]
    return [line for line in lines if "code" in line]


def test_the_journal_tells_what_was_sent(serve: Serve, lab: Path, place: Path) -> None:
    """The code of a refusal, the view, and of an address no more than is wanted."""
    text = (lab / "phonebook.yaml").read_text()
    write(lab / "phonebook.yaml", f"views: [{{name: staff, networks: [127.0.2.0/24]}}]\n{text}")
    flags = ["--log-requests", "--log-addresses", "network", "--log-format", "json"]
    server = serve(lab, *flags, "--entries-per-minute", "1", "--cache", str(place))
    asked = 1
    while not server.ask(ADA, source="127.0.2.7").startswith(b"430 "):
        asked += 1
    server.ask(b"x" * 2_000)
    server.ask_datagram(ADA_DATAGRAM)
    told = journal(server, asked + 2)
    assert [line["code"] for line in told][-3:] == ["430", "502", "250"]
    assert [line["view"] for line in told][-3:] == ["staff", "public", "public"]
    assert [line["address"] for line in told][-3:] == ["127.0.2.0/24"] + ["127.0.0.0/24"] * 2
    assert told[-3]["octets"] == len(server.ask(ADA, source="127.0.2.7"))
    budgets = status(lab, place)["budgets"]
    assert budgets["tcp"] == {"networks": 1, "wider": 0, "all": 0, "refused": 2}
    assert budgets["udp"] == {"networks": 0, "wider": 0, "all": 0, "refused": 0}


@pytest.mark.parametrize(  # workers have to start in it, on a busy machine too
    ("workers", "time"), [("1", "5s"), pytest.param("2", "15s", marks=pytest.mark.full)]
)
def test_queries_are_logged_for_a_time(serve: Serve, lab: Path, workers: str, time: str) -> None:
    """It is told when that begins and when it ends; after it no line has a query."""
    server = serve(lab, "--log-queries", time, "--workers", workers, "--log-addresses", "full")
    assert "what is asked is logged until 2" in server.said.partition("ready:")[0]
    server.ask(b"ENTRY nobody\x1b[31m\xe2\x80\xae\r\n")
    server.ask_datagram(b"ENTRY adieu".ljust(100) + b"\r\n")
    server.until(lambda: "ENTRY adieu" in server.said)
    told = [line for line in server.said.splitlines() if "ENTRY" in line]
    asked = [line.partition(", view public, for 127.0.0.1: ")[2] for line in told]
    assert asked == [r"ENTRY nobody\x1b[31m\u202e", "ENTRY adieu"], "nothing steers a terminal"
    server.until(lambda: "what is asked is logged no longer" in server.said)
    server.ask(b"LOOKUP secret\r\n")
    server.ask_datagram(b"LOOKUP secret".ljust(100) + b"\r\n")
    server.stop()
    assert "secret" not in server.said
    assert server.said.count("answered") == 2, "nor has any reply a line"


def test_a_clock_that_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of queries lasts no longer for it; nor in sleep, where the other clock stands."""
    journal = Journal(False, "none", Span.of(60))
    assert journal.with_queries()
    day, running = time.time() - 86_400, time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: day)
        patched.setattr(time, "monotonic", lambda: running + 59)
        assert journal.with_queries()
        patched.setattr(time, "monotonic", lambda: running + 61)
        assert not journal.with_queries()
    assert journal.with_queries()
    monkeypatch.setattr(time, "time", lambda: day + 86_400 + 61)
    assert not journal.with_queries()


def test_an_error_is_logged_without_its_words() -> None:
    for format in ("text", "json"):
        stream = io.StringIO()
        handler = Bounded(stream)
        handler.setFormatter(formatter(format))
        logger = logging.Logger("x")
        logger.addHandler(handler)
        try:
            int("secret")
        except ValueError:
            logger.exception("cut off")
        said = stream.getvalue()
        assert "cut off" in said and "ValueError" in said
        assert (
            Path(__file__).name in said
            and test_an_error_is_logged_without_its_words.__name__ in said
        )
        assert "secret" not in said.replace('int("secret")', "")
    told = json.loads(said)
    assert told["error"] == "ValueError"
    assert len(told["places"]) == 1


def test_log_is_bounded() -> None:
    stream, now = io.StringIO(), 0.0
    handler = Bounded(stream, lambda: now)
    for second in range(3):
        now = second + 0.5
        for _ in range(3 * PER_SECOND):
            record = logging.LogRecord("x", logging.INFO, "", 0, "a line of %d", (second,), None)
            handler.handle(record)
    logger = logging.Logger("x")
    logger.addHandler(handler)
    logger.warning("one that has to be told", extra=KEPT)
    lines = stream.getvalue().splitlines()
    assert lines.count("a line of 0") == PER_SECOND
    assert lines[-1] == "one that has to be told"
    assert lines.count(f"{2 * PER_SECOND} lines within a second were left out") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_rights_are_dropped(serve: Serve, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHONEBOOK_SENT")  # the recording is in a folder of root's own
    with tempfile.TemporaryDirectory() as folder:  # pytest's are root's own, too
        os.chmod(folder, 0o755)
        seen = Path(folder) / "lab"
        shutil.copytree(lab, seen)
        drops_rights(serve, seen)


def drops_rights(serve: Serve, lab: Path) -> None:
    try:  # the interpreter may be root's own
        code = "import phonebook.server.worker"
        subprocess.run([sys.executable, "-P", "-c", code], check=True, user="nobody")
        workers = "2"
    except (OSError, subprocess.CalledProcessError):
        workers = "1"
    server = serve(lab, "--user", "nobody", "--workers", workers)
    fields = Path(f"/proc/{server.pid}/status").read_text()
    nobody = pwd.getpwnam("nobody")
    assert f"Uid:\t{'	'.join([str(nobody.pw_uid)] * 4)}\n" in fields
    assert f"Gid:\t{'	'.join([str(nobody.pw_gid)] * 4)}\n" in fields
    assert "CapEff:\t0000000000000000\n" in fields
    assert "runs as root" not in server.said
    assert phone_in(server.ask(ADA)) == "4711"


def test_unknown_user(serve: Serve, lab: Path) -> None:
    with pytest.raises(AssertionError, match="there is no such user here"):
        serve(lab, "--user", "nobody-of-this-name")
