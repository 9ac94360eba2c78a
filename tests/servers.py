"""Servers under test, each in a process of its own."""

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from documents import SPEC

from phonebook.conformance.wire import Address

CERTIFICATE = SPEC / "conformance/client-tls.pem"
TLS = ("--tls-cert", CERTIFICATE, "--tls-client-ca", CERTIFICATE)
"""What makes our server offer TLS: a certificate that nobody needs to trust but the server."""
EVERYWHERE = "0.0.0.0"
PATIENCE = 30.0  # seconds for a start or an answer, on a busy machine

_READY = re.compile(r"ready\b.*?(?:127\.0\.0\.1:)?(\d+)(?: \(|$)")


@contextlib.contextmanager
def running(command: Sequence[str | Path]) -> Iterator[Address]:
    """Start a server on 127.0.0.1, and yield its address once a line says `ready`."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := _READY.search(line.strip()):
                break
        else:
            raise AssertionError(f"{command} did not start:\n{''.join(said)}")
        watchdog.cancel()
        # nobody reads on: what a server logs later must not fill the pipe
        reader = threading.Thread(target=lambda: [*process.stdout], daemon=True)
        reader.start()
        yield Address("127.0.0.1", int(found[1]), PATIENCE)
    finally:
        watchdog.cancel()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def profile(name: str) -> Path:
    """Return the directory of a profile."""
    return SPEC / "conformance/profiles" / f"{name}.yaml"


def serve(
    directory: Path, *more: str | Path, host: str = "127.0.0.1", patch: str = ""
) -> list[str | Path]:
    """Return the command that starts our server, with something done to it first."""
    begin: list[str | Path] = ["-m", "phonebook"]
    if patch:
        begin = [
            "-E",  # what it sends is not ours to answer for
            "-c",
            f"{patch}\nimport sys\nfrom phonebook.cli.main import main\nsys.exit(main())",
        ]
    return [sys.executable, *begin, "serve", "--host", host, "--port", "0", *more, directory]
