"""One entry: a node in, an entry out, and everything that is wrong with it alone.

Implements the sections "Entries", "Fields" and "Unlisted" of spec/directory.md.
"""

from phonebook.directory.document import MappingNode, Node, Refused, Scalar
from phonebook.directory.entry import Entry
from phonebook.directory.fields import (
    FIELD_NAME_OCTETS,
    ID_OCTETS,
    KINDS,
    KNOWN,
    RESERVED,
    RESERVED_IDS,
    SINGLE,
    almost,
    is_field_name,
    is_id,
    meant,
    nearest,
    order,
)
from phonebook.directory.problems import Position, Problems, quoted
from phonebook.directory.text import words
from phonebook.directory.values import NAME_OCTETS, line, lines

ENTRY_OCTETS = 8192
# An unlisted id is a secret of sorts: 13 characters of 36 kinds are some 67 bits.
UNLISTED_ID_CHARACTERS = 13

# An entry and where its id and each of its lines stand, for what is checked across entries.
Lines = list[tuple[str, Scalar]]
Read = tuple[Entry, Position, dict[str, Lines]]


def read_entry(node: Node, problems: Problems) -> Read | None:
    """Read an entry; None, once reported, where it can have no id."""
    if not isinstance(node, MappingNode):
        if not isinstance(node, Refused):
            problems.error(
                "not-an-entry",
                node.where,
                "An entry is a mapping: write `- name: Ada Byron`, and its fields under it.",
            )
        return None
    reader = _Reader(node, problems)
    for key, value in node.items:
        reader.read(key, value)
    return reader.entry()


class _Reader:
    def __init__(self, node: MappingNode, problems: Problems) -> None:
        self.node = node
        self.problems = problems
        self.fields: dict[str, Lines] = {}
        self.places: dict[str, Position] = {}  # of every field that was written
        self.unlisted: Node | None = None

    def read(self, key: Scalar, value: Node) -> None:
        """Read one key of the entry."""
        name = key.text
        if name == "unlisted":
            self.unlisted = value
        elif not is_field_name(name):
            self._bad_name(key)
        elif name in SINGLE:
            self.places[name] = value.where
            octets = NAME_OCTETS if name in ("name", "family") else ID_OCTETS
            text = line(value, quoted(name), self.problems, octets)
            if text is not None:
                self.fields[name] = [(text, _scalar(value))]
        elif isinstance(value, MappingNode) and "." not in name:
            for subtype, lines_node in value.items:
                self._field(f"{name}.{subtype.text}", subtype, lines_node)
            if not value.items:
                self.problems.error(
                    "empty-value", value.where, f"{quoted(name)} is empty: remove the line."
                )
        else:
            self._field(name, key, value)

    def entry(self) -> Read | None:
        """Return the entry."""
        if "name" not in self.places:
            self._error("missing-name", self.node.where, "The entry has no name: write `name:`.")
        kind = self._kind()
        self._check_family()
        self._check_forms()
        id = self._id()
        unlisted, hidden = self._unlisted()
        if id is None or "name" not in self.fields:
            return None
        fields = tuple(
            (name, tuple(text for text, _ in self.fields[name]))
            for name in sorted(self.fields, key=order)
            if name not in ("id", "kind") and self.fields[name]
        )
        entry = Entry(id, kind, fields, unlisted, hidden, self.node.where)
        octets = entry_octets(entry)
        if octets > ENTRY_OCTETS:
            self._error(
                "entry-too-long",
                self.node.where,
                f"The entry takes {octets} octets in a reply, and {ENTRY_OCTETS} at most are "
                "allowed: write less.",
            )
        at = self.places.get("id", self.places["name"])
        return entry, at, self.fields

    def _error(self, code: str, where: Position, sentence: str) -> None:
        self.problems.error(code, where, sentence)

    def _field(self, name: str, key: Scalar, value: Node) -> None:
        """Read a field that is a list of lines."""
        base, dot, _ = name.partition(".")
        if not is_field_name(name):
            self._bad_name(Scalar(name, key.where))
            return
        if base in RESERVED or (dot and base in (*SINGLE, "unlisted")):
            advice = RESERVED.get(base, "it has no subtypes")
            self._error(
                "reserved-field", key.where, f"No field can be called {quoted(name)}: {advice}."
            )
            return
        if name in self.places:
            where = self.places[name].line
            self._error(
                "duplicate-field",
                key.where,
                f"The field {quoted(name)} already stands in line {where}: write it once, "
                "with a list of values.",
            )
            return
        self.places[name] = value.where
        near = None if base in KNOWN else almost(base)
        if near == "unlisted":
            self._error(
                "unknown-field", key.where, f"{quoted(name)} would be shown: write `unlisted`?"
            )
        elif near:
            self.problems.warning(
                "unknown-field",
                key.where,
                f"{quoted(name)} is not a known field, and `{near}` is: write `{near}`?",
            )
        self.fields[name] = lines(value, quoted(name), self.problems)

    def _bad_name(self, key: Scalar) -> None:
        near = nearest(key.text, KNOWN)
        advice = f"write `{near}`?" if near else "write a word such as `phone`."
        self._error(
            "bad-field-name",
            key.where,
            f"No field can be called {quoted(key.text)}, only a-z, 0-9 and -, a letter first, "
            f"at most {FIELD_NAME_OCTETS} of them: {advice}",
        )

    def _kind(self) -> str:
        kind = self._text("kind") or KINDS[0]
        if kind not in KINDS:
            where = self.places["kind"]
            self._error("bad-kind", where, f"There is no kind {quoted(kind)}: {meant(kind, KINDS)}")
            return KINDS[0]
        return kind

    def _id(self) -> str | None:
        """Return the id that is written or follows from the name."""
        if "id" in self.places:
            id = self._text("id")
            if id is not None and not is_id(id):
                self._error(
                    "bad-id",
                    self.places["id"],
                    f"No entry can have the id {quoted(id)}: write a-z, 0-9, `.`, `_` and `-`, "
                    f"a letter or digit first, at most {ID_OCTETS} of them.",
                )
                return None
        else:
            name = self._text("name")
            id = None if name is None else "-".join(words(name))
            if id is not None and not is_id(id):
                self._error(
                    "no-id",
                    self.places["name"],
                    f"{quoted(name or '')} makes no id of a-z and 0-9, at most {ID_OCTETS} of "
                    "them: write `id:` and a short name in ASCII.",
                )
                return None
        if id in RESERVED_IDS:
            where = self.places.get("id", self.places.get("name", self.node.where))
            self._error("reserved-id", where, f"The id `{id}` is reserved: write another `id:`.")
            return None
        return id

    def _check_family(self) -> None:
        """Hold the family name to be a part of the name."""
        family, name = self._text("family"), self._text("name")
        if family is None or name is None:
            return
        part, whole = words(family), words(name)
        if not part or not any(
            whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1)
        ):
            self._error(
                "bad-family",
                self.places["family"],
                f"{quoted(family)} is no part of the name {quoted(name)}: write the words of the "
                "name that are the family's.",
            )

    def _check_forms(self) -> None:
        for name, found in self.fields.items():
            base = name.partition(".")[0]
            for text, at in found:
                if base == "phone" and not any("0" <= each <= "9" for each in "".join(words(text))):
                    self.problems.warning(
                        "phone-without-digit",
                        at.where,
                        f"{quoted(text)} has no digit: write a number, or use `note`.",
                    )
                elif base == "email" and "@" not in text:
                    self.problems.warning(
                        "email-without-at",
                        at.where,
                        f"{quoted(text)} has no @: write an address, or use `note`.",
                    )

    def _unlisted(self) -> tuple[bool, frozenset[str]]:
        """Return whether the entry is unlisted, and which of its fields are."""
        node = self.unlisted
        if node is None or isinstance(node, Scalar) and node.text in ("no", "false"):
            return False, frozenset()
        if isinstance(node, Scalar) and node.text in ("yes", "true"):
            if "id" not in self.places:
                self._error(
                    "unlisted-without-id",
                    node.where,
                    "An unlisted entry is found by its id alone, and one made of its name can be "
                    "guessed: write `id:` and a random one.",
                )
            elif len(self._text("id") or "") < UNLISTED_ID_CHARACTERS:
                self.problems.warning(
                    "guessable-id",
                    self.places["id"],
                    "Whoever guesses this id sees the unlisted entry: write "
                    f"{UNLISTED_ID_CHARACTERS} random letters and digits or more.",
                )
            return True, frozenset()
        if isinstance(node, Scalar | MappingNode):
            self._error(
                "bad-unlisted",
                node.where,
                "`unlisted` is `yes`, `no`, or a list of fields such as `[phone.mobile, room]`.",
            )
            return False, frozenset()
        found = lines(node, "`unlisted`", self.problems)
        bases = {name.partition(".")[0] for name in self.places}
        for text, at in found:
            if text in SINGLE - {"family"}:
                self._error("bad-unlisted", at.where, f"`{text}` cannot be unlisted: remove it.")
            elif text not in self.places and text not in bases:
                near = nearest(text, self.places)
                advice = f"write `{near}`?" if near else "remove it, or write the field."
                self._error(
                    "bad-unlisted",
                    at.where,
                    f"The entry has no field {quoted(text)} that could be unlisted: {advice}",
                )
        return False, frozenset(text for text, _ in found)

    def _text(self, name: str) -> str | None:
        found = self.fields.get(name)
        return found[0][0] if found else None


def entry_octets(entry: Entry) -> int:
    """Return how many octets the entry takes in a reply, with the blank line behind it."""
    total = len(f"id: {entry.id}\r\nkind: {entry.kind}\r\n\r\n")
    for name, values in entry.fields:
        total += sum(len(name) + 4 + len(value.encode(errors="replace")) for value in values)
    return total


def _scalar(node: Node) -> Scalar:
    return node if isinstance(node, Scalar) else Scalar("", node.where)
