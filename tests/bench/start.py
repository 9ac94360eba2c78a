"""Start-up: how long commands take, on the clock."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from processes import ENVIRONMENT, ROOT, ask, ours
from rows import table

HERE = Path(__file__).parent
LAB = ROOT / "examples" / "lab"
REPEATS = 7  # of each start


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """Return the median and the slowest of each start, in seconds."""
    phone = [
        sys.executable,
        "-c",
        "from phonebook.cli.main import phone; raise SystemExit(phone())",
    ]
    log = folder / "start.log"

    def serve() -> None:
        with ours(LAB, log) as server:
            ask(server.port, b"ENTRY ada-byron\r\n")

    with ours(LAB, folder / "lab.log") as server:
        lookup = [*phone, "--server", f"127.0.0.1:{server.port}", "ada"]
        measured = {
            "python -c pass": repeated(lambda: run([sys.executable, "-c", "pass"])),
            "phone --help": repeated(lambda: run([*phone, "--help"])),
            "phone ada": repeated(lambda: run(lookup)),
        }
    measured["serve examples/lab"] = repeated(serve)
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
    subprocess.run(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT, cwd=HERE, check=True)


def start_table(found: dict[str, dict[str, float]]) -> str:
    """Return the table."""
    return table(
        ["start", "median s", "slowest s"], ([what, *f.values()] for what, f in found.items())
    )
