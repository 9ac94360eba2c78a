"""The dearest requests that a search meets are cheap. `worst.py` searches for longer."""

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made import crowd
from worst import KEPT, ROOM, SHOWN, Costly, search, spent_on

from phonebook.service.answer import answer
from phonebook.service.snapshot import Compiled, Snapshot, compile

ENTRIES = 100_000
BUDGET = 5.0  # milliseconds of the thread's CPU
SEEDS = (1, 2, 3)
STEPS = 10_000

MET = (Path(__file__).parent / "worst.txt").read_bytes().splitlines()
"""What was dearest in longer searches, before and after it was made cheap."""


def test_the_dearest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    dear = b"LOOKUP ba -da"

    def slow(line: bytes, asked: Snapshot) -> tuple[bytes, bool]:
        end = time.thread_time() + (0.02 if line == dear else 0)
        while time.thread_time() < end:
            pass
        return answer(line, asked)

    monkeypatch.setattr("worst.answer", slow)
    told: list[str] = []
    found = search(compile(crowd(200)), 1, 300, [b"LOOKUP ba", dear, b"LOOKUP da"], told.append)
    assert found[0].line == dear
    assert found == sorted(found, reverse=True)
    assert len({line for _, line in found}) == len(found) == KEPT
    assert any(dear.decode() in each for each in told)
    assert all(line.startswith((b"LOOKUP ", b"ENTRY ")) for _, line in found)
    assert all(len(line) <= ROOM for _, line in found)


@pytest.fixture(scope="module")
def compiled() -> Iterator[Compiled]:
    """Return a large directory."""
    gc.disable()
    made = compile(crowd(ENTRIES))
    gc.enable()
    gc.freeze()
    yield made
    gc.unfreeze()


@pytest.mark.full
@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_that_is_met_costs_much(compiled: Compiled, seed: int) -> None:
    found = search(compiled, seed, STEPS, MET)[:SHOWN]
    for each in found:
        print(f"{each.spent:.2f} ms", each.line.decode())
    # another program may have been in the way when it was met
    again = [
        Costly(max(spent_on(line, compiled), spent_on(line, compiled, datagram=True)), line)
        for _, line in found
    ]
    assert max(again).spent < BUDGET, max(again)
