"""Both drivers over real sockets: plain ones, and Twisted's in a process of its own."""

import ssl
import subprocess
import sys
import time

import pytest
from scripted_server import certificate, found, serving, status, tag
from twisted_client import in_process

from phonebook.client import (
    BadInput,
    BrokenReply,
    ClientError,
    NoAnswer,
    entry,
    linked,
    lookup,
)


def plain(query, **options):
    return [each.name for each in lookup(query, **options).entries]


def plain_linked(id, **options):
    return [each.name for each in linked(id, **options).entries]


def twisted(query, **options):
    return in_process(query=query, **options)


def twisted_linked(id, **options):
    return in_process(function="ask_linked", id=id, **options)


drivers = pytest.mark.parametrize("ask", [plain, twisted])


@drivers
def test_over_udp(ask):
    with serving(lambda _, request: found(request, "Ada")) as server:
        assert ask("ada", server=server.address) == ["Ada"]
        assert [(way, len(octets)) for way, octets in server.seen] == [("udp", 1200)]


@drivers
def test_forged_datagrams(ask):
    """K-2."""

    def answer(_, request):
        good = found(request, "Ada")
        return [found(b"LOOKUP #x", "Eve"), good[:-3], b"\xff", good]

    with serving(answer) as server:
        assert ask("ada", server=server.address, transport="udp") == ["Ada"]


@drivers
def test_silence_over_udp(ask):
    """K-4, K-6: TCP is tried after a quarter of a second."""
    with serving(lambda way, request: found(request, "Ada") if way == "tcp" else None) as server:
        start = time.monotonic()
        assert ask("ada", server=server.address, timeout=30.0) == ["Ada"]
        assert time.monotonic() - start < 15


@drivers
@pytest.mark.parametrize("code", ["320", "321"])
def test_use_tcp(ask, code):
    """K-5."""

    def answer(way, request):
        names = [f"Name {number}" for number in range(40)]
        return status(request, int(code)) if way == "udp" else found(request, *names)

    with serving(answer) as server:
        assert len(ask("name", server=server.address, limit=40)) == 40
        assert [way for way, _ in server.seen] == ["udp", "tcp"]


@drivers
def test_without_udp(ask):
    """An ICMP error hastens TCP."""
    with serving(lambda _, request: found(request, "Ada"), udp=False) as server:
        assert ask("ada", server=server.address) == ["Ada"]


@drivers
def test_nobody(ask):
    with serving(lambda *_: None, udp=False, tcp=False) as server:
        pass
    start = time.monotonic()
    with pytest.raises(NoAnswer, match=server.address):
        ask("ada", server=server.address, timeout=30.0)
    assert time.monotonic() - start < 15


@drivers
@pytest.mark.parametrize("transport", ["auto", "udp", "tcp"])
def test_the_whole_wait_is_limited(ask, transport):
    """K-7."""
    with serving(lambda *_: None) as server, pytest.raises(NoAnswer, match="in time"):
        ask("ada", server=server.address, transport=transport, timeout=0.5)


@drivers
def test_an_endless_reply(ask):
    """C-8."""

    def answer(way, request):
        head = b"250 " + tag(request) + b" matched=1 left=0 at=a Found\r\nid: a\r\n"
        return [head, *[b"note: " + b"x" * 900 + b"\r\n"] * 400]

    with serving(answer) as server, pytest.raises(BrokenReply):
        ask("ada", server=server.address, transport="tcp")


@drivers
def test_closed_without_a_reply(ask):
    with serving(lambda *_: b"") as server, pytest.raises(NoAnswer, match="closed"):
        ask("ada", server=server.address, transport="tcp")


@drivers
def test_closed_once_without_a_reply(ask):
    """As by a server that dies and is there again: nobody notices."""

    def answer(way, request):
        return b"" if len(server.seen) == 1 else found(request, "Ada")

    with serving(answer) as server:
        assert ask("ada", server=server.address, transport="tcp") == ["Ada"]
    assert len(server.seen) == 2


@drivers
def test_tls(ask, tmp_path):
    """L-3, L-6."""
    context, trusted = certificate(tmp_path, "127.0.0.1")
    many, note = [f"Name {number}" for number in range(32)], "note: " + "x" * 900 + "\r\n"
    with serving(lambda _, request: found(request, *many, more=note), tls=context) as server:
        told = ask("a", server=server.address, transport="tls", cafile=trusted, limit=32)
        assert told == many
        assert {way for way, _ in server.seen} == {"tcp"}
        with pytest.raises(NoAnswer):
            ask("ada", server=server.address, transport="tls")


@drivers
def test_tls_for_another_name(ask, tmp_path):
    """L-6: verified against the name that was given."""
    context, trusted = certificate(tmp_path, "elsewhere.example")
    with (
        serving(lambda _, request: found(request, "Ada"), tls=context) as server,
        pytest.raises(NoAnswer),
    ):
        ask("ada", server=server.address, transport="tls", cafile=trusted)
    assert server.seen == []


@drivers
def test_tls_without_the_protocol(ask, tmp_path):
    """L-3."""
    context, trusted = certificate(tmp_path, "127.0.0.1")
    context.set_alpn_protocols([])
    with (
        serving(lambda _, request: found(request, "Ada"), tls=context) as server,
        pytest.raises(NoAnswer, match="ALPN|TLS"),
    ):
        ask("ada", server=server.address, transport="tls", cafile=trusted)
    assert server.seen == []


@drivers
def test_tls_where_a_certificate_is_needed(ask, tmp_path):
    context, trusted = certificate(tmp_path, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    with (
        serving(lambda _, request: found(request, "Ada"), tls=context) as server,
        pytest.raises(NoAnswer, match="asks for a client's certificate"),
    ):
        ask("ada", server=server.address, transport="tls", cafile=trusted)


@drivers
@pytest.mark.parametrize("banner", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-lab\r\n"])
def test_another_service(ask, banner):
    """What it is not is said at once, whether it closes or waits."""
    with (
        serving(lambda *_: banner) as server,
        pytest.raises(BrokenReply, match="does not speak phonebook"),
    ):
        ask("ada", server=server.address, transport="tcp", timeout=30.0)


@drivers
def test_tls_against_plain_text(ask, tmp_path):
    """L-6: no fall back."""
    with (
        serving(lambda _, request: found(request, "Ada")) as server,
        pytest.raises(ClientError),
    ):
        ask("ada", server=server.address, transport="tls", timeout=1.0)
    assert all(b"LOOKUP" not in octets for _, octets in server.seen)


@drivers
def test_a_name_without_an_address(ask):
    with pytest.raises(NoAnswer, match="no address|in time"):
        ask("ada", server="nobody.invalid", timeout=2.0)


@drivers
def test_what_is_no_host_name(ask):
    with pytest.raises(BadInput, match="'a..b' is no host name"):
        ask("ada", server="a..b:767")


@drivers
def test_localhost(ask):
    """Whichever of its addresses the server is at."""
    with serving(lambda _, request: found(request, "Ada")) as server:
        assert ask("ada", server=f"localhost:{server.port}") == ["Ada"]


def test_entry():
    told = {b"ada": lambda request: found(request, "Ada"), b"bob": lambda r: status(r, 252)}
    with serving(lambda _, request: told[request.split()[-1]](request)) as server:
        one = entry("ada", server=server.address)
        assert one is not None and one.name == "Ada"
        assert entry("bob", server=server.address) is None
        assert server.seen[0][1].startswith(b"ENTRY #")


@pytest.mark.parametrize("ask", [plain_linked, twisted_linked])
def test_linked(ask):
    with serving(lambda _, request: found(request, "Group", "Ada")) as server:
        assert ask("g", server=server.address, links=["member-of"], limit=2) == ["Group", "Ada"]
        assert ask("g", server=server.address) == ["Group", "Ada"]
        sent = [octets.split(b" ", 2)[2].strip() for _, octets in server.seen]
        assert sent == [
            b"links=member-of limit=2 g",
            b"links=room,member-of,part-of,reports-to,contact g",
        ]


def test_blocking_needs_no_twisted():
    program = (
        "import sys, phonebook.cli.lookup, phonebook.cli.output, phonebook.client.blocking;"
        "sys.exit(any(name in sys.modules for name in ('twisted', 'yaml', 'ssl', 'asyncio')))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
