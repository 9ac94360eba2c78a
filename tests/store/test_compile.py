"""`phonebook compile`: exit codes, what it says, and two of it at once."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from documents import ROOT
from running import write

from phonebook import store
from phonebook.cli.main import main

TIME = 60.0  # seconds until a test gives up
LAB = ROOT / "examples/lab"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return where the cache is to be."""
    return tmp_path / "cache"


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Return what runs the command here, and returns its exit code and what it wrote."""

    def running(*arguments: Path | str) -> tuple[int, str, str]:
        code = main(["compile", *map(str, arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    yield running
    gc.enable()  # the command ends, as a rule, before it needs that again


def test_it_names_the_file_and_makes_it_once(run: Run, place: Path) -> None:
    file = store.cache_file(LAB, place)
    assert run("--cache", place, LAB) == (0, f"{file}\n", "")
    first = file.stat().st_ino
    assert run("--cache", place, LAB) == (0, f"{file}\n", "")
    assert run("--verify", "--cache", place, LAB) == (0, f"{file}\n", "")
    assert file.stat().st_ino == first, "it was true"


def test_it_makes_anew_what_is_stale_or_torn(run: Run, tmp_path: Path, place: Path) -> None:
    path = tmp_path / "one.yaml"
    write(path, "- name: Ada\n")
    code, _, _ = run("--cache", place, path)
    file = store.cache_file(path, place)
    write(path, "- name: Berta\n")
    assert store.cached(path, place) is None
    assert run("--cache", place, path)[0] == code == 0
    assert store.cached(path, place) is not None
    file.write_bytes(file.read_bytes()[:-5])
    assert run("--cache", place, path)[0] == 0
    assert store.cached(path, place) is not None


def test_the_place_is_where_the_system_has_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    _, said, _ = run(LAB)
    assert Path(said.strip()).parent == tmp_path / "xdg/phonebook"
    monkeypatch.setenv("CACHE_DIRECTORY", f"{tmp_path / 'systemd'}:{tmp_path / 'other'}")
    _, said, _ = run(LAB)
    assert Path(said.strip()).parent == tmp_path / "systemd"


def test_a_warning_is_told_and_refuses_nothing(run: Run, tmp_path: Path, place: Path) -> None:
    path = tmp_path / "one.yaml"
    write(path, "- name: Ada\n  id: ada\n  unlisted: yes\n- name: Berta\n  contact: ada\n")
    code, said, told = run("--cache", place, path)
    assert (code, said) == (0, f"{store.cache_file(path, place)}\n")
    assert f"{path}:5:" in told
    assert "warning" in told


@pytest.mark.parametrize("text", ["- nmae: Ada\n", "- name: [\n", "", "- name: Ada\n- name: Ada\n"])
def test_a_refused_directory_exits_4(run: Run, tmp_path: Path, place: Path, text: str) -> None:
    path = tmp_path / "one.yaml"
    write(path, text)
    if text:
        code, said, told = run("--cache", place, path)
        assert (code, said) == (4, "")
        assert f"{path}:" in told
        assert told.endswith(f"phonebook: {path} is not compiled\n")
        assert not place.exists()
    else:
        assert run("--cache", place, path)[0] == 0, "no entries are no error"


def test_a_missing_directory_exits_4(run: Run, tmp_path: Path, place: Path) -> None:
    code, said, told = run("--cache", place, tmp_path / "none")
    assert (code, said) == (4, "")
    assert "There is no" in told


def test_a_directory_that_is_gone_exits_4(run: Run, tmp_path: Path, place: Path) -> None:
    path = tmp_path / "one.yaml"
    write(path, "- name: Ada\n")
    assert run("--cache", place, path)[0] == 0
    path.unlink()
    assert run("--cache", place, path)[0] == 4


def test_a_cache_that_cannot_be_written_exits_5(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    write(path / "one.yaml", "- name: Ada\n")
    write(tmp_path / "file", "")
    for place, why in (
        (path / "cache", "inside the directory"),
        (tmp_path / "file", "ile exists"),
        (tmp_path / "file/deeper", "ot a directory"),
    ):
        code, said, told = run("--cache", place, path)
        assert (code, said) == (5, "")
        assert told.startswith(f"phonebook: {store.cache_file(path, place)}: ")
        assert why in told
        assert told.count("\n") == 1


def test_a_path_that_would_trouble_a_terminal_is_told_harmlessly(
    run: Run, tmp_path: Path, place: Path
) -> None:
    path = tmp_path / "a\x1b[31m\u202eb.yaml"
    write(path, "- nmae: Ada\n")
    code, said, told = run("--cache", place, path)
    assert code == 4
    assert "\x1b" not in told + said
    assert "\u202e" not in told + said


def test_two_at_once_hurt_nobody(tmp_path: Path, place: Path) -> None:
    path = tmp_path / "many.yaml"
    write(path, "".join(f"- name: Ada B{number}\n" for number in range(2_000)))
    command = [sys.executable, "-m", "phonebook", "compile", "--cache", str(place), str(path)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    file = store.cache_file(path, place)
    for each in both:
        assert each.communicate(timeout=TIME) == (f"{file}\n", "")
        assert each.returncode == 0
    assert os.listdir(place) == [file.name], "nothing half-written is left"
    kept = store.cached(path, place)
    assert kept is not None
    assert kept[""].count == 2_000
