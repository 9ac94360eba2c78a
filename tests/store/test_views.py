"""Views: what a viewer may not see changes no octet of any answer, however the snapshot is made."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept import OLD, requests, rewrite
from made import query, values_of, viewed
from test_near import slips

from phonebook import store
from phonebook.beside import beside, later
from phonebook.directory.entry import Directory, Entry, View
from phonebook.directory.fields import LINKS
from phonebook.directory.load import load
from phonebook.server.reload import read_served
from phonebook.service import gather, image
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import (
    Compiled,
    Portion,
    Snapshot,
    Terms,
    compile,
    compile_views,
    portion,
)

ALL_LINKS = ",".join(LINKS)


def included(views: Mapping[str, View], name: str) -> set[str]:
    """Return a view and all that it includes: a plain reading of the section."""
    if name not in views:
        return set()
    return {name}.union(*(included(views, each) for each in views[name].includes))


def without(made: Directory, view: str) -> Directory:
    """Return a directory that never held what a view may not see."""
    sees = included({each.name: each for each in made.header.views}, view) | {""}
    ids = {each.id for each in made.entries if each.view in sees}
    kept = []
    for each in made.entries:
        if each.view not in sees:
            continue
        views = dict(each.field_views)
        fields = []
        for name, lines in each.fields:
            base = name.partition(".")[0]
            if (views.get(name) or views.get(base, "")) not in sees:
                continue
            shown = tuple(line for line in lines if base not in LINKS or line in ids)
            if shown:
                fields.append((name, shown))
        kept.append(Entry(each.id, each.kind, tuple(fields), each.unlisted, each.unlisted_fields))
    return Directory(replace(made.header, views=()), tuple(kept), made.settings)


def asked(made: Directory, seed: int) -> Iterator[bytes]:
    """Yield requests about all that stands in a directory."""
    rng = random.Random(seed)
    yield b"HELP"
    for each in made.entries:
        yield f"ENTRY {each.id}".encode()
        yield f"ENTRY links={ALL_LINKS} limit={rng.choice([1, 32])} {each.id}".encode()
        after = rng.choice(made.entries).id
        yield f"ENTRY links={ALL_LINKS} after={after} {each.id}".encode()
    yield from requests(made, 40)
    values = values_of(made)
    for _ in range(20):
        yield f"LOOKUP . {query(values, rng, rng.randint(1, 3))}".encode()
    for text in slips(made, seed, 12):
        yield f"LOOKUP {text}".encode()


def hold(compiled: Mapping[str, Compiled], made: Directory, seed: int) -> None:
    """Hold each view to be as if the directory had never held what it does not show."""
    assert [*compiled] == ["", *(each.name for each in made.header.views)]
    for view, own in compiled.items():
        plain = compile(without(made, view))
        assert (own.at, own.count, own.header) == (plain.at, plain.count, plain.header), view
        assert own.views == made.header.views
        one, other = Snapshot(own, Terms()), Snapshot(plain, Terms())
        for line in asked(made, seed):
            assert answer(line, one) == answer(line, other), (view, line)
            padded = line.ljust(200) + b"\r\n"
            assert answer_datagram(padded, one) == answer_datagram(padded, other), (view, line)


@settings(max_examples=30, deadline=None)
@given(viewed(), st.integers(0, 2**32))
def test_what_a_view_hides_changes_no_octet(made: Directory, seed: int) -> None:
    if made.entries:
        hold(compile_views(made), made, seed)


# By way of files


def corrected(made: Directory) -> Directory:
    """Return a directory without what its checker would refuse."""
    kinds = {each.id: each.kind for each in made.entries}
    entries = []
    for each in made.entries:
        fields = []
        for name, lines in each.fields:
            leads = LINKS.get(name.partition(".")[0])
            good = tuple(
                line
                for line in lines
                if not leads or (kinds.get(line) in leads and line != each.id)
            )
            if good and name != "family":
                fields.append((name, good))
        names = {name for name, _ in fields}
        names |= {name.partition(".")[0] for name in names}
        entries.append(
            replace(
                each,
                fields=tuple(fields),
                unlisted_fields=each.unlisted_fields & names,
                field_views=tuple(pair for pair in each.field_views if pair[0] in names),
            )
        )
    return replace(made, entries=tuple(entries))


def written(made: Directory, folder: Path, files: int, when: float) -> None:
    """Write a directory into so many files, the first of them that of its header."""
    folder.mkdir(exist_ok=True)
    header = made.header
    keys = ("country", "area", "trunk", "international", "outside", "main")
    said: dict[str, object] = {key: value for key in keys if (value := getattr(header, key))}
    if header.extensions:
        said["extensions"] = ["-".join(each) for each in header.extensions]
    views = [
        {"name": each.name, "networks": f"192.0.2.{number}", "includes": list(each.includes)}
        for number, each in enumerate(header.views)
    ]
    for each in views:
        if not each["includes"]:
            del each["includes"]
    top: dict[str, object] = {"views": views}
    if said:
        top["directory"] = said
    for number in range(files):
        entries = []
        for each in made.entries[number::files]:
            entry: dict[str, object] = {"id": each.id, "kind": each.kind}
            entry |= {name: list(lines) for name, lines in each.fields} | {"name": each.name}
            if each.unlisted or each.unlisted_fields:
                entry["unlisted"] = "yes" if each.unlisted else sorted(each.unlisted_fields)
            if each.view or each.field_views:
                entry["view"] = each.view or dict(each.field_views)
            entries.append(entry)
        if number:
            rewrite(folder / f"{number}.yaml", json.dumps(entries), when)
        else:
            rewrite(folder / "phonebook.yaml", json.dumps({**top, "entries": entries}), when)


def mixed(one: Directory, other: Directory) -> Directory:
    """Return the first entries of a directory, and behind them the last of another."""
    number = len(one.entries) // 2
    named = {each.name for each in other.header.views}
    first = [
        replace(
            each,
            view=each.view if each.view in named else "",
            field_views=tuple(pair for pair in each.field_views if pair[1] in named),
        )
        for each in one.entries[:number]
    ]
    return replace(other, entries=(*first, *other.entries[number:]))


@settings(max_examples=10, deadline=None)
@given(viewed(), viewed(), st.integers(0, 2**32), st.integers(1, 4))
def test_what_a_view_hides_changes_no_octet_by_way_of_files(
    made: Directory, then: Directory, seed: int, files: int
) -> None:
    """From the second time on, what is kept has its part in it; some is true no longer."""
    with TemporaryDirectory() as top, pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "SMALL", 0)
        patch.setattr(gather, "_RUN", 1)
        folder, place = Path(top) / "directory", Path(top) / "cache"
        turns = [corrected(each) for each in (made, mixed(made, then), made) if each.entries]
        for turn, whole in enumerate(turns):
            written(whole, folder, files, OLD + turn)
            done = store.make(folder, place, later)
            assert done.compiled is not None, done.problems
            read = load(folder).unwrap()
            assert len(read.entries) == len(whole.entries)
            kept = store.cached(folder, place)
            assert kept is not None
            hold(kept, read, seed)
            assert [each.at for each in kept.values()] == [
                each.at for each in done.compiled.values()
            ]


# What is made, and kept


VIEWS = """
views:
  - {name: board, networks: 192.0.2.0/25, includes: [staff]}
  - {name: guests, networks: 192.0.2.128/25}
  - {name: staff, networks: 198.51.100.0/24}
"""
FILES = {
    "phonebook": VIEWS,
    "a": "- {name: Ada Byron, phone: 4711, room: vault}\n",
    "b": "- {name: Berta, phone: [1, 2], note: x, view: {note: staff}}\n",
    "c": "- {name: Vault, kind: place}\n",
    "d": "- {name: Dora, view: board}\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with views that is large enough for pieces, one for each file."""
    monkeypatch.setattr(store, "SMALL", 0)
    monkeypatch.setattr(gather, "_RUN", 1)
    for name, text in FILES.items():
        rewrite(tmp_path / f"kept/{name}.yaml", text)
    return tmp_path / "kept"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return where the cache is to be."""
    return tmp_path / "cache"


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the first ids of the pieces that are made from now on."""
    made: list[str] = []

    def making(
        directory: Directory, view: str = "", elsewhere: frozenset[str] = frozenset()
    ) -> Portion:
        made.extend(each.id for each in directory.entries[:1])
        return portion(directory, view, elsewhere)

    monkeypatch.setattr(gather, "portion", making)
    return made


def made(folder: Path, place: Path | None) -> Mapping[str, Compiled]:
    """Compile a directory by its pieces; each view is as if it were alone."""
    done = store.make(folder, place)
    assert done.compiled is not None, done.problems
    hold(done.compiled, load(folder).unwrap(), 767)
    return done.compiled


def test_a_piece_is_made_for_the_views_that_it_differs_for(
    folder: Path, place: Path, pieces: list[str]
) -> None:
    compiled = made(folder, place)
    assert compiled["guests"] is compiled[""], "no entry is of it"
    assert sorted(pieces) == ["ada-byron", "berta", "berta", "dora", "dora", "vault"]
    del pieces[:]
    made(folder, place)
    assert pieces == []


def test_a_piece_is_made_anew_where_what_is_shown_of_it_has_changed(
    folder: Path, place: Path, pieces: list[str]
) -> None:
    made(folder, place)
    for old, new, expected in (
        ("198.51.100.0", "203.0.113.0", []),
        ("name: guests", "name: visitors", []),
        (", includes: [staff]", "", []),
        ("name: visitors, networks: 192.0.2.128/25", "name: b, networks: 192.0.2.128/25", []),
    ):
        del pieces[:]
        text = (folder / "phonebook.yaml").read_text()
        assert old in text
        rewrite(folder / "phonebook.yaml", text.replace(old, new))
        made(folder, place)
        assert pieces == expected, new
    text += "  - {name: all, networks: 192.0.2.0/24, includes: [staff, board]}\n"
    rewrite(folder / "d.yaml", FILES["d"].replace("board}", "board, phone: 1}"), OLD + 1)
    rewrite(folder / "e.yaml", "- {name: Eda, view: board}\n- {name: Emil, view: staff}\n")
    made(folder, place)
    del pieces[:]
    rewrite(folder / "phonebook.yaml", text)
    made(folder, place)
    assert pieces == ["eda"], "nobody was shown both"
    del pieces[:]
    made(folder, place)
    assert pieces == []


def test_a_link_to_what_a_view_hides_elsewhere_is_cut_once(
    folder: Path, place: Path, pieces: list[str]
) -> None:
    made(folder, place)
    rewrite(folder / "c.yaml", FILES["c"].replace("place}", "place, view: staff}"), OLD + 1)
    compiled = made(folder, place)
    for view, leads in (("", False), ("guests", False), ("staff", True), ("board", True)):
        reply, _ = answer(b"ENTRY ada-byron", Snapshot(compiled[view], Terms()))
        assert (b"room: vault" in reply) == leads, view
    del pieces[:]
    made(folder, place)
    assert pieces == []
    rewrite(folder / "c.yaml", FILES["c"], OLD + 2)
    assert (
        b"room: vault" in answer(b"ENTRY ada-byron", Snapshot(made(folder, place)[""], Terms()))[0]
    )


def test_two_processes_make_what_one_makes(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phonebook.directory.load._LARGE", 0)
    done = store.make(folder, place, beside)
    assert done.compiled is not None
    hold(done.compiled, load(folder).unwrap(), 767)
    alone = made(folder, None)
    assert [*image.dump(done.compiled, {})] == [*image.dump(alone, {})]


def test_all_views_are_of_one_load(folder: Path, place: Path) -> None:
    made(folder, place)
    (file,) = place.glob("*.snapshot")
    kept = store.cached(folder, place)
    assert kept is not None
    assert [*kept] == ["", "board", "guests", "staff"]
    assert kept["guests"] is kept[""], "it is there once"
    octets = file.read_bytes()
    for length in range(0, len(octets), 97):
        file.write_bytes(octets[:length])
        assert store.cached(folder, place) is None
    file.write_bytes(octets)
    rewrite(folder / "d.yaml", FILES["d"].replace("Dora", "Edna"), OLD + 1)
    assert store.cached(folder, place) is None, "the public one would be true"


@pytest.mark.parametrize("small", [True, False])
def test_a_server_has_a_snapshot_of_each_view(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    monkeypatch.setattr(store, "SMALL", 10**6 if small else 0)
    snapshots = read_served(folder, lambda _: Terms(), place).snapshots
    counts = {view: each.count for view, each in snapshots.items()}
    assert counts == {"": 3, "board": 4, "guests": 3, "staff": 3}
    found = {view: answer(b"LOOKUP dora", each)[0][:3] for view, each in snapshots.items()}
    assert found == {"": b"252", "board": b"250", "guests": b"252", "staff": b"252"}
    assert len({each.at for each in snapshots.values()}) == 3
    assert [each.name for each in snapshots[""].views] == ["board", "guests", "staff"]
    assert any(place.glob("*")) != small
