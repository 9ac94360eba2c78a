"""A large directory by its files: read, checked and mapped in runs, and made one again.

The work is split so that what one run of files brings depends on their octets, and on little else:
it can be made in another process, and kept until its files change. Whoever keeps it is told by a
key what it was made of, and may forget it at any time.
"""

import sys
from collections.abc import Sequence
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
from phonebook.directory.problems import Problem, Problems
from phonebook.directory.read_entry import Read
from phonebook.search.piece import FORMAT
from phonebook.search.spell import NOTHING, Near, near_tables
from phonebook.service.snapshot import Compiled, Portion, combine, portion
from phonebook.wire.codes import FOLDING

_RUN = 65_536  # octets that a run has, so that few are made for many small files

Plain = tuple[Any, ...]


class Keeper(Protocol):
    """Keeps what runs bring."""

    def get(self, key: str) -> Plain | None:
        """Return what is kept under a key, if it is there whole."""

    def put(self, key: str, value: Plain) -> None:
        """Keep it, if that can be done."""


def gather(path: Path, keeper: Keeper, begin: Begin) -> tuple[Compiled | None, list[Problem]]:
    """Read and compile a directory; nothing is compiled where it has errors.

    What the keeper does not have is made, of every second run by what `begin` begins.
    """
    problems = Problems(str(path))
    files, may_head = found(path, problems)
    head = [read_file(may_head, may_head=True)] if may_head in files else []
    header = head[0].header if head else Header()
    runs = [_Run(each, header) for each in _runs([file for file in files if file != may_head])]
    kept = {run.key: made for run in runs if (made := keeper.get(run.key))}
    near_key = _key("near")
    before = Near(*(keeper.get(near_key) or NOTHING))
    missing = [run for run in runs if run.key not in kept]
    mine, theirs = missing[::2], missing[1::2]
    if not pays(sum(run.size for run in theirs)):
        mine, theirs = missing, []

    def make(chosen: Sequence[_Run]) -> list[Plain]:
        made = []
        for run in chosen:
            made.append(run.made(header))
            if made[-1][1]:
                keeper.put(run.key, made[-1])
        return made

    begun = begin(lambda: make(theirs)) if theirs else list
    kept |= zip([run.key for run in mine], make(mine), strict=True)
    kept |= zip([run.key for run in theirs], begun(), strict=True)

    parts = {part.file: part for part in head}
    for run in runs:
        run.parts = run.unpacked(kept[run.key][0])
        parts |= {part.file: part for part in run.parts}
    header, settings = check_across([parts[str(file)] for file in files], problems)
    if problems.fatal:
        return None, ordered(problems, files)
    unlisted = frozenset(id for part in parts.values() for id in part.outline.unlisted)
    portions = [_portion(header, head, unlisted)] if head else []
    for run in runs:
        brought = kept[run.key][1]
        if run.leads_to(unlisted) or not brought:
            portions.append(_portion(header, run.parts, unlisted))
        else:
            portions.append(Portion(*brought))

    def read_near(words: dict[str, int]) -> Near:
        near = near_tables(words, before)
        if near != before:
            keeper.put(near_key, tuple(near))
        return near

    return combine(header, settings, portions, begin, read_near), ordered(problems, files)


def _key(*made_of: str) -> str:
    """Return the name of what was made of this, by this version."""
    made_by = (phonebook.__version__, FORMAT, FOLDING, sys.version, sys.byteorder)
    return sha256("\0".join((*made_by, *made_of)).encode()).hexdigest()[:32]


def _portion(header: Header, parts: Sequence[Part], unlisted: frozenset[str]) -> Portion:
    entries = tuple([Entry(*row) for part in parts for row, *_ in part.read()])
    return portion(Directory(header, entries), unlisted)


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

    def __init__(self, files: Sequence[Path], header: Header) -> None:
        """Read their octets."""
        self.parts: list[Part] = []
        self._files = [str(file) for file in files]
        self._problems = [Problems(str(file)) for file in files]
        self._octets = [
            octets(file, problems) for file, problems in zip(files, self._problems, strict=True)
        ]
        dialling = repr(replace(header, name="", contact="", referrals=()))
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
        """Return the parts, and what they bring together; nothing of parts with errors."""
        parts = self._read()
        if any(part.problems.fatal for part in parts):
            return [part.packed() for part in parts], ()
        return [part.packed() for part in parts], tuple(_portion(header, parts, frozenset()))

    def unpacked(self, packed: Sequence[Plain]) -> list[Part]:
        """Return the parts of what was made; whoever asks for their entries reads them again."""
        return [
            Part.unpacked(file, partial(self._again, number), each)
            for number, (file, each) in enumerate(zip(self._files, packed, strict=True))
        ]

    def _again(self, number: int) -> list[Read]:
        data = self._octets[number]
        return [] if data is None else read_part(data, self._files[number], False).read()

    def leads_to(self, unlisted: frozenset[str]) -> bool:
        """Whether a link leads to an entry that is unlisted elsewhere."""
        own = {id for part in self.parts for id in part.outline.unlisted}
        links = {id for part in self.parts for _, id in part.outline.links}
        return not (unlisted - own).isdisjoint(links)
