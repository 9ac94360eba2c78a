"""Requests per CPU second of the server, beside the bare Twisted servers and the peers.

All servers are up at once, and are asked in turn, round after round; a figure is the median of the
rounds' ratios.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import peers
from data import SAMPLE, Data, complaint
from load import (
    ONE_SHOT,
    PERSISTENT,
    PIPELINED,
    UDP,
    UDP_BARE,
    Generator,
    Load,
    Result,
    Subject,
    median,
    ratio,
    rotate,
    write_requests,
)
from processes import NotHereError, Server, ask, ours, stock
from rows import Bar, Row, table

LENGTH_TIME = 0.3  # seconds to learn how long replies are

LOADS = {
    "UDP": (UDP, "datagram", Bar(0.8, 1.0)),
    "persistent": (PERSISTENT, "protocol", Bar(1.1, 1.4)),
    "one-shot": (ONE_SHOT, "protocol", Bar(1.0, 1.15)),
    "pipelined": (PIPELINED, "lines", Bar(0.7, 0.9)),
}
SLAPD = {"one-shot": Bar(1.9, 2.2), "persistent": Bar(2.2, 2.7), "pipelined": Bar(8, 10)}


def our_requests(data: Data) -> dict[str, list[bytes]]:
    """Return what Phonebook is asked, by kind."""
    lines = {
        "id": [f"ENTRY {key}" for key in data.draw(data.an_id)],
        "word": [f"LOOKUP {word}" for word in data.draw(data.a_word)],
        "prefix": [f"LOOKUP fields=name {word}" for word in data.draw(data.a_prefix)],
        "typo": [f"LOOKUP fields=name {name}" for name in data.draw(data.a_misspelt_name)],
    }
    return {kind: [line.encode() + b"\r\n" for line in drawn] for kind, drawn in lines.items()}


@dataclass
class Bench:
    """One rotation in the making: servers that run, what they are asked, and rows."""

    data: Data
    folder: Path
    generator: Generator
    stack: contextlib.ExitStack
    notes: dict[str, str] = field(default_factory=dict)  # why a subject is not there
    groups: dict[str, list[Subject]] = field(default_factory=dict)
    pairs: list[tuple[str, str, str, Bar]] = field(default_factory=list)  # name, over, under, bar

    def requests(self, name: str, lines: list[bytes]) -> Path:
        """Write requests into a file."""
        return write_requests(self.folder / f"{name}.requests", lines)

    def add(
        self, group: str, name: str, server: Server, load: Load, requests: Path, rule: str
    ) -> Subject:
        """Ask a server in this group."""
        subject = Subject(name, server, load, requests, rule)
        self.groups.setdefault(group, []).append(subject)
        return subject

    def ours(self) -> None:
        """Start Phonebook, and the bare servers with replies as long as its own."""
        server = self.stack.enter_context(ours(self.data.path, self.folder / "ours.log"))
        files = {}
        for kind, lines in our_requests(self.data).items():
            if not lines:
                self.notes[f"by {kind}"] = "no such name in this directory"
                continue
            files[kind] = self.requests(kind, lines)
            replies = ask(server.port, b"".join(lines[:SAMPLE])).split(b"\r\n.\r\n")
            if wrong := complaint(kind, replies[:-1]):
                self.notes[f"by {kind}"] = wrong
        for group, (load, kind_of_stock, bar) in LOADS.items():
            for kind in ("id", "word"):
                if kind not in files:
                    continue
                name = f"{group} by {kind}"
                mine = self.add(group, name, server, load, files[kind], "phonebook")
                length = round(self.generator(mine, LENGTH_TIME).octets)
                under = f"stock {kind_of_stock}, {name}"
                log = self.folder / f"{name}.log"
                other = self.stack.enter_context(stock(kind_of_stock, length, log))
                self.add(group, under, other, load, files[kind], "phonebook")
                self.pairs.append((f"{name} / stock {kind_of_stock}", name, under, bar))
        for kind in ("prefix", "typo"):
            if kind in files:
                self.add("persistent", kind, server, PERSISTENT, files[kind], "phonebook")
        self.two_workers(files["id"])

    def two_workers(self, requests: Path) -> None:
        """Start Phonebook with two workers, too: each is to do nearly as much as one alone."""
        log = self.folder / "workers.log"
        server = self.stack.enter_context(ours(self.data.path, log, "", "--workers", "2"))
        for group in ("UDP", "persistent", "one-shot"):
            name = f"two workers, {group}"
            self.add(group, name, server, LOADS[group][0], requests, "phonebook")
            self.pairs.append((f"{name} / one", name, f"{group} by id", Bar(0.95, 1.0)))

    def own_1k(self, small: Data) -> None:
        """Start Phonebook with 1,000 entries, too."""
        server = self.stack.enter_context(ours(small.path, self.folder / "small.log"))
        lines = [f"ENTRY {key}\r\n".encode() for key in small.draw(small.an_id)]
        self.add("UDP", "own 1k", server, UDP, self.requests("own 1k", lines), "phonebook")
        self.pairs.append(("UDP by id / own 1k", "UDP by id", "own 1k", Bar(0.9, 0.97)))

    def peers(self) -> None:
        """Start all peers."""
        for name, start, ask_for in (
            ("slapd", peers.slapd, self.ask_slapd),
            ("dictd", peers.dictd, self.ask_dictd),
            ("finger", peers.finger, self.ask_finger),
            ("twisted.names", peers.twisted_names, self.ask_names),
            ("nsd", peers.nsd, self.ask_names),
        ):
            (folder := self.folder / name).mkdir()
            try:
                server = self.stack.enter_context(start(folder, self.data.people))
            except NotHereError as error:
                self.notes[name] = str(error)
            else:
                ask_for(name, server)

    def ask_slapd(self, name: str, server: Server) -> None:
        """Look up by uid."""
        keys = self.data.draw(self.data.an_id)
        file = self.requests(name, [peers.ldap_search(key) for key in keys])
        for group, bar in SLAPD.items():
            under = f"{name} equality, {group}"
            self.add(group, under, server, LOADS[group][0], file, "ldap")
            self.pairs.append((f"{group} by id / slapd", f"{group} by id", under, bar))

    def ask_dictd(self, name: str, server: Server) -> None:
        """Define, and match with two strategies."""
        data = self.data
        at_100k = data.size == "100k"  # the bars of the two strategies hold there
        for kind, over, make, drawn, bar in (
            ("DEFINE", "persistent by id", peers.dict_define, data.an_id, Bar(3, 3.5)),
            ("MATCH prefix", "prefix", peers.dict_prefix, data.an_id_prefix, Bar(1, 3)),
            ("MATCH lev", "typo", peers.dict_near, data.a_misspelt_name, Bar(1, 3)),
        ):
            if keys := data.draw(drawn):
                under = f"{name} {kind}"
                file = self.requests(under, [make(key) for key in keys])
                self.add("persistent", under, server, PERSISTENT, file, "dict")
                if at_100k or kind == "DEFINE":
                    self.pairs.append((f"{over} / {under}", over, under, bar))

    def ask_finger(self, name: str, server: Server) -> None:
        """Ask for users."""
        count = min(len(self.data.people), peers.USERS)
        file = self.requests(name, [peers.finger_query(number) for number in range(count)])
        self.add("one-shot", f"finger, {count} users", server, ONE_SHOT, file, "eof")
        pair = ("one-shot by id / finger", "one-shot by id", f"finger, {count} users")
        self.pairs.append((*pair, Bar(40, 50)))

    def ask_names(self, name: str, server: Server) -> None:
        """Ask for texts."""
        keys = self.data.draw(self.data.an_id)
        file = self.requests(name, [peers.dns_query(key) for key in keys])
        self.add("UDP", name, server, UDP_BARE, file, "phonebook")
        bar = Bar(0.45, 0.55) if name == "nsd" else Bar(4, 5)
        self.pairs.append((f"UDP by id / {name}", "UDP by id", name, bar))

    def measure(self, rounds: int, seconds: float) -> tuple[list[Row], dict[str, list[Result]]]:
        """Go round; once more, twice as long, with what came too near to its bar."""
        results: dict[str, list[Result]] = {}
        for subjects in self.groups.values():
            results |= rotate(self.generator, subjects, rounds, seconds)
        again = {
            name
            for _, over, under, bar in self.pairs
            if bar.near(ratio(results[over], results[under]))
            for name in (over, under)
        }
        for subjects in self.groups.values():
            chosen = [subject for subject in subjects if subject.name in again]
            for name, more in rotate(self.generator, chosen, 2 * rounds, seconds).items():
                results[name] += more
        return [self.row(pair, results) for pair in self.pairs], results

    def row(self, pair: tuple[str, str, str, Bar], results: dict[str, list[Result]]) -> Row:
        """Return a row of the table."""
        name, over, under, bar = pair
        note = self.notes.get(f"by {over.rpartition(' ')[2]}", "")
        return Row(name, self.data.size, bar, ratio(results[over], results[under]), "x", note)


Told = tuple[dict[str, dict[str, dict[str, float]]], dict[str, str]]  # by group and name; notes


def measure(
    data: Data, small: Data | None, folder: Path, rounds: int, seconds: float
) -> tuple[list[Row], Told]:
    """Return the rows for a directory, and all figures."""
    with contextlib.ExitStack() as stack:
        bench = Bench(data, folder, Generator(folder), stack)
        bench.ours()
        if small is not None:
            bench.own_1k(small)
        bench.peers()
        rows, results = bench.measure(rounds, seconds)
    found = {
        group: {subject.name: median(results[subject.name]) for subject in subjects}
        for group, subjects in bench.groups.items()
    }
    return rows, (found, bench.notes)


def subjects_table(groups: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the table of all that was asked."""
    names = ["per_cpu_second", "spread", "per_second", "p50", "p99", "octets", "lost"]
    names += ["server_cpu", "load_cpu"]
    head = ["", "per CPU s", "spread", "per s", "p50 us", "p99 us", "octets", "lost"]
    return table(
        [*head, "its core", "load's"],
        (
            [what, *(each[name] for name in names)]
            for subjects in groups.values()
            for what, each in subjects.items()
        ),
    )
