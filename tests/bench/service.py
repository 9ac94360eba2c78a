"""Lookups without a network: octets of a request in, octets of its reply out.

Each directory is measured in a process of its own, on the server's core, in CPU time of its thread.
No request is asked twice within a run, as far as the directory has so many.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from data import SAMPLE, Data, complaint
from processes import CORES, ENVIRONMENT, NotHereError
from rows import Bar, Row, table

RUNS = 3  # the best of them counts

RATES = {"id": Bar(250e3, 400e3), "word": Bar(120e3, 200e3), "name": Bar(50e3, 65e3)}
P99 = {  # milliseconds
    ("name", "100k"): Bar(0.5, 0.1),
    ("name", "1m"): Bar(2, 0.5),
    ("typo", "10k"): Bar(0.5, 0.3),
    ("typo", "100k"): Bar(1.5, 1),
    ("typo", "1m"): Bar(4, 3),
}

Answer = Callable[[bytes], tuple[bytes, bool]]


def service(directory: Path) -> Answer:
    """Return what answers a line without its end. All that these rows know of the service's API."""
    from phonebook.server.reload import read_served
    from phonebook.service.answer import answer
    from phonebook.service.snapshot import Terms

    snapshot = read_served(directory, lambda _: Terms()).public
    return partial(answer, snapshot=snapshot)


# In the process of its own


def lookups(answer: Answer, lines: list[bytes]) -> dict[str, float]:
    """Return lookups a second, and the quickest, middle and slowest times, in milliseconds."""
    rates, times = [], []
    for number in range(RUNS):
        part = lines[number::RUNS]
        began = time.thread_time()
        for line in part:
            answer(line)
        rates.append(len(part) / (time.thread_time() - began))
    for number in range(RUNS):
        spent = []
        for line in lines[number::RUNS]:
            before = time.thread_time_ns()
            answer(line)
            spent.append(time.thread_time_ns() - before)
        times.append([each / 1e6 for each in sorted(spent)])
    return {
        "rate": max(rates),
        "p50": min(each[len(each) // 2] for each in times),
        "p99": min(each[len(each) * 99 // 100] for each in times),
        "slowest": min(each[-1] for each in times),
    }


def main() -> None:
    """Measure one directory: `service.py DIRECTORY FILE`, the lines of each kind as JSON."""
    answer = service(Path(sys.argv[1]))
    kinds = json.loads(Path(sys.argv[2]).read_text())
    found, wrong = {}, {}
    for kind, texts in kinds.items():
        lines = [text.encode() for text in texts]
        found[kind] = lookups(answer, lines)
        wrong[kind] = complaint(kind, [answer(line)[0] for line in lines[:SAMPLE]])
    print(json.dumps([found, wrong]))


# Out of it


def our_lines(data: Data) -> dict[str, list[str]]:
    """Return what is looked up, by kind."""
    return {
        "id": [f"ENTRY {key}" for key in data.draw(data.an_id)],
        "word": [f"LOOKUP {word}" for word in data.draw(data.a_word)],
        "name": [f"LOOKUP limit=10 {name}" for name in data.draw(data.a_name)],
        "typo": [f"LOOKUP {name}" for name in data.draw(data.a_misspelt_name)],
    }


def measure(data: Data, folder: Path) -> tuple[list[Row], dict[str, dict[str, float]]]:
    """Return the rows for a directory, and all figures for JSON."""
    asked = folder / "lines.json"
    asked.write_text(json.dumps(our_lines(data)))
    command = ["taskset", "-c", str(CORES.server), sys.executable, __file__]
    done = subprocess.run(
        [*command, data.path, asked], env=ENVIRONMENT, capture_output=True, check=False
    )
    if done.returncode:
        raise NotHereError(f"lookups failed: {done.stderr[-300:].decode(errors='replace')}")
    found, wrong = json.loads(done.stdout)
    rows = []
    if data.size == "100k":
        for kind, bar in RATES.items():
            rate = found[kind]["rate"]
            rows.append(Row(f"lookups by {kind}", data.size, bar, rate, "/s", wrong[kind]))
    for (kind, size), bar in P99.items():
        if size == data.size:
            p99 = found[kind]["p99"]
            rows.append(Row(f"p99 by {kind}", size, bar, p99, "ms", wrong[kind]))
    return rows, found


def lookups_table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the table of all directories."""
    head = ["lookup by", "entries", "per s", "p50 ms", "p99 ms", "slowest ms"]
    lines = (
        [kind, size, *figures.values()]
        for size, kinds in found.items()
        for kind, figures in kinds.items()
    )
    return table(head, lines)


if __name__ == "__main__":
    main()
