"""Measure Phonebook beside bare Twisted servers and other directory servers; README.md says how.

`python tests/bench/run.py [--rows start,network,...] [--entries 1k,100k,...] [--json FILE]`
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import network
import peers
import plot
import processes
import service
import snapshot
import start
import timing
from data import SIZES, Data, default_folder
from load import Generator
from processes import CORES, NotHereError
from rows import Row, rows_table

ROWS = ("start", "network", "lookups", "snapshot", "time")
IN_NETWORK = ("1k", "100k")  # sizes whose network rows are shown
IN_TIME = ("1k", "100k")

Figures = dict[str, dict[str, dict[str, float]]]  # by size and subject


def main() -> None:
    """Measure what was chosen, print tables, write JSON and plots."""
    arguments = parsed()
    processes.ENVIRONMENT["PYTHONPATH"] = str(arguments.tree.resolve())
    report = Report()
    with tempfile.TemporaryDirectory(prefix="phonebook-bench-") as folder:
        Path(folder).chmod(0o755)  # dictd gives up being root before it reads
        processes.ENVIRONMENT["XDG_CACHE_HOME"] = f"{folder}/cache"
        try:
            measure(arguments, Path(folder), report)
        finally:  # what there is, if it was interrupted
            report.finish(arguments.json, arguments.svg)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--rows", type=words(ROWS), default=list(ROWS), help=f"of {','.join(ROWS)}; all")
    sizes = ",".join(SIZES)
    add("--entries", type=words(tuple(SIZES)), default=list(SIZES), help=f"of {sizes}; all")
    add("--rounds", type=int, default=5, metavar="N", help="of each rotation (%(default)s)")
    add("--seconds", type=float, default=1.2, metavar="S", help="of each load (%(default)s)")
    add("--data", type=Path, default=default_folder(), metavar="DIR", help="directories, kept")
    add("--tree", type=Path, default=processes.ROOT, metavar="DIR", help="measure this checkout")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    add("--svg", type=Path, metavar="DIR", help="write plots there")
    return parser.parse_args()


def words(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Return a reader of words with commas between."""

    def read(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [word for word in chosen if word not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return [word for word in known if word in chosen]

    return read


def measure(arguments: argparse.Namespace, folder: Path, report: "Report") -> None:
    """Measure, from the smallest directory to the largest."""
    if "start" in arguments.rows:
        report.start = start.measure(folder)
        report.say(start.start_table(report.start))
    for size in arguments.entries:
        (here := folder / size).mkdir()
        try:
            data = Data(arguments.data, size)
            report.entries[size] = len(data.people)
        except NotHereError as error:
            report.say(f"{size}: {error}")
            continue
        if "network" in arguments.rows and size in IN_NETWORK:
            small = Data(arguments.data, "1k") if size != "1k" else None
            rows, told = network.measure(data, small, here, arguments.rounds, arguments.seconds)
            report.add(rows)
            report.network[size], report.notes[size] = told
            report.say(f"{size}\n{network.subjects_table(report.network[size])}")
        if "lookups" in arguments.rows:
            try:
                rows, report.lookups[size] = service.measure(data, here)
                report.add(rows)
                report.say(service.lookups_table({size: report.lookups[size]}))
            except NotHereError as error:
                report.say(f"{size}: {error}")
        if "snapshot" in arguments.rows:
            report.add(snapshot.measure(data, here, Generator(here)))
        if "time" in arguments.rows and size in IN_TIME:
            try:
                rows, report.times[size] = timing.measure(data, here, report.say)
                report.add(rows)
            except NotHereError as error:
                report.say(f"{size}: {error}")


class Report:
    """What was found."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.rows: list[Row] = []
        self.entries: dict[str, int] = {}
        self.start: dict[str, dict[str, float]] = {}
        self.network: dict[str, Figures] = {}  # by size, group and subject
        self.lookups: Figures = {}
        self.times: Figures = {}  # by size, comparison and kind
        self.notes: dict[str, dict[str, str]] = {}

    def say(self, text: str) -> None:
        """Print a part, when it is there."""
        print(f"{text}\n", flush=True)

    def add(self, rows: list[Row]) -> None:
        """Add rows of the table of bars."""
        self.rows += rows
        if rows:
            self.say(rows_table(rows))

    def finish(self, target: Path | None, plots: Path | None) -> None:
        """Print the whole table, and write files."""
        for size, notes in self.notes.items():
            for name, note in notes.items():
                self.say(f"{size}, {name}: {note}")
        if self.rows:
            self.say(rows_table(self.rows))
        if target:
            target.write_text(json.dumps(self.record(), indent=2) + "\n")
        if plots:
            plots.mkdir(parents=True, exist_ok=True)
            for name, content in self.plots():
                (plots / f"{name}.svg").write_text(content, "utf-8")

    def record(self) -> dict[str, object]:
        """Return all figures for JSON."""
        return {
            "machine": {
                "processors": os.cpu_count(),
                "system": platform.platform(),
                "server's core": CORES.server,
                "load's core": CORES.load,
            },
            "versions": peers.versions(),
            "entries": self.entries,
            "rows": [row.record() for row in self.rows],
            "start": self.start,
            "network": self.network,
            "lookups": self.lookups,
            "times": self.times,
            "notes": self.notes,
        }

    def plots(self) -> Iterator[tuple[str, str]]:
        """Yield the plots: rate and p99 against entries."""
        if self.lookups:
            rates, times = self.series(self.lookups, "rate"), self.series(self.lookups, "p99")
            yield "lookups-rate", plot.chart("Lookups, no network", "per CPU second", rates)
            yield "lookups-p99", plot.chart("Lookups, no network: p99", "milliseconds", times)
        for group in network.LOADS:
            found = {size: groups[group] for size, groups in self.network.items()}
            if found:
                rates = self.series(found, "per_cpu_second")
                yield f"{group}-rate", plot.chart(group, "requests per CPU second", rates)
                times = self.series(found, "p99")
                yield f"{group}-p99", plot.chart(f"{group}: p99", "microseconds", times)

    def series(self, figures: Figures, what: str) -> plot.Series:
        """Return a figure of each subject against the number of entries."""
        lines: dict[str, list[tuple[float, float]]] = {}
        for size, subjects in figures.items():
            for name, found in subjects.items():
                lines.setdefault(name, []).append((self.entries[size], found[what]))
        return lines


if __name__ == "__main__":
    main()
