"""`phonebook serve`, seen from outside: sockets, signals, files, flags, TLS."""

import contextlib
import datetime
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import WAIT, Server, read_all, write

from phonebook.server import sockets
from phonebook.server.limits import MAX_CONNECTIONS
from phonebook.wire import parse_reply

Serve = Callable[..., Server]

ADA = b"ENTRY fields=phone ada-byron".ljust(1_198) + b"\r\n"
NOBODY = b"252 Nothing found\r\n.\r\n"
RELOAD_TIME = 2.0  # seconds, the longest that a change may take


def ending(*arguments: str) -> tuple[int, str]:
    """Run `phonebook serve`, which must end by itself; return its code and its words."""
    done = subprocess.run(
        [sys.executable, "-m", "phonebook", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def closed(connection: socket.socket) -> bytes:
    """Read until the end, be it a reset."""
    octets = b""
    with contextlib.suppress(ConnectionError):
        while got := connection.recv(65_536):
            octets += got
    return octets


def phone_of(server: Server) -> str:
    reply = server.ask_datagram(ADA)
    assert reply is not None
    return dict(parse_reply(reply[0]).entries[0])["phone"]


# Where it answers


def test_ready_line(serve: Serve, lab: Path) -> None:
    server = serve(lab, "--host", "::1")
    port = server.port
    expected = f"phonebook: ready: 2 entries from {lab} on 127.0.0.1:{port} [::1]:{port} (tcp udp)"
    assert server.ready == expected


def test_one_entry(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    write(file, "- name: Ada Byron\n")
    assert re.search(r": ready: 1 entry from .*one\.yaml on ", serve(file).ready)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_same_octets(serve: Serve, lab: Path, host: str) -> None:
    server = serve(lab, host=host)
    for request in (ADA, b"LOOKUP #t1 a".ljust(1_198) + b"\r\n", b"HELP".ljust(1_198) + b"\r\n"):
        over_udp = server.ask_datagram(request, host)
        assert over_udp == (server.ask(request, host), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_everywhere(serve: Serve, lab: Path, host: str) -> None:
    server = serve(lab, host=None)
    assert f"on 0.0.0.0:{server.port} [::]:{server.port} (tcp udp)" in server.ready
    reply = server.ask_datagram(ADA, host)
    assert reply is not None
    assert reply[1] == host, "a reply comes from the address that was asked"
    assert reply[0] == server.ask(ADA, host)


def test_broadcast(serve: Serve, lab: Path) -> None:
    server = serve(lab, host=None)
    assert server.ask_datagram(ADA, "127.255.255.255", seconds=0.3) is None
    assert server.ask_datagram(ADA) is not None


def test_broadcast_to_one_address(serve: Serve, lab: Path) -> None:
    """The system itself keeps it from a socket that is bound to one address."""
    server = serve(lab, host="127.0.0.1")
    assert server.ask_datagram(ADA, "127.255.255.255", seconds=0.3) is None
    assert server.ask_datagram(ADA) is not None


@pytest.mark.parametrize("host", ["127.255.255.255", "224.0.0.1", "ff02::1"])
def test_address_of_many(lab: Path, host: str) -> None:
    code, said = ending("--host", host, "--port", "0", str(lab))
    assert (code, said.count("\n")) == (5, 1)
    assert host in said


def test_without_udp(serve: Serve, lab: Path) -> None:
    server = serve(lab, "--no-udp")
    assert server.ready.endswith("(tcp)")
    assert server.ask(ADA).startswith(b"250 ")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", server.port))  # nobody has it


def test_without_tcp(serve: Serve, lab: Path) -> None:
    server = serve(lab, "--no-tcp")
    assert server.ready.endswith("(udp)")
    assert server.ask_datagram(ADA) is not None
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_system_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def refuse(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest)

    with real() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(socket, "socket", refuse)
    bound = sockets.bind([], port, tcp=True, udp=True)
    assert [each.family for each in bound] == [socket.AF_INET] * 2
    for each in bound:
        each.close()


# Pipelines and slow peers


@pytest.mark.parametrize("line", [b"ENTRY nobody\r\n", b"LOOKUP a\r\n"], ids=["short", "long"])
@pytest.mark.parametrize("count", [200, 5_000])
def test_pipeline(serve: Serve, lab: Path, line: bytes, count: int) -> None:
    server = serve(lab)
    reply = server.ask(line)
    with server.connect() as connection:
        connection.sendall(line * count)
        octets = b""
        while len(octets) < count * len(reply):
            octets += connection.recv(65_536)
        assert octets == reply * count
        connection.sendall(b"ENTRY nobody\r\n")  # and it goes on
        assert connection.recv(65_536) == NOBODY


def test_half_close(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    assert server.ask(b"ENTRY nobody\r\n" * 500 + b"ENTRY no end") == NOBODY * 500
    assert server.ask(b"") == b""


def test_reply_survives_what_follows(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    with server.connect() as connection:
        connection.sendall(b"ENTRY nobody\r\nGET / HTTP/1.1\r\n" + b"x" * 50_000)
        first, second = NOBODY, b"501 PHONEBOOK/1 Unknown verb\r\n.\r\n"
        assert read_all(connection) == first + second


def test_linger_counts_from_the_end(serve: Serve, lab: Path) -> None:
    """What came before our half was shut is no part of the octets of T-6."""
    server = serve(lab)
    count = 10_000  # 140,000 octets
    with server.connect() as connection:
        sent = b"ENTRY nobody\r\n" * count + b"bad\r\n" + b"x" * 50_000
        sender = threading.Thread(target=connection.sendall, args=(sent,))
        sender.start()
        assert read_all(connection) == NOBODY * count + b"500 PHONEBOOK/1 Malformed\r\n.\r\n"
        sender.join(WAIT)


def lingers(connection: socket.socket, octets: bytes) -> float:
    """Return for how many seconds a connection, shut by the server, still takes octets."""
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < start + WAIT:
            connection.sendall(octets)
            time.sleep(0.1)
    return time.monotonic() - start


@pytest.mark.parametrize(
    ("octets", "least", "most"), [(b"x", 1.9, 4.0), (b"x" * 40_000, 0.0, 1.0)], ids=["time", "size"]
)
def test_linger_ends(serve: Serve, lab: Path, octets: bytes, least: float, most: float) -> None:
    server = serve(lab)
    with server.connect() as connection:
        connection.sendall(b"bad\r\n")
        assert read_all(connection) == b"500 PHONEBOOK/1 Malformed\r\n.\r\n"
        assert least <= lingers(connection, octets) < most


def test_no_room(serve: Serve, lab: Path) -> None:
    """When the system has no room for another connection, the server waits and goes on."""
    server = serve(lab)
    assert server.ask(ADA)  # and the recording of what is sent has its file open
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (40, before[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(server.connect())
        server.until(lambda: "no connection can be accepted" in server.said)
        assert server.ask_datagram(ADA) is not None
    assert server.ask(b"ENTRY nobody\r\n") == NOBODY


def test_full_house(serve: Serve, lab: Path) -> None:
    """One connection more than there is room for is closed, and the others are answered."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < MAX_CONNECTIONS + 100:
        pytest.skip("the system gives too few files")
    server = serve(lab, "--connections-per-network", str(MAX_CONNECTIONS))
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            last = stack.enter_context(server.connect())
        with server.connect() as excess:
            assert closed(excess) == b""
        last.sendall(b"ENTRY nobody\r\n")
        assert last.recv(100) == NOBODY
    assert server.ask(b"ENTRY nobody\r\n") == NOBODY


def test_slow_reader_gets_all(serve: Serve, lab: Path) -> None:
    """A peer that half-closes and takes its time loses nothing: T-5, T-6."""
    server = serve(lab)
    count, line = 20_000, b"LOOKUP a\r\n"
    reply = server.ask(line)
    with server.connect(receive_buffer=4_096) as connection:
        connection.sendall(line * count)
        connection.shutdown(socket.SHUT_WR)
        start, got = time.monotonic(), 0
        while time.monotonic() < start + 3.5:  # longer than the lingering close
            got += len(connection.recv(1_024))
            time.sleep(0.02)
        got += len(read_all(connection))
    assert got == count * len(reply)


def test_peers_that_do_not_read(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    lines = b"LOOKUP a\r\n" * 500_000  # 5 MB, and some 100 MB of replies
    for _ in range(1_000):
        server.ask_datagram(ADA)  # warm
    before = server.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(server.connect(receive_buffer=4_096))
            connection.setblocking(False)
            sent, deadline = 0, time.monotonic() + 1.0
            while sent < len(lines) and time.monotonic() < deadline:
                try:
                    sent += connection.send(lines[sent : sent + 65_536])
                except BlockingIOError:
                    time.sleep(0.01)
            assert server.ask(ADA).startswith(b"250 "), "others are answered meanwhile"
        assert server.memory() - before < 16_000_000


# Times


def times(lab: Path, idle: int, request: int, session: int) -> None:
    settings = f"server: {{idle-timeout: {idle}, request-timeout: {request}"
    text = (lab / "phonebook.yaml").read_text()
    write(lab / "phonebook.yaml", f"{settings}, session-timeout: {session}}}\n{text}")


def lasts(server: Server, octets: bytes, again: bytes = b"") -> tuple[float, bytes]:
    """Return how long a connection lasts on which this is sent, and what came back."""
    with server.connect() as connection:
        start, got = time.monotonic(), b""
        connection.sendall(octets)
        connection.settimeout(0.2)
        while time.monotonic() < start + WAIT:
            try:
                if not (chunk := connection.recv(65_536)):
                    break
                got += chunk
            except TimeoutError:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(again)
            except ConnectionError:
                break
        return time.monotonic() - start, got


def test_idle(serve: Serve, lab: Path) -> None:
    times(lab, idle=1, request=9, session=9)
    server = serve(lab)
    for octets, reply in ((b"", b""), (b"ENTRY nobody\r\n", NOBODY)):
        seconds, got = lasts(server, octets)
        assert got == reply
        assert 0.9 < seconds < 2.5


def test_idle_flag(serve: Serve, lab: Path) -> None:
    seconds, _ = lasts(serve(lab, "--idle-timeout", "1"), b"ENTRY nobody\r\n")
    assert 0.9 < seconds < 2.5


def test_request_time(serve: Serve, lab: Path) -> None:
    times(lab, idle=9, request=1, session=9)
    seconds, got = lasts(serve(lab), b"ENTRY nobody\r\nENTRY ", again=b"n")
    assert got == NOBODY
    assert 0.9 < seconds < 2.5


@pytest.mark.parametrize("octets", [b"", b"ENTRY nobody\r\n"])
def test_session_time(serve: Serve, lab: Path, octets: bytes) -> None:
    times(lab, idle=9, request=9, session=1)
    seconds, got = lasts(serve(lab), octets, again=octets)
    assert got.count(NOBODY) * len(NOBODY) == len(got), "due replies are whole"
    assert bool(got) == bool(octets)
    assert 0.9 < seconds < 2.5


def test_time_of_a_line_runs_only_while_we_read(serve: Serve, lab: Path) -> None:
    times(lab, idle=9, request=1, session=30)
    server = serve(lab)
    count, line = 150_000, b"LOOKUP a\r\n"
    reply = server.ask(line)
    with server.connect(receive_buffer=4_096) as connection:
        sender = threading.Thread(target=connection.sendall, args=(line * count,), daemon=True)
        sender.start()
        time.sleep(2.5)  # nothing is read, and the server stands in the middle of some line
        left = count * len(reply)
        while left:
            got = len(connection.recv(1_000_000))
            assert got, "closed"
            left -= got
        sender.join(WAIT)


def test_peer_that_never_reads_is_let_go(serve: Serve, lab: Path) -> None:
    times(lab, idle=2, request=1, session=1)
    server = serve(lab)
    with server.connect(receive_buffer=4_096) as connection:
        connection.setblocking(False)
        ended = False

        def sends_no_more() -> bool:
            nonlocal ended
            try:
                connection.send(b"LOOKUP a\r\n" * 5_000)
            except BlockingIOError:
                pass
            except ConnectionError:
                ended = True
            return ended

        server.until(sends_no_more, 10)


# Signals and changed files


def test_sigterm_finishes_what_was_asked(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    count = 2_000
    with server.connect() as asking, server.connect() as idle, server.connect() as silent:
        idle.sendall(b"ENTRY nobody\r\n")
        assert idle.recv(100) == NOBODY
        asking.sendall(b"ENTRY nobody\r\n" * count)
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGTERM)  # an impatient operator
        assert read_all(asking) == NOBODY * count
        assert read_all(idle) == read_all(silent) == b""
    assert server.wait() == 0
    assert server.words == [server.ready], "nothing but the ready line"
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_ctrl_c(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    server.signal(signal.SIGINT)
    assert server.wait() == 130


def test_sighup(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    write(lab / "phonebook.yaml", (lab / "phonebook.yaml").read_text().replace("4711", "4799"))
    server.signal(signal.SIGHUP)
    server.until(lambda: phone_of(server) == "4799", 1.0)


@pytest.mark.parametrize("how", ["in place", "renamed", "new file", "removed", "symlink"])
def test_changed_files(serve: Serve, lab: Path, how: str) -> None:
    served = lab.with_name("served")
    served.symlink_to(lab)
    write(lab / "more.yaml", "- {name: Grace, id: grace}\n")
    server = serve(served)
    other = lab.with_name("other")
    shutil.copytree(lab, other)
    text = (lab / "phonebook.yaml").read_text()
    if how == "in place":
        (lab / "phonebook.yaml").write_text(text.replace("4711", "4799"))
    elif how == "renamed":
        write(lab / "phonebook.yaml", text.replace("4711", "4799"))
    elif how == "new file":
        write(lab / "new.yml", "- {name: Ada Two, id: ada-two}\n")
    elif how == "removed":
        (lab / "more.yaml").unlink()
    else:
        write(other / "phonebook.yaml", text.replace("4711", "4799"))
        aside = lab.with_name("aside")
        aside.symlink_to(other)
        aside.replace(served)

    def seen() -> bool:
        match how:
            case "new file":
                return server.ask(b"ENTRY ada-two\r\n").startswith(b"250")
            case "removed":
                return server.ask(b"ENTRY grace\r\n") == NOBODY
            case _:
                return phone_of(server) == "4799"

    server.until(seen, RELOAD_TIME)


def test_settings_are_reloaded(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    times(lab, idle=1, request=2, session=3)
    server.until(lambda: b"\r\nlimit.idle: 1\r\n" in server.ask(b"HELP\r\n"), RELOAD_TIME)
    assert lasts(server, b"ENTRY nobody\r\n")[0] < 2.5


def test_broken_change_is_refused(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    before = server.ask(b"LOOKUP a\r\n")
    write(lab / "bad.yaml", "- name: Ada Byron\n- phone: 1\n- {name: X, room: nowhere}\n")
    server.until(lambda: "goes on answering" in server.said, RELOAD_TIME)
    told = [line for line in server.said.splitlines() if " error: " in line]
    assert len(told) == 3, "every error"
    assert all(re.fullmatch(r"phonebook: .*\.yaml:\d+:\d+: error: .* \[\S+\]", x) for x in told)
    assert server.ask(b"LOOKUP a\r\n") == before
    (lab / "bad.yaml").unlink()
    server.until(lambda: "reloaded: 2 entries" in server.said, RELOAD_TIME)


# What a person can get wrong


def test_port_in_use(serve: Serve, lab: Path) -> None:
    port = str(serve(lab).port)
    code, said = ending("--host", "127.0.0.1", "--port", port, str(lab))
    assert (code, said.count("\n")) == (5, 1)
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said
    flags = ("--host", "127.0.0.1", "--port", "0", "--metrics", f"127.0.0.1:{port}")
    code, said = ending(*flags, str(lab))
    assert (code, said.count("\n")) == (5, 1)
    assert said.endswith("choose another: --metrics 127.0.0.1:9767\n")


def test_foreign_address(lab: Path) -> None:
    code, said = ending("--host", "192.0.2.1", "--port", "0", str(lab))
    assert (code, said.count("\n")) == (5, 1)
    code, said = ending("--host", "no such host", "--port", "0", str(lab))
    assert (code, said.count("\n")) == (5, 1)


def test_missing_directory(tmp_path: Path) -> None:
    code, said = ending("--port", "0", str(tmp_path / "nowhere"))
    assert code == 4
    assert "nowhere" in said


def test_path_that_is_none() -> None:
    code, said = ending("--port", "0", "x" * 300)
    assert (code, said.count(" error: ")) == (4, 1)


def test_broken_directory(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "- phone: 1\n- {name: X, room: nowhere}\n")
    code, said = ending("--port", "0", str(tmp_path))
    assert code == 4
    assert said.count(" error: ") == 2


@pytest.mark.parametrize(
    "flags",
    [
        ["--port", "70000"],
        ["--port", "-1"],
        ["--port", "x"],
        ["--idle-timeout", "0"],
        ["--idle-timeout", "nan"],
        ["--no-udp", "--no-tcp"],
        ["--tls-key", "key.pem"],
        ["-q", "-v"],
        ["--unheard-of"],
        ["another-directory"],
    ],
    ids=" ".join,
)
def test_bad_flags(lab: Path, flags: list[str]) -> None:
    code, said = ending(*flags, str(lab))
    assert code == 2
    assert said.splitlines()[-1].startswith("phonebook")


# TLS


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and its certificate for `localhost`, and beside it another key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )

    def text(each: ec.EllipticCurvePrivateKey) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return each.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(text(key) + certificate.public_bytes(serialization.Encoding.PEM))
    file.with_name("other.pem").write_bytes(text(other))
    return file


def trusting(pem: Path, *alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pem))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(serve: Serve, lab: Path, pem: Path, version: ssl.TLSVersion) -> None:
    server = serve(lab, "--tls-cert", str(pem))
    assert server.ready.endswith("(tcp udp tls)")
    context = trusting(pem, "phonebook/1")
    context.minimum_version = context.maximum_version = version
    plain = server.ask(b"LOOKUP a\r\n")
    with context.wrap_socket(server.connect(), server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "phonebook/1"
        connection.sendall(b"LOOKUP a\r\n" * 3_000)
        got = b""
        while len(got) < 3_000 * len(plain):
            got += connection.recv(65_536)
        assert got == plain * 3_000
        connection.sendall(b"bad\r\n")
        assert connection.recv(65_536) == b"500 PHONEBOOK/1 Malformed\r\n.\r\n"
        assert connection.recv(65_536) == b""


def test_tls_without_goodbye(serve: Serve, lab: Path, pem: Path) -> None:
    """A peer that leaves our close_notify unanswered is held for the lingering close, no longer."""
    server = serve(lab, "--tls-cert", str(pem))
    context = trusting(pem, "phonebook/1")
    with context.wrap_socket(server.connect(), server_hostname="localhost") as connection:
        below = tcp_below(connection)
        connection.sendall(b"bad\r\n")
        assert connection.recv(65_536) == b"500 PHONEBOOK/1 Malformed\r\n.\r\n"
        assert connection.recv(65_536) == b""
        with below:
            assert 1.9 <= lingers(below, b"x") < 4.0


def tcp_below(connection: ssl.SSLSocket) -> socket.socket:
    """Return the TCP connection below a TLS one."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def test_tls_half_close(serve: Serve, lab: Path, pem: Path) -> None:
    """All is answered after the peer's close_notify, and after an end without one (T-5, L-5)."""
    server = serve(lab, "--tls-cert", str(pem))
    for says_goodbye in (True, False):
        received, due = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting(pem, "phonebook/1").wrap_bio(received, due, server_hostname="localhost")
        with server.connect() as connection:
            ready = False
            while not ready:
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                    ready = True
                connection.sendall(due.read())
                if not ready:
                    received.write(connection.recv(65_536))
            tls.write(b"ENTRY nobody\r\n" * 500 + b"ENTRY no end")
            if says_goodbye:
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.unwrap()
            connection.sendall(due.read())
            connection.shutdown(socket.SHUT_WR)
            received.write(read_all(connection))
        got = b""
        with contextlib.suppress(ssl.SSLError):
            while octets := tls.read(65_536):
                got += octets
        assert got == NOBODY * 500


@pytest.mark.parametrize("alpn", [(), ("h2", "http/1.1")], ids=["none", "others"])
def test_tls_without_alpn(serve: Serve, lab: Path, pem: Path, alpn: tuple[str, ...]) -> None:
    server = serve(lab, "--tls-cert", str(pem))
    got = b""
    with contextlib.suppress(OSError):  # an ssl.SSLError is one; so is a reset
        context = trusting(pem, *alpn)
        with context.wrap_socket(server.connect(), server_hostname="localhost") as connection:
            connection.sendall(b"HELP\r\n")
            got = connection.recv(65_536)
    assert got == b""
    assert server.ask(ADA).startswith(b"250 ")


def test_tls_that_stays_silent(serve: Serve, lab: Path, pem: Path) -> None:
    server = serve(lab, "--tls-cert", str(pem))
    with server.connect() as connection:
        start = time.monotonic()
        connection.sendall(b"\x16")
        assert closed(connection) == b""
        assert 9.5 < time.monotonic() - start < 13


def test_tls_garbage(serve: Serve, lab: Path, pem: Path) -> None:
    server = serve(lab, "--tls-cert", str(pem))
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01\x00\x05hello" + bytes(500))
        assert b"PHONEBOOK" not in closed(connection)
    assert server.ask(ADA).startswith(b"250 ")


def test_tls_not_offered(serve: Serve, lab: Path) -> None:
    server = serve(lab)
    with server.connect() as connection:
        connection.sendall(b"\x16")
        assert closed(connection) == b""
    server.until(lambda: "TLS is not set up" in server.said)
    assert server.ask(b"ENTRY \x16\r\n").startswith(b"500 ")


def test_tls_files_that_do_not_serve(lab: Path, pem: Path, tmp_path: Path) -> None:
    for flags in (
        ["--tls-cert", str(tmp_path / "gone.pem")],
        ["--tls-cert", str(lab / "phonebook.yaml")],
        ["--tls-cert", str(pem), "--tls-key", str(pem.with_name("other.pem"))],
    ):
        code, said = ending("--port", "0", *flags, str(lab))
        assert (code, said.count("\n")) == (4, 1), said
        assert ".pem" in said or ".yaml" in said
        assert "gone.pem" not in flags[1] or said.startswith("phonebook: tls-cert is ")
