"""A server as its users start it: a process of its own, its port, its words (named by tests)."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

WAIT = 90.0  # seconds: on a busy machine a reload gives way for a minute
_READY = re.compile('(phonebook: |")ready: ')  # in a log of text, or of JSON


class Server:
    """A running `phonebook serve`."""

    def __init__(self, directory: Path, arguments: list[str]) -> None:
        """Start it on a port that the system picks; `wait_ready` is next."""
        command = [sys.executable, "-m", "phonebook", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen([*command, str(directory)], stderr=subprocess.PIPE)
        self._begin()

    def _begin(self) -> None:
        """Hear what it says."""
        self.pid = self.process.pid
        self._said = bytearray()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said += line

    @property
    def said(self) -> str:
        """What stands on its standard error so far."""
        return self._said.decode()

    @property
    def words(self) -> list[str]:
        """The lines of that, without the one about tests that run as root."""
        return [line for line in self.said.splitlines() if "this runs as root" not in line]

    def wait_ready(self) -> None:
        """Wait for the line that says so, and take the port from it."""
        self.until(lambda: bool(_READY.search(self.said)) or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise AssertionError(f"it ended:\n{self.said}")
        line = next(line for line in self.said.splitlines() if _READY.search(line))
        self.ready = line
        self.port = int(line.split(" on ")[1].split()[0].rpartition(":")[2])

    def until(self, holds: Callable[[], bool], seconds: float = WAIT) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"it did not come to this:\n{self.said}"
            time.sleep(0.02)

    def connect(
        self, host: str = "127.0.0.1", receive_buffer: int = 0, source: str = ""
    ) -> socket.socket:
        """Return a connection."""
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.settimeout(WAIT)
        if source:
            made.bind((source, 0))
        made.connect((host, self.port))
        return made

    def ask(self, octets: bytes, host: str = "127.0.0.1", source: str = "") -> bytes:
        """Send octets over TCP, half-close, and return all that comes back."""
        with self.connect(host, source=source) as connection:
            connection.sendall(octets)
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def ask_datagram(
        self, octets: bytes, host: str = "127.0.0.1", seconds: float = WAIT, source: str = ""
    ) -> tuple[bytes, str] | None:
        """Send a datagram from an unconnected socket; return the reply and whence it came."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as asker:
            asker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            asker.settimeout(seconds)
            if source:
                asker.bind((source, 0))
            asker.sendto(octets, (host, self.port))
            try:
                reply, peer = asker.recvfrom(65_536)
            except TimeoutError:
                return None
            assert peer[1] == self.port
            return reply, peer[0]

    def memory(self) -> int:
        """Return its resident memory in octets."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end, as an operator would; return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until it ends, and has said all."""
        code = self.process.wait(WAIT)
        self._listener.join(WAIT)
        return code

    def end(self) -> None:
        """End it whatever it does, and see that nothing went wrong inside."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        self.wait()
        assert "Traceback" not in self.said, self.said


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side ends."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def write(path: Path, text: str) -> None:
    """Write a file as careful editors do: aside, then renamed into place."""
    aside = path.with_name("." + path.name + ".new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
