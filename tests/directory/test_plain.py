"""Plain entries: read without the parser, and just as the parser would have read them."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonebook.directory import document
from phonebook.directory.document import Document
from phonebook.directory.nodes import ListNode, MappingNode, Node, Scalar
from phonebook.directory.plain import PlainEntry
from phonebook.directory.problems import Problems
from phonebook.directory.read_entry import read_entry
from phonebook.share import share

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
EXAMPLES = sorted(share("examples").glob("*/*.yaml"))

PLAIN = b"""\
# Above
- name: Ada Byron
  family: "Byron"
  alias:
    - Ada King
    - "Countess: of Lovelace"
  phone: [147, +1 202 555 0120, 'x 12']
  member-of:
  - directors
  note: it's a#b:c

- name: Charles Babbage
  id: charles
"""


def shape(node: Node | PlainEntry | None) -> Any:
    """Return all that a node says, its place included."""
    if node is None:
        return None
    if isinstance(node, PlainEntry):
        node = node.node()
    mark: Any = node.start_mark
    place = mark.line, mark.column
    if isinstance(node, Scalar):
        return place, node.value, node.style, node.tag, node.anchor
    if isinstance(node, ListNode):
        return place, [shape(each) for each in node.items]
    if isinstance(node, MappingNode):
        return place, [(key, *map(shape, both)) for key, both in node.items.items()]
    return place


def said(data: bytes) -> Any:
    """Return all that a file says: its entries, as nodes and read, what is beside, the problems."""
    problems = Problems("test.yaml")
    read = Document(data, problems)
    entries = [(shape(each), read_entry(each, problems)) for each in read.entries()]
    return entries, shape(read.root), read.whole, sorted(problems, key=lambda each: each.where)


def is_read_alike(data: bytes) -> None:
    with patch.object(document, "above", lambda _: 0):
        by_the_parser = said(data)
    assert said(data) == by_the_parser


def plain_ones(data: bytes) -> list[bool]:
    entries = Document(data, Problems("test.yaml")).entries()
    return [isinstance(each, PlainEntry) for each in entries]


def test_what_is_plain_is_read_without_the_parser() -> None:
    assert plain_ones(PLAIN) == [True, True]
    is_read_alike(PLAIN)


def test_an_entry_that_is_not_plain_leaves_the_others_so() -> None:
    odd = (
        PLAIN + b"- name: Odd\n  note: |+\n    a\n\n    b\n" + PLAIN + b"- {name: Odder}\n" + PLAIN
    )
    assert plain_ones(odd) == [True, True, False, True, True, False, True, True]
    is_read_alike(odd)


@pytest.mark.parametrize(
    "odd",
    [
        '- name: "a\n- name: b"\n',
        '- name: "a\n',
        "- name: 'a\n\n- b'\n  note: c\n",
        "- [a,\n- b]\n",
        "- name: a\n...\n- name: b\n",
        "- name: a\n---\n- name: b\n",
        "- name: a\nname: b\n",
        "- name: a\n-\n  name: b\n",
        "- # nothing here\n  name: a\n",
        "- name: &a b\n- name: *a\n",
        "- name: \ufeffa\n",
        "%YAML 1.2\n",
        "- ? name\n  : a\n",
        "- name: a\n  name: b\n",
        "- name: a\n   note: b\n",
        "- name: a\n    b\n",
        "- name: a: b\n",
        "- \n",
    ],
)
def test_where_entries_do_not_end_the_parser_reads_on(odd: str) -> None:
    for text in (odd.encode(), PLAIN + odd.encode(), PLAIN + odd.encode() + PLAIN):
        is_read_alike(text)


@pytest.mark.parametrize("path", [*BROKEN, *EXAMPLES], ids=lambda path: path.stem)
def test_examples_are_read_alike(path: Path) -> None:
    is_read_alike(path.read_bytes())


def test_a_long_file_is_read_alike() -> None:
    is_read_alike((PLAIN + b"- name: {}\n" + PLAIN * 20) * 20)


VALUES = (
    "a;Ada Byron;b  c;147;x,y;é;😀;a@b.example;person;directors;yes;~;null;=;<<;1.0;'a';'it''s';"
    '\'a\'b;\';"a";"x: y";"a\\"b";"a" b;"a;" a";"";- a;-a;-;? a;?a;: a;:a;a: b;a #b;a#b;'
    'a:b;a:;#c;[a, b];[a,b ,"c d", \'e\'];[];[a, ];[a;[a] b;[a: b];[a#b, c?d];[[a]];["a":b];a];'
    "{a: b};{a;a};a{b;|;|+;>;| a;a|b;&x a;*x;!t a;@a;%a;`a`;a\tb;\xa0a;a\u2028b;\x85;\ufeff;\x07;"
    "a ;  a;---;..."
).split(";")
KEYS = "name id kind family phone phone.work email member-of note unlisted view tel << A ?".split()

values = st.one_of(
    st.sampled_from(VALUES),
    st.text("ab .:#,-[]{}'\"\\?&*!|>%@`~\t\xa0\ufeffé", max_size=8),
)
indents = st.sampled_from(["  "] * 8 + ["", " ", "   ", "    ", "    ", "\t"])
lines = st.one_of(
    st.builds("{}: {}".format, st.sampled_from(KEYS), values),
    st.builds("{}: {}".format, st.sampled_from(KEYS[:9]), st.sampled_from(VALUES[:3])),
    st.builds("{}:".format, st.sampled_from(KEYS)),
    st.builds("- {}".format, values),
    st.builds("# {}".format, values),
    values,
    st.just(""),
)
entries = st.builds(
    lambda first, others, end: "- " + end.join([first, *map("".join, others)]) + end,
    st.one_of(st.just("name: Ada"), lines),
    st.lists(st.tuples(indents, lines), max_size=5),
    st.sampled_from(["\n"] * 6 + ["\r\n", "\n\n"]),
)
files = st.builds(
    lambda above, entries: (above + "".join(entries)).encode(),
    st.sampled_from([""] * 6 + ["# above\n", "\n", "---\n", "entries:\n", "\ufeff", "a: b\n"]),
    st.lists(entries, min_size=1, max_size=5),
)


@given(files)
def test_whatever_stands_there_is_read_alike(data: bytes) -> None:
    is_read_alike(data)


@pytest.mark.full
@settings(max_examples=4_000)
@given(files)
def test_whatever_else_stands_there_is_read_alike(data: bytes) -> None:
    is_read_alike(data)
