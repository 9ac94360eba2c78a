"""A whole directory: documents in, a directory out, and everything that is wrong with it.

Implements the sections "Files", "Entries", "Links" and "Views" of spec/directory.md, as far as they
look at more than one entry. Reading never stops at an error, so one run shows them all.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

from phonebook.directory.document import Document
from phonebook.directory.entry import Directory, Entry, Header
from phonebook.directory.fields import KNOWN, LINKS, meant, nearest
from phonebook.directory.header import read_header, read_settings
from phonebook.directory.nodes import ListNode, MappingNode, Node, Refused, Scalar
from phonebook.directory.problems import Position, Problem, Problems, quoted
from phonebook.directory.read_entry import Read, Row, read_entry
from phonebook.directory.text import words
from phonebook.directory.values import is_empty
from phonebook.directory.views import read_views

HEADER_FILE = "phonebook.yaml"

_TOP = ("directory", "views", "server", "entries")

MAX_FIELDS = 10_000
"""Names of fields that differ, subtypes too: each has a place in the index."""

_TOLD = 500  # entries after which somebody hears how far the reading is

_EARLY = 262_144  # octets behind which no setting is looked for before the whole is read

Tell = Callable[[float], None]
"""Hears again and again which share of the reading is done."""


class Outline(NamedTuple):
    """What a check across files asks of one, as a rule. It is plain."""

    ids: list[str]
    kinds: list[str]
    """Of each of these."""
    unlisted: list[str]
    """The ids of unlisted entries."""
    links: list[tuple[str, str, bool]]
    """Each once: the field without its subtype, the id, and if the link is of no view."""
    to_itself: bool
    """If an entry has a link to itself."""
    viewed: dict[str, str]
    """The ids of entries that are of a view, and which that is."""
    views: list[str]
    """All views that are named, each once."""
    fields: list[str]
    """All fields, each once."""


def outlined(entries: Sequence[Read]) -> Outline:
    """Return the outline of a file's entries."""
    links: dict[tuple[str, str, bool], None] = {}
    to_itself = False
    views: dict[str, None] = {}
    for row, _, _, _, leading, viewed in entries:
        for name, text, _, _ in leading:
            links[name.partition(".")[0], text, not viewed or not _view_of(row, name)] = None
            to_itself = to_itself or text == row[0]
        for view, _, _ in viewed:
            views[view] = None
    rows = [read[0] for read in entries]
    return Outline(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[0] for row in rows if row[3]],
        [*links],
        to_itself,
        {row[0]: row[5] for row in rows if row[5]},
        [*views],
        sorted({name for row in rows for name, _ in row[2]}),
    )


def _view_of(row: Row, field_name: str) -> str:
    """Return the view that a field of an entry is of, itself or with the entry."""
    return row[5] or Entry(*row).view_of(field_name)


@dataclass(slots=True)
class Part:
    """What one file brings to a directory."""

    file: str
    problems: Problems
    outline: Outline
    read: Callable[[], list[Read]]
    """Gives its entries, and may take as long as the reading did."""
    whole: bool = True  # if all of the file was read
    header: Header = Header()
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def unread(cls, file: str) -> "Part":
        """Return what a file brings that is not looked at: nothing, so far as is known."""
        return cls(file, Problems(file), outlined([]), list, whole=False)

    def packed(self) -> tuple[Any, ...]:
        """Return the part, which has no header, as it goes from one process to another.

        Its entries and the name of its file are left out.
        """
        problems = [
            (each.severity, each.code, each.sentence, each.where.line, each.where.column)
            for each in self.problems
        ]
        return problems, tuple(self.outline), self.whole

    @classmethod
    def unpacked(cls, file: str, read: Callable[[], list[Read]], packed: tuple[Any, ...]) -> "Part":
        """Return the part that was packed."""
        problems, outline, whole = packed
        part = cls(file, Problems(file), Outline(*outline), read, whole)
        for severity, code, sentence, line, column in problems:
            part.problems.append(Problem(severity, code, sentence, Position(file, line, column)))
        return part


def nobody(share: float) -> None:
    """Hear nothing."""


def read_part(data: bytes, file: str, may_head: bool, tell: Tell = nobody) -> Part:
    """Read a file; only in one that `may_head` can the header stand."""
    problems = Problems(file)
    found: list[Read] = []
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        problems.warning(
            "empty-file",
            Position(file, 1, 1),
            "This file is empty, as one is that could not be written: write entries, or remove it.",
        )
    document = Document(data, problems)
    for number, node in enumerate(document.entries()):
        if number % _TOLD == 0:
            mark: Any = node.start_mark
            tell(mark.index / len(data))
        read = read_entry(node, problems)
        if read:
            found.append(read)
        if problems.full:
            document.whole = False
            break
    part = Part(file, problems, outlined(found), lambda: found, document.whole)
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
                part.header = replace(read_header(value, problems), views=part.header.views)
            elif key.value == "views":
                part.header = replace(part.header, views=read_views(value, problems))
            else:
                part.settings = read_settings(value, problems)
    if entries is not None and not isinstance(entries, ListNode | Refused):
        _no_entries(entries, root is entries, problems)
    return part


def read_settings_early(data: bytes, problems: Problems) -> dict[str, str]:
    """Return the settings of a file with a header, as far as they stand above many entries."""
    told = problems
    if len(data) > _EARLY:  # what is wrong with a file that was cut is not its own fault
        data, told = data[: data.rfind(b"\n", 0, _EARLY) + 1], Problems(problems.file)
    document = Document(data, told)
    for _ in document.entries():
        pass
    root = document.root
    if not isinstance(root, MappingNode) or "server" not in root.items:
        return {}
    return read_settings(root.items["server"][1], problems)


def check(parts: Sequence[Part], problems: Problems) -> Directory:
    """Return the directory that the parts are, as far as they are one."""
    header, settings = check_across(parts, problems)
    entries = tuple([Entry(*row) for part in parts for row, *_ in part.read()])
    return Directory(header, entries, settings)


def check_across(parts: Sequence[Part], problems: Problems) -> tuple[Header, dict[str, str]]:
    """Note all problems, those that no file has alone too; return the header and the settings."""
    for part in parts:
        problems += part.problems
    header = next((part.header for part in parts if part.header != Header()), Header())
    settings = next((part.settings for part in parts if part.settings), {})
    _check_ids(parts, header, problems)
    _check_views(parts, header, problems)
    _check_links(parts, problems)
    _check_fields(parts, problems)
    if not problems and not any(part.outline.ids for part in parts):
        where = Position(problems.file, 1, 1)
        problems.warning("no-entries", where, "No entry is here: write one, as in `- name: Ada`.")
    return header, settings


def _unknown_top(key: Scalar, problems: Problems) -> None:
    if key.value in KNOWN:
        sentence = f"{quoted(key.value)} stands outside an entry: an entry begins with `- `."
    else:
        sentence = f"A directory has no key {quoted(key.value)}: {meant(key.value, _TOP, problems)}"
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
    counts = Counter(chain.from_iterable([part.outline.ids for part in parts]))
    again = {id for id, count in counts.items() if count > 1 or id in referrals}
    if not again:
        return  # as nearly always; to look for where takes longer
    first: dict[str, tuple[Part, Read]] = {}
    for part in parts:
        if again.isdisjoint(part.outline.ids):
            continue
        for read in part.read():
            (id, _, fields, *_), written, line, column, *_ = read
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


def _check_views(parts: Sequence[Part], header: Header, problems: Problems) -> None:
    known = [each.name for each in header.views]
    if not known and not all(part.whole for part in parts):
        return  # they may stand in what could not be read
    advice = "write it under `views:`, beside `directory:`."
    for part in parts:
        if set(known).issuperset(part.outline.views):
            continue
        for *_, viewed in part.read():
            for name, line, column in viewed:
                if name not in known:
                    problems.error(
                        "unknown-view",
                        Position(part.file, line, column),
                        f"There is no view {quoted(name)}: "
                        + (meant(name, known, problems) if known else advice),
                    )


def _check_links(parts: Sequence[Part], problems: Problems) -> None:
    whole = all(part.whole for part in parts)
    kinds: dict[str, str] = {}
    for part in reversed(parts):  # of two entries with one id, the first counts
        kinds.update(zip(reversed(part.outline.ids), reversed(part.outline.kinds), strict=True))
    unlisted = frozenset(chain.from_iterable([part.outline.unlisted for part in parts]))
    viewed = dict(chain.from_iterable([part.outline.viewed.items() for part in parts]))
    hidden = unlisted | viewed.keys()
    for part in parts:
        if not part.outline.to_itself and all(
            kinds.get(text) in LINKS[base] and text not in (hidden if public else unlisted)
            for base, text, public in part.outline.links
        ):
            continue
        for row, _, _, _, links, _ in part.read():
            for name, text, line, column in links:
                base = name.partition(".")[0]
                kind = kinds.get(text)
                where = Position(part.file, line, column)
                if kind is not None:
                    if kind not in LINKS[base] or text in unlisted or text == row[0]:
                        _bad_link(row[0], base, text, kind, where, problems)
                    elif text in viewed and not _view_of(row, name):
                        problems.warning(
                            "view-link",
                            where,
                            f"The entry {quoted(text)} is of the view {quoted(viewed[text])}, so "
                            "others will not be shown this link: write "
                            f"`view: {{{name}: {viewed[text]}}}`, or remove the line.",
                        )
                elif whole:  # else its target may stand in what could not be read
                    problems.error(
                        "dangling-link",
                        where,
                        f"{quoted(name)} is the id of an entry, and there is no {quoted(text)}: "
                        + _instead(base, text, kinds, problems),
                    )


def _check_fields(parts: Sequence[Part], problems: Problems) -> None:
    known: set[str] = set()
    for part in parts:
        more = set(part.outline.fields) - known
        if len(known) + len(more) <= MAX_FIELDS:
            known |= more
            continue
        for (_, _, fields, *_), _, line, column, *_ in part.read():
            for name, _ in fields:
                known.add(name)
                if len(known) > MAX_FIELDS:
                    return problems.error(
                        "too-many-fields",
                        Position(part.file, line, column),
                        f"The directory has more than {MAX_FIELDS:,} fields of different names; "
                        f"{quoted(name)} is the first of the others: write what differs from "
                        "entry to entry as values of one field.",
                    )


def _bad_link(
    id: str, base: str, target: str, kind: str, where: Position, problems: Problems
) -> None:
    kinds = LINKS[base]
    if kind not in kinds:
        wanted = " or ".join(f"`{kind}`" for kind in kinds)
        problems.error(
            "link-kind",
            where,
            f"`{base}` leads to a {wanted}, and {quoted(target)} is a `{kind}`: write another id.",
        )
    elif target == id:
        problems.error(
            "link-to-itself", where, f"`{base}` leads to the entry itself: remove the line."
        )
    else:
        problems.warning(
            "unlisted-link",
            where,
            f"The entry {quoted(target)} is unlisted, so this link will not be shown: "
            "remove the line.",
        )


def _instead(base: str, text: str, ids: dict[str, str], problems: Problems) -> str:
    """Say what to write instead of an id that nothing has."""
    made = "-".join(words(text))
    near = made if made in ids else nearest(text, ids, problems)
    if near:
        return f"write `{near}`?"
    if base == "room":
        return f"write `location: {text}` for a room that has no entry."
    return "write the id of an entry, or put the text under `note`."
