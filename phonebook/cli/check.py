"""`phonebook check DIR`: every mistake of a directory, with its place and what to write instead."""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from phonebook.cli.flags import add_links_out, directory, in_force, links_out
from phonebook.settings import SettingError

if TYPE_CHECKING:
    from phonebook.directory.entry import Header
    from phonebook.directory.problems import Problem

_PATIENCE = 0.5  # seconds without a sign that it is at work
_SHOWN = 0.1  # seconds that a sign stands

_EPILOG = """\
example:
  phonebook check examples/lab
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `check` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", metavar="DIR", type=directory, help="a YAML file, or a tree of them")
    parser.add_argument("--format", choices=("text", "json", "github"), default="text")
    add_links_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem: 0 where none is an error, 1 else, 4 where there is nothing to read."""
    from phonebook.beside import beside
    from phonebook.directory.load import load
    from phonebook.directory.problems import Problem, counted, printable

    try:
        outside = links_out(arguments)
    except SettingError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 2
    gc.disable()  # all that is read lives to the end
    tell = _progress() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None
    loaded = load(arguments.dir, beside, tell, outside)
    if tell:
        sys.stderr.write("\r\x1b[K")

    problems = loaded.problems
    if loaded.directory is not None:
        problems = [*_of_settings(arguments, loaded.directory.header), *problems]

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
                for problem in problems
            ],
            indent=2,
        )
    else:
        text = "\n".join(map(shown, problems))
    if text:
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()
    if loaded.directory is not None:
        if arguments.format == "text":
            entries = counted(len(loaded.directory.entries), "entry", "entries")
            warnings = counted(len(problems), "warning", "warnings")
            print(f"{entries}, {warnings}", file=sys.stderr)
        return 0
    gone = all(each.code in ("missing", "not-a-file", "unreadable") for each in loaded.problems)
    return 4 if gone else 1


def _of_settings(arguments: argparse.Namespace, header: "Header") -> "list[Problem]":
    """Return warnings of settings with which a server over the directory could not do its work.

    Where the environment sets them here, as it might for the server, that counts.
    """
    from phonebook.directory.load import settings_file
    from phonebook.directory.problems import Position, Problems, quoted

    file = str(settings_file(arguments.dir))
    where, problems = Position(file, 1, 1), Problems(file)
    try:
        chosen, _ = in_force(arguments, arguments.dir)
    except SettingError as error:
        problems.warning("settings", where, f"A server cannot begin so: {error}.")
        return problems
    for key in ("tls-cert", "tls-key", "tls-client-ca"):
        each = chosen[key]
        if each.source == "file" and not os.path.exists(each.value):
            name = quoted(os.path.relpath(each.value, os.path.dirname(file)))
            sentence = f"{each.by} is {name}, and there is no such file: "
            problems.warning("settings", where, f"{sentence}make it, or remove the line.")
    unset = [key for key in ("tls-cert", "tls-client-ca") if chosen[key].value is None]
    views = [each.name for each in header.views if each.keys or each.names]
    if unset and views:
        problems.warning(
            "settings",
            where,
            f"The view {quoted(views[0])} is seen by who shows a certificate, and none is asked "
            f"for: set {' and '.join(f'`{key}`' for key in unset)} of `server:`, or by flag or "
            "variable.",
        )
    return problems


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
