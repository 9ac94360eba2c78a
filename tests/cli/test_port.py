"""`phonebook port`: what listens, whose it is, whether it speaks phonebook; beside ss, lsof, nmap.

Only loopback addresses are asked.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import phonebook
from documents import SPEC
from running import Server

NMAP = Path("/usr/share/nmap/nmap-service-probes")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    lab = tmp_path_factory.mktemp("lab")
    (lab / "phonebook.yaml").write_text("directory: {name: The lab, contact: desk@lab.example}\n")
    (lab / "people.yaml").write_text("- name: Ada\n")
    certificate = str(SPEC / "conformance/client-tls.pem")
    server = Server(lab, ["--host", "127.0.0.1", "--tls-cert", certificate])
    try:
        server.wait_ready()
        yield server
    finally:
        server.end()


@contextlib.contextmanager
def listening(says: bytes) -> Iterator[int]:
    """Listen on a port, as another protocol would, and greet with this."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    with accepted, contextlib.suppress(OSError):
                        accepted.sendall(says)
                        accepted.recv(100)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout


def test_who_listens(server: Server) -> None:
    pytest.importorskip("psutil")
    where = f"127.0.0.1:{server.port}"
    done = phonebook("port", where)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [row[:2] for row in rows] == [
        [name, f"127.0.0.1:{server.port}"] for name in ("tcp", "udp")
    ]
    assert f"pid {server.pid}," in done.stdout
    assert "tcp: PHONEBOOK/1, tls: PHONEBOOK/1" in done.stdout
    assert "udp: PHONEBOOK/1" in done.stdout
    assert "Scanners" in done.stdout
    assert "bindresvport" not in done.stdout, "no RPC client picks this one"


@pytest.mark.parametrize("other", ["ss", "lsof", "netstat"])
def test_side_by_side(server: Server, other: str) -> None:
    """Others see the same sockets, of the same process."""
    pytest.importorskip("psutil")
    flags = {
        "ss": ["-H", "-lntup", f"sport = :{server.port}"],
        "lsof": ["-nP", f"-i:{server.port}"],
        "netstat": ["-lntup"],
    }
    theirs = [line for line in output(tool(other), *flags[other]).splitlines()
              if f":{server.port}" in line]  # fmt: skip
    assert len(theirs) == 2, theirs
    assert all(re.search(rf"\b{server.pid}\b", line) for line in theirs)
    told = phonebook("port", f"127.0.0.1:{server.port}").stdout.splitlines()
    ours = [line for line in told if f":{server.port}" in line and line.startswith("  ")]
    assert all(f"pid {server.pid}," in line for line in ours)
    for transport in ("tcp", "udp"):
        address = f"127.0.0.1:{server.port}"
        assert any(transport in line.lower() and address in line for line in theirs)
        assert any(transport in line and address in line for line in ours)


@pytest.mark.parametrize("says", [b"SSH-2.0-none\r\n", b"", b"500 PHONEBOOKS\r\n"])
def test_another_protocol(says: bytes) -> None:
    with listening(says) as port:
        done = phonebook("port", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert "PHONEBOOK/1" not in done.stdout


def test_nobody() -> None:
    with socket.socket() as bound:  # bound, so that nobody gets it, and deaf
        bound.bind(("127.0.0.1", 0))
        done = phonebook("port", f"127.0.0.1:{bound.getsockname()[1]}")
    assert done.returncode == 1
    assert "here" in done.stdout or "psutil" in done.stdout


def test_a_client_has_the_port() -> None:
    """Who binds a port and connects from there is named as what it is."""
    pytest.importorskip("psutil")
    with listening(b"") as port, socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        client.connect(("127.0.0.1", port))
        taken = client.getsockname()[1]
        done = phonebook("port", f"127.0.0.1:{taken}")
    assert done.returncode == 1
    assert f"a client's, to 127.0.0.1:{port}" in done.stdout
    assert f"pid {os.getpid()}," in done.stdout


def test_rpc_range() -> None:
    """767 itself: what an RPC client may do to it is told with the way out of it."""
    pytest.importorskip("psutil")
    text = phonebook("port").stdout
    assert "/etc/bindresvport.blacklist" in text and "min_resvport=768" in text


HIDE = "import sys\nsys.modules['psutil'] = None\nfrom phonebook.cli.main import main\n"


def test_without_psutil(server: Server) -> None:
    code = HIDE + "sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "port", f"127.0.0.1:{server.port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "pip install psutil" in done.stdout
    assert done.stdout.count("PHONEBOOK/1") == 3


def test_wrong_use() -> None:
    assert phonebook("port", "--all", "localhost").returncode == 2
    assert phonebook("port", "localhost:0").returncode == 2
    assert phonebook("port", "nobody.invalid").returncode == 3


def test_every_port(tmp_path: Path) -> None:
    """In a network of its own, since every port is asked."""
    pytest.importorskip("psutil")
    begin = [tool("unshare"), "--net", "--mount", "--map-root-user"]
    if subprocess.run([*begin, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace can be made here")
    (tmp_path / "people.yaml").write_text("- name: Ada\n")
    script = """
set -e
ip link set lo up
$PY -m phonebook serve --host 127.0.0.1 --port 767 "$LAB" 2>"$LAB/said" & server=$!
$PY -m http.server --bind 127.0.0.1 8000 >/dev/null 2>&1 & other=$!
trap 'kill $server $other' EXIT
for _ in $(seq 200); do
  grep -q ready: "$LAB/said" && (exec 3<>/dev/tcp/127.0.0.1/8000) 2>/dev/null && break
  sleep 0.1
done
$PY -m phonebook port --all
$PY -m phonebook port
"""
    tool("ip")
    done = subprocess.run(
        [*begin, "bash", "-c", script],
        env={**os.environ, "PY": sys.executable, "LAB": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip(f"no network of its own here: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [row[:2] for row in rows[:3]] == [
        ["tcp", "127.0.0.1:767"],
        ["udp", "127.0.0.1:767"],
        ["tcp", "127.0.0.1:8000"],
    ]
    assert [("PHONEBOOK/1" in " ".join(row)) for row in rows[:3]] == [True, True, False]
    assert "bindresvport" in done.stdout


# nmap


def scan(port: int, probes: Path) -> str:
    command = [tool("nmap"), "-n", "-Pn", "-sV", "-sT", "-sU" if os.geteuid() == 0 else "-n"]
    return output(*command, f"-p{port}", "--versiondb", probes, "127.0.0.1")


def names(text: str, port: int) -> None:
    """See that nmap names the service and its version."""
    assert re.search(rf"^{port}/tcp open +phonebook Phonebook directory 1$", text, re.MULTILINE)
    if os.geteuid() != 0:
        return  # nmap scans UDP for root alone
    line = rf"^{port}/udp open +phonebook Phonebook directory 1 \(The lab\)$"
    assert re.search(line, text, re.MULTILINE), text


def test_nmap(server: Server, tmp_path: Path) -> None:
    probes = tmp_path / "probes"
    probes.write_text(phonebook("port", "--nmap").stdout)
    assert max(map(len, probes.read_text().splitlines())) < 2_048  # nmap's buffer for a line
    names(scan(server.port, probes), server.port)


@pytest.mark.full
def test_nmap_with_all_its_probes(server: Server, tmp_path: Path) -> None:
    tool("nmap")
    if not NMAP.exists():
        pytest.skip(f"{NMAP} is not there")
    text = phonebook("port", "--nmap").stdout
    commands = "\n".join(re.findall(r"^#   (.*)$", text, flags=re.MULTILINE)[:2])
    script = f'phonebook() {{ "{sys.executable}" -m phonebook "$@"; }}\n{commands}'
    subprocess.run(["bash", "-c", script], cwd=tmp_path, timeout=60, check=True)
    names(scan(server.port, tmp_path / "probes"), server.port)
