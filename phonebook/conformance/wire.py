"""Plain blocking sockets to the server under test: one stream, one datagram socket."""

import contextlib
import errno
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from phonebook.conformance.reply import LONGEST_DATAGRAM, LONGEST_REPLY, reply_end

READ_SIZE = 65_536  # octets


class NotTried(Exception):
    """A case cannot be tried here."""


@dataclass(frozen=True)
class Address:
    """Where the server under test is, and how long to wait for it."""

    host: str
    port: int
    timeout: float = 5.0  # seconds

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Stream:
    """A TCP connection, or TLS over it."""

    def __init__(self, address: Address, alpn: list[str] | None = None) -> None:
        plain = socket.create_connection((address.host, address.port), address.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket: socket.socket = plain
        self.timeout = address.timeout
        self.unread = b""
        self.ended = False
        self.chosen: str | None = None
        if alpn is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if alpn:
                context.set_alpn_protocols(alpn)
            try:
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


class Datagrams:
    """A UDP socket of its own, not connected, so that it sees where a reply comes from."""

    RESEND_AFTER = (0.2, 0.3, 0.5)  # of the time that there is

    def __init__(self, address: Address, source_port: int = 0) -> None:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
        family = found[0]
        self.target: tuple[Any, ...] = found[4]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.strangers: list[str] = []
        source = "127.0.0.2" if source_port == address.port else ""
        try:
            if source_port:
                self.socket.bind((source, source_port))
        except OSError as error:
            self.socket.close()
            reason = errno.errorcode.get(error.errno or 0, "an error")
            raise NotTried(
                f"the system gives no UDP source port {source_port} ({reason})"
            ) from None

    def send(self, octets: bytes) -> None:
        """Send one datagram."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendto(octets, self.target)

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
