"""One YAML document: text in, nodes with positions out, every scalar as it was written.

Implements the section "YAML" of spec/directory.md. The nodes are built from the parser's events:
they show duplicate keys, tags and anchors, which a loader hides, and nothing recurses, so that
nesting without end is refused at once. After an error the reading goes on at the next entry.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from phonebook.directory.decode import decode
from phonebook.directory.problems import Position, Problems, quoted
from phonebook.directory.syntax import report_syntax

# Nested lists and mappings in a document.
DEPTH_LIMIT = 20
# Syntax errors after which a file is read no further.
SYNTAX_ERROR_LIMIT = 20

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as it was written; `plain` where it stands without quotes."""

    text: str
    where: Position
    plain: bool = False


@dataclass(frozen=True, slots=True)
class ListNode:
    """A YAML sequence."""

    items: list["Node"]
    where: Position


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A YAML mapping: its pairs in their order, no key twice."""

    items: list[tuple[Scalar, "Node"]]
    where: Position


@dataclass(frozen=True, slots=True)
class Refused:
    """What stood here was refused, and has been reported."""

    where: Position


Node = Scalar | ListNode | MappingNode | Refused


@dataclass(frozen=True, slots=True)
class Document:
    """What one file says: `root` is None where that is nothing; `whole` if all of it was read."""

    root: Node | None
    whole: bool


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    node: ListNode | MappingNode
    key: Scalar | Refused | None = None
    seen: dict[str, Position] = field(default_factory=dict)


def read(data: bytes, file: str, problems: Problems) -> Document:
    """Read a document, and note every problem that it has."""
    text = decode(data, file, problems)
    builder = _Builder(file, problems)
    line, whole = 0, True
    for _ in range(SYNTAX_ERROR_LIMIT):
        try:
            builder.build(yaml.parse(text, Loader=_Loader), line)
            return Document(builder.root, whole and not builder.stopped)
        except yaml.MarkedYAMLError as error:
            whole = False
            at = report_syntax(error, text, file, line, problems)
            line_and_text = builder.resume(text, line, at)
            if line_and_text is None:
                break
            line, text = line_and_text
        except yaml.YAMLError as error:  # nothing is known that gets here
            where = Position(file, line + 1, 1)
            problems.error("syntax", where, f"This is not YAML: {error}.")
            break
    return Document(builder.root, False)


class _Builder:
    """Builds the nodes from events, over as many pieces as a file with errors is read in."""

    def __init__(self, file: str, problems: Problems) -> None:
        self.file = file
        self.problems = problems
        self.root: Node | None = None
        self.stopped = False
        self.line = 0
        self.entries: ListNode | None = None  # where a later piece's entries go
        self.open: list[_Open] = []

    def build(self, events: Iterable[Any], line: int) -> None:
        """Read the events of a piece that starts behind so many lines."""
        self.line, self.open, documents = line, [], 0
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._node(self._scalar(event))
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(self.open) == DEPTH_LIMIT:
                    self.problems.error(
                        "too-deep",
                        self._where(event),
                        f"More than {DEPTH_LIMIT} lists or mappings stand in one another: "
                        "close the brackets that are open.",
                    )
                    self.stopped = True
                    return
                self._refuse_properties(event)
                start: ListNode | MappingNode
                if isinstance(event, yaml.MappingStartEvent):
                    start = MappingNode([], self._where(event))
                else:
                    start = ListNode([], self._where(event))
                    self._note_entries(start)
                self.open.append(_Open(start))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                self._node(self.open.pop().node)
            elif isinstance(event, yaml.AliasEvent):
                self._refuse_alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.problems.error(
                        "several-documents",
                        self._where(event),
                        "A file is one YAML document: remove the `---`, or make two files.",
                    )
                    self.stopped = True
                    return

    def resume(self, text: str, line: int, at: int) -> tuple[int, str] | None:
        """After an error: keep what is whole, and return where and what to read on."""
        entries = self.entries
        if entries is None:
            return None
        if self.root is None:
            root = self.open[0].node
            if isinstance(root, MappingNode) and isinstance(self.open[0].key, Scalar):
                root.items.append((self.open[0].key, entries))
            self.root = root
        elif line and self.open and isinstance(self.open[0].node, ListNode):
            entries.items.extend(self.open[0].node.items)
        self.open = []
        lines = text.split("\n")
        dash = " " * (entries.where.column - 1) + "- "
        for number in range(max(at - line, 1), len(lines)):
            if lines[number].startswith(dash):
                end = number
                while end < len(lines) and (
                    isinstance(self.root, ListNode) or not re.match(r"[^\s#-]", lines[end])
                ):
                    end += 1
                return line + number, "\n".join(lines[number:end])
        return None

    def _node(self, node: Node) -> None:
        """Put a whole node where it belongs."""
        if not self.open:
            if self.root is None:
                self.root = node
            elif self.entries is not None and isinstance(node, ListNode):
                self.entries.items.extend(node.items)
            return
        top = self.open[-1]
        if isinstance(top.node, ListNode):
            top.node.items.append(node)
        elif top.key is None:
            top.key = self._key(node, top)
        else:
            if isinstance(top.key, Scalar):
                top.node.items.append((top.key, node))
            top.key = None

    def _key(self, node: Node, top: _Open) -> Scalar | Refused:
        if not isinstance(node, Scalar):
            if not isinstance(node, Refused):
                self.problems.error(
                    "key-not-text", node.where, "A key must be a word, such as `phone`."
                )
            return Refused(node.where)
        if node.text == "<<" and node.plain:
            self.problems.error(
                "merge-key",
                node.where,
                "Merge keys (`<<`) are refused, so that each entry can be read alone: "
                "write the fields out.",
            )
            return Refused(node.where)
        first = top.seen.setdefault(node.text, node.where)
        if first is not node.where:
            self.problems.error(
                "duplicate-key",
                node.where,
                f"The key {quoted(node.text)} already stands in line {first.line}: "
                "write one key with a list of values.",
            )
            return Refused(node.where)
        return node

    def _scalar(self, event: Any) -> Scalar:
        if event.tag or event.anchor:
            self._refuse_properties(event)
        mark = event.start_mark
        where = Position(self.file, mark.line + self.line + 1, mark.column + 1)
        return Scalar(event.value, where, not event.style)

    def _refuse_properties(self, event: Any) -> None:
        if event.anchor:
            self.problems.error(
                "anchor",
                self._where(event),
                f"The anchor {quoted('&' + event.anchor)} is refused, so that each entry can be "
                "read alone: remove it, or put the value in quotes.",
            )
        if event.tag:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.error(
                "tag",
                self._where(event),
                f"The tag {quoted(tag)} is refused, since every value is text: "
                "remove it, or put the value in quotes.",
            )

    def _refuse_alias(self, event: Any) -> None:
        written = f"*{event.anchor}"
        self.problems.error(
            "alias",
            self._where(event),
            f"{quoted(written)} is a YAML alias, which is refused: write the value out, or "
            f'"{written}" in quotes where the star is meant.',
        )
        self._node(Refused(self._where(event)))

    def _note_entries(self, node: ListNode) -> None:
        """Remember the list of entries: the document itself, or what stands under `entries:`."""
        if self.entries is None and (
            not self.open
            or len(self.open) == 1
            and isinstance(self.open[0].key, Scalar)
            and self.open[0].key.text == "entries"
        ):
            self.entries = node

    def _where(self, event: Any) -> Position:
        mark = event.start_mark
        return Position(self.file, mark.line + self.line + 1, mark.column + 1)
