"""`phonebook check DIR`: every mistake of a directory, with its place and what to write instead."""

import argparse
import json
import sys
from pathlib import Path

_EPILOG = """\
example:
  phonebook check examples/lab
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `check` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", metavar="DIR", type=Path, help="a YAML file, or a tree of them")
    parser.add_argument("--format", choices=("text", "json", "github"), default="text")


def run(arguments: argparse.Namespace) -> int:
    """Print every problem; 0 where none is an error, 1 else, 4 where there is nothing to read."""
    from phonebook.directory.load import load
    from phonebook.directory.problems import Problem, printable

    loaded = load(arguments.dir)

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
    gone = all(each.code in ("missing", "unreadable") for each in loaded.problems)
    return 4 if gone else 1


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
