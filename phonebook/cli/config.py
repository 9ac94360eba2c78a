"""`phonebook config DIR`: the settings in force, and where each of them comes from."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from phonebook.cli.flags import add_flags, directory, in_force, links_out, strange_variables
from phonebook.settings import Chosen, SettingError

_EPILOG = """\
It takes the flags of `phonebook serve`, and shows what they would bring about.

example:
  phonebook config --port 7767 examples/lab
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `config` takes."""
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [--json] [settings] [DIR]"
    parser.add_argument("dir", metavar="DIR", type=directory, nargs="?", default=Path(), help="(.)")
    parser.add_argument("--json", action="store_true", help="as a list of objects")
    add_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print them: 0; 2 for one that cannot be read, 4 for a file that cannot."""
    from phonebook.directory.load import load_settings, settings_file
    from phonebook.directory.problems import Problems, printable
    from phonebook.store import cache_place

    for sentence in strange_variables():
        print(f"phonebook: {sentence}", file=sys.stderr)
    problems = Problems(str(settings_file(arguments.dir)))
    try:
        load_settings(arguments.dir, problems, links_out(arguments))
        for problem in problems:
            print(problem, file=sys.stderr)
        if problems.fatal:
            return 4
        chosen, _ = in_force(arguments, arguments.dir)
    except SettingError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 2

    chosen["cache"] = replace(chosen["cache"], value=cache_place(chosen["cache"].value))

    def origin(each: Chosen) -> str:
        if each.source == "file":
            return str(settings_file(arguments.dir))
        return each.by or "default"

    if arguments.json:
        rows = [
            {
                "key": key,
                "value": str(each.value) if isinstance(each.value, Path) else each.value,
                "unit": each.setting.type.unit,
                "source": each.source,
                "from": origin(each),
            }
            for key, each in chosen.items()
        ]
        print(json.dumps(rows, indent=2))
        return 0
    widest = max(map(len, chosen))
    for key, each in chosen.items():
        value = " ".join(filter(None, (each.text or "-", each.text and each.setting.type.unit)))
        print(printable(f"{key:{widest}}  {value:24}  {origin(each)}"))
    return 0
