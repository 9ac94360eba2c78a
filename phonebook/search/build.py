"""From the pieces of a projected directory to its tables.

Implements spec/phonebook.md, sections 9.2, 9.4 and 9.5, as far as they look at more than one file.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice, pairwise
from zlib import crc32

from phonebook.beside import Begin, later
from phonebook.search.heavy import heavy
from phonebook.search.pairs import pair_tables
from phonebook.search.piece import KINDS, Piece
from phonebook.search.spell import Near, near_tables
from phonebook.search.tables import (
    ALIAS,
    COLUMNS,
    ECHO,
    ECHOES,
    END,
    FAMILY,
    FORMATS,
    FURTHER,
    NAME,
    OFFSET,
    ONLY,
    OTHER,
    PAIRS,
    ROWS,
    STEPS,
    TEXTS,
    WEIGHT,
    Tables,
)

BROAD = 5_000
BROAD_SHARE = 4
"""A word is broad if more than 5,000 entries have it, and more than a quarter of all ([M-16])."""

Values = bytes | Iterable[int]

Places = Sequence[Sequence[int]]
"""For each piece, the place of each of its entries in the order of equal rank."""


def in_order(pieces: Iterable[Piece]) -> Places:
    """Return the place of each entry in the order of equal rank (O-1, O-2)."""
    keys = list(chain.from_iterable(piece.keys for piece in pieces))
    places = [0] * len(keys)
    for place, number in enumerate(sorted(range(len(keys)), key=keys.__getitem__)):
        places[number] = place
    rest = iter(places)
    return [list(islice(rest, len(piece.keys))) for piece in pieces]


def build(
    pieces: Sequence[Piece],
    places: Places,
    begin: Begin = later,
    read_near: Callable[[dict[str, int]], Near] = near_tables,
) -> Tables:
    """Return the tables of entries; `begin` begins what can be done beside."""
    count = sum(map(len, places))
    found = _Words(pieces)
    numbers = begin(lambda: number_tables(pieces, places))
    near = begin(lambda: tuple(read_near(found.near)))
    made = found.tables(pieces, places)
    pairs = begin(lambda: pair_tables(found.named(count), len(found.texts)))
    made |= heavy(count, found.texts, found.ends, found.weights, found.lists)
    _, deletes, sounds = near()
    starts, paired = pairs()
    found.set(PAIRS, starts)
    made |= numbers() | paired | {"near_deletes": deletes, "near_sounds": sounds}
    counts = sum((Counter(piece.kinds) for piece in pieces), Counter[str]())
    ends = list(accumulate([counts[kind] for kind in KINDS], initial=0))
    kinds = {kind: (ends[rank], ends[rank + 1]) for rank, kind in enumerate(KINDS)}
    packed = {name: _packed(made[name], item) for name, item in FORMATS.items()}
    return Tables(count, tuple(found.slots), kinds, **packed)


def _packed(values: Values, item: str) -> memoryview:
    if isinstance(values, bytes):
        return memoryview(values).cast(item)  # type: ignore[call-overload,no-any-return]
    return memoryview(values if isinstance(values, array) else array(item, values))


class _Words:
    """The words of all entries, in rows by slot."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        slots = sorted({slot for piece in pieces for slot in piece.rows} - {"", "name", "alias"})
        self.slots = ["", "name", "alias", *slots]
        found: set[str] = set()
        for piece in pieces:
            found.update(piece.words)
            for _, _, spelt in piece.often:
                found.update(*spelt)
        self.texts = sorted(found)
        self._number = {word: number for number, word in enumerate(self.texts)}
        near = set[str]().union(*[piece.near for piece in pieces])
        self.near = {word: self._number[word] for word in sorted(near)}
        self.row_slots = array("H")
        self.row_lists: list[list[int]] = []
        self.word_texts: list[list[int]] = []
        self.columns = array("I", bytes(4 * COLUMNS * (len(self.texts) + 1)))

    def _rows(
        self, pieces: Sequence[Piece], places: Places
    ) -> tuple[dict[int, list[int]], dict[tuple[str, str], tuple[list[int], list[list[str]]]]]:
        """Return the entries of all rows, ascending: by their class, word and slot as one number,
        and those of texts by field and text, with their words."""
        rows: defaultdict[int, list[int]] = defaultdict(list)
        often: dict[tuple[str, str], tuple[list[int], list[list[str]]]] = {}
        ranks, step = classes(self.slots), len(self.slots)
        steps = {word: number * step for word, number in self._number.items()}
        bases = {
            slot: ranks[number] * len(self.texts) * step + number
            for number, slot in enumerate(self.slots)
        }
        for piece, place in zip(pieces, places, strict=True):
            numbers = [steps[word] for word in piece.words]
            own: list[list[int]] = []
            for slot, words in piece.rows.items():
                base = bases[slot]
                own += [rows[base + numbers[word]] for word in memoryview(words).cast("I")]
            own += [often.setdefault(each[:2], ([], each[2]))[0] for each in piece.often]
            flat = memoryview(piece.entry_rows).cast("I").tolist()
            ends = list(accumulate(memoryview(piece.row_counts).cast("I"), initial=0))
            for at, entry in sorted(zip(place, range(len(place)), strict=True)):
                for row in flat[ends[entry] : ends[entry + 1]]:
                    own[row].append(at)
        for entries in chain(rows.values(), (entries for entries, _ in often.values())):
            entries.sort()  # those of each piece are in order, which is most of the way
        return rows, often

    def tables(self, pieces: Sequence[Piece], places: Places) -> dict[str, Values]:
        """Number the rows. (What `heavy` needs stays on the object.)"""
        rows, often = self._rows(pieces, places)
        words, step = len(self.texts), len(self.slots)
        weights, only = [0] * words, [0] * words  # the entry + 1, of a word that has no other
        counts = [0] * (ECHOES + 1) * words
        for row in sorted(rows):
            entries = rows[row]
            word, slot = divmod(row, step)
            counts[word] += 1
            if word < ECHOES * words:
                weights[word % words] += len(entries)
                only[word % words] = entries[0] + 1
            self.row_slots.append(slot)
            self.row_lists.append(entries)
        before = 0
        for rank in range(ECHOES + 1):
            of_rank = counts[rank * words : (rank + 1) * words]
            self.set(ROWS + rank, accumulate(of_rank, initial=before))
            before += sum(of_rank)
        slots = {slot: place for place, slot in enumerate(self.slots)}
        self.word_texts = [[] for _ in self.texts]
        spelt = []
        for (field, _), (entries, spellings) in often.items():
            numbers = [[self._number[word] for word in each] for each in spellings]
            for number in dict.fromkeys(chain.from_iterable(numbers)):
                self.word_texts[number].append(len(self.row_lists))
                weights[number] += len(entries)
                only[number] = entries[0] + 1
            self.row_slots.append(slots[field])
            self.row_lists.append(entries)
            spelt.append(
                [each | FURTHER * (at > 0) for many in numbers for at, each in enumerate(many)]
            )
        self.ends = _ends(self.texts)
        self.postings = array("I", list(chain.from_iterable(self.row_lists)))
        self.row_offsets = array("I", accumulate(map(len, self.row_lists), initial=0))
        self.weights = array("I", accumulate(weights, initial=0))
        octets = [word.encode() for word in self.texts]
        self.set(OFFSET, accumulate(map(len, octets), initial=0))
        self.set(END, [*self.ends, words])
        self.set(WEIGHT, self.weights)
        self.set(ONLY, self._alone(weights, only))
        self.set(TEXTS, accumulate(map(len, self.word_texts), initial=0))
        return {
            "word_text": b"".join(octets),
            "word_columns": self.columns,
            "word_hash": hashed(octets),
            "row_slots": self.row_slots,
            "row_offsets": self.row_offsets,
            "postings": self.postings,
            "text_rows": chain.from_iterable(self.word_texts),
            "text_starts": accumulate(map(len, spelt), initial=0),
            "text_words": chain.from_iterable(spelt),
        }

    def set(self, column: int, values: Iterable[int]) -> None:
        """Fill a column of the table of words."""
        self.columns[column::COLUMNS] = array("I", values)

    def _alone(self, weights: Iterable[int], only: Iterable[int]) -> Iterator[int]:
        """Yield for each word the one entry that it finds, as `only` has it, or 0."""
        for word, (end, weight, entry) in enumerate(zip(self.ends, weights, only, strict=True)):
            alone = weight == 1 and self.weights[end] - self.weights[word] == 1
            yield entry if alone else 0
        yield 0

    def named(self, count: int) -> list[dict[int, int]]:
        """Return the words of each entry's name and aliases, by number, and the class of each."""
        found: list[dict[int, int]] = [{} for _ in range(count)]
        for rank in range(OTHER):
            for word, (row, end) in enumerate(pairwise(self.columns[ROWS + rank :: COLUMNS])):
                for entry in chain.from_iterable(self.row_lists[row:end]):
                    found[entry].setdefault(word, rank)
        return found

    def lists(self, rank: int, first: int, end: int) -> "list[array[int] | list[int]]":
        """Return the entries of a range of words in a class, in one list or several."""
        row, behind = (self.columns[place * COLUMNS + ROWS + rank] for place in (first, end))
        found: list[array[int] | list[int]] = [
            self.postings[self.row_offsets[row] : self.row_offsets[behind]]
        ]
        if rank == OTHER:
            texts = set(chain.from_iterable(self.word_texts[first:end]))
            found += [self.row_lists[each] for each in texts]
        return found


def hashed(octets: Sequence[bytes]) -> "array[int]":
    """Return a table of open addressing, half of it free: number + 1 at crc32 modulo its size.

    Behind it stand those for which too many steps were to go; see `beyond`.
    """
    size = 2 * len(octets) + 1
    table, others = [0] * size, []
    for number, each in enumerate(octets, 1):
        place, left = crc32(each) % size, STEPS
        while left and table[place]:
            place = place + 1 if place + 1 < size else 0
            left -= 1
        if left:
            table[place] = number
        else:
            others.append(number)
    others.sort(key=lambda number: octets[number - 1])
    return array("I", table + others)


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


def number_tables(pieces: Sequence[Piece], places: Places) -> dict[str, bytes]:
    """Return the tables of all telephone numbers."""
    endings: set[int] = set()  # code << 32 | entry
    others: set[int] = set()
    for piece, place in zip(pieces, places, strict=True):
        for found, codes, entries in (
            (endings, memoryview(piece.ending_codes).cast("Q"), piece.ending_entries),
            (others, memoryview(piece.key_codes).cast("I"), piece.key_entries),
        ):
            numbers = memoryview(entries).cast("I")
            found.update(
                [code << 32 | place[each] for code, each in zip(codes, numbers, strict=True)]
            )
    ordered = sorted(endings)
    return {
        "number_endings": array("Q", [each >> 32 for each in ordered]).tobytes(),
        "number_entries": array("I", [each & 0xFFFF_FFFF for each in ordered]).tobytes(),
        "number_keys": array("Q", sorted(others)).tobytes(),
    }
