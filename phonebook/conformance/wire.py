"""Plain blocking sockets to the server under test: one stream, one datagram socket."""

import contextlib
import errno
import socket
import ssl
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonebook.conformance.reply import LONGEST_DATAGRAM, LONGEST_REPLY, reply_end

READ_SIZE = 65_536  # octets
RECEIVE_BUFFER = 16_384  # octets: what a case leaves unread waits at the server


class NotTried(Exception):
    """A case cannot be tried here."""


@dataclass(frozen=True)
class Address:
    """Where the server under test is, and how long to wait for it."""

    host: str
    port: int
    timeout: float = 20.0  # seconds: what a good server takes on a busy machine, and more

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Stream:
    """A TCP connection, or TLS over it, from the address `source` if there is one."""

    def __init__(
        self,
        address: Address,
        alpn: list[str] | None = None,
        version: str = "",
        *,
        source: str = "",
        certificate: Path | None = None,
    ) -> None:
        plain = _connect(address, source)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket: socket.socket = plain
        self.timeout = address.timeout
        self.unread = b""
        self.ended = False
        self.chosen: str | None = None
        if alpn is not None:
            try:
                context = _tls_context(alpn, version)
                if certificate is not None:
                    context.load_cert_chain(certificate)
                secure = context.wrap_socket(plain, server_hostname=address.host)
            except BaseException:
                plain.close()
                raise
            self.socket = secure
            self.chosen = secure.selected_alpn_protocol()

    def send(self, octets: bytes) -> None:
        """Send octets; that the server has closed shows when its replies are read."""
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            self.socket.sendall(octets)

    def shutdown(self) -> None:
        """Close the sending half."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reply(self) -> bytes:
        """Return the octets of the next reply, or what came before the time or the stream ended."""
        deadline = time.monotonic() + self.timeout
        while not (end := reply_end(self.unread)):
            if len(self.unread) > LONGEST_REPLY or not self._more(deadline):
                end = len(self.unread)
                break
        octets, self.unread = self.unread[:end], self.unread[end:]
        return octets

    def rest(self, seconds: float) -> bytes:
        """Return what comes until the stream or the time ends."""
        deadline = time.monotonic() + seconds
        while len(self.unread) <= LONGEST_REPLY and self._more(deadline):
            pass
        octets, self.unread = self.unread, b""
        return octets

    def _more(self, deadline: float) -> bool:
        seconds = deadline - time.monotonic()
        if self.ended or seconds <= 0:
            return False
        self.socket.settimeout(seconds)
        try:
            octets = self.socket.recv(READ_SIZE)
        except TimeoutError:
            return False
        except (ConnectionError, ssl.SSLError):
            octets = b""
        finally:
            self.socket.settimeout(self.timeout)
        self.ended = not octets
        self.unread += octets
        return bool(octets)

    def close(self) -> None:
        """Close both halves."""
        with contextlib.suppress(OSError):
            self.socket.close()


def _connect(address: Address, source: str) -> socket.socket:
    """Return a connection; like socket.create_connection, with the buffer set before it stands."""
    failed = OSError(f"{address.host} has no address")
    for family, kind, protocol, _, target in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            made.settimeout(address.timeout)
            if source:
                _bind(made, source, 0)
            made.connect(target)
            return made
        except OSError as error:
            made.close()
            failed = error
    raise failed


def refuses_datagrams(address: Address, octets: bytes, seconds: float) -> bool:
    """Whether the system there says that nobody hears datagrams; who is silent may be busy."""
    family, kind, protocol, _, target = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind, protocol) as asking:
        asking.settimeout(seconds)
        try:
            asking.connect(target)
            asking.send(octets)
            asking.recv(LONGEST_DATAGRAM)
        except ConnectionError:
            return True
        except OSError:
            return False
    return False


def _bind(made: socket.socket, source: str, port: int) -> None:
    """Send from this address and port. Raises `NotTried` where the system does not have it."""
    try:
        made.bind((source, port))
    except OSError as error:
        made.close()
        reason = errno.errorcode.get(error.errno or 0, "an error")
        what = f"UDP source port {port}" if port else f"source address {source}"
        raise NotTried(f"the system gives no {what} ({reason})") from None


def _tls_context(alpn: list[str], version: str) -> ssl.SSLContext:
    """Return what speaks TLS with anyone, with this version alone if one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        name = f"TLSv{version.replace('.', '_')}"
        if not getattr(ssl, f"HAS_{name}"):
            raise NotTried(f"the TLS library has no TLS {version}")
        context.set_ciphers("ALL:@SECLEVEL=0")  # without these OpenSSL offers no old version
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = context.maximum_version = ssl.TLSVersion[name]
    return context


class Datagrams:
    """A UDP socket of its own, not connected, so that it sees where a reply comes from."""

    RESEND_AFTER = (0.2, 0.3, 0.5)  # of the time that there is

    def __init__(self, address: Address, source_port: int = 0, source: str = "") -> None:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
        family = found[0]
        self.target: tuple[Any, ...] = found[4]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # U-8
        self.strangers: list[str] = []
        if source_port or source:
            other = "127.0.0.2" if source_port == address.port else ""
            _bind(self.socket, source or other, source_port)

    @property
    def asked(self) -> str:
        """Return the address and port that is asked."""
        return f"{self.target[0]} port {self.target[1]}"

    def send(self, octets: bytes) -> None:
        """Send one datagram."""
        try:
            self.socket.sendto(octets, self.target)
        except ConnectionError:  # an ICMP error for an earlier one
            pass
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, "an error")
            raise NotTried(f"the system sends nothing to {self.target[0]} ({reason})") from None

    def receive(self, seconds: float) -> bytes:
        """Return the next datagram from the server, or nothing when the time has passed."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                octets, source = self.socket.recvfrom(LONGEST_DATAGRAM)
            except TimeoutError:
                break
            except ConnectionError:  # an ICMP error, as Windows tells it
                continue
            if source[:2] == self.target[:2]:
                return octets
            self.strangers.append(f"{source[0]} port {source[1]}")
        return b""

    def exchange(self, octets: bytes, timeout: float) -> bytes:
        """Return the reply to a datagram, which is sent again when none comes."""
        for share in self.RESEND_AFTER:
            self.send(octets)
            answer = self.receive(share * timeout)
            if answer or self.strangers:
                return answer
        return b""

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
