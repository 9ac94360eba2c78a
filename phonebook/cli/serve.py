"""`phonebook serve DIR`: the server in the foreground."""

import argparse
import logging
import os
import signal
import sys
from functools import partial

from phonebook.cli.flags import add_flags, directory, in_force, is_confined, strange_variables
from phonebook.settings import SettingError, host_and_port, not_in_force, seconds

_WIDEST_FLAG = 31  # characters: a line for each setting

_EPILOG = """\
A setting comes from its flag, else from the environment (PHONEBOOK_IDLE_TIMEOUT), else
(but the last four) from `server:` in DIR/phonebook.yaml: `phonebook config DIR` shows it.

example:
  phonebook serve --host 127.0.0.1 --port 7767 examples/lab
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `serve` takes."""
    parser.epilog = _EPILOG
    parser.formatter_class = partial(
        argparse.RawDescriptionHelpFormatter, max_help_position=_WIDEST_FLAG
    )
    parser.usage = "%(prog)s [settings] DIR"
    parser.add_argument("dir", metavar="DIR", type=directory, help="a YAML file, or a tree of them")
    add_flags(parser)
    parser.add_argument(
        "--takeover", action="store_true", help="take over the running server's sockets"
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument(
        "-q", "--quiet", action="store_true", help="errors alone, and when it is ready"
    )
    loudness.add_argument("-v", "--verbose", action="store_true", help="tell of reloads and more")


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    try:
        chosen, file = in_force(arguments, arguments.dir)
    except SettingError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 2
    level = logging.ERROR if arguments.quiet else logging.INFO
    level = logging.DEBUG if arguments.verbose else level

    from phonebook.directory.problems import DirectoryError, printable
    from phonebook.server import logs
    from phonebook.server.account import AccountError, home_of
    from phonebook.server.credentials import TlsError
    from phonebook.server.main import serve
    from phonebook.server.options import Options
    from phonebook.server.sockets import BindError
    from phonebook.store import cache_place

    def failed(sentence: object, code: int) -> int:
        logging.getLogger("phonebook.server").error("%s", sentence)
        return code

    def fixed(key: str) -> int | None:
        return None if chosen[key].source in ("file", "default") else chosen[key].value

    logs.set_up(level, chosen["log-format"].value)
    for sentence in strange_variables():
        logging.getLogger("phonebook.server").warning("%s", sentence)
    user = chosen["user"].value or ""
    metrics, queries = chosen["metrics"].value, chosen["log-queries"].value
    try:
        if user:  # the cache is that user's, too
            os.environ["HOME"] = home_of(user)
            os.environ.pop("XDG_CACHE_HOME", None)
    except AccountError as error:
        return failed(error, 5)
    options = Options(
        path=arguments.dir,
        hosts=chosen["host"].value or (),
        port=chosen["port"].value,
        tcp=chosen["tcp"].value,
        udp=chosen["udp"].value,
        tls_cert=chosen["tls-cert"].value,
        tls_key=chosen["tls-key"].value,
        tls_client_ca=chosen["tls-client-ca"].value,
        confined=frozenset(each.value for each in chosen.values() if is_confined(each)),
        connections=chosen["connections"].value,
        connections_per_network=chosen["connections-per-network"].value,
        entries_per_minute=fixed("entries-per-minute"),
        idle_time=fixed("idle-timeout"),
        request_time=fixed("request-timeout"),
        connection_time=fixed("session-timeout"),
        said_by={key: each.by for key, each in chosen.items() if each.by},
        not_in_force=lambda now: not_in_force(chosen, file, now),
        cache=cache_place(chosen["cache"].value),
        links_out=chosen["links-out"].value,
        workers=chosen["workers"].value,
        user=user,
        takeover=arguments.takeover,
        metrics=metrics and host_and_port(metrics),
        log_level=level,
        log_format=chosen["log-format"].value,
        log_requests=chosen["log-requests"].value,
        log_addresses=chosen["log-addresses"].value,
        log_queries=seconds(queries) if queries else 0,
    )
    try:
        ended_by = serve(options, logs.say)
    except DirectoryError as error:
        if error.problems and options.log_format == "text":  # else they have been told
            print(error, file=sys.stderr)
        elif error.problems:
            failed(error, 4)
        closed = user and any(each.code == "unreadable" for each in error.problems)
        whose = f": it is read as user {user}, who has to be able to" if closed else ""
        return failed(f"{printable(str(arguments.dir))} is not served{whose}", 4)
    except TlsError as error:
        return failed(error, 4)
    except (AccountError, BindError) as error:
        return failed(error, 5)
    return 130 if ended_by == signal.SIGINT else 0
