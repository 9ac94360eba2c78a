"""Matching: which entries a query finds, and in which order.

Implements spec/phonebook.md, sections 9.3 to 9.5, over the ways in which each term finds entries.
The term of the fewest entries begins, and the others choose among what it found. Where even that
one finds many, all that have bits are met first; nobody is ranked before no more than 1,000 are
left, and no entry is read before that.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import chain

from phonebook.directory.entry import Header
from phonebook.directory.numbers import Dialling
from phonebook.search.bits import having, is_dense, octets_of, packed, unpacked
from phonebook.search.build import BROAD, BROAD_SHARE
from phonebook.search.lines import (
    is_link,
    is_named,
    lines_of,
    reading_of_number,
    reading_of_sequence,
)
from phonebook.search.pairs import Pairs
from phonebook.search.piece import KINDS, id_words
from phonebook.search.query import Term
from phonebook.search.tables import ECHO, LINK, Tables
from phonebook.search.ways import (
    MAX_IN_FIELDS,
    MAX_MATCHES,
    MAX_NUMBERS,
    Either,
    Entries,
    InField,
    OfKind,
    OfNumber,
    OfSequence,
    OfWord,
    TooBroadError,
    Way,
)
from phonebook.search.words import Found, Range, Words

_FIELDS = 256  # whose slots are remembered
_POSITION = 0xFFFFFFFF


class Index:
    """A directory's tables, ready to be asked."""

    def __init__(self, tables: Tables, header: Header, text: Callable[[int], str]) -> None:
        """Ask these tables; `text` reads the lines of the entry with a number."""
        self.words = Words(tables)
        self.pairs = Pairs(tables, self.words)
        self._tables, self._text = tables, text
        self._dialling = Dialling(header)
        self._limit = max(BROAD, tables.count // BROAD_SHARE)
        self._most_in_fields = max(MAX_IN_FIELDS, tables.count)
        self._slots: dict[str, frozenset[int]] = {}  # of each field that was asked for
        self._asked: dict[Term, Way] = {}  # of the last query

    def match(self, terms: Sequence[Term]) -> list[int]:
        """Return the numbers of all entries that match, best first.

        Raises `TooBroadError` where they are more than 1,000, or may be ([M-16]).
        """
        if all(term.is_word for term in terms):
            return self.match_words([term.words[0].encode() for term in terms])
        meant = self._in_fields(terms)
        if sum(map(self.words.breadth, meant)) > self._most_in_fields:  # before lists are made
            raise TooBroadError
        entries = Entries(self._text)
        self._asked = {term: self._way(term, entries) for term in dict.fromkeys(terms)}
        listed = sum(way.weight for way in self._asked.values() if isinstance(way, InField))
        if listed * 2 > self._most_in_fields < sum(map(self.words.weight, meant)):
            raise TooBroadError
        wanted = Counter(term for term in terms if not term.excluded)
        return self._ranked(
            [(self._asked[term], times) for term, times in wanted.items()],
            [way for term, way in self._asked.items() if term.excluded],
        )

    def match_words(self, words: Sequence[bytes]) -> list[int]:
        """Match the commonest query: words, or their beginnings, in any field; as `match` does."""
        if len(words) == 1:
            found = self.words.few(words[0])
            if found is not None:
                return found
        meant = self.words.meant
        ranges = [meant(word) for word in words]
        weights = [self.words.weight(each) for each in ranges]
        weight = min(weights)
        if not weight:
            return []
        if len(ranges) > 1:
            named = self.pairs.match(ranges)
            if named is not None:
                return _ordered(named)
        if weight > MAX_MATCHES:
            times = Counter(ranges).items()
            return self._ranked([(OfWord(self.words, each), often) for each, often in times], [])
        if len(ranges) == 1:
            return self.words.ordered(ranges[0])
        least = ranges.pop(weights.index(weight))
        weights.remove(weight)
        met = self.words.collect(least)
        for _, each in sorted(zip(weights, ranges, strict=True)):
            ranks = self.words.among(each, met.keys())
            met = {position: rank + met[position] for position, rank in ranks.items()}
        return _ordered(met)

    def _in_fields(self, terms: Iterable[Term]) -> list[Range]:
        """Return what the words of field terms mean, whose places are counted ([M-16])."""
        return [
            self._meant(term)[0]
            for term in {*terms}
            if term.field and term.field != "kind" and not term.number and len(term.words) == 1
        ]

    def effort(self, terms: Sequence[Term]) -> int:
        """Return what `match` costs where it finds nothing, at most, in entries looked at."""
        if all(term.is_word for term in terms):
            return 0  # little
        ways = [(self._way_of(term), term.excluded) for term in dict.fromkeys(terms)]
        least = min(way.weight for way, excluded in ways if not excluded)
        some = min(least, MAX_MATCHES)
        return sum(way.effort(some) for way, _ in ways) if least else 0

    def strictly(self, terms: Iterable[Term]) -> "Strict":
        """Return what tells who matches these terms."""
        return Strict([(self._way_of(term), term.excluded) for term in terms])

    def linking(self, links: Set[str], id: str) -> set[int]:
        """Return the entries of which one of these links leads to the entry with an id.

        Raises `TooBroadError` where too many would have to be read.
        """

        def leads(position: int) -> bool:
            lines = lines_of(self._text(position))
            return any(value == id and field.partition(".")[0] in links for field, value in lines)

        ranges = [self.words.meant((LINK + word).encode(), whole=True) for word in id_words(id)]
        slots = frozenset[int]().union(*map(self._slots_of, links))
        texts = [
            row for row in self.words.same_texts(ranges) if self._tables.row_slots[row] in slots
        ]
        sure: set[int] = set()
        maybe = self.words.all_ordinary(ranges)
        for row in texts:
            entries = self.words.row(row)
            if len(entries) > MAX_MATCHES:
                raise TooBroadError
            if len(texts) > 1:  # in several fields, or of ids with the same words
                maybe.update(entries)
            elif leads(entries[0]):
                sure.update(entries)
        maybe -= sure
        if len(maybe) > MAX_MATCHES:
            raise TooBroadError
        return sure.union(filter(leads, maybe))

    def _ranked(self, wanted: list[tuple[Way, int]], excluded: list[Way]) -> list[int]:
        """Return whom all these find, each so many times in the rank, best first."""
        wanted.sort(key=lambda each: each[0].weight)
        least = wanted[0][0]
        if not least.weight:
            return []
        if least.weight <= MAX_MATCHES:
            left = _without(set(least.candidates()), excluded)
            met = [least]
        else:
            if _numbers([*(way for way, _ in wanted), *excluded]) > MAX_NUMBERS:
                raise TooBroadError
            left, met = self._met([way for way, _ in wanted], excluded)
            if len(left) - sum(way.unsure for way, _ in wanted) > MAX_MATCHES:
                raise TooBroadError
        found: Found = dict.fromkeys(left, 0)
        for way, times in sorted(wanted, key=lambda each: _last(each[0], left)):
            if found and not (way.flat and way in met):
                ranks = way.among(set(found))
                found = {each: found[each] + times * rank for each, rank in ranks.items()}
        return _ordered(found)

    def _met(self, wanted: Sequence[Way], excluded: Sequence[Way]) -> tuple[set[int], list[Way]]:
        """Return whom all these find, and maybe more; and of the ways those that were all met.

        What is many is met as bits, what is few as sets.
        """
        count = self._tables.count
        met, listed, unwanted = (1 << count) - 1, [], []
        for way in wanted:
            bits = way.bits()
            if bits is None:
                listed.append(way)
            else:
                met &= bits
        for way in excluded:
            bits = way.bits()
            if bits is None:
                unwanted.append(way)
            else:
                met &= ~bits
        unsure = sum(way.unsure for way in wanted)
        many = met.bit_count()
        while listed and is_dense(many, count):
            met &= packed(listed.pop(0).candidates(), count)
            many = met.bit_count()
        if not listed:
            if many > self._limit + unsure:  # as are all words
                raise TooBroadError
            if many - unsure - sum(way.weight for way in unwanted) > MAX_MATCHES:
                raise TooBroadError
        if unwanted and is_dense(many, count):
            sure = [way.candidates() for way in unwanted if not way.unsure]
            met &= ~packed(chain.from_iterable(sure), count)
            unwanted = [way for way in unwanted if way.unsure]
        if listed and listed[0] is wanted[0]:
            octets = met.to_bytes(octets_of(count), "little")
            left = having(memoryview(octets), set(listed.pop(0).candidates()))
        else:
            left = set(unpacked(met))
        listed.sort(key=lambda each: _last(each, left), reverse=True)
        while listed and (len(left) > MAX_MATCHES or not listed[-1].unsure):
            left = set(listed.pop().among(left))
        return _without(left, unwanted), [way for way in wanted if way not in listed]

    def _way_of(self, term: Term) -> Way:
        """Return the way of a term, maybe of the last query: what is near is asked for at once."""
        return self._asked.get(term) or self._way(term, Entries(self._text))

    def _way(self, term: Term, entries: Entries) -> Way:
        """Return the way in which a term finds entries."""
        if term.field == "kind":
            return OfKind(
                [range(*self._tables.kinds[kind]) for kind in KINDS if _matches_kind(term, kind)]
            )
        if term.number is None:
            return self._way_of_words(term, entries)
        reading = reading_of_number(term.number, term.field, self._dialling)
        keys = self._dialling.query_keys(term.number)
        way = OfNumber(self._tables, term.number, keys, term.field, reading, entries)
        if term.field:
            return way
        return Either(way, self._way_of_words(term, entries), self._tables.count)

    def _meant(self, term: Term) -> list[Range]:
        """Return what each word of a term means."""
        link = LINK if is_link(term.field) else ""
        last = len(term.words) - 1
        return [
            self.words.meant((link + word).encode(), term.whole or place < last)
            for place, word in enumerate(term.words)
        ]

    def _way_of_words(self, term: Term, entries: Entries) -> Way:
        ranges = self._meant(term)
        if len(ranges) > 1:
            slots = self._slots_of(term.field) if term.field else None
            reading = reading_of_sequence(term)
            return OfSequence(self.words, self.pairs, ranges, slots, reading, entries)
        if term.field:
            lists = self.words.lists_in(ranges[0], self._slots_of(term.field))
            return InField(lists)
        return OfWord(self.words, ranges[0])

    def _slots_of(self, field: str) -> frozenset[int]:
        """Return where the words of a field stand that a query names (M-9)."""
        if field not in self._slots:
            if len(self._slots) > _FIELDS:
                self._slots.clear()
            self._slots[field] = frozenset(
                slot
                for slot, name in enumerate(self._tables.slots)
                if is_named(field, name.removesuffix(ECHO) or "name")
            )
        return self._slots[field]


def _last(way: Way, candidates: Set[int]) -> tuple[int, int]:
    """Return what the ways are sorted by: whatever reads entries comes last, to read few."""
    return way.unsure, way.effort(len(candidates))


class Strict:
    """Terms that hold for entries as they are written, whatever else is near."""

    def __init__(self, ways: Sequence[tuple[Way, bool]]) -> None:
        """Look in these ways; tell of each whether it is for what is excluded."""
        self._ways = ways

    @property
    def hopeless(self) -> bool:
        """Whether nobody matches."""
        return any(not (way.weight or excluded) for way, excluded in self._ways)

    def effort(self, some: int) -> int:
        """Return what `among` costs for so many entries, at most, in entries looked at."""
        return sum(way.effort(some) for way, _ in self._ways)

    def among(self, candidates: set[int]) -> set[int]:
        """Return those that match."""
        for way, excluded in self._ways:
            if candidates:
                matched = way.among(candidates).keys()
                candidates = candidates - matched if excluded else candidates & matched
        return candidates


def _numbers(ways: Iterable[Way]) -> int:
    """Return how many numbers of entries end as those of some ways do, all together ([M-16])."""
    numbers = [way.number if isinstance(way, Either) else way for way in ways]
    return sum(
        max(each.unsure, each.weight - each.unsure)
        for each in numbers
        if isinstance(each, OfNumber)
    )


def _without(candidates: set[int], excluded: Iterable[Way]) -> set[int]:
    """Take from candidates what these ways find."""
    for way in sorted(excluded, key=lambda each: _last(each, candidates)):
        few = way.weight < len(candidates) and not way.unsure
        candidates.difference_update(way.candidates() if few else way.among(candidates))
    return candidates


def _ordered(found: Found) -> list[int]:
    """Return the entries by rank, then by number. Raises `TooBroadError` for more than 1,000."""
    if len(found) > MAX_MATCHES:
        raise TooBroadError
    if len(found) == 1:
        return list(found)
    return [key & _POSITION for key in sorted([rank << 32 | at for at, rank in found.items()])]


def _matches_kind(term: Term, kind: str) -> bool:
    word = term.words[0]
    return len(term.words) == 1 and (kind == word if term.whole else kind.startswith(word))
