"""Two words of one name: who has both.

Implements, of spec/phonebook.md, [M-5] for the query that is asked most, a full name. The commonest
names are in thousands of entries, and to meet two such lists takes long; but few bear both. So each
two words of a name (its aliases among them) are a row of their own, found from either of the two.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from itertools import accumulate, pairwise, permutations

from phonebook.search.tables import PAIRS, Tables
from phonebook.search.words import BEGINNING, Found, Range, Words

MOST_WORDS = 16
"""Words of a name and its aliases, beyond which an entry has no pairs, and is looked at always."""

_SCAN = 32  # rows of one word that are sooner looked through than searched
_MOST_ROWS = 64  # words that a query's word may begin, for a search of each
_MOST_WORDY = 64  # entries without pairs
_MOST_ELSEWHERE = 4_096  # entries that have a word elsewhere; one in more is none of names
_WEIGHTS = 4_096  # weights that are kept


def pair_tables(
    named: Iterable[Mapping[int, int]], words: int
) -> tuple[list[int], dict[str, bytes]]:
    """Return where the pairs of each of so many words begin, and the tables of them.

    Entries are given as their name words' numbers and the class of each.
    """
    rows: list[list[int]] = [[] for _ in range(words)]
    wordy = array("I")
    for position, classes in enumerate(named):
        if len(classes) > MOST_WORDS:
            wordy.append(position)
        else:
            low = position << 4
            for (one, rank), (other, its) in permutations(classes.items(), 2):
                rows[one].append(other << 32 | low | rank << 2 | its)
    others, entries = array("I"), array("I")
    for row in rows:
        row.sort()
        others.extend([each >> 32 for each in row])
        entries.extend([each & 0xFFFF_FFFF for each in row])
    return list(accumulate(map(len, rows), initial=0)), {
        "pair_words": others.tobytes(),
        "pair_entries": entries.tobytes(),
        "pair_wordy": wordy.tobytes(),
    }


class Pairs:
    """The names of a directory, over its tables."""

    def __init__(self, tables: Tables, words: Words) -> None:
        """Read these tables."""
        self._words = words
        self._offsets, self._others = tables.column(PAIRS), tables.pair_words
        self._bearers, self._wordy = tables.pair_entries, tables.pair_wordy
        self._elsewhere = lru_cache(_WEIGHTS)(words.elsewhere_weight)

    def weight(self, words: Range) -> int:
        """Return how many pairs these words are in."""
        return self._offsets[words.end] - self._offsets[words.first]

    def beside(self, words: Range, entries: Set[int] | None = None) -> set[int]:
        """Return the words that stand beside one of these in a name, of these entries or of all."""
        start, end = self._offsets[words.first], self._offsets[words.end]
        others = self._others[start:end]
        if entries is None:
            return set(others)
        bearers = self._bearers[start:end]
        return {
            word for word, bearer in zip(others, bearers, strict=True) if bearer >> 4 in entries
        }

    def match(self, ranges: Sequence[Range]) -> Found | None:
        """Return who has all these words, and the rank of each; None where pairs cannot tell."""
        weights = [self._elsewhere(each) for each in ranges]
        named = [
            each for each, weight in zip(ranges, weights, strict=True) if weight <= _MOST_ELSEWHERE
        ]
        if len(named) < 2 or len(self._wordy) > _MOST_WORDY:
            return None
        found = self.in_names(named)
        if found is None:
            return None
        others = set(self._wordy)
        for each, weight in zip(ranges, weights, strict=True):
            if 0 < weight <= _MOST_ELSEWHERE:
                others |= self._partly_elsewhere(each, named)
        if others:
            found |= self._anywhere(named, dict.fromkeys(others, 0))
        if len(named) < len(ranges):
            return self._anywhere([each for each in ranges if each not in named], found)
        return found

    def in_names(self, ranges: Sequence[Range]) -> Found | None:
        """Return in whose name all these words are, and the rank of each."""
        weights = [self.weight(each) for each in ranges]
        at = weights.index(min(weights))
        least = ranges[at]
        found: Found = {}
        for place, each in enumerate(ranges):
            if place != at:
                if each.first < least.end and least.first < each.end:
                    return None  # one word may be both
                both = self.both(least, each)
                if both is None:
                    return None
                if found:
                    both = {
                        position: found[position] + (rank & 0xFF)
                        for position, rank in both.items()
                        if position in found
                    }
                if not both:
                    return {}
                found = both
        return {position: (rank >> 8) + (rank & 0xFF) for position, rank in found.items()}

    def _partly_elsewhere(self, one: Range, ranges: Sequence[Range]) -> set[int]:
        """Return who has one of the words elsewhere than in a name, and at least two of them."""
        least = min((each for each in ranges if each != one), key=self._words.weight)
        met = self._words.in_both((one, False), (least, True))
        if self._elsewhere(least):
            met |= self._words.in_both((one, False), (least, False))
        return met

    def both(self, one: Range, other: Range) -> Found | None:
        """Return who has both, with the class of one << 8 and that of the other.

        As every two words of a name are a row, the least of these is the least of each.
        """
        offsets, others = self._offsets, self._others
        start, end = offsets[one.first], offsets[one.end]
        first, last, number = other
        size = one.end - one.first
        if end - start <= _SCAN * size:
            rows = [
                row for row, word in enumerate(others[start:end], start) if first <= word < last
            ]
        elif size <= _MOST_ROWS:
            rows = []
            ends = offsets[one.first : one.end + 1].tolist()
            for here, behind in pairwise(ends):
                if here < behind:
                    least = bisect_left(others, first, here, behind)
                    if least < behind and others[least] < last:
                        rows += range(least, bisect_left(others, last, least, behind))
        else:
            return None
        whole = offsets[one.number + 1] if one.number >= 0 else start
        found: Found = {}
        for row in rows:
            packed = self._bearers[row]
            rank = (packed >> 2 & 3) + (row >= whole) * BEGINNING << 8
            rank += (packed & 3) + (others[row] != number) * BEGINNING
            position = packed >> 4
            found[position] = min(rank, found.get(position, rank))
        return found

    def _anywhere(self, ranges: Iterable[Range], found: Found) -> Found:
        """Return who has all these words, too, in whatever field, and the sum of the ranks."""
        for each in ranges:
            ranks = self._words.among(each, found.keys())
            found = {position: rank + found[position] for position, rank in ranks.items()}
            if not found:
                break
        return found
