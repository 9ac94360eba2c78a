"""The model: a directory, its header and its entries, as every layer above knows them.

Implements the sections "Entries" and "Views" of spec/directory.md. Everything here is immutable.
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
    view: str = ""
    """The view that it is of; empty where it is everybody's."""
    field_views: tuple[tuple[str, str], ...] = ()
    """Fields that are of a view, each with the view's name."""

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

    def view_of(self, field_name: str) -> str:
        """Return the view that this field is of, by its own name or else by its base name."""
        views = dict(self.field_views)
        return views.get(field_name) or views.get(field_name.partition(".")[0], "")


@dataclass(frozen=True, slots=True)
class Referral:
    """Another server, which can be asked for what is not here."""

    id: str
    name: str
    server: str
    tls: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What some viewers may see beside what everybody may: who they are, and what is in it."""

    name: str
    networks: tuple[str, ...] = ()
    """As `ipaddress` writes them."""
    keys: tuple[str, ...] = ()
    """SHA-256 of the public keys of client certificates, in lower case."""
    names: tuple[str, ...] = ()
    """Of client certificates: `dns:` with a host in lower case, `email:` or `uri:`."""
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

    def sees(self, view: str) -> frozenset[str]:
        """Return the views whose entries and fields a view shows: its own, and what it includes."""
        includes = {each.name: each.includes for each in self.views}
        found, ahead = set[str](), [view]
        while ahead:
            name = ahead.pop()
            if name in includes and name not in found:
                found.add(name)
                ahead += includes[name]
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Directory:
    """Entries under one header, as one load produced them."""

    header: Header = Header()
    entries: tuple[Entry, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
