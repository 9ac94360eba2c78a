"""From a path to a directory: which files are read, and in which order.

Implements the section "Files" of spec/directory.md. Bad content never raises: it becomes problems,
all of them in one run, and no directory.
"""

import os
from dataclasses import dataclass
from itertools import islice
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
from phonebook.directory.problems import (
    MAX_PROBLEMS,
    DirectoryError,
    Position,
    Problem,
    Problems,
    Severity,
    cure,
    quoted,
)
from phonebook.directory.regular import NotRegular, TooLarge, open_at_once, read_regular
from phonebook.directory.within import LeadsOutError, Within

SUFFIXES = (".yaml", ".yml")

MAX_NAMES = 100_000
"""Files and folders of a tree, whatever they are: where there are more, nothing is read."""

MAX_OCTETS = 1 << 30
"""Octets of all files that are read: where there are more, nothing is."""

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


def load(
    path: str | os.PathLike[str],
    begin: Begin = later,
    tell: Tell | None = None,
    outside: bool = False,
) -> Loaded:
    """Read a directory: one file, or every YAML file of a tree.

    Of a large tree, `begin` begins the reading of every second file. `tell` hears again and again
    which share is read. Links lead `outside` of the tree only where that is allowed.
    """
    problems = Problems(str(path))
    files, header, within = found(path, problems, outside)
    theirs = {file: None for file in files[1::2] if file != header}
    if not pays(sum(map(size_of, theirs))):
        theirs = {}

    def read_theirs() -> list[tuple[Any, ...]]:
        read = read_some([*theirs], None, within)
        return [(part.packed(), part.read()) for part in read]

    begun = begin(read_theirs) if theirs else read_theirs
    mine = [file for file in files if file not in theirs]
    parts = dict(zip(mine, read_some(mine, header, within, tell or nobody), strict=True))
    for file, (packed, entries) in zip(theirs, begun(), strict=True):
        parts[file] = Part.unpacked(str(file), lambda entries=entries: entries, packed)  # type: ignore[misc]
    return _loaded([parts[file] for file in files], problems, files)


def found(
    path: str | os.PathLike[str], problems: Problems, outside: bool = False
) -> tuple[list[Path], Path, Within | None]:
    """Return the files that a directory is made of, in their order, and which may have a header;
    of a tree, within what they have to be when they are read."""
    top = Path(path)
    files, header = [top], top
    within = within_of(top, outside)
    if os.path.isdir(top):  # which does not raise, as Path's may
        names, refused = _tree(top, problems, outside)
        files, header = [Path(each) for each in names], top / HEADER_FILE
        for link in refused:
            _led_out(link, problems)
        if not files and not problems:
            where = Position(str(top), 1, 1)
            problems.error("missing", where, "No file here ends in .yaml or .yml: write one.")
    if sum(map(size_of, files)) > MAX_OCTETS:
        _too_large(top, problems)
        files = []
    return files, header, within


def within_of(path: Path, outside: bool) -> Within | None:
    """Return within what the files of a directory have to be; None where they may be anywhere."""
    return Within(path) if not outside and os.path.isdir(path) else None


def pays(octets: int) -> bool:
    """Whether a second process pays for the reading of so many octets."""
    return octets >= _LARGE


def size_of(file: Path) -> int:
    """Return how many octets a file has; none where that cannot be told."""
    try:
        return file.stat().st_size
    except (OSError, ValueError):
        return 0


def read_some(
    files: list[Path], header: Path | None, within: Within | None, tell: Tell = nobody
) -> list[Part]:
    """Read files, unless those before have more errors than are told; one may have a header."""
    parts: list[Part] = []
    errors = 0
    for number, file in enumerate(files):

        def told(share: float, before: int = number) -> None:
            tell((before + share) / len(files))

        if errors > MAX_PROBLEMS:
            parts.append(Part.unread(str(file)))
            continue
        parts.append(read_file(file, file == header, within, told))
        errors += parts[-1].problems.errors
    return parts


def read_file(file: Path, may_head: bool, within: Within | None, tell: Tell = nobody) -> Part:
    """Read a file; one that cannot be read is an empty part."""
    problems = Problems(str(file))
    data = octets(file, problems, within)
    if data is None:
        return Part(str(file), problems, outlined([]), list)
    return read_part(data, str(file), may_head, tell)


def load_text(data: bytes, name: str) -> Loaded:
    """Read a directory that is one document; its problems stand under this name."""
    return _loaded([read_part(data, name, may_head=True)], Problems(name), [Path(name)])


def load_settings(path: Path, problems: Problems, outside: bool = False) -> dict[str, str]:
    """Return the settings of a directory, before and without its entries; none where none stand."""
    file = settings_file(path)
    if file != path and not os.path.lexists(file):
        return {}
    data = octets(file, problems, within_of(path, outside))
    return {} if data is None else read_settings_early(data, problems)


def settings_file(path: Path) -> Path:
    """Return the one file of a directory in which settings may stand."""
    return path / HEADER_FILE if os.path.isdir(path) else path


def _loaded(parts: list[Part], problems: Problems, files: list[Path]) -> Loaded:
    directory = check(parts, problems)
    return Loaded(None if problems.fatal else directory, ordered(problems, files), files)


def ordered(problems: Problems, files: list[Path]) -> list[Problem]:
    """Return problems in the order of their places, no more than are told."""
    rank = {str(file): number for number, file in enumerate(files)}
    in_order = sorted(
        problems,
        key=lambda each: (rank.get(each.where.file, -1), each.where.line, each.where.column),
    )
    left: dict[Severity, int] = {"error": MAX_PROBLEMS, "warning": MAX_PROBLEMS}
    told = []
    for each in in_order:
        left[each.severity] -= 1
        if left[each.severity] >= 0:
            told.append(each)
    for severity, room in left.items():
        if room < 0:
            sentence = f"More than these {MAX_PROBLEMS:,} {severity}s are there: mend them first."
            where = Position(problems.file, 1, 1)
            told.append(Problem(severity, "too-many-problems", sentence, where))
    return told


def _tree(top: Path, problems: Problems, outside: bool) -> tuple[list[str], list[str]]:
    """Return the files of a tree, and the links that lead out of it unless that is allowed.

    Both are in the octet order of their paths, without dot-files.
    """
    files: list[str] = []
    refused: list[str] = []
    within = None if outside else Within(top)
    folders = [str(top)]
    seen = set()
    count = 0
    while folders:
        folder = folders.pop()
        try:
            status = os.stat(folder)
            with os.scandir(folder) as listed:
                entries = list(islice(listed, MAX_NAMES - count + 1))
        except OSError as error:  # one that was removed meanwhile, too
            _unreadable(Path(folder), error, problems)
            continue
        if (status.st_dev, status.st_ino) in seen:  # a symlink that leads back
            continue
        seen.add((status.st_dev, status.st_ino))
        count += len(entries)
        if count > MAX_NAMES:
            problems.error(
                "too-many",
                Position(str(top), 1, 1),
                f"More than {MAX_NAMES:,} files and folders are here: take away what is not of "
                "the directory.",
            )
            return [], []
        inner: list[str] = []
        for each in entries:
            is_folder = _is_folder(each)
            if each.name.startswith(".") or not (is_folder or each.name.endswith(SUFFIXES)):
                continue
            if within and each.is_symlink() and not within.has(each.path):
                refused.append(each.path)
            else:
                (inner if is_folder else files).append(each.path)
        folders += sorted(inner, key=_octet_order, reverse=True)  # the first is read next
    return sorted(files, key=_octet_order), sorted(refused, key=_octet_order)


def _octet_order(path: str) -> bytes:
    return os.fsencode(path.replace(os.sep, "/"))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symlink to itself
        return False


def leads_out(file: Path, top: Path) -> bool:
    """Return whether a file below a folder is not within it once all links are followed."""
    return not Within(top).has(file)


def _led_out(link: str, problems: Problems) -> None:
    problems.error(
        "outside",
        Position(link, 1, 1),
        "This link leads out of the directory: put the file itself here, or allow such links with "
        "--links-out.",
    )


def octets(file: Path, problems: Problems, within: Within | None) -> bytes | None:
    """Return what a file holds; None, once reported, where it cannot be read or leads out."""
    where = Position(str(file), 1, 1)

    def opener(name: str, flags: int) -> int:
        return within.open(file, flags) if within else open_at_once(name, flags)

    try:
        return read_regular(file, MAX_OCTETS, opener)
    except (FileNotFoundError, ValueError):  # a path with a NUL in it leads nowhere
        problems.error(
            "missing",
            where,
            f"There is no {quoted(str(file))}: name a file or a folder that exists.",
        )
    except LeadsOutError:
        _led_out(str(file), problems)
    except NotRegular as error:
        problems.error("not-a-file", where, str(error))
    except TooLarge:
        _too_large(file, problems)
    except OSError as error:
        _unreadable(file, error, problems)
    return None


def _too_large(path: Path, problems: Problems) -> None:
    problems.error(
        "too-large",
        Position(str(path), 1, 1),
        f"This has more than {MAX_OCTETS:,} octets to read: take away what is not of the "
        "directory.",
    )


def _unreadable(file: Path, error: OSError, problems: Problems) -> None:
    where = Position(str(file), 1, 1)
    problems.error("unreadable", where, f"This cannot be read ({error.strerror}): {cure(error)}.")


def directory_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that `load` would read, in its order; unreadable folders count for none."""
    return [Path(each) for each in files_and_links(Path(path))[0]]


def files_and_links(top: Path, outside: bool = False) -> tuple[list[str], list[str]]:
    """Return the files that `load` would read, and the links that it would refuse."""
    if not os.path.isdir(top):
        return [str(top)], []
    return _tree(top, Problems(str(top)), outside)
