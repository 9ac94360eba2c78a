"""What others may see of a directory: everything behind these functions sees no more.

Implements the section "Unlisted" of spec/directory.md. Views will join here: each view's snapshot
is built from its own projection, so that nothing it answers can tell of what was left out.
"""

from dataclasses import replace

from phonebook.directory.entry import Directory, Entry
from phonebook.directory.fields import LINKS


def project(directory: Directory) -> Directory:
    """Return what a search may see: no unlisted entry, no unlisted field, no link to either."""
    listed = frozenset(entry.id for entry in directory.entries if not entry.unlisted)
    entries = tuple(
        replace(_linked(entry, listed, hide=True), unlisted_fields=frozenset())
        for entry in directory.entries
        if not entry.unlisted
    )
    return replace(directory, entries=entries)


def exact(directory: Directory) -> Directory:
    """Return what the answer to an exact id may see: all, but no link to an unlisted entry."""
    listed = frozenset(entry.id for entry in directory.entries if not entry.unlisted)
    entries = tuple(_linked(entry, listed, hide=False) for entry in directory.entries)
    return replace(directory, entries=entries)


def _linked(entry: Entry, listed: frozenset[str], hide: bool) -> Entry:
    """Return the entry with its links to listed entries alone, and without hidden fields."""
    fields = []
    for name, values in entry.fields:
        if hide and entry.hides(name):
            continue
        if name.partition(".")[0] in LINKS:
            values = tuple(value for value in values if value in listed)
        if values:
            fields.append((name, values))
    return replace(entry, fields=tuple(fields))
