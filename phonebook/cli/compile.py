"""`phonebook compile DIR`: make ahead of time what a server would make of a directory."""

import argparse
import gc
import sys
from pathlib import Path

from phonebook.cli.flags import add_links_out, cache, directory, links_out
from phonebook.settings import SettingError

_EPILOG = """\
example:
  phonebook compile examples/lab
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `compile` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", metavar="DIR", type=directory, help="a YAML file, or a tree of them")
    parser.add_argument("--cache", type=Path, metavar="PLACE", help="the folder of the cache")
    parser.add_argument(
        "--verify", action="store_true", help="compare what is there with the files' contents"
    )
    add_links_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compile, unless what is there is still true: 0, 4 for a directory that is refused, 5."""
    from phonebook import store
    from phonebook.beside import beside
    from phonebook.directory.problems import printable

    try:
        place, outside = store.cache_place(cache(arguments)), links_out(arguments)
    except SettingError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 2
    file = store.cache_file(arguments.dir, place)
    if store.cached(arguments.dir, place, arguments.verify, outside=outside) is None:
        gc.disable()  # all that is made lives to the end
        made = store.make(arguments.dir, place, beside, outside=outside)
        for problem in made.problems:
            print(problem, file=sys.stderr)
        if made.compiled is None:
            print(f"phonebook: {printable(str(arguments.dir))} is not compiled", file=sys.stderr)
            return 4
        if made.file is None:
            print(f"phonebook: {printable(str(file))}: {made.unwritten}", file=sys.stderr)
            return 5
    print(printable(str(file)))
    return 0
