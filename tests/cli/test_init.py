"""`phonebook init`: what it writes passes, serves, and is never written over anything."""

import hashlib
import re
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from commands import phonebook, shown
from running import Server

from phonebook.settings import SETTINGS


def test_it_passes_and_serves(tmp_path: Path) -> None:
    lab = tmp_path / "a lab"
    done = phonebook("init", lab)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"phonebook serve --port 7767 '{lab}'" in done.stdout
    checked = phonebook("check", lab)
    assert (checked.returncode, checked.stdout) == (0, "")
    assert checked.stderr.endswith("0 warnings\n")
    assert {source for _, source in shown(lab).values()} == {"default"}
    server = Server(lab, ["--host", "127.0.0.1"])
    try:
        server.wait_ready()
        (line,) = (line for line in done.stdout.splitlines() if " phone " in f" {line} ")
        asked = line.split(" --server localhost:7767 ")[1]
        found = phonebook("lookup", "--server", f"127.0.0.1:{server.port}", *asked.split())
        assert found.returncode == 0 and "Ada Example" in found.stdout
    finally:
        server.end()


@pytest.mark.parametrize("tls", [False, True])
def test_each_comment_is_a_setting(tmp_path: Path, tls: bool) -> None:
    """Without their comment marks the lines are the defaults, or work as an example."""
    if tls:
        pytest.importorskip("cryptography")
    phonebook("init", *(["--tls"] if tls else []), tmp_path)
    file = tmp_path / "phonebook.yaml"
    text = file.read_text("utf-8")
    head, server, settings = text.rpartition("server:\n")
    named = {key: setting for key, setting in SETTINGS.items() if not setting.apart}
    assert server and all((f"  {key}: " in settings) == (key in named) for key in SETTINGS)
    bare = re.sub(r"^# ", "", settings, flags=re.MULTILINE)
    file.write_text(head.removesuffix("# ") + "server:\n" + bare, "utf-8")
    said = phonebook("check", tmp_path).stdout.splitlines()
    assert len(said) == (0 if tls else 3)
    assert all("there is no such file: make it" in line for line in said), said
    found = shown(tmp_path)
    assert {found[key][1] for key in named} == {"file"}
    for key, setting in named.items():
        if setting.default:
            assert found[key][0] == setting.type.read(setting.default)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine.yaml").write_text("- name: Ada\n")
    done = phonebook("init", tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert "has YAML files already: nothing is written" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_wrong_use(tmp_path: Path) -> None:
    assert phonebook("init", "--client", "ada", tmp_path).returncode == 2
    done = phonebook("init", "--tls", "--name", "lab:7767", tmp_path)
    assert done.returncode == 2 and "names no server" in done.stderr
    for name in ("../ada", "ca", "", "a b", "ä"):
        done = phonebook("init", "--tls", "--client", name, tmp_path)
        assert done.returncode == 2 and "names no client" in done.stderr
    assert not list(tmp_path.iterdir())


def test_where_it_cannot_write(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert phonebook("init", file / "lab").returncode == 5
    done = phonebook("init", file)
    assert done.returncode == 5 and f"{file} is a file: name a folder" in done.stderr


def test_without_cryptography(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['cryptography'] = None\n"
        "from phonebook.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "init", "--tls", str(tmp_path / "lab")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install cryptography" in done.stderr


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("cryptography")
    lab = tmp_path_factory.mktemp("secured")
    names = ("--name", "lab.example", "--name", "192.0.2.7")
    done = phonebook("init", "--tls", *names, "--client", "ada", "--client", "ben@lab.example", lab)
    assert done.returncode == 0, done.stderr
    return lab


def test_keys_are_kept(secured: Path) -> None:
    keys = list((secured / "tls").glob("*.key"))
    assert len(keys) == 4
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert (secured / "tls/.gitignore").read_text() == "*\n"
    assert not list((secured / "tls").glob("*.y*ml"))


def test_the_client_trusts_it(secured: Path) -> None:
    server = Server(secured, ["--host", "127.0.0.1", "--host", "::1", "--quiet"])
    try:
        server.wait_ready()
        assert server.ready.endswith("(tcp udp tls)")
        assert server.words == [server.ready], "with --quiet, too"
        for host in ("localhost", "127.0.0.1", "[::1]"):
            trusted = ("--tls", "--ca", secured / "tls/ca.pem")
            found = phonebook("lookup", "--server", f"{host}:{server.port}", *trusted, "ada")
            assert found.returncode == 0, (host, found.stderr)
        found = phonebook("lookup", "--server", f"localhost:{server.port}", "--tls", "ada")
        assert found.returncode == 3, "nobody else trusts it"
    finally:
        server.end()


@pytest.mark.parametrize("name", ["ada", "ben@lab.example"])
def test_client_certificates(secured: Path, name: str) -> None:
    """They are accepted by who trusts the authority, as a client's and not as a server's."""
    tls = secured / "tls"

    def handshake(server: str, client: str) -> str:
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls / "ca.pem")
        ours.load_cert_chain(tls / f"{server}.pem", tls / f"{server}.key")
        ours.verify_mode = ssl.CERT_REQUIRED
        theirs = ssl.create_default_context(cafile=tls / "ca.pem")
        theirs.load_cert_chain(tls / f"{client}.pem", tls / f"{client}.key")
        bios = [ssl.MemoryBIO() for _ in range(2)]
        one = ours.wrap_bio(bios[0], bios[1], server_side=True)
        other = theirs.wrap_bio(bios[1], bios[0], server_hostname="localhost")
        for end in (other, one, other, one):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return error.reason or "refused"
        return ""

    assert handshake("server", name) == ""
    assert handshake(name, name) != ""
    assert handshake("server", "server") != ""


def test_a_view_of_a_certificate_works_at_once(secured: Path) -> None:
    """The server asks for one, since its authority is among the settings that were written."""
    views = "views: [{name: staff, certificates: [{name: email:ben@lab.example}]}]\n"
    file = secured / "phonebook.yaml"
    before = file.read_text("utf-8")
    file.write_text(views + before, "utf-8")
    try:
        assert phonebook("check", secured).stdout == ""
        file.write_text(views + before.replace("  tls-client-ca:", "  #"), "utf-8")
        said = phonebook("check", secured).stdout
    finally:
        file.write_text(before, "utf-8")
    assert "The view `staff` is seen by who shows a certificate, and none is asked for" in said
    assert "set `tls-client-ca` of `server:`" in said and said.count("\n") == 1


def test_a_further_client(secured: Path) -> None:
    before = {each: each.read_bytes() for each in (secured / "tls").iterdir()}
    again = phonebook("init", "--tls", "--client", "ada", secured)
    assert again.returncode == 5 and "is there already" in again.stderr
    done = phonebook("init", "--tls", "--client", "further", secured)
    assert done.returncode == 0 and "--tls-cert" not in done.stdout
    assert all(each.read_bytes() == octets for each, octets in before.items())
    text = (secured / "tls/further.pem").read_bytes()
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_pem_x509_certificate(text).public_key()
    told = re.search(r"key: ([0-9a-f]{64})$", done.stdout, re.MULTILINE)
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert told and told[1] == hashlib.sha256(info).hexdigest()


def test_certificates_for_a_directory_that_is_there(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    (tmp_path / "mine.yaml").write_text("- name: Ada\n")
    done = phonebook("init", "--tls", tmp_path)
    assert done.returncode == 0
    assert f"--tls-cert {tmp_path}/tls/server.pem" in done.stdout
    assert {each.name for each in tmp_path.iterdir()} == {"mine.yaml", "tls"}


def test_the_server_has_this_machines_name(secured: Path) -> None:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate((secured / "tls/server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {socket.gethostname(), "lab.example"} <= {*names.get_values_for_type(x509.DNSName)}
    assert "192.0.2.7" in map(str, names.get_values_for_type(x509.IPAddress))
