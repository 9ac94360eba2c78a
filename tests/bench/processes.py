"""Servers as processes of their own, held to one core, and the CPU time that they use."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
TICKS = os.sysconf("SC_CLK_TCK")  # per second
PATIENCE = 900.0  # seconds for a server to start

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # what is measured is this tree


class NotHereError(Exception):
    """Something that a row needs is not installed, or not allowed."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the server runs, and where all else does; the same core where there is but one."""

    server: int
    load: int


def two_cores() -> Cores:
    """Return two cores that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


CORES = two_cores()
EVERY_CORE = ",".join(map(str, sorted(os.sched_getaffinity(0))))


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    pid: int
    port: int

    def processor_time(self) -> float:
        """Return the CPU seconds used so far: its own, its threads' and all its children's.

        A process that lives is asked to the nanosecond; of those that ended, the parent knows, in
        ticks of a hundredth of a second.
        """
        return sum(_own_time(pid) + _ended_children(pid) for pid in self.family())

    def family(self) -> list[int]:
        """Return the process and its descendants that live."""
        parents = {}
        for each in os.scandir("/proc"):
            if each.name.isdigit() and (fields := _stat(int(each.name))):
                parents[int(each.name)] = int(fields[1])
        found = [self.pid]
        for pid in found:
            found.extend(child for child, parent in parents.items() if parent == pid)
        return found

    def memory(self, kind: str) -> int:
        """Return the most octets of memory that one of its processes has, of a kind that the kernel
        names: `Rss`, `Private_Dirty`.
        """
        return max(
            int(found[1]) * 1024
            for pid in self.family()
            if (found := re.search(rf"^{kind}: +(\d+)", _text(f"/proc/{pid}/smaps_rollup"), re.M))
        )


def _text(path: str) -> str:
    """Return what a file of the kernel holds, or nothing if its process has gone."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """Return the fields behind the name of the process, or none if it has gone."""
    return _text(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _own_time(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | 2)  # the process's clock, by clock_getcpuclockid(3)
    except OSError:
        return 0.0


def _ended_children(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) / TICKS if fields else 0.0


@contextlib.contextmanager
def started(
    command: Sequence[str | Path],
    log: Path,
    *,
    port: int | None = None,
    says: str = r"port (\d+)",
    cores: str = "",
) -> Iterator[Server]:
    """Run a server, on its core unless others are named, until the end of the block.

    It is up when it takes connections on the port, or, if it picks one, when it says which.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", cores or str(CORES.server), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=ENVIRONMENT,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        found = None
        while found is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotHereError(f"{command[0]} did not start: {log.read_text()[-300:]}")
            found = _said(log, says) if port is None else port if _listens(port) else None
            time.sleep(0.002)
        yield Server(process.pid, found)
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)


def _said(log: Path, pattern: str) -> int | None:
    match = re.search(pattern, log.read_text(errors="replace"))
    return int(match[1]) if match else None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def free_port() -> int:
    """Return a port that is free now, for servers that cannot pick one."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def ours(
    directory: Path, log: Path, cores: str = "", *options: str
) -> contextlib.AbstractContextManager[Server]:
    """Run `phonebook serve` over a directory, both transports on one port."""
    command = [sys.executable, "-m", "phonebook", "serve", "--host", HOST, "--port", "0"]
    command += ["--entries-per-minute", "0"]  # a load asks more than a network does
    return started([*command, *options, directory], log, says=r"ready: .*:(\d+) \(", cores=cores)


def stock(kind: str, what: object, log: Path) -> contextlib.AbstractContextManager[Server]:
    """Run one of Twisted's own servers."""
    command = [sys.executable, str(Path(__file__).with_name("stock.py")), kind, str(what)]
    return started(command, log)


def ask(port: int, request: bytes) -> bytes:
    """Return what a server answers over TCP until it closes."""
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))
