"""What a YAML document is made of: scalars, lists and mappings, each with its place.

Implements, of the section "YAML" of spec/directory.md, what its readers hand over.
"""

from dataclasses import dataclass
from typing import Any

import yaml

# Text as it was written: `value`, and `style`, which is empty where no quotes stand around it.
Scalar = yaml.ScalarEvent


@dataclass(frozen=True, slots=True)
class Place:
    """Where something begins, counted from 0, as the parser's marks have it."""

    line: int
    column: int
    index: int = 0


class Plain(Scalar):
    """A scalar that did not come as an event: it has no tag and no anchor, and is its own mark."""

    __slots__ = ("column", "line", "style", "value")
    anchor = tag = None

    def __init__(self, value: str, style: str, line: int, column: int) -> None:
        self.value = value
        self.style = style
        self.line = line
        self.column = column

    @property
    def start_mark(self) -> Any:  # type: ignore[override]
        """Where it begins."""
        return self


@dataclass(slots=True)
class ListNode:
    """A YAML sequence."""

    items: list["Node"]
    start_mark: Any


@dataclass(slots=True)
class MappingNode:
    """A YAML mapping: its keys and values by the text of the key, in their order."""

    items: dict[str, tuple[Scalar, "Node"]]
    start_mark: Any


@dataclass(slots=True)
class Refused:
    """What stood here was refused, and has been reported."""

    start_mark: Any


Node = Scalar | ListNode | MappingNode | Refused
