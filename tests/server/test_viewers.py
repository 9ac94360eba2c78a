"""Views over real sockets and in code: who sees which, by network and by certificate."""

import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from authority import Authority, ask_tls, context, key_of, x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from running import Server, read_all, write

from phonebook.directory.entry import View
from phonebook.server.viewers import PUBLIC, Certificate, Viewers, read_certificate

Serve = Callable[..., Server]

NOBODY = b"252 Nothing found\r\n.\r\n"
ASKED = b"ENTRY grace\r\n"
PADDED = b"ENTRY grace".ljust(1_198) + b"\r\n"

# In code: addresses

BOARD = View("board", networks=("192.0.2.0/28",), includes=("staff",))
STAFF = View("staff", networks=("192.0.2.0/24", "2001:db8::/32"))
WORLD = View("world", networks=("::/0",))


@pytest.mark.parametrize(
    ("address", "view"),
    [
        ("192.0.2.1", "board"),
        ("192.0.2.15", "board"),
        ("192.0.2.16", "staff"),
        ("192.0.2.255", "staff"),
        ("192.0.3.0", PUBLIC),
        ("192.0.1.255", PUBLIC),
        ("::ffff:192.0.2.1", "board"),
        ("::ffff:192.0.3.1", PUBLIC),
        ("2001:db8::1", "staff"),
        ("2001:db8:ffff::1%eth0", "staff"),
        ("2001:db9::1", PUBLIC),
        ("::192.0.2.1", PUBLIC),  # it looks like it, and is none
        ("127.0.0.1", PUBLIC),
        ("::1", PUBLIC),
        ("fe80::1%eth0", PUBLIC),
        ("10.0.0.1", PUBLIC),
    ],
)
def test_by_address(address: str, view: str) -> None:
    viewers = Viewers((BOARD, STAFF))
    assert viewers.of_address(address) == viewers.of_address(address) == view


def test_a_network_of_one_family_has_nobody_of_the_other() -> None:
    viewers = Viewers((WORLD,))
    assert viewers.of_address("2001:db8::1") == "world"
    assert viewers.of_address("192.0.2.1") == viewers.of_address("::ffff:192.0.2.1") == PUBLIC
    assert Viewers((View("all", ("0.0.0.0/0",)),)).of_address("::1") == PUBLIC


def test_without_views() -> None:
    assert Viewers().of_address("192.0.2.1") == PUBLIC
    assert not Viewers().by_certificate


def test_by_certificate() -> None:
    key = "9F" * 32
    views = (
        View("named", names=("dns:Host.Example", "email:Ada@lab.example", "uri:urn:a:b")),
        View("near", networks=("192.0.2.0/24",)),
        View("keyed", keys=(key,)),
    )
    viewers = Viewers(views)
    assert viewers.by_certificate

    def seen(key: str, *names: str, address: str = "203.0.113.1") -> str:
        return viewers.of_certificate(Certificate(key, frozenset(names)), address)

    assert seen("9f" * 32) == "keyed"
    assert seen("00" * 32) == PUBLIC
    assert seen("00" * 32, "dns:host.example") == "named"
    assert seen("00" * 32, "email:Ada@lab.example") == "named"
    assert seen("00" * 32, "email:ada@lab.example") == PUBLIC  # a name's case is its owner's
    assert seen("00" * 32, "uri:urn:a:b") == "named"
    assert seen("00" * 32, "uri:dns:host.example") == PUBLIC
    assert seen("9f" * 32, address="192.0.2.1") == "near"  # the list's order, whatever the test
    assert seen("9f" * 32, "dns:host.example", address="192.0.2.1") == "named"
    assert viewers.of_address("203.0.113.1") == PUBLIC


def test_told() -> None:
    key = "9f" * 32
    views = (*(BOARD, STAFF), View("x", keys=(key,), names=("dns:h",), includes=("board", "staff")))
    assert [*Viewers(views).told()] == [
        "view board: seen by 192.0.2.0/28; includes staff",
        "view staff: seen by 192.0.2.0/24, 2001:db8::/32",
        f"view x: seen by certificate dns:h, certificate key:{key}; includes board, staff",
    ]


# In code: certificates


def der_of(file: Path) -> bytes:
    """Return a certificate as it travels."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    octets: bytes = certificate.public_bytes(serialization.Encoding.DER)
    return octets


@pytest.mark.parametrize(
    "made",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: rsa.generate_private_key(65_537, 2_048),
        ed25519.Ed25519PrivateKey.generate,
    ],
    ids=["ec", "rsa", "ed25519"],
)
def test_key_of_a_certificate(tmp_path: Path, made: Callable[[], Any]) -> None:
    file = Authority(tmp_path, "us").make("ada", key=made())
    der = der_of(file)
    assert read_certificate(der, {}) == Certificate(key_of(file))
    for end in range(0, len(der), 7):  # cut off: it is refused, and nothing worse
        with pytest.raises(ValueError, match="certificate"):
            read_certificate(der[:end], {})


# Over sockets

DIRECTORY = """\
views:
  - {name: board, CERTIFICATES networks: [127.0.1.0/24], includes: [staff]}
  - {name: staff, networks: [127.0.2.0/24]}
entries:
  - {id: ada, name: Ada Byron, phone: 4711, view: {phone: staff}}
  - {id: grace, name: Grace Hopper, view: staff}
  - {id: mary, name: Mary Somerville, view: board}
"""


def directory(folder: Path, certificates: str = "") -> Path:
    """Write the directory, its board known by certificates too, and return where it is."""
    file = folder / "phonebook.yaml"
    certificates = f"certificates: [{certificates}]," if certificates else ""
    write(file, DIRECTORY.replace("CERTIFICATES", certificates))
    return file


def test_by_network(serve: Serve, tmp_path: Path) -> None:
    server = serve(directory(tmp_path))
    for source, found in (("127.0.0.1", 0), ("127.0.3.1", 0), ("127.0.2.9", 1), ("127.0.1.9", 2)):
        over_tcp = server.ask(ASKED, source=source)
        over_udp = server.ask_datagram(PADDED, source=source)
        assert over_udp is not None
        assert over_tcp == over_udp[0]
        assert over_tcp.startswith(b"250 ") == (found > 0)
        assert server.ask(b"ENTRY mary\r\n", source=source).startswith(b"250 ") == (found > 1)
        assert (b"phone: 4711" in server.ask(b"ENTRY ada\r\n", source=source)) == (found > 0)
    assert "phonebook: view board: seen by 127.0.1.0/24; includes staff" in server.said
    assert "phonebook: view staff: seen by 127.0.2.0/24" in server.said
    assert "phonebook: everybody else sees what is public" in server.said


def test_everywhere(serve: Serve, tmp_path: Path) -> None:
    """A socket on all addresses tells views apart by where a datagram comes from as well."""
    server = serve(directory(tmp_path), host=None)
    for source, found in (("127.0.0.1", False), ("127.0.2.9", True)):
        reply = server.ask_datagram(PADDED, source=source)
        assert reply is not None
        assert reply[0].startswith(b"250 ") == found


def test_no_views_are_not_told(serve: Serve, lab: Path) -> None:
    assert "phonebook: view" not in serve(lab).said


def test_a_view_that_is_taken_away(serve: Serve, tmp_path: Path) -> None:
    """The next request on a connection that is open is answered by what holds then (V-9)."""
    file = directory(tmp_path)
    server = serve(file)
    with server.connect(source="127.0.2.1") as connection:
        connection.sendall(ASKED)
        assert connection.recv(65_536).startswith(b"250 ")
        write(file, file.read_text().replace("127.0.2.0/24", "127.0.5.0/24"))
        server.until(lambda: "reloaded" in server.said)
        connection.sendall(ASKED)
        assert connection.recv(65_536) == NOBODY
        over_udp = server.ask_datagram(PADDED, source="127.0.2.1")
        assert over_udp is not None and over_udp[0] == NOBODY
        server.until(lambda: "view staff: seen by 127.0.5.0/24" in server.said)
        write(file, file.read_text().replace("127.0.5.0/24", "127.0.2.0/24"))
        server.until(lambda: server.said.count("reloaded") == 2)
        connection.sendall(ASKED)
        assert connection.recv(65_536).startswith(b"250 ")


def test_a_reload_that_changes_no_view_tells_none(serve: Serve, tmp_path: Path) -> None:
    file = directory(tmp_path)
    server = serve(file)
    write(file, file.read_text().replace("4711", "4712"))
    server.until(lambda: "reloaded" in server.said)
    assert server.ask(b"ENTRY ada\r\n", source="127.0.2.1").count(b"4712") == 1
    assert server.said.count("view staff") == 1


@pytest.fixture
def us(tmp_path: Path) -> Authority:
    """Return whom the server trusts for its clients."""
    return Authority(tmp_path, "us")


def secure(serve: Serve, us: Authority, certificates: str) -> Server:
    """Return a server with TLS whose board is known by certificates, too."""
    local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    own = us.make("server", local, x509.DNSName("localhost"))
    (us.folder / "lab").mkdir(exist_ok=True)
    where = directory(us.folder / "lab", certificates)
    return serve(where, "--tls-cert", str(own), "--tls-client-ca", str(us.file))


def test_by_certificate_over_tls(serve: Serve, us: Authority) -> None:
    keyed = us.make("keyed")
    named = us.make("named", x509.DNSName("Desk.Example"), x509.RFC822Name("ada@lab.example"))
    mailed = us.make("mailed", x509.RFC822Name("mary@lab.example"))
    linked = us.make("linked", x509.UniformResourceIdentifier("urn:lab:mary"))
    other = us.make("other", x509.DNSName("other.example"))
    server = secure(
        serve,
        us,
        f"{{key: {key_of(keyed)}}}, {{name: 'dns:desk.example'}}, "
        "{name: 'email:mary@lab.example'}, {name: 'uri:urn:lab:mary'}",
    )
    for shown in (keyed, named, mailed, linked):
        assert ask_tls(server, context(us, shown))[0].startswith(b"250 "), shown
    for shown in (other, None):
        tls = context(us, shown)
        assert ask_tls(server, tls)[0] == NOBODY
        assert ask_tls(server, tls, asked=ASKED)[0] == NOBODY
        assert ask_tls(server, tls, source="127.0.2.7", asked=ASKED)[0].startswith(b"250 ")
        assert ask_tls(server, tls, source="127.0.1.7")[0].startswith(b"250 ")
    # neither plain TCP nor a datagram sees what needs a certificate
    assert server.ask(b"ENTRY mary\r\n") == NOBODY
    reply = server.ask_datagram(b"ENTRY mary".ljust(1_198) + b"\r\n")
    assert reply is not None and reply[0] == NOBODY


def test_bad_certificates(serve: Serve, us: Authority, tmp_path: Path) -> None:
    """One that is not good ends the handshake, from a network with a view as well (V-8)."""
    (tmp_path / "them").mkdir()
    them = Authority(tmp_path / "them", "us")  # of the same name, and nobody's
    old = us.make("old", seconds=-86_400)
    foreign = them.make("foreign")
    keys = f"{{key: {key_of(old)}}}, {{key: {key_of(foreign)}}}"
    server = secure(serve, us, keys)
    for shown in (old, foreign):
        for source in ("127.0.0.1", "127.0.2.1"):
            reply = b""
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                reply, _, _ = ask_tls(server, context(us, shown), source=source, asked=b"HELP\r\n")
            assert reply == b""
    assert ask_tls(server, context(us))[0] == NOBODY, "without one it goes on"


def test_tls_versions(serve: Serve, us: Authority) -> None:
    """Certificates take TLS 1.3 (V-7); while no view has any, 1.2 will do, and none is asked."""
    shown = us.make("ada")
    server = secure(serve, us, f"{{key: {key_of(shown)}}}")
    file = us.folder / "lab" / "phonebook.yaml"
    old = context(us, shown)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask_tls(server, old)
    directory(file.parent)
    server.until(lambda: "reloaded" in server.said)
    assert ask_tls(server, old)[0] == NOBODY


def test_no_authorities_are_named(serve: Serve, us: Authority) -> None:
    """Who is asked for a certificate does not learn whose would do (V-6)."""
    shown = us.make("ada")
    server = secure(serve, us, f"{{key: {key_of(shown)}}}")
    SSL = pytest.importorskip("OpenSSL.SSL")
    made = SSL.Context(SSL.TLS_CLIENT_METHOD)
    made.set_alpn_protos([b"phonebook/1"])
    plain = server.connect()
    plain.settimeout(None)
    connection = SSL.Connection(made, plain)
    connection.set_connect_state()
    connection.do_handshake()
    assert connection.get_client_ca_list() == []
    connection.close()


def test_a_session_that_is_resumed(serve: Serve, us: Authority) -> None:
    """It has the view that its certificate has by now, without showing it again (V-10)."""
    shown = us.make("ada")
    server = secure(serve, us, f"{{key: {key_of(shown)}}}")
    tls = context(us, shown)
    reply, session, resumed = ask_tls(server, tls)
    assert reply.startswith(b"250 ") and not resumed
    reply, session, resumed = ask_tls(server, tls, session)
    assert reply.startswith(b"250 ") and resumed
    without = context(us)
    reply, nobody, _ = ask_tls(server, without)
    assert reply == NOBODY
    reply, _, resumed = ask_tls(server, without, nobody)
    assert reply == NOBODY and resumed
    directory(us.folder / "lab", f"{{key: {'00' * 32}}}")
    server.until(lambda: "reloaded" in server.said)
    reply, session, resumed = ask_tls(server, tls, session)
    assert reply == NOBODY and resumed, "its certificate has no view any more"
    directory(us.folder / "lab")  # none has: the server asks for none, and begins anew
    server.until(lambda: server.said.count("reloaded") == 2)
    reply, session, resumed = ask_tls(server, tls, session)
    assert reply == NOBODY and not resumed


def test_an_open_tls_connection_after_a_reload(serve: Serve, us: Authority) -> None:
    shown = us.make("ada")
    server = secure(serve, us, f"{{key: {key_of(shown)}}}")
    plain = server.connect()
    with context(us, shown).wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(b"ENTRY mary\r\n")
        assert connection.recv(65_536).startswith(b"250 ")
        directory(us.folder / "lab", f"{{key: {'00' * 32}}}")
        server.until(lambda: "reloaded" in server.said)
        connection.sendall(b"ENTRY mary\r\n")
        assert connection.recv(65_536) == NOBODY


def test_certificates_that_nobody_asks_for(serve: Serve, tmp_path: Path) -> None:
    """It is told at the start, and when a load brings the first of them, with who sees what."""
    server = serve(directory(tmp_path, "{name: 'dns:desk.example'}"))
    assert "no certificate is asked for" in server.said
    directory(tmp_path)
    server.until(lambda: "view board: seen by 127.0.1.0/24; includes staff" in server.said)
    assert server.said.count("no certificate is asked for") == 1
    directory(tmp_path, "{name: 'dns:desk.example'}")
    server.until(lambda: server.said.count("no certificate is asked for") == 2)
    assert server.said.count("certificate dns:desk.example; includes staff") == 2


def test_anchors_that_are_none(serve: Serve, us: Authority, lab: Path) -> None:
    own = us.make("server")
    for anchors in (lab / "phonebook.yaml", lab / "nowhere.pem"):
        with pytest.raises(AssertionError, match=r"nowhere\.pem|no certificates in PEM"):
            serve(lab, "--tls-cert", str(own), "--tls-client-ca", str(anchors))


def test_handshakes_are_bounded(serve: Serve, us: Authority) -> None:
    """One network has not all handshakes, and gives its own back as they end."""
    server = secure(serve, us, f"{{key: {'00' * 32}}}")
    with contextlib.ExitStack() as stack:
        begun = [stack.enter_context(server.connect()) for _ in range(26)]
        for each in begun:
            each.sendall(b"\x16")
        assert begun[-1].recv(1) == b"", "as many are under way as one network may have"
        assert server.ask(ASKED) == NOBODY, "plain text is answered meanwhile"
        assert ask_tls(server, context(us), source="127.0.9.1")[0] == NOBODY
        for each in begun[:5]:
            each.shutdown(socket.SHUT_WR)
            assert read_all(each) == b""
        for _ in range(3):
            assert ask_tls(server, context(us))[0] == NOBODY
