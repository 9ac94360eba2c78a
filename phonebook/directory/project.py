"""What others may see of a directory: everything behind these functions sees no more.

Implements the sections "Unlisted" and "Views" of spec/directory.md. Each view's snapshot is built
from its own projection, so that nothing it answers can tell of what was left out.
"""

from dataclasses import replace

from phonebook.directory.entry import Directory, Entry, Header
from phonebook.directory.fields import LINKS


def project(
    directory: Directory, view: str = "", elsewhere: frozenset[str] = frozenset()
) -> Directory:
    """Return what a search of this view may see: of `exact`, nothing that is unlisted.

    Of a part of a directory, the ids that are hidden from the view `elsewhere` in it count too.
    """
    seen = exact(directory, view, elsewhere)
    return replace(
        seen, entries=tuple(_listed(entry) for entry in seen.entries if not entry.unlisted)
    )


def exact(
    directory: Directory, view: str = "", elsewhere: frozenset[str] = frozenset()
) -> Directory:
    """Return what the answer to an exact id may see in this view, "" for that of everybody.

    There is no entry and no field of another view, and no link to such or to an unlisted entry.
    """
    sees = directory.header.sees(view)
    seen = [entry for entry in directory.entries if not entry.view or entry.view in sees]
    hidden = elsewhere.union(
        entry.id
        for entry in directory.entries
        if entry.unlisted or entry.view and entry.view not in sees
    )
    return replace(
        directory,
        header=known(directory.header),
        entries=tuple(_linked(_opened(entry, sees), hidden) for entry in seen),
    )


def known(header: Header) -> Header:
    """Return what every view may know of a header: all but which views there are."""
    return replace(header, views=())


def _opened(entry: Entry, sees: frozenset[str]) -> Entry:
    """Return the entry without its fields of views that are not seen."""
    if not entry.view and not entry.field_views:
        return entry
    fields = tuple(
        (name, values)
        for name, values in entry.fields
        if not (view := entry.view_of(name)) or view in sees
    )
    return replace(entry, fields=fields, view="", field_views=())


def _listed(entry: Entry) -> Entry:
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
