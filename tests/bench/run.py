"""Measure start-up times, and requests per CPU second beside a bare Twisted server.

`python tests/bench/run.py [--rounds N] [--seconds S] [--json FILE]`; README.md says how and why.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LAB = ROOT / "examples" / "lab"
REPEATS = 7  # of each start
REQUESTS = {"id": b"ENTRY ada-byron", "word": b"LOOKUP limit=3 fields=name,phone ada"}
BINARIES = Path(sys.executable).parent
TICKS = os.sysconf("SC_CLK_TCK")  # per second


def main() -> None:
    """Measure all, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of each load")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write it there")
    arguments = parser.parse_args()
    report = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "start": start_times(),
        "load": loads(arguments.rounds, arguments.seconds),
    }
    table(report)
    text = json.dumps(report, indent=2)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    else:
        print(f"\n{text}")


# Start-up


def start_times() -> dict[str, dict[str, float]]:
    """Return the median and the slowest of each start, in seconds."""
    phone = str(BINARIES / "phone")
    with ours() as server:
        lookup = [phone, "--server", f"127.0.0.1:{server.port}", "ada"]
        measured = {
            "python -c pass": repeated(lambda: run([sys.executable, "-c", "pass"])),
            "phone --help": repeated(lambda: run([phone, "--help"])),
            "phone ada": repeated(lambda: run(lookup)),
        }
    measured["serve examples/lab"] = repeated(serve_once)
    return {
        what: {"median": statistics.median(times), "slowest": max(times)}
        for what, times in measured.items()
    }


def repeated(action: Callable[[], object]) -> list[float]:
    """Return how long each of several runs took; one more before them warms the disk."""
    action()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return times


def run(command: list[str]) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def serve_once() -> None:
    """Start a server, wait until it answers, and have it killed."""
    with ours() as server:
        ask(server.port, REQUESTS["id"] + b"\r\n")


# Load


class Running:
    """A server process and its port."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        """Hold both."""
        self.pid, self.port = process.pid, port

    def processor_time(self) -> float:
        """Return the CPU seconds that it has used, its own and the kernel's for it."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextlib.contextmanager
def started(
    command: list[str], port: Callable[[bytes], int | None], **pipe: int
) -> Iterator[Running]:
    """Run a server until it says its port; kill it in the end."""
    process = subprocess.Popen(command, **pipe)
    try:
        stream = process.stdout or process.stderr
        assert stream is not None
        found = next((number for line in stream if (number := port(line)) is not None), None)
        assert found is not None, f"it did not start: {command}"
        yield Running(process, found)
    finally:
        process.kill()
        process.wait()


def ours() -> contextlib.AbstractContextManager[Running]:
    """Run `phonebook serve` over the lab."""

    def port(line: bytes) -> int | None:
        ready = b": ready: " in line
        return int(line.split(b" on ")[1].split()[0].rpartition(b":")[2]) if ready else None

    command = [str(BINARIES / "phonebook"), "serve", "--host", "127.0.0.1", "--port", "0", str(LAB)]
    return started(command, port, stderr=subprocess.PIPE)


def bare(
    over_udp: bytes, over_tcp: bytes, folder: Path
) -> contextlib.AbstractContextManager[Running]:
    """Run the bare server with these replies."""
    (folder / "udp").write_bytes(over_udp)
    (folder / "tcp").write_bytes(over_tcp)
    command = [sys.executable, str(HERE / "bare.py"), str(folder / "udp"), str(folder / "tcp")]
    return started(command, int, stdout=subprocess.PIPE)


def ask(port: int, request: bytes) -> bytes:
    """Return one reply over TCP."""
    import socket

    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def loads(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return requests per CPU second, ours and bare in turn; medians over the rounds."""
    report = {}
    for name, line in REQUESTS.items():
        padded, plain = line.ljust(1_198) + b"\r\n", line + b"\r\n"
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(ours())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            reply = ask(server.port, plain)
            assert reply.startswith(b"250 ") and len(reply) <= len(padded)
            other = stack.enter_context(bare(reply, reply, folder))
            for kind in ("udp", "tcp", "pipelined"):
                request = padded if kind == "udp" else plain
                rates: list[tuple[float, float]] = []
                walls = []
                for _ in range(rounds):
                    own, wall = rate(server, kind, request, seconds)
                    rates.append((own, rate(other, kind, request, seconds)[0]))
                    walls.append(wall)
                report[f"{kind}, {name}"] = {
                    "reply octets": len(reply),
                    "ours per CPU second": statistics.median(own for own, _ in rates),
                    "bare per CPU second": statistics.median(bare for _, bare in rates),
                    "ours / bare": statistics.median(own / bare for own, bare in rates),
                    "ours per second": statistics.median(walls),
                }
    return report


def rate(server: Running, kind: str, request: bytes, seconds: float) -> tuple[float, float]:
    """Return requests per CPU second of the server, and per second of the clock."""
    command = [sys.executable, str(HERE / "load.py"), kind, str(server.port), str(seconds)]
    before = server.processor_time()
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True)
    counted = json.loads(done.stdout)
    used = server.processor_time() - before
    return counted["replies"] / used, counted["replies"] / counted["seconds"]


def table(report: dict[str, object]) -> None:
    """Print what a person reads."""
    start, load = report["start"], report["load"]
    assert isinstance(start, dict) and isinstance(load, dict)
    print(f"Python {report['python']}, {report['processors']} processors\n")
    print(f"{'start':22}{'median':>10}{'slowest':>10}")
    for what, times in start.items():
        print(f"{what:22}{times['median']:>8.3f} s{times['slowest']:>8.3f} s")
    print(f"\n{'requests per CPU second':24}{'ours':>10}{'bare':>10}{'ratio':>8}{'per second':>12}")
    for what, numbers in load.items():
        _, own, other, ratio, wall = numbers.values()
        print(f"{what:24}{own:>10,.0f}{other:>10,.0f}{ratio:>8.2f}{wall:>12,.0f}")


if __name__ == "__main__":
    main()
