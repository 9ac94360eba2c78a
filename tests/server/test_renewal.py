"""New certificates, keys and trust anchors in a server that runs, over real sockets."""

import errno
import functools
import os
import shutil
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from authority import Authority, ask_tls, context, key_of, x509
from running import Server, write
from twisted.internet.task import Clock

from phonebook.server import sharing
from phonebook.server.control import Asking, control_file
from phonebook.server.credentials import MAX_OCTETS, Files, PassingError, Renewal, TlsError
from phonebook.server.reload import POLL_INTERVAL
from phonebook.server.tls import speaker
from phonebook.server.workers import Workers

Serve = Callable[..., Server]

NOBODY = b"252 Nothing found\r\n.\r\n"
MARY = b"ENTRY mary\r\n"
_SOON = 4  # seconds: long enough for some handshakes on a busy machine
IN_FORCE = "TLS: new connections get what is in"


@pytest.fixture
def us(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "us")


def own(us: Authority, name: str) -> Path:
    """Return a certificate for the server."""
    return us.make(name, x509.DNSName("localhost"))


def renew(file: Path, other: Path) -> None:
    """Put another file in its place, as careful programs do."""
    shutil.copy(other, file.with_name("aside"))
    file.with_name("aside").replace(file)


def serial(server: Server, tls: ssl.SSLContext) -> int:
    """Return the number of the certificate that a new connection gets."""
    with tls.wrap_socket(server.connect(), server_hostname="localhost") as connection:
        told = connection.getpeercert()
        assert told
        return int(str(told["serialNumber"]), 16)


def number(file: Path) -> int:
    return int(x509.load_pem_x509_certificate(file.read_bytes()).serial_number)


def directory(folder: Path, *shown: Path) -> Path:
    """Write a directory whose Mary is seen by these certificates."""
    keys = ", ".join(f"{{key: {key_of(each)}}}" for each in shown)
    views = f"views: [{{name: board, certificates: [{keys}]}}]\n" if shown else ""
    view = ", view: board" if shown else ""
    folder.mkdir(exist_ok=True)
    text = f"{views}entries:\n  - {{id: mary, name: Mary{view}}}\n  - {{name: Ada}}\n"
    write(folder / "phonebook.yaml", text)
    return folder


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_new_certificate(serve: Serve, us: Authority, tmp_path: Path, workers: str) -> None:
    first, second, third = own(us, "first"), own(us, "second"), own(us, "third")
    file = tmp_path / "server.pem"
    renew(file, first)
    server = serve(directory(tmp_path / "lab"), "--tls-cert", str(file), "--workers", workers)
    tls = context(us)
    with tls.wrap_socket(server.connect(), server_hostname="localhost") as staying:
        assert serial(server, tls) == number(first)
        renew(file, second)  # it is seen by itself
        server.until(lambda: IN_FORCE in server.said)
        server.until(lambda: {serial(server, tls) for _ in range(4)} == {number(second)})
        renew(file, third)
        server.signal(signal.SIGHUP)
        server.until(lambda: server.said.count(IN_FORCE) == 2)
        server.until(lambda: {serial(server, tls) for _ in range(4)} == {number(third)})
        for pid in workers_of(server):  # who comes later gets it, too
            os.kill(pid, signal.SIGKILL)
        if workers == "1":
            staying.sendall(MARY)
            assert staying.recv(2_048).startswith(b"250 "), "an open connection goes on"
    assert serial(server, tls) == number(third)


def workers_of(server: Server) -> list[int]:
    """Return its workers' processes; one process that does it all has none."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    called = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    return [int(pid) for pid, line in called.items() if b"server.worker" in line]


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.full), "2"])
def test_a_bad_one_is_refused(serve: Serve, us: Authority, tmp_path: Path, workers: str) -> None:
    """The old one goes on, in workers that come later as well; it is told once, with what to do."""
    good = own(us, "good")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    renew(certificate, good)
    renew(key, good)
    flags = ["--tls-cert", str(certificate), "--tls-key", str(key), "--workers", workers]
    server = serve(directory(tmp_path / "lab"), *flags)
    tls = context(us)
    renew(key, own(us, "other"))
    refused = "TLS goes on with what it had before"
    server.until(lambda: refused in server.said)
    told = f"{certificate}, {key}: the key is not this certificate's: renew both; {refused}"
    assert told in server.said
    for pid in workers_of(server):
        os.kill(pid, signal.SIGKILL)
    assert serial(server, tls) == number(good)
    key.unlink()
    server.until(lambda: server.said.count(refused) == 2)
    assert f"{key}: No such file or directory" in server.said
    write(key, "nothing of this kind\n")
    server.until(lambda: server.said.count(refused) == 3)
    assert "no PEM certificate and its key" in server.said
    renew(key, tmp_path / "other.pem")
    server.until(lambda: server.said.count(refused) == 4)
    renew(certificate, tmp_path / "other.pem")  # the second of the pair
    server.until(lambda: IN_FORCE in server.said)
    server.until(lambda: serial(server, tls) == number(tmp_path / "other.pem"))
    assert server.said.count(refused) == 4, "each is told once"


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.full)])
def test_other_anchors(serve: Serve, us: Authority, tmp_path: Path, workers: str) -> None:
    """A session that began under anchors which hold no more is not resumed (V-10)."""
    (tmp_path / "them").mkdir()
    them = Authority(tmp_path / "them", "them")
    ours, theirs = us.make("ada"), them.make("ada")
    anchors = tmp_path / "anchors.pem"
    renew(anchors, us.file)
    lab = directory(tmp_path / "lab", ours, theirs)
    flags = ["--tls-cert", str(own(us, "server")), "--tls-client-ca", str(anchors)]
    server = serve(lab, *flags, "--workers", workers)
    known, unknown = context(us, ours), context(us, theirs)
    reply, session, _ = ask_tls(server, known, asked=MARY)
    assert reply.startswith(b"250 ")
    assert refused(server, unknown)
    renew(anchors, them.file)
    server.signal(signal.SIGHUP)
    server.until(lambda: IN_FORCE in server.said)
    server.until(lambda: refused(server, known, session))
    assert ask_tls(server, unknown, asked=MARY)[0].startswith(b"250 ")
    write(anchors, "none")
    server.until(lambda: f"{anchors}: these are no certificates in PEM; TLS goes on" in server.said)
    assert ask_tls(server, unknown, asked=MARY)[0].startswith(b"250 ")


def refused(server: Server, tls: ssl.SSLContext, session: ssl.SSLSession | None = None) -> bool:
    """Whether who shows a certificate gets no answer at all."""
    try:
        return ask_tls(server, tls, session, asked=b"HELP\r\n")[0] == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_a_certificate_whose_time_ends(
    serve: Serve, us: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is its session resumed, nor is what is open answered any more (V-11)."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    name = "views: [{name: board, certificates: [{name: 'dns:desk.example'}]}]\n"
    lab, place = directory(tmp_path / "lab"), tmp_path / "cache"
    write(lab / "phonebook.yaml", f"{name}entries: [{{id: mary, name: Mary, view: board}}]\n")
    flags = ["--tls-cert", str(own(us, "server")), "--tls-client-ca", str(us.file)]
    server = serve(lab, *flags, "--cache", str(place))

    def connections() -> object:
        return Asking(control_file(lab, place)).ask("status")[0]["limits"]["connections"]["now"]

    began = time.time()
    tls = context(us, us.make("ada", x509.DNSName("desk.example"), seconds=_SOON))
    stranger = context(us)
    greedy = server.connect(receive_buffer=4_096)
    with (
        tls.wrap_socket(server.connect(), server_hostname="localhost") as staying,
        stranger.wrap_socket(server.connect(), server_hostname="localhost") as other,
        tls.wrap_socket(greedy, server_hostname="localhost") as taking_nothing,
    ):
        _, session, _ = ask_tls(server, tls, asked=MARY)
        reply, session, resumed = ask_tls(server, tls, session, asked=MARY)
        assert resumed and reply.startswith(b"250 ")
        staying.sendall(MARY)
        assert staying.recv(2_048).startswith(b"250 ")
        taking_nothing.setblocking(False)
        with pytest.raises(ssl.SSLWantWriteError):
            while True:
                taking_nothing.send(MARY * 1_000)
        assert staying.recv(2_048) == b"", "it is closed when the time is over"
        assert time.time() >= began + _SOON - 1
        server.until(lambda: connections() == 1)  # with all that it had not been answered yet
        assert refused(server, tls, session)
        other.sendall(MARY)
        assert other.recv(2_048) == NOBODY, "who showed none goes on"


def test_files(us: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem, link = own(us, "server"), tmp_path / "link.pem"
    found = Files(pem, pem).read()
    assert found == Files(pem, pem).read()
    assert "PRIVATE" not in repr(replace(found, certificate=b"")), "a key is not shown by accident"
    link.symlink_to(pem)
    before = Files(link, link).look()
    link.unlink()
    link.symlink_to(own(us, "other"))
    assert Files(link, link).look() != before, "a link that is switched is a change"
    with pytest.raises(TlsError, match=r"nowhere\.pem: No such file"):
        Files(tmp_path / "nowhere.pem", pem).read()

    def refuse(*_: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("phonebook.server.credentials.read_regular", refuse)
    with pytest.raises(TlsError, match=r"^tls-cert is .*: it is read as user .*: chown "):
        Files(pem, pem).read()


def test_what_writers_put_in_its_place(serve: Serve, us: Authority, tmp_path: Path) -> None:
    """Neither a pipe is read, nor what a link finds outside: the server answers as before."""
    lab = directory(tmp_path / "lab")
    pem = lab / "tls" / "server.pem"
    pem.parent.mkdir()
    good = own(us, "good")
    renew(pem, good)
    settings = "server: {tls-cert: tls/server.pem}\n"
    write(lab / "phonebook.yaml", settings + (lab / "phonebook.yaml").read_text())
    server = serve(lab)
    refused = "TLS goes on with what it had before"

    def put(make: Callable[[Path], None]) -> None:
        make(pem.with_name("aside"))
        pem.with_name("aside").replace(pem)

    put(lambda aside: aside.symlink_to(own(us, "other")))
    server.until(lambda: f"tls-cert is {pem}: that leads out of the directory: " in server.said)
    put(os.mkfifo)
    server.until(lambda: f"{pem}: this is no file of at most 1,048,576 octets" in server.said)
    assert server.said.count(refused) == 2
    assert serial(server, context(us)) == number(good)
    put(lambda aside: shutil.copy(tmp_path / "other.pem", aside))
    server.until(lambda: IN_FORCE in server.said)
    assert server.stop() == 0


class Watched:
    """A renewal without a process, by a clock of ours."""

    def __init__(self, pem: Path) -> None:
        """Watch a file."""
        self.clock, self.pem = Clock(), pem
        self.switched = 0
        self.fails: Exception | None = None
        self.renewal = Renewal(Files(pem, pem).read(), self._switch)
        self.renewal.begin(self.clock)

    def _switch(self, credentials: object) -> None:
        self.switched += 1
        if self.fails:
            raise self.fails

    def wait(self, polls: int) -> None:
        """Let some looks pass."""
        self.clock.pump([POLL_INTERVAL] * polls)


def test_what_may_pass_is_tried_again(
    us: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though no file changes; it is told once, with what to do."""
    pem = tmp_path / "pem"
    renew(pem, own(us, "first"))
    watched = Watched(pem)
    watched.fails = PassingError.of("a file", OSError(errno.EMFILE, "Too many open files"))
    renew(pem, own(us, "second"))
    watched.wait(6)
    assert watched.switched > 3
    assert [each.getMessage() for each in caplog.records] == [
        "a file: Too many open files: raise the limit on open files (ulimit -n, LimitNOFILE= of a "
        "unit); TLS goes on with what it had before"
    ]
    watched.fails = None
    watched.wait(1)
    tried = watched.switched
    watched.wait(6)
    assert watched.switched == tried, "it is in force"

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    renew(pem, own(us, "third"))
    with monkeypatch.context() as patched:
        patched.setattr("phonebook.server.credentials.read_regular", refuse)
        watched.wait(6)
    assert len(caplog.records) == 2
    assert f"{pem}: Input/output error: look at the disk; TLS" in caplog.text
    watched.wait(1)
    assert watched.switched == tried + 1


def test_what_is_wrong_is_not_tried_again(us: Authority, tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    renew(pem, own(us, "first"))
    watched = Watched(pem)
    watched.fails = TlsError("no")
    renew(pem, own(us, "second"))
    watched.wait(9)
    assert watched.switched == 1
    watched.fails = MemoryError()
    renew(pem, own(us, "third"))
    with pytest.raises(MemoryError):
        watched.wait(9)
    watched.fails = None
    renew(pem, own(us, "fourth"))
    watched.wait(3)
    assert watched.switched == 3, "it still looks"


def test_files_are_used_up(us: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told as what it is, and costs no open file."""
    pem = own(us, "server")
    found = Files(pem, pem, us.file).read()
    share = functools.partial(os.open, os.devnull, os.O_RDONLY)
    workers = Workers(0, None, [], share, -1, found, Clock())  # type: ignore[arg-type]
    opened = len(os.listdir("/dev/fd"))

    def refuse() -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(sharing, "nameless", refuse)
        with pytest.raises(
            PassingError, match=r"server\.pem: Too many open files: raise the limit"
        ):
            speaker(found)
        with pytest.raises(PassingError, match="Too many open files: raise the limit"):
            workers.renew(found)

    def fail() -> Iterator[bytes]:
        yield b"some"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        sharing.filled(fail())
    assert len(os.listdir("/dev/fd")) == opened
    (tmp_path / "large.pem").write_bytes(bytes(MAX_OCTETS + 1))
    with pytest.raises(TlsError, match="no file of at most"):
        Files(tmp_path / "large.pem", pem).read()
