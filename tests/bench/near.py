"""How many misspelt names find whom they mean, and what that costs: `near.py DIRECTORY [COUNT]`.

For each kind of mistake (tests/tools/misspell.py, seeded): the share of queries with the meant
person, or another who bears all the meant words, among the first three; the same without queries
that match somebody else as they are written; p50 and p99 in CPU time of the thread. And how many
of 2,000 queries of random letters, which should find nobody, are answered.
"""

import gc
import json
import random
import sys
import time
from pathlib import Path
from string import ascii_lowercase

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "tools")]

from misspell import Query, queries  # noqa: E402

from phonebook.directory.entry import Directory  # noqa: E402
from phonebook.directory.load import load  # noqa: E402
from phonebook.directory.text import words  # noqa: E402
from phonebook.search.match import TooBroadError  # noqa: E402
from phonebook.search.query import parse_query  # noqa: E402
from phonebook.service.snapshot import Snapshot, Terms, compile  # noqa: E402

FIRST = 3  # results in which the right one must be


def ask(snapshot: Snapshot, text: str) -> tuple[list[int], bool]:
    """Return the entries that answer, and whether they match as written."""
    terms = parse_query(text)
    try:
        found = snapshot.index.match(terms)
    except TooBroadError:
        return [], True
    return (found, True) if found else (snapshot.near.match(terms), False)


def _id(lines: bytes) -> str:
    """Return the id of a rendered entry."""
    return lines.partition(b"\r\n")[0].removeprefix(b"id: ").decode()


def measured(
    snapshot: Snapshot, asked: list[Query], names: dict[str, set[str]]
) -> dict[str, float]:
    """Return the figures of one kind of mistake."""
    hits = taken = 0
    times = []
    for query in asked:
        start = time.thread_time_ns()
        found, written = ask(snapshot, query.text)
        times.append(time.thread_time_ns() - start)
        first = [_id(snapshot.listed.get(each)) for each in found[:FIRST]]
        meant = set(words(query.meant))
        right = query.id in first or any(meant <= names[each] for each in first)
        hits += right
        taken += written and not right
    times.sort()
    return {
        "queries": len(asked),
        "hit": hits / len(asked),
        "hit, but for those taken": hits / (len(asked) - taken),
        "p50 ms": times[len(times) // 2] / 1e6,
        "p99 ms": times[len(times) * 99 // 100] / 1e6,
    }


def answered_noise(snapshot: Snapshot, count: int = 2_000) -> int:
    """Return how many queries of random letters are answered with something near."""
    chance = random.Random(767)
    answered = 0
    for _ in range(count):
        length, several = chance.randint(4, 10), chance.randint(1, 2)
        text = " ".join("".join(chance.choices(ascii_lowercase, k=length)) for _ in range(several))
        found, written = ask(snapshot, text)
        answered += bool(found) and not written
    return answered


def main() -> None:
    """Measure, print a table, and JSON behind it."""
    directory: Directory = load(sys.argv[1]).unwrap()
    snapshot = Snapshot(compile(directory), Terms())
    gc.freeze()
    names = {
        each.id: set(words(" ".join((each.name, *each.get("alias"))))) for each in directory.entries
    }
    people = [
        {"id": each.id, "kind": each.kind}
        | {name: list(each.get(name)) for name in ("name", "family", "alias") if each.get(name)}
        for each in directory.entries
    ]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000
    report = {
        kind: measured(snapshot, asked, names)
        for kind, asked in queries(people, count=count).items()
    }
    print(f"{'kind':16}{'hit':>8}{'not taken':>11}{'p50 ms':>9}{'p99 ms':>9}")
    for kind, row in report.items():
        _, hit, free, p50, p99 = row.values()
        print(f"{kind:16}{hit:>8.4f}{free:>11.4f}{p50:>9.2f}{p99:>9.2f}")
    noise = answered_noise(snapshot)
    print(f"random letters: {noise} of 2,000 answered")
    print(json.dumps(report | {"random letters": noise}))


if __name__ == "__main__":
    main()
