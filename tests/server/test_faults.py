"""Faults, injected: the server survives each, says once what to do, and recovers by itself."""

import contextlib
import ctypes
import errno
import functools
import itertools
import logging
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running import WAIT, Server, write
from twisted.internet import defer
from twisted.internet.task import Clock

from phonebook import store
from phonebook.directory.load import load
from phonebook.directory.problems import DirectoryError, Position, Problem
from phonebook.server import door, reload
from phonebook.server.door import Door
from phonebook.server.limits import room_for
from phonebook.server.logs import PER_SECOND
from phonebook.server.poller import Poller
from phonebook.server.reload import POLL_INTERVAL, RETRY_INTERVAL, Reloader, read_served
from phonebook.server.state import State
from phonebook.server.udp import DatagramPort
from phonebook.service.snapshot import Terms
from phonebook.store import fingerprint

Serve = Callable[..., Server]

ADA = b"ENTRY fields=phone ada-byron\r\n"
ADA_DATAGRAM = ADA[:-2].ljust(1_198) + b"\r\n"
NOBODY = b"252 Nothing found\r\n.\r\n"
REFUSED = "the old one goes on answering"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this to a machine")


@pytest.fixture
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the servers to come open no file for our sake, in a folder of ours."""
    monkeypatch.delenv("PHONEBOOK_SENT", raising=False)


def change(lab: Path, old: str, new: str) -> None:
    write(lab / "phonebook.yaml", (lab / "phonebook.yaml").read_text().replace(old, new))


def answers(server: Server, phone: bytes) -> bool:
    return b"phone: " + phone in server.ask(ADA)


def logged(server: Server, text: str) -> int:
    return sum(text in line for line in server.words)


def spent(server: Server) -> float:
    """Return the processor's seconds that a server has taken."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Open files


def allow_files(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the servers to come open so many files."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    monkeypatch.setattr("subprocess.Popen", functools.partial(subprocess.Popen, preexec_fn=limit))


@pytest.mark.usefixtures("unrecorded")
def test_few_files_leave_room_for_few_connections(
    serve: Serve, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused like any that are too many; a reload and all else have their files."""
    allow_files(monkeypatch, 80)
    flags = ["--connections-per-network", "1000", "--cache", str(tmp_path / "cache")]
    server = serve(lab, *flags)
    assert logged(server, "80 open files are allowed, which is room for 32 of 1000 ") == 1
    assert logged(server, "raise that limit (ulimit -Hn, LimitNOFILE=") == 1
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(server.connect()) for _ in range(60)]
        last = opened[31]
        last.sendall(b"ENTRY nobody\r\n")
        assert last.recv(100) == NOBODY
        assert opened[59].recv(100) == b"", "one too many"
        assert server.ask_datagram(ADA_DATAGRAM) is not None
        change(lab, "4711", "4799")
        server.until(lambda: logged(server, "reloaded: ") == 1)
        last.sendall(ADA)
        assert b"4799" in last.recv(1_000)
    server.until(lambda: server.ask(ADA) != b"")
    assert logged(server, "accepted") == 0


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "workers", "raised", "room"),
    [
        (1_024, 4_096, 1_000, 1, 1_048, 1_000),
        (1_024, -1, 5_000, 2, 2_548, 5_000),
        (1_024, 1_024, 1_000, 1, 1_024, 976),
        (1_024, 1_024, 1_952, 2, None, 1_952),
        (20, 20, 1_000, 1, 20, 1),
        (-1, -1, 1_000, 1, None, 1_000),
    ],
)
def test_the_limit_is_raised(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    wanted: int,
    workers: int,
    raised: int | None,
    room: int,
) -> None:
    """As far as connections need, of each process."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: given.append(both))
    assert room_for(wanted, workers) == room
    assert given == ([] if raised is None else [(raised, hard)])
    assert len(caplog.records) == (room < wanted)


@pytest.mark.usefixtures("unrecorded")
def test_all_files_are_used_up(serve: Serve, lab: Path) -> None:
    """Who is in, and who sends datagrams, is answered; a reload takes nothing away."""
    server = serve(lab)
    assert answers(server, b"4711")
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(server.connect())
        first.sendall(ADA)
        assert b"4711" in first.recv(1_000)
        used = len(os.listdir(f"/proc/{server.pid}/fd"))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 2, before[1]))
        for _ in range(10):
            stack.enter_context(server.connect())
        server.until(lambda: logged(server, "no connection can be accepted") > 0)
        change(lab, "4711", "4799")
        server.until(lambda: logged(server, REFUSED) > 0)
        began, busy = time.monotonic(), spent(server)
        while time.monotonic() < began + 2.2:  # the door looks again twice
            first.sendall(ADA)
            assert b"4711" in first.recv(1_000)
            assert server.ask_datagram(ADA_DATAGRAM) is not None
            time.sleep(0.2)
        assert spent(server) - busy < 1.0, "it does not turn in vain"
        assert logged(server, "(Too many open files): raise the limit on open files (") == 2
        assert logged(server, "no connection can be accepted") == logged(server, REFUSED) == 1
    server.until(lambda: answers(server, b"4799"))
    assert logged(server, "no connection can be accepted") == logged(server, "reloaded: ") == 1


def test_what_nobody_foresees_at_the_door(
    lab: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs one connection; the door stays open, and the next is let in."""
    state, waiting = State(read_served(lab, lambda _: Terms())), Poller()

    def fail(*_: object) -> None:
        raise MemoryError

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        Door(listening, state, waiting, Clock())
        with monkeypatch.context() as patched:
            patched.setattr(door, "Connection", fail)
            with socket.create_connection(listening.getsockname()):
                waiting.doRead()
        with socket.create_connection(listening.getsockname()):
            waiting.doRead()
            assert len(state.connections) == 1
        for each in list(state.connections):
            each.close()
    told = [each.getMessage() for each in caplog.records]
    assert told == ["a connection that cannot be accepted"]


# Room on the disk


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk with next to no room."""
    folder = tmp_path / "full"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "phonebook", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk can be mounted: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.full
@as_root
def test_a_full_disk_costs_the_cache(full: Path, serve: Serve, lab: Path) -> None:
    """And not the service: at a start, and at a reload."""
    note = "".join(f"      {'x' * 990}\n" for _ in range(7))
    entries = "".join(f"  - name: N {each}\n    note: |\n{note}" for each in range(40))
    with (lab / "phonebook.yaml").open("a") as file:
        file.write(entries)
    assert sum(size for _, size, _, _ in fingerprint(lab)) > 262_144, "too large to be read at once"
    server = serve(lab, "--cache", str(full))
    told = "No space left on device: free some room on the disk, or choose a folder with --cache"
    assert logged(server, told) == 1
    assert answers(server, b"4711")
    change(lab, "4711", "4799")
    server.until(lambda: answers(server, b"4799"))
    assert logged(server, told) == 2, "once for each reading"
    assert not list(full.rglob("*.snapshot")) and not list(full.rglob("*.part"))


# Rights


@pytest.fixture
def readable() -> Iterator[Path]:
    """Return a folder that everybody may look into: pytest's are their owner's alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.usefixtures("unrecorded")
@pytest.mark.parametrize("what", ["the folder", pytest.param("a file", marks=pytest.mark.full)])
def test_what_may_not_be_read(serve: Serve, lab: Path, readable: Path, what: str) -> None:
    """The old directory stays until the rights are back."""
    seen = readable / "lab"
    shutil.copytree(lab, seen)
    flags = ["--user", "nobody"] if os.geteuid() == 0 else []
    server = serve(seen, *flags)
    change(seen, "4711", "4799")
    closed = seen if what == "the folder" else seen / "phonebook.yaml"
    closed.chmod(0)
    server.until(lambda: logged(server, REFUSED) > 0)
    assert answers(server, b"4711")
    assert logged(server, f"{closed}:1:1: error: This cannot be read (Permission denied)") == 1
    assert logged(server, "check its permissions") == 1
    closed.chmod(0o755)
    server.until(lambda: answers(server, b"4799"))
    assert logged(server, REFUSED) == logged(server, "reloaded: ") == 1


class Watched:
    """A reloader without a process and threads: what it is to read, and what comes of it."""

    def __init__(self, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Watch a directory."""
        self.reading: Callable[[], None] = lambda: None
        self.count = 0
        self.clock = Clock()
        monkeypatch.setattr(reload, "read_served", self._read)
        monkeypatch.setattr(reload, "_in_thread", lambda _, work: defer.execute(work))
        self.state = State(read_served(lab, lambda _: Terms()))
        self.reloader = Reloader(lab, fingerprint(lab), self.state, lambda _: Terms())
        self.reloader.begin(self.clock)  # type: ignore[arg-type]

    def _read(self, path: Path, *more: Any) -> Any:
        self.count += 1
        self.reading()
        return read_served(path, *more)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([POLL_INTERVAL] * round(seconds / POLL_INTERVAL))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENFILE, "Too many open files in system"),
        DirectoryError([Problem("error", "unreadable", "No.", Position("x.yaml", 1, 1))]),
    ],
    ids=["system", "file"],
)
def test_what_may_pass_is_tried_again(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Though nothing changes; less and less often, and told once."""
    watched = Watched(lab, monkeypatch)

    def fail() -> None:
        raise error

    watched.reading = fail
    change(lab, "4711", "4799")
    watched.wait(2)
    assert (watched.count, len(caplog.records)) == (1, 2)
    watched.wait(RETRY_INTERVAL)
    assert watched.count == 2
    watched.wait(600)
    assert 8 <= watched.count <= 16
    assert len(caplog.records) == 2
    assert watched.reloader.errors
    watched.reading = lambda: None
    watched.wait(60)
    assert not watched.reloader.errors
    tried = watched.count
    watched.wait(600)
    assert watched.count == tried


def test_what_is_wrong_is_not_tried_again(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is written in two goes is refused once, then served."""
    watched = Watched(lab, monkeypatch)
    text = (lab / "phonebook.yaml").read_text()
    (lab / "phonebook.yaml").write_text(text[: text.index("4712") - 4])
    watched.wait(600)
    assert (watched.count, watched.state.served.public.count) == (1, 2)
    assert sum(REFUSED in each.getMessage() for each in caplog.records) == 1
    with (lab / "phonebook.yaml").open("a") as file:
        file.write(text[text.index("4712") - 4 :] + "  - name: Grace\n")
    watched.wait(2)
    assert (watched.count, watched.state.served.public.count) == (2, 3)


def test_what_changes_while_it_is_read_is_read_again(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is switched meanwhile might be served half from before, half from after."""
    other = lab.with_name("other")
    shutil.copytree(lab, other)
    write(other / "more.yaml", "- name: Grace\n")
    served = lab.with_name("served")
    served.symlink_to(lab)
    watched = Watched(served, monkeypatch)
    before = watched.state.served

    def switch() -> None:
        watched.reading = lambda: None
        served.with_name("aside").symlink_to(other)
        served.with_name("aside").replace(served)

    watched.reading = switch
    change(lab, "4711", "4799")
    watched.wait(1)
    assert (watched.count, watched.state.served) == (1, before)
    watched.wait(2)
    assert (watched.count, watched.state.served.public.count) == (2, 3)


@pytest.mark.parametrize("when", ["between looks", "while it is read"])
def test_what_changes_without_pause_is_served_all_the_same(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    """Not at once, but soon; and that it may be half of each is told once."""
    watched = Watched(lab, monkeypatch)
    before = watched.state.served

    def touch() -> None:
        file = lab / f"{next(numbers)}.yaml"
        file.write_text("- name: Grace\n")
        file.with_name("more.yaml").unlink(missing_ok=True)
        file.rename(lab / "more.yaml")

    def look(*more: Any) -> Any:
        if when == "between looks":
            touch()
        return fingerprint(*more)

    numbers = itertools.count()
    monkeypatch.setattr(reload, "fingerprint", look)
    if when == "while it is read":
        watched.reading = touch
    change(lab, "4711", "4799")
    watched.wait(2)
    assert watched.state.served == before
    watched.wait(30)
    assert watched.state.served.public.count == 3
    assert sum("without pause" in each.getMessage() for each in caplog.records) == 1
    watched.reading = lambda: None
    monkeypatch.setattr(reload, "fingerprint", fingerprint)
    watched.wait(2)
    count = watched.count
    watched.wait(60)
    assert watched.count == count, "it rests where nothing changes"


def test_a_look_that_fails_is_not_the_last(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(lab, monkeypatch)
    realpath = os.path.realpath

    def switched(path: Any, *_: object) -> Any:
        if path == lab:
            return realpath(path)
        raise OSError(errno.EINVAL, "Invalid argument")  # a link became a file meanwhile

    def fail(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    (lab / "more.yaml").symlink_to(".more")
    (lab / ".more").write_text("- name: Grace\n")
    monkeypatch.setattr(os.path, "realpath", switched)
    assert [link for link, *_ in fingerprint(lab)][-1] == str(lab / "more.yaml")
    assert {each.code for each in load(lab).problems} == {"outside"}
    monkeypatch.setattr(reload, "fingerprint", fail)
    watched.wait(10)
    assert [each.getMessage() for each in caplog.records] == [
        "the directory cannot be looked at: [Errno 22] Invalid argument"
    ]
    monkeypatch.setattr(os.path, "realpath", realpath)
    monkeypatch.setattr(reload, "fingerprint", fingerprint)
    watched.wait(2)
    assert watched.state.served.public.count == 3


def test_what_takes_long_to_look_at_is_looked_at_less_often(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never twice at once; by what it costs, not by how long something else took."""
    watched = Watched(lab, monkeypatch)
    spent = iter(itertools.count())  # a second in each look
    monkeypatch.setattr(time, "thread_time", lambda: next(spent))
    looks = []
    found = fingerprint(lab)

    def look(*_: object) -> store.Fingerprint:
        looks.append(watched.clock.seconds())
        return found

    monkeypatch.setattr(reload, "fingerprint", look)
    watched.wait(100)
    assert looks == [0.5, 20.5, 40.5, 60.5, 80.5]
    waiting: list[defer.Deferred[None]] = []

    def begin(*_: object) -> defer.Deferred[None]:
        waiting.append(defer.Deferred())
        return waiting[-1]

    monkeypatch.setattr(reload, "_in_thread", begin)
    watched.wait(100)
    assert len(waiting) == 1


@pytest.fixture
def large(lab: Path) -> Path:
    """Return a directory that is compiled in a process of its own."""
    with (lab / "phonebook.yaml").open("a") as file:
        file.write("# " + "x" * store.SMALL + "\n")
    return lab


@pytest.mark.parametrize(("does", "told"), [("kill -9 $$", "signal 9 (SIGKILL)"), ("exit 2", "2")])
def test_what_ends_the_compiling_process_is_not_done_here(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, told: str
) -> None:
    """It would end the server. It is tried again."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{does}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(reload, "_compiled_here", None)
    with pytest.raises(DirectoryError) as refused:
        read_served(large, lambda _: Terms(), tmp_path / "cache", reload.Aside())
    (line,) = refused.value.said  # type: ignore[attr-defined]
    assert f"the process for that {'was ended by' if '9' in told else 'ended with'} {told}" in line
    assert "give it more" in line and refused.value.passes  # type: ignore[attr-defined]


def test_what_ends_the_first_compiling_process_is_not_done_here(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a copy of this one, which says so, and ends."""
    here = os.getpid()

    def end(*_: object, **__: object) -> None:
        assert os.getpid() != here
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(store, "make", end)
    monkeypatch.setattr(reload, "_compiled_here", None)
    with pytest.raises(DirectoryError) as refused:
        read_served(large, lambda _: Terms(), tmp_path / "cache")
    (line,) = refused.value.said  # type: ignore[attr-defined]
    assert "ended before it was done" in line and "give it more" in line


def test_a_process_that_ended_is_tried_again(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(lab, monkeypatch)

    def fail() -> None:
        raise reload._Refused(["It was ended."], passes=True)

    watched.reading = fail
    change(lab, "4711", "4799")
    watched.wait(2 + RETRY_INTERVAL)
    assert watched.count == 2 and len(caplog.records) == 2
    watched.reading = lambda: None
    watched.wait(60)
    assert not watched.reloader.errors


def test_a_compiling_process_ends_with_the_server(
    serve: Serve, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM does not wait for what nobody will be answered from."""
    began = tmp_path / "began"
    sleep = f"import time; open({str(began)!r}, 'w').close(); time.sleep(300)"
    start_with(
        monkeypatch,
        "import sys\n"
        "from phonebook.server import reload\n"
        "run = reload.Aside.run\n"
        "def slow(self, command, *give_way):\n"
        f"    slept = [sys.executable, '-c', {sleep!r}]\n"
        "    return run(self, slept if give_way else command, *give_way)\n"
        "reload.Aside.run = slow\n",
    )
    server = serve(large, "--cache", str(tmp_path / "cache"))
    change(large, "4711", "4799")
    server.until(began.exists)
    since = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - since < 10.0
    assert "SIGKILL" not in server.said and REFUSED not in server.said


# The clock


def start_with(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have the servers to come run some code first."""
    popen = subprocess.Popen
    main = "import sys\nfrom phonebook.cli.main import main\nsys.exit(main())"

    def begin(command: list[str], **more: Any) -> Any:
        assert command[1:3] == ["-m", "phonebook"]
        return popen([command[0], "-c", f"{code}\n{main}", *command[3:]], **more)

    monkeypatch.setattr("subprocess.Popen", begin)


def test_the_clock_is_set_back(
    serve: Serve, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times run on, and changes are seen, whenever their files say that they were made."""
    back = tmp_path / "back"
    start_with(
        monkeypatch,
        "import os, time\n"
        "now, nanoseconds = time.time, time.time_ns\n"
        f"back = lambda: 86_400 * os.path.exists({str(back)!r})\n"
        "time.time = lambda: now() - back()\n"
        "time.time_ns = lambda: nanoseconds() - back() * 10**9\n",
    )
    server = serve(lab, "--idle-timeout", "1")
    with server.connect() as idle:
        idle.sendall(ADA)
        assert b"4711" in idle.recv(1_000)
        back.touch()
        idle.settimeout(WAIT)
        assert idle.recv(1_000) == b"", "it was closed in time"
    for phone, days in (("4798", -2), ("4799", 2)):
        aside = lab / ".aside"
        aside.write_text((lab / "phonebook.yaml").read_text().replace("4711", phone))
        os.utime(aside, (time.time() + days * 86_400,) * 2)
        aside.replace(lab / "phonebook.yaml")
        change_seen = phone.encode()
        server.until(lambda seen=change_seen: answers(server, seen))  # type: ignore[misc]
        back.unlink(missing_ok=True)
        change(lab, phone, "4711")
        server.until(lambda: answers(server, b"4711"))
        back.touch()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5.0


# The network


INTERFACE = "phonebook0"
PEER = "phonebook1"
ADD_INTERFACE = ("ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", PEER)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=WAIT)


@pytest.mark.full
@as_root
def test_the_interface_comes_back(lab: Path) -> None:
    """A server on an address answers again when that is there again, and has nothing to say."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        pytest.skip("there is no ip, unshare or nsenter here")
    probe = ["unshare", "--net", *ADD_INTERFACE]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network can be made: {done.stderr.strip()}")
    here = Path(__file__)
    code = "import test_faults, sys; test_faults.goes_and_comes(sys.argv[1])"
    paths = [str(here.parent), str(here.parent.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", code, str(lab)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=3 * WAIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def goes_and_comes(lab: str) -> None:
    """Run a server on a network of its own, ask from another, and take away what joins them."""
    with subprocess.Popen(["unshare", "--net", "sleep", "120"]) as other:
        try:
            inside = Path(f"/proc/{other.pid}/ns/net")
            deadline = time.monotonic() + WAIT
            while os.readlink(inside) == os.readlink("/proc/self/ns/net"):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            with inside.open() as network, ThreadPoolExecutor(1) as asker:
                entered = asker.submit(ctypes.CDLL(None).setns, network.fileno(), 0).result()
                assert entered == 0, "sockets of this thread are the other network's"
                joined(Path(lab), other.pid, asker)
        finally:
            other.kill()


def joined(lab: Path, other: int, asker: ThreadPoolExecutor) -> None:
    """Ask a server, in a thread that is elsewhere, while its interface goes and comes."""
    hosts = ("192.0.2.1/24", "2001:db8::1/64")
    run(*ADD_INTERFACE)
    run("ip", "link", "set", PEER, "netns", str(other))
    there = ("nsenter", "--net", "--target", str(other))
    for address in ("192.0.2.2/24", "2001:db8::2/64"):
        run(*there, "ip", "addr", "add", address, "dev", PEER, *_at_once(address))
    run(*there, "ip", "link", "set", PEER, "up")

    def addresses(what: str) -> None:
        for each in hosts:
            run("ip", "addr", what, each, "dev", INTERFACE, *_at_once(each))

    def is_up(whether: str) -> None:
        run("ip", "link", "set", INTERFACE, whether)

    def answered(server: Server, host: str) -> bool:
        with contextlib.suppress(OSError):
            found = server.ask_datagram(ADA_DATAGRAM, host.partition("/")[0], 0.3)
            return found is not None and b"4711" in found[0]
        return False

    def answer(server: Server, all_or_none: bool) -> bool:
        asked = [asker.submit(answered, server, host).result() for host in hosts]
        return asked == [all_or_none] * len(hosts)

    addresses("add")
    is_up("up")
    names = [each for host in hosts for each in ("--host", host.partition("/")[0])]
    server = Server(lab, [*names, "--entries-per-minute", "0"])
    try:
        server.wait_ready()
        server.until(lambda: answer(server, True))
        said = server.said
        is_up("down")
        server.until(lambda: answer(server, False))
        run("ip", "addr", "replace", hosts[1], "dev", INTERFACE, "nodad")  # which went with it
        is_up("up")
        server.until(lambda: answer(server, True))
        addresses("del")
        server.until(lambda: answer(server, False))
        addresses("add")
        server.until(lambda: answer(server, True))
        for host in hosts:
            assert b"4711" in asker.submit(server.ask, ADA, host.partition("/")[0]).result()
        assert server.said == said, "there was nothing to say"
    finally:
        server.end()


def _at_once(address: str) -> list[str]:
    """Return what has an IPv6 address be there without asking others for it."""
    return ["nodad"] if ":" in address else []


class Line:
    """A socket over which nothing can be sent."""

    def __init__(self, number: int) -> None:
        """Fail by this error."""
        self.number, self.waiting, self.sent = number, [ADA_DATAGRAM] * 3, 0

    def getsockname(self) -> tuple[str, int]:
        return "192.0.2.1", 767

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int]]:
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(), ("192.0.2.2", 4_711)

    def sendto(self, *_: object) -> None:
        self.sent += 1
        raise OSError(self.number, "no")


@pytest.mark.parametrize("name", ["ENETUNREACH", "EPERM", "ENETDOWN", "EINVAL", "ENOBUFS"])
def test_a_reply_that_cannot_be_sent(
    lab: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """It is lost, as UDP's may be; the next datagram is answered, and nothing is logged."""
    line = Line(getattr(errno, name))
    port = DatagramPort(line, State(read_served(lab, lambda _: Terms())))  # type: ignore[arg-type]
    with caplog.at_level(logging.DEBUG):
        port.doRead()
    assert (line.sent, caplog.records) == (3, [])


# Others


def test_tls_in_vain_is_told_once(serve: Serve, lab: Path) -> None:
    """Whoever connects writes no log of ours."""
    server = serve(lab)
    for _ in range(3):
        with server.connect() as connection:
            connection.sendall(b"\x16\x03\x01")
            with contextlib.suppress(ConnectionError):
                assert connection.recv(100) == b""
    assert server.ask(b"ENTRY nobody\r\n") == NOBODY
    assert logged(server, "TLS is not set up (--tls-cert, --tls-key)") == 1
    assert len(server.words) == 2, "that, and that it is ready"


def test_what_a_colleague_leaves(serve: Serve, lab: Path) -> None:
    """What a colleague leaves in the directory is refused at a reload; its removal is noticed."""
    server = serve(lab)
    (lab / "x.yaml").symlink_to("/etc/hostname")
    server.until(lambda: logged(server, REFUSED) == 1)
    assert logged(server, f"{lab}/x.yaml:1:1: error: This link leads out of the directory: ") == 1
    assert logged(server, "--links-out") == 1
    assert answers(server, b"4711")
    (lab / "x.yaml").unlink()
    os.mkfifo(lab / "y.yaml")
    server.until(lambda: logged(server, REFUSED) == 2)
    (lab / "y.yaml").unlink()
    server.until(lambda: logged(server, "reloaded: ") == 1)


def test_the_readme_has_the_bound_of_the_log() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert f"at most {PER_SECOND:,} lines of log a second" in text
