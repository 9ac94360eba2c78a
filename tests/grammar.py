"""The specification's ABNF, loaded out of the document: what it accepts, and messages made of it.

Octets are read as Latin-1, one character an octet, since UTF-8 stands in the grammar octet by
octet. The specification says that quoted letters are upper case as shown: `%s` (RFC 7405) says so
to the parser.
"""

import random
import re

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
    text = re.sub(r'"([^"]*[A-Za-z][^"]*)"', r'%s"\1"', text)
    text = re.sub(r"\n(?:[ \t]*\n)+", "\n", text.strip()) + "\n"
    Spec.load_grammar(text.replace("\n", "\r\n"))


for _name in ("ALPHA", "DIGIT", "DQUOTE", "SP", "CR", "LF", "CRLF"):
    Spec(_name, rfc5234.Rule(_name).definition)
_load()


def accepts(rule: str, octets: bytes) -> bool:
    """Tell whether octets are what a rule describes."""
    try:
        Spec(rule).parse_all(octets.decode("latin-1"))
    except ParseError:
        return False
    return True


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
