"""A large directory by its files: read, checked and mapped in runs, and made one again.

The work is split so that what one run of files brings depends on their octets, and on little else:
it can be made in another process, and kept until its files change. Whoever keeps it is told by a
key what it was made of, and may forget it at any time. All views are made of one reading, each of
its own projection alone; a run that has nothing of any view brings the same to all.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import phonebook
from phonebook.beside import Begin
from phonebook.directory.check import Part, check_across, outlined, read_part
from phonebook.directory.entry import Directory, Entry, Header
from phonebook.directory.load import found, octets, ordered, pays, read_file, size_of
from phonebook.directory.problems import MAX_PROBLEMS, Problem, Problems
from phonebook.directory.read_entry import Read
from phonebook.directory.within import Within
from phonebook.search.piece import FORMAT
from phonebook.search.spell import NOTHING, Near, near_tables
from phonebook.service.snapshot import Compiled, Portion, alike_views, combine, portion
from phonebook.wire.codes import FOLDING

_RUN = 65_536  # octets that a run has, so that few are made for many small files

Plain = tuple[Any, ...]

Shown = tuple[tuple[str, ...], tuple[str, ...]]
"""All that decides what a run brings to a view, beside its files: which of the views that are named
in it are shown, and to which entries its links lead that are hidden elsewhere."""


class Keeper(Protocol):
    """Keeps what runs bring."""

    def get(self, key: str) -> Plain | None:
        """Return what is kept under a key, if it is there whole."""

    def put(self, key: str, value: Plain) -> None:
        """Keep it, if that can be done."""


def gather(
    path: Path, keeper: Keeper, begin: Begin, outside: bool = False
) -> tuple[dict[str, Compiled] | None, list[Problem]]:
    """Read and compile a directory for each view; nothing is compiled where it has errors.

    What the keeper does not have is made, of every second run by what `begin` begins.
    """
    problems = Problems(str(path))
    files, may_head, within = found(path, problems, outside)
    head = [read_file(may_head, True, within)] if may_head in files else []
    header = head[0].header if head else Header()
    others = [file for file in files if file != may_head]
    runs = [_Run(each, header, within) for each in _runs(others)]
    kept = {run.key: made for run in runs if (made := keeper.get(run.key))}
    missing = [run for run in runs if run.key not in kept]
    mine, theirs = missing[::2], missing[1::2]
    if not pays(sum(run.size for run in theirs)):
        mine, theirs = missing, []

    def make(chosen: Sequence[_Run]) -> dict[str, Plain]:
        """Return what they bring, by key, until there are more errors than are told."""
        made: dict[str, Plain] = {}
        errors = 0
        for run in chosen:
            if errors <= MAX_PROBLEMS:
                made[run.key] = run.made(header)
                errors += run.errors
                if made[run.key][1]:
                    keeper.put(run.key, made[run.key])
        return made

    begun = begin(lambda: make(theirs)) if theirs else dict
    kept |= make(mine)
    kept |= begun()

    parts = {part.file: part for part in head}
    for run in runs:
        run.parts = run.unpacked(kept[run.key][0]) if run.key in kept else run.unread()
        parts |= {part.file: part for part in run.parts}
    header, settings = check_across([parts[str(file)] for file in files], problems)
    if problems.fatal:
        return None, ordered(problems, files)
    named = frozenset(view for part in parts.values() for view in part.outline.views)
    alike = alike_views(header, named)
    hidden = {view: _hidden(parts.values(), header.sees(view)) for view in {*alike.values()}}
    portions: dict[str, list[Portion]] = {
        view: [portion(_directory(header, head), view, ids)] if head else []
        for view, ids in hidden.items()
    }
    for run in runs:
        packed, brought = kept[run.key]
        shown = {view: _shown(run.parts, header.sees(view), ids) for view, ids in hidden.items()}
        if not brought.keys() >= {*shown.values()}:
            brought = _brought(header, run.parts, hidden, brought)
            keeper.put(run.key, (packed, brought))
        for view, each in shown.items():
            portions[view].append(Portion(*brought[each]))
    compiled: dict[str, Compiled] = {}
    for view in dict.fromkeys(alike.values()):
        read_near = _read_near(keeper, sorted(header.sees(view) & named))
        compiled[view] = combine(header, settings, portions.pop(view), begin, read_near)
    views = {view: compiled[first] for view, first in alike.items()}
    return views, ordered(problems, files)


def _read_near(keeper: Keeper, shown: Sequence[str]) -> Callable[[dict[str, int]], Near]:
    """Return what makes the tables of near names where these views are shown.

    It begins with what is kept of the same, or else of everybody's.
    """
    key = _key("near", *shown)
    before = Near(*(keeper.get(key) or keeper.get(_key("near")) or NOTHING))

    def read_near(words: dict[str, int]) -> Near:
        near = near_tables(words, before)
        if near != before:
            keeper.put(key, tuple(near))
        return near

    return read_near


def _hidden(parts: Iterable[Part], sees: frozenset[str]) -> frozenset[str]:
    """Return the ids of the entries to which no link is shown where these views are."""
    found: set[str] = set()
    for part in parts:
        found.update(part.outline.unlisted)
        found.update(id for id, view in part.outline.viewed.items() if view not in sees)
    return frozenset(found)


def _key(*made_of: str) -> str:
    """Return the name of what was made of this, by this version."""
    made_by = (phonebook.__version__, FORMAT, FOLDING, sys.version, sys.byteorder)
    return sha256("\0".join((*made_by, *made_of)).encode()).hexdigest()[:32]


def _brought(
    header: Header,
    parts: Sequence[Part],
    hidden: Mapping[str, frozenset[str]],
    before: Mapping[Shown, Plain],
) -> dict[Shown, Plain]:
    """Return what parts bring to each of these views, from whom these ids are hidden.

    What was made `before` is not made again.
    """
    directory = _directory(header, parts)
    wanted = {_shown(parts, header.sees(view), ids): view for view, ids in hidden.items()}
    return {
        shown: before.get(shown) or tuple(portion(directory, view, hidden[view]))
        for shown, view in wanted.items()
    }


def _shown(parts: Sequence[Part], sees: frozenset[str], hidden: frozenset[str]) -> Shown:
    """Return what decides what parts bring where these views are shown and these ids hidden."""
    named = {view for part in parts for view in part.outline.views}
    links: set[str] = set()
    if hidden:
        links.update(id for part in parts for _, id, _ in part.outline.links)
        links &= hidden
    if links:
        links.difference_update(*[part.outline.ids for part in parts])
    return tuple(sorted(named & sees)), tuple(sorted(links))


def _directory(header: Header, parts: Sequence[Part]) -> Directory:
    return Directory(header, tuple([Entry(*row) for part in parts for row, *_ in part.read()]))


def _runs(files: Sequence[Path]) -> list[list[Path]]:
    """Part files into runs of some length, so that a new or a longer file changes but one."""
    size = sum(map(size_of, files))
    few = 1
    while few * size < _RUN * len(files):
        few *= 2
    runs: list[list[Path]] = [[]]
    for file in files:
        runs[-1].append(file)
        if crc32(str(file).encode(errors="surrogateescape")) % few == 0:
            runs.append([])
    return [each for each in runs if each]


class _Run:
    """Some files in a row."""

    def __init__(self, files: Sequence[Path], header: Header, within: Within | None) -> None:
        """Read their octets."""
        self.parts: list[Part] = []
        self.errors = 0
        self._files = [str(file) for file in files]
        self._problems = [Problems(str(file)) for file in files]
        self._octets = [
            octets(file, problems, within)
            for file, problems in zip(files, self._problems, strict=True)
        ]
        dialling = repr(replace(header, name="", contact="", referrals=(), views=()))
        digests = ["none" if each is None else sha256(each).hexdigest() for each in self._octets]
        self.key = _key(dialling, *digests)
        self.size = sum(len(each or b"") for each in self._octets)

    def _read(self) -> list[Part]:
        return [
            Part(file, problems, outlined([]), list)
            if data is None
            else read_part(data, file, may_head=False)
            for file, problems, data in zip(self._files, self._problems, self._octets, strict=True)
        ]

    def made(self, header: Header) -> Plain:
        """Return the parts, and what they bring together to each view if their links lead to
        nothing that is hidden elsewhere; of parts with errors, they alone."""
        parts = self._read()
        packed = [part.packed() for part in parts]
        self.errors = sum(part.problems.errors for part in parts)
        if any(part.problems.fatal for part in parts):
            return packed, {}
        views = ("", *(each.name for each in header.views))
        return packed, _brought(header, parts, dict.fromkeys(views, frozenset()), {})

    def unpacked(self, packed: Sequence[Plain]) -> list[Part]:
        """Return the parts of what was made; whoever asks for their entries reads them again."""
        return [
            Part.unpacked(file, partial(self._again, number), each)
            for number, (file, each) in enumerate(zip(self._files, packed, strict=True))
        ]

    def unread(self) -> list[Part]:
        """Return the parts where they are not looked at."""
        return [Part.unread(file) for file in self._files]

    def _again(self, number: int) -> list[Read]:
        data = self._octets[number]
        return [] if data is None else read_part(data, self._files[number], False).read()
