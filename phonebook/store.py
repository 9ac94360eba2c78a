"""Snapshots of a directory, by way of compiled ones that are kept in a cache.

A compiled snapshot is only ever a cache: it can be deleted at any time, and one that is torn, stale
or foreign is noticed and made again. It never lies inside the directory, and takes its name in one
step, so that servers and checks side by side cannot hurt each other.
"""

import hashlib
import marshal
import mmap
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import phonebook
from phonebook.beside import Begin, beside, later
from phonebook.directory.load import files_and_links, load
from phonebook.directory.problems import Problem, cure
from phonebook.service import image
from phonebook.service.gather import gather
from phonebook.service.snapshot import Compiled, compile_views

SMALL = 262_144
"""Octets of YAML that are read sooner than a cache is asked for."""

_PART = ".part"
_PIECES = ".pieces"
_MAGIC = b"PHONEBOOK PIECE\n"
_ABANDONED = 3_600  # seconds: what was begun so long ago, nobody is still writing

_YOUNG = 2_000_000_000  # nanoseconds: a file this young may change and keep its time

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Of each file: its path, size, time in nanoseconds, number."""

_UNKNOWN = (-1, 0, 0)  # of a file that is not there, or is not looked at


def fingerprint(path: Path, outside: bool = False) -> Fingerprint:
    """Return what changes when a file of the directory does; links lead `outside` if allowed."""
    files, refused = files_and_links(path, outside)
    found = []
    for file in files:
        try:
            status = os.stat(file)
        except (OSError, ValueError):
            found.append((file, *_UNKNOWN))
            continue
        found.append((file, status.st_size, status.st_mtime_ns, status.st_ino))
    found += [(link, *_UNKNOWN) for link in refused]
    return tuple(found)


def is_small(files: Fingerprint) -> bool:
    """Whether a directory is read each time, and not compiled into a file."""
    return sum(size for _, size, _, _ in files) <= SMALL


def cache_place(chosen: Path | None = None) -> Path:
    """Return the folder of the cache: chosen, systemd's, or where XDG has it.

    Who has no home keeps nothing: the folder is then one that cannot be made.
    """
    if chosen is not None:
        return chosen
    if given := os.environ.get("CACHE_DIRECTORY"):
        return Path(given.partition(":")[0])
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "phonebook"
    try:
        return Path.home() / ".cache" / "phonebook"
    except RuntimeError:
        return Path(os.devnull) / "phonebook"


def cache_file(path: Path, place: Path) -> Path:
    """Return the file that a directory's compiled snapshots, of all views, have in the cache."""
    return place / f"{name_of(path.resolve())}.snapshot"


def name_of(path: Path) -> str:
    """Return the name, in the cache, of what belongs to a directory at an absolute path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Made:
    """What came of reading a directory."""

    compiled: Mapping[str, Compiled] | None
    """By view, "" for everybody's; None where it has errors."""
    problems: list[Problem]
    file: Path | None = None
    """Where it was written down."""
    unwritten: str = ""
    """Why it was not."""


def make(path: Path, place: Path | None, begin: Begin = later, *, outside: bool = False) -> Made:
    """Read and compile a directory, and write it into the cache if a place is given.

    Of a large one, `begin` begins what can be done beside. Links lead `outside` if allowed.
    """
    before = fingerprint(path, outside)
    if is_small(before):
        loaded = load(path, later, outside=outside)
        problems = loaded.problems
        compiled = compile_views(loaded.directory) if loaded.directory else None
    else:
        with _Pieces(path, place) as kept:
            compiled, problems = gather(path, kept, begin, outside)
    if compiled is None or place is None:
        return Made(compiled, problems)
    file = cache_file(path, place)
    try:
        note = {"version": phonebook.__version__, "made": time.time_ns(), "files": before}
        note["contents"] = [_digest(name) for name, _, _, _ in before]
        if fingerprint(path, outside) != before:
            raise OSError("the directory changed meanwhile")
        _write(file, path, image.dump(compiled, note))
        _sweep(file.parent)
    except OSError as error:
        why = f"{error.strerror}: {cure(error)}, or choose a folder with --cache"
        return Made(compiled, problems, None, why if error.strerror else str(error))
    return Made(compiled, problems, file)


def make_apart(
    path: Path, place: Path, *, outside: bool = False
) -> tuple[bool, list[str], str] | None:
    """Make it in a copy of this process, which must have no other thread.

    Return whether the directory has errors, all its problems, and why it was not written down; None
    where the copy was killed. A fresh process would first import what is here already, which takes
    a tenth of a second.
    """

    def made() -> tuple[bool, list[str], str]:
        made = make(path, place, beside, outside=outside)
        return made.compiled is None, [*map(str, made.problems)], made.unwritten

    found: tuple[bool, list[str], str] | None = beside(made, lambda: None)()
    return found


def cached(
    path: Path, place: Path, verify: bool = False, *, outside: bool = False
) -> Mapping[str, Compiled] | None:
    """Return a directory's compiled snapshots, mapped, by view, if the cache has true ones.

    Files are compared by size, time and number, and by content where one was young when it was
    read, or where `verify` asks for it; that looks at every octet of the snapshots, too.
    """
    try:
        with cache_file(path, place).open("rb") as file:
            octets = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        compiled, note = image.load(octets, whole=verify)
        return compiled if _is_true(note, fingerprint(path, outside), verify) else None
    except (OSError, ValueError, KeyError, TypeError, image.ImageError):
        return None


def _is_true(note: dict[str, Any], now: Fingerprint, verify: bool) -> bool:
    then = [tuple(each) for each in note["files"]]
    if note["version"] != phonebook.__version__ or then != list(now):
        return False
    for (name, _, changed, _), content in zip(now, note["contents"], strict=True):
        young = note["made"] - changed < _YOUNG
        if (young or verify) and _digest(name) != content:
            return False
    return True


def _digest(name: str) -> str:
    try:
        with open(name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class _Pieces:
    """What the files of a directory bring to its snapshot, each run of them in a file of its own.

    Whatever is not whole, or of another time, is not there. What is not asked for any more is
    removed in the end, so that a directory takes no more room than its snapshot does.
    """

    def __init__(self, path: Path, place: Path | None) -> None:
        """Keep them beside the snapshot of a directory; without a place, keep none."""
        self._path = path
        self._folder = place and cache_file(path, place).with_suffix(_PIECES)
        self._asked: set[str] = set()

    def __enter__(self) -> "_Pieces":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            with suppress(OSError):
                for name in set(os.listdir(self._folder)) - self._asked:
                    if not name.endswith(_PART):  # another may be writing it
                        os.unlink(self._folder / name)
                _sweep(self._folder)

    def get(self, key: str) -> tuple[Any, ...] | None:
        """Return what is kept under a key."""
        self._asked.add(key)
        try:
            if self._folder is None:
                return None
            octets = memoryview((self._folder / key).read_bytes())
            body = octets[len(_MAGIC) : -4]
            if octets[: len(_MAGIC)] != _MAGIC or octets[-4:] != _sum(key, body):
                return None
            value = marshal.loads(body)
        except (OSError, ValueError, EOFError, TypeError):
            return None
        return value if isinstance(value, tuple) else None

    def put(self, key: str, value: tuple[Any, ...]) -> None:
        """Keep it: where that cannot be, it costs the next reload a little time."""
        if self._folder is not None:
            octets = marshal.dumps(value)
            with suppress(OSError):
                _write(self._folder / key, self._path, [_MAGIC, octets, _sum(key, octets)], False)


def _sum(key: str, octets: bytes | memoryview) -> bytes:
    """Return a checksum that octets have under this key alone."""
    return crc32(octets, crc32(key.encode())).to_bytes(4, "little")


def _write(
    file: Path, directory: Path, pieces: Iterable[bytes | memoryview], lasting: bool = True
) -> None:
    """Write a file that is there whole or not at all. Raises OSError.

    One that is not `lasting` may be torn where the power fails.
    """
    if Path(os.path.realpath(file.parent)).is_relative_to(os.path.realpath(directory)):
        raise OSError(f"{file.parent} lies inside the directory")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=_PART)
    try:
        with open(number, "wb") as part:
            for piece in pieces:
                part.write(piece)
            part.flush()
            if lasting:
                os.fsync(part.fileno())
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def _sweep(place: Path) -> None:
    """Remove what was left half-written by those who were killed over it."""
    for part in place.glob(f".*{_PART}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink()
