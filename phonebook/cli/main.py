"""The commands and their exit codes.

0 done; 1 nothing found, check found errors, a MUST failed; 2 wrong use; 3 no answer, a broken one,
a refusal; 4 directory missing, unreadable or refused at start; 5 address in use or not
permitted, something cannot be written; 130 Ctrl-C. `phonebook --help` stays quick: nothing heavy is
imported before it is needed.
"""

import argparse
import errno
import os
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
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""How writing to standard output fails: the disk is full, the terminal gone, the file closed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `phonebook` and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    return _guarded(lambda: _main(given))


def phone() -> int:
    """Run `phone`, which is `phonebook lookup`."""
    return _guarded(lambda: _command("lookup", sys.argv[1:], "phone"))


def _main(given: list[str]) -> int:
    name = given[0] if given else ""
    if name == "conformance":
        # it has its own parser: what stands behind `--` is somebody else's command
        code: int = import_module("phonebook.conformance.command").main(given[1:])
        return code
    if name in _COMMANDS:
        return _command(name, given[1:], f"phonebook {name}")
    parser = argparse.ArgumentParser(
        prog="phonebook",
        description="A directory of people, places, groups and services on port 767.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"phonebook {phonebook.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for each, summary in _COMMANDS.items():
        commands.add_parser(each, help=summary)
    parser.parse_args(given[:1])  # help, the version, or an error: it is no command
    return 2


def _command(name: str, given: list[str], prog: str) -> int:
    module = import_module(f"phonebook.cli.{name}")
    summary = _COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=prog,
        description=summary[0].upper() + summary[1:] + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    if name == "lookup":
        given = module.prepare(given, parser.error)
    code: int = module.run(parser.parse_args(given))
    return code


def _guarded(command: Callable[[], int]) -> int:
    if sys.stdout is None:  # closed: what is written shall fail, and no socket have its number
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()  # here, where a failure can still be told
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head`: the reader has seen enough
        _drop_output()
        return 0
    except OSError as error:
        if error.filename or error.errno not in _NOT_WRITTEN:
            raise
        _drop_output()
        print(f"phonebook: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 5


def _drop_output() -> None:
    """Let what waits to be written go nowhere: Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
