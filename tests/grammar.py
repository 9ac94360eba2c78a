"""The specification's ABNF, loaded out of the document: what it accepts, and messages made of it.

Octets are read as Latin-1, one character an octet, since UTF-8 stands in the grammar octet by
octet. The specification says that quoted letters are upper case as shown: `%s` (RFC 7405) says so
to the parser.
"""

import random
import re
from collections.abc import Iterable
from functools import cache

from abnf.grammars import rfc5234
from abnf.parser import (
    Alternation,
    Concatenation,
    Literal,
    Option,
    ParseError,
    Parser,
    Repetition,
    Rule,
)
from documents import grammar

_MOST = 6  # repetitions, where the grammar has no bound


class Spec(Rule):
    """The rules of spec/phonebook.md."""


def _load() -> None:
    text = re.sub(r";.*", "", grammar())
    text = re.sub(r'"([^"]*)"', r'%s"\1"', text)
    text = re.sub(r"\n(?:[ \t]*\n)+", "\n", text.strip()) + "\n"
    Spec.load_grammar(text.replace("\n", "\r\n"))


for _name in ("ALPHA", "DIGIT", "DQUOTE", "SP", "CR", "LF", "CRLF"):
    Spec(_name, rfc5234.Rule(_name).definition)
_load()


def accepts_slowly(rule: str, octets: bytes) -> bool:
    """Tell whether octets are what a rule describes, in the words of the `abnf` package."""
    try:
        Spec(rule).parse_all(octets.decode("latin-1"))
    except ParseError:
        return False
    return True


@cache
def automaton(rule: str) -> "Automaton":
    """Return what reads a rule; no rule of the specification contains itself."""
    return Automaton(Spec(rule))


def accepts(rule: str, octets: bytes) -> bool:
    """Tell whether octets are what a rule describes, in time that grows with their number alone."""
    return automaton(rule).accepts(octets)


class Automaton:
    """A rule as states: the parser of the `abnf` package tries all ways to share out padding."""

    def __init__(self, parser: Parser) -> None:
        self._empty: list[list[int]] = []
        self._steps: list[tuple[int, int, int] | None] = []  # from, to, next state
        start = self._state()
        self._end = self._build(parser, start)
        self._start = self._closure({start})
        self._known: dict[tuple[frozenset[int], int], frozenset[int]] = {}

    def accepts(self, octets: bytes) -> bool:
        now = self._start
        for octet in octets:
            if (now, octet) not in self._known:
                self._known[now, octet] = self._closure(
                    step[2]
                    for step in map(self._steps.__getitem__, now)
                    if step and step[0] <= octet <= step[1]
                )
            now = self._known[now, octet]
            if not now:
                return False
        return self._end in now

    def _state(self) -> int:
        self._empty.append([])
        self._steps.append(None)
        return len(self._empty) - 1

    def _closure(self, states: Iterable[int]) -> frozenset[int]:
        waiting = list(states)
        found = set(waiting)
        while waiting:
            for state in self._empty[waiting.pop()]:
                if state not in found:
                    found.add(state)
                    waiting.append(state)
        return frozenset(found)

    def _build(self, parser: Parser, start: int) -> int:
        """Add the states of a parser behind one, and return the last."""
        match parser:
            case Rule():
                return self._build(parser.definition, start)
            case Alternation():
                end = self._state()
                for each in parser.parsers:
                    first = self._state()
                    self._empty[start].append(first)
                    self._empty[self._build(each, first)].append(end)
                return end
            case Concatenation():
                for each in parser.parsers:
                    start = self._build(each, start)
                return start
            case Option():
                return self._optional(parser.alternation, start)
            case Repetition():
                least, most = parser.repeat.min, parser.repeat.max
                for _ in range(least):
                    start = self._build(parser.element, start)
                if most is not None:
                    for _ in range(most - least):
                        start = self._optional(parser.element, start)
                    return start
                loop = self._state()
                self._empty[start].append(loop)
                self._empty[self._build(parser.element, loop)].append(loop)
                end = self._state()
                self._empty[loop].append(end)
                return end
            case Literal():
                if isinstance(parser.value, tuple):
                    first, last = parser.value
                    return self._step(ord(first), ord(last), start)
                for character in parser.value:
                    start = self._step(ord(character), ord(character), start)
                return start
        raise AssertionError(f"no states for a {parser!r}")

    def _optional(self, parser: Parser, start: int) -> int:
        first, end = self._state(), self._state()
        self._empty[start] += [first, end]
        self._empty[self._build(parser, first)].append(end)
        return end

    def _step(self, first: int, last: int, start: int) -> int:
        end, at = self._state(), self._state()
        self._empty[start].append(at)
        self._steps[at] = (first, last, end)
        return end


def make(rule: str, chance: random.Random) -> bytes:
    """Return octets that a rule describes."""
    return _make(Spec(rule), chance).encode("latin-1")


def _make(parser: Parser, chance: random.Random) -> str:
    match parser:
        case Rule():
            return _make(parser.definition, chance)
        case Alternation():
            return _make(chance.choice(parser.parsers), chance)
        case Concatenation():
            return "".join(_make(each, chance) for each in parser.parsers)
        case Option():
            return _make(parser.alternation, chance) if chance.random() < 0.5 else ""
        case Repetition():
            least, most = parser.repeat.min, parser.repeat.max
            most = least + _MOST if most is None else most
            if most - least > _MOST and chance.random() < 0.8:
                most = least + _MOST
            count = chance.randint(least, most)
            return "".join(_make(parser.element, chance) for _ in range(count))
        case Literal():
            if isinstance(parser.value, tuple):
                first, last = map(ord, parser.value)
                return chr(chance.randint(first, last))
            return parser.value
    raise AssertionError(f"no way to make a {parser!r}")
