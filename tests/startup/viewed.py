"""`python -m viewed serve ...`: our server, with views read by the test's own hands.

It stands in for the reading of views from YAML: a directory of one file, every entry with its id.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from phonebook.directory.entry import View
from phonebook.directory.fields import LINKS
from phonebook.directory.load import load
from phonebook.server import reload
from phonebook.server.state import Served
from phonebook.server.viewers import Viewers
from phonebook.service.snapshot import Snapshot, compile


def read_views(document: Any) -> tuple[View, ...]:
    """Return the views of a directory."""
    made = []
    for each in document.pop("views", ()):
        certificates = each.get("certificates", ())
        made.append(
            View(
                each["name"],
                tuple(each.get("networks", ())),
                tuple(item["key"] for item in certificates if "key" in item),
                tuple(item["name"] for item in certificates if "name" in item),
                tuple(each.get("includes", ())),
            )
        )
    return tuple(made)


def seen_by(name: str, views: tuple[View, ...]) -> set[str]:
    """Return the names of all views that a view includes, its own among them."""
    found = {name}
    for each in views:
        if each.name == name:
            for other in each.includes:
                found |= seen_by(other, views)
    return found


def projected(document: Any, allowed: set[str]) -> Any:
    """Return a directory as it would be written for those who see these views."""
    entries = []
    for each in document["entries"]:
        view, entry = each.get("view", ""), {key: each[key] for key in each if key != "view"}
        if isinstance(view, dict):
            hidden = {field for field in view if view[field] not in allowed}
            entry = {key: entry[key] for key in entry if not hidden & {key, key.partition(".")[0]}}
        elif view and view not in allowed:
            continue
        entries.append(entry)
    ids = {each.get("id") for each in entries}
    for entry in entries:
        for key in [*entry]:
            if key.partition(".")[0] in LINKS and entry[key] not in ids:
                del entry[key]
    return document | {"entries": entries}


def read_served(path: Path, terms: reload.TermsOf, *_: object) -> Served:
    """Load a directory, once for each of its views."""
    file = path / "phonebook.yaml" if path.is_dir() else path
    document = yaml.load(file.read_text("utf-8"), Loader=yaml.BaseLoader)
    if isinstance(document, list):
        document = {"entries": document}
    views = read_views(document)
    snapshots = {}
    for name in ("", *(view.name for view in views)):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as made:
            yaml.safe_dump(projected(document, seen_by(name, views)), made, allow_unicode=True)
            made.flush()
            directory = load(Path(made.name)).unwrap()
        snapshots[name] = Snapshot(compile(directory), terms(directory.settings))
    return Served(snapshots, Viewers(views), snapshots[""].terms)


def install() -> None:
    """Have a server that is started in this process read views so."""
    reload.read_served = read_served


if __name__ == "__main__":
    from phonebook.cli.main import main

    install()
    sys.exit(main())
