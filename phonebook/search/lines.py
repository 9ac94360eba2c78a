"""The lines of one entry, read and compared: where the places of words in a line decide.

Implements, of spec/phonebook.md, [M-6], [M-7] and the classes of 9.5 for sequences of words, and
9.4 for numbers. The tables tell which entries to read; what is read here is what counts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import contains

from phonebook.directory.entry import Entry
from phonebook.directory.fields import LINKS
from phonebook.directory.names import Name, read_name
from phonebook.directory.numbers import Dialling, Number, read_number
from phonebook.directory.text import fold, spellings, words
from phonebook.search.piece import PLAIN, id_words, name_spellings
from phonebook.search.query import Term
from phonebook.search.tables import ALIAS, FAMILY, NAME, OTHER
from phonebook.search.words import BEGINNING

Lines = list[tuple[str, str]]
"""An entry: its fields and values, line by line; the first three are its id, kind and name."""

Numbers = tuple[tuple[str, str], ...]
"""The telephone numbers of an entry: fields and values."""

Reading = Callable[[str], int | None]
"""Tells the class of a term on an entry, of its lines as they are sent, None where it does not
match."""

MIN_ENDING = 3
"""Digits of a query that may be the end of a longer number."""
MIN_NUMBER = 7
"""Digits of an entry's number that may be the end of a longer query."""

_NUMBERS = re.compile("\n(phone[^:]*): (.*)\r")
_NAME, _FAMILY = "name: ", "family: "
_JOINING = b"-'`"  # what may stand between the letters of a word
_WITHOUT = tuple(  # what begins a line whose words have no further spellings
    field + end for field in ("id", "kind", "phone", *sorted(PLAIN), *LINKS) for end in ":."
)


def lines_of(text: str) -> Lines:
    """Return the fields and values of an entry, of its lines as they are sent.

    >>> lines_of("id: ada\\r\\nkind: person\\r\\n")
    [('id', 'ada'), ('kind', 'person')]
    """
    lines = text.split("\r\n")
    del lines[-1]
    return [(field, value) for field, _, value in [line.partition(": ") for line in lines]]


def is_link(field: str) -> bool:
    """Whether a field's values are ids of other entries."""
    return field.partition(".")[0] in LINKS


def is_named(asked: str, field: str) -> bool:
    """Tell whether a field is meant by the name that was asked for; the empty name is all (M-9)."""
    return asked in ("", field, field.partition(".")[0])


def reading_of_sequence(term: Term) -> Reading:
    """Return what tells the class of a sequence of words."""
    first = term.words[0]
    written = f" {' '.join(term.words)}" + " " * term.whole
    sought = sorted((word.encode() for word in term.words), key=len, reverse=True)

    def read(text: str) -> int | None:
        if text.isascii() and written not in f" {fold(text)} " and not _has_further(text, first):
            return None
        name = None
        least = None
        lines = text.split("\r\n")
        joined = text.encode().translate(None, _JOINING).lower().split(b"\r\n")
        for line, octets in zip(lines, joined, strict=True):
            initials = line.startswith(_NAME) and _may_be_initials(first, line)
            if octets.isascii() and not initials and not all(map(octets.__contains__, sought)):
                continue  # as most
            field, _, value = line.partition(": ")
            base = field.partition(".")[0]
            if not is_named(term.field, field) if term.field else base in LINKS:
                continue
            for start, end, more in _places(term, _spelt(base, value, lines, initials)):
                if term.field:
                    return 0
                if base == "name" and name is None:
                    name = read_name(_named(lines))
                rank = _class(base, name, start, end) + more
                least = rank if least is None else min(rank, least)
        return least

    return read


def _has_further(text: str, first: str) -> bool:
    """Tell quickly whether words of an entry may have further spellings, as most have not.

    It is in ASCII. Of initials, the `first` of the words that are sought may be some.
    """
    lines = text.split("\r\n")
    if _may_be_initials(first, lines[2]):
        return True
    return any("-" in line and not line.startswith(_WITHOUT) for line in lines)


def _may_be_initials(word: str, line: str) -> bool:
    """Tell quickly whether a word may be the first letters of a name's words, two or more."""
    if len(word) < 2:
        return False
    value = line[len(_NAME) :]
    if value.isascii() and value[0].isalpha() and value[0].lower() != word[0]:
        return False
    return "".join([each[0] for each in words(value)]).startswith(word)


def _spelt(
    base: str, value: str, lines: Sequence[str], initials: bool
) -> Sequence[tuple[str, ...]]:
    """Return the words of a line, with all their spellings."""
    if base in ("kind", "phone"):
        return ()
    if initials:
        entry = _named(lines)
        return name_spellings(read_name(entry), entry)
    if base == "id" or base in LINKS:
        return [(word,) for word in id_words(value)]
    if base in PLAIN:
        return [(word,) for word in words(value)]
    return spellings(value)


def _places(term: Term, spelt: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int, int]]:
    """Yield where a line has a term's words: from, to, and what the class grows by (M-6, M-7)."""
    first, last, length = term.words[0], term.words[-1], len(term.words)
    for end in range(length - 1, len(spelt)):
        start = end - length + 1
        if first in spelt[start] and all(map(contains, spelt[start + 1 : end], term.words[1:-1])):
            if last in spelt[end]:
                yield start, end, 0
            elif not term.whole and any(each.startswith(last) for each in spelt[end]):
                yield start, end, BEGINNING


def _class(base: str, name: Name | None, start: int, end: int) -> int:
    """Return the class of whole words from one to another of a line; `name` where it is one."""
    if name is None or base != "name":
        return ALIAS if base == "alias" else OTHER
    return FAMILY if name.start <= start and end < name.end else NAME


def _named(lines: Sequence[str]) -> Entry:
    """Return an entry of what its name's reading needs."""
    id, kind, name = (line.partition(": ")[2] for line in lines[:3])
    family = tuple([line.removeprefix(_FAMILY) for line in lines if line.startswith(_FAMILY)])
    fields = [("name", (name,))] + ([("family", family)] if family else [])
    return Entry(id, kind, tuple(fields))


def numbers_of(text: str) -> Numbers:
    """Return the telephone numbers of an entry, of its lines as they are sent.

    >>> numbers_of("id: ada\\r\\nphone.work: 4711\\r\\n")
    (('phone.work', '4711'),)
    """
    found = _NUMBERS.findall(text)
    return tuple([(field, value) for field, value in found if field.partition(".")[0] == "phone"])


def reading_of_number(
    number: Number, field: str, dialling: Dialling
) -> Callable[[Numbers], int | None]:
    """Return what tells the class of a number."""
    keys = dialling.query_keys(number)

    @cache  # many entries may have the number of a switchboard
    def compare(value: str) -> int | None:
        own = read_number(value)
        own_keys = dialling.entry_keys(own)
        if not keys.isdisjoint(own_keys):
            return 0
        return BEGINNING * (not field) if _shares_digits(number, own, own_keys) else None

    @cache
    def read(numbers: Numbers) -> int | None:
        found = [compare(value) for name, value in numbers if is_named(field, name)]
        return min((rank for rank in found if rank is not None), default=None)

    return read


def _shares_digits(number: Number, own: Number, own_keys: frozenset[str]) -> bool:
    if len(own.digits) >= MIN_NUMBER and number.digits.endswith(own.digits):
        return True
    if number.extension or len(number.digits) < MIN_ENDING:
        return False
    return any(key.removeprefix("+").isdigit() and key.endswith(number.digits) for key in own_keys)
