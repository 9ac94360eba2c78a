"""systemd's side, played: sockets handed over, and what the server tells of itself."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import WAIT, Server, write

from phonebook.server.sockets import BindError, given

# What systemd does between fork and exec: the sockets from 3 on, and the pid of what will run.
_STARTER = """\
import os, sys
files = [int(each) for each in sys.argv[1].split(",") if each]
for place, number in enumerate(files):
    os.dup2(number, 100 + place)
for place in range(len(files)):
    os.dup2(100 + place, 3 + place, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ.setdefault("WATCHDOG_PID", str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "phonebook", "serve", *sys.argv[2:]])
"""
ADA = b"ENTRY fields=phone ada-byron"


class Managed(Server):
    """A server that a manager starts."""

    def __init__(
        self, files: list[socket.socket], environment: dict[str, str], *flags: str
    ) -> None:
        """Hand it sockets, and what to tell whom."""
        numbers = [each.fileno() for each in files]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _STARTER, ",".join(map(str, numbers)), *flags],
            env={**os.environ, **environment, "LISTEN_FDS": str(len(files))},
            pass_fds=numbers,
            stderr=subprocess.PIPE,
        )
        self._begin()


class Manager:
    """Hears what a service tells, one message in each datagram."""

    def __init__(self, address: str) -> None:
        """Listen at a path, or with @ at an abstract name."""
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(WAIT)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.alive: set[int] = set()
        """Processes that gave a sign of life."""

    def hear(self) -> str:
        """Return the next message that is no sign of life."""
        return self.hear_from()[1]

    def hear_from(self) -> tuple[int, str]:
        """Return it with the process that the system says it is from."""
        while True:
            octets, beside, _, _ = self._socket.recvmsg(1_024, socket.CMSG_SPACE(12))
            pid = int.from_bytes(beside[0][2][:4], sys.byteorder)
            if octets != b"WATCHDOG=1":
                return pid, octets.decode()
            self.alive.add(pid)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = f"@phonebook-test-{os.getpid()}"
    made = Manager(name if request.param == "abstract" else os.path.relpath(tmp_path / "notify"))
    yield made
    made.close()


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Return what a .socket unit opens: ListenStream and ListenDatagram on one port."""
    stream, datagram = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    stream.bind(("127.0.0.1", 0))
    stream.listen()
    datagram.bind(stream.getsockname())
    yield [stream, datagram]
    stream.close()
    datagram.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_as_a_service(
    manager: Manager, sockets: list[socket.socket], lab: Path, tmp_path: Path, workers: str
) -> None:
    port = sockets[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), WAIT) as early:  # before it is started
        early.sendall(ADA + b"\r\n")
        environment = {"NOTIFY_SOCKET": os.path.abspath(manager.address), "WATCHDOG_USEC": "200000"}
        if manager.address.startswith("@"):
            environment["NOTIFY_SOCKET"] = manager.address
        flags = ["--cache", str(tmp_path / "cache"), "--workers", workers, str(lab)]
        server = Managed(sockets, environment, *flags)
        try:
            assert manager.hear() == "READY=1"
            server.wait_ready()
            assert server.port == port
            assert early.recv(2_048).startswith(b"250 ")
            reply = server.ask_datagram(ADA.ljust(1_198) + b"\r\n")
            assert reply is not None
            before = time.monotonic_ns() // 1_000
            write(lab / "phonebook.yaml", (lab / "phonebook.yaml").read_text().replace("11", "12"))
            server.signal(signal.SIGHUP)
            told, stamp = manager.hear().split("\nMONOTONIC_USEC=")
            assert told == "RELOADING=1"
            assert before <= int(stamp) <= time.monotonic_ns() // 1_000
            assert manager.hear() == "READY=1"
            assert b"4712" in server.ask(ADA + b"\r\n"), "READY is said when all answer from it"
            write(lab / "bad.yaml", "- phone: 1\n")
            server.signal(signal.SIGHUP)
            assert manager.hear().startswith("RELOADING=1\n")
            assert manager.hear() == "READY=1", "a broken directory is no reason to be restarted"
            server.until(lambda: "goes on answering" in server.said)
            server.signal(signal.SIGTERM)
            while (message := manager.hear()) != "STOPPING=1":  # the poll may have reloaded, too
                assert message.startswith(("RELOADING=1\n", "READY=1"))
            assert server.wait() == 0
        finally:
            server.end()
    # what it has been handed, it has not unbound: who asks meanwhile waits for its successor
    socket.create_connection(("127.0.0.1", port), WAIT).close()


def test_signs_of_life(tmp_path: Path, lab: Path) -> None:
    """They come at half of the time after which the manager would restart it."""
    manager = Manager(str(tmp_path / "n") if len(str(tmp_path)) < 100 else f"@life-{os.getpid()}")
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
    server = Managed([], environment, "--port", "0", "--cache", str(tmp_path / "c"), str(lab))
    try:
        assert manager.hear() == "READY=1"
        manager._socket.settimeout(0.4)
        for _ in range(6):
            assert manager._socket.recv(100) == b"WATCHDOG=1"
    finally:
        server.end()
        manager.close()


def test_sockets_that_do_not_serve() -> None:
    """A stream that does not listen, and one for IPv6 that takes IPv4, too."""
    with socket.socket() as deaf, pytest.raises(BindError):
        given([deaf])
    with socket.socket(socket.AF_INET6) as both:
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        both.bind(("::", 0))
        both.listen()
        with pytest.raises(BindError, match="ipv6-only"):
            given([both])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_takeover_as_a_service(lab: Path, tmp_path: Path, workers: str) -> None:
    """The manager is told which process the service is by now; by the old one, too.

    A manager believes the main process alone, unless NotifyAccess= says more. That the old one
    stops is not told: it would be the end of the service.
    """
    manager = Manager(f"@phonebook-takeover-{os.getpid()}-{workers}")
    # few signs of life: a queue of datagrams is short, and nobody reads it while old ones end
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000000"}
    flags = ["--cache", str(tmp_path / "c"), "--workers", workers, str(lab)]
    servers = [Managed([], environment, "--host", "127.0.0.1", "--port", "0", *flags)]
    try:
        assert manager.hear_from() == (servers[0].pid, "READY=1")
        servers.append(Managed([], {**environment, "WATCHDOG_PID": "1"}, "--takeover", *flags))
        old, new = servers
        said = {manager.hear_from(), manager.hear_from()}
        assert said == {
            (new.pid, f"MAINPID={new.pid}\nREADY=1"),
            (old.pid, f"MAINPID={new.pid}"),
        }
        assert old.wait() == 0
        new.wait_ready()
        assert new.ask(ADA + b"\r\n").startswith(b"250 ")
        new.signal(signal.SIGHUP)
        pid, message = manager.hear_from()
        assert (pid, message.partition("\n")[0]) == (new.pid, "RELOADING=1")
        assert manager.hear_from() == (new.pid, "READY=1")
        new.signal(signal.SIGTERM)
        assert manager.hear_from() == (new.pid, "STOPPING=1")
        assert manager.alive >= {pid for pid, _ in said}, "each is watched in its time"
    finally:
        for each in servers:
            each.end()
        manager.close()
