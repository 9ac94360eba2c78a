"""The commands and their exit codes.

0 done; 1 nothing found, check found errors, a MUST failed; 2 wrong use; 3 no answer, a broken one,
a refusal; 4 directory missing, unreadable or refused at start; 5 address in use or not
permitted, nothing written; 130 Ctrl-C. `phonebook --help` stays quick: nothing heavy is imported
before it is needed.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import phonebook

_COMMANDS = {
    "init": "begin a directory, with certificates if wanted",
    "serve": "answer from a directory kept in YAML",
    "lookup": "look somebody up (also installed as `phone`)",
    "check": "find every mistake in a directory",
    "compile": "make ahead of time what a server makes of a large directory",
    "config": "show the settings in force, and where each comes from",
    "systemd": "print units for systemd, to run a server from boot on",
    "port": "find out what listens on port 767, here or elsewhere",
    "status": "ask a running server how it is",
    "conformance": "try a server, or a client, against the specification",
    "demo": "a server over the example lab, and a few lookups shown octet by octet",
}
_EXAMPLE = """\
example:
  phonebook serve --port 7767 examples/lab &
  phonebook lookup --server localhost:7767 ada
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `phonebook` and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["conformance"]:
        # it has its own parser: what stands behind `--` is somebody else's command
        return _guarded(lambda: _conformance(given[1:]))
    parser = argparse.ArgumentParser(
        prog="phonebook",
        description="A directory of people, places, groups and services on port 767.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"phonebook {phonebook.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        asked = given[:1] == [name]
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if asked:
            module = import_module(f"phonebook.cli.{name}")
            module.add_arguments(command)
            if name == "lookup":
                given = [name, *module.prepare(given[1:])]
    parsed = parser.parse_args(given)
    return _guarded(lambda: _run(parsed.command, parsed))


def phone() -> int:
    """Run `phone`, which is `phonebook lookup`."""
    return main(["lookup", *sys.argv[1:]])


def _run(name: str, parsed: argparse.Namespace) -> int:
    code: int = import_module(f"phonebook.cli.{name}").run(parsed)
    return code


def _conformance(arguments: list[str]) -> int:
    from phonebook.conformance.command import main as conformance

    return conformance(arguments)


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head`: the reader has seen enough
        sys.stdout = None
        return 0
