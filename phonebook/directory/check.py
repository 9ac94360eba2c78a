"""A whole directory: documents in, a directory out, and everything that is wrong with it.

Implements the sections "Files", "Entries" and "Links" of spec/directory.md, as far as they look at
more than one entry. Reading never stops at an error, so one run shows them all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from phonebook.directory.document import Document, ListNode, MappingNode, Node, Refused, Scalar
from phonebook.directory.entry import Directory, Entry, Header
from phonebook.directory.fields import KNOWN, LINKS, meant, nearest
from phonebook.directory.header import read_header, read_settings
from phonebook.directory.problems import Position, Problem, Problems, quoted
from phonebook.directory.read_entry import Read, read_entry
from phonebook.directory.text import words
from phonebook.directory.values import is_empty

HEADER_FILE = "phonebook.yaml"

_TOP = ("directory", "server", "entries")

# Dangling links for which a near id is looked for; it takes time in a large directory.
_SUGGESTIONS = 100

_TOLD = 500  # entries after which somebody hears how far the reading is

Tell = Callable[[float], None]
"""Hears again and again which share of the reading is done."""


@dataclass(slots=True)
class Part:
    """What one file brings to a directory."""

    file: str
    problems: Problems
    whole: bool = True  # if all of the file was read
    header: Header = Header()
    settings: dict[str, str] = field(default_factory=dict)
    entries: list[Read] = field(default_factory=list)

    def packed(self) -> tuple[Any, ...]:
        """Return the part, which has no header, as it goes from one process to another."""
        problems = [
            (each.severity, each.code, each.sentence, tuple(each.where)) for each in self.problems
        ]
        return self.file, problems, self.whole, self.entries

    @classmethod
    def unpacked(
        cls, file: str, problems: list[tuple[Any, ...]], whole: bool, entries: list[Read]
    ) -> "Part":
        """Return the part that was packed."""
        part = cls(file, Problems(file), whole, entries=entries)
        for severity, code, sentence, where in problems:
            part.problems.append(Problem(severity, code, sentence, Position(*where)))
        return part


def nobody(share: float) -> None:
    """Hear nothing."""


def read_part(data: bytes, file: str, may_head: bool, tell: Tell = nobody) -> Part:
    """Read a file; only in one that `may_head` can the header stand."""
    problems = Problems(file)
    part = Part(file, problems)
    document = Document(data, problems)
    for number, node in enumerate(document.entries()):
        if number % _TOLD == 0:
            mark: Any = node.start_mark
            tell(mark.index / len(data))
        read = read_entry(node, problems)
        if read:
            part.entries.append(read)
    part.whole = document.whole
    root = document.root
    entries: Node | None = root
    if isinstance(root, MappingNode):
        entries = None
        for key, value in root.items.values():
            if key.value == "entries":
                entries = value
            elif key.value not in _TOP:
                _unknown_top(key, problems)
            elif not may_head:
                problems.error(
                    "header-elsewhere",
                    key,
                    f"`{key.value}` can stand only in {HEADER_FILE} at the top of the "
                    "directory: move it there.",
                )
            elif key.value == "directory":
                part.header = read_header(value, problems)
            else:
                part.settings = read_settings(value, problems)
    if entries is not None and not isinstance(entries, ListNode | Refused):
        _no_entries(entries, root is entries, problems)
    return part


def check(parts: Sequence[Part], problems: Problems) -> Directory:
    """Return the directory that the parts are, as far as they are one."""
    header, settings = Header(), {}
    for part in parts:
        problems += part.problems
    header = next((part.header for part in parts if part.header != Header()), Header())
    settings = next((part.settings for part in parts if part.settings), {})
    entries = [Entry(*row) for part in parts for row, *_ in part.entries]
    _check_ids(parts, header, problems)
    _check_links(parts, entries, problems)
    return Directory(header, tuple(entries), settings)


def _unknown_top(key: Scalar, problems: Problems) -> None:
    if key.value in KNOWN:
        sentence = f"{quoted(key.value)} stands outside an entry: an entry begins with `- `."
    elif key.value == "views":
        sentence = "Views are not defined yet: remove `views`, and use `unlisted`."
    else:
        sentence = f"A directory has no key {quoted(key.value)}: {meant(key.value, _TOP)}"
    problems.error("unknown-key", key, sentence)


def _no_entries(node: Node, root: bool, problems: Problems) -> None:
    if isinstance(node, Scalar) and is_empty(node):
        if not root:
            problems.error(
                "empty-value", node, "`entries` is empty: remove the line or write entries."
            )
        return
    problems.error(
        "not-a-list", node, "Entries are a list: write `- ` before the first field of each."
    )


def _check_ids(parts: Sequence[Part], header: Header, problems: Problems) -> None:
    referrals = {referral.id for referral in header.referrals}
    ids = [read[0][0] for part in parts for read in part.entries]
    if len(set(ids)) == len(ids) and referrals.isdisjoint(ids):
        return  # as nearly always; to look for where takes longer
    first: dict[str, tuple[Part, Read]] = {}
    for part in parts:
        for read in part.entries:
            (id, _, fields, _, _), written, line, column, _ = read
            other = first.setdefault(id, (part, read))
            if other[1] is not read:
                made = "" if written else f", made of the name {quoted(fields[0][1][0])},"
                where = Position(other[0].file, *other[1][2:4])
                problems.error(
                    "duplicate-id",
                    Position(part.file, line, column),
                    f"The id `{id}`{made} is also that of the entry at {where}: "
                    "write another `id:` in one of the two.",
                )
            elif id in referrals:
                problems.error(
                    "duplicate-id",
                    Position(part.file, line, column),
                    f"A referral has the id `{id}` too: write another `id:`.",
                )


def _check_links(parts: Sequence[Part], entries: Iterable[Entry], problems: Problems) -> None:
    whole = all(part.whole for part in parts)
    by_id: dict[str, Entry] = {}
    for entry in entries:
        by_id.setdefault(entry.id, entry)
    suggestions = _SUGGESTIONS
    for part in parts:
        for row, _, _, _, links in part.entries:
            for link in links:
                name, text, line, column = link
                base = name.partition(".")[0]
                target = by_id.get(text)
                if target is not None:
                    if target.kind not in LINKS[base] or target.unlisted or text == row[0]:
                        where = Position(part.file, line, column)
                        _bad_link(row[0], base, target, where, problems)
                elif whole:  # else its target may stand in what could not be read
                    ids = by_id if suggestions > 0 else {}
                    suggestions -= 1
                    problems.error(
                        "dangling-link",
                        Position(part.file, line, column),
                        f"{quoted(name)} is the id of an entry, and there is no {quoted(text)}: "
                        + _instead(base, text, ids),
                    )


def _bad_link(id: str, base: str, target: Entry, where: Position, problems: Problems) -> None:
    kinds = LINKS[base]
    if target.kind not in kinds:
        wanted = " or ".join(f"`{kind}`" for kind in kinds)
        problems.error(
            "link-kind",
            where,
            f"`{base}` leads to a {wanted}, and {quoted(target.id)} is a `{target.kind}`: "
            "write another id.",
        )
    elif target.id == id:
        problems.error(
            "link-to-itself", where, f"`{base}` leads to the entry itself: remove the line."
        )
    else:
        problems.warning(
            "unlisted-link",
            where,
            f"The entry {quoted(target.id)} is unlisted, so this link will not be shown: "
            "remove the line.",
        )


def _instead(base: str, text: str, ids: dict[str, Entry]) -> str:
    """Say what to write instead of an id that nothing has."""
    made = "-".join(words(text))
    near = made if made in ids else nearest(text, ids)
    if near:
        return f"write `{near}`?"
    if base == "room":
        return f"write `location: {text}` for a room that has no entry."
    return "write the id of an entry, or put the text under `note`."
