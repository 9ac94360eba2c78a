"""The words of a directory: which there are, and which entries each is in.

Implements, of spec/phonebook.md, what [M-6] calls the beginning of a word, and the classes of 9.5,
over the tables. A query's word means a range of words in octet order. Where such a range is in many
entries it is heavy: it has a bit for each entry, since its lists would be long to read.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import chain, compress, pairwise
from typing import NamedTuple
from zlib import crc32

from phonebook.search.bits import having
from phonebook.search.tables import (
    ECHOES,
    END,
    FURTHER,
    HEAVY_COLUMNS,
    OFFSET,
    ONLY,
    OTHER,
    ROWS,
    STEPS,
    TEXTS,
    WEIGHT,
    Tables,
    beyond,
)

BEGINNING = 4
"""What a class grows by where only the beginning of a word matches."""

Found = dict[int, int]
"""Entries, and the class that a term has on each."""

_FEW = 64
"""Entries of a word that is looked up in the shortest way."""

_LARGE, _LARGEST = 256, 8_192  # entries of a set that is kept
_ROOM = 393_216  # entries of all sets that are kept: some 28 MB

_SEARCH = 40
"""How many entries of a list can be compared while one is searched for in it."""


class Range(NamedTuple):
    """The words that a query's word means: all that begin with it, or it alone."""

    first: int
    end: int
    number: int
    """Of the word itself; -1 where there is none."""


class Heavy(NamedTuple):
    """A range of words in many entries."""

    entries: int
    """How many have one."""
    every: memoryview
    """A bit for each of these."""
    classes: tuple[tuple[int, memoryview], ...]
    """The same for FAMILY, NAME and ALIAS, where these, too, are many."""


class Words:
    """The words of a directory, over its tables."""

    def __init__(self, tables: Tables) -> None:
        """Read these tables."""
        self.tables = tables
        self.heavy: dict[tuple[int, int], Heavy] = dict(_heavy(tables))
        self._sets: dict[tuple[int, int, bool], frozenset[int]] = {}
        self._room = _ROOM
        # one name instead of two, for what is read all the time
        self._hash, self._text = tables.word_hash, tables.word_text
        self._offsets, self._ends = tables.column(OFFSET), tables.column(END)
        self._weights, self._texts = tables.column(WEIGHT), tables.column(TEXTS)
        self._only = tables.column(ONLY)
        self._rows = [tables.column(ROWS + rank) for rank in range(ECHOES + 1)]
        self._count = len(self._ends) - 1
        self._row_offsets, self._postings = tables.row_offsets, tables.postings
        self._size = 2 * self._count + 1
        self._first_text = len(tables.row_slots) - len(tables.text_starts) + 1

    def word(self, word: bytes) -> int:
        """Return the number of a word, -1 where there is none."""
        size, left = self._size, STEPS
        place = crc32(word) % size
        while number := self._hash[place]:
            start = self._offsets[number - 1]
            if self._text[start : self._offsets[number]] == word:
                return number - 1
            place = place + 1 if place + 1 < size else 0
            left -= 1
            if not left:
                return beyond(self._hash, size, word, self._word) - 1
        return -1

    def _word(self, number: int) -> bytes:
        """Return the text of a word by its number + 1."""
        return bytes(self._text[self._offsets[number - 1] : self._offsets[number]])

    def beginning(self, word: bytes) -> tuple[int, int]:
        """Return the range of the words that begin so."""
        first = self._least(word)
        length = len(word)
        # behind the first that begins so, look further in growing steps, then between
        end, step, last = first, 1, self._count
        text, offsets = self._text, self._offsets
        while end < last and text[offsets[end] : offsets[end] + length] == word:
            end, step = end + step, step * 2
        low, high = max(first, end - step // 2), min(end, last)
        while low < high:
            middle = (low + high) // 2
            if text[offsets[middle] : min(offsets[middle] + length, offsets[middle + 1])] == word:
                low = middle + 1
            else:
                high = middle
        return first, low

    def _least(self, word: bytes) -> int:
        """Return the number of the first word that is not before this one."""
        low, high = 0, self._count
        text, offsets = self._text, self._offsets
        while low < high:
            middle = (low + high) // 2
            if bytes(text[offsets[middle] : offsets[middle + 1]]) < word:
                low = middle + 1
            else:
                high = middle
        return low

    def meant(self, word: bytes, whole: bool = False) -> Range:
        """Return the words that a query's word means."""
        number = self.word(word)
        if whole:
            return Range(number, number + 1, number) if number >= 0 else Range(0, 0, -1)
        if number >= 0:
            return Range(number, self._ends[number], number)
        return Range(*self.beginning(word), -1)

    def text(self, number: int) -> str:
        """Return a word."""
        return str(self._text[self._offsets[number] : self._offsets[number + 1]], "utf-8")

    # Entries

    def weight(self, words: Range) -> int:
        """Return at least as many as a range of words is in entries."""
        return self._weights[words.end] - self._weights[words.first]

    def breadth(self, words: Range) -> int:
        """Return in how many entries a range of words is; one may count more than once."""
        heavy = self.heavy.get(words[:2])
        return heavy.entries if heavy else self.weight(words)

    def lists(self, first: int, end: int, rank: int) -> memoryview:
        """Return the entries of a range of words in a class, those of repeated texts left out."""
        rows, offsets = self._rows[rank], self._row_offsets
        return self._postings[offsets[rows[first]] : offsets[rows[end]]]

    def texts(self, first: int, end: int) -> set[int]:
        """Return the rows of the repeated texts that a range of words is in."""
        return set(self.tables.text_rows[self._texts[first] : self._texts[end]])

    def row(self, row: int) -> memoryview:
        """Return the entries of a row, ascending."""
        return self._postings[self._row_offsets[row] : self._row_offsets[row + 1]]

    def lists_in(self, words: Range, slots: Set[int]) -> list[memoryview]:
        """Return the entries with one of these words in some slots, in several lists."""
        first, end, _ = words
        row_slots, offsets, postings = self.tables.row_slots, self._row_offsets, self._postings
        rows = [row for row in self.texts(first, end) if row_slots[row] in slots]
        found = []
        for rank, its in enumerate(self._rows):
            if rank < OTHER and rank in slots:  # then the slots of its subtypes are, too
                found.append(self.lists(first, end, rank))
                continue
            row, behind = its[first], its[end]
            rows += compress(range(row, behind), map(slots.__contains__, row_slots[row:behind]))
        return found + [postings[offsets[row] : offsets[row + 1]] for row in rows]

    def few(self, word: bytes) -> list[int] | None:
        """Return the entries of a query of this one word, best first; None where they may be many.

        The commonest query: what `meant`, `weight` and `ordered` say, for half as much.
        """
        number = self.word(word)
        if number < 0:
            return None
        only = self._only[number]
        if only:  # as of most
            return [only - 1]
        end = self._ends[number]
        if self._weights[end] - self._weights[number] > _FEW:
            return None
        return self.ordered(Range(number, end, number))

    def ordered(self, words: Range) -> list[int]:
        """Return the entries of a range of words that is not heavy, best first."""
        first, end, number = words
        found: list[int] = []
        if number >= 0:
            self._in_order(number, number + 1, found)
            first = number + 1
        if first < end:
            self._in_order(first, end, found)
        return found if len(found) == 1 else list(dict.fromkeys(found))

    def _in_order(self, first: int, end: int, found: list[int]) -> None:
        """Append the entries of a range of words, class by class."""
        offsets, postings = self._row_offsets, self._postings
        left = self._weights[end] - self._weights[first]
        for rows in self._rows[:OTHER]:
            start, behind = rows[first], rows[end]
            if start < behind:
                here = postings[offsets[start] : offsets[behind]].tolist()
                if behind > start + 1:
                    here.sort()
                found += here
                left -= len(here)
                if not left:
                    return
        here = self.lists(first, end, OTHER).tolist()
        if left > len(here):
            for row in self.texts(first, end):
                here += self.row(row)
        here.sort()
        found += here

    def entries(self, words: Range) -> Iterator[int]:
        """Return the entries of a range of words that is not heavy, some maybe twice."""
        texts = map(self.row, self.texts(words.first, words.end))
        return chain(*self.ordinary(words), *texts)

    def ordinary(self, words: Range) -> list[memoryview]:
        """Return the entries of a range of words, in several lists, without repeated texts."""
        return [self.lists(words.first, words.end, rank) for rank in range(ECHOES)]

    def ordinary_weight(self, words: Range) -> int:
        """Return at least as many as these entries are."""
        return sum(map(len, self.ordinary(words)))

    def ordinary_among(self, words: Range, candidates: set[int]) -> set[int]:
        """Return those candidates that have one of these words, repeated texts left out."""
        first, end, _ = words
        return set[int]().union(
            *(self._listed(first, end, rank, candidates) for rank in range(ECHOES))
        )

    def sequence_in(self, row: int, ranges: Sequence[Range]) -> int | None:
        """Return what the class of a sequence in a repeated text grows by; None if it is not."""
        place = row - self._first_text
        tables = self.tables
        start, behind = tables.text_starts[place], tables.text_starts[place + 1]
        spelt: list[list[int]] = []
        for number in tables.text_words[start:behind]:
            if number & FURTHER:
                spelt[-1].append(number ^ FURTHER)
            else:
                spelt.append([number])
        *firsts, last = ranges
        found = None
        for at in range(len(spelt) - len(firsts)):
            end = spelt[at + len(firsts)]
            if all(each.number in spelt[at + more] for more, each in enumerate(firsts)):
                if last.number in end:
                    return 0
                if any(last.first <= number < last.end for number in end):
                    found = BEGINNING
        return found

    def same_texts(self, ranges: Sequence[Range]) -> list[int]:
        """Return the rows of the repeated texts of these words and no others."""
        tables = self.tables
        numbers = [each.number for each in ranges]
        found = []
        for row in self.texts(ranges[0].first, ranges[0].end):
            place = row - self._first_text
            start, end = tables.text_starts[place], tables.text_starts[place + 1]
            if tables.text_words[start:end].tolist() == numbers:
                found.append(row)
        return found

    def all_ordinary(self, ranges: Sequence[Range]) -> set[int]:
        """Return the entries with all these words, repeated texts left out."""
        least, *others = sorted(ranges, key=self.ordinary_weight)
        found = set[int]().union(*self.ordinary(least))
        for each in others:
            found = self.ordinary_among(each, found)
        return found

    def collect(self, words: Range) -> Found:
        """Return the entries of a range of words that is not heavy, and the class on each."""
        first, end, number = words
        found: Found = {}
        left = self._weights[end] - self._weights[first]
        if number >= 0:
            left, found = self._collect(number, number + 1, 0, left, found)
            first = number + 1
        return self._collect(first, end, BEGINNING, left, found)[1] if left else found

    def _collect(
        self, first: int, end: int, more: int, left: int, found: Found
    ) -> tuple[int, Found]:
        """Add entries, and their classes, to those found before; tell how many are left to add."""
        offsets = self._row_offsets
        for rank, rows in enumerate(self._rows[:ECHOES], more):
            start, behind = rows[first], rows[end]
            if start < behind:
                entries = self._postings[offsets[start] : offsets[behind]]
                here = dict.fromkeys(entries, rank)
                found = here | found if found else here
                left -= len(entries)
                if not left:
                    return left, found
        for row in self.texts(first, end):
            found = dict.fromkeys(self.row(row), OTHER + more) | found
            left -= len(self.row(row))
        return left, found

    def among(self, words: Range, candidates: Set[int]) -> Found:
        """Return the class of a range of words on those candidates that have one."""
        heavy = self.heavy.get(words[:2])
        left = set(candidates) if heavy is None else having(heavy.every, candidates)
        found: Found = {}
        if words.number >= 0:
            word = Range(words.number, words.number + 1, words.number)
            self._among(word, 0, left, found)
        if left and words.end > words.number + 1:
            self._among(words, BEGINNING, left, found)
        return found

    def _among(self, words: Range, more: int, left: set[int], found: Found) -> None:
        """Move those that have one of these words from what is left to what is found."""
        first, end, _ = words
        heavy = self.heavy.get((first, end))
        mapped = dict(heavy.classes) if heavy else {}
        for rank in range(OTHER):
            if rank in mapped:
                here = having(mapped[rank], left)
            else:
                here = self._listed(first, end, rank, left)
            if here:
                found.update(dict.fromkeys(here, rank + more))
                left -= here
        if heavy:
            here = having(heavy.every, left)
        else:
            here = self._listed(first, end, OTHER, left)
            if self._texts[first] < self._texts[end]:
                key = first, end, False
                if key in self._sets:
                    here = left & self._sets[key]
                else:
                    rows = map(self.row, self.texts(first, end))
                    here = here.union(*map(left.intersection, rows))
        if here:
            found.update(dict.fromkeys(here, OTHER + more))
            left -= here

    def _listed(self, first: int, end: int, rank: int, left: set[int]) -> set[int]:
        """Return those of what is left that a range of words is in, in a class."""
        rows, offsets, postings = self._rows[rank], self._row_offsets, self._postings
        row, behind = rows[first], rows[end]
        if row == behind:
            return set()
        entries = postings[offsets[row] : offsets[behind]]
        if (behind - row) * len(left) * _SEARCH > len(entries):
            return left.intersection(entries)
        ends = offsets[row : behind + 1].tolist()
        return {
            each
            for low, high in pairwise(ends)
            for each in left
            if (place := bisect_left(postings, each, low, high)) < high and postings[place] == each
        }

    def elsewhere(self, words: Range) -> list[memoryview]:
        """Return the entries with one of these words in no name or alias, in several lists."""
        first, end, _ = words
        return [self.lists(first, end, OTHER), *map(self.row, self.texts(first, end))]

    def elsewhere_weight(self, words: Range) -> int:
        """Return at least as many as these entries are."""
        offsets = self._row_offsets
        found = self._weights[words.end] - self._weights[words.first]
        for rows in self._rows[:OTHER]:
            first, end = rows[words.first], rows[words.end]
            if first < end:
                found -= offsets[end] - offsets[first]
        return found

    def in_both(self, *sides: tuple[Range, bool]) -> set[int]:
        """Return the entries of two ranges of words, of each those in a name or those elsewhere."""
        found = [self._kept(*side) for side in sides]
        sets = [each for each in found if isinstance(each, frozenset)]
        lists = [each for each in found if not isinstance(each, frozenset)]
        if not lists:
            return set(sets[0] & sets[1])
        if not sets:
            lists.sort(key=lambda each: -sum(map(len, each)))
            sets.append(frozenset().union(*lists.pop()))
        return {each for entries in lists[0] for each in sets[0].intersection(entries)}

    def _kept(self, words: Range, named: bool) -> "frozenset[int] | list[memoryview]":
        """Return entries: of a common word a set, in several lists else.

        The set is kept for a while, as common words are asked for often: what it has in common with
        a small one takes no longer to find than that is.
        """
        key = words.first, words.end, named
        known = self._sets.get(key)
        if known is None:
            lists = self.named(words) if named else self.elsewhere(words)
            if not _LARGE <= sum(map(len, lists)) <= _LARGEST:
                return lists
            known = self._sets[key] = frozenset[int]().union(*lists)
            self._room -= len(known)
            while self._room < 0:
                self._room += len(self._sets.pop(next(iter(self._sets))))
        return known

    def let_go(self) -> Iterator[None]:
        """Forget the sets that are kept, one at each step."""
        while self._sets:
            self._room += len(self._sets.popitem()[1])
            yield

    def named(self, words: Range) -> list[memoryview]:
        """Return the entries with one of these words in their name or alias, in several lists."""
        lists = [self.lists(words.first, words.end, rank) for rank in range(OTHER)]
        return [each for each in lists if len(each)]

    def bearers(self, number: int) -> list[memoryview]:
        """Return the entries with this very word in their name or alias, in several lists."""
        offsets = self._row_offsets
        found = []
        for rows in self._rows[:OTHER]:
            start, behind = rows[number], rows[number + 1]
            if start < behind:
                found.append(self._postings[offsets[start] : offsets[behind]])
        return found


def in_lists(lists: Iterable[memoryview], candidates: set[int]) -> set[int]:
    """Return those candidates that are in one of several ascending lists."""
    most = _SEARCH * len(candidates)
    long = [each for each in lists if len(each) > most]
    short = [each for each in lists if len(each) <= most] if long else lists
    found = candidates.intersection(chain.from_iterable(short))
    for each in long:
        last = len(each) - 1
        found.update(at for at in candidates if each[bisect_left(each, at, 0, last)] == at)
    return found


def _heavy(tables: Tables) -> Iterator[tuple[tuple[int, int], Heavy]]:
    octets = (tables.count + 7) // 8
    maps = [
        tables.heavy_bits[start : start + octets]
        for start in range(0, len(tables.heavy_bits), octets or 1)
    ]
    for place in range(0, len(tables.heavy_ranges), HEAVY_COLUMNS):
        first, end, count, *bits = tables.heavy_ranges[place : place + HEAVY_COLUMNS]
        classes = tuple((rank, maps[each - 1]) for rank, each in enumerate(bits[1:]) if each)
        yield (first, end), Heavy(count, maps[bits[0] - 1], classes)
