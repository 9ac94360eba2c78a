"""A whole directory: documents in, a directory out, and everything that is wrong with it.

Implements the sections "Files", "Entries" and "Links" of spec/directory.md, as far as they look at
more than one entry. Reading never stops at an error, so one run shows them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from phonebook.directory.document import Document, ListNode, MappingNode, Node, Refused, Scalar
from phonebook.directory.entry import Directory, Entry, Header
from phonebook.directory.fields import KNOWN, LINKS, meant, nearest
from phonebook.directory.header import read_header, read_settings
from phonebook.directory.problems import Position, Problems, quoted
from phonebook.directory.read_entry import Read, read_entry
from phonebook.directory.text import words
from phonebook.directory.values import is_empty

HEADER_FILE = "phonebook.yaml"

_TOP = ("directory", "server", "entries")

# Dangling links for which a near id is looked for; it takes time in a large directory.
_SUGGESTIONS = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A document, and whether it is the one where the header may stand."""

    document: Document
    header: bool


def check(sources: Sequence[Source], problems: Problems) -> Directory:
    """Return the directory that the documents are, as far as they are one."""
    header = Header()
    settings: dict[str, str] = {}
    read: list[Read] = []
    for source in sources:
        root = source.document.root
        entries: Node | None = root
        if isinstance(root, MappingNode):
            entries = None
            for key, value in root.items:
                if key.text == "entries":
                    entries = value
                elif key.text not in _TOP:
                    _unknown_top(key, problems)
                elif not source.header:
                    problems.error(
                        "header-elsewhere",
                        key.where,
                        f"`{key.text}` can stand only in {HEADER_FILE} at the top of the "
                        "directory: move it there.",
                    )
                elif key.text == "directory":
                    header = read_header(value, problems)
                else:
                    settings = read_settings(value, problems)
        if isinstance(entries, ListNode):
            found = (read_entry(item, problems) for item in entries.items)
            read += [each for each in found if each]
        elif entries is not None and not isinstance(entries, Refused):
            _no_entries(entries, root is entries, problems)
    whole = all(source.document.whole for source in sources)
    _check_ids(read, header, problems)
    _check_links(read, whole, problems)
    return Directory(header, tuple(entry for entry, _, _ in read), settings)


def _unknown_top(key: Scalar, problems: Problems) -> None:
    if key.text in KNOWN:
        sentence = f"{quoted(key.text)} stands outside an entry: an entry begins with `- `."
    elif key.text == "views":
        sentence = "Views are not defined yet: remove `views`, and use `unlisted`."
    else:
        sentence = f"A directory has no key {quoted(key.text)}: {meant(key.text, _TOP)}"
    problems.error("unknown-key", key.where, sentence)


def _no_entries(node: Node, root: bool, problems: Problems) -> None:
    if isinstance(node, Scalar) and is_empty(node):
        if not root:
            problems.error(
                "empty-value", node.where, "`entries` is empty: remove the line or write entries."
            )
        return
    problems.error(
        "not-a-list", node.where, "Entries are a list: write `- ` before the first field of each."
    )


def _check_ids(read: Sequence[Read], header: Header, problems: Problems) -> None:
    referrals = {referral.id for referral in header.referrals}
    first: dict[str, Position] = {}
    for entry, where, lines in read:
        other = first.setdefault(entry.id, where)
        if other is not where:
            made = "" if "id" in lines else f", made of the name {quoted(entry.name)},"
            problems.error(
                "duplicate-id",
                where,
                f"The id `{entry.id}`{made} is also that of the entry at {other}: "
                "write another `id:` in one of the two.",
            )
        elif entry.id in referrals:
            problems.error(
                "duplicate-id",
                where,
                f"A referral has the id `{entry.id}` too: write another `id:`.",
            )


def _check_links(read: Sequence[Read], whole: bool, problems: Problems) -> None:
    by_id: dict[str, Entry] = {}
    for entry, _, _ in read:
        by_id.setdefault(entry.id, entry)
    suggestions = _SUGGESTIONS
    for entry, _, lines in read:
        for name, found in lines.items():
            base = name.partition(".")[0]
            if base not in LINKS:
                continue
            for text, at in found:
                target = by_id.get(text)
                if target is not None:
                    _check_link(entry, base, target, at.where, problems)
                elif whole:  # else its target may stand in what could not be read
                    ids = by_id if suggestions > 0 else {}
                    suggestions -= 1
                    problems.error(
                        "dangling-link",
                        at.where,
                        f"{quoted(name)} is the id of an entry, and there is no {quoted(text)}: "
                        + _instead(base, text, ids),
                    )


def _check_link(
    entry: Entry, base: str, target: Entry, where: Position, problems: Problems
) -> None:
    kinds = LINKS[base]
    if target.kind not in kinds:
        wanted = " or ".join(f"`{kind}`" for kind in kinds)
        problems.error(
            "link-kind",
            where,
            f"`{base}` leads to a {wanted}, and {quoted(target.id)} is a `{target.kind}`: "
            "write another id.",
        )
    elif target.id == entry.id:
        problems.error(
            "link-to-itself", where, f"`{base}` leads to the entry itself: remove the line."
        )
    elif target.unlisted:
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
