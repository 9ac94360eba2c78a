"""`phonebook systemd`: units that systemd's own tools accept and find little fault with."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import phonebook
from running import write

EXPOSURE = 2.0  # of 10, at most: what systemd-analyze gives a service that is well shut in

analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def units(*arguments: str | Path, **variables: str) -> dict[str, str]:
    """Return the units that are printed, by name."""
    done = phonebook("systemd", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^(?=# /etc/systemd/system/)", done.stdout, flags=re.MULTILINE)[1:]
    return {part.split("\n")[0].rpartition("/")[2]: part for part in parts}


def lines(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit, flags=re.MULTILINE)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    lab = tmp_path / "the lab, 100%"
    lab.mkdir()
    write(lab / "people.yaml", "- name: Ada\n")
    return lab


def test_sockets(lab: Path) -> None:
    socket = units(lab)["phonebook.socket"]
    assert lines(socket, "ListenStream") == ["0.0.0.0:767", "[::]:767"]
    assert lines(socket, "ListenDatagram") == ["0.0.0.0:767", "[::]:767"]
    write(lab / "phonebook.yaml", "server: {host: [127.0.0.1, '::1'], port: 7767, udp: no}\n")
    socket = units(lab)["phonebook.socket"]
    assert lines(socket, "ListenStream") == ["127.0.0.1:7767", "[::1]:7767"]
    assert not lines(socket, "ListenDatagram")


def test_a_name_is_no_address(lab: Path) -> None:
    done = phonebook("systemd", lab, PHONEBOOK_HOST="localhost")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a unit needs an address" in done.stderr


def test_keys_are_handed_over(lab: Path) -> None:
    assert "LoadCredential" not in units(lab)["phonebook.service"]
    write(lab / "phonebook.yaml", "server: {tls-cert: tls/server.pem, tls-key: tls/server.key}\n")
    service = units(lab)["phonebook.service"]
    where = str(lab).replace("%", "%%")
    assert lines(service, "LoadCredential") == [
        f"tls-cert:{where}/tls/server.pem",
        f"tls-key:{where}/tls/server.key",
    ]
    assert "PHONEBOOK_TLS_CERT=%d/tls-cert" in lines(service, "Environment")


def test_variables_are_passed_on(lab: Path) -> None:
    """But what the units themselves say."""
    service = units(lab, PHONEBOOK_PORT="7767", PHONEBOOK_IDLE_TIMEOUT="9")["phonebook.service"]
    assert lines(service, "Environment") == ["PHONEBOOK_IDLE_TIMEOUT=9"]


def test_no_units_for_what_is_not_there(lab: Path) -> None:
    done = phonebook("systemd", lab / "nowhere")
    assert (done.returncode, done.stdout) == (4, "")


def test_one_capability(lab: Path) -> None:
    service = units(lab)["phonebook.service"]
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert lines(service, key) == ["CAP_NET_BIND_SERVICE"]
    assert lines(service, "Type") == ["notify"]
    assert lines(service, "ExecStart")[0].endswith(f' serve "{str(lab).replace("%", "%%")}"')


@analyze
def test_systemd_takes_them(lab: Path, tmp_path: Path) -> None:
    write(lab / "phonebook.yaml", "server: {tls-cert: tls/server.pem, tls-key: tls/server.key}\n")
    files = []
    for name, text in units(lab).items():
        files.append(tmp_path / name)
        files[-1].write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Failed to initialize manager" in done.stderr:
        pytest.skip(f"systemd-analyze verify cannot run here: {done.stderr.strip()}")
    # what it says of the system's own units is not ours
    ours = [line for line in done.stderr.splitlines() if "phonebook" in line]
    assert (done.returncode, ours) == (0, [])


@analyze
def test_exposure(lab: Path, tmp_path: Path) -> None:
    file = tmp_path / "phonebook.service"
    file.write_text(units(lab)["phonebook.service"])
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze has no --offline")
    found = re.search(r"exposure level for phonebook\.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE, done.stdout
