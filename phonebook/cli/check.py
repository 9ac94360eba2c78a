"""`phonebook check DIR`: every mistake of a directory, with its place and what to write instead."""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from phonebook.cli.flags import add_links_out, links_out
from phonebook.settings import SettingError

_PATIENCE = 0.5  # seconds without a sign that it is at work
_SHOWN = 0.1  # seconds that a sign stands

_EPILOG = """\
example:
  phonebook check examples/lab
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `check` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", metavar="DIR", type=Path, help="a YAML file, or a tree of them")
    parser.add_argument("--format", choices=("text", "json", "github"), default="text")
    add_links_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem: 0 where none is an error, 1 else, 4 where there is nothing to read."""
    from phonebook.beside import beside
    from phonebook.directory.load import load
    from phonebook.directory.problems import Problem, printable

    try:
        outside = links_out(arguments)
    except SettingError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 2
    gc.disable()  # all that is read lives to the end
    tell = _progress() if sys.stderr.isatty() else None
    loaded = load(arguments.dir, beside, tell, outside)
    if tell:
        sys.stderr.write("\r\x1b[K")

    def escaped(text: str) -> str:
        return printable(text).replace("%", "%25")

    def shown(problem: Problem) -> str:
        if arguments.format == "text":
            return str(problem)
        where = problem.where
        file = escaped(where.file).replace(":", "%3A").replace(",", "%2C")
        place = f"file={file},line={where.line},col={where.column}"
        sentence = escaped(problem.sentence)
        return f"::{problem.severity} {place}::{sentence} [{problem.code}]"

    if arguments.format == "json":
        text = json.dumps(
            [
                {
                    "file": problem.where.file,
                    "line": problem.where.line,
                    "column": problem.where.column,
                    "severity": problem.severity,
                    "code": problem.code,
                    "sentence": problem.sentence,
                }
                for problem in loaded.problems
            ],
            indent=2,
        )
    else:
        text = "\n".join(map(shown, loaded.problems))
    if text:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()
    if loaded.directory is not None:
        if arguments.format == "text":
            entries = _counted(len(loaded.directory.entries), "entry", "entries")
            warnings = _counted(len(loaded.problems), "warning", "warnings")
            print(f"{entries}, {warnings}", file=sys.stderr)
        return 0
    gone = all(each.code in ("missing", "not-a-file", "unreadable") for each in loaded.problems)
    return 4 if gone else 1


def _progress() -> Callable[[float], None]:
    """Return what shows on a terminal how far the reading is; nothing where it is quick."""
    began = shown = time.monotonic()

    def tell(share: float) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - began > _PATIENCE and now - shown > _SHOWN:
            shown = now
            sys.stderr.write(f"\r{share:.0%} read ")
            sys.stderr.flush()

    return tell


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
