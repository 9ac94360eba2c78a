"""The ways in which a term finds entries.

Each way tells its `weight`, at least as many as it finds; which entries those are, one or several
too many (`candidates`); and of some given entries those that the term matches, and its class there
(`among`). What finds many can give its candidates as bits (`bits`).

Implements, of spec/phonebook.md, sections 9.3 and 9.4 as far as they say where a term is looked
for, and [M-16].
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache, reduce
from itertools import chain
from typing import Protocol
from zlib import crc32

from phonebook.directory.numbers import Number
from phonebook.search.bits import having, packed, unpacked
from phonebook.search.lines import MIN_ENDING, MIN_NUMBER, Numbers, Reading, numbers_of
from phonebook.search.pairs import Pairs
from phonebook.search.piece import is_long
from phonebook.search.tables import OTHER, Tables, ending_code
from phonebook.search.words import BEGINNING, Found, Range, Words, in_lists

MAX_MATCHES = 1_000
MAX_READ = 150
"""Entries that are read for a query's terms of several words, all together ([M-16])."""
MAX_IN_FIELDS = 50_000
"""Entries that have the words of a query's field terms, or as many as there are ([M-16])."""
MAX_NUMBERS = 5_000
"""Numbers of entries that end as a query's number terms do ([M-16])."""

_SIXTEEN_DIGITS = 64  # bits of an ending's code
_POSITION = 0xFFFFFFFF

_TRIED = 5  # what it costs to tell the class of a word on an entry: each is tried
_LIST = 4  # what it costs to begin a list
_QUICK = 2  # entries of a list that are passed over in the time of one that is looked at
_READ = 150  # what it costs to read an entry's lines
_SEARCH = 50  # entries of a list that are passed over in the time in which a number is read
_MANY = 20_000  # entries of a word that are sooner taken as bits than read as a list


class TooBroadError(Exception):
    """More than 1,000 entries match, or may match ([M-16])."""


class Entries:
    """The entries that one query reads."""

    def __init__(self, text: Callable[[int], str]) -> None:
        """Read them so; allow all that is allowed."""
        self.text = text
        self.numbers = cache(lambda position: numbers_of(text(position)))
        self._left = MAX_READ

    def take(self, entries: int) -> None:
        """Take note of entries that are to be read for terms of several words ([M-16]).

        Raises `TooBroadError` where it is too much, all together.
        """
        if entries > self._left:
            raise TooBroadError
        self._left -= entries


class Way(Protocol):
    """How a term finds entries."""

    @property
    def weight(self) -> int:
        """At least as many entries as are found."""

    @property
    def unsure(self) -> int:
        """At most so many of its candidates it does not find: it must read entries to know."""

    @property
    def flat(self) -> bool:
        """Whether it finds all its candidates, each with the class 0."""

    def effort(self, some: int) -> int:
        """What `among` costs for so many entries, at most, in entries that are looked at."""

    def bits(self) -> int | None:
        """The entries as bits, where there are such."""

    def candidates(self) -> Iterable[int]:
        """The entries, some maybe twice, and maybe some that `among` would leave out."""

    def among(self, candidates: set[int]) -> Found:
        """The class of the term on those of these entries that it matches."""


class OfWord:
    """A word, or the beginning of one, in any field."""

    unsure, flat = 0, False

    def __init__(self, words: Words, meant: Range) -> None:
        """Look for these words."""
        self._words, self._meant = words, meant
        self._heavy = words.heavy.get(meant[:2])
        self.weight = words.breadth(meant)

    def effort(self, some: int) -> int:
        """Return what it costs to look so many up, in the list of a word that is not heavy."""
        return some * _TRIED + (0 if self._heavy else self.weight // _QUICK)

    def bits(self) -> int | None:
        """Return the entries of a heavy word as bits."""
        return int.from_bytes(self._heavy.every, "little") if self._heavy else None

    def candidates(self) -> Iterable[int]:
        """Return the entries that have the word."""
        bits = self.bits()
        return self._words.entries(self._meant) if bits is None else unpacked(bits)

    def among(self, candidates: set[int]) -> Found:
        """Return the class of the word on those that have it."""
        return self._words.among(self._meant, candidates)


class InField:
    """A word, or the beginning of one, in a field; the class is 0."""

    unsure, flat = 0, True

    def __init__(self, lists: Sequence[memoryview]) -> None:
        """Look in these lists."""
        self._lists = lists
        self.weight = sum(map(len, lists))

    def effort(self, some: int) -> int:
        """Return what it costs to go through all lists."""
        return some + self.weight // _QUICK + _LIST * len(self._lists)

    def bits(self) -> None:
        """Return nothing: lists it is."""

    def candidates(self) -> Iterable[int]:
        """Return the entries that have the word in the field."""
        return chain.from_iterable(self._lists)

    def among(self, candidates: set[int]) -> Found:
        """Return those that have the word in the field."""
        return dict.fromkeys(in_lists(self._lists, candidates), 0)


class OfKind:
    """Entries of some kinds, each a span of their numbers; the class is 0."""

    unsure, flat = 0, True

    def __init__(self, spans: Sequence[range]) -> None:
        """Look for entries in these spans."""
        self._spans = spans
        self.weight = sum(map(len, spans))

    def effort(self, some: int) -> int:
        """Return what it costs to compare so many."""
        return some

    def bits(self) -> int:
        """Return the entries as bits."""
        return sum((1 << len(span)) - 1 << span.start for span in self._spans)

    def candidates(self) -> Iterable[int]:
        """Return the entries."""
        return chain.from_iterable(self._spans)

    def among(self, candidates: set[int]) -> Found:
        """Return those of the kinds."""
        return {each: 0 for span in self._spans for each in candidates if each in span}


class OfSequence:
    """Several words next to one another, in a field or in any.

    Repeated texts are compared once for all who have them. Others are read, entry by entry.
    """

    flat = False

    def __init__(
        self,
        words: Words,
        pairs: Pairs,
        ranges: Sequence[Range],
        slots: frozenset[int] | None,
        reading: Reading,
        entries: Entries,
    ) -> None:
        """Look for these words, in these slots, or in all that plain words are tried on."""
        self._words, self._reading, self._entries = words, reading, entries
        self._read: dict[int, int | None] = {}  # the class on each entry that was read
        self._pairs = pairs if slots is None else None
        self._met: set[int] | None = None  # the candidates to be read, once they are known
        self._sure = self._of_texts(ranges, slots)
        self._ranges = sorted(ranges, key=words.ordinary_weight)
        self.unsure = self._words.ordinary_weight(self._ranges[0])
        self.weight = self.unsure + sum(len(entries) for _, entries in self._sure)

    def effort(self, some: int) -> int:
        """Return what it costs to find those with all words, and to read them."""
        read = min(some, self.unsure, MAX_READ)
        return some + self.weight // _QUICK + _READ * read

    def bits(self) -> None:
        """Return nothing: most of them are to be read."""

    def candidates(self) -> Iterable[int]:
        """Return the entries that have all the words."""
        self._met = self._meet()
        return chain(self._met, *(entries for _, entries in self._sure))

    def _meet(self) -> set[int]:
        """Return the entries that have all the words, and are to be read."""
        paired = self._pairs.match(self._ranges) if self._pairs else None
        if paired is not None:
            return set(paired)
        least, *others = self._ranges
        if self._words.ordinary_weight(least) > _MANY:
            return self._every()
        return self._having(set[int]().union(*self._words.ordinary(least)), others)

    def among(self, candidates: set[int]) -> Found:
        """Return the class of the sequence; TooBroadError where too many are to be read."""
        found: Found = {}
        for rank, entries in self._sure:
            found.update(dict.fromkeys(candidates.intersection(entries), rank))
        if self._met is None:
            unsure = self._having(candidates, self._ranges)
        else:
            unsure = self._met & candidates
        self._entries.take(len(unsure - self._read.keys()))
        for position in unsure:
            if position not in self._read:
                self._read[position] = self._reading(self._entries.text(position))
            read = self._read[position]
            if read is not None:
                found[position] = min(read, found.get(position, read))
        return found

    def _of_texts(
        self, ranges: Sequence[Range], slots: frozenset[int] | None
    ) -> list[tuple[int, memoryview]]:
        """Return the entries of repeated texts that match, and the class: the beginnings first."""
        tables, words = self._words.tables, self._words
        rows = reduce(set.intersection, (words.texts(each.first, each.end) for each in ranges))
        found = []
        for row in rows:
            if slots is not None and tables.row_slots[row] not in slots:
                continue
            rank = words.sequence_in(row, ranges)
            if rank is not None:
                found.append((0 if slots is not None else OTHER + rank, words.row(row)))
        found.sort(key=lambda each: -each[0])
        return found

    def _having(self, candidates: set[int], ranges: Iterable[Range]) -> set[int]:
        """Return those candidates that have all these words, wherever in them."""
        for each in ranges:
            heavy = self._words.heavy.get(each[:2])
            if heavy and self._words.ordinary_weight(each) > _MANY:
                candidates = having(heavy.every, candidates)
            else:
                candidates = self._words.ordinary_among(each, candidates)
            if not candidates:
                break
        return candidates

    def _every(self) -> set[int]:
        """Return the entries with all words, where each is in many."""
        bits = -1
        for each in self._ranges:
            bits &= int.from_bytes(self._words.heavy[each[:2]].every, "little")
        if bits.bit_count() > _MANY:
            raise TooBroadError
        return set(unpacked(bits))


class OfNumber:
    """A telephone number, by its keys and its last digits."""

    flat = False

    def __init__(
        self,
        tables: Tables,
        number: Number,
        keys: frozenset[str],
        field: str,
        reading: Callable[[Numbers], int | None],
        entries: Entries,
    ) -> None:
        """Look for this number, in a field or in all."""
        self._tables, self._reading, self._entries = tables, reading, entries
        digits = number.digits
        sure: list[slice] = []  # of those that share its last digits
        self._rank = 0 if field else BEGINNING
        unsure = []  # of those that equal it, or whose digits all are its end
        for key in keys:
            if is_long(key):
                unsure.append(self._with_ending(key.removeprefix("+")))
        if len(digits) >= MIN_NUMBER:
            unsure.append(self._with_ending(digits[-MIN_NUMBER:]))
        if len(digits) >= MIN_ENDING and not number.extension:
            sure.append(self._with_ending(digits))
        if "." in field or len(digits) > 16:
            unsure += sure
            sure = []
        self._sure = [tables.number_entries[each] for each in sure]
        self._unsure = [tables.number_entries[each] for each in _widest(unsure)]
        self._unsure += [self._hashed(key) for key in keys if not is_long(key)]
        self.unsure = sum(map(len, self._unsure))
        self.weight = self.unsure + sum(map(len, self._sure))

    def effort(self, some: int) -> int:
        """Return what it costs to read those that may have the number."""
        return some + _READ * min(some, self.unsure)

    def bits(self) -> None:
        """Return nothing: some of them are to be read."""

    def candidates(self) -> Iterable[int]:
        """Return the entries that may have the number."""
        return chain(*self._sure, *self._unsure)

    def among(self, candidates: set[int]) -> Found:
        """Return the class of the number; TooBroadError where too many are to be read."""
        found: Found = {}
        few = len(candidates) <= MAX_MATCHES and len(candidates) * _SEARCH < self.weight
        if not few:  # else they are sooner read than so many gone through
            found = dict.fromkeys(candidates.intersection(chain(*self._sure)), self._rank)
            candidates = candidates.intersection(chain(*self._unsure))
            if len(candidates) > MAX_MATCHES:
                raise TooBroadError
        for position in candidates:
            rank = self._reading(self._entries.numbers(position))
            if rank is not None:
                found[position] = rank
        return found

    def _with_ending(self, digits: str) -> slice:
        codes, code = self._tables.number_endings, ending_code(digits)
        first = bisect_left(codes, code)
        step = 1 << _SIXTEEN_DIGITS - 4 * min(len(digits), 16)
        return slice(first, bisect_left(codes, code + step, first))

    def _hashed(self, key: str) -> memoryview:
        codes = self._tables.number_keys
        code = crc32(key.encode()) << 32
        first = bisect_left(codes, code)
        end = bisect_right(codes, code | _POSITION, first)
        halves = codes[first:end].cast("B").cast("I")
        return halves[sys.byteorder == "big" :: 2]


def _widest(slices: Iterable[slice]) -> list[slice]:
    """Return those that are in no other; two of endings are apart, or one is in the other."""
    found: list[slice] = []
    for each in sorted(slices, key=lambda each: (each.start, -each.stop)):
        if not found or each.stop > found[-1].stop:
            found.append(each)
    return found


class Either:
    """A number, or the words of its digits: what one of them finds, with the lesser class."""

    flat = False

    def __init__(self, number: OfNumber, words: Way, count: int) -> None:
        """Look in both ways for some of so many entries."""
        self.number, self._words, self._count = number, words, count
        self.weight = number.weight + words.weight
        self.unsure = number.unsure + words.unsure

    def effort(self, some: int) -> int:
        """Return what both cost."""
        return self.number.effort(some) + self._words.effort(some)

    def bits(self) -> int | None:
        """Return what one of them finds, where the other has bits."""
        bits = self._words.bits()
        return None if bits is None else bits | packed(self.number.candidates(), self._count)

    def candidates(self) -> Iterable[int]:
        """Return what one of them finds."""
        return chain(self.number.candidates(), self._words.candidates())

    def among(self, candidates: set[int]) -> Found:
        """Return the lesser class."""
        found = self.number.among(candidates)
        for position, rank in self._words.among(candidates).items():
            found[position] = min(rank, found.get(position, rank))
        return found
