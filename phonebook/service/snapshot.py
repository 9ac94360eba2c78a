"""Snapshots: a directory as one viewer may see it, indexed and rendered.

Implements spec/phonebook.md, sections 8, 10 and 11 and [R-8] to [R-10]. A snapshot never changes; a
reload makes a new one. All that is long in it lies in flat tables, in memory or mapped from a file:
`compile` makes them, `Snapshot` answers from them.
"""

import mmap
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import Any, NamedTuple
from zlib import crc32

from phonebook.beside import Begin, later
from phonebook.directory.entry import Directory, Entry, Header, Referral, View
from phonebook.directory.project import exact, known, project
from phonebook.directory.text import unicode_tables
from phonebook.search.build import Places, build, hashed, in_order
from phonebook.search.match import Index
from phonebook.search.near import Nearest
from phonebook.search.piece import Piece, piece
from phonebook.search.spell import Near, near_tables
from phonebook.search.tables import STEPS, Tables, beyond
from phonebook.search.ways import MAX_MATCHES, TooBroadError
from phonebook.wire.codes import (
    CONNECTION_TIME,
    ENTRIES_PER_MINUTE,
    FOLDING,
    IDLE_TIME,
    MAX_ENTRIES,
    MAX_LINE,
    OPTIONS,
    PROTOCOL,
    REQUEST_TIME,
    TEXT,
    VERBS,
    Code,
)

_PAGES = 4 << 20  # octets of a mapped file that are given back at a time
_DONTNEED = getattr(mmap, "MADV_DONTNEED", None)

CAPABILITIES = ("exclude", "links", "near")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server offers beside the directory, and its times in seconds."""

    transports: tuple[str, ...] = ("tcp", "udp")
    idle_time: float = IDLE_TIME
    request_time: float = REQUEST_TIME
    connection_time: float = CONNECTION_TIME
    entries_per_minute: int = ENTRIES_PER_MINUTE
    """For a network; 0: as many as are asked for."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Rendered entries, end to end, found by number or by id."""

    octets: memoryview
    offsets: memoryview
    ids: memoryview
    """Open addressing, as `hashed` has it."""

    def get(self, number: int) -> bytes:
        """Return the lines of an entry."""
        return self.octets[self.offsets[number] : self.offsets[number + 1]].tobytes()

    def text(self, number: int) -> str:
        """Return the lines of an entry as text."""
        return self.get(number).decode()

    def find(self, id: bytes) -> tuple[int, bytes]:
        """Return number and lines of the entry with an id, -1 and nothing where there is none."""
        octets, offsets, ids = self.octets, self.offsets, self.ids
        size, left = 2 * len(offsets) - 1, STEPS
        first_line = b"id: %b\r" % id
        place = crc32(id) % size
        while number := ids[place]:
            lines = octets[offsets[number - 1] : offsets[number]].tobytes()
            if lines.startswith(first_line):
                return number - 1, lines
            place = place + 1 if place + 1 < size else 0
            left -= 1
            if not left:
                number = beyond(ids, size, id, self._id)
                return (number - 1, self.get(number - 1)) if number else (-1, b"")
        return -1, b""

    def _id(self, number: int) -> bytes:
        """Return the id of an entry by its number + 1."""
        return self.get(number - 1).partition(b"\r")[0].removeprefix(b"id: ")


@dataclass(frozen=True, slots=True)
class Compiled:
    """All that a snapshot is made of: what a file of the cache holds for each view."""

    header: Header
    """As every view may know it."""
    settings: Mapping[str, str]
    views: tuple[View, ...]
    """For whoever chooses the snapshot of a viewer; nothing that is answered tells of them."""
    tables: Tables
    listed: Shelf
    """What a search may give, in the order of equal rank."""
    apart: Shelf
    """What `ENTRY` alone may give: entries that are unlisted, or whose fields are in part."""
    at: str
    count: int
    """Entries of this view, unlisted ones too."""


class Portion(NamedTuple):
    """What some entries, those of one file as a rule, bring to a snapshot. It is plain."""

    piece: tuple[Any, ...]
    """Of the index."""
    ids: list[str]
    octets: bytes
    """The entries that a search may give, rendered, end to end."""
    lengths: bytes
    apart: dict[str, bytes]
    """The others, by id."""
    entries: int
    """How many there are, unlisted ones too."""


def portion(
    directory: Directory, view: str = "", elsewhere: frozenset[str] = frozenset()
) -> Portion:
    """Project, index and render a directory, or a part of one; see `project`."""
    seen, every = project(directory, view, elsewhere), exact(directory, view, elsewhere)
    rendered = [render_entry(entry) for entry in seen.entries]
    ids = [entry.id for entry in seen.entries]
    listed = dict(zip(ids, rendered, strict=True))
    apart = {}
    for entry in every.entries:
        if entry.unlisted or entry.unlisted_fields:
            octets = render_entry(entry)
            if listed.get(entry.id) != octets:
                apart[entry.id] = octets
    lengths = array("I", map(len, rendered)).tobytes()
    made = tuple(piece(seen.header, seen.entries))
    return Portion(made, ids, b"".join(rendered), lengths, apart, len(every.entries))


def compile(directory: Directory, view: str = "", begin: Begin = later) -> Compiled:
    """Make the snapshot of one view; `begin` begins what can be done beside."""
    portions = [portion(directory, view)]
    return combine(directory.header, directory.settings, portions, begin)


def compile_views(directory: Directory) -> Mapping[str, Compiled]:
    """Make the snapshots of all views of a directory, by name."""
    named = {each.view for each in directory.entries}
    named.update(view for each in directory.entries for _, view in each.field_views)
    alike = alike_views(directory.header, named)
    made = {view: compile(directory, view) for view in dict.fromkeys(alike.values())}
    return {view: made[first] for view, first in alike.items()}


def alike_views(header: Header, named: Iterable[str]) -> dict[str, str]:
    """Return for each view, "" among them, the first that shows the same.

    Views that no entry has `named` show nothing.
    """
    first: dict[frozenset[str], str] = {}
    return {
        view: first.setdefault(header.sees(view).intersection(named), view)
        for view in ("", *(each.name for each in header.views))
    }


def combine(
    header: Header,
    settings: Mapping[str, str],
    portions: Sequence[Portion],
    begin: Begin = later,
    read_near: Callable[[dict[str, int]], Near] = near_tables,
) -> Compiled:
    """Make a snapshot of portions of one view; `begin` begins what can be done beside."""
    views, header = header.views, known(header)
    pieces = [Piece(*each.piece) for each in portions]
    places = in_order(pieces)
    shelves = begin(lambda: _shelves(header, portions, places))
    tables = build(pieces, places, begin, read_near)
    at, listed, apart = shelves()
    count = sum(each.entries for each in portions)
    return Compiled(header, settings, views, tables, _shelf(*listed), _shelf(*apart), at, count)


_Shelf = tuple[bytes, bytes, bytes]
"""The octets of a shelf's three parts, as they go from one process to another."""


def _shelves(
    header: Header, portions: Sequence[Portion], places: Places
) -> tuple[str, _Shelf, _Shelf]:
    """Return the directory's digest, and what stands on its shelves."""
    ordered = [("", b"")] * sum(map(len, places))
    apart: dict[str, bytes] = {}
    for each, place in zip(portions, places, strict=True):
        start = 0
        for at, id, length in zip(place, each.ids, memoryview(each.lengths).cast("I"), strict=True):
            ordered[at] = id, each.octets[start : start + length]
            start += length
        apart |= each.apart
    shown = _stored(dict(ordered))
    digest = sha256(repr(header).encode())
    digest.update(shown[0])
    return digest.hexdigest()[:8], shown, _stored(apart)


def _stored(rendered: Mapping[str, bytes]) -> _Shelf:
    """Return entries, by id, as they stand on a shelf."""
    offsets = array("I", accumulate(map(len, rendered.values()), initial=0))
    index = hashed([id.encode() for id in rendered])
    return b"".join(rendered.values()), offsets.tobytes(), index.tobytes()


def _shelf(octets: bytes, offsets: bytes, ids: bytes) -> Shelf:
    return Shelf(memoryview(octets), memoryview(offsets).cast("I"), memoryview(ids).cast("I"))


class Snapshot:
    """What one viewer may see, ready to be asked."""

    def __init__(self, compiled: Compiled, terms: Terms) -> None:
        """Answer from what was compiled."""
        unicode_tables()  # now, or the first to need them learns that no entry did
        self.compiled, self.terms = compiled, terms
        self.views = compiled.views
        self.listed = compiled.listed
        self.apart = compiled.apart
        self.some_apart = len(compiled.apart.octets) > 0
        self.at = compiled.at
        self.count = compiled.count
        self.found_at = f"{self.at} {TEXT[Code.FOUND]}\r\n".encode()
        self.found_one = b" matched=1 left=0 at=" + self.found_at
        # nothing leads back to the snapshot: it ends, and what it maps, with its last use
        self.index = Index(compiled.tables, compiled.header, self.listed.text)
        self.near = Nearest(self.index, compiled.tables)
        self.referrals = [_render_referral(each) for each in compiled.header.referrals]
        self.help = _render_help(compiled.header, terms)

    def let_go(self) -> Iterator[None]:
        """Give back memory that answering took, a little at each step: all of it takes long.

        It can still answer, and takes memory again then.
        """
        yield from self.index.words.let_go()
        mapped = self.listed.octets.obj
        if isinstance(mapped, mmap.mmap) and _DONTNEED is not None:
            for start in range(0, len(mapped), _PAGES):
                mapped.madvise(_DONTNEED, start, min(_PAGES, len(mapped) - start))
                yield

    def linked(self, id: bytes, links: frozenset[str]) -> list[bytes]:
        """Return the entries that these links of an entry lead to, or whose lead to it (F-7).

        All of it is what is listed (F-9). Raises `TooBroadError` where it is too much (F-11).
        """
        own, lines = self.listed.find(id)
        if own < 0:
            return []
        found = {self.listed.find(each)[0] for each in targets(lines, links)}
        found |= self.index.linking(links, id.decode())
        found -= {own, -1}
        if len(found) >= MAX_MATCHES:
            raise TooBroadError
        return [self.listed.get(number) for number in sorted(found)]


def render_entry(entry: Entry) -> bytes:
    """Return the lines of an entry."""
    lines = [f"{field}: {value}\r\n" for field, values in entry.fields for value in values]
    return f"id: {entry.id}\r\nkind: {entry.kind}\r\n{''.join(lines)}".encode()


def only(octets: bytes, fields: Set[bytes]) -> bytes:
    """Return an entry's id line and the lines of the fields that are asked for (Q-14)."""
    if len(fields) == 1:  # it is searched for in two thirds of the time
        return _only_one(octets, *fields)
    first, *lines = octets.splitlines(keepends=True)
    asked = [
        line
        for line in lines
        if line.partition(b":")[0] in fields or line.partition(b".")[0] in fields
    ]
    return b"".join([first, *asked])


def _only_one(octets: bytes, field: bytes) -> bytes:
    mark, end = b"\r\n" + field, octets.index(b"\r\n")
    found = [octets[: end + 2]]
    while (place := octets.find(mark, end)) >= 0:
        end = octets.index(b"\r\n", place + 2)
        if octets[place + len(mark)] in b":.":
            found.append(octets[place + 2 : end + 2])
    return b"".join(found)


def targets(octets: bytes, links: frozenset[str]) -> set[bytes]:
    """Return the ids that these links of an entry lead to."""
    fields = {link.encode() for link in links}
    return {line.partition(b": ")[2] for line in only(octets, fields).splitlines()[1:]}


def _lines(lines: list[tuple[str, str]]) -> bytes:
    return "".join(f"{field}: {value}\r\n" for field, value in lines).encode()


def _render_referral(referral: Referral) -> bytes:
    lines = [
        ("id", referral.id),
        ("kind", "service"),
        ("name", referral.name),
        ("server", referral.server),
    ]
    return _lines(lines + ([("tls", "yes")] if referral.tls else []))


def _render_help(header: Header, terms: Terms) -> bytes:
    lines = [("id", "phonebook"), ("kind", "service"), ("name", header.name or "phonebook")]
    if header.contact:
        lines.append(("contact", header.contact))
    lines.append(("protocol", PROTOCOL))
    lines += [("verb", verb) for verb in VERBS]
    lines += [("option", option) for option in OPTIONS]
    lines += [("capability", capability) for capability in CAPABILITIES]
    lines += [("transport", transport) for transport in terms.transports]
    lines += [
        ("folding", FOLDING),
        ("limit.connection", _seconds(terms.connection_time)),
        ("limit.entries", str(MAX_ENTRIES)),
        ("limit.idle", _seconds(terms.idle_time)),
        ("limit.line", str(MAX_LINE)),
        ("limit.matches", str(MAX_MATCHES)),
        ("limit.request", _seconds(terms.request_time)),
    ]
    return _lines(lines)


def _seconds(time: float) -> str:
    return str(int(time)) if time == int(time) else str(time)
