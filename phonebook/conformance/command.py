"""`phonebook conformance`: tries any server, or any client, against the specification."""

import argparse
import importlib
import json
import sys
from typing import NoReturn

from phonebook.conformance import report
from phonebook.conformance.cases import (
    Case,
    CaseError,
    load_cases,
    load_requirements,
    load_untestable,
    load_yaml,
    profiles,
)
from phonebook.conformance.result import verdicts
from phonebook.conformance.run import run
from phonebook.conformance.server import NoAnswer, ask_help
from phonebook.conformance.wire import Address
from phonebook.share import share

DONE, FAILED, WRONG_USE, NO_ANSWER = 0, 1, 2, 3
PORT = 767

EXAMPLE = """\
example:
  phonebook conformance --directory > lab.yaml   # what the server under test must load
  phonebook conformance localhost:7670           # 0: every MUST that was tried holds
  phonebook conformance --client -- mylookup --server {server} {query}
"""


class _WrongUse(Exception):
    """The command line cannot be understood."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _WrongUse(message)


def main(argv: list[str]) -> int:
    """Run the command with the arguments that stand behind its name; return its exit code."""
    own, command = argv, list[str]()
    if "--" in argv:
        place = argv.index("--")
        own, command = argv[:place], argv[place + 1 :]
    _speak_utf8()
    try:
        options = _parser().parse_args(own)
        return _main(options, command)
    except _WrongUse as error:
        print(f"phonebook conformance: {error}", file=sys.stderr)
        print("Try `phonebook conformance --help`.", file=sys.stderr)
        return WRONG_USE
    except (NoAnswer, CaseError) as error:
        print(f"phonebook conformance: {error}", file=sys.stderr)
        return NO_ANSWER if isinstance(error, NoAnswer) else WRONG_USE


def _speak_utf8() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="phonebook conformance",
        description="Try a server against spec/phonebook.md, requirement by requirement.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("server", nargs="?", metavar="HOST:PORT", help="the server under test; [::1]:767 for IPv6")
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--udp", action="store_true", help="over UDP alone")
    transport.add_argument("--tcp", action="store_true", help="over TCP (and TLS) alone")
    add("--case", metavar="ID", help="one case alone")
    add("--profile", metavar="NAME", help="the directory that the server has loaded (core)")
    add("--strict", action="store_true", help="count what is only a SHOULD, too")
    add("--format", choices=("text", "json", "junit"), default="text", help="of the report")
    add("--list", action="store_true", help="show the requirements and their cases")
    add("--directory", action="store_true", help="print the directory that a server must load")
    add("--as", dest="form", choices=("yaml", "json"), default="yaml", help="of --directory")
    add("--client", action="store_true", help="try a client: the command behind `--`")
    return parser


def _main(options: argparse.Namespace, command: list[str]) -> int:
    if options.profile is not None and options.profile not in profiles():
        names = ", ".join(profiles())
        raise _WrongUse(f"there is no profile {options.profile}; there are {names}.")
    actions = [options.list, options.directory, options.client, options.server is not None]
    if sum(actions) != 1:
        raise _WrongUse("give either HOST:PORT, --list, --directory or --client.")
    if bool(command) != options.client:
        raise _WrongUse("a client's command stands behind `--client --`.")
    if options.client:
        hostile = importlib.import_module("phonebook.conformance.hostile")
        return int(hostile.main(command, options.format))
    if options.directory:
        _print_directory(options.profile or "core", options.form)
        return DONE
    if options.list:
        _print_list()
        return DONE
    return _try_server(options)


def _print_directory(profile: str, form: str) -> None:
    path = share(f"spec/conformance/profiles/{profile}.yaml")
    if form == "json":
        print(json.dumps(load_yaml(path), indent=1, ensure_ascii=False))
    else:
        print(path.read_text("utf-8"), end="")


def _print_list() -> None:
    cases = load_cases()
    untestable = load_untestable()
    for requirement in load_requirements().values():
        print(f"{requirement.id:<5} {requirement.keyword}: {requirement.sentence}")
        for case in cases:
            if requirement.id in case.tries:
                profile = "" if case.profile == "core" else f" [{case.profile}]"
                print(f"      {case.id} ({', '.join(case.transport)}){profile}: {case.about}")
        if requirement.id in untestable:
            print(f"      not tried here: {untestable[requirement.id].reason}")


def read_address(text: str) -> Address:
    """Return the address that HOST, HOST:PORT, [V6]:PORT or V6 name."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _WrongUse(f"{text} is no server; write HOST:PORT, or [::1]:767 for IPv6.")
        port = rest[1:] if rest else str(PORT)
    elif text.count(":") > 1:
        host, port = text, str(PORT)
    else:
        host, colon, port = text.partition(":")
        port = port if colon else str(PORT)
    number = int(port) if port.isascii() and port.isdecimal() else 0
    if not host or not 0 < number < 65_536:
        raise _WrongUse(f"{text} is no server; write HOST:PORT with a port from 1 to 65535.")
    try:
        host.encode("idna")  # as it is looked up
    except UnicodeError:
        raise _WrongUse(f"{text} is no server: {host} is no host name.") from None
    return Address(host, number)


def _try_server(options: argparse.Namespace) -> int:
    address = read_address(options.server)
    cases = _chosen(load_cases(), options.case)
    profile = options.profile or (cases[0].profile if options.case else "core")
    transports = (
        {"udp"} if options.udp else {"tcp", "tls"} if options.tcp else {"tcp", "udp", "tls"}
    )
    try:
        server = ask_help(address, sorted(transports))
    except OSError as error:
        raise NoAnswer(f"{address} cannot be asked: {error.strerror or error}.") from None
    results = run(server, cases, frozenset(transports), profile)
    requirements = load_requirements()
    if options.case:
        broken = {name for each in results for fail in each.failures for name in fail.requirements}
        kept = broken.union(*(case.tries for case in cases))
        requirements = {name: each for name, each in requirements.items() if name in kept}
    found = verdicts(requirements, load_untestable(), results)
    if options.format == "json":
        print(report.as_json(found, results))
    elif options.format == "junit":
        print(report.as_junit(found, results))
    else:
        for line in report.text(found, results):
            print(line)
    return FAILED if report.must_failed(found, options.strict) else DONE


def _chosen(cases: list[Case], name: str | None) -> list[Case]:
    chosen = [case for case in cases if name in (None, case.id)]
    if not chosen:
        raise _WrongUse(f"there is no case {name}; `phonebook conformance --list` shows all.")
    return chosen
