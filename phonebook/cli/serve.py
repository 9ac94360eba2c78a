"""`phonebook serve DIR`: the server in the foreground."""

import argparse
import logging
import signal
import sys
from pathlib import Path

_EPILOG = """\
example:
  phonebook serve --host 127.0.0.1 --port 7767 examples/lab
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `serve` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", metavar="DIR", type=Path, help="a YAML file, or a tree of them")
    parser.add_argument(
        "--host", action="append", default=[], metavar="H", help="an address; all if none is given"
    )
    parser.add_argument(
        "--port", type=_port, default=767, metavar="N", help="767 if not given; 0: any free one"
    )
    parser.add_argument("--no-udp", action="store_true", help="TCP alone")
    parser.add_argument("--no-tcp", action="store_true", help="UDP alone")
    parser.add_argument("--tls-cert", type=Path, metavar="F", help="PEM: TLS on the same port")
    parser.add_argument("--tls-key", type=Path, metavar="F", help="PEM; else it is in --tls-cert")
    parser.add_argument(
        "--idle-timeout", type=_seconds, metavar="S", help="close an idle connection after it"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="PLACE", help="where what it makes of a large DIR is kept"
    )
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="errors alone")
    loudness.add_argument("-v", "--verbose", action="store_true", help="tell of reloads and more")


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    if arguments.no_udp and arguments.no_tcp:
        print("phonebook: --no-udp and --no-tcp together leave nothing", file=sys.stderr)
        return 2
    if arguments.tls_key and not arguments.tls_cert:
        print("phonebook: --tls-key needs --tls-cert", file=sys.stderr)
        return 2
    if arguments.tls_cert and arguments.no_tcp:
        print("phonebook: --tls-cert needs TCP: leave --no-tcp out", file=sys.stderr)
        return 2
    level = logging.ERROR if arguments.quiet else logging.INFO
    level = logging.DEBUG if arguments.verbose else level
    logging.basicConfig(level=level, format="phonebook: %(message)s", stream=sys.stderr)

    from phonebook.directory.problems import DirectoryError, printable
    from phonebook.server.main import Options, TlsError, serve
    from phonebook.server.sockets import BindError
    from phonebook.store import cache_place

    options = Options(
        path=arguments.dir,
        hosts=tuple(arguments.host),
        port=arguments.port,
        tcp=not arguments.no_tcp,
        udp=not arguments.no_udp,
        tls_cert=arguments.tls_cert,
        tls_key=arguments.tls_key,
        idle_time=arguments.idle_timeout,
        cache=cache_place(arguments.cache),
    )
    try:
        ended_by = serve(options, lambda line: print(line, file=sys.stderr, flush=True))
    except DirectoryError as error:
        if error.problems:  # else they have been told
            print(error, file=sys.stderr)
        print(f"phonebook: {printable(str(arguments.dir))} is not served", file=sys.stderr)
        return 4
    except TlsError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 4
    except BindError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 5
    return 130 if ended_by == signal.SIGINT else 0


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: seconds, more than 0")
    return seconds
