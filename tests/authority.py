"""Certificates for tests: an authority, whom it signs for, and clients that show what it signed."""

import datetime
import ssl
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from running import Server

x509 = pytest.importorskip("cryptography.x509")

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

_DAY = 86_400  # seconds
_USAGES = (
    "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
    "key_cert_sign crl_sign encipher_only decipher_only"
).split()


class Authority:
    """Makes certificates: of servers, of clients."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make its own."""
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}-ca.pem"
        own = self._build(name, self.key.public_key(), [], authority=True)
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def _build(
        self, name: str, key: Any, names: list[Any], authority: bool = False, seconds: int = _DAY
    ) -> Any:
        def called(text: str) -> Any:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder(
                called(self.name), called(name), key, x509.random_serial_number()
            )
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(seconds=seconds))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if authority:
            usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True}
            made = made.add_extension(x509.KeyUsage(**usage), critical=True)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def make(self, name: str, *names: Any, seconds: int = _DAY, key: Any = None) -> Path:
        """Return the file of a certificate, which ends in so many seconds, and its key."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        file = self.folder / f"{name}.pem"
        certificate = self._build(name, key.public_key(), list(names), seconds=seconds)
        form = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, form, plain)
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return file


def key_of(file: Path) -> str:
    """Return the SHA-256 of a certificate's public key, by another way than the server's."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    key = certificate.public_key().public_bytes(serialization.Encoding.DER, form)
    return sha256(key).hexdigest()


def context(us: Authority, shown: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(us.file))
    made.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    made.set_alpn_protocols(["phonebook/1"])
    if shown:
        made.load_cert_chain(shown)
    return made


def ask_tls(
    server: Server,
    tls: ssl.SSLContext,
    session: ssl.SSLSession | None = None,
    source: str = "",
    asked: bytes = b"ENTRY mary\r\n",
) -> tuple[bytes, ssl.SSLSession | None, bool]:
    """Return the reply to a request inside TLS, the session, and whether it was resumed."""
    plain = server.connect(source=source)
    with tls.wrap_socket(plain, server_hostname="localhost", session=session) as connection:
        connection.sendall(asked)
        reply = connection.recv(65_536)
        return reply, connection.session, bool(connection.session_reused)
