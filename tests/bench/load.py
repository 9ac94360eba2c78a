"""The load generator: compiles load.c, runs it, and puts the server's CPU time beside its count."""

import json
import shutil
import statistics
import struct
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import CORES, NotHereError, Server

SOURCE = Path(__file__).with_name("load.c")
WARM = 0.3  # seconds before each measurement
PADDED = 1_200  # octets, as clients pad


@dataclass(frozen=True, slots=True)
class Load:
    """How requests arrive."""

    mode: str  # udp, stay, once: see load.c
    connections: int = 1
    depth: int = 1
    pad: int = 0
    rate: float = 0.0  # requests that fall due each second; 0 is as many as are answered


UDP = Load("udp", depth=32, pad=PADDED)
UDP_BARE = Load("udp", depth=32)
PERSISTENT = Load("stay", connections=50)
PIPELINED = Load("stay", connections=50, depth=16)
ONE_SHOT = Load("once", connections=16)


@dataclass(frozen=True, slots=True)
class Subject:
    """A server and what it is asked."""

    name: str
    server: Server
    load: Load
    requests: Path
    rule: str = "phonebook"  # how a reply ends


@dataclass(frozen=True, slots=True)
class Result:
    """What one load found. Times in microseconds."""

    per_cpu_second: float
    per_second: float
    p50: float
    p99: float
    octets: float  # of a reply
    lost: int
    server_cpu: float  # share of its core
    load_cpu: float  # share of its core, which shows whether it was the bottleneck


class Generator:
    """The compiled load generator."""

    def __init__(self, folder: Path) -> None:
        """Compile it into the folder."""
        compiler = shutil.which("gcc") or shutil.which("cc")
        if not compiler:
            raise NotHereError("no C compiler for the load generator")
        self.binary = folder / "load"
        subprocess.run([compiler, "-O2", "-o", self.binary, SOURCE], check=True)
        self.seed = 0

    def __call__(
        self, subject: Subject, seconds: float, meanwhile: Callable[[], object] | None = None
    ) -> Result:
        """Load a server for so long, after a warm-up; do something else as soon as that ends."""
        self.seed += 1
        load = subject.load
        words = [load.mode, subject.rule, subject.server.port, subject.requests, self.seed]
        words += [WARM, seconds, load.connections, load.depth, load.pad, load.rate]
        command = ["taskset", "-c", str(CORES.load), str(self.binary), *map(str, words)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0) as process:
            assert process.stdin is not None and process.stdout is not None
            if process.stdout.readline() != b"go\n":
                raise NotHereError(f"{subject.name}: the load failed")
            before = subject.server.processor_time()
            process.stdin.write(b"\n")
            if meanwhile:
                meanwhile()
            line = process.stdout.readline()
            used = subject.server.processor_time() - before
            if not line:
                raise NotHereError(f"{subject.name}: the load failed")
        told = json.loads(line)
        if not told["replies"]:
            raise NotHereError(f"{subject.name}: no reply")
        return Result(
            told["replies"] / used,
            told["replies"] / told["seconds"],
            told["p50"],
            told["p99"],
            told["octets"] / told["replies"],
            told["lost"],
            used / told["seconds"],
            told["cpu"],
        )


def rotate(
    generator: Generator, subjects: Sequence[Subject], rounds: int, seconds: float
) -> dict[str, list[Result]]:
    """Load all in turn, so that what the machine does besides hits all alike."""
    results: dict[str, list[Result]] = {subject.name: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            results[subject.name].append(generator(subject, seconds))
    return results


def ratio(over: Sequence[Result], under: Sequence[Result]) -> float:
    """Return the median of the rounds' ratios of the rates.

    The first rounds were gone by both; one that was measured again with another has more.
    """
    pairs = zip(over, under, strict=False)
    return statistics.median(one.per_cpu_second / other.per_cpu_second for one, other in pairs)


def median(results: Sequence[Result]) -> dict[str, float]:
    """Return the median of each figure, and the spread of the rate between the rounds."""
    figures = {
        name: float(statistics.median(getattr(each, name) for each in results))
        for name in Result.__slots__
    }
    rates = [each.per_cpu_second for each in results]
    return {**figures, "spread": (max(rates) - min(rates)) / figures["per_cpu_second"]}


def write_requests(path: Path, requests: Iterable[bytes]) -> Path:
    """Write records as load.c reads them."""
    path.write_bytes(b"".join(struct.pack(">I", len(each)) + each for each in requests))
    return path
