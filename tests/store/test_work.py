"""Views: what a viewer may not see changes no step of the work that an answer takes.

Times are compared by tests/bench/timing.py, and are never quite equal; calls can be counted.
"""

import gc
import random
from collections.abc import Iterable, Iterator
from cProfile import Profile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import directories, directory, entry, viewed
from test_views import asked, without

from phonebook.directory.entry import Directory, View
from phonebook.directory.project import project
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Snapshot, Terms, compile, compile_views

MOST = 40  # requests about one directory


def work(line: bytes, snapshot: Snapshot) -> int:
    """Return how many calls are made while this is answered, over TCP and over UDP."""
    profile, padded = Profile(), line.ljust(200) + b"\r\n"
    profile.enable()
    answer(line, snapshot)
    answer_datagram(padded, snapshot)
    profile.disable()
    return sum(each.callcount for each in profile.getstats())


def fresh(made: Directory, view: str = "") -> Snapshot:
    """Return what answers from one view's own snapshot."""
    return Snapshot(compile(made, view), Terms())


@pytest.fixture(scope="module", autouse=True)
def _nothing_else() -> Iterator[None]:
    """Count nothing that happens by itself: what Python does at the first request of all, to know
    its own types, and who is called when memory is tidied up."""
    work(b"LOOKUP zweig -zwei", fresh(directory(entry("zweig", "Zweig"))))
    gc.disable()
    yield
    gc.enable()


def same(lines: Iterable[bytes], one: Snapshot, other: Snapshot) -> None:
    """Hold the work of two servers to be the same.

    They are in one process: what either leaves behind for the other would be seen, too.
    """
    for line in lines:
        assert work(line, one) == work(line, other), line


def some(made: Directory, seed: int) -> list[bytes]:
    """Return requests about what stands in a directory."""
    every = [*asked(made, seed)]
    return random.Random(seed).sample(every, min(MOST, len(every)))


@settings(max_examples=4, deadline=None)
@given(viewed(), st.integers(0, 2**32))
def test_what_a_view_hides_changes_no_work(made: Directory, seed: int) -> None:
    if made.entries:
        for view, own in compile_views(made).items():
            same(some(made, seed), Snapshot(own, Terms()), fresh(without(made, view)))


@settings(max_examples=4, deadline=None)
@given(directories(), st.integers(0, 2**32))
def test_what_is_unlisted_changes_no_work_of_a_search(made: Directory, seed: int) -> None:
    if made.entries:
        lines = [each for each in some(made, seed) if not each.startswith(b"ENTRY")]
        same(lines, fresh(made), fresh(project(made)))


HIDDEN = entry("h", "\u0416 Featherstonehaugh \uae40\ucca0\uc218", phone="+44 20 7946 0123")
ASKED = (
    "Featherstonehaugh",
    "Fetherstonhaugh",
    "Fatherstonehaugh Zwaig",
    "\uae40\ucca0\uc218",
    "\uae40\ucca0\uc219 Zweig",
    "\u0416",
    "+44 20 7946 0123",
)


def test_neither_a_load_nor_what_another_view_is_asked_saves_work() -> None:
    """Of two servers that hold the entry, only the second has been asked, by those who see it."""
    views = (View("staff", ("192.0.2.0/24",)),)
    made = directory(entry("zweig", "Zweig"), replace(HIDDEN, view="staff"))
    made = replace(made, header=replace(made.header, views=views))
    for text in ASKED:
        line = f"LOOKUP {text}".encode()
        before = work(line, fresh(without(made, "")))
        assert work(line, fresh(made, "staff"))
        assert work(line, fresh(made)) == before, text
