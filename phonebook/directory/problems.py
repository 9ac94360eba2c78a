"""What is wrong with a directory, and where: positions, problems, and their one-line form.

Implements the section "Problems" of spec/directory.md.
"""

import errno
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

Severity = Literal["error", "warning"]

MAX_PROBLEMS = 1_000
"""Errors that a run tells, and warnings: where there are more, it says so instead."""

_COMPARED = 200_000  # names with which misspelt ones are compared, at most, in a file

# Characters of a quoted value that a sentence shows before it cuts the value short.
SHOWN_CHARACTERS = 60

# What may steer a terminal, break a line or reverse the text around it, and lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\uffff]"
)


class Position(NamedTuple):
    """A place in a file: line and column count characters, from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{printable(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to write instead."""

    severity: Severity
    code: str
    sentence: str
    where: Position

    def __str__(self) -> str:
        """Return `FILE:LINE:COLUMN: error: sentence [code]`, safe to print on a terminal."""
        return f"{self.where}: {self.severity}: {printable(self.sentence)} [{self.code}]"


class Placed(Protocol):
    """What stands in the file that is read: it has a mark of the parser's, which counts from 0."""

    @property
    def start_mark(self) -> Any:
        """Where it begins: a line and a column."""


class Problems(list[Problem]):
    """The problems found so far in a file. A checker notes them and reads on.

    Of either severity, one more than are told is kept: then there are more.
    """

    def __init__(self, file: str) -> None:
        """Begin with none."""
        super().__init__()
        self.file = file
        self._noted = Counter[Severity]()
        self._compared = 0

    def error(self, code: str, at: Placed | Position, sentence: str) -> None:
        """Note what keeps the directory from being served."""
        self._note("error", code, at, sentence)

    def warning(self, code: str, at: Placed | Position, sentence: str) -> None:
        """Note what is allowed but probably not meant."""
        self._note("warning", code, at, sentence)

    def _note(self, severity: Severity, code: str, at: Placed | Position, sentence: str) -> None:
        if self._noted[severity] <= MAX_PROBLEMS:
            self._noted[severity] += 1
            self.append(Problem(severity, code, sentence, self._where(at)))

    def _where(self, at: Placed | Position) -> Position:
        if isinstance(at, Position):
            return at
        return Position(self.file, at.start_mark.line + 1, at.start_mark.column + 1)

    @property
    def errors(self) -> int:
        """How many errors were noted here."""
        return self._noted["error"]

    @property
    def full(self) -> bool:
        """Whether a further error would not be told."""
        return self.errors > MAX_PROBLEMS

    def may_compare(self, count: int) -> bool:
        """Whether a name may be compared with so many, to say which of them was meant.

        That takes long, and of the first mistakes it is enough.
        """
        self._compared += count
        return self._compared - count < _COMPARED

    @property
    def fatal(self) -> bool:
        """Whether one of them is an error."""
        return any(each.severity == "error" for each in self)


class DirectoryError(Exception):
    """The directory has errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)) or self.__doc__)


def printable(text: str) -> str:
    """Return the text with every character that is unsafe to print written as an escape."""
    return _UNSAFE.sub(_escape, text)


def quoted(text: str) -> str:
    """Return a value as a sentence quotes it: in backticks, cut where it is long."""
    if len(text) > SHOWN_CHARACTERS:
        text = text[: SHOWN_CHARACTERS - 3] + "..."
    return f"`{printable(text)}`"


def counted(number: int, one: str, many: str) -> str:
    """Return a number and what it counts, as `1 entry`."""
    return f"{number} {one if number == 1 else many}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


_CURES = {
    errno.ENOENT: "put it there, or name another",
    errno.EMFILE: "raise the limit on open files (ulimit -n, LimitNOFILE= of a unit)",
    errno.ENFILE: "raise the system's limit on open files (fs.file-max)",
    errno.ENOMEM: "it needs more memory",
    errno.EAGAIN: "it needs more processes or memory",
    errno.ENOSPC: "free some room on the disk",
    errno.EDQUOT: "free some room on the disk",
    errno.ELOOP: "remove the link that leads to itself",
    errno.EIO: "look at the disk",
}


def cure(error: OSError) -> str:
    """Return what to do about what the system refuses, as the end of a sentence."""
    return _CURES.get(error.errno or 0, "check its permissions")
