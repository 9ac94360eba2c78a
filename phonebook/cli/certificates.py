"""Certificates for a directory of one's own: a local authority, a server, clients.

Implements what spec/phonebook.md, section 13, needs: the client trusts the authority's certificate
and checks the server's names. A file that is there is kept: who has the authority's key makes
further ones later.
"""

import datetime
import hashlib
import ipaddress
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEARS = 10
"""How long each lasts: nobody shall find a server dead whose certificate they forgot."""

_AUTHORITY, _SERVER = "ca", "server"


def make(folder: Path, names: Sequence[str], clients: Sequence[str]) -> list[str]:
    """Make what is not there of an authority, a server of this machine's and more names, clients.

    Return a line for each that was made. Raises `FileExistsError` for a client that is there, and
    for a server for which there are further names; other kinds of `OSError`; and `ValueError` for
    files that are no certificates.
    """
    folder.mkdir(exist_ok=True)  # open, so that a server which may not read the keys gets by
    for name in [*clients, *([_SERVER] if names else [])]:
        if _files(folder, name)[0].exists():
            raise FileExistsError(
                f"{_files(folder, name)[0]} is there already, and nothing is overwritten: to have "
                "another one made, move it and its key away"
            )
    made = []
    if not _files(folder, _AUTHORITY)[0].exists():
        _write(folder / ".gitignore", b"*\n", 0o644)  # keys are not for a repository
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(f"Phonebook of {socket.gethostname()}"[:64])
        builder = (
            _begun(subject, subject, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
        )
        made.append(_save(folder, _AUTHORITY, builder, key, key))
    certificate, key = _load(folder, _AUTHORITY)
    if not _files(folder, _SERVER)[0].exists():
        server = ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.SERVER_AUTH
        builder = _leaf(certificate, _SERVER, server, purpose, _server_names(names))
        made.append(_save(folder, _SERVER, builder, server, key))
    for name in clients:
        client = ec.generate_private_key(ec.SECP256R1())
        own: list[x509.GeneralName] = [x509.RFC822Name(name) if "@" in name else x509.DNSName(name)]
        builder = _leaf(certificate, name, client, ExtendedKeyUsageOID.CLIENT_AUTH, own)
        line = _save(folder, name, builder, client, key)
        made.append(f"{line}, for a view: key: {key_hash(client.public_key())}")
    return made


def key_hash(key: ec.EllipticCurvePublicKey) -> str:
    """Return what a view knows a key by: SHA-256 of its SubjectPublicKeyInfo."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _server_names(more: Sequence[str]) -> list[x509.GeneralName]:
    """Return the names and addresses under which this machine is reached, and more."""
    own = [name for name in (socket.gethostname(), socket.getfqdn()) if name.isascii()]
    found = dict[x509.GeneralName, None]()
    for name in (*more, *own, "localhost", "127.0.0.1", "::1"):
        try:
            found[x509.IPAddress(ipaddress.ip_address(name))] = None
        except ValueError:
            if ":" not in name:
                found[x509.DNSName(name)] = None
    return [*found]


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _leaf(
    issuer: x509.Certificate,
    name: str,
    key: ec.EllipticCurvePrivateKey,
    purpose: x509.ObjectIdentifier,
    names: Sequence[x509.GeneralName],
) -> x509.CertificateBuilder:
    authority = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority)
    return (
        _begun(_named(name), issuer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.pem", folder / f"{name}.key"


def _save(
    folder: Path,
    name: str,
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> str:
    certificate, key_file = _files(folder, name)
    octets = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key_file, octets, 0o600)
    signed = builder.sign(signer, hashes.SHA256())
    _write(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
    return f"{certificate}, {key_file}"


def _write(file: Path, octets: bytes, mode: int) -> None:
    """Write a new file, never over another."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(octets)


def _load(folder: Path, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate, key_file = _files(folder, name)
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key_file}: this is another kind of key")
    return x509.load_pem_x509_certificate(certificate.read_bytes()), key
