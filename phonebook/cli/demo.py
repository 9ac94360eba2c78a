"""`phonebook demo`: a server over the example lab, a few lookups with their octets, then yours."""

import argparse
import contextlib
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
from typing import NoReturn

_QUESTIONS = (
    ("by name, over TCP as typed by hand", "LOOKUP ada"),
    ("accents and case do not matter", "LOOKUP limit=3 fields=name,phone MULLER"),
    ("who called?", "LOOKUP fields=name,phone +1 202 555 0143"),
    ("one entry by its exact id", "ENTRY fields=name,title ada-byron"),
    ("what can this server do?", "HELP"),
)
_EPILOG = """\
example:
  phonebook demo --once
"""
_START_TIME = 20.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `demo` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("--once", action="store_true", help="stop after the lookups")


def run(arguments: argparse.Namespace) -> int:
    """Start a server on loopback, ask it, and leave it to the reader until Ctrl-C."""
    from phonebook.share import share

    for number in (signal.SIGTERM, signal.SIGHUP):  # the latter as the terminal closes
        signal.signal(number, _end)
    lab = share("examples/lab")
    command = [sys.executable, "-m", "phonebook", "serve", "--host", "127.0.0.1", "--port", "0"]
    server = subprocess.Popen([*command, str(lab)], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = next((line for line in server.stderr if "phonebook: ready:" in line), "")
        if not line:
            print("phonebook: the demonstration's server did not start", file=sys.stderr)
            return 3
        print(line.strip())
        port = int(line.split(" on ")[1].split()[0].rpartition(":")[2])
        for about, question in _QUESTIONS:
            print(f"\n# {about}")
            _show(port, question)
        if arguments.once:
            return 0
        print("\nNow it is yours, until Ctrl-C. In another terminal:")
        print(f"  export {_path()}PHONEBOOK_SERVER=127.0.0.1:{port}")
        print("  phone ada", flush=True)
        sys.stderr.writelines(server.stderr)  # what it says from now on, such as reloads
        return server.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        if server.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                server.send_signal(signal.SIGTERM)
            server.wait(_START_TIME)


def _end(*_: object) -> NoReturn:
    """End on a signal as one who is told to, and the server with it."""
    sys.exit(0)


def _path() -> str:
    """Return what finds `phone` in a shell that knows nothing of this virtual environment."""
    if sys.prefix == sys.base_prefix:
        return ""
    return f"PATH={shlex.quote(sysconfig.get_path('scripts'))}:$PATH "


def _show(port: int, question: str) -> None:
    """Ask over a plain socket and show the octets, a line a line."""
    import socket

    print(f"C: {question}")
    started = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), _START_TIME) as connection:
        connection.sendall(question.encode() + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        octets = b"".join(iter(lambda: connection.recv(65_536), b""))
    elapsed = (time.perf_counter() - started) * 1_000
    text = "".join(f"S: {line}\n" for line in octets.decode().split("\r\n")[:-1])
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
    print(f"# {len(octets)} octets in {elapsed:.1f} ms, connection and all", flush=True)
