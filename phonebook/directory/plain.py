"""Entries in the plain style in which most are written, read without the parser of all of YAML.

Implements the section "YAML" of spec/directory.md, for a part of it. Either an entry is read as the
parser would read it, to the last place, or it is not read at all: whatever could be more than lines
of `key: value`, or lists of such values, is left to the parser, which takes three times as long.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from phonebook.directory.nodes import ListNode, MappingNode, Node, Place, Plain, Scalar

# What may stand above the first entry of a file that is nothing but entries.
_ABOVE = re.compile(r"(?:(?:#.*)?\n)*- ")

# A text without quotes begins with nothing that means something else. Whether a `: ` or a ` #` ends
# it too early is looked for afterwards.
_BARE = r"""[^-?:,\[\]{}#&*!|>'"%@`\s](?:.*[^:\s])?"""
_BARE_IN_BRACKETS = r"""[^-?:,\[\]{}#&*!|>'"%@`\s](?:[^?:,\[\]{}#\n]*[^?:,\[\]{}#\s])?"""
_DOUBLE = r'"([^"\\\s](?:[^"\\\n]*[^"\\\s])?)"'
_SINGLE = r"'([^'\s](?:[^'\n]*[^'\s])?)'"
_END = r"(?![^\n])"  # of a line

_FIELD = re.compile(
    rf"\n  ([a-z][a-z0-9.-]{{0,63}}):(?: (?:({_BARE})|{_DOUBLE}|{_SINGLE}|(\[.*\]))"
    rf"|((?:\n  +- .+)+)){_END}"
)
_IN_BRACKETS = re.compile(rf"(?:({_BARE_IN_BRACKETS})|{_DOUBLE}|{_SINGLE}) *(, *|\]{_END})")
_IN_LINES = re.compile(rf"\n( +)- (?:({_BARE})|{_DOUBLE}|{_SINGLE}){_END}")


Written = tuple[int, int, str, str, str]
"""A text: its line and column, and it as it stands there: bare, in double or in single quotes."""


@dataclass(slots=True, eq=False)
class PlainEntry:
    """An entry of which each key stands there once, and each value is text, and not empty."""

    names: tuple[str, ...]
    values: list[tuple[str, ...]]
    """Of each name."""
    lists: dict[str, list[Written]]
    """Of each name that has a list."""
    lines: Sequence[int]
    """Where each name stands."""
    found: Sequence[tuple[str, ...]]
    """For each name, it and its value as they are written."""
    index: int
    """About where the entry is in its file."""

    @property
    def start_mark(self) -> Place:
        """Where it begins."""
        return Place(self.lines[0], 2, self.index)

    def texts(self, at: int) -> list[Plain]:
        """Return the values of a name, each with its place."""
        name, bare, double, single, *_ = self.found[at]
        alone = self.lines[at], len(name) + 4, bare, double, single
        return [
            Plain(bare or double or single, "" if bare else '"' if double else "'", line, column)
            for line, column, bare, double, single in self.lists.get(name, [alone])
        ]

    def node(self) -> MappingNode:
        """Return the node that the parser would have made."""
        items: dict[str, tuple[Scalar, Node]] = {}
        for at, name in enumerate(self.names):
            texts = self.texts(at)
            value: Node = texts[0]
            if name in self.lists:
                line, column = texts[0].line, texts[0].column - 2  # of its dash
                if line == self.lines[at]:  # in brackets
                    column = len(name) + 4
                value = ListNode([*texts], Place(line, column))
            items[name] = Plain(name, "", self.lines[at], 2), value
        return MappingNode(items, self.start_mark)


def above(text: str) -> int:
    """Return where, behind its dash, the first entry of a list that is the whole file begins.

    0 where the file is something else, or has what only the parser knows how to place.
    """
    found = _ABOVE.match(text)
    return found.end() if found and "\ufeff" not in text else 0


def read_plain(text: str, line: int, index: int) -> PlainEntry | None:
    """Return an entry, which begins in this line behind its dash; None for the parser to read."""
    text = "\n  " + text.rstrip("\n")
    found: list[tuple[str, ...]] = _FIELD.findall(text)
    names: list[str] = []
    values: list[tuple[str, ...]] = []
    lists: dict[str, list[Written]] = {}
    lines: list[int] = []
    here = line
    for name, bare, double, single, brackets, block in found:
        names.append(name)
        lines.append(here)
        here += 1
        if bare:
            values.append((bare,))
        elif double or single:
            values.append((double or single,))
        else:
            if brackets:
                items = _in_brackets(brackets, here - 1, len(name) + 4)
            else:
                items = _in_lines(block, here)
                here += len(items)
            if not items:
                return None
            lists[name] = items
            values.append(tuple([bare or double or single for *_, bare, double, single in items]))
    if text.count("\n") != here - line or not names or len(set(names)) < len(names):
        return None
    if _ends_early("\n".join([each[1] for each in found])):
        return None
    return PlainEntry(tuple(names), values, lists, lines, found, index)


def _ends_early(bare: str) -> bool:
    """Whether a text without quotes has an end in it."""
    return ": " in bare or " #" in bare


def _in_brackets(text: str, line: int, column: int) -> list[Written]:
    """Return the values of a list in brackets; none where it is anything else."""
    items: list[Written] = []
    place, behind = 1, ","
    while behind[0] == ",":
        found = _IN_BRACKETS.match(text, place)
        if not found:
            return []
        bare, double, single, behind = found.groups("")
        items.append((line, column + place, bare, double, single))
        place = found.end()
    return items


def _in_lines(text: str, line: int) -> list[Written]:
    """Return the values of a list that has a line for each; none where it is anything else."""
    found = _IN_LINES.findall(text)
    if len(found) < text.count("\n"):
        return []
    column = len(found[0][0]) + 2
    items = [(at, column, *written) for at, (_, *written) in enumerate(found, line)]
    aligned = all(len(indentation) + 2 == column for indentation, *_ in found)
    return [] if not aligned or _ends_early("\n".join([each[1] for each in found])) else items
