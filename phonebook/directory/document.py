"""One YAML document: text in, nodes out, every scalar as it was written and with its place.

Implements the section "YAML" of spec/directory.md. The nodes are built from the parser's events:
they show duplicate keys, tags and anchors, which a loader hides, and nothing nests without end.
After an error the reading goes on at the next entry.

What is plain is read without the parser (`plain`). Of the rest, most of the time goes into the
parser's making of events. So a scalar is kept as the event that it came in (a node of our own for
each took a third more time), and its place stays the parser's mark until a problem asks for it.
Entries are handed over a few at a time: what stays in memory is what the reader makes of them.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

import yaml
from yaml import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from phonebook.directory.decode import decode
from phonebook.directory.nodes import ListNode, MappingNode, Node, Place, Refused, Scalar
from phonebook.directory.plain import PlainEntry, above, read_plain
from phonebook.directory.problems import Position, Problems, quoted
from phonebook.directory.syntax import report_syntax

# Nested lists and mappings in a document.
DEPTH_LIMIT = 20
# Syntax errors after which a file is read no further.
SYNTAX_ERROR_LIMIT = 20

_SOME = 64  # entries that are read at a time
_LINES = 32  # lines above them that the parser may pass over for each of them

_TOO_DEEP = (
    f"More than {DEPTH_LIMIT} lists or mappings stand in one another: "
    "close the brackets that are open."
)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Stopped(Exception):
    """What follows is not worth reading."""


class Document:
    """What a file says. Run through `entries`; then `root` is all that stands beside them."""

    def __init__(self, data: bytes, problems: Problems) -> None:
        """Take the octets of a file; every problem that it has will be noted."""
        self.root: Node | None = None  # None where the file says nothing, or is past reading
        self._problems = problems
        self._text = decode(data, problems)
        self.whole = bool(self._text) or not data  # if all of it was read
        self._line = 0  # where the piece begins that is read
        self._list: ListNode | None = None  # the list of entries
        self._next: Any = None  # the parser's next event

    def entries(self) -> Iterator[Node | PlainEntry]:
        """Read the file, in pieces where it has errors, and return what its list of entries holds.

        In `root`, that list is empty.
        """
        text = yield from self._plain()
        if text is None:
            return
        for _ in range(SYNTAX_ERROR_LIMIT):
            try:
                yield from self._piece(text)
                return
            except _Stopped:
                self.whole = False
                return
            except yaml.MarkedYAMLError as error:
                self.whole = False
                if "maximum nesting" in str(error.problem):  # libyaml's own limit, from 0.2.6 on
                    mark: Any = error.problem_mark
                    where = Position(self._problems.file, mark.line + 1, mark.column + 1)
                    return self._problems.error("too-deep", where, _TOO_DEEP)
                rest = self._behind(report_syntax(error, text, self._problems), text)
                if rest is None:
                    return
                text = rest
            except yaml.YAMLError as error:  # nothing is known that gets here
                self.whole = False
                where = Position(self._problems.file, self._line + 1, 1)
                self._problems.error("syntax", where, f"This is not YAML: {error}.")
                return

    def _plain(self) -> Generator[Node | PlainEntry, None, str | None]:
        """Read a list of entries, those in plain style without the parser.

        Return what is left from where something does not end with its entry, None at the end.
        """
        text = self._text
        place = above(text)
        if not place:
            return text
        line = text.count("\n", 0, place)
        self.root = self._list = ListNode([], Place(line, 0))
        pieces = iter(text[place:].split("\n- "))
        while some := list(islice(pieces, max(_SOME, line // _LINES))):
            end = place + sum([len(each) + 3 for each in some])
            entries = self._mixed(some, line, place, end < len(text) + 3)
            if entries is None:
                return "\n" * line + text[place - 2 :]
            yield from entries
            line += sum([each.count("\n") + 1 for each in some])
            place = end
        return None

    def _mixed(
        self, texts: list[str], line: int, place: int, more: bool
    ) -> Sequence[Node | PlainEntry] | None:
        """Return entries that begin here, each behind its dash; None if one has no end of its own.

        Where the parser reads, it is shown dashes for plain entries, and for one of what is behind,
        so that all keep their places.
        """
        heights = [text.count("\n") + 1 for text in texts]
        lines = list(accumulate(heights, initial=line))
        entries = [read_plain(text, at, place) for text, at in zip(texts, lines, strict=False)]
        plain = [entry for entry in entries if entry]
        if len(plain) == len(texts):
            return plain
        if any("\n..." in text for text in texts):
            return None
        shown = [
            f"- {text}" if entry is None else "-" + "\n#" * (height - 1)
            for text, entry, height in zip(texts, entries, heights, strict=True)
        ]
        noted = len(self._problems)
        try:
            nodes: list[Any] = list(self._piece("\n" * line + "\n".join([*shown, *["-"] * more])))
        except (yaml.YAMLError, _Stopped):
            nodes = []
        if [node.start_mark.line for node in nodes] != lines[: len(lines) - (not more)]:
            del self._problems[noted:]
            return None
        return [entry or node for entry, node in zip(entries, nodes, strict=False)]

    def _piece(self, text: str) -> Iterator[Node]:
        """Read the file, or the list of entries that is left of it behind an error."""
        self._next = _Loader(text).get_event
        self._next()  # the start of the stream
        documents = 0
        while type(event := self._next()) is not StreamEndEvent:
            if type(event) is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._problems.error(
                        "several-documents",
                        event,
                        "A file is one YAML document: remove the `---`, or make two files.",
                    )
                    raise _Stopped
                event = self._next()
                if type(event) is SequenceStartEvent:
                    self._open(event, 0)
                    if self._list is None:
                        self.root = self._list = ListNode([], event.start_mark)
                    yield from self._entries(1)
                elif type(event) is MappingStartEvent:
                    yield from self._top(event)
                else:
                    self.root = self._node(event, 0)

    def _top(self, start: Any) -> Iterator[Node]:
        """Read the mapping that is the whole file, and return its entries on the way."""
        self._open(start, 0)
        items: dict[str, tuple[Scalar, Node]] = {}
        root = MappingNode(items, start.start_mark)
        while type(event := self._next()) is not MappingEndEvent:
            key = self._key(event, items, 1)
            event = self._next()
            if key and key.value == "entries" and type(event) is SequenceStartEvent:
                self._open(event, 1)
                self._list = ListNode([], event.start_mark)
                items["entries"] = key, self._list
                self.root = root  # even where an error follows
                yield from self._entries(2)
            else:
                value = self._node(event, 1)
                if key:
                    items[key.value] = key, value
        self.root = root

    def _entries(self, depth: int) -> Iterator[Node]:
        while type(event := self._next()) is not SequenceEndEvent:
            yield self._node(event, depth)

    def _behind(self, line: int, text: str) -> str | None:
        """Return what to read on after an error above this line: whole entries, in their place."""
        if self._list is None:
            return None
        lines = text.split("\n")
        dash = " " * self._list.start_mark.column + "- "
        for number in range(max(line, self._line + 1), len(lines)):
            if lines[number].startswith(dash):
                end = number
                while end < len(lines) and (
                    isinstance(self.root, ListNode) or not re.match(r"[^\s#-]", lines[end])
                ):
                    end += 1
                self._line = number
                return "\n" * number + "\n".join(lines[number:end])
        return None

    # The depth is the number of lists and mappings that are open around a node.

    def _node(self, event: Any, depth: int) -> Node:
        """Return the node that begins with this event."""
        kind = type(event)
        if kind is MappingStartEvent:
            self._open(event, depth)
            return self._mapping(event, depth + 1)
        if kind is SequenceStartEvent:
            self._open(event, depth)
            items = []
            while type(item := self._next()) is not SequenceEndEvent:
                items.append(self._node(item, depth + 1))
            return ListNode(items, event.start_mark)
        if kind is AliasEvent:
            written = f"*{event.anchor}"
            self._problems.error(
                "alias",
                event,
                f"{quoted(written)} is a YAML alias, which is refused: write the value out, or "
                f'"{written}" in quotes where the star is meant.',
            )
            return Refused(event.start_mark)
        if event.tag or event.anchor:
            self._refuse_properties(event)
        scalar: Scalar = event
        return scalar

    def _mapping(self, start: Any, depth: int) -> MappingNode:
        items: dict[str, tuple[Scalar, Node]] = {}
        next_event = self._next
        while type(event := next_event()) is not MappingEndEvent:
            key = event
            if (
                type(key) is not Scalar
                or key.value in items
                or key.value == "<<"
                or key.tag
                or key.anchor
            ):
                key = self._key(key, items, depth)
            value = next_event()
            if type(value) is not Scalar or value.tag or value.anchor:
                value = self._node(value, depth)
            if key:
                items[key.value] = key, value
        return MappingNode(items, start.start_mark)

    def _key(self, event: Any, items: dict[str, tuple[Scalar, Node]], depth: int) -> Scalar | None:
        """Return a key, None where it is refused."""
        node = self._node(event, depth)
        if not isinstance(node, Scalar):
            if not isinstance(node, Refused):
                self._problems.error("key-not-text", node, "A key must be a word, such as `phone`.")
            return None
        if node.value == "<<" and not node.style:
            self._problems.error(
                "merge-key",
                node,
                "Merge keys (`<<`) are refused, so that each entry can be read alone: "
                "write the fields out.",
            )
            return None
        if node.value in items:
            first: Any = items[node.value][0].start_mark
            self._problems.error(
                "duplicate-key",
                node,
                f"The key {quoted(node.value)} already stands in line {first.line + 1}: "
                "write one key with a list of values.",
            )
            return None
        return node

    def _open(self, event: Any, depth: int) -> None:
        """Begin a list or a mapping."""
        if depth == DEPTH_LIMIT:
            self._problems.error("too-deep", event, _TOO_DEEP)
            raise _Stopped
        self._refuse_properties(event)

    def _refuse_properties(self, event: Any) -> None:
        if event.anchor:
            self._problems.error(
                "anchor",
                event,
                f"The anchor {quoted('&' + event.anchor)} is refused, so that each entry can be "
                "read alone: remove it, or put the value in quotes.",
            )
        if event.tag:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problems.error(
                "tag",
                event,
                f"The tag {quoted(tag)} is refused, since every value is text: "
                "remove it, or put the value in quotes.",
            )
