"""From a projected directory to its tables.

Implements spec/phonebook.md, sections 9.2, 9.5 and, of 9.4, what the keys of an entry are. What is
built here sees the projection alone, so what a viewer may not see cannot sway it.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from zlib import crc32

from phonebook.beside import Begin, later
from phonebook.directory.entry import Directory, Entry, Header
from phonebook.directory.fields import LINKS
from phonebook.directory.names import Name, read_name
from phonebook.directory.numbers import Dialling, read_number
from phonebook.directory.text import is_plain, spellings, words
from phonebook.search.heavy import heavy
from phonebook.search.pairs import pair_tables
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

Values = bytes | Iterable[int]

Rows = defaultdict[str, list[int]]
"""For each word or text, the places of the entries that have it."""

Placed = tuple[int, Name, Entry]
"""An entry, with its name read, and its place in the order of equal rank."""

_REPEATED = 3  # times that a text must stand in a field to be a row of its own, not its words


def in_order(directory: Directory) -> list[Placed]:
    """Return the entries, each with its place in the order of equal rank (O-1, O-2).

    They stay as the files have them, since that is how they lie in memory: to look at them all in
    another order takes half as long again.
    """
    rank = {kind: number for number, kind in enumerate(KINDS)}
    names = [read_name(entry) for entry in directory.entries]
    # the order of code points is that of their octets in UTF-8
    keys = [
        (rank[entry.kind], name.sort_name, entry.id)
        for name, entry in zip(names, directory.entries, strict=True)
    ]
    places = [0] * len(keys)
    for place, number in enumerate(sorted(range(len(keys)), key=keys.__getitem__)):
        places[number] = place
    return list(zip(places, names, directory.entries, strict=True))


def build(header: Header, placed: Sequence[Placed], begin: Begin = later) -> Tables:
    """Return the tables of entries; `begin` begins what can be done beside."""
    numbers = begin(lambda: number_tables(header, placed))
    found = _Words(placed)
    near = begin(lambda: near_tables(found.near))
    made = found.tables()
    made |= heavy(len(placed), found.texts, found.ends, found.weights, found.lists)
    made |= pair_tables(found.named(placed), len(found.texts))
    made |= numbers() | near()
    counts = Counter([entry.kind for _, _, entry in placed])
    ends = list(accumulate([counts[kind] for kind in KINDS], initial=0))
    kinds = {kind: (ends[rank], ends[rank + 1]) for rank, kind in enumerate(KINDS)}
    packed = {name: _packed(made[name], item) for name, item in FORMATS.items()}
    return Tables(len(placed), tuple(found.slots), kinds, **packed)


def _columns(placed: Iterable[Placed]) -> dict[str, Rows]:
    """Return the texts of each field whose words are looked up, with the entries that have them."""
    columns: dict[str, Rows] = {"id": defaultdict(list)}
    for place, _, entry in placed:
        columns["id"][entry.id].append(place)
        for field, texts in entry.fields:
            column = columns.get(field)
            if column is None:
                if field == "name" or _base(field) == "phone":
                    continue
                column = columns[field] = defaultdict(list)
            for text in texts:
                column[text].append(place)
    return columns


def _packed(values: Values, item: str) -> memoryview:
    if isinstance(values, bytes):
        return memoryview(values).cast(item)  # type: ignore[call-overload,no-any-return]
    return memoryview(values if isinstance(values, array) else array(item, values))


class _Words:
    """The words of all entries, in rows by slot."""

    def __init__(self, placed: Sequence[Placed]) -> None:
        self._rows: dict[str, Rows] = {slot: defaultdict(list) for slot in ("", "name", "alias")}
        self._often: list[tuple[str, str, list[int]]] = []  # field, text, entries
        near: set[str] = set()  # words of names; initials are none
        named = self._add_names(placed, near)
        for field, texts in _columns(placed).items():
            self._add(field, texts, named)
        for slot, rows in self._rows.items():
            if _base(slot.removesuffix(ECHO)) == "alias":
                near.update(rows)
        self.slots = list(self._rows)
        often = chain.from_iterable(_reader(field)(text) for field, text, _ in self._often)
        self.texts = sorted(set(chain(often, *self._rows.values())))
        self._number = {word: place for place, word in enumerate(self.texts)}
        self.near = [(self._number[word], word) for word in sorted(near)]
        self.row_slots = array("H")
        self.row_lists: list[list[int]] = []
        self.word_rows = array("I")
        self.word_texts: list[list[int]] = []

    def _add_names(self, placed: Sequence[Placed], near: set[str]) -> list[list[str]]:
        """Note the words of all names; return them by entry, since what repeats one is an echo."""
        named: list[list[str]] = [[]] * len(placed)
        family, others = self._rows[""], self._rows["name"]
        for place, name, entry in placed:
            found: list[str] = []
            for number, spelt in enumerate(name_spellings(name, entry)):
                rows = family if name.start <= number < name.end else others
                for word in spelt:
                    rows[word].append(place)
                found += spelt
            named[place] = found
            initials = name.initials
            near.update([each for each in found if each != initials] if initials else found)
        return named

    def _add(self, field: str, column: Rows, named: Sequence[list[str]]) -> None:
        """Note the words of a field; a text that stands there often becomes a row of its own."""
        whole = _base(field) in ("id", "alias")
        plain, echoes = self._rows.get(field, defaultdict(list)), defaultdict(list)
        read = _reader(field)
        some_often = False
        for text, entries in column.items():
            if len(entries) >= _REPEATED and not whole:
                self._often.append((field, text, entries))
                some_often = True
                continue
            for place in entries:
                names = named[place]
                for word in read(text):
                    if word in names:
                        echoes[word].append(place)
                    else:
                        plain[word].append(place)
        if plain or some_often:
            self._rows[field] = plain
        if echoes:
            self._rows[field + ECHO] = echoes

    def named(self, placed: Sequence[Placed]) -> Iterator[tuple[int, dict[int, int]]]:
        """Yield each entry with its name words' numbers, and the least class of each."""
        for place, name, entry in placed:
            classes: dict[int, int] = {}
            for field, texts in entry.fields:
                if _base(field) == "alias":
                    for text in texts:
                        for word in chain.from_iterable(spellings(text)):
                            classes[self._number[word]] = ALIAS
            for number, spelt in enumerate(name_spellings(name, entry)):
                rank = FAMILY if name.start <= number < name.end else NAME
                for word in spelt:
                    found = self._number[word]
                    classes[found] = min(rank, classes.get(found, rank))
            yield place, classes

    def tables(self) -> dict[str, Values]:
        """Number the words and the rows. (What `heavy` needs stays on the object.)"""
        groups: list[list[tuple[str, int, list[int]]]] = [[] for _ in range(ECHOES + 1)]
        ranks = classes(self.slots)
        for slot, rows in enumerate(self._rows.values()):
            groups[ranks[slot]] += [(word, slot, entries) for word, entries in rows.items()]
        self._rows = {}
        weights = [0] * len(self.texts)
        for rank, group in enumerate(groups):
            group.sort()
            counts = [0] * len(self.texts)
            for word, slot, entries in group:
                place = self._number[word]
                if len(entries) > 1:  # one may have a word twice
                    entries = sorted(set(entries))
                if rank < ECHOES:
                    weights[place] += len(entries)
                counts[place] += 1
                self.row_slots.append(slot)
                self.row_lists.append(entries)
            before = len(self.row_lists) - len(group)
            self.word_rows.extend(accumulate(counts, initial=before))
        self.word_texts = [[] for _ in self.texts]
        slots = {slot: place for place, slot in enumerate(self.slots)}
        for field, text, entries in self._often:
            entries = sorted(set(entries))
            for word in dict.fromkeys(_reader(field)(text)):
                self.word_texts[self._number[word]].append(len(self.row_lists))
                weights[self._number[word]] += len(entries)
            self.row_slots.append(slots[field])
            self.row_lists.append(entries)
        spelt = [self._spelt(field, text) for field, text, _ in self._often]
        self.ends = _ends(self.texts)
        self.postings = array("I")
        for entries in self.row_lists:
            self.postings.extend(entries)
        self.row_offsets = array("I", accumulate(map(len, self.row_lists), initial=0))
        self.weights = array("I", accumulate(weights, initial=0))
        octets = [word.encode() for word in self.texts]
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
        }

    def _spelt(self, field: str, text: str) -> list[int]:
        """Return the numbers of a text's words, each with its further spellings behind it."""
        if _base(field) in LINKS or _base(field) in PLAIN:
            return [self._number[word] for word in _reader(field)(text)]
        return [
            self._number[word] | (FURTHER if place else 0)
            for each in spellings(text)
            for place, word in enumerate(each)
        ]

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


def _base(field: str) -> str:
    return field.partition(".")[0]


def _reader(field: str) -> Callable[[str], Iterable[str]]:
    """Return what gives the words under which a value of a field is found, in all spellings."""
    base = _base(field)
    if base == "id":
        return id_words
    if base in LINKS:
        return lambda id: [LINK + word for word in id_words(id)]
    if base in PLAIN:
        return words
    return lambda text: words(text) if is_plain(text) else chain.from_iterable(spellings(text))


def name_spellings(name: Name, entry: Entry) -> list[tuple[str, ...]]:
    """Return the spellings of the name's words, a person's initials among them (9.2)."""
    words: list[tuple[str, ...]] = [(each,) for each in name.words]
    if not is_plain(entry.name):
        words = spellings(entry.name)
    if entry.kind == "person" and (initials := name.initials):
        words[0] = (*words[0], initials)
    return words


def id_words(id: str) -> list[str]:
    """Return the words of an id, which have one spelling each (9.2)."""
    return [word for word in id.replace("_", "-").replace(".", "-").split("-") if word]


def hashed(octets: Sequence[bytes]) -> "array[int]":
    """Return a table of open addressing, half of it free: number + 1 at crc32 modulo its size."""
    size = 2 * len(octets) + 1
    table = [0] * size
    for number, each in enumerate(octets, 1):
        place = crc32(each) % size
        while table[place]:
            place = place + 1 if place + 1 < size else 0
        table[place] = number
    return array("I", table)


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


def number_tables(header: Header, placed: Iterable[Placed]) -> dict[str, bytes]:
    """Return the tables of all telephone numbers."""
    dialling = Dialling(header)
    endings: set[int] = set()  # code << 32 | entry
    others: set[int] = set()
    for place, _, entry in placed:
        for field, texts in entry.fields:
            if not field.startswith("phone") or _base(field) != "phone":
                continue
            for text in texts:
                keys = dialling.entry_keys(read_number(text))
                others.update(
                    [crc32(key.encode()) << 32 | place for key in keys if not is_long(key)]
                )
                for digits in _longest(keys):
                    endings.add(ending_code(digits) << 32 | place)
    ordered = sorted(endings)
    return {
        "number_endings": array("Q", [each >> 32 for each in ordered]).tobytes(),
        "number_entries": array("I", [each & 0xFFFF_FFFF for each in ordered]).tobytes(),
        "number_keys": array("Q", sorted(others)).tobytes(),
    }


def _longest(keys: Iterable[str]) -> list[str]:
    """Return the digits of keys, less those that another ends with: its ends are theirs."""
    digits = [each for key in keys if (each := key.removeprefix("+")).isdigit()]
    digits.sort(key=len, reverse=True)
    found = digits[:1]
    for each in digits[1:]:
        if not any(other.endswith(each) for other in found):
            found.append(each)
    return found


def near_tables(words: Iterable[tuple[int, str]]) -> dict[str, bytes]:
    """Return the tables by which misspelt words are found, of name words and their numbers."""
    return {"near_deletes": deletes(words).tobytes(), "near_sounds": sounds(words).tobytes()}


def is_long(key: str) -> bool:
    """Whether a key is found among the endings of numbers: seven digits or more, alone."""
    digits = key.removeprefix("+")
    return len(digits) >= 7 and digits.isdecimal()
