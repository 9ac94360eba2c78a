"""What others may see of a directory: everything behind these functions sees no more.

Implements the section "Unlisted" of spec/directory.md. Views will join here: each view's snapshot
is built from its own projection, so that nothing it answers can tell of what was left out.
"""

from dataclasses import replace

from phonebook.directory.entry import Directory, Entry
from phonebook.directory.fields import LINKS


def project(directory: Directory, elsewhere: frozenset[str] = frozenset()) -> Directory:
    """Return what a search may see: no unlisted entry, no unlisted field, no link to either.

    Of a part of a directory, the ids that are unlisted `elsewhere` in it count too.
    """
    hidden = _unlisted(directory) | elsewhere
    return replace(
        directory,
        entries=tuple(
            _linked(_shown(entry), hidden) for entry in directory.entries if not entry.unlisted
        ),
    )


def exact(directory: Directory, elsewhere: frozenset[str] = frozenset()) -> Directory:
    """Return what the answer to an exact id may see: all, but no link to an unlisted entry."""
    hidden = _unlisted(directory) | elsewhere
    return replace(directory, entries=tuple(_linked(entry, hidden) for entry in directory.entries))


def _unlisted(directory: Directory) -> frozenset[str]:
    return frozenset(entry.id for entry in directory.entries if entry.unlisted)


def _shown(entry: Entry) -> Entry:
    """Return the entry without its unlisted fields."""
    if not entry.unlisted_fields:
        return entry
    fields = tuple((name, values) for name, values in entry.fields if not entry.hides(name))
    return replace(entry, fields=fields, unlisted_fields=frozenset())


def _linked(entry: Entry, hidden: frozenset[str]) -> Entry:
    """Return the entry without its links to these."""
    if not hidden or all(hidden.isdisjoint(values) for _, values in entry.fields):
        return entry  # nearly all entries are as they were
    fields = []
    for name, values in entry.fields:
        if name.partition(".")[0] in LINKS:
            values = tuple(value for value in values if value not in hidden)
        if values:
            fields.append((name, values))
    return replace(entry, fields=tuple(fields))
