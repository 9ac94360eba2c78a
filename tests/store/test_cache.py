"""The cache of compiled snapshots: what is torn, stale or foreign is noticed, and never trusted."""

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from documents import ROOT
from kept import FOREIGN, OLD, refuse, requests, rewrite
from running import write
from servers import profile

import phonebook
from phonebook import store
from phonebook.beside import Begin, beside
from phonebook.directory.load import load
from phonebook.directory.problems import DirectoryError
from phonebook.server.reload import read_served
from phonebook.service import image
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Compiled, Snapshot, Terms, compile

HEADER = "directory:\n  name: Kept directory\n  country: 1\n"
ADA = "- name: Ada Byron\n  phone: 4711\n  title: Analyst\n"
BERTA = "- name: Berta Müller\n  phone: 4712\n  unlisted: [phone]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory of three files, none of them young."""
    made = tmp_path / "kept"
    made.mkdir()
    for name, text in (("phonebook", HEADER), ("a", ADA), ("b", BERTA)):
        rewrite(made / f"{name}.yaml", text)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return where the cache is to be."""
    return tmp_path / "cache"


def made(folder: Path, place: Path) -> Path:
    """Compile a directory into the cache, and return the file."""
    done = store.make(folder, place)
    assert done.file is not None, done.unwritten
    assert done.file == store.cache_file(folder, place)
    return done.file


def said(compiled: Compiled) -> list[bytes]:
    """Return some answers, which read all that a snapshot is made of."""
    asked = Snapshot(compiled, Terms())
    lines = [b"HELP", b"ENTRY ada-byron", b"ENTRY berta-muller", b"ENTRY nobody", b"LOOKUP kind:p"]
    for text in ("ada", "byron ada", "4711", "mueller", "title:an", '"ada byron"', "adda", "berth"):
        lines.append(f"LOOKUP {text}".encode())
    return [answer(line, asked)[0] for line in lines]


def none(folder: Path, place: Path) -> bool:
    """Whether the cache has nothing that can be trusted."""
    return store.cached(folder, place) is None


# True


def test_what_was_made_is_there_and_answers_alike(folder: Path, place: Path) -> None:
    assert none(folder, place)
    made(folder, place)
    kept = store.cached(folder, place)
    assert kept is not None
    assert said(kept[""]) == said(compile(load(folder).unwrap()))
    assert store.cached(folder, place, verify=True) is not None
    assert [each.name for each in place.iterdir()] == [store.cache_file(folder, place).name]


def test_a_directory_may_be_one_file(folder: Path, place: Path) -> None:
    made(folder / "a.yaml", place)
    assert store.cached(folder / "a.yaml", place) is not None
    assert none(folder / "b.yaml", place)
    rewrite(folder / "b.yaml", ADA)
    assert store.cached(folder / "a.yaml", place) is not None, "another's file is not looked at"


def test_a_mapped_snapshot_outlives_its_file(folder: Path, place: Path) -> None:
    file = made(folder, place)
    kept = store.cached(folder, place)
    assert kept is not None
    before = said(kept[""])
    made(folder, place)
    assert said(kept[""]) == before
    file.unlink()
    shutil.rmtree(folder)
    assert said(kept[""]) == before


def test_one_directory_by_two_ways_has_one_snapshot(
    folder: Path, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert store.cache_file(tmp_path / "link", place) == store.cache_file(folder, place)


# Stale


Change = Callable[[Path], object]

CHANGES: dict[str, Change] = {
    "changed": lambda folder: rewrite(folder / "a.yaml", ADA.replace("4711", "4799"), OLD + 1),
    "longer": lambda folder: rewrite(folder / "a.yaml", ADA + "  note: more\n"),
    "touched": lambda folder: os.utime(folder / "a.yaml", (OLD + 1, OLD + 1)),
    "touched by a nanosecond": lambda folder: os.utime(
        folder / "a.yaml", ns=(OLD * 10**9 + 1, OLD * 10**9 + 1)
    ),
    "replaced": lambda folder: replaced(folder / "a.yaml", ADA.replace("4711", "4799")),
    "added": lambda folder: rewrite(folder / "c.yaml", ADA.replace("Ada", "Eda")),
    "added deeper": lambda folder: rewrite(folder / "deep/c.yml", ADA.replace("Ada", "Eda")),
    "removed": lambda folder: (folder / "a.yaml").unlink(),
    "renamed": lambda folder: (folder / "a.yaml").rename(folder / "z.yaml"),
    "hidden": lambda folder: (folder / "a.yaml").rename(folder / ".a.yaml"),
    "all gone": lambda folder: shutil.rmtree(folder),
}


def replaced(path: Path, text: str) -> None:
    """Rename another file of the same size and time into a file's place."""
    other = path.with_name(".other")
    rewrite(other, text)
    other.replace(path)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(folder: Path, place: Path, change: str) -> None:
    made(folder, place)
    assert not none(folder, place)
    CHANGES[change](folder)
    assert none(folder, place)


def test_what_is_no_file_of_the_directory_is_not_looked_at(folder: Path, place: Path) -> None:
    made(folder, place)
    (folder / "notes.txt").write_text("nothing")
    (folder / ".hidden.yaml").write_text(": nothing")
    assert not none(folder, place)


def test_a_young_file_is_compared_by_its_content(folder: Path, place: Path) -> None:
    path = folder / "a.yaml"
    write(path, ADA)  # now: it may be written again within the same tick of the clock
    status = path.stat()
    made(folder, place)
    assert not none(folder, place)
    path.write_text(ADA.replace("4711", "4799"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_ino == status.st_ino
    assert none(folder, place)
    path.write_text(ADA)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not none(folder, place), "it is what it was"


def test_an_old_file_with_its_old_time_is_noticed_where_that_is_asked_for(
    folder: Path, place: Path
) -> None:
    made(folder, place)
    rewrite(folder / "a.yaml", ADA.replace("4711", "4799"))
    assert not none(folder, place), "size, time and number are the same"
    assert store.cached(folder, place, verify=True) is None


def test_a_directory_that_changes_while_it_is_read_is_not_kept(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(path: Path, begin: Begin, outside: bool) -> object:
        loaded = load(path, begin, outside=outside)
        rewrite(folder / "a.yaml", ADA.replace("4711", "4799"), OLD + 1)
        return loaded

    monkeypatch.setattr(store, "load", reading)
    done = store.make(folder, place)
    assert done.compiled is not None, "it can be served"
    assert (done.file, none(folder, place)) == (None, True)


# Torn and foreign


def test_a_torn_file_is_noticed_wherever_it_ends(folder: Path, place: Path) -> None:
    file = made(folder, place)
    octets = file.read_bytes()
    for length in {*range(0, len(octets), 97), *range(64), len(octets) - 1}:
        file.write_bytes(octets[:length])
        assert none(folder, place), length
    file.write_bytes(octets + b"\0")
    assert none(folder, place)


def test_a_flipped_octet_is_noticed_wherever_it_is(folder: Path, place: Path) -> None:
    """Between the parts lie octets that mean nothing: there it answers as before."""
    file = made(folder, place)
    octets = file.read_bytes()
    before = said(compile(load(folder).unwrap()))
    noticed = 0
    for place_of_it in range(0, len(octets), 7):
        flipped = bytearray(octets)
        flipped[place_of_it] ^= 0x40
        file.write_bytes(flipped)
        kept = store.cached(folder, place)
        noticed += kept is None
        assert kept is None or said(kept[""]) == before, place_of_it
    assert noticed > len(octets) / 7 / 3
    file.write_bytes(octets)
    assert not none(folder, place)


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_noticed_and_made_anew(folder: Path, place: Path, kind: str) -> None:
    file = made(folder, place)
    file.write_bytes(FOREIGN[kind])
    assert none(folder, place)
    made(folder, place)
    assert not none(folder, place)


def test_a_directory_in_its_place_costs_the_cache_alone(folder: Path, place: Path) -> None:
    file = store.cache_file(folder, place)
    file.mkdir(parents=True)
    assert none(folder, place)
    done = store.make(folder, place)
    assert done.compiled is not None
    assert done.file is None
    assert done.unwritten
    assert [*place.iterdir()] == [file], "nothing half-written is left"


@pytest.fixture
def noted(folder: Path, place: Path) -> Callable[[Mapping[str, object]], None]:
    """Return what writes a whole snapshot with another note into the cache."""
    file = made(folder, place)
    compiled, note = image.load(memoryview(file.read_bytes()))

    def writing(change: Mapping[str, object]) -> None:
        other = {**note, **change}
        kept = {name: value for name, value in other.items() if value is not None}
        file.write_bytes(b"".join(image.dump(compiled, kept)))

    return writing


Noted = Callable[[Mapping[str, object]], None]


def test_another_version_is_noticed(folder: Path, place: Path, noted: Noted) -> None:
    noted({})
    assert not none(folder, place)
    noted({"version": "0.0"})
    assert none(folder, place)


def test_a_version_that_is_newer_than_the_file_is_noticed(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folder, place)
    monkeypatch.setattr(phonebook, "__version__", "9.9")
    assert none(folder, place)


def test_another_format_is_noticed(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folder, place)
    monkeypatch.setattr(image, "FORMAT", f"{image.FORMAT} or another")
    assert none(folder, place)


@pytest.mark.parametrize(
    "change",
    [
        {"files": None},
        {"contents": None},
        {"made": None},
        {"version": None},
        {"contents": []},
        {"files": 1},
        {"files": [["a"]]},
        {"made": "today", "contents": ["", "", ""]},
    ],
    ids=json.dumps,
)
def test_a_note_of_another_form_is_noticed(
    folder: Path, place: Path, noted: Noted, change: dict[str, object]
) -> None:
    noted(change)
    assert none(folder, place)


# A cache that cannot be written


def unwritable(folder: Path, place: Path) -> str:
    """Make a directory that cannot be kept; return why."""
    done = store.make(folder, place)
    assert done.compiled is not None
    assert said(done.compiled[""]) == said(compile(load(folder).unwrap()))
    assert done.file is None
    return done.unwritten


@pytest.mark.parametrize("inside", ["", "cache", "deep/cache"])
def test_a_cache_inside_the_directory_is_refused(folder: Path, inside: str) -> None:
    before = sorted(folder.rglob("*"))
    assert "inside the directory" in unwritable(folder, folder / inside)
    assert sorted(folder.rglob("*")) == before


def test_a_cache_that_a_link_leads_inside_is_refused(folder: Path, place: Path) -> None:
    place.symlink_to(folder)
    assert "inside the directory" in unwritable(folder, place)


@pytest.mark.parametrize("below", ["a file", "a file/deeper", "/proc/none/here"])
def test_a_cache_that_cannot_be_a_folder(folder: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "a file").write_text("")
    assert unwritable(folder, tmp_path / below)
    assert none(folder, tmp_path / below)


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("os.fsync", errno.ENOSPC),
        ("os.replace", errno.EXDEV),
        ("tempfile.mkstemp", errno.EACCES),
        ("tempfile.mkstemp", errno.EROFS),
        ("tempfile.mkstemp", errno.ENOSPC),
    ],
)
def test_a_full_disk_or_one_that_is_closed_to_us_costs_the_cache_alone(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    file = made(folder, place)
    before = file.read_bytes()
    rewrite(folder / "a.yaml", ADA.replace("4711", "4799"), OLD + 1)
    with monkeypatch.context() as patch:
        patch.setattr(call, refuse(number))
        assert os.strerror(number) in unwritable(folder, place)
    assert [*place.iterdir()] == [file], "nothing half-written is left"
    assert file.read_bytes() == before, "the old one is whole"
    assert none(folder, place)
    made(folder, place)
    assert not none(folder, place)


def test_a_cache_that_cannot_be_read(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(folder, place)
    monkeypatch.setattr("mmap.mmap", refuse(errno.ENODEV))
    assert none(folder, place)


def test_a_refused_directory_is_not_kept(folder: Path, place: Path) -> None:
    rewrite(folder / "a.yaml", "- nmae: Ada\n")
    done = store.make(folder, place)
    assert (done.compiled, done.file) == (None, None)
    assert any(problem.severity == "error" for problem in done.problems)
    assert not place.exists()


# The service goes on


def serving(folder: Path, place: Path | None) -> list[bytes]:
    """Return what a server answers that starts now."""
    asked = read_served(folder, lambda settings: Terms(), place).public
    return [answer(line, asked)[0] for line in (b"LOOKUP ada", b"ENTRY berta-muller", b"HELP")]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every directory be large enough for the cache."""
    monkeypatch.setattr(store, "SMALL", 0)


def test_a_small_directory_needs_no_cache(folder: Path, place: Path) -> None:
    serving(folder, place)
    assert not place.exists()


@pytest.mark.usefixtures("large")
def test_a_server_takes_what_is_true_and_makes_the_rest_anew(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = serving(folder, None)
    assert serving(folder, place) == expected
    file = store.cache_file(folder, place)
    with monkeypatch.context() as patch:
        patch.setattr(store, "make", refuse(errno.EIO))
        patch.setattr("subprocess.Popen", refuse(errno.EIO))
        assert serving(folder, place) == expected, "what is true is neither read nor made"
    file.write_bytes(file.read_bytes()[:-1])
    assert serving(folder, place) == expected
    assert not none(folder, place)


@pytest.mark.usefixtures("large")
def test_a_server_goes_on_without_a_cache(folder: Path, tmp_path: Path) -> None:
    expected = serving(folder, None)
    (tmp_path / "a file").write_text("")
    assert serving(folder, tmp_path / "a file") == expected
    assert serving(folder, folder / "cache") == expected
    assert not (folder / "cache").exists()


@pytest.mark.usefixtures("large")
def test_a_server_is_told_what_is_wrong_with_a_directory(
    folder: Path, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serving(folder, place)
    rewrite(folder / "a.yaml", "- nmae: Ada\n")
    with caplog.at_level(logging.ERROR), pytest.raises(DirectoryError):
        serving(folder, place)
    assert "a.yaml:1:" in caplog.text


# Small mercies


def test_who_has_no_home_is_served_without_a_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert unwritable(folder, store.cache_place())
    assert none(folder, store.cache_place())


def test_what_a_killed_one_left_is_removed_when_it_is_old(folder: Path, place: Path) -> None:
    made(folder, place)
    for name, age in ((".old.part", 7_200), (".young.part", 60), (".old.other", 7_200)):
        rewrite(place / name, "half", time.time() - age)
    made(folder, place)
    left = {each.name for each in place.iterdir() if each.name.startswith(".")}
    assert left == {".young.part", ".old.other"}


def test_the_middle_of_a_large_part_is_looked_at_where_that_is_asked_for(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "_ENDS", 16)
    file = made(folder, place)
    octets = bytearray(file.read_bytes())
    octets[octets.index(b"Analyst")] ^= 0x20
    file.write_bytes(octets)
    assert not none(folder, place)
    assert store.cached(folder, place, verify=True) is None


# Octet for octet


def test_two_processes_make_what_one_makes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setattr("phonebook.directory.load._LARGE", 0)
    rewrite(folder / "c.yaml", "- name: Cara\n  contact: berta-muller\n  phon: 4713\n")
    for path in (folder, ROOT / "examples/lab"):
        alone, together = load(path), load(path, beside)
        assert alone == together
        one, two = compile(alone.unwrap()), compile(together.unwrap(), begin=beside)
        assert [*image.dump({"": one}, {})] == [*image.dump({"": two}, {})]
    assert [problem.code for problem in load(folder, beside).problems] == ["unknown-field"]
    rewrite(folder / "b.yaml", "- name: [\n")
    assert load(folder, beside).problems == load(folder).problems != []


@pytest.mark.parametrize(
    "path", [profile("core"), ROOT / "examples/lab"], ids=lambda path: path.stem
)
@pytest.mark.parametrize("count", [1_000, pytest.param(20_000, marks=pytest.mark.full)])
def test_a_compiled_snapshot_answers_octet_for_octet(path: Path, place: Path, count: int) -> None:
    directory = load(path).unwrap()
    made(path, place)
    kept = store.cached(path, place)
    assert kept is not None
    read, mapped = Snapshot(compile(directory), Terms()), Snapshot(kept[""], Terms())
    codes = set()
    for line in [b"HELP", *requests(directory, count)]:
        reply = answer(line, mapped)
        assert reply == answer(line, read), line
        padded = line.ljust(600) + b"\r\n"
        assert answer_datagram(padded, mapped) == answer_datagram(padded, read), line
        codes.add(int(reply[0][:3]))
    assert codes >= {210, 250, 251, 505, 506, 552}


@pytest.mark.parametrize("name", ["core", "referral", "times"])
def test_header_and_settings_are_kept(name: str, place: Path) -> None:
    path = profile(name)
    if not path.exists():
        pytest.skip(f"there is no profile {name}")
    directory = load(path).unwrap()
    made(path, place)
    kept = store.cached(path, place)
    assert kept is not None
    public = kept[""]
    assert (public.header, public.settings) == (directory.header, directory.settings)
    assert public.count == len(directory.entries)
