"""The pieces of a compiled snapshot: kept by file, and never trusted where they are not whole."""

import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import ROOT
from kept import FOREIGN, OLD, refuse, requests, rewrite

import phonebook
from phonebook import store
from phonebook.beside import Begin, beside, later
from phonebook.directory.check import Part, read_part
from phonebook.directory.load import load
from phonebook.service import gather
from phonebook.service.answer import answer
from phonebook.service.snapshot import Compiled, Snapshot, Terms, compile

TIME = 60.0  # seconds until a test gives up
HEADER = "directory:\n  name: Kept in pieces\n  country: 1\n  main: +1 20\n  extensions: 100-199\n"
FILES = {
    "phonebook": HEADER,
    "a": "- name: Ada Byron\n  phone: 4711\n  title: Analyst\n  contact: berta\n",
    "b": "- name: Berta Müller\n  id: berta\n  phone: [4712, 104]\n  unlisted: [phone.home]\n"
    "  phone.home: 4713\n",
    "c": "".join(
        f"- name: C{each} D\n  title: Analyst\n  contact: ada-byron\n" for each in range(5)
    ),
    "d": "- name: Dora Byron\n  kind: group\n  email: ada@dora.example\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that is large enough for pieces, one for each file."""
    monkeypatch.setattr(store, "SMALL", 0)
    monkeypatch.setattr(gather, "_RUN", 1)
    made = tmp_path / "kept"
    for name, text in FILES.items():
        rewrite(made / f"{name}.yaml", text)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return where the cache is to be."""
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are read from now on, the header's left out."""
    names: list[str] = []

    def reading(data: bytes, file: str, may_head: bool) -> Part:
        names.append(Path(file).name)
        return read_part(data, file, may_head)

    monkeypatch.setattr(gather, "read_part", reading)
    return names


def made(folder: Path, place: Path | None, begin: Begin = later) -> Compiled:
    """Compile a directory by its pieces; it answers as one that is freshly read."""
    done = store.make(folder, place, begin)
    assert done.compiled is not None, done.problems
    loaded = load(folder)
    assert done.problems == loaded.problems
    same(done.compiled[""], compile(loaded.unwrap()), folder, 200)
    return done.compiled[""]


def same(one: Compiled, other: Compiled, folder: Path, count: int) -> None:
    """Hold two snapshots to answer alike, octet for octet."""
    assert (one.header, one.settings, one.at, one.count) == (
        other.header, other.settings, other.at, other.count,
    )  # fmt: skip
    snapshots = Snapshot(one, Terms()), Snapshot(other, Terms())
    numbers = [f"LOOKUP {each}".encode() for each in ("4711", "4713", "104", "x104", "+1 20 104")]
    for line in [b"HELP", *numbers, *requests(load(folder).unwrap(), count)]:
        first, second = (answer(line, each) for each in snapshots)
        assert first == second, line


def pieces(folder: Path, place: Path) -> list[Path]:
    """Return the files that the pieces are kept in."""
    return sorted(store.cache_file(folder, place).with_suffix(".pieces").iterdir())


def test_what_did_not_change_is_not_read(folder: Path, place: Path, read: list[str]) -> None:
    made(folder, place)
    assert read == ["a.yaml", "b.yaml", "c.yaml", "d.yaml"]
    del read[:]
    made(folder, place)
    assert read == []
    rewrite(folder / "b.yaml", FILES["b"].replace("Berta", "Bertha"), OLD + 1)
    made(folder, place)
    assert read == ["b.yaml"]
    del read[:]
    (folder / "c.yaml").rename(folder / "0.yaml")
    made(folder, place)
    assert read == [], "what a file is called is not in its piece"
    for snapshot in place.glob("*.snapshot"):
        snapshot.unlink()
    made(folder, place)
    assert read == []


def test_what_the_header_sways_is_made_anew(folder: Path, place: Path, read: list[str]) -> None:
    made(folder, place)
    del read[:]
    rewrite(folder / "phonebook.yaml", HEADER.replace("Kept in", "Made of"))
    made(folder, place)
    assert read == []
    rewrite(folder / "phonebook.yaml", HEADER.replace("100-199", "200-299"))
    made(folder, place)
    assert len(read) == 4


def test_what_is_unlisted_elsewhere_is_not_led_to(
    folder: Path, place: Path, read: list[str]
) -> None:
    made(folder, place)
    del read[:]
    rewrite(folder / "b.yaml", FILES["b"].replace("[phone.home]", "yes"), OLD + 1)
    snapshot = Snapshot(made(folder, place), Terms())
    assert b"berta" not in answer(b"ENTRY ada-byron", snapshot)[0]
    assert "c.yaml" not in read
    rewrite(folder / "b.yaml", FILES["b"], OLD + 2)
    assert b"berta" in answer(b"ENTRY ada-byron", Snapshot(made(folder, place), Terms()))[0]


def test_problems_of_kept_files_are_told_again(folder: Path, place: Path) -> None:
    rewrite(folder / "d.yaml", FILES["d"] + "  fone: 1\n  emial: a@b\n")
    for _ in range(2):
        made(folder, place)
        assert [each.code for each in store.make(folder, place).problems] == ["unknown-field"]
    wrong = (
        ("e", "- name: Ada Byron\n"),
        ("e", "- name: Eda\n  contact: nobody\n"),
        ("e", "- name: Eda\n  room: berta\n"),
        ("e", "- name: Eda\n  contact: eda\n"),
        ("d", "- name: [\n"),
        ("b", FILES["d"]),
    )
    for name, text in wrong:
        before = (folder / f"{name}.yaml").read_text() if name != "e" else ""
        rewrite(folder / f"{name}.yaml", text)
        done = store.make(folder, place)
        assert done.compiled is None
        assert done.problems == load(folder).problems
        rewrite(folder / f"{name}.yaml", before)
    made(folder, place)


def test_pieces_take_no_more_room_with_time(folder: Path, place: Path) -> None:
    made(folder, place)
    count = len(pieces(folder, place))
    assert count == len(FILES), "one for each file but the header's, and one for all names"
    for number in range(5):
        rewrite(folder / "a.yaml", FILES["a"] + f"  note: {number}\n", OLD + number)
        made(folder, place)
        rewrite(folder / "d.yaml", f"- nmae: {number}\n", OLD + number)
        assert store.make(folder, place).compiled is None
        rewrite(folder / "d.yaml", FILES["d"])
    made(folder, place)
    assert len(pieces(folder, place)) == count


Spoil = Callable[[Path], object]

SPOILS: dict[str, Spoil] = {
    **{
        kind: lambda file, octets=octets: file.write_bytes(octets)  # type: ignore[misc]
        for kind, octets in FOREIGN.items()
    },
    "a beginning like its own": lambda file: file.write_bytes(b"PHONEBOOK PIECE\n" + bytes(900)),
    "shorter": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "cut early": lambda file: file.write_bytes(file.read_bytes()[:18]),
    "zeros at its end": lambda file: file.write_bytes(file.read_bytes()[:-99] + bytes(99)),
    "gone": lambda file: file.unlink(),
    "not to be read": lambda file: (file.unlink(), file.symlink_to(file.name)),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_is_not_whole_is_made_anew(
    folder: Path, place: Path, read: list[str], spoil: str
) -> None:
    made(folder, place)
    for file in pieces(folder, place):
        SPOILS[spoil](file)
    del read[:]
    made(folder, place)
    assert len(read) == 4


def test_a_flipped_octet_is_noticed_wherever_it_is(folder: Path, place: Path) -> None:
    compiled = made(folder, place)
    rng = random.Random(767)
    for file in pieces(folder, place):
        octets = file.read_bytes()
        for place_of_it in {*range(24), *rng.sample(range(len(octets)), 40)}:
            flipped = bytearray(octets)
            flipped[place_of_it % len(octets)] ^= 0x10
            file.write_bytes(flipped)
            with store._Pieces(folder, place) as kept:
                assert kept.get(file.name) is None
                for other in pieces(folder, place):
                    kept.get(other.name)
        file.write_bytes(octets)
    same(made(folder, place), compiled, folder, 50)


def test_a_piece_under_the_name_of_another_is_noticed(
    folder: Path, place: Path, read: list[str]
) -> None:
    made(folder, place)
    first, *others = pieces(folder, place)
    octets = first.read_bytes()
    for file in others:
        file.write_bytes(octets)
    del read[:]
    made(folder, place)
    assert len(read) >= 3


@pytest.mark.parametrize(
    ("where", "what"), [(phonebook, "__version__"), (gather, "FOLDING"), (gather, "FORMAT")]
)
def test_another_version_makes_its_own(
    folder: Path,
    place: Path,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    what: str,
) -> None:
    made(folder, place)
    before = pieces(folder, place)
    del read[:]
    monkeypatch.setattr(where, what, "9.9")
    made(folder, place)
    assert len(read) == 4
    assert set(pieces(folder, place)).isdisjoint(before)


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("os.replace", errno.EXDEV),
        ("tempfile.mkstemp", errno.ENOSPC),
        ("tempfile.mkstemp", errno.EROFS),
        ("os.listdir", errno.EACCES),
        ("os.unlink", errno.EACCES),
    ],
)
def test_a_full_disk_or_one_that_is_closed_to_us_costs_the_cache_alone(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    made(folder, place)
    rewrite(folder / "a.yaml", FILES["a"].replace("4711", "4799"), OLD + 1)
    with monkeypatch.context() as patch:
        patch.setattr(call, refuse(number))
        compiled = store.make(folder, place).compiled
    assert compiled is not None
    same(compiled[""], compile(load(folder).unwrap()), folder, 50)
    left = [each.name for each in place.rglob("*") if each.name.startswith(".")]
    assert not left or call == "os.unlink", "nothing half-written is left"
    made(folder, place)


def test_a_cache_inside_the_directory_is_refused(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    made(folder, folder / "cache")
    assert sorted(folder.rglob("*")) == before


def test_no_place_no_pieces(folder: Path) -> None:
    made(folder, None)


def test_two_processes_make_what_one_makes(
    folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phonebook.directory.load._LARGE", 0)
    compiled = made(folder, place, beside)
    same(compiled, made(folder, None), folder, 50)
    assert len(pieces(folder, place)) == len(FILES)


def test_two_at_once_hurt_nobody(tmp_path: Path, place: Path) -> None:
    folder = tmp_path / "many"
    for file in range(4):
        entries = (f"- name: Ada B{file}x{number}\n  phone: {number}\n" for number in range(2_500))
        rewrite(folder / f"{file}.yaml", "".join(entries))
    command = [sys.executable, "-m", "phonebook", "compile", "--cache", str(place), str(folder)]
    for turn in range(2):
        both = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for each in both:
            assert each.communicate(timeout=TIME) == (f"{store.cache_file(folder, place)}\n", "")
        rewrite(folder / "0.yaml", f"- name: Only {turn}\n", OLD + turn)
    assert len(pieces(folder, place)) == 5
    assert all(not each.name.startswith(".") for each in place.rglob("*"))
    made(folder, place)


def test_one_removes_what_another_made(folder: Path, place: Path) -> None:
    """Two that saw different files of one directory take away each other's pieces, and go on."""
    with store._Pieces(folder, place) as kept:
        kept.get("other")
        kept.put("other", (1,))
        made(folder, place)
        assert kept.get("other") is None
    made(folder, place)


@pytest.mark.parametrize("few", [1, 200, 10**9])
def test_pieces_answer_octet_for_octet(
    place: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(store, "SMALL", 0)
    monkeypatch.setattr(gather, "_RUN", few)
    lab = ROOT / "examples/lab"
    made(lab, place)
    again = made(lab, place)
    same(again, compile(load(lab).unwrap()), lab, 1_000)


def test_many_small_files_are_few_pieces(folder: Path, place: Path) -> None:
    gather._RUN = 1_000  # the fixture puts it back
    for number in range(200):
        rewrite(folder / f"small/{number}.yaml", f"- name: Small {number}\n")
    made(folder, place)
    assert 2 < len(pieces(folder, place)) < 40
    assert os.listdir(place)
