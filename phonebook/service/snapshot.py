"""Snapshots: a directory as one viewer may see it, indexed and rendered.

Implements spec/phonebook.md, sections 8, 10 and 11 and [R-8] to [R-10]. A snapshot never changes; a
reload makes a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from phonebook.directory.entry import Directory, Entry, Referral
from phonebook.directory.index import MAX_MATCHES, Index
from phonebook.directory.project import exact, project
from phonebook.wire.codes import (
    CONNECTION_TIME,
    FOLDING,
    IDLE_TIME,
    MAX_ENTRIES,
    MAX_LINE,
    PROTOCOL,
    REQUEST_TIME,
    VERBS,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server offers beside the directory, and its times in seconds."""

    transports: tuple[str, ...] = ("tcp", "udp")
    idle_time: float = IDLE_TIME
    request_time: float = REQUEST_TIME
    connection_time: float = CONNECTION_TIME


class Snapshot:
    """What one viewer may see, ready to be asked."""

    def __init__(self, directory: Directory, terms: Terms) -> None:
        """Project, index and render a directory."""
        listed = project(directory)
        self.terms = terms
        self.index = Index(listed)
        self.exact: Mapping[str, Entry] = {each.id: each for each in exact(directory).entries}
        self.rendered = [render_entry(entry) for entry in self.index.entries]
        self.rendered_exact = {each.id: render_entry(each) for each in self.exact.values()}
        self.referrals = [_render_referral(each) for each in directory.header.referrals]
        seen = sha256(repr(directory.header).encode())
        for octets in self.rendered:
            seen.update(octets)
        self.at = seen.hexdigest()[:8]
        self.help = _render_help(directory, terms)


def render_entry(entry: Entry, fields: frozenset[str] | None = None) -> bytes:
    """Return the lines of an entry, or its id and those of the fields that are asked for."""
    lines = [("id", entry.id)]
    if fields is None or "kind" in fields:
        lines.append(("kind", entry.kind))
    for field, values in entry.fields:
        if fields is None or not fields.isdisjoint((field, field.partition(".")[0])):
            lines += [(field, value) for value in values]
    return _lines(lines)


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


def _render_help(directory: Directory, terms: Terms) -> bytes:
    header = directory.header
    lines = [("id", "phonebook"), ("kind", "service"), ("name", header.name or "phonebook")]
    if header.contact:
        lines.append(("contact", header.contact))
    lines.append(("protocol", PROTOCOL))
    lines += [("verb", verb) for verb in VERBS]
    lines += [("option", option) for option in VERBS["LOOKUP"]]
    lines += [("transport", transport) for transport in terms.transports]
    lines += [
        ("folding", FOLDING),
        ("limit.connection", f"{terms.connection_time:g}"),
        ("limit.entries", str(MAX_ENTRIES)),
        ("limit.idle", f"{terms.idle_time:g}"),
        ("limit.line", str(MAX_LINE)),
        ("limit.matches", str(MAX_MATCHES)),
        ("limit.request", f"{terms.request_time:g}"),
    ]
    return _lines(lines)
