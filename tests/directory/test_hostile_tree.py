"""Directories that somebody else can write to: what in them must not be read, and how much may."""

import os
import socket
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import phonebook, shown

from phonebook import store
from phonebook.cli.flags import in_force
from phonebook.directory import load as loading
from phonebook.directory.check import MAX_FIELDS
from phonebook.directory.load import (
    MAX_NAMES,
    MAX_OCTETS,
    directory_files,
    load,
    load_settings,
    load_text,
)
from phonebook.directory.problems import MAX_PROBLEMS, Problems
from phonebook.directory.views import MAX_TESTS
from phonebook.settings import SETTINGS, SettingError
from phonebook.share import share

SECRET = "- {name: Secret, phone: 99}\n"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Return a directory beside which there is a file that is none of its own."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "people.yaml").write_text("- name: Ada\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/secret.yaml").write_text(SECRET)
    return folder


def codes(folder: Path, outside: bool = False) -> list[str]:
    return [each.code for each in load(folder, outside=outside).problems]


def ids(folder: Path, outside: bool = False) -> list[str]:
    return [each.id for each in load(folder, outside=outside).unwrap().entries]


def link(name: str, target: str) -> Callable[[Path], None]:
    return lambda lab: (lab / name).symlink_to(target)


def chain(lab: Path) -> None:
    (lab / ".hidden").symlink_to("../other")
    (lab / "x.yaml").symlink_to(".hidden/secret.yaml")


@pytest.mark.parametrize(
    "lay",
    [
        link("x.yaml", "../other/secret.yaml"),
        link("x", "../other"),
        link("x.yaml", ".."),
        link("x.yaml", "../lab/../other/secret.yaml"),
        link("x.yaml", "/dev/zero"),
        link("x.yaml", "../labour/none.yaml"),
        link("x", "/"),
        chain,
    ],
    ids=["file", "folder", "above", "in and out", "device", "nowhere", "root", "chain"],
)
def test_a_link_out_of_the_directory_is_refused(lab: Path, lay: Callable[[Path], None]) -> None:
    """Whatever else it has, it is told with its name and what to do; nothing behind it is read."""
    before = store.fingerprint(lab)
    lay(lab)
    (problem,) = load(lab).problems
    assert problem.code == "outside"
    assert "--links-out" in problem.sentence and Path(problem.where.file).is_symlink()
    assert store.fingerprint(lab) != before
    assert directory_files(lab) == [lab / "people.yaml"], "nothing behind it is listed"
    Path(problem.where.file).unlink()
    assert store.fingerprint(lab) == before


def test_the_operator_may_allow_it(lab: Path) -> None:
    (lab / "x.yaml").symlink_to("../other/secret.yaml")
    (lab / "y").symlink_to("../other")
    done = phonebook("check", lab)
    assert done.returncode == 1 and done.stdout.count("leads out of the directory") == 2
    assert set(codes(lab, outside=True)) == {"duplicate-id"}, "both are read"
    (lab / "y").unlink()
    assert ids(lab, outside=True) == ["ada", "secret"]
    assert phonebook("check", "--links-out", lab).returncode == 0
    assert phonebook("check", lab, PHONEBOOK_LINKS_OUT="yes").returncode == 0
    assert phonebook("check", "--no-links-out", lab, PHONEBOOK_LINKS_OUT="1").returncode
    assert phonebook("check", lab, PHONEBOOK_LINKS_OUT="maybe").returncode == 2


def test_links_that_stay_inside(lab: Path) -> None:
    """As editors, people and orchestrators make them: a dot-folder that is switched, too."""
    (lab / "..one").mkdir()
    (lab / "..one/more.yaml").write_text("- name: Bob\n")
    (lab / "..data").symlink_to("..one")
    (lab / "more.yaml").symlink_to("..data/more.yaml")
    (lab / "folder").symlink_to("..one")
    (lab / "LICENSE").symlink_to("../other/secret.yaml")  # which is not read
    assert set(codes(lab)) == {"duplicate-id"}
    (lab / "folder").unlink()
    assert ids(lab) == ["bob", "ada"]
    lab.with_name("served").symlink_to("lab")
    assert ids(lab.with_name("served")) == ["bob", "ada"]
    one = lab.with_name("one.yaml")
    one.symlink_to("other/secret.yaml")
    assert ids(one) == ["secret"], "the directory itself may be a link"


@pytest.mark.parametrize("outside", [False, True])
def test_a_changed_target_is_seen(lab: Path, outside: bool) -> None:
    target = lab.parent / "other/secret.yaml" if outside else lab / ".kept"
    target.write_text(SECRET)
    (lab / "x.yaml").symlink_to(target)
    before = store.fingerprint(lab, outside)
    target.write_text(SECRET.replace("99", "100"))
    assert store.fingerprint(lab, outside) != before


def test_what_was_allowed_is_not_served_from_the_cache(lab: Path, tmp_path: Path) -> None:
    (lab / "x.yaml").symlink_to("../other/secret.yaml")
    place = tmp_path / "cache"
    assert store.make(lab, place, outside=True).file
    assert store.cached(lab, place, outside=True) is not None
    assert store.cached(lab, place) is None
    assert phonebook("compile", "--cache", place, lab).returncode == 4
    assert phonebook("compile", "--cache", place, "--links-out", lab).returncode == 0


def test_settings_behind_a_link(lab: Path) -> None:
    """They are read before anything else, as root perhaps."""
    (lab.parent / "other/settings.yaml").write_text("server: {port: 7}\n")
    (lab / "phonebook.yaml").symlink_to("../other/settings.yaml")
    problems = Problems("")
    assert load_settings(lab, problems) == {}
    assert [each.code for each in problems] == ["outside"]
    assert load_settings(lab, Problems(""), outside=True) == {"port": "7"}
    assert shown("--links-out", lab)["port"] == (7, "file")


@pytest.mark.parametrize("key", [key for key, each in SETTINGS.items() if each.apart])
def test_the_directory_grants_nothing(lab: Path, key: str) -> None:
    """What gives a right is for the operator to say."""
    setting = SETTINGS[key]
    (lab / "phonebook.yaml").write_text(f"server: {{{key}: {setting.example or 'yes'}}}\n")
    (problem,) = load(lab).problems
    assert f"has no key `{key}`: it is set by --{key} or PHONEBOOK_" in problem.sentence


@pytest.mark.parametrize("key", ["tls-cert", "tls-key", "tls-client-ca"])
@pytest.mark.parametrize("leading", ["/etc/hostname", "../other/key.pem", "link/key.pem"])
def test_a_path_of_the_file_stays_inside(lab: Path, key: str, leading: str) -> None:
    (lab / "link").symlink_to("/")
    (lab / "tls").mkdir()
    (lab / "phonebook.yaml").write_text(f"server: {{tls-cert: tls/a.pem, {key}: {leading}}}\n")
    if key == "tls-cert":
        (lab / "phonebook.yaml").write_text(f"server: {{tls-cert: {leading}}}\n")
    with pytest.raises(SettingError, match=f"{key} of `server:` leads out of the directory"):
        in_force(Namespace(), lab)
    chosen, _ = in_force(Namespace(**{"links-out": True}), lab)
    assert chosen[key].value == lab / leading


def lay_socket(file: Path) -> None:
    folder = os.open(file.parent, os.O_RDONLY)  # its name may be too long for a socket's
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{folder}/{file.name}")
    finally:
        os.close(folder)


@pytest.mark.parametrize("lay", [os.mkfifo, lay_socket], ids=["pipe", "socket"])
def test_what_is_no_file_is_not_read(
    lab: Path, lay: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe would keep a reader waiting for ever; one that comes at the last moment, too."""
    lay(lab / "x.yaml")
    assert codes(lab) == ["not-a-file"]
    monkeypatch.setattr(os.path, "exists", lambda _: False)
    assert codes(lab) in (["not-a-file"], ["unreadable"])
    monkeypatch.undo()
    (lab / "x.yaml").rename(lab / "phonebook.yaml")
    assert load_settings(lab, Problems("")) == {}


def test_a_device_is_not_read(lab: Path) -> None:
    (lab / "x.yaml").symlink_to("/dev/zero")
    assert codes(lab, outside=True) == ["not-a-file"]


def test_a_folder_may_have_any_name(lab: Path) -> None:
    (lab / "x.yaml").mkdir()
    (lab / "x.yaml/y.yaml").write_text("- name: Bob\n")
    assert ids(lab) == ["ada", "bob"]


def test_a_link_to_itself(lab: Path) -> None:
    (lab / "x.yaml").symlink_to("x.yaml")
    (problem,) = load(lab).problems
    assert problem.code == "unreadable" and "leads to itself" in problem.sentence


@pytest.mark.parametrize("name", ["x.yaml", "phonebook.yaml"])
def test_a_file_may_be_too_large_to_read(lab: Path, name: str) -> None:
    with (lab / name).open("wb") as file:
        file.truncate(5 * MAX_OCTETS)
    assert codes(lab) == ["too-large"]
    assert codes(lab / name) == ["too-large"]
    assert load_settings(lab, Problems("")) == {}
    assert store.make(lab, None).compiled is None


def test_files_may_be_too_large_together(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (lab / f"{number}.yaml").write_text(f"- {{name: N {number}, note: {'x' * 90}}}\n")
    monkeypatch.setattr(loading, "MAX_OCTETS", 300)
    assert codes(lab) == ["too-large"]
    (lab / "3.yaml").unlink()
    (lab / "2.yaml").unlink()
    assert codes(lab) == []


def test_there_may_be_too_many_files(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their names, since each is looked at again and again."""
    (lab / "sub").mkdir()
    for number in range(8):
        (lab / f"sub/{number}.txt").touch()
    monkeypatch.setattr(loading, "MAX_NAMES", 10)
    assert codes(lab) == []
    (lab / "sub/9.txt").touch()
    assert codes(lab) == ["too-many"]
    assert store.fingerprint(lab) == ()


@pytest.mark.parametrize("what", ["the file", "a folder above it"])
def test_a_link_that_is_switched_while_it_is_read(
    lab: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What leads out after it was looked at is not read all the same."""
    (lab / "sub").mkdir()
    (lab / "sub/secret.yaml").write_text("- name: Good\n")
    (lab / "y.yaml").symlink_to("sub/secret.yaml")
    assert codes(lab) == ["duplicate-id"], "a link within is followed"
    (lab / "y.yaml").unlink()
    tree = loading._tree

    def switched(*arguments: Any) -> Any:
        found = tree(*arguments)
        if what == "the file":
            (lab / "sub/secret.yaml").unlink()
            (lab / "sub/secret.yaml").symlink_to(lab.parent / "other/secret.yaml")
        else:
            (lab / "sub").rename(lab / ".sub")
            (lab / "sub").symlink_to("../other")
        return found

    monkeypatch.setattr(loading, "_tree", switched)
    (problem,) = load(lab).problems
    assert problem.code == "outside"


def test_a_file_that_grows_is_read_no_further_than_the_bound(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lab / "people.yaml"
    status = os.stat(file)
    monkeypatch.setattr(os, "fstat", lambda _: status)
    with file.open("a") as grows:
        grows.write("- name: Bob\n")
    assert ids(lab) == ["ada", "bob"]
    monkeypatch.setattr(loading, "MAX_OCTETS", status.st_size + 2)
    assert codes(file) == ["too-large"]


def test_a_folder_is_read_under_its_first_name(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever order the system lists them."""
    (lab / "m").mkdir()
    (lab / "m/one.yaml").write_text("- name: Bob\n")
    for name in ("a", "z"):
        (lab / name).symlink_to("m")
    scandir = os.scandir

    for turned in (False, True):

        @contextmanager
        def listed(path: str, turned: bool = turned) -> Iterator[list[os.DirEntry[str]]]:
            with scandir(path) as entries:
                yield sorted(entries, key=lambda each: each.name, reverse=turned)

        monkeypatch.setattr(os, "scandir", listed)
        assert directory_files(lab) == [lab / "a/one.yaml", lab / "people.yaml"]


@pytest.mark.parametrize("text", ["-\n", "- name:\n  phone: [x]\n  phone.a: x\n"])
def test_problems_are_told_up_to_a_bound(lab: Path, text: str) -> None:
    """Of many files, and of those that a second process reads; the rest is not looked at."""
    for number in range(4):
        (lab / f"{number}.yaml").write_text(text * 2_000)
    problems = load(lab).problems
    assert sum(each.severity == "error" for each in problems) == MAX_PROBLEMS + 1
    last = [each for each in problems if each.code == "too-many-problems"]
    assert [each.severity for each in last][:1] == ["error"] and problems[-1] == last[-1]
    assert len(problems) <= 2 * MAX_PROBLEMS + 2
    made = store.make(lab, None)
    assert made.compiled is None and len(made.problems) == len(problems)


def test_warnings_refuse_nothing_however_many(lab: Path) -> None:
    """And an error behind them is told."""
    (lab / "x.yaml").write_text("- name: A\n  phone: [" + "x, " * 1_500 + "x]\n  id: a\n")
    warned = load_text(b"".join(b"- {name: N%d, phone: x}\n" % n for n in range(1_500)), "x")
    assert warned.directory and len(warned.problems) == MAX_PROBLEMS + 1
    assert warned.problems[-1].severity == "warning"
    text = b"".join(b"- {name: N%d, phone: x}\n" % n for n in range(1_500)) + b"- name: N1\n"
    found = load_text(text, "x")
    assert found.directory is None
    assert [each.code for each in found.problems if each.severity == "error"] == ["duplicate-id"]


def test_what_is_compared_to_make_suggestions_is_bounded() -> None:
    """By names, so that there are many of few."""
    many = range(1_500)
    text = "- name: x\n  unlisted: [" + ", ".join(f"g{each:05}x" for each in many) + "]\n"
    text += "".join(f"  f{each:05}: v\n" for each in many)
    began = time.process_time()
    problems = load_text(text.encode(), "x").problems
    assert time.process_time() - began < 2.5, "4.9 s it took without a bound"
    assert len(problems) == MAX_PROBLEMS + 1
    few = "- name: x\n  phone: 1\n  unlisted: [" + "phon, " * 50 + "phon]\n"
    assert str(load_text(few.encode(), "x").problems).count("`phone`?") == 51


def test_fields_have_a_bound(lab: Path) -> None:
    """The place of each has to be a number of two octets; the first too many is named."""
    per_entry = 500
    lines = [f"x{number:05}: 1\n" for number in range(MAX_FIELDS - 1)]  # and `name`
    text = ""
    for start in range(0, len(lines), per_entry):
        text += f"- name: N{start}\n  " + "  ".join(lines[start : start + per_entry])
    assert load_text(text.encode(), "x").problems == []
    text += "- name: Last\n  phone.one: 1\n"
    (problem,) = load_text(text.encode(), "x").problems
    assert problem.code == "too-many-fields" and "`phone.one`" in problem.sentence
    assert problem.where.line == text.count("\n") - 1


def test_a_small_file_stays_small(lab: Path) -> None:
    """A billion of anything, by aliases, is refused at the first anchor; so is code."""
    bomb = "a: &a [x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    (lab / "x.yaml").write_text(bomb)
    assert {"anchor", "alias"} >= {*codes(lab)} - {"unknown-key"} != set()
    (lab / "x.yaml").write_text("- name: !!python/object/apply:os.system ['touch owned']\n")
    assert "tag" in codes(lab)
    (lab / "x.yaml").write_text("- name: " + "[" * 100_000 + "\n")
    assert "too-deep" in codes(lab)


def test_the_norm_has_the_bounds_of_the_code() -> None:
    said = share("spec/directory.md").read_text("utf-8")
    assert f"most {MAX_NAMES:,} files and folders" in said and f"{MAX_OCTETS:,} octets" in said
    assert f"{MAX_FIELDS:,} different names" in said and f"{MAX_PROBLEMS:,} errors" in said
    assert f"at most {MAX_TESTS} networks" in said and f"at most {MAX_TESTS} certificates" in said
