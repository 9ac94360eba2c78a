"""`phonebook init DIR`: a directory to begin with, and on request certificates for it.

The files of its directory are examples that `check` passes; nothing that is there is overwritten.
"""

import argparse
import ipaddress
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from phonebook.cli.flags import directory
from phonebook.settings import SETTINGS

_EPILOG = """\
Where the directory is there already, --tls makes what it lacks of certificates.

examples:
  phonebook init lab
  phonebook init --tls --name lab.example --client ada lab
"""

_TLS = "tls"
"""The folder of keys and certificates: none of its files is read as YAML."""

_LIVE = ("tls-cert", "tls-key", "tls-client-ca")
"""The settings that are in force where certificates were made."""

_NAME = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?")
_CLIENT = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*(@[0-9A-Za-z][0-9A-Za-z.-]*)?")

_HEADER = """\
# The directory and its server. `phonebook check` tells what is wrong with it, `phonebook config`
# what is in force. Every file beside this one that ends in .yaml is read, in folders too.

directory:
  name: Example laboratory
  contact: frontdesk@lab.example
  # How numbers are written and dialled, so that `phone +1 202 555 0147` finds extension 147:
  # country: 1
  # area: 202
  # main: "+1 202 555 0"
  # extensions: 100-199

# The server's settings. Each can be a flag of `phonebook serve`, too, or an environment variable:
# flags go before variables, variables before what stands here. What is shown is the default, or an
# example where there is none; to set it, take the first two characters of its line away{also}.
"""

_PEOPLE = """\
# An entry begins with a dash and has a name; everything else may be left out.

- name: Ada Example
  title: Head of the laboratory
  phone: 101
  email: ada@lab.example
  room: room-1
  member-of: [team]

- name: Ben Example
  phone:
    - 102
    - +1 202 555 0102
  room: room-2
  member-of: [team]
  reports-to: ada-example
"""

_PLACES = """\
# Rooms, groups and services are entries as people are. Others link to them by their id, which is
# made of the name where none is written.

- name: Room 1
  kind: place
  phone: 111

- name: Room 2
  kind: place

- name: The team
  id: team
  kind: group
  email: team@lab.example
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `init` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", metavar="DIR", type=directory, nargs="?", default=Path(), help="(.)")
    parser.add_argument("--tls", action="store_true", help="make certificates, too")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="with --tls: a further name or address of the server; it has this machine's",
    )
    parser.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="NAME",
        help="with --tls: a certificate for a client of this name",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write it: 0; 2 for wrong use, 5 where something is there or cannot be written."""
    from phonebook.directory.load import directory_files

    if (arguments.client or arguments.name) and not arguments.tls:
        return _failed(f"{'--client' if arguments.client else '--name'} needs --tls", 2)
    for name in arguments.name:
        if not _NAME.fullmatch(name) and not _is_address(name):
            return _failed(f"{name!r} names no server: write a host's name, or an address", 2)
    for name in arguments.client:
        if not _CLIENT.fullmatch(name) or name in ("ca", "server"):
            return _failed(f"{name!r} names no client: write letters, digits, dots, hyphens, @", 2)
    path = arguments.dir
    if path.exists() and not path.is_dir():
        return _failed(f"{path} is a file: name a folder, which is made if it is not there", 5)
    there = path.is_dir() and bool(directory_files(path))
    if there and not arguments.tls:
        return _failed(f"{path} has YAML files already: nothing is written", 5)
    try:
        path.mkdir(parents=True, exist_ok=True)
        certificates = []
        if arguments.tls:
            certificates = _certificates(path / _TLS, arguments.name, arguments.client)
        if not there:
            _write(path, tls=arguments.tls)
    except ImportError:
        return _failed("--tls needs the package cryptography: pip install cryptography", 2)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename:
            return _failed(f"{error.filename}: {error.strerror}", 5)
        return _failed(str(error), 5)
    for line in certificates:
        print(line)
    _tell(path, arguments.tls)
    return 0


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _certificates(folder: Path, names: Sequence[str], clients: Sequence[str]) -> list[str]:
    from phonebook.cli.certificates import make

    return make(folder, names, clients)


def _write(path: Path, tls: bool) -> None:
    files = {"phonebook.yaml": header(tls), "people.yaml": _PEOPLE, "places.yaml": _PLACES}
    for name, text in files.items():
        with (path / name).open("x", encoding="utf-8") as file:
            file.write(text)


def header(tls: bool) -> str:
    """Return phonebook.yaml: every setting is a comment, but where certificates were made."""
    lines = ["server:" if tls else "# server:"]
    for setting in SETTINGS.values():
        if setting.apart:
            continue
        names = f"{setting.flag}, {setting.variable}"
        unit = f", in {setting.type.unit}" if setting.type.unit else ""
        lines.append(f"#   # {setting.sentence}{unit} ({names})")
        live = tls and setting.key in _LIVE
        lines.append(f"{'' if live else '# '}  {setting.key}: {setting.default or setting.example}")
    also = "" if tls else ", and of\n# the first"
    return _HEADER.format(also=also) + "".join(f"{line}\n" for line in lines)


def _tell(path: Path, tls: bool) -> None:
    """Print the two commands to try next."""
    from phonebook.directory.load import load_settings
    from phonebook.directory.problems import Problems

    where = shlex.quote(str(path))
    authority = shlex.quote(str(path / _TLS / "ca.pem"))
    told = load_settings(path, Problems(str(path)))
    flags = [
        f" {SETTINGS[key].flag} {shlex.quote(str(path / SETTINGS[key].example))}"
        for key in _LIVE
        if tls and key not in told
    ]
    print("Next:")
    print(f"  phonebook serve --port 7767{''.join(flags)} {where}")
    print(f"  phone --server localhost:7767{f' --tls --ca {authority}' if tls else ''} ada")


def _failed(sentence: str, code: int) -> int:
    print(f"phonebook: {sentence}", file=sys.stderr)
    return code
