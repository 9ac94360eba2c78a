"""The stage for a client under test: sockets that play what a situation says, and take notes."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from phonebook.share import share

HOME = "127.0.0.1"
LONGEST_DATAGRAM = 65_535  # octets
LONGEST_REQUEST = 4_096  # octets of a stream that are read as one line
TRIES = 50  # for a port that is free for TCP, for UDP and at every host
SEND_BUFFER = 65_536  # octets: so that what a client does not read is noticed
CERTIFICATE = "spec/conformance/client-tls.pem"
HANDSHAKE = 0x16  # the first octet of TLS


class NoStage(Exception):
    """The system lacks what a situation needs."""


@dataclass(frozen=True)
class Request:
    """What a client sent: a datagram, or the first line of a connection."""

    host: str
    """The server's address that was asked."""
    port: int
    transport: str
    octets: bytes
    number: int
    """How many came over this transport to this host before."""
    source: int
    seconds: float
    """The time since the stage was set."""
    trap: int
    """A port that is not to be asked."""

    @property
    def line(self) -> bytes:
        """Return the line without its end and padding."""
        return self.octets.rstrip(b"\r\n").rstrip(b" ")

    @property
    def tag(self) -> str:
        """Return the tag, without its #; '' if there is none."""
        tokens = self.line.split()
        has_tag = len(tokens) > 1 and tokens[1].startswith(b"#")
        return tokens[1][1:].decode("ascii", "replace") if has_tag else ""

    @property
    def untagged(self) -> bytes:
        """Return the line's tokens without the tag."""
        tokens = self.line.split()
        return b" ".join(tokens[:1] + tokens[2 if self.tag else 1 :])


@dataclass(frozen=True)
class Stranger:
    """A datagram that comes from another port than the one that was asked."""

    octets: bytes


@dataclass(frozen=True)
class Close:
    """Close the connection."""


Part = bytes | float | Stranger | Close
"""What a situation answers with: octets, seconds to wait, ..."""
Play = Callable[[Request], Iterable[Part]]


@dataclass
class Notes:
    """What the client sent."""

    requests: list[Request] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    """When octets were sent, in seconds since the stage was set."""
    connections: int = 0
    taken: int = 0
    """The octets that the client's end of a connection took at most."""
    trap: int = 0
    """What came to a port that is not to be asked."""


class Stage:
    """A server on one free port, at one host or several of the loopback network."""

    def __init__(
        self,
        udp: Play,
        tcp: Play,
        *,
        hosts: tuple[str, ...] = (HOME,),
        udp_open: bool = True,
        tls: bool = False,
    ) -> None:
        self.notes = Notes()
        self.trap = 0
        self._plays = {"udp": udp, "tcp": tcp}
        self._udp_open = udp_open
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(share(CERTIFICATE))
            self._context.set_alpn_protocols(["phonebook/1"])
        self._connections: list[socket.socket] = []
        self._sockets: list[tuple[str, socket.socket, socket.socket]] = []
        for _ in range(TRIES):
            try:
                self.port = self._bind(hosts)
                break
            except OSError as error:
                self._close_all()
                reason = error
        else:
            raise NoStage(f"no port is free at {' '.join(hosts)} ({reason.strerror})")
        self._trap = self._trap_socket()
        for host, stream, datagrams in self._sockets:
            threading.Thread(target=self._accept, args=(host, stream), daemon=True).start()
            if udp_open:
                threading.Thread(target=self._receive, args=(host, datagrams), daemon=True).start()

    def _bind(self, hosts: tuple[str, ...]) -> int:
        port = 0
        for host in hosts:
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets.append((host, stream, datagrams))
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            stream.bind((host, port))
            port = stream.getsockname()[1]
            stream.listen()
            datagrams.bind((host, port))
            if not self._udp_open:  # connected elsewhere: who asks is told that nobody is here
                datagrams.connect((host, 9))
        return port

    def _trap_socket(self) -> socket.socket:
        trap = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        trap.bind((HOME, 0))
        trap.listen()
        self.trap = trap.getsockname()[1]
        threading.Thread(target=self._spring, args=(trap,), daemon=True).start()
        return trap

    def _spring(self, trap: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = trap.accept()
                connection.close()
                self.notes.trap += 1

    def close(self) -> None:
        """Close all sockets."""
        self._ended.set()
        self._close_all()

    def _close_all(self) -> None:
        streams = [stream for _, stream, _ in self._sockets]
        datagrams = [datagrams for _, _, datagrams in self._sockets]
        trap = [self._trap] if hasattr(self, "_trap") else []
        for each in (*streams, *datagrams, *trap, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
            each.close()
        self._sockets.clear()
        self._connections.clear()

    def _note(self, host: str, transport: str, octets: bytes, source: int) -> Request:
        with self._lock:
            number = sum(
                (seen.host, seen.transport) == (host, transport) for seen in self.notes.requests
            )
            seconds = time.monotonic() - self._began
            request = Request(
                host, self.port, transport, octets, number, source, seconds, self.trap
            )
            self.notes.requests.append(request)
        return request

    def _receive(self, host: str, datagrams: socket.socket) -> None:
        while not self._ended.is_set():
            try:
                octets, peer = datagrams.recvfrom(LONGEST_DATAGRAM)
            except ConnectionError:  # an ICMP error, as Windows tells it
                continue
            except OSError:
                return
            if self._ended.is_set():
                return
            request = self._note(host, "udp", octets, peer[1])
            work = threading.Thread(
                target=self._answer, args=(request, datagrams, peer), daemon=True
            )
            work.start()

    def _answer(self, request: Request, datagrams: socket.socket, peer: Any) -> None:
        with contextlib.suppress(OSError):
            for part in self._plays["udp"](request):
                if isinstance(part, float):
                    self._ended.wait(part)
                elif isinstance(part, bytes):
                    datagrams.sendto(part, peer)
                    self.notes.answered.append(time.monotonic() - self._began)
                elif isinstance(part, Stranger):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                        stranger.bind((HOME, 0))
                        stranger.sendto(part.octets, peer)

    def _accept(self, host: str, stream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = stream.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections.append(connection)
                self.notes.connections += 1
                work = threading.Thread(
                    target=self._serve, args=(host, connection, peer[1]), daemon=True
                )
                work.start()

    def _serve(self, host: str, connection: socket.socket, source: int) -> None:
        with contextlib.suppress(OSError):
            transport = "tcp"
            first = connection.recv(1, socket.MSG_PEEK)
            if first and first[0] == HANDSHAKE:
                transport = "tls"
                if self._context is None:
                    hello = connection.recv(LONGEST_REQUEST)
                    self._speak(self._note(host, "hello", hello, source), connection)
                    return
                connection = self._context.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            octets = b""
            while b"\n" not in octets and len(octets) < LONGEST_REQUEST:
                more = connection.recv(LONGEST_REQUEST)
                if not more:
                    break
                octets += more
            if octets:
                self._speak(self._note(host, transport, octets, source), connection)

    def _speak(self, request: Request, connection: socket.socket) -> None:
        sent = 0
        for part in self._plays["tcp"](request):
            if isinstance(part, float):
                self._ended.wait(part)
            elif isinstance(part, bytes):
                connection.sendall(part)
                self.notes.answered.append(time.monotonic() - self._began)
                sent += len(part)
                self.notes.taken = max(self.notes.taken, sent)
            elif isinstance(part, Close):
                connection.shutdown(socket.SHUT_WR)
                break
        while more := connection.recv(LONGEST_REQUEST):  # until the client closes
            if more.strip():
                self._note(request.host, request.transport, more, request.source)
