"""The lines of one entry, read and compared: where the places of words in a line decide.

Implements, of spec/phonebook.md, [M-6], [M-7] and the classes of 9.5 for sequences of words, and
9.4 for numbers. The tables tell which entries to read; what is read here is what counts.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import contains

from phonebook.directory.entry import Entry
from phonebook.directory.fields import LINKS
from phonebook.directory.names import read_name
from phonebook.directory.numbers import Dialling, Number, read_number
from phonebook.directory.text import spellings, words
from phonebook.search.piece import PLAIN, id_words, name_spellings
from phonebook.search.query import Term
from phonebook.search.tables import ALIAS, FAMILY, NAME, OTHER
from phonebook.search.words import BEGINNING

Lines = list[tuple[str, str]]
"""An entry: its fields and values, line by line; the first three are its id, kind and name."""

Reading = Callable[[Lines], int | None]
"""Tells the class of a term on an entry, None where it does not match."""

MIN_ENDING = 3
"""Digits of a query that may be the end of a longer number."""
MIN_NUMBER = 7
"""Digits of an entry's number that may be the end of a longer query."""

_JOINING = "-'`"  # what may stand between the letters of a word


def is_link(field: str) -> bool:
    """Whether a field's values are ids of other entries."""
    return field.partition(".")[0] in LINKS


def is_named(asked: str, field: str) -> bool:
    """Tell whether a field is meant by the name that was asked for; the empty name is all (M-9)."""
    return asked in ("", field, field.partition(".")[0])


def reading_of_sequence(term: Term) -> Reading:
    """Return what tells the class of a sequence of words."""
    first = term.words[0]

    def read(lines: Lines) -> int | None:
        least = None
        for field, value in lines:
            initials = field == "name" and _may_be_initials(first, value)
            if not (initials or _may_hold(term.words, value)):
                continue
            base = field.partition(".")[0]
            if not is_named(term.field, field) if term.field else base in LINKS:
                continue
            spelt = _spelt(base, value, lines, initials)
            for start, end, more in _places(term, spelt):
                rank = 0 if term.field else _class(base, lines, start, end) + more
                least = rank if least is None else min(rank, least)
        return least

    return read


def _may_hold(folded: Sequence[str], value: str) -> bool:
    """Tell quickly whether a line may hold these words, as most do not."""
    if not value.isascii():
        return True
    joined = value.lower()
    for each in _JOINING:
        if each in joined:
            joined = joined.replace(each, "")
    return folded[0] in joined and all(word in joined for word in folded)


def _may_be_initials(word: str, value: str) -> bool:
    """Tell quickly whether a word may be the first letters of a name's words."""
    if value.isascii() and value[0].isalpha() and value[0].lower() != word[0]:
        return False
    return "".join([each[0] for each in words(value)]).startswith(word)


def _spelt(base: str, value: str, lines: Lines, initials: bool) -> Sequence[tuple[str, ...]]:
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


def _class(base: str, lines: Lines, start: int, end: int) -> int:
    """Return the class of whole words from one to another of a line."""
    if base != "name":
        return ALIAS if base == "alias" else OTHER
    name = read_name(_named(lines))
    return FAMILY if name.start <= start and end < name.end else NAME


def _named(lines: Lines) -> Entry:
    """Return an entry of what its name's reading needs."""
    family = tuple(value for field, value in lines if field == "family")
    fields = [("name", (lines[2][1],))] + ([("family", family)] if family else [])
    return Entry(lines[0][1], lines[1][1], tuple(fields))


def reading_of_number(number: Number, field: str, dialling: Dialling) -> Reading:
    """Return what tells the class of a number."""
    keys = dialling.query_keys(number)
    known: dict[str, int | None] = {}  # many entries may have the number of a switchboard

    def compare(value: str) -> int | None:
        own = read_number(value)
        own_keys = dialling.entry_keys(own)
        if not keys.isdisjoint(own_keys):
            return 0
        return BEGINNING * (not field) if _shares_digits(number, own, own_keys) else None

    def read(lines: Lines) -> int | None:
        found = []
        for name, value in lines:
            if name.partition(".")[0] == "phone" and is_named(field, name):
                if value not in known:
                    known[value] = compare(value)
                found.append(known[value])
        return min((rank for rank in found if rank is not None), default=None)

    return read


def _shares_digits(number: Number, own: Number, own_keys: frozenset[str]) -> bool:
    if len(own.digits) >= MIN_NUMBER and number.digits.endswith(own.digits):
        return True
    if number.extension or len(number.digits) < MIN_ENDING:
        return False
    return any(key.removeprefix("+").isdigit() and key.endswith(number.digits) for key in own_keys)
