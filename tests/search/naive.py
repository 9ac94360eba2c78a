"""A matcher without an index, written from section 9 of the specification alone.

It reads every line of every entry for every term. Of the code it takes the shape of an entry and
nothing else: no folding, no numbers, no query that the code has read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from documents import SPEC

from phonebook.directory.entry import Directory, Entry

KINDS = ("person", "group", "service", "place")
LINKS = frozenset({"room", "member-of", "part-of", "reports-to", "contact"})
PARTICLES = frozenset(
    """af al av bin bint da dal das de del della den der des di do dos du el ibn la las le lo los
    ter ten van vom von zu zum zur""".split()
)
SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})
HYPHENS = "-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
ONE_SPELLING = frozenset({"id", "email", "url", *LINKS})
"""Fields whose words have no further spelling."""

MATCHES = 1_000
TOKEN = re.compile(
    r"(?:(?P<minus>-)(?=[^ ])|(?!-[^ ]))"
    r"(?:(?P<field>[A-Za-z][A-Za-z0-9-]{0,31}(?:\.[A-Za-z0-9-]{1,30})?):"
    r"|(?![A-Za-z][A-Za-z0-9-]{0,31}(?:\.[A-Za-z0-9-]{1,30})?:))"
    r'(?:"(?P<phrase>[^"]*)"(?![^ ])|(?P<word>(?!")[^ ]*))'
)
UMLAUTS = {
    **dict.fromkeys(("ä", "Ä", "a\u0308", "A\u0308"), "ae"),
    **dict.fromkeys(("ö", "Ö", "o\u0308", "O\u0308", "ø", "Ø"), "oe"),
    **dict.fromkeys(("ü", "Ü", "u\u0308", "U\u0308"), "ue"),
    **dict.fromkeys(("å", "Å", "\u212b", "a\u030a", "A\u030a"), "aa"),
}


class Refused(Exception):
    """The query gets this code."""

    def __init__(self, code: int) -> None:
        """Refuse with a code of section 5."""
        super().__init__(code)
        self.code = code


# Section 9.1


@cache
def tables() -> tuple[dict[int, str], dict[str, int]]:
    """Return the folding and the classes of marks."""
    folding: dict[int, str] = {}
    for line in (SPEC / "folding.tsv").read_text("ascii").splitlines():
        if line.startswith("#"):
            continue
        codes, result = line.split("\t")
        first, _, last = codes.partition("..")
        text = {"space": " ", "nothing": ""}.get(result)
        if text is None:
            text = "".join(chr(int(code, 16)) for code in result.split())
        for code in range(int(first, 16), int(last or first, 16) + 1):
            folding[code] = text
    marks = {}
    for line in (SPEC / "marks.tsv").read_text("ascii").splitlines():
        if not line.startswith("#"):
            mark, order = line.split("\t")
            marks[chr(int(mark, 16))] = int(order)
    return folding, marks


def mapped(character: str) -> str:
    """Return what a code point becomes."""
    folding, _ = tables()
    syllable = ord(character) - 0xAC00
    if 0 <= syllable <= 0xD7A3 - 0xAC00:
        jamo = [0x1100 + syllable // 588, 0x1161 + syllable % 588 // 28]
        jamo += [0x11A7 + syllable % 28] if syllable % 28 else []
        return "".join(map(chr, jamo))
    return folding.get(ord(character), character)


def fold(text: str) -> str:
    """Return the fold of a text, its separators as spaces."""
    _, marks = tables()
    done: list[str] = []
    run: list[str] = []
    for character in "".join(map(mapped, text)) + " ":
        if character in marks:
            run.append(character)
        else:
            done += [*sorted(run, key=marks.__getitem__), character]
            run = []
    return "".join(done)[:-1]


# Section 9.2


def spellings(text: str) -> list[list[str]]:
    """Return the spellings of each word of a line, the folded word first."""
    replaced, place = "", 0
    while place < len(text):
        for length in (2, 1):
            letter = text[place : place + length]
            behind = text[place + length : place + length + 1]
            if letter in UMLAUTS and not "\u0300" <= behind <= "\u036f":
                replaced += UMLAUTS[letter]
                break
        else:
            letter = text[place]
            replaced += letter
        place += len(letter)
    found = [
        list(dict.fromkeys(pair))
        for pair in zip(fold(text).split(), fold(replaced).split(), strict=True)
    ]
    number = 0
    for group in "".join("-" if each in HYPHENS else mapped(each) for each in text).split(" "):
        parts = [fold(part) for part in group.split("-") if part]
        if len(parts) > 1 and "".join(parts) not in found[number]:
            found[number].append("".join(parts))
        number += len(parts)
    return found


# Section 9.4


@dataclass(frozen=True)
class Dialled:
    """A number as it was read."""

    digits: str = ""
    extension: str = ""
    international: bool = False
    code: str = ""


def digits_of(character: str) -> str:
    """Return the digits that a code point stands for."""
    return mapped(character) if re.fullmatch("[0-9]+", mapped(character)) else ""


def read(text: str) -> Dialled:
    """Read a number: steps 1 to 3."""
    plain = ""
    for character in text:
        letter = character.lower() if "A" <= character <= "Z" else character
        plain += digits_of(character) or letter
    begin = re.match("[^0-9]*", plain)
    assert begin
    if "+" in begin[0]:
        plain = plain.replace("(0)", "")
    before, *behind = re.split(r";ext=|ext\.|ext|x", plain, maxsplit=1)
    if "*" in before or "#" in before:
        return Dialled(code=re.sub("[^0-9*#]", "", before))
    digits = re.sub("[^0-9]", "", before)
    return Dialled(digits, re.sub("[^0-9]", "", "".join(behind)), "+" in begin[0])


class Switchboard:
    """Keys of numbers under a header."""

    def __init__(self, directory: Directory) -> None:
        """Take the header's figures."""
        self.header = directory.header
        self.main = re.sub("[^0-9]", "", self.header.main)

    def is_extension(self, digits: str) -> bool:
        """Whether the digits lie in a range."""
        return any(
            len(digits) == len(low) and int(low) <= int(digits) <= int(high)
            for low, high in self.header.extensions
        )

    def of_extension(self, digits: str) -> set[str]:
        """Return the keys of an extension alone."""
        return {f"x{digits}", *([f"+{self.main}{digits}"] if self.main else [])}

    def of_digits(self, number: Dialled) -> set[str]:
        """Return the keys of D: steps 4 and 5."""
        head, digits = self.header, number.digits
        keys = {digits}
        if number.international:
            keys.add(f"+{digits}")
        elif self.is_extension(digits):
            keys |= self.of_extension(digits)
        else:
            ways = [digits]
            if head.outside and digits.startswith(head.outside) and digits != head.outside:
                ways.append(digits[len(head.outside) :])
            for way in ways:
                if head.international and way.startswith(head.international):
                    keys.add("+" + way[len(head.international) :])
                elif head.trunk and way.startswith(head.trunk):
                    if head.country:
                        keys.add(f"+{head.country}{way[len(head.trunk) :]}")
                elif head.country:
                    keys.add(f"+{head.country}{way}")
                    if head.area:
                        keys.add(f"+{head.country}{head.area}{way}")
        if self.main:
            inside = [key[len(self.main) + 1 :] for key in keys if key.startswith(f"+{self.main}")]
            keys.update(f"x{each}" for each in inside if self.is_extension(each))
        return keys

    def keys(self, number: Dialled, query: bool) -> set[str]:
        """Return all keys: steps 3 to 7."""
        if number.code:
            return {number.code}
        if not number.digits:
            return self.of_extension(number.extension) if number.extension else set()
        keys = self.of_digits(number)
        if not number.extension:
            return keys
        extended = {f"{key}x{number.extension}" for key in keys}
        alone = {f"x{number.extension}"}
        if not query:
            return extended | keys | alone
        mains = [key for key in keys if self.main and key.startswith(f"+{self.main}")]
        return extended | (alone if mains else set())


# Section 9.3


class Term(NamedTuple):
    """A part of a query."""

    words: list[str]
    field: str
    phrase: bool
    number: Dialled | None
    excluded: bool


def is_number_word(word: str) -> bool:
    """Whether a word is written as a number."""
    if any(re.search("[0-9]", mapped(each)) and not digits_of(each) for each in word):
        return False
    return not fold(word).replace("ext", "").replace("x", "").strip("0123456789 ")


def terms(query: str) -> list[Term]:
    """Read a query. Raises `Refused` with 505, 506, 507."""
    found: list[Term] = []
    run: list[str] = []

    def end_run() -> None:
        text = " ".join(run)
        if any(map(digits_of, text)):
            found.append(Term(fold(text).split(), "", False, read(text), False))
        else:
            found.extend(Term(fold(each).split(), "", False, None, False) for each in run)
        run.clear()

    place = 0
    while place < len(query):
        if query[place] == " ":
            place += 1
            continue
        token = TOKEN.match(query, place)
        if token is None:
            raise Refused(505)
        place = token.end()
        name = (token["field"] or "").lower()
        phrase, excluded = token["phrase"] is not None, bool(token["minus"])
        value = token["phrase"] if phrase else token["word"]
        if name in ("sip", "mailto") or (name and not value):
            raise Refused(505)
        name = "phone" if name == "tel" else name
        numeric = not name and not phrase and is_number_word(value)
        if numeric and not excluded:
            run.append(value)
            continue
        end_run()
        number = read(value) if numeric or name.partition(".")[0] == "phone" else None
        found.append(Term(fold(value).split(), name, phrase, number, excluded))
    end_run()
    found = [term for term in found if term.words]
    if all(term.excluded for term in found):
        raise Refused(506)
    if sum(len(term.words) for term in found) > 16:
        raise Refused(507)
    return found


# Sections 9.5 and 9.6


def family_places(entry: Entry) -> range:
    """Return which words of the name are the family's."""
    words = fold(entry.name).split()
    if given := fold(" ".join(entry.get("family"))).split():
        starts = [at for at in range(len(words)) if words[at : at + len(given)] == given]
        return range(starts[-1], starts[-1] + len(given))
    if entry.kind != "person" or not words:
        return range(0)
    end = len(words)
    while end > 1 and words[end - 1] in SUFFIXES:
        end -= 1
    start = end - 1
    while start > 1 and words[start - 1] in PARTICLES:
        start -= 1
    return range(start, end)


@dataclass
class Line:
    """A line of a field, as terms are tried on it."""

    field: str
    words: list[list[str]]
    number: Dialled | None = None


@dataclass
class Shown:
    """An entry as a viewer sees it."""

    id: str
    order: tuple[int, bytes, bytes]
    family: range
    lines: list[Line] = field(default_factory=list)


def is_named(asked: str, name: str) -> bool:
    """Whether a query's field means an entry's (M-9)."""
    return asked == name or asked == name.partition(".")[0]


class Naive:
    """A directory, read anew for every query."""

    def __init__(
        self,
        directory: Directory,
        broad: int = 5_000,
        share: int = 4,
        read: int = 150,
        places: int = 50_000,
        numbers: int = 5_000,
    ) -> None:
        """Take what a viewer may see of it."""
        self.switchboard = Switchboard(directory)
        listed = {entry.id for entry in directory.entries if not entry.unlisted}
        self.entries = [
            self._shown(self._public(entry, listed))
            for entry in directory.entries
            if not entry.unlisted
        ]
        self.limit = max(broad, len(self.entries) / share)
        self.read = read
        self.numbers = numbers
        self.places = max(places, len(self.entries))

    def _public(self, entry: Entry, listed: set[str]) -> Entry:
        fields = []
        for name, values in entry.fields:
            base = name.partition(".")[0]
            if {name, base} & entry.unlisted_fields:
                continue
            if base in LINKS:
                values = tuple(value for value in values if value in listed)
            fields.append((name, values))
        return Entry(entry.id, entry.kind, tuple(fields))

    def _shown(self, entry: Entry) -> Shown:
        words, family = fold(entry.name).split(), family_places(entry)
        ordered = words
        if entry.kind == "person":
            given = fold(" ".join(entry.get("family"))).split()
            ordered = (given or words[family.stop - 1 : family.stop]) + words
        order = KINDS.index(entry.kind), " ".join(ordered).encode(), entry.id.encode()
        shown = Shown(entry.id, order, family)
        for name, values in (("id", (entry.id,)), ("kind", (entry.kind,)), *entry.fields):
            base = name.partition(".")[0]
            for value in values:
                if base == "phone":
                    shown.lines.append(Line(name, [], read(value)))
                    continue
                if base in ONE_SPELLING:
                    line = Line(name, [[word] for word in fold(value).split()])
                else:
                    line = Line(name, spellings(value))
                if name == "name" and entry.kind == "person" and family.start > 1:
                    line.words[0].append("".join(word[0] for word in words[: family.start]))
                shown.lines.append(line)
        return shown

    def find(self, query: str) -> list[str]:
        """Return the ids that a query finds, in order. Raises `Refused`."""
        asked = terms(query)
        wanted = [term for term in asked if not term.excluded]
        found = []
        for entry in self.entries:
            ranks = [self.rank(term, entry) for term in wanted]
            if None in ranks or any(
                self.rank(term, entry) is not None for term in asked if term.excluded
            ):
                continue
            found.append((sum(filter(None, ranks)), entry.order, entry.id))
        if len(found) > MATCHES:
            raise Refused(551)
        return [id for _, _, id in sorted(found)]

    def may_refuse(self, query: str) -> bool:
        """Whether a query may be refused by [M-16]."""
        asked = terms(query)
        return (
            all(self.is_broad(term) for term in asked if not term.excluded)
            or sum(self.having_all(term) for term in asked if len(term.words) > 1) > self.read
            or sum(map(self.places_of, asked)) > self.places
            or sum(map(self.numbers_of, asked)) > self.numbers
        )

    def numbers_of(self, term: Term) -> int:
        """Return how many numbers of entries have the last digits of a number term."""
        if not term.number:
            return 0
        last = term.number.digits[-7:]
        return sum(
            line.number is not None and line.number.digits.endswith(last)
            for entry in self.entries
            for line in entry.lines
        )

    def places_of(self, term: Term) -> int:
        """Return in how many places the word of a field term stands, whatever the field."""
        if term.field in ("", "kind") or term.number or len(term.words) > 1:
            return 0
        word = term.words[0]
        return sum(
            each == word or (not term.phrase and each.startswith(word))
            for entry in self.entries
            for line in entry.lines
            for spelt in line.words
            for each in spelt
        )

    def having_all(self, term: Term) -> int:
        """Return how many entries have all words of a term, wherever in them."""
        last = len(term.words) - 1
        return sum(
            all(
                any(
                    each == word or (place == last and not term.phrase and each.startswith(word))
                    for line in entry.lines
                    for spelt in line.words
                    for each in spelt
                )
                for place, word in enumerate(term.words)
            )
            for entry in self.entries
        )

    def is_broad(self, term: Term) -> bool:
        """Whether each word of a term is in very many entries."""
        if term.number and term.field:
            return False
        last = len(term.words) - 1
        return all(
            sum(
                self.rank(Term([word], term.field, term.phrase or place < last, None, False), entry)
                is not None
                for entry in self.entries
            )
            > self.limit
            for place, word in enumerate(term.words)
        )

    def rank(self, term: Term, entry: Shown) -> int | None:
        """Return the class of a term on an entry, None where it does not match."""
        found = [each for line in entry.lines for each in self._classes(term, line, entry.family)]
        if not found:
            return None
        return 0 if term.field else min(found)

    def _classes(self, term: Term, line: Line, family: Iterable[int]) -> Iterator[int]:
        """Yield the classes of a term's matches on a line."""
        base = line.field.partition(".")[0]
        if not is_named(term.field, line.field) if term.field else base in ("kind", *LINKS):
            return
        if line.number is not None:
            yield from self._numbers(term, line.number)
            return
        *firsts, last = term.words
        for start in range(len(line.words) - len(firsts)):
            places = range(start, start + len(term.words))
            if any(word not in line.words[at] for word, at in zip(firsts, places, strict=False)):
                continue
            spelt = line.words[places[-1]]
            whole = last in spelt
            if not whole and (term.phrase or not any(each.startswith(last) for each in spelt)):
                continue
            if base == "name":
                own = 0 if set(places) <= set(family) else 1
            else:
                own = 2 if base == "alias" else 3
            yield own if whole else own + 4

    def _numbers(self, term: Term, own: Dialled) -> Iterator[int]:
        asked = term.number
        if asked is None:
            return
        own_keys = self.switchboard.keys(own, query=False)
        if own_keys & self.switchboard.keys(asked, query=True):
            yield 0
        ends = len(own.digits) >= 7 and asked.digits.endswith(own.digits)
        if not asked.code and not asked.extension and len(asked.digits) >= 3:
            ends |= any(re.fullmatch(rf"\+?[0-9]*{asked.digits}", key) for key in own_keys)
        if ends:
            yield 4
