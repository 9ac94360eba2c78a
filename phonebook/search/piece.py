"""What some entries, those of one file as a rule, bring to the index by themselves.

Implements spec/phonebook.md, sections 9.2, the order of 9.5 and, of 9.4, what the keys of an entry
are. A piece is plain: it goes from one process to another and is kept on a disk, so that a reload
reads what has changed. What is built here sees the projection alone, so what a viewer may not see
cannot sway it; `build` makes tables of all the pieces.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple
from zlib import crc32

from phonebook.directory.entry import Entry, Header
from phonebook.directory.fields import LINKS
from phonebook.directory.names import Name, read_name
from phonebook.directory.numbers import Dialling, read_number
from phonebook.directory.text import is_plain, spellings, words
from phonebook.search.tables import ECHO, LINK, ending_code

KINDS = ("person", "group", "service", "place")
"""In the order of results."""

PLAIN = frozenset({"email", "url"})
"""Fields whose words, like those of ids, have one spelling each (9.2)."""

FORMAT = "4"
"""Changes with what a piece is made of, and with what it means."""

LONG = 7  # digits of a number in full

_REPEATED = 3  # times that a text must stand in a field to be a row of its own, not its words

Rows = defaultdict[str, list[int]]
"""For each word or text, the entries that have it."""

Often = tuple[str, str, list[list[str]]]
"""A text that often stands in a field: the field, the text, and its words, each as it is spelt."""


class Piece(NamedTuple):
    """What entries bring to the index; they are numbered from 0, in the order of their file."""

    keys: list[str]
    """Of each entry: what it is sorted by among those of equal rank (O-1, O-2)."""
    kinds: dict[str, int]
    """How many entries there are of each."""
    words: list[str]
    """Each once."""
    rows: dict[str, bytes]
    """By slot: the number, in `words`, of each row's. Rows count from 0 through all slots."""
    often: list[Often]
    """Further rows."""
    entry_rows: bytes
    """The rows of each entry, end to end."""
    row_counts: bytes
    """How many each has."""
    near: list[str]
    """Words of names; initials are none."""
    ending_codes: bytes
    """Of the numbers in full, as `number_endings` has them."""
    ending_entries: bytes
    key_codes: bytes
    """crc32 of each key that is not seven digits or more."""
    key_entries: bytes


def piece(header: Header, entries: Sequence[Entry]) -> Piece:
    """Return what these entries bring, their numbers read as the header has it."""
    names = [read_name(entry) for entry in entries]
    rank = {kind: number for number, kind in enumerate(KINDS)}
    # the order of code points is that of their octets in UTF-8, and no folded word has a NUL
    keys = [
        f"{rank[entry.kind]}{name.sort_name}\0{entry.id}"
        for name, entry in zip(names, entries, strict=True)
    ]
    found: dict[str, Rows] = {slot: defaultdict(list) for slot in ("", "name", "alias")}
    near: set[str] = set()
    named = _add_names(found, names, entries, near)
    often: list[tuple[Often, list[int]]] = []
    columns = _columns(entries)
    phones = [columns.pop(field) for field in [*columns] if base_of(field) == "phone"]
    for field, texts in columns.items():
        _add(found, often, field, texts, named)
    for slot, rows in found.items():
        if base_of(slot.removesuffix(ECHO)) == "alias":
            near.update(rows)
    all_words = dict.fromkeys(chain.from_iterable(found.values()))
    numbers = {word: number for number, word in enumerate(all_words)}
    return Piece(
        keys,
        dict(Counter([entry.kind for entry in entries])),
        list(numbers),
        {
            slot: array("I", map(numbers.__getitem__, rows)).tobytes()
            for slot, rows in found.items()
        },
        [each for each, _ in often],
        *_turned(len(entries), [*found.values()], [each for _, each in often]),
        list(near),
        *_numbers(header, phones),
    )


def _turned(
    count: int, slots: Iterable[Rows], often: Iterable[Sequence[int]]
) -> tuple[bytes, bytes]:
    """Return the rows of each entry, from the entries of each row; one may have a word twice."""
    rows: list[list[int]] = [[] for _ in range(count)]
    lists = chain.from_iterable([*(each.values() for each in slots), often])
    for row, entries in enumerate(lists):
        for entry in entries if len(entries) == 1 else dict.fromkeys(entries):
            rows[entry].append(row)
    flat = array("I", list(chain.from_iterable(rows)))
    return flat.tobytes(), array("I", map(len, rows)).tobytes()


def _columns(entries: Iterable[Entry]) -> dict[str, Rows]:
    """Return the texts of each field but the name, with the entries that have them."""
    columns: dict[str, Rows] = {"id": defaultdict(list)}
    for number, entry in enumerate(entries):
        columns["id"][entry.id].append(number)
        for field, texts in entry.fields:
            column = columns.get(field)
            if column is None:
                if field == "name":
                    continue
                column = columns[field] = defaultdict(list)
            for text in texts:
                column[text].append(number)
    return columns


def _add_names(
    found: dict[str, Rows], names: Sequence[Name], entries: Sequence[Entry], near: set[str]
) -> list[list[str]]:
    """Note the words of all names; return them by entry, since what repeats one is an echo."""
    named: list[list[str]] = []
    family, others = found[""], found["name"]
    for place, (name, entry) in enumerate(zip(names, entries, strict=True)):
        own: list[str] = []
        for number, spelt in enumerate(name_spellings(name, entry)):
            rows = family if name.start <= number < name.end else others
            for word in spelt:
                rows[word].append(place)
            own += spelt
        named.append(own)
        initials = name.initials
        near.update([each for each in own if each != initials] if initials else own)
    return named


def _add(
    found: dict[str, Rows],
    often: list[tuple[Often, list[int]]],
    field: str,
    column: Rows,
    named: Sequence[list[str]],
) -> None:
    """Note the words of a field; a text that stands there often becomes a row of its own."""
    whole = base_of(field) in ("id", "alias")
    plain, echoes = found.get(field, defaultdict(list)), defaultdict(list)
    read = _reader(field)
    for text, entries in column.items():
        if len(entries) >= _REPEATED and not whole:
            often.append(((field, text, _spelt(field, text)), entries))
            found[field] = plain
            continue
        for entry in entries:
            names = named[entry]
            for word in read(text):
                if word in names:
                    echoes[word].append(entry)
                else:
                    plain[word].append(entry)
    if plain:
        found[field] = plain
    if echoes:
        found[field + ECHO] = echoes


def base_of(field: str) -> str:
    """Return a field's name without the subtype."""
    return field.partition(".")[0]


def _reader(field: str) -> Callable[[str], Iterable[str]]:
    """Return what gives the words under which a value of a field is found, in all spellings."""
    base = base_of(field)
    if base == "id":
        return id_words
    if base in LINKS:
        return lambda id: [LINK + word for word in id_words(id)]
    if base in PLAIN:
        return words
    return lambda text: words(text) if is_plain(text) else chain.from_iterable(spellings(text))


def _spelt(field: str, text: str) -> list[list[str]]:
    """Return a text's words, each with its further spellings."""
    if base_of(field) in LINKS or base_of(field) in PLAIN:
        return [[word] for word in _reader(field)(text)]
    return [list(each) for each in spellings(text)]


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


def _numbers(header: Header, columns: Iterable[Rows]) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the codes of all telephone numbers, and whose they are."""
    dialling = Dialling(header)
    endings, ending_entries, others, other_entries = array("Q"), array("I"), array("I"), array("I")
    for text, entries in chain.from_iterable([column.items() for column in columns]):
        codes, key_codes = _codes(dialling.entry_keys(read_number(text)))
        for entry in entries:
            for code in codes:
                endings.append(code)
                ending_entries.append(entry)
            for code in key_codes:
                others.append(code)
                other_entries.append(entry)
    return endings.tobytes(), ending_entries.tobytes(), others.tobytes(), other_entries.tobytes()


def _codes(keys: Iterable[str]) -> tuple[list[int], list[int]]:
    """Return the codes of a number's keys: of its endings, and of the keys that are none.

    Keys that another ends with are left out of the endings: its ends are theirs.
    """
    turned, others = [], []
    for key in keys:
        bare = key.removeprefix("+")
        if bare.isdigit():
            turned.append(bare[::-1])
            if len(bare) >= LONG:
                continue
        others.append(crc32(key.encode()))
    turned.sort(reverse=True)  # what begins with another stands before it
    codes, before = [], ""
    for each in turned:
        if not before.startswith(each):
            codes.append(ending_code(each[::-1]))
            before = each
    return codes, others


def is_long(key: str) -> bool:
    """Whether a key is found among the endings of numbers: many digits, alone."""
    digits = key.removeprefix("+")
    return len(digits) >= LONG and digits.isdecimal()
