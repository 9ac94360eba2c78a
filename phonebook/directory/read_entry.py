"""One entry: a node in, an entry out, and everything that is wrong with it alone.

Implements the sections "Entries", "Fields", "Unlisted" and "Views" of spec/directory.md.
"""

import re
from functools import cached_property, lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from phonebook.directory.entry import Entry
from phonebook.directory.fields import (
    FIELD_NAME_OCTETS,
    HIDING,
    ID_OCTETS,
    KINDS,
    KNOWN,
    RESERVED_IDS,
    SINGLE,
    Field,
    field_called,
    is_id,
    meant,
    nearest,
)
from phonebook.directory.nodes import MappingNode, Node, Refused, Scalar
from phonebook.directory.plain import PlainEntry
from phonebook.directory.problems import Problems, quoted
from phonebook.directory.text import fold, words
from phonebook.directory.values import LINE_CHARACTERS, NAME_OCTETS, NULLS, is_line, line, lines
from phonebook.directory.views import RESERVED

ENTRY_OCTETS = 8192
# An unlisted id is a secret of sorts: 13 characters of 36 kinds are some 67 bits.
UNLISTED_ID_CHARACTERS = 13

Fields = tuple[tuple[str, tuple[str, ...]], ...]
# What `Entry` is made of: all but the places, so that it is plain, and cheap to send.
Row = tuple[str, str, Fields, bool, frozenset[str], str, tuple[tuple[str, str], ...]]
# A link: its field, the id that it leads to, and the line and the column where it stands.
Link = tuple[str, str, int, int]
# The name of a view, and the line and the column where it stands.
Viewed = tuple[str, int, int]
# An entry, for what is checked across entries: whether its id is written, or made of its name; the
# line and the column where that stands; its links; the views that it names.
Read = tuple[Row, bool, int, int, list[Link], list[Viewed]]

_DIGIT = re.compile("[0-9]")


def read_entry(node: Node | PlainEntry, problems: Problems) -> Read | None:
    """Read an entry; None, once reported, where it can have no id."""
    if isinstance(node, PlainEntry):
        if read := read_shortly(node):
            return read
        node = node.node()
    if not isinstance(node, MappingNode):
        if not isinstance(node, Refused):
            problems.error(
                "not-an-entry",
                node,
                "An entry is a mapping: write `- name: Ada Byron`, and its fields under it.",
            )
        return None
    reader = _Reader(node, problems)
    reader.read()
    return reader.entry()


class _Shape(NamedTuple):
    """What the names of an entry's fields say, where that is nothing to be told of."""

    names: list[str]
    """Of the fields in their order, the name first; neither the id nor the kind is one."""
    order: list[int]
    """Where each of them stands in the entry."""
    single: dict[str, int]
    links: list[int]
    phones: list[int]
    emails: list[int]


@lru_cache(maxsize=4096)  # a directory has few shapes with many entries
def _shape(names: tuple[str, ...]) -> _Shape | None:
    """Return the shape of an entry with these fields; None where the long way must look."""
    single = {name: at for at, name in enumerate(names) if name in SINGLE}
    fields = [(at, field) for at, name in enumerate(names) if (field := _field(name))]
    others = [(field.order, at, field) for at, field in fields if field.plain]
    if len(single) + len(others) < len(names) or "name" not in single:
        return None
    order = [single[name] for name in ("name", "family") if name in single]
    order += [at for _, at, _ in sorted(others, key=itemgetter(0))]
    return _Shape(
        [names[at] for at in order],
        order,
        single,
        [at for _, at, field in others if field.links],
        [at for _, at, field in others if field.base == "phone"],
        [at for _, at, field in others if field.base == "email"],
    )


def read_shortly(entry: PlainEntry) -> Read | None:
    """Read an entry of which there is nothing to tell; None where the long way must look.

    Most entries are such. The long way says the same of them, and takes three times the time.
    """
    names, values = entry.names, entry.values
    shape = _shape(names)
    if shape is None or not SINGLE.isdisjoint(entry.lists):
        return None
    texts = list(chain.from_iterable(values))
    characters = "".join(texts)
    if (
        not characters.isprintable()
        or not NULLS.isdisjoint(texts)
        or len(characters) > LINE_CHARACTERS < max(map(len, texts))
        or len(characters) + 2 * FIELD_NAME_OCTETS * len(texts) > ENTRY_OCTETS // 4
    ):
        return None
    for at in shape.phones:
        for text in values[at]:
            if not _DIGIT.search(text):
                return None
    for at in shape.emails:
        for text in values[at]:
            if "@" not in text:
                return None
    single = shape.single
    (name,) = values[single["name"]]
    kind = values[single["kind"]][0] if "kind" in single else KINDS[0]
    id = values[single["id"]][0] if "id" in single else "-".join(words(name))
    if len(name) * 4 > NAME_OCTETS or kind not in KINDS or not is_id(id) or id in RESERVED_IDS:
        return None
    links: list[Link] = []
    for at in shape.links:
        field = names[at]
        if field in entry.lists:
            links += [
                (field, each.value, each.line + 1, each.column + 1) for each in entry.texts(at)
            ]
        else:
            links.append((field, values[at][0], entry.lines[at] + 1, len(field) + 5))
    at = single.get("id", single["name"])
    line, column = entry.lines[at] + 1, len(names[at]) + 5
    if "family" in single:
        (family,) = values[single["family"]]
        if len(family) * 4 > NAME_OCTETS or not _is_part(family, name):
            return None
    fields = tuple(zip(shape.names, map(values.__getitem__, shape.order), strict=True))
    row = (id, kind, fields, False, frozenset[str](), "", ())
    return row, "id" in single, line, column, links, []


class _Reader:
    def __init__(self, node: MappingNode, problems: Problems) -> None:
        self.node = node
        self.problems = problems
        self.single: dict[str, str] = {}  # the fields of one line
        self.lines: list[tuple[tuple[int, str], str, tuple[str, ...]]] = []  # of the others
        self.places: dict[str, Node] = {}  # of every field that was written
        self.links: list[Link] = []
        self.viewed: list[Viewed] = []
        self.unlisted: Node | None = None
        self.view: Node | None = None

    def read(self) -> None:
        """Read every key of the entry."""
        for name, (key, value) in self.node.items.items():
            field = _field(name)
            if (
                field is not None
                and field.plain
                and type(value) is Scalar
                and name not in self.places
                and is_line(value.value)
            ):  # as most do; the way round takes twice the time
                self.places[name] = value
                self.lines.append((field.order, field.name, (value.value,)))
                if field.watched:
                    self._watch(field, value.value, value)
            else:
                self._read(name, field, key, value)

    def _read(self, name: str, field: Field | None, key: Scalar, value: Node) -> None:
        """Read a key of the entry."""
        if field is None:
            self._bad_name(name, key)
        elif name == "unlisted":
            self.unlisted = value
        elif name == "view":
            self.view = value
        elif name in SINGLE:
            self.places[name] = value
            octets = NAME_OCTETS if name in ("name", "family") else ID_OCTETS
            text = line(value, field.shown, self.problems, octets)
            if text is not None:
                self.single[name] = text
        elif isinstance(value, MappingNode) and "." not in name:
            for subtype, (subtype_key, of_subtype) in value.items.items():
                self._list(f"{name}.{subtype}", subtype_key, of_subtype)
            if not value.items:
                self.problems.error(
                    "empty-value", value, f"{field.shown} is empty: remove the line."
                )
        else:
            self._list(name, key, value)

    def entry(self) -> Read | None:
        """Return the entry."""
        if "name" not in self.places:
            self.problems.error("missing-name", self.node, "The entry has no name: write `name:`.")
        kind = self._kind()
        self._check_family()
        id = self._id()
        unlisted, hidden = self._unlisted()
        view, field_views = self._view(unlisted, hidden)
        name = self.single.get("name")
        if id is None or name is None:
            return None
        fields: list[tuple[str, tuple[str, ...]]] = [("name", (name,))]
        if "family" in self.single:
            fields.append(("family", (self.single["family"],)))
        self.lines.sort()
        fields += [(field, texts) for _, field, texts in self.lines]
        row = (id, kind, tuple(fields), unlisted, hidden, view, field_views)
        characters = sum([len(name) + 4 + len(text) for name, texts in fields for text in texts])
        if characters * 4 > ENTRY_OCTETS // 2:  # it may be too long
            octets = entry_octets(Entry(*row))
            if octets > ENTRY_OCTETS:
                self.problems.error(
                    "entry-too-long",
                    self.node,
                    f"The entry takes {octets} octets in a reply, and {ENTRY_OCTETS} at most are "
                    "allowed: write less.",
                )
        mark: Any = self.places.get("id", self.places["name"]).start_mark
        written = "id" in self.single
        return row, written, mark.line + 1, mark.column + 1, self.links, self.viewed

    def _list(self, name: str, key: Scalar, value: Node) -> None:
        """Read a field that is a list of lines."""
        field = _field(name)
        if field is None:
            self._bad_name(name, key)
            return
        if field.refused:
            self.problems.error(
                "reserved-field", key, f"No field can be called {field.shown}: {field.refused}."
            )
            return
        if name in self.places:
            where: Any = self.places[name].start_mark
            self.problems.error(
                "duplicate-field",
                key,
                f"The field {field.shown} already stands in line {where.line + 1}: write it once, "
                "with a list of values.",
            )
            return
        self.places[name] = value
        if field.near in HIDING:
            self.problems.error(
                "unknown-field", key, f"{field.shown} would be shown: write `{field.near}`?"
            )
        elif field.near:
            self.problems.warning(
                "unknown-field",
                key,
                f"{field.shown} is not a known field, and `{field.near}` is: write `{field.near}`?",
            )
        found = lines(value, field.shown, self.problems)
        if found:
            self.lines.append((field.order, field.name, tuple([text for text, _ in found])))
        if field.watched:
            for text, at in found:
                self._watch(field, text, at)

    def _watch(self, field: Field, text: str, at: Scalar) -> None:
        """Note a link, and warn of what is no number and no address."""
        if field.links:
            mark: Any = at.start_mark
            self.links.append((field.name, text, mark.line + 1, mark.column + 1))
        elif field.base == "phone":
            if not _DIGIT.search(text) and not _DIGIT.search(fold(text)):
                self.problems.warning(
                    "phone-without-digit",
                    at,
                    f"{quoted(text)} has no digit: write a number, or use `note`.",
                )
        elif "@" not in text:
            self.problems.warning(
                "email-without-at",
                at,
                f"{quoted(text)} has no @: write an address, or use `note`.",
            )

    def _bad_name(self, name: str, key: Scalar) -> None:
        near = nearest(name, KNOWN, self.problems)
        advice = f"write `{near}`?" if near else "write a word such as `phone`."
        self.problems.error(
            "bad-field-name",
            key,
            f"No field can be called {quoted(name)}, only a-z, 0-9 and -, a letter first, "
            f"at most {FIELD_NAME_OCTETS} of them: {advice}",
        )

    def _kind(self) -> str:
        kind = self.single.get("kind") or KINDS[0]
        if kind not in KINDS:
            where = self.places["kind"]
            self.problems.error(
                "bad-kind",
                where,
                f"There is no kind {quoted(kind)}: {meant(kind, KINDS, self.problems)}",
            )
            return KINDS[0]
        return kind

    def _id(self) -> str | None:
        """Return the id that is written or follows from the name."""
        if "id" in self.places:
            id = self.single.get("id")
            if id is not None and not is_id(id):
                self.problems.error(
                    "bad-id",
                    self.places["id"],
                    f"No entry can have the id {quoted(id)}: write a-z, 0-9, `.`, `_` and `-`, "
                    f"a letter or digit first, at most {ID_OCTETS} of them.",
                )
                return None
        else:
            name = self.single.get("name")
            id = None if name is None else "-".join(words(name))
            if id is not None and not is_id(id):
                self.problems.error(
                    "no-id",
                    self.places["name"],
                    f"{quoted(name or '')} makes no id of a-z and 0-9, at most {ID_OCTETS} of "
                    "them: write `id:` and a short name in ASCII.",
                )
                return None
        if id in RESERVED_IDS:
            where = self.places.get("id", self.places.get("name", self.node))
            self.problems.error(
                "reserved-id", where, f"The id `{id}` is reserved: write another `id:`."
            )
            return None
        return id

    def _check_family(self) -> None:
        """Hold the family name to be a part of the name."""
        family, name = self.single.get("family"), self.single.get("name")
        if family is None or name is None:
            return
        if not _is_part(family, name):
            self.problems.error(
                "bad-family",
                self.places["family"],
                f"{quoted(family)} is no part of the name {quoted(name)}: write the words of the "
                "name that are the family's.",
            )

    def _unlisted(self) -> tuple[bool, frozenset[str]]:
        """Return whether the entry is unlisted, and which of its fields are."""
        node = self.unlisted
        if node is None or isinstance(node, Scalar) and node.value in ("no", "false"):
            return False, frozenset()
        if isinstance(node, Scalar) and node.value in ("yes", "true"):
            if "id" not in self.places:
                self.problems.error(
                    "unlisted-without-id",
                    node,
                    "An unlisted entry is found by its id alone, and one made of its name can be "
                    "guessed: write `id:` and a random one.",
                )
            elif len(self.single.get("id", "")) < UNLISTED_ID_CHARACTERS:
                self.problems.warning(
                    "guessable-id",
                    self.places["id"],
                    "Whoever guesses this id sees the unlisted entry: write "
                    f"{UNLISTED_ID_CHARACTERS} random letters and digits or more.",
                )
            return True, frozenset()
        if isinstance(node, Scalar | MappingNode):
            self.problems.error(
                "bad-unlisted",
                node,
                "`unlisted` is `yes`, `no`, or a list of fields such as `[phone.mobile, room]`.",
            )
            return False, frozenset()
        found = lines(node, "`unlisted`", self.problems)
        for text, at in found:
            self._check_hidden(text, at, "bad-unlisted", "be unlisted")
        return False, frozenset(text for text, _ in found)

    @cached_property
    def _bases(self) -> set[str]:
        """The fields that were written, without their subtypes."""
        return {*map(_base, self.places)}

    def _check_hidden(self, name: str, at: Scalar, code: str, what: str) -> None:
        """Hold what is to be hidden to be a field of the entry that can be."""
        if name in SINGLE - {"family"}:
            self.problems.error(code, at, f"`{name}` cannot {what}: remove it.")
        elif name not in self.places and name not in self._bases:
            near = nearest(name, self.places, self.problems)
            advice = f"write `{near}`?" if near else "remove it, or write the field."
            self.problems.error(
                code, at, f"The entry has no field {quoted(name)} that could {what}: {advice}"
            )

    def _view(
        self, unlisted: bool, hidden: frozenset[str]
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return the view that the entry is of, and those that its fields are of."""
        node = self.view
        if node is None or isinstance(node, Refused):
            return "", ()
        if isinstance(node, Scalar):
            view = self._view_named(node, "`view`")
            if view and unlisted:
                self.problems.error(
                    "unlisted-of-view",
                    node,
                    "The entry is unlisted, and of a view too: remove `unlisted` or `view`.",
                )
            return view, ()
        if not isinstance(node, MappingNode):
            self.problems.error(
                "bad-view",
                node,
                "`view` is the name of one view, or a mapping from fields to such names, as in "
                "`{phone.mobile: staff}`.",
            )
            return "", ()
        if not node.items:
            self.problems.error("empty-value", node, "`view` is empty: remove the line.")
        found = {}
        bases = {*map(_base, hidden)}
        for name, (key, value) in node.items.items():
            self._check_hidden(name, key, "bad-view", "be of a view")
            if name in hidden or name in bases or _base(name) in hidden:
                self.problems.error(
                    "unlisted-of-view",
                    key,
                    f"{quoted(name)} is unlisted, and of a view too: remove it in one of the two.",
                )
            if view := self._view_named(value, f"The view of {quoted(name)}"):
                found[name] = view
        return "", tuple(found.items())

    def _view_named(self, node: Node, what: str) -> str:
        """Return the name of a view, and note where it stands; empty where there is none."""
        name = line(node, what, self.problems)
        if name == RESERVED:
            self.problems.error(
                "bad-view", node, "What has no view is public, for everybody: remove the line."
            )
        elif name is not None:
            mark: Any = node.start_mark
            self.viewed.append((name, mark.line + 1, mark.column + 1))
            return name
        return ""


def _is_part(family: str, name: str) -> bool:
    """Whether the words of a family name stand in a name."""
    part, whole = words(family), words(name)
    starts = range(len(whole) - len(part) + 1)
    return bool(part) and any(whole[at : at + len(part)] == part for at in starts)


def _base(name: str) -> str:
    return name.partition(".")[0]


def _field(name: str) -> Field | None:
    return field_called(name) if len(name) <= FIELD_NAME_OCTETS else None


def entry_octets(entry: Entry) -> int:
    """Return how many octets the entry takes in a reply, with the blank line behind it."""
    total = len(f"id: {entry.id}\r\nkind: {entry.kind}\r\n\r\n")
    for name, values in entry.fields:
        total += sum(len(name) + 4 + len(value.encode(errors="replace")) for value in values)
    return total
