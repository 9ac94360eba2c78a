"""A scripted server on loopback, in a thread, that answers as a test says."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[str, bytes], bytes | None]
"""The transport and a request's octets in, the reply's out; None: say nothing."""


class Server:
    """Answers datagrams and connections on one port until it is closed."""

    def __init__(self, answer: Answer, *, tls: ssl.SSLContext | None = None, udp=True, tcp=True):
        self.seen: list[tuple[str, bytes]] = []
        self._answer, self._tls = answer, tls
        while True:
            self._tcp = socket.socket()
            self._tcp.bind(("127.0.0.1", 0))
            self.port = self._tcp.getsockname()[1]
            self._udp = socket.socket(type=socket.SOCK_DGRAM)
            with contextlib.suppress(OSError):
                self._udp.bind(("127.0.0.1", self.port))
                break
        self.address = f"127.0.0.1:{self.port}"
        if udp:
            threading.Thread(target=self._datagrams, daemon=True).start()
        else:
            self._udp.close()
        if tcp:
            self._tcp.listen()
            threading.Thread(target=self._connections, daemon=True).start()
        else:
            self._tcp.close()

    def _datagrams(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                request, sender = self._udp.recvfrom(2000)
                if not request:  # closed
                    return
                self.seen.append(("udp", request))
                for part in _parts(self._answer("udp", request)):
                    self._udp.sendto(part, sender)

    def _connections(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._tcp.accept()
                threading.Thread(target=self._connection, args=(sock,), daemon=True).start()

    def _connection(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock:
                while line := sock.recv(2000):
                    self.seen.append(("tcp", line))
                    reply = self._answer("tcp", line)
                    if reply == b"":
                        return
                    for part in _parts(reply):
                        sock.sendall(part)

    def close(self) -> None:
        """Answer no more."""
        for sock in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def _parts(reply: bytes | list[bytes] | None) -> list[bytes]:
    return [] if reply is None else reply if isinstance(reply, list) else [reply]


@contextlib.contextmanager
def serving(answer: Answer, **how) -> Iterator[Server]:
    """Run a server for as long as the test needs it."""
    server = Server(answer, **how)
    try:
        yield server
    finally:
        server.close()


def tag(request: bytes) -> bytes:
    """Return a request's tag with its mark."""
    return next((token for token in request.split() if token.startswith(b"#")), b"#none")


def found(request: bytes, *names: str, code: int = 250, more: str = "") -> bytes:
    """Return a reply with an entry for each name."""
    blocks = "\r\n".join(
        f"id: {name.lower().replace(' ', '-')}\r\nkind: person\r\nname: {name}\r\n{more}"
        for name in names
    )
    mark = tag(request).decode(errors="replace")
    status = f"{code} {mark} matched={len(names)} left=0 at=a1 Found\r\n"
    return f"{status}{blocks}.\r\n".encode()


def status(request: bytes, code: int, rest: str = "") -> bytes:
    """Return a reply without entries."""
    return f"{code} {tag(request).decode(errors='replace')} {rest}".rstrip().encode() + b"\r\n.\r\n"


def certificate(directory, name: str) -> tuple[ssl.SSLContext, str]:
    """Return a server's context for a certificate of this name, and the file to trust."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = directory / f"{name}.pem"
    secret = directory / f"{name}.key"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    context.set_alpn_protocols(["phonebook/1"])
    return context, str(pem)
