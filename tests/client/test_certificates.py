"""A client's certificate: shown by both clients, to whom, and what is said where it is no good."""

import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from authority import Authority, key_of, x509
from commands import phonebook
from running import Server, write
from twisted_client import in_process

from phonebook.client import BadInput, NoAnswer, lookup


class Lab(NamedTuple):
    """A server one of whose views has a certificate, and the files of its clients."""

    server: str
    ca: str
    ada: str
    """A certificate with its key."""
    cert: str
    """The same without it."""
    key: str
    foreign: str


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    us, them = Authority(folder, "us"), Authority(folder, "them")
    ada = us.make("ada")
    key, mark, certificate = ada.read_text().partition("-----BEGIN CERTIFICATE-----")
    (folder / "only.key").write_text(key)
    (folder / "only.pem").write_text(mark + certificate)
    write(
        folder / "phonebook.yaml",
        f"views: [{{name: staff, certificates: [{{key: {key_of(ada)}}}]}}]\n"
        "entries: [{name: Grace, view: staff}]\n",
    )
    own = us.make("own", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    tls = ["--tls-cert", str(own), "--tls-client-ca", str(us.file)]
    server = Server(folder / "phonebook.yaml", ["--host", "127.0.0.1", *tls])
    try:
        server.wait_ready()
        yield Lab(
            f"127.0.0.1:{server.port}",
            str(us.file),
            str(ada),
            str(folder / "only.pem"),
            str(folder / "only.key"),
            str(them.make("foreign")),
        )
    finally:
        server.end()


def phone(lab: Lab, *options: str) -> "subprocess.CompletedProcess[str]":
    return phonebook("lookup", "--server", lab.server, *options, "grace")


def plain(lab: Lab, **options: str) -> list[str]:
    answer = lookup("grace", server=lab.server, transport="tls", cafile=lab.ca, **options)
    return [entry.name for entry in answer.entries]


def twisted(lab: Lab, **options: str) -> list[str]:
    names: list[str] = in_process(
        query="grace", server=lab.server, transport="tls", cafile=lab.ca, **options
    )
    return names


drivers = pytest.mark.parametrize("ask", [plain, twisted])


def test_what_it_brings(lab: Lab) -> None:
    tls = ("--tls", "--ca", lab.ca)
    for shown in (("--cert", lab.ada), ("--cert", lab.cert, "--key", lab.key)):
        done = phone(lab, *tls, *shown)
        assert (done.returncode, done.stdout) == (0, "Grace\n  id  grace\n"), done.stderr
    assert phone(lab, *tls).returncode == phone(lab).returncode == 1


@drivers
def test_in_python(lab: Lab, ask) -> None:
    assert ask(lab, certfile=lab.cert, keyfile=lab.key) == ["Grace"]
    assert ask(lab) == []


@drivers
def test_refused(lab: Lab, ask) -> None:
    """In TLS 1.3 the server says so where its reply would be."""
    with pytest.raises(NoAnswer, match="refuses the certificate in .*foreign.pem: unknown ca"):
        ask(lab, certfile=lab.foreign)


def test_refused_to_a_person(lab: Lab) -> None:
    done = phone(lab, "--tls", "--ca", lab.ca, "--cert", lab.foreign)
    assert (done.returncode, done.stdout) == (3, "")
    assert "refuses the certificate in" in done.stderr and done.stderr.count("\n") == 1


def test_who_is_not_trusted(lab: Lab) -> None:
    assert "give their certificate: --ca FILE" in phone(lab, "--tls").stderr
    assert (
        f"None of those in {lab.foreign} signed it"
        in phone(lab, "--tls", "--ca", lab.foreign).stderr
    )
    other = phone(
        lab, "--tls", "--ca", lab.ca, "--server", lab.server.replace("127.0.0.1", "localhost")
    )
    assert "Hostname mismatch" in other.stderr and not other.stderr.endswith("..\n")
    assert other.returncode == 3


def test_files_that_are_no_good(lab: Lab, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(Path(lab.key).read_bytes(), None)
    form = PrivateFormat.PKCS8
    (tmp_path / "hidden").write_bytes(
        key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
    )
    (tmp_path / "empty").write_text("")
    broken = "-----BEGIN CERTIFICATE-----\n?\n-----END PRIVATE KEY-----\n"
    (tmp_path / "broken").write_text(broken)
    for certfile, keyfile, said in (
        (lab.cert, None, "no private key in PEM .*--key FILE"),
        (lab.cert, lab.foreign, "not that of the certificate"),
        (lab.cert, str(tmp_path / "hidden"), "encrypted, and no passphrase is asked for"),
        (lab.cert, str(tmp_path / "gone"), "gone cannot be read: No such file"),
        (str(tmp_path), lab.key, "cannot be read: Is a directory"),
        (str(tmp_path / "empty"), None, "no certificate in PEM"),
        (str(tmp_path / "broken"), None, "is broken"),
    ):
        with pytest.raises(BadInput, match=said):
            plain(lab, certfile=certfile, **({"keyfile": keyfile} if keyfile else {}))
