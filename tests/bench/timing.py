"""Whether the time of an answer tells of what a viewer may not see: two servers are asked the same.

One has entries and fields that the viewer may not see, the other never had them. A comparison is of
many pairs of fresh processes, so that where the system happened to put their memory is chance, too;
README.md, "Time", says what is asked and how the figures are judged.
"""

import contextlib
import json
import logging
import math
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from data import SEED, Data, folded
from load import PADDED
from processes import CORES, ENVIRONMENT, HOST, NotHereError, started
from rows import Bar, Row, table

HIDDEN = 100  # entries; of each, requests of every kind
SEEN_TURBINES, HIDDEN_TURBINES = 950, 150  # entries with a word that is too broad with both
BATCH = 64  # requests to one process before the other has its turn
PAIRS, ROUNDS = 16, 4  # of processes; of all requests
CROPPED = 0.1  # of the requests at each end, by how they differ
PATIENCE = 5.0  # seconds for a reply

SAME = Bar(0.01, 0.05)  # the chance that as much is by chance: less tells the two apart
DIFFERENT = Bar(0.01, 0.001)

VIEWS = "views:\n- name: staff\n  networks: 192.0.2.0/24\n"

FIRST = ", first"
"""Of times in which a process is asked something for the first time: no cache knows it."""

NEITHER = "neither"
"""What is about nothing hidden. By what its times differ, all of two processes' times do: others
are judged beyond that, as whoever asks compares the times of one server with each other."""

Requests = dict[str, list[str]]
"""Lines without their ends, by what they are about."""


# The directories


def word(rng: random.Random) -> str:
    """Return a word that is nobody's name."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(4)) + "x"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is added to a directory, as YAML: where nothing is hidden, and where something is."""

    without: str
    whole: str
    requests: Requests


def secrets(data: Data, unlisted: bool) -> Secrets:
    """Make entries of a view, or unlisted ones, what leads to them, and what would find them."""
    rng = random.Random(SEED)
    hide = "  unlisted: yes\n" if unlisted else "  view: staff\n"
    hide_note = "  unlisted: [note]\n" if unlisted else "  view: {note: staff}\n"
    both, hidden, told = [], [], []
    asked: Requests = {}

    def ask(kind: str, text: str) -> None:
        asked.setdefault(kind, []).append(text)

    both += [f"- name: Turbine {n}\n  id: turbine-{n}\n  kind: group\n" for n in range(9)]
    for number in range(SEEN_TURBINES):
        both.append(f"- name: Rotor {number}\n  id: rotor-{number}\n  title: Turbine\n")
    for number in range(HIDDEN_TURBINES):
        hidden.append(
            f"- name: Blade {number}\n  id: {rng.getrandbits(64):016x}\n  title: Turbine\n{hide}"
        )
    for number in range(HIDDEN):
        first, last, other = word(rng), word(rng), rng.choice(data.people)
        common = rng.choice(folded(rng.choice(data.people).name))  # others' word, too
        id, phone = f"{rng.getrandbits(64):016x}", f"+999 20 {rng.randrange(10**6, 10**7)}"
        name = f"{first} {common} {last}".title()
        group, teller = f"turbine-{number % 9}", f"teller-{number}"
        note = word(rng)
        hidden.append(
            f'- name: {name}\n  id: {id}\n  kind: person\n  phone: "{phone}"\n'
            f"  member-of: {group}\n{hide}"
        )
        plain = f"- name: {word(rng).title()}\n  id: {teller}\n"
        both.append(plain)
        told.append(f"{plain}  contact: {id}\n  note: {note}\n{hide_note}")
        if not unlisted:  # else the id is known to whom it is told
            ask("id", f"ENTRY {id}")
            ask("another's id", f"ENTRY {other.id}")
            ask("paging", f"LOOKUP limit=1 after={id} {common}")
            ask("links", f"ENTRY links=contact {teller}")
            ask("links", f"ENTRY links=contact {id}")
            ask("field", f"ENTRY {teller}")
        ask("word", f"LOOKUP {last}")
        ask("name", f"LOOKUP {first} {common} {last}")
        ask("part of a name", f"LOOKUP {common} {last}")
        ask("common word", f"LOOKUP limit=3 {common}")
        ask("prefix", f"LOOKUP fields=name {last[: rng.randint(2, 5)]}")
        place = rng.randrange(1, len(last))
        ask("misspelling", f"LOOKUP {last[:place] + last[place + 1 :]}")
        ask("misspelling", f"LOOKUP {first} {common} {last[:place] + 'q' + last[place:]}")
        ask("number", f"LOOKUP {phone}")
        ask("number", f"LOOKUP {phone[-7:]}")
        ask("links", f"ENTRY links=member-of limit=3 {group}")
        ask("field", f"LOOKUP {note}")
        ask("paging", f"LOOKUP limit=1 after={rng.choice(data.people).id} {common}")
        ask("too broad", f"LOOKUP limit={number % 32 + 1} turbine")
        ask("too broad", f"LOOKUP fields={rng.choice(['name', 'title'])} turbine {number % 10}")
        ask(NEITHER, f"LOOKUP {' '.join(folded(other.name))}")
    return Secrets("".join(both), "".join(both[: -len(told)] + told + hidden), asked)


def directories(data: Data, folder: Path, made: Secrets) -> tuple[Path, Path]:
    """Write the directory without what is hidden, and with it."""
    found = []
    for name, text in (("without", made.without), ("with", made.whole)):
        shutil.copytree(data.path, folder / name)
        head = folder / name / "phonebook.yaml"
        head.write_text(head.read_text("utf-8") + VIEWS, "utf-8")
        (folder / name / "more.yaml").write_text(text, "utf-8")
        found.append(folder / name)
    return found[0], found[1]


# A server that hides by filtering what it found: it must be told apart


def sabotage() -> None:
    """Have this process answer the public from everything, and leave out afterwards what it may
    not see. Octets are the same; so much less is the time."""
    from phonebook.server import reload
    from phonebook.service import snapshot as service

    honest = reload.serving

    def serving(compiled: Any, terms: Any) -> Any:
        served = honest(compiled, terms)
        public, everything = served.public, served.snapshots["staff"]
        shown = [public.listed.find(id_of(line))[0] for line in rendered(everything)]
        find, near = everything.listed.find, everything.near.match
        match, match_words = everything.index.match, everything.index.match_words

        def filtered(which: Callable[[Any], list[int]]) -> Callable[[Any], list[int]]:
            return lambda asked: [shown[each] for each in which(asked) if shown[each] >= 0]

        own = public.listed

        class Listed:
            get = own.get

            def find(self, id: bytes) -> tuple[int, bytes]:
                place, _ = find(id)
                return own.find(id) if place >= 0 and shown[place] >= 0 else (-1, b"")

        public.listed = Listed()
        public.index.match, public.index.match_words = filtered(match), filtered(match_words)
        public.near.match = filtered(near)
        return served

    def id_of(lines: bytes) -> bytes:
        return lines[4 : lines.index(b"\r")]

    def rendered(snapshot: service.Snapshot) -> Iterator[bytes]:
        return map(snapshot.listed.get, range(snapshot.compiled.tables.count))

    reload.serving = serving


# In a process of its own


def answering(directory: Path, place: Path) -> None:
    """Answer lists of requests with the times that each took, in nanoseconds of the thread."""
    from phonebook.server import reload
    from phonebook.service.answer import answer
    from phonebook.service.snapshot import Terms

    logging.disable(logging.WARNING)
    snapshot = reload.read_served(directory, lambda _: Terms(), place).public
    clock = time.thread_time_ns
    answer(b"HELP", snapshot)
    for asked in sys.stdin:
        told = []
        for text in json.loads(asked):
            line = text.encode()
            before = clock()
            reply, _ = answer(line, snapshot)
            told.append((clock() - before, crc32(reply)))
        print(json.dumps(told), flush=True)


def main() -> None:
    """Be a server: `timing.py answer|serve honest|broken ...`."""
    what, how, *rest = sys.argv[1:]
    if how == "broken":
        sabotage()
    if what == "answer":
        answering(*map(Path, rest))
    else:
        from phonebook.cli.main import main as command

        sys.argv = ["phonebook", "serve", *rest]
        sys.exit(command())


# Out of it: asking


Told = tuple[int, int]
"""How long a reply took, and its checksum."""

Ask = Callable[[Sequence[str]], list[Told]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two servers."""

    directory: Path
    how: str = "honest"


@contextlib.contextmanager
def process(side: Side, place: Path) -> Iterator[Ask]:
    """Ask without a network."""
    command = ["taskset", "-c", str(CORES.server), sys.executable, __file__, "answer", side.how]
    command += map(str, [side.directory, place])
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT, text=True
    ) as running:
        assert running.stdin is not None and running.stdout is not None
        into, out = running.stdin, running.stdout

        def ask(lines: Sequence[str]) -> list[Told]:
            into.write(json.dumps(lines) + "\n")
            into.flush()
            told = out.readline()
            if not told:
                _, said = running.communicate()
                raise NotHereError(f"times: {said[-300:]}")
            return [(spent, checksum) for spent, checksum in json.loads(told)]

        yield ask
        into.close()


@contextlib.contextmanager
def socketed(side: Side, transport: str, folder: Path) -> Iterator[Ask]:
    """Ask a server over a socket, in nanoseconds of the clock."""
    command = [sys.executable, __file__, "serve", side.how, "--host", HOST, "--port", "0"]
    command += ["--entries-per-minute", "0", str(side.directory)]
    datagrams = transport == "UDP"
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    log = Path(tempfile.mkdtemp(dir=folder)) / "log"  # both sides may be of one directory
    with (
        started(command, log, says=r"ready: .*:(\d+) \(") as server,
        socket.socket(socket.AF_INET, kind) as asking,
    ):
        asking.settimeout(PATIENCE)
        asking.connect((HOST, server.port))
        clock = time.perf_counter_ns

        def ask(lines: Sequence[str]) -> list[Told]:
            told = []
            for text in lines:
                line = text.encode().ljust(PADDED - 2 if datagrams else 0) + b"\r\n"
                before = clock()
                asking.send(line)
                reply = asking.recv(65_536)
                while not reply.endswith(b"\r\n.\r\n"):
                    reply += asking.recv(65_536)
                told.append((clock() - before, crc32(reply)))
            return told

        yield ask


Times = dict[str, list[float]]
"""By kind: for each request, by how much its time differs, as the logarithm of the ratio."""


def paired(one: Ask, other: Ask, requests: Requests, rng: random.Random, alike: bool) -> Times:
    """Ask both the same, in random order and by turns, and compare each request with itself."""
    every = [(kind, line) for kind, lines in requests.items() for line in dict.fromkeys(lines)]
    answers: dict[tuple[int, str], list[Told]] = {}
    for _ in range(ROUNDS):
        rng.shuffle(every)
        for start in range(0, len(every), BATCH):
            part = [line for _, line in every[start : start + BATCH]]
            for side, ask in rng.sample([(0, one), (1, other)], 2):
                for line, told in zip(part, ask(part), strict=True):
                    answers.setdefault((side, line), []).append(told)
    found: Times = {}
    for kind, line in every:
        mine, its = (list(zip(*answers[side, line], strict=True)) for side in (0, 1))
        if alike and {*mine[1]} != {*its[1]}:
            raise NotHereError(f"times: the replies to {line!r} differ")
        before, after = found.setdefault(f"{kind}{FIRST}", []), found.setdefault(kind, [])
        before.append(math.log(its[0][0] / mine[0][0]))
        after.append(math.log(statistics.median(its[0][1:]) / statistics.median(mine[0][1:])))
    return found


# What it comes to


@dataclass(frozen=True, slots=True)
class Finding:
    """How two servers differ for a kind of request."""

    kind: str
    difference: float
    """Of the second from the first, as a share, beyond that of requests about nothing hidden."""
    detectable: float
    """A difference that would have been found nine times out of ten."""
    chance: float
    """That as much is found where there is no difference."""


def cropped(values: list[float]) -> float:
    """Return the mean without the ends."""
    some = round(len(values) * CROPPED)
    return statistics.fmean(sorted(values)[some : len(values) - some])


def by_chance(differences: Sequence[float]) -> float:
    """Return how often their sum would be as far from 0 if each could as well be of other sign.

    All 2^n are counted: nothing is assumed of how the times are distributed (Fisher 1935).
    """
    sums = [0.0]
    for each in differences[1:]:  # one sign may be held
        sums = [total + sign * each for total in sums for sign in (1, -1)]
    measured = abs(sum(differences)) * (1 - 1e-12)
    return sum(abs(total + differences[0]) >= measured for total in sums) / len(sums)


def finding(kind: str, differences: Sequence[float], tests: int) -> Finding:
    """Judge one of so many kinds (Bonferroni)."""
    deviation = statistics.stdev(differences) / math.sqrt(len(differences))
    normal = statistics.NormalDist()
    far = normal.inv_cdf(1 - SAME.floor / tests / 2) + normal.inv_cdf(0.9)
    chance = min(1.0, tests * by_chance(differences))
    difference = math.expm1(statistics.fmean(differences))
    return Finding(kind, difference, far * deviation, chance)


def compared(
    connect: Callable[[Side], contextlib.AbstractContextManager[Ask]],
    sides: tuple[Side, Side],
    requests: Requests,
    alike: bool,
) -> list[Finding]:
    """Ask fresh pairs of processes, whose replies are to be alike, or need not."""
    rng = random.Random(SEED)
    found: dict[str, list[float]] = {}
    for number in range(PAIRS):
        with contextlib.ExitStack() as stack:
            asks: dict[int, Ask] = {}
            for each in (0, 1) if number % 2 else (1, 0):
                asks[each] = stack.enter_context(connect(sides[each]))
            times = paired(asks[0], asks[1], requests, rng, alike)
        for kind, differences in times.items():
            about = NEITHER + FIRST if kind.endswith(FIRST) else NEITHER
            anyway = 0.0 if kind == about else cropped(times[about])
            found.setdefault(kind, []).append(cropped(differences) - anyway)
    return [finding(kind, each, len(found)) for kind, each in sorted(found.items())]


def findings_table(name: str, findings: Sequence[Finding]) -> str:
    """Return all kinds of a comparison."""
    lines = (
        [
            each.kind,
            f"{each.difference:+.2%}",
            f"{each.detectable:.2%}",
            f"{each.chance:.2g}",
            "told apart" if each.chance < SAME.floor else "not told apart",
        ]
        for each in findings
    )
    return table([name, "differs by", "detectable", "p", ""], lines)


def measure(
    data: Data, folder: Path, say: Callable[[str], None]
) -> tuple[list[Row], dict[str, dict[str, dict[str, float]]]]:
    """Return the rows for a directory, and all figures for JSON."""
    rows: list[Row] = []
    told: dict[str, dict[str, dict[str, float]]] = {}

    def compare(
        name: str, bar: Bar, sides: tuple[Side, Side], requests: Requests, transport: str
    ) -> None:
        def connect(side: Side) -> contextlib.AbstractContextManager[Ask]:
            return (
                socketed(side, transport, folder) if transport else process(side, folder / "cache")
            )

        found = compared(connect, sides, requests, bar is SAME)
        least = min(each.chance for each in found)
        name = f"{name}, {transport or 'no network'}"
        rows.append(Row(f"time: {name}", data.size, bar, least, "p"))
        told[name] = {
            each.kind: {"difference": each.difference, "detectable": each.detectable}
            | {"chance": each.chance}
            for each in found
        }
        say(findings_table(f"{data.size}: {name}", found))

    for what, unlisted in (("a view", False), ("unlisted", True)):
        made = secrets(data, unlisted)
        (here := folder / what.replace(" ", "-")).mkdir()
        without, whole = directories(data, here, made)
        for transport in ("", "UDP", "TCP"):
            mine = Side(without)
            compare(f"{what}: with / without", SAME, (mine, Side(whole)), made.requests, transport)
            if not unlisted:
                compare("equal servers", SAME, (mine, mine), made.requests, transport)
                broken = Side(whole, "broken")
                compare("filters / without", DIFFERENT, (mine, broken), made.requests, transport)
    return rows, told


if __name__ == "__main__":
    main()
