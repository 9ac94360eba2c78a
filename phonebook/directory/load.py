"""From a path to a directory: which files are read, and in which order.

Implements the section "Files" of spec/directory.md. Bad content never raises: it becomes problems,
all of them in one run, and no directory.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonebook.beside import Begin, later
from phonebook.directory.check import (
    HEADER_FILE,
    Part,
    Tell,
    check,
    nobody,
    outlined,
    read_part,
    read_settings_early,
)
from phonebook.directory.entry import Directory
from phonebook.directory.problems import DirectoryError, Position, Problem, Problems, quoted

SUFFIXES = (".yaml", ".yml")

_LARGE = 1 << 20  # octets for whose reading a second process pays


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load found: a directory where nothing is an error, and all problems in any case."""

    directory: Directory | None
    problems: list[Problem]
    files: list[Path]

    def unwrap(self) -> Directory:
        """Return the directory, or raise every problem as one DirectoryError."""
        if self.directory is None:
            raise DirectoryError(self.problems)
        return self.directory


def load(path: str | os.PathLike[str], begin: Begin = later, tell: Tell | None = None) -> Loaded:
    """Read a directory: one file, or every YAML file of a tree.

    Of a large tree, `begin` begins the reading of every second file. `tell` hears again and again
    which share is read.
    """
    problems = Problems(str(path))
    files, header = found(path, problems)
    theirs = {file: None for file in files[1::2] if file != header}
    if not pays(sum(map(size_of, theirs))):
        theirs = {}

    def read_theirs() -> list[tuple[Any, ...]]:
        read = [read_file(file, may_head=False) for file in theirs]
        return [(part.packed(), part.read()) for part in read]

    begun = begin(read_theirs) if theirs else read_theirs
    mine = [file for file in files if file not in theirs]
    parts = {}
    for number, file in enumerate(mine):

        def told(share: float, before: int = number) -> None:
            if tell:
                tell((before + share) / len(mine))

        parts[file] = read_file(file, file == header, told)
    for file, (packed, entries) in zip(theirs, begun(), strict=True):
        parts[file] = Part.unpacked(str(file), lambda entries=entries: entries, packed)  # type: ignore[misc]
    return _loaded([parts[file] for file in files], problems, files)


def found(path: str | os.PathLike[str], problems: Problems) -> tuple[list[Path], Path]:
    """Return the files that a directory is made of, in their order, and which may have a header."""
    top = Path(path)
    if not os.path.isdir(top):  # which does not raise, as Path's may
        return [top], top
    files = [Path(each) for each in _files(top, problems)]
    if not files and not problems:
        where = Position(str(top), 1, 1)
        problems.error("missing", where, "No file here ends in .yaml or .yml: write one.")
    return files, top / HEADER_FILE


def pays(octets: int) -> bool:
    """Whether a second process pays for the reading of so many octets."""
    return octets >= _LARGE


def size_of(file: Path) -> int:
    """Return how many octets a file has; none where that cannot be told."""
    try:
        return file.stat().st_size
    except (OSError, ValueError):
        return 0


def read_file(file: Path, may_head: bool, tell: Tell = nobody) -> Part:
    """Read a file; one that cannot be read is an empty part."""
    problems = Problems(str(file))
    data = octets(file, problems)
    if data is None:
        return Part(str(file), problems, outlined([]), list)
    return read_part(data, str(file), may_head, tell)


def load_text(data: bytes, name: str) -> Loaded:
    """Read a directory that is one document; its problems stand under this name."""
    return _loaded([read_part(data, name, may_head=True)], Problems(name), [Path(name)])


def load_settings(path: Path, problems: Problems) -> dict[str, str]:
    """Return the settings of a directory, before and without its entries; none where none stand."""
    file = settings_file(path)
    data = octets(file, problems) if file == path or os.path.lexists(file) else None
    return {} if data is None else read_settings_early(data, problems)


def settings_file(path: Path) -> Path:
    """Return the one file of a directory in which settings may stand."""
    return path / HEADER_FILE if os.path.isdir(path) else path


def _loaded(parts: list[Part], problems: Problems, files: list[Path]) -> Loaded:
    directory = check(parts, problems)
    return Loaded(None if problems.fatal else directory, ordered(problems, files), files)


def ordered(problems: Problems, files: list[Path]) -> list[Problem]:
    """Return problems in the order of their places."""
    rank = {str(file): number for number, file in enumerate(files)}
    return sorted(
        problems,
        key=lambda each: (rank.get(each.where.file, -1), each.where.line, each.where.column),
    )


def _files(top: Path, problems: Problems) -> list[str]:
    """Return the files of a tree in the octet order of their paths, without dot-files."""

    def unreadable(error: OSError) -> None:
        _unreadable(Path(error.filename), error, problems)

    found = []
    seen = set()
    for folder, folders, names in os.walk(top, onerror=unreadable, followlinks=True):
        try:
            status = os.stat(folder)
        except OSError as error:  # it was removed meanwhile
            unreadable(error)
            continue
        if (status.st_dev, status.st_ino) in seen:  # a symlink that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(folder, name)
            for name in names
            if name.endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found, key=lambda path: os.fsencode(path.replace(os.sep, "/")))


def octets(file: Path, problems: Problems) -> bytes | None:
    """Return what a file holds; None, once reported, where it cannot be read."""
    if os.path.exists(file) and not os.path.isfile(file):  # a pipe would keep us waiting
        problems.error(
            "unreadable", Position(str(file), 1, 1), "This is not a file: name a file or a folder."
        )
        return None
    try:
        return file.read_bytes()
    except (FileNotFoundError, ValueError):  # a path with a NUL in it leads nowhere
        problems.error(
            "missing",
            Position(str(file), 1, 1),
            f"There is no {quoted(str(file))}: name a file or a folder that exists.",
        )
    except OSError as error:
        _unreadable(file, error, problems)
    return None


def _unreadable(file: Path, error: OSError, problems: Problems) -> None:
    problems.error(
        "unreadable",
        Position(str(file), 1, 1),
        f"This cannot be read ({error.strerror}): check its permissions.",
    )


def directory_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `load` would read, in its order; unreadable folders count for none."""
    top = Path(path)
    return found(top, Problems(str(top)))[0]
