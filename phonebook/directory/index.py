"""The index of a directory: which entries a query matches, and in which order.

Implements spec/phonebook.md, sections 9.2 to 9.5. It is built from a projection and sees nothing
else, so what a viewer may not see cannot sway it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phonebook.directory.entry import Directory, Entry
from phonebook.directory.fields import LINKS
from phonebook.directory.names import Name, read_name
from phonebook.directory.numbers import Dialling, Number, read_number
from phonebook.directory.query import Term
from phonebook.directory.text import spellings

MAX_MATCHES = 1_000

_ONE_SPELLING = frozenset({"id", "email", "url", *LINKS})
_KINDS = ("person", "group", "service", "place")  # in the order of results
_BEGINNING = 4  # what the class grows by where only the beginning of a word matches
_MIN_ENDING = 3  # digits of a query that may be the end of a longer number
_MIN_NUMBER = 7  # digits of an entry's number that may be the end of a longer query
_LAST = "\U0010ffff"


class TooBroadError(Exception):
    """More than 1,000 entries match."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a field, in words with their spellings."""

    field: str
    words: tuple[tuple[str, ...], ...]
    classes: tuple[int, ...]
    """The class of each word, matched whole."""


@dataclass(frozen=True, slots=True)
class _Phone:
    field: str
    number: Number
    keys: frozenset[str]


class _Words:
    """Spellings, and the entries that have them."""

    def __init__(self) -> None:
        self._classes: dict[str, dict[int, int]] = {}  # spelling -> entry -> least class
        self._sorted: list[str] = []

    def add(self, line: _Line, position: int) -> None:
        for word, rank in zip(line.words, line.classes, strict=True):
            for spelling in word:
                known = self._classes.setdefault(spelling, {})
                known[position] = min(rank, known.get(position, rank))

    def close(self) -> None:
        """Make ready to be matched: all lines are added."""
        self._sorted = sorted(self._classes)

    def match(self, word: str, whole: bool) -> dict[int, int]:
        """Return the class of a word on each entry that has it, or a word beginning with it."""
        found = dict(self._classes.get(word, {}))
        if whole:
            return found
        start = bisect_left(self._sorted, word)
        end = bisect_left(self._sorted, word + _LAST, start)
        for spelling in self._sorted[start:end]:
            if spelling != word:
                for position, rank in self._classes[spelling].items():
                    rank += _BEGINNING
                    if rank < found.get(position, _BEGINNING * 2):
                        found[position] = rank
        return found


class Index:
    """The entries of a projected directory in the order of equal rank, ready to be matched."""

    def __init__(self, directory: Directory) -> None:
        """Read every word and number of the directory once."""
        self._dialling = Dialling(directory.header)
        named = [(read_name(entry), entry) for entry in directory.entries]
        named.sort(
            key=lambda each: (_KINDS.index(each[1].kind), each[0].sort_name.encode(), each[1].id)
        )
        self.entries: tuple[Entry, ...] = tuple(entry for _, entry in named)
        self.position = {entry.id: position for position, entry in enumerate(self.entries)}
        self._lines = [_read_lines(name, entry) for name, entry in named]
        self._phones = [self._read_phones(entry) for entry in self.entries]
        self._kinds: dict[str, list[int]] = {kind: [] for kind in _KINDS}
        self._words = _Words()
        self._links = _Words()  # tried only where a link's field is named (M-8)
        self._keys: dict[str, set[int]] = {}
        self._digits: dict[str, set[int]] = {}
        endings: set[tuple[str, int]] = set()  # the digits of keys, last first
        for position, entry in enumerate(self.entries):
            self._kinds[entry.kind].append(position)
            for line in self._lines[position]:
                (self._links if _is_link(line.field) else self._words).add(line, position)
            for phone in self._phones[position]:
                self._digits.setdefault(phone.number.digits, set()).add(position)
                for key in phone.keys:
                    self._keys.setdefault(key, set()).add(position)
                    if digits := _ending_digits(key):
                        endings.add((digits[::-1], position))
        self._words.close()
        self._links.close()
        self._endings = sorted(endings)

    def _read_phones(self, entry: Entry) -> tuple[_Phone, ...]:
        phones = []
        for field, lines in entry.fields:
            if field.partition(".")[0] == "phone":
                for number in map(read_number, lines):
                    phones.append(_Phone(field, number, self._dialling.entry_keys(number)))
        return tuple(phones)

    def match(self, terms: Sequence[Term]) -> list[int]:
        """Return the positions in `entries` of all that match, best first.

        Raises `TooBroadError` where more than 1,000 do.
        """
        found = [self._match_term(term) for term in terms]
        found.sort(key=len)
        both = set(found[0]).intersection(*found[1:])
        if len(both) > MAX_MATCHES:
            raise TooBroadError
        ranks = {position: sum(each[position] for each in found) for position in both}
        return sorted(both, key=lambda position: (ranks[position], position))

    def _match_term(self, term: Term) -> dict[int, int]:
        """Return the class of the term on each entry that it matches."""
        found: dict[int, int] = {}
        if term.number is not None:
            found = self._match_number(term, term.number)
        if not term.on_numbers:
            for position, rank in self._match_words(term).items():
                found[position] = min(rank, found.get(position, rank))
        return dict.fromkeys(found, 0) if term.field else found

    def _match_words(self, term: Term) -> dict[int, int]:
        if term.field == "kind":
            matching = (kind for kind in _KINDS if _matches_kind(term, kind))
            return {position: 0 for kind in matching for position in self._kinds[kind]}
        if len(term.words) == 1 and not term.field:
            return self._words.match(term.words[0], term.whole)
        first_whole = term.whole or len(term.words) > 1
        words = self._links if _is_link(term.field) else self._words
        found = {}
        for position in words.match(term.words[0], first_whole):
            ranks = [
                rank
                for line in self._lines[position]
                if _is_named(term.field, line.field) and (term.field or not _is_link(line.field))
                for rank in _match_line(term, line)
            ]
            if ranks:
                found[position] = min(ranks)
        return found

    def _match_number(self, term: Term, number: Number) -> dict[int, int]:
        keys = self._dialling.query_keys(number)
        near: set[int] = set()
        digits = number.digits
        if len(digits) >= _MIN_ENDING and not number.extension:
            ending = digits[::-1]
            start = bisect_left(self._endings, (ending, 0))
            end = bisect_left(self._endings, (ending + _LAST, 0), start)
            near.update(position for _, position in self._endings[start:end])
        for length in range(_MIN_NUMBER, len(digits) + 1):
            near |= self._digits.get(digits[-length:], set())
        equal: set[int] = set().union(*(self._keys.get(key, ()) for key in keys))
        if term.field:
            equal = {each for each in equal if self._has_phone(each, term.field, keys)}
            near = {each for each in near if self._has_ending(each, term.field, number)}
        return dict.fromkeys(near, _BEGINNING) | dict.fromkeys(equal, 0)

    def _has_phone(self, position: int, field: str, keys: frozenset[str]) -> bool:
        return any(
            _is_named(field, phone.field) and not keys.isdisjoint(phone.keys)
            for phone in self._phones[position]
        )

    def _has_ending(self, position: int, field: str, number: Number) -> bool:
        for phone in self._phones[position]:
            if not _is_named(field, phone.field):
                continue
            own = phone.number.digits
            if len(own) >= _MIN_NUMBER and number.digits.endswith(own):
                return True
            if not number.extension and any(
                _ending_digits(key).endswith(number.digits) for key in phone.keys
            ):
                return True
        return False


def _read_lines(name: Name, entry: Entry) -> tuple[_Line, ...]:
    """Return all lines that words are matched on: every field but kind and phone, the id too."""
    lines = [_line("id", entry.id, 3)]
    for field, values in entry.fields:
        base = field.partition(".")[0]
        if base == "name":
            lines.append(_name_line(name, entry))
        elif base != "phone":
            rank = 2 if base == "alias" else 3
            lines += [_line(field, value, rank) for value in values]
    return tuple(line for line in lines if line.words)


def _line(field: str, value: str, rank: int) -> _Line:
    words = tuple(spellings(value))
    if field.partition(".")[0] in _ONE_SPELLING:
        words = tuple(each[:1] for each in words)
    return _Line(field, words, (rank,) * len(words))


def _name_line(name: Name, entry: Entry) -> _Line:
    words = spellings(entry.name)
    if entry.kind == "person" and name.initials:
        words[0] = (*words[0], name.initials)
    classes = (0 if name.start <= place < name.end else 1 for place in range(len(words)))
    return _Line("name", tuple(words), tuple(classes))


def _is_link(field: str) -> bool:
    return field.partition(".")[0] in LINKS


def _is_named(asked: str, field: str) -> bool:
    """Tell whether a field is meant by the name that was asked for (M-9)."""
    return asked in ("", field, field.partition(".")[0])


def _match_line(term: Term, line: _Line) -> Iterable[int]:
    """Yield the class of each place in the line that the term's words match (M-6, M-7)."""
    *firsts, last = term.words
    for start in range(len(line.words) - len(firsts)):
        end = start + len(firsts)
        if all(word in line.words[start + place] for place, word in enumerate(firsts)):
            rank = max(line.classes[start : end + 1])
            if last in line.words[end]:
                yield rank
            elif not term.whole and any(each.startswith(last) for each in line.words[end]):
                yield rank + _BEGINNING


def _matches_kind(term: Term, kind: str) -> bool:
    word = term.words[0]
    return len(term.words) == 1 and (kind == word if term.whole else kind.startswith(word))


def _ending_digits(key: str) -> str:
    """Return the digits of a key whose end may be asked for; nothing where there is more in it."""
    digits = key.removeprefix("+")
    return digits if digits.isdigit() else ""
