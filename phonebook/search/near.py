"""The nearest names, for a query that nothing matches as it is written.

Implements the capability `near` of spec/phonebook.md, section 9.3. The order is this server's own.

A misspelt word is found by leaving letters out of it and of every name word alike (Garbe's
symmetric deletes; Bocek et al. 2007), or by its sound. All that is vague happens on words, which
grow far slower than entries; the other words of the query then choose among the entries.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from functools import lru_cache
from itertools import chain, combinations, islice
from math import log2
from typing import NamedTuple
from zlib import crc32

from phonebook.directory.names import PARTICLES
from phonebook.search.match import Index
from phonebook.search.query import Term
from phonebook.search.sound import sound
from phonebook.search.spell import left_out, limit_of
from phonebook.search.tables import Tables
from phonebook.search.ways import TooBroadError
from phonebook.search.words import Range

MAX_NEAR = 5

_MAX_WORDS = 6  # of a query that is tried
_MAX_VAGUE = 600  # words that are looked at for one word of the query
_PARTS = 4  # words that may have been run together
_LONGEST = 24  # letters of a word that is compared

# What a candidate costs: letters, sound and beginning against how many bear the name. The weights
# are those of a prototype's measurements, and the figures of tests/bench hold them.
_LETTER = 2.0
_SAME_SOUND = -1.0
_OTHER_BEGINNING = 0.7
_COMMON = -0.3
_AGAIN = 10.0  # a further bearer of a word that stands alone: first others' names are shown
_JOINED = 1.0  # two words that were one, or one that was two


_WORK = 32_000
"""What a request may cost, in entries that are looked at: some 2 ms. Then what was found counts."""
_COMPARISON, _GLANCE = 150, 20  # what it costs to compare two words, and to pass one over
_CODE = 3  # what it costs to read one of the words with letters left out
_FINDING = 200  # what it costs to find a word
_CLASSES = 4  # what it costs to tell the class of a word on an entry: each is tried

_SOUNDS = 4_096  # of words, that are kept for this view alone: else its time would tell another

_SHORT = 5  # letters of a word below which one that stands alone is hardly told from another
_WORD = 0xFFFFFFFF  # of a code and a word, the word
_QUICK = 2  # rows that are passed over in the time of an entry that is looked at


class Nearest:
    """Finds the nearest names in an index."""

    def __init__(self, index: Index, tables: Tables) -> None:
        """Look in these tables."""
        self._index, self._tables = index, tables
        self._sound = lru_cache(_SOUNDS)(sound)

    def match(self, terms: Sequence[Term]) -> list[int]:
        """Return at most five entries, nearest first; none where nothing is near."""
        plain = [term for term in terms if not (term.field or term.excluded)]
        if any(term.number for term in plain):
            return []
        words = [*dict.fromkeys(word for term in plain for word in term.words)]
        if not 0 < len(words) <= _MAX_WORDS or max(map(len, words)) > _LONGEST:
            return []
        strict = self._index.strictly(
            dict.fromkeys(term for term in terms if term.field or term.excluded)
        )
        if strict.hopeless:
            return []
        search = _Search(self._index, self._tables, self._sound)
        best: dict[int, float] = {}
        with suppress(_ExhaustedError, TooBroadError):
            # as it has cost, before it found nothing; the lists of fields were made in any case
            search.spend(max(self._index.effort(terms), strict.effort(0)))
            for found in search.attempts(words):
                if found:
                    search.spend(strict.effort(len(found)))
                    found = {each: found[each] for each in strict.among(set(found))}
                if found:
                    best = found
                    break
        return sorted(best, key=lambda each: (best[each], each))[:MAX_NEAR]


class _ExhaustedError(Exception):
    """A request has cost enough."""


class _Others(NamedTuple):
    """Names that have some words of the query as written."""

    words: Range
    """One of these words."""
    entries: Set[int] | None
    """Whose names they are; None for all that have that word."""
    beside: set[int]
    """The other words of these names."""


class _Search:
    """One request's search, which ends when it has cost enough."""

    def __init__(self, index: Index, tables: Tables, sound: Callable[[str], str]) -> None:
        self._words, self._pairs = index.words, index.pairs
        self._deletes, self._sounds = tables.near_deletes, tables.near_sounds
        self._sound = sound
        self._left = _WORK
        self._known: dict[tuple[str, int], tuple[int, bool]] = {}
        """By what was asked and a word's number: how far apart, and whether they sound alike."""

    def spend(self, entries: int) -> None:
        """Take note of a cost. Raises `_ExhaustedError` where all of it is too much."""
        self._left -= entries
        if self._left < 0:
            raise _ExhaustedError

    def attempts(self, words: list[str]) -> Iterator[dict[int, float]]:
        """Yield entries and what they cost, from the likeliest slip to the least likely."""
        places = range(len(words))
        unknown = [place for place in places if not self._is_known(words[place])]
        if len(words) > 1 and not unknown:
            yield dict.fromkeys(self._having(words), 0.0)
        yield self._other_spaces(words, unknown)
        if len(words) == 1:
            yield self._alone(words[0])
        elif len(unknown) < 2:
            if unknown:
                yield self._one_vague(words, unknown)
            yield self._one_vague(words, places)
        if len(words) > 1:
            yield self._two_vague(words, unknown)

    def _is_known(self, word: str) -> bool:
        return any(map(len, self._words.named(self._words.meant(word.encode()))))

    def _having(self, words: Sequence[str]) -> Set[int]:
        """Return the entries in whose names all these words are, or begin a word."""
        self.spend(_FINDING * len(words))
        ranges = [self._words.meant(word.encode()) for word in words]
        if len(ranges) > 1:
            self.spend(len(ranges) * min(map(self._pairs.weight, ranges)) // _QUICK)
            paired = self._pairs.in_names(ranges)
            if paired is not None:
                return paired.keys()
        ranges.sort(key=self._words.weight)
        named = self._words.named(ranges[0])
        self.spend(sum(map(len, named)))
        found = set[int]().union(*named)
        for each in ranges[1:]:
            self.spend(_CLASSES * len(found))
            ranks = self._words.among(each, found)
            found = {position for position, rank in ranks.items() if rank & 3 < 3}
        return found

    # Spaces

    def _other_spaces(self, words: list[str], unknown: Sequence[int]) -> dict[int, float]:
        """Return whom the words find if two are one, or one is several."""
        found: dict[int, float] = {}
        for place in range(len(words) - 1):
            joined = words[place] + words[place + 1]
            if self._is_name(joined):
                others = [*words[:place], joined, *words[place + 2 :]]
                found.update(dict.fromkeys(self._having(others), _JOINED))
        for place in unknown or range(len(words)):
            others = [*words[:place], *words[place + 1 :]]
            for parts in self._partitions(words[place], _PARTS):
                for position in self._having([*parts, *others]):
                    found.setdefault(position, _JOINED * (len(parts) - 1))
        return found

    def _partitions(self, word: str, most: int) -> Iterator[list[str]]:
        """Yield the ways to part a word into words of names."""
        if self._is_name(word):
            yield [word]
        if most > 1:
            for cut in range(1, len(word)):
                if (cut > 1 or not word.isascii()) and self._is_name(word[:cut]):
                    for rest in self._partitions(word[cut:], most - 1):
                        yield [word[:cut], *rest]

    def _is_name(self, word: str) -> bool:
        if word.isascii() and len(word) < 3 and word not in PARTICLES:
            return False  # initials, as a rule
        number = self._words.word(word.encode())
        return number >= 0 and bool(self._words.bearers(number))

    # Letters

    def _alone(self, word: str) -> dict[int, float]:
        """Return who has nearly this word: of each such word first one, then all."""
        found: dict[int, float] = {}
        for cost, number in self._vague(word, _limit_alone(len(word)), None):
            bearers = chain.from_iterable(self._words.bearers(number))
            for more, position in enumerate(islice(bearers, MAX_NEAR)):
                found[position] = min(cost + more * _AGAIN, found.get(position, _AGAIN * MAX_NEAR))
        return found

    def _one_vague(self, words: list[str], places: Iterable[int]) -> dict[int, float]:
        """Return who has all words but one as written, and that one nearly."""
        found: dict[int, float] = {}
        for place in places:
            others = self._others([*words[:place], *words[place + 1 :]])
            if others is not None:
                self._bearing(words[place], others, found)
        return found

    def _two_vague(self, words: list[str], unknown: Sequence[int]) -> dict[int, float]:
        """Return who has all words but two as written, and those two nearly."""
        found: dict[int, float] = {}
        for one, other in combinations(range(len(words)), 2):
            if not {*unknown} <= {one, other}:
                continue
            rest = [word for place, word in enumerate(words) if place not in (one, other)]
            if rest:
                others = self._others(rest)
                if others is not None:
                    costs: dict[int, float] = {}
                    self._bearing(words[one], others, costs)
                    both: dict[int, float] = {}
                    self._bearing(words[other], others, both)
                    for position in costs.keys() & both.keys():
                        total = costs[position] + both[position]
                        found[position] = min(total, found.get(position, total))
            else:
                self._both_vague(words[one], words[other], found)
        return found

    def _both_vague(self, one: str, other: str, found: dict[int, float]) -> None:
        """Find who has nearly the one word and nearly the other."""
        firsts = self._vague(one, _limit_alone(len(one)), None)
        beside: set[int] = set()
        for _, number in firsts:
            met = self._pairs.beside(_single(number))
            self.spend(len(met))
            beside |= met
        for limit in range(1, limit_of(len(other)) + 1):
            for cost, number in self._vague(other, limit, beside):
                met = self._pairs.beside(_single(number))
                self.spend(len(met))
                for its, first in firsts:
                    if first in met:
                        for position in self._pairs.both(_single(first), _single(number)) or ():
                            total = its + cost
                            found[position] = min(total, found.get(position, total))
            if found:
                return

    def _others(self, words: Sequence[str]) -> "_Others | None":
        """Return what stands in names beside all these words; None where nobody has them."""
        self.spend(_FINDING * len(words))
        ranges = [self._words.meant(word.encode()) for word in words]
        least = min(ranges, key=self._pairs.weight)
        weight = self._pairs.weight(least)
        self.spend(weight * 2 // 3 if len(ranges) == 1 else weight)  # measured
        entries = self._having(words) if len(ranges) > 1 else None
        if not weight or entries is not None and not entries:
            return None
        return _Others(least, entries, self._pairs.beside(least, entries))

    def _bearing(self, word: str, others: "_Others", found: dict[int, float]) -> None:
        """Find who of those has nearly this word: one letter off, or, if nobody is, two."""
        for limit in range(1, limit_of(len(word)) + 1):
            for cost, number in self._vague(word, limit, others.beside):
                met = self._pairs.both(_single(number), others.words) or {}
                self.spend(len(met))
                for position in met:
                    if others.entries is None or position in others.entries:
                        found[position] = min(cost, found.get(position, cost))
            if found:
                return

    def _vague(self, word: str, limit: int, beside: set[int] | None) -> list[tuple[float, int]]:
        """Return what each name word costs that is at most so many letters off, and its number.

        They are of those `beside`; where these are not known, they must begin or sound alike.
        """
        own_sound = self._sound(word)
        numbers: set[int] = set()
        left = left_out(word, limit)
        self.spend(_GLANCE * len(left))
        for each in left:
            numbers.update(self._with_code(self._deletes, each))
        if len(own_sound) > 1:
            numbers.update(self._with_code(self._sounds, own_sound))
        if beside is not None:
            numbers &= beside
        compare = Comparison(word)
        found = []
        for number in sorted(numbers)[:_MAX_VAGUE]:
            self.spend(_GLANCE)
            text = self._words.text(number)
            if abs(len(text) - len(word)) > limit + 1:
                continue
            if (word, number) not in self._known:
                self.spend(_COMPARISON)
                alike = self._sound(text) == own_sound
                self._known[word, number] = compare.distance(text), alike
            distance, alike = self._known[word, number]
            begins = text[0] == word[0]
            if not 0 < distance <= limit + alike:
                continue
            if beside is None and len(word) < _SHORT and distance > 1:
                continue
            if beside is None and not (alike or begins) and (distance > 1 or len(word) < _SHORT):
                continue
            bearers = sum(map(len, self._words.bearers(number)))
            cost = (
                _LETTER * distance
                + _SAME_SOUND * alike
                + _OTHER_BEGINNING * (not begins)
                + _COMMON * log2(1 + bearers)
            )
            found.append((cost, number))
        return found

    def _with_code(self, table: memoryview, text: str) -> list[int]:
        code = crc32(text.encode()) << 32
        first = bisect_left(table, code)
        end = bisect_right(table, code | _WORD, first)
        self.spend(_CODE * (end - first))
        return [each & _WORD for each in table[first:end]]


def _single(number: int) -> Range:
    return Range(number, number + 1, number)


def _limit_alone(letters: int) -> int:
    """Return how many letters may differ of a word that stands alone."""
    return 0 if letters < 3 else 1 if letters < 7 else 2


class Comparison:
    """How many letters other words differ by from one: Hyyrö's bit vectors (2003)."""

    def __init__(self, word: str) -> None:
        """Compare with this word."""
        self._letters: dict[str, int] = {}
        for place, letter in enumerate(word):
            self._letters[letter] = self._letters.get(letter, 0) | 1 << place
        self._size = len(word)

    def distance(self, other: str) -> int:
        """Return letters inserted, left out, replaced, or exchanged with the next one.

        >>> Comparison("hopper").distance("hoper"), Comparison("ada").distance("aad")
        (1, 1)
        """
        every = (1 << self._size) - 1
        last = 1 << self._size - 1
        plus, minus, zero, before = every, 0, 0, 0
        score = self._size
        for letter in other:
            here = self._letters.get(letter, 0)
            exchanged = ((~zero & here) << 1) & before
            zero = (((here & plus) + plus) ^ plus) | here | minus | exchanged
            rise, fall = minus | ~(zero | plus), zero & plus
            score += bool(rise & last) - bool(fall & last)
            rise = rise << 1 | 1
            plus = (fall << 1 | ~(zero | rise)) & every
            minus = rise & zero & every
            before = here
        return score
