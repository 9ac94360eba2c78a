"""The vocabulary: kinds, known fields and their order, links, names that are nearly another.

Implements the sections "Entries" and "Fields" of spec/directory.md.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from phonebook.directory.problems import Problems, quoted

KINDS = ("person", "place", "group", "service")

# The order of an entry's fields in a reply; other fields follow in octet order.
KNOWN = (
    "id", "kind", "name", "family", "alias", "title", "org", "phone", "email", "room", "location",
    "address", "member-of", "part-of", "reports-to", "contact", "hours", "url", "note",
)  # fmt: skip

# The fields whose values are ids, and the kinds that they may lead to.
LINKS = {
    "room": ("place",),
    "member-of": ("group",),
    "part-of": ("place", "group"),
    "reports-to": ("person",),
    "contact": ("person", "group", "service"),
}

# Fields of one value, which have no subtypes.
SINGLE = frozenset({"id", "kind", "name", "family"})

# Names that mean something else in a query, or will: what to write instead.
RESERVED = {
    "tel": "write `phone`",
    "sip": "write `url`, or another name",
    "mailto": "write `email`",
}

# Keys of an entry that say who sees it. They are no fields.
HIDING = frozenset({"unlisted", "view"})

RESERVED_IDS = frozenset({"phonebook"})

ID_OCTETS = 64
FIELD_NAME_OCTETS = 32

_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)?")
_RANKS = {name: rank for rank, name in enumerate(KNOWN)}


def is_id(text: str) -> bool:
    """Whether an entry can have this id."""
    return len(text) <= ID_OCTETS and _ID.fullmatch(text) is not None


def is_field_name(text: str) -> bool:
    """Whether a field can be called so; a subtype follows a dot."""
    return len(text) <= FIELD_NAME_OCTETS and _FIELD_NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Field:
    """What a field's name says of it."""

    name: str
    base: str
    shown: str  # as a sentence quotes it
    order: tuple[int, str]  # the fields of an entry are sorted by it
    links: tuple[str, ...]  # the kinds of entry that its values lead to; none if they are no ids
    refused: str  # why no field can be called so
    near: str | None  # the known field or key that was probably meant
    plain: bool  # if its values are lines, and nothing is to be said of its name
    watched: bool  # if something may be said of its values


@lru_cache(maxsize=1024)  # a directory has few names in many places
def field_called(name: str) -> Field | None:
    """Return the field of this name; None where no field can have it."""
    if not is_field_name(name):
        return None
    base, dot, subtype = name.partition(".")
    refused = RESERVED.get(base, "")
    if dot and (base in SINGLE or base in HIDING):
        refused = "it has no subtypes"
    known = base in _RANKS
    near = None if known else almost(base)
    return Field(
        name,
        base,
        quoted(name),
        (_RANKS[base], subtype) if known else (len(KNOWN), name),
        LINKS.get(base, ()),
        refused,
        near,
        not refused and not near and name not in SINGLE and name not in HIDING,
        base in LINKS or base in ("phone", "email"),
    )


def almost(name: str) -> str | None:
    """Return the known field or key from which this unknown name is one slip away.

    Of a short name, only a transposition counts: `ip` and `orb` are fields of their own.
    """
    for known in (*KNOWN, *sorted(HIDING)):
        if _transposed(name, known) or len(known) > 3 and _one_edit(name, known):
            return known
    return None


def nearest(name: str, choices: Collection[str], problems: Problems) -> str | None:
    """Return the choice that was probably meant; None where nothing is near, or enough was told."""
    from difflib import get_close_matches

    if not problems.may_compare(len(choices)):
        return None
    near = [each for each in choices if abs(len(each) - len(name)) <= 3]
    return next(iter(get_close_matches(name.lower(), near, n=1, cutoff=0.7)), None)


def meant(name: str, choices: Collection[str], problems: Problems) -> str:
    """Return the end of a sentence that names what was probably meant, or all there is."""
    near = nearest(name, choices, problems)
    if near:
        return f"write `{near}`?"
    return "write one of " + ", ".join(f"`{each}`" for each in choices) + "."


def _transposed(one: str, other: str) -> bool:
    if len(one) != len(other):
        return False
    differ = [at for at in range(len(one)) if one[at] != other[at]]
    if len(differ) != 2:
        return False
    left, right = differ
    return right == left + 1 and one[left] == other[right] and one[right] == other[left]


def _one_edit(one: str, other: str) -> bool:
    """Whether one letter more, less or another makes one word of the other."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1 or one == other:
        return False
    same = next((at for at in range(len(one)) if one[at] != other[at]), len(one))
    return one[same + (len(one) == len(other)) :] == other[same + 1 :]
