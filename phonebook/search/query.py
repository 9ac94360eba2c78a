"""Queries: the text of a lookup, read into terms.

Implements spec/phonebook.md, section 9.3, and what of 9.4 says which words are a number. A query is
read here and matched in `index`; nothing here knows an entry.
"""

import re
from typing import NamedTuple

from phonebook.directory.numbers import Number, digits_of, read_number
from phonebook.directory.text import fold

MAX_WORDS = 16

_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,31}(?:\.[A-Za-z0-9-]{1,30})?):")
_MARKS = re.compile("(?i:ext|x)+")
_RESERVED = frozenset({"sip", "mailto"})


class QueryError(Exception):
    """The query cannot be read."""


class NoWordError(QueryError):
    """No word is in the query."""


class TooManyWordsError(QueryError):
    """The query has more than 16 words."""


class Term(NamedTuple):
    """One part of a query."""

    words: tuple[str, ...]
    whole: bool = False
    """A phrase: the last word, too, must be matched whole."""
    field: str = ""
    """The field that it is tried on, in lower case; empty: all."""
    number: Number | None = None
    excluded: bool = False
    """What must not be matched."""

    @property
    def is_word(self) -> bool:
        """Whether it is the plainest of terms: one word, or its beginning, in any field."""
        return (
            len(self.words) == 1
            and not self.field
            and not self.whole
            and self.number is None
            and not self.excluded
        )


def parse_query(text: str) -> tuple[Term, ...]:
    """Read a query into its terms, those without a word left out.

    Raises `QueryError`: its class tells which of the spec's faults it is (505, 506, 507).
    """
    terms: list[Term] = []
    run: list[str] = []  # plain words next to one another that are written as a number
    for excluded, field, value, phrase in _tokens(text):
        if not excluded and not field and not phrase and _is_number_word(value):
            run.append(value)
            continue
        terms += _end_run(run)
        run = []
        number = None
        if field in ("phone", "tel") or field.startswith("phone."):
            field = "phone" if field == "tel" else field
            number = read_number(value)
        elif excluded and not field and not phrase and _is_number_word(value):
            number = read_number(value)
        terms.append(Term(_words(value), phrase, field, number, excluded))
    terms += _end_run(run)
    terms = [term for term in terms if term.words]
    if all(term.excluded for term in terms):
        raise NoWordError("no word to look for is in the query")
    if sum(len(term.words) for term in terms) > MAX_WORDS:
        raise TooManyWordsError(f"the query has more than {MAX_WORDS} words")
    return tuple(terms)


def _tokens(text: str) -> list[tuple[bool, str, str, bool]]:
    """Split a query into (excluded, field in lower case or nothing, value, is it a phrase)."""
    tokens = []
    position = 0
    while position < len(text):
        if text[position] == " ":
            position += 1
            continue
        field = ""
        excluded = text[position] == "-" and text[position + 1 : position + 2] not in ("", " ")
        position += excluded
        if match := _FIELD.match(text, position):
            field, position = match[1].lower(), match.end()
        phrase = text.startswith('"', position)
        if phrase:
            end = text.find('"', position + 1)
            if end < 0 or text[end + 1 : end + 2] not in ("", " "):
                raise QueryError("a quotation mark without its counterpart")
            value, position = text[position + 1 : end], end + 1
        else:
            end = text.find(" ", position)
            end = len(text) if end < 0 else end
            value, position = text[position:end], end
        if field and not value:
            raise QueryError("a field without a value")
        if field in _RESERVED:
            raise QueryError(f"{field}: is reserved")
        tokens.append((excluded, field, value, phrase))
    return tokens


def _is_number_word(word: str) -> bool:
    if word.isalpha() and word.isascii():  # as most words are
        return _MARKS.fullmatch(word) is not None
    rest = fold("".join(" " if digits_of(each) else each for each in word))
    return not rest.replace("ext", "").replace("x", "").strip()


def _end_run(run: list[str]) -> list[Term]:
    """Return the number that a run of words is, or the words."""
    text = " ".join(run)
    if any(map(digits_of, text)):
        return [Term(_words(text), number=read_number(text))]
    return [Term(_words(word)) for word in run]


def _words(text: str) -> tuple[str, ...]:
    return tuple(fold(text).split())
