"""`phonebook status [DIR | HOST:PORT]`: how a running server is.

One of this machine tells its owner, over the control socket; any other what anyone may know.
"""

import argparse
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from phonebook.cli.flags import EMPTY

_EPILOG = """\
examples:
  phonebook status                     the server of this user, if there is one
  phonebook status examples/lab        the one over this directory
  phonebook status --json examples/lab
  phonebook status lab.example:767     any server: what it tells anybody
"""
_SYSTEMD = Path("/run/phonebook/phonebook.sock")  # where our unit has it
_TIME = 5.0  # seconds
_LIMITS = {
    "connections": "connections",
    "connections_of_a_network": "connections of a network",
    "handshakes": "handshakes under way",
    "requests_of_a_connection": "requests that wait at a connection",
    "octets_of_a_connection": "octets held for a connection",
    "handshake_seconds": "seconds of a handshake",
    "request_seconds": "seconds of a request line",
    "idle_seconds": "seconds of an idle connection",
    "session_seconds": "seconds of a connection",
    "log_lines_of_a_second": "log lines within this second",
}
"""What a person reads for each limit; of connections that one is shown which has most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `status` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("server", metavar="DIR|HOST:PORT", nargs="?", help="which one")
    parser.add_argument("--cache", type=Path, metavar="PLACE", help="its folder of the cache")
    parser.add_argument("--json", action="store_true", help="all of it, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Ask and print; 3 where nobody answers."""
    given = arguments.server
    if given == "":
        print(f"phonebook: {EMPTY}", file=sys.stderr)
        return 2
    try:
        if given and not os.path.exists(given):
            report, text = _remote(given)
        else:
            report = _local(Path(given) if given else None, arguments.cache)
            text = _shown(report)
    except _NoStatus as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 3
    from phonebook.directory.problems import printable

    print(json.dumps(report, indent=2) if arguments.json else "\n".join(map(printable, text)))
    return 0


class _NoStatus(Exception):
    """Nobody tells."""


def _local(path: Path | None, cache: Path | None) -> dict[str, Any]:
    from phonebook.server.control import Asking, ControlError, Nobody, control_file
    from phonebook.store import cache_place

    place = cache_place(cache)
    if "RUNTIME_DIRECTORY" in os.environ:
        files = [control_file(Path(), place)]
    else:
        files = [*sorted(place.glob("*.sock")), _SYSTEMD]
    if path is not None:  # as it was given to the server, as a rule: else by another path
        files.insert(0, control_file(path, place))
    reports, refusals = [], []
    for file in dict.fromkeys(files):
        try:
            report, _ = Asking(file).ask("status")
        except Nobody:
            continue
        except ControlError as error:
            refusals.append(str(error))
        else:
            if path is None or os.path.realpath(report["directory"]["path"]) == os.path.realpath(
                path
            ):
                reports.append(report)
    if not reports:
        whose = f" for {path}" if path else ""
        raise _NoStatus(
            refusals[0]
            if refusals
            else f"no server of this user answers{whose} here: name the DIR that one was started "
            "with (and the PLACE, if it was with --cache), or HOST:PORT for any server"
        )
    if len(reports) > 1:
        names = " ".join(report["directory"]["path"] for report in reports)
        raise _NoStatus(f"several run here; name one: {names}")
    answer: dict[str, Any] = reports[0]
    return answer


def _shown(report: dict[str, Any]) -> list[str]:
    """Return the lines that a person reads."""
    from phonebook.directory.problems import counted

    directory = report["directory"]
    lines = [
        f"phonebook {report['version']}, process {report['pid']}, since {_time(report['since'])}",
        f"answers on {' '.join(report['addresses'])} ({' '.join(report['transports'])})",
        f"directory {directory['path']}, loaded {_time(directory['loaded'])}",
    ]
    for name, view in directory["views"].items():
        lines.append(
            f"  view {name}: {counted(view['entries'], 'entry', 'entries')}, at {view['at']}"
        )
    if directory["errors"]:
        lines.append("  the last change is refused:")
        lines += [f"    {error}" for error in directory["errors"]]
    for each in report["workers"]:
        lines.append(
            f"worker {each['pid']}, since {_time(each['since'])}, "
            f"{counted(each['restarts'], 'restart', 'restarts')}, "
            f"{counted(each['connections'], 'connection', 'connections')}"
        )
    lines += [_limit(label, report["limits"][name]) for name, label in _LIMITS.items()]
    lines += [_budget(name, budget) for name, budget in report["budgets"].items()]
    for transport, codes in report["requests"].items():
        told = ", ".join(f"{code}: {count}" for code, count in codes.items())
        lines.append(f"replies over {transport}: {told or 'none'}")
    return lines


def _limit(label: str, limit: dict[str, Any]) -> str:
    network = f" ({limit['network']})" if limit.get("network") else ""
    refused = f"; {limit['refused']} refused" if limit.get("refused") else ""
    return f"{label}: {limit['now']:g} of {limit['most']:g} at most{network}{refused}"


def _budget(transport: str, budget: dict[str, int]) -> str:
    told = f"{budget['networks']} networks, {budget['wider']} wider ones"
    told += ", and what all have together" if budget["all"] else ""
    refused = f"; {budget['refused']} refused" if budget["refused"] else ""
    return f"budgets over {transport}: exhausted by {told}{refused}"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _remote(server: str) -> tuple[dict[str, Any], list[str]]:
    """Return what a server tells anybody of itself: its help."""
    from phonebook.client.address import Address
    from phonebook.client.answer import ClientError
    from phonebook.wire import Reply, ReplyError, ReplyReader

    reader, replies = ReplyReader(), list[Reply]()
    try:
        address = Address.parse(server)
        with socket.create_connection(address, _TIME) as connection:
            connection.settimeout(_TIME)
            began = time.perf_counter()
            connection.sendall(b"HELP\r\n")
            while not replies and (octets := connection.recv(65_536)):
                replies = reader.feed(octets)
            seconds = time.perf_counter() - began
    except ClientError as error:
        raise _NoStatus(f"{server} is neither a directory here nor a server: {error}") from None
    except OSError as error:
        raise _NoStatus(f"{server}: {error.strerror or error}") from None
    except ReplyError as error:
        raise _NoStatus(f"{server} speaks no phonebook: {error}") from None
    if not replies or not replies[0].entries:
        raise _NoStatus(f"{server} tells nothing")
    fields: dict[str, list[str]] = {}
    for field, value in replies[0].entries[0]:
        fields.setdefault(field, []).append(value)
    lines = [f"{field}: {' '.join(values)}" for field, values in fields.items()]
    report = {"server": str(address), "milliseconds": round(seconds * 1_000, 3), "help": fields}
    return report, [f"{address} answers within {seconds * 1_000:.1f} ms", *lines]
