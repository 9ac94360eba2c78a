"""The lines of a value: what a scalar, a list or block text in the file says.

Implements the section "Values" of spec/directory.md.
"""

from collections.abc import Iterator

from phonebook.directory.characters import clean
from phonebook.directory.nodes import ListNode, MappingNode, Node, Refused, Scalar
from phonebook.directory.problems import Problems, quoted

VALUE_OCTETS = 1000
NAME_OCTETS = 256
LINE_CHARACTERS = VALUE_OCTETS // 4  # of a line that is short enough, whatever they are

NULLS = frozenset({"~", "null", "Null", "NULL"})


def is_line(text: str) -> bool:
    """Whether a scalar of this text is one line as it stands; nearly every one is."""
    return (
        text.isprintable()
        and 0 < len(text) <= LINE_CHARACTERS
        and text[0] != " " != text[-1]
        and text not in NULLS
    )


def lines(node: Node, what: str, problems: Problems) -> list[tuple[str, Scalar]]:
    """Return a value's lines, and where each stands; report whatever cannot be a line."""
    if isinstance(node, ListNode):
        if not node.items:
            _empty(node, what, problems)
        found = []
        for item in node.items:
            if isinstance(item, Scalar):
                found += _lines(item, what, problems)
            elif not isinstance(item, Refused):
                problems.error(
                    "value-not-text",
                    item,
                    f"{what} is a list of texts; write `- ` and one text in each line.",
                )
        return found
    if isinstance(node, Scalar):
        return _lines(node, what, problems)
    if isinstance(node, MappingNode):
        problems.error("value-not-text", node, f"{what} is text; write it in one line.")
    return []


def line(node: Node, what: str, problems: Problems, octets: int = VALUE_OCTETS) -> str | None:
    """Return a value that is one line; None, once reported, where it is not."""
    if isinstance(node, ListNode | MappingNode):
        problems.error("value-not-text", node, f"{what} is text; write it in one line.")
        return None
    found = lines(node, what, problems)
    if len(found) > 1:
        problems.error(
            "several-lines", node, f"{what} is one line, not {len(found)}: write one line."
        )
        return None
    for text, _ in found:
        if len(text) * 4 <= octets or len(text.encode(errors="replace")) <= octets:
            return text
        problems.error(
            "value-too-long",
            node,
            f"{what} is longer than {octets} octets: write a shorter one.",
        )
    return None


def pairs(
    node: Node, what: str, problems: Problems, advice: str = "write `key: value` lines under it"
) -> Iterator[tuple[Scalar, Node]]:
    """Return the keys and values of what must be a mapping."""
    if isinstance(node, MappingNode):
        yield from node.items.values()
    elif isinstance(node, Scalar) and is_empty(node):
        _empty(node, what, problems)
    elif not isinstance(node, Refused):
        problems.error("not-a-mapping", node, f"{what} is a mapping; {advice}.")


def is_empty(node: Scalar) -> bool:
    """Whether nothing, or YAML's null, stands here."""
    return not node.value.strip(" \n") or not node.style and node.value in NULLS


def _lines(node: Scalar, what: str, problems: Problems) -> list[tuple[str, Scalar]]:
    if is_line(node.value):
        return [(node.value, node)]
    if is_empty(node):
        _empty(node, what, problems)
        return []
    found = []
    for text in node.value.split("\n"):
        text = clean(text.strip(" "), node, problems)
        if len(text) * 4 > VALUE_OCTETS and len(text.encode()) > VALUE_OCTETS:
            problems.error(
                "value-too-long",
                node,
                f"The line {quoted(text)} is longer than {VALUE_OCTETS} octets: "
                "write several lines.",
            )
        elif text:
            found.append((text, node))
    return found


def _empty(node: Node, what: str, problems: Problems) -> None:
    advice = "write a value"
    if isinstance(node, Scalar) and node.value.strip():  # a null that may be somebody's name
        advice += f', or "{node.value}" in quotes'
    problems.error("empty-value", node, f"{what} is empty: remove the line or {advice}.")
