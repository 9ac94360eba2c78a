"""The model: a directory, its header and its entries, as every layer above knows them.

Implements the section "Entries" of spec/directory.md. Everything here is immutable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """Something with a name that can be looked up."""

    id: str
    kind: str
    # every field but id and kind, in the normative order: a name, and its lines
    fields: tuple[tuple[str, tuple[str, ...]], ...]
    unlisted: bool = False
    unlisted_fields: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name as it is written."""
        return self.fields[0][1][0]

    def get(self, field_name: str) -> tuple[str, ...]:
        """Return the lines of exactly this field, none where the entry has no such field."""
        for name, lines in self.fields:
            if name == field_name:
                return lines
        return ()

    def hides(self, field_name: str) -> bool:
        """Whether this field is unlisted, itself or through its base name."""
        return not self.unlisted_fields.isdisjoint((field_name, field_name.partition(".")[0]))


@dataclass(frozen=True, slots=True)
class Referral:
    """Another server, which can be asked for what is not here."""

    id: str
    name: str
    server: str
    tls: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What some viewers may see beyond everybody, and by what they are known."""

    name: str
    networks: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """What a directory says of itself, and how its numbers are written; empty where unsaid."""

    name: str = ""
    contact: str = ""
    country: str = ""
    area: str = ""
    trunk: str = ""
    international: str = ""
    outside: str = ""
    main: str = ""
    extensions: tuple[tuple[str, str], ...] = ()
    referrals: tuple[Referral, ...] = ()
    views: tuple[View, ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    """Entries under one header, as one load produced them."""

    header: Header = Header()
    entries: tuple[Entry, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
