"""What people expect to find first: golden/README.md tells where the queries come from."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from documents import ROOT
from made import snapshot

from phonebook.directory.load import load
from phonebook.service.answer import answer
from phonebook.service.snapshot import Snapshot
from phonebook.wire import parse_reply

GOLDEN = Path(__file__).parent / "golden"
SHARE = 0.983  # of all queries, that have to hold

# Queries that do not hold, and why the norm has it so. Who makes one hold takes it off the list.
KNOWN = {
    "lab": {
        "workshop": "equal rank, and a group stands before a place ([O-1])",
        "workhsop": "the same",
        "1.04": "extension 104, dialled: class 0, before words of a name that is no person's",
        "020 7946 0101": "0 is not what this directory dials before an area",
    },
    "congress": {"intellectual property": "equal rank, and the sort names decide ([O-2])"},
}

CONGRESS = "PHONEBOOK_CONGRESS"
SOURCE = f"the environment variable {CONGRESS} names no folder (examples/congress/README.md)"


class Wish(NamedTuple):
    """A query, and the entry that a person expects first."""

    query: str
    id: str
    why: str


def wishes(name: str) -> list[Wish]:
    """Return the golden queries over a directory."""
    with (GOLDEN / f"{name}.tsv").open(encoding="utf-8", newline="") as lines:
        return [Wish(*row) for row in csv.reader(lines, "excel-tab", quoting=csv.QUOTE_NONE)]


def failing(asked: Snapshot, name: str) -> dict[str, str]:
    """Return, of each query that does not hold, what came first instead."""
    failed = {}
    for wish in wishes(name):
        octets, _ = answer(f"LOOKUP {wish.query}".encode(), asked)
        reply = parse_reply(octets)
        found = [lines[0][1] for lines in reply.entries]
        if found[:1] != [wish.id]:
            came = ", ".join(found[:3]) or "nothing"
            place = f" (it is number {found.index(wish.id) + 1})" if wish.id in found else ""
            failed[wish.query] = f"{wish.why}: {reply.code} {came}{place}, not {wish.id}"
    return failed


def hold(asked: Snapshot, name: str) -> int:
    """Hold a directory to its golden queries; return how many do not hold, all of them known."""
    failed = failing(asked, name)
    told = "\n".join(f"{query!r} ({why})" for query, why in failed.items())
    assert failed.keys() == KNOWN[name].keys(), f"these do not hold:\n{told}"
    return len(failed)


def test_the_lab() -> None:
    hold(snapshot(load(ROOT / "examples/lab").unwrap()), "lab")


def test_few_are_known_not_to_hold() -> None:
    failed = sum(map(len, KNOWN.values()))
    assert 1 - failed / sum(len(wishes(name)) for name in KNOWN) >= SHARE


@pytest.mark.full
@pytest.mark.skipif(not os.environ.get(CONGRESS), reason=SOURCE)
def test_congress(tmp_path: Path) -> None:
    made = tmp_path / "congress"
    convert = str(ROOT / "examples/congress/convert.py")
    command = [sys.executable, convert, os.environ[CONGRESS], str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    hold(snapshot(load(made).unwrap()), "congress")
