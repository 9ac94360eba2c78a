"""From a projected directory to its tables.

Implements spec/phonebook.md, sections 9.2, 9.5 and, of 9.4, what the keys of an entry are. What is
built here sees the projection alone, so what a viewer may not see cannot sway it.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain
from zlib import crc32

from phonebook.directory.entry import Directory, Entry
from phonebook.directory.fields import LINKS
from phonebook.directory.names import Name, read_name
from phonebook.directory.numbers import Dialling, read_number
from phonebook.directory.text import spellings, words
from phonebook.search.heavy import heavy
from phonebook.search.spell import deletes, sounds
from phonebook.search.tables import (
    ALIAS,
    ECHO,
    ECHOES,
    FAMILY,
    FORMATS,
    FURTHER,
    LINK,
    NAME,
    OTHER,
    Tables,
    ending_code,
)

KINDS = ("person", "group", "service", "place")
"""In the order of results."""

BROAD = 5_000
BROAD_SHARE = 4
"""A word is broad if more than 5,000 entries have it, and more than a quarter of all ([M-16])."""

PLAIN = frozenset({"email", "url"})
"""Fields whose words, like those of ids, have one spelling each (9.2)."""

Values = bytes | bytearray | Iterable[int]

_LONG_KEY = re.compile(r"\+?([0-9]{7,})")
_ENDING = re.compile(r"\+?([0-9]+)")
_REPEATED = 3  # times that a text must stand in a field to be a row of its own, not its words


def in_order(directory: Directory) -> list[tuple[Name, Entry]]:
    """Return the entries in the order of equal rank, with their names read (O-1, O-2)."""
    named = [(read_name(entry), entry) for entry in directory.entries]
    named.sort(key=lambda each: (KINDS.index(each[1].kind), each[0].sort_name.encode(), each[1].id))
    return named


def build(directory: Directory, named: Sequence[tuple[Name, Entry]]) -> Tables:
    """Return the tables of a directory whose entries stand in this order."""
    count = len(named)
    values = Counter(
        (field, value)
        for _, entry in named
        for field, found in entry.fields
        if field.partition(".")[0] not in ("name", "alias", "phone")
        for value in found
    )
    found = _Words([each for each, times in values.items() if times >= _REPEATED])
    del values
    numbers = _Numbers(Dialling(directory.header))
    ends = dict.fromkeys(KINDS, 0)
    for position, (name, entry) in enumerate(named):
        ends[entry.kind] = position + 1
        found.add_entry(position, name, entry)
        numbers.add_entry(position, entry)
    kinds, start = {}, 0
    for kind in KINDS:
        kinds[kind] = (start, max(start, ends[kind]))
        start = kinds[kind][1]
    made = found.tables() | numbers.tables()
    made |= heavy(count, found.texts, found.ends, found.weights, found.lists)
    packed = {name: _packed(made[name], item) for name, item in FORMATS.items()}
    return Tables(count, tuple(found.slots), kinds, **packed)


def _packed(values: Values, item: str) -> memoryview:
    if isinstance(values, bytes | bytearray):
        return memoryview(values)
    return memoryview(values if isinstance(values, array) else array(item, values))


class _Words:
    """The words of all entries, in rows by slot."""

    def __init__(self, repeated: Iterable[tuple[str, str]]) -> None:
        self.slots: dict[str, int] = {"": FAMILY, "name": NAME, "alias": ALIAS}
        self._rows: list[dict[str, list[int]]] = [{}, {}, {}]  # of each slot: word -> entries
        self._repeated: dict[tuple[str, str], list[int]] = {each: [] for each in repeated}
        self.of_names: set[str] = set()  # words of names, for the near: initials are none
        self.texts: list[str] = []
        self.row_slots = array("H")
        self.row_lists: list[list[int]] = []
        self.word_rows = array("I")
        self.word_texts: list[list[int]] = []

    def add_entry(self, position: int, name: Name, entry: Entry) -> None:
        """Note the words of an entry."""
        named: set[str] = set()
        for place, spelt in enumerate(name_spellings(name, entry)):
            named.update(spelt)
            rows = self._rows[FAMILY if name.start <= place < name.end else NAME]
            for word in spelt:
                _note(rows, word, position)
        self.of_names |= named - {name.initials}
        self._add("id", id_words(entry.id), named, position)
        for field, values in entry.fields:
            for value in values:
                entries = self._repeated.get((field, value))
                if entries is None:
                    self._add_value(field, value, named, position)
                elif not entries or entries[-1] != position:
                    entries.append(position)

    def _add_value(self, field: str, value: str, named: set[str], position: int) -> None:
        base = field.partition(".")[0]
        if base not in ("name", "phone"):
            found = _words(base, value)
            self._add(field, found, named, position)
            if base == "alias":
                self.of_names.update(found)

    def _add(self, field: str, found: Iterable[str], named: set[str], position: int) -> None:
        plain, echoes = self._slot(field), self._slot(field + ECHO)
        for word in found:
            _note(self._rows[echoes if word in named else plain], word, position)

    def _slot(self, field: str) -> int:
        slot = self.slots.get(field)
        if slot is None:
            slot = self.slots[field] = len(self._rows)
            self._rows.append({})
        return slot

    def tables(self) -> dict[str, Values]:
        """Number the words and the rows. (What `heavy` needs stays on the object.)"""
        ranks = classes(self.slots)
        groups: list[list[tuple[str, int, list[int]]]] = [[] for _ in range(ECHOES + 1)]
        for slot, rows in enumerate(self._rows):
            groups[ranks[slot]] += [(word, slot, entries) for word, entries in rows.items()]
        texts: dict[str, list[int]] = {}  # word -> numbers of repeated texts
        repeated: list[tuple[int, list[int]]] = []
        for (field, value), entries in self._repeated.items():
            for word in _words(field.partition(".")[0], value):
                texts.setdefault(word, []).append(len(repeated))
            repeated.append((self._slot(field), entries))
        self._rows = []
        self.texts = sorted({row[0] for group in groups for row in group}.union(texts))
        number = {word: place for place, word in enumerate(self.texts)}
        spelt = [_spelt(*each, number) for each in self._repeated]
        for group in groups:
            group.sort()
            counts = array("I", bytes(4 * (len(self.texts) + 1)))
            for word, slot, entries in group:
                counts[number[word] + 1] += 1
                self.row_slots.append(slot)
                self.row_lists.append(entries)
            before = len(self.row_lists) - len(group)
            self.word_rows.extend(accumulate(counts[1:], initial=before))
        plain = len(self.row_lists)
        for slot, entries in repeated:
            self.row_slots.append(slot)
            self.row_lists.append(entries)
        self.word_texts = [[plain + each for each in texts.get(word, ())] for word in self.texts]
        self.ends = _ends(self.texts)
        octets = [word.encode() for word in self.texts]
        named = [(number[word], word) for word in sorted(self.of_names)]
        del groups, texts, repeated
        self.postings = array("I")
        for entries in self.row_lists:
            self.postings.extend(entries)
        self.row_offsets = array("I", accumulate(map(len, self.row_lists), initial=0))
        self.weights = array("I", accumulate(map(self._weight, range(len(octets))), initial=0))
        return {
            "word_text": b"".join(octets),
            "word_offsets": accumulate(map(len, octets), initial=0),
            "word_ends": self.ends,
            "word_rows": self.word_rows,
            "word_weights": self.weights,
            "word_hash": hashed(octets),
            "row_slots": self.row_slots,
            "row_offsets": self.row_offsets,
            "postings": self.postings,
            "word_texts": accumulate(map(len, self.word_texts), initial=0),
            "text_rows": chain.from_iterable(self.word_texts),
            "text_starts": accumulate(map(len, spelt), initial=0),
            "text_words": chain.from_iterable(spelt),
            "near_deletes": deletes(named),
            "near_sounds": sounds(named),
        }

    def lists(self, rank: int, first: int, end: int) -> "list[array[int] | list[int]]":
        """Return the entries of a range of words in a class, in one list or several."""
        base = rank * (len(self.texts) + 1)
        rows = self.word_rows[base + first], self.word_rows[base + end]
        found: list[array[int] | list[int]] = [
            self.postings[self.row_offsets[rows[0]] : self.row_offsets[rows[1]]]
        ]
        if rank == OTHER:
            texts = set(chain.from_iterable(self.word_texts[first:end]))
            found += [self.row_lists[each] for each in texts]
        return found

    def _weight(self, word: int) -> int:
        return sum(len(each) for rank in range(ECHOES) for each in self.lists(rank, word, word + 1))


def _note(rows: dict[str, list[int]], word: str, position: int) -> None:
    entries = rows.get(word)
    if entries is None:
        rows[word] = [position]
    elif entries[-1] != position:
        entries.append(position)


def _words(base: str, value: str) -> Iterable[str]:
    """Return the words under which a value of a field is found, all their spellings."""
    if base in LINKS:
        return [LINK + word for word in id_words(value)]
    if base in PLAIN or (value.isascii() and "-" not in value):
        return words(value)
    return dict.fromkeys(chain.from_iterable(spellings(value)))


def _spelt(field: str, value: str, number: Mapping[str, int]) -> list[int]:
    """Return the numbers of a value's words, each with its further spellings behind it."""
    base = field.partition(".")[0]
    if base in LINKS or base in PLAIN:
        return [number[word] for word in _words(base, value)]
    return [
        number[word] | (FURTHER if place else 0)
        for each in spellings(value)
        for place, word in enumerate(each)
    ]


def name_spellings(name: Name, entry: Entry) -> list[tuple[str, ...]]:
    """Return the spellings of the name's words, a person's initials among them (9.2)."""
    words = spellings(entry.name)
    if entry.kind == "person" and name.initials:
        words[0] = (*words[0], name.initials)
    return words


def id_words(id: str) -> list[str]:
    """Return the words of an id, which have one spelling each (9.2)."""
    return [word for word in id.replace("_", "-").replace(".", "-").split("-") if word]


def hashed(octets: Sequence[bytes]) -> "array[int]":
    """Return a table of open addressing, half of it free: number + 1 at crc32 modulo its size."""
    size = 2 * len(octets) + 1
    table = array("I", bytes(4 * size))
    for number, each in enumerate(octets, 1):
        place = crc32(each) % size
        while table[place]:
            place = place + 1 if place + 1 < size else 0
        table[place] = number
    return table


def _ends(texts: Sequence[str]) -> "array[int]":
    """For each of the sorted words, find the first behind it that does not begin with it."""
    ends = array("I", bytes(4 * len(texts)))
    opened: list[int] = []
    for number, text in enumerate(texts):
        while opened and not text.startswith(texts[opened[-1]]):
            ends[opened.pop()] = number
        opened.append(number)
    for number in opened:
        ends[number] = len(texts)
    return ends


def classes(slots: Iterable[str]) -> list[int]:
    """Return the class of a whole word in each slot (9.5); ECHOES for those of echoes."""
    ranks = []
    for slot in slots:
        base = slot.partition(".")[0]
        if slot.endswith(ECHO):
            ranks.append(ECHOES)
        else:
            ranks.append({"": FAMILY, "name": NAME, "alias": ALIAS}.get(base, OTHER))
    return ranks


class _Numbers:
    """The telephone numbers of all entries."""

    def __init__(self, dialling: Dialling) -> None:
        self._dialling = dialling
        self._endings: set[tuple[int, int]] = set()
        self._keys: set[int] = set()

    def add_entry(self, position: int, entry: Entry) -> None:
        for field, values in entry.fields:
            if field.partition(".")[0] == "phone":
                for value in values:
                    self._add(position, self._dialling.entry_keys(read_number(value)))

    def _add(self, position: int, keys: frozenset[str]) -> None:
        digits: list[str] = []
        for key in keys:
            if not is_long(key):
                self._keys.add(crc32(key.encode()) << 32 | position)
            if ending := _ENDING.fullmatch(key):
                digits.append(ending[1])
        for each in digits:
            # the ends of a number are the ends of any longer one that it ends itself
            if not any(len(other) > len(each) and other.endswith(each) for other in digits):
                self._endings.add((ending_code(each), position))

    def tables(self) -> dict[str, Values]:
        endings = sorted(self._endings)
        return {
            "number_endings": [code for code, _ in endings],
            "number_entries": [position for _, position in endings],
            "number_keys": sorted(self._keys),
        }


def is_long(key: str) -> bool:
    """Whether a key is found among the endings of numbers: seven digits or more, alone."""
    return _LONG_KEY.fullmatch(key) is not None
