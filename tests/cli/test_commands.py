"""The commands as people run them: help, exit codes, check, demo, an installed copy."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import tomllib
import venv
from pathlib import Path

import pytest

import phonebook

ROOT = Path(__file__).parents[2]
LAB = ROOT / "examples" / "lab"
COMMANDS = (
    *("serve", "lookup", "check", "conformance", "demo"),
    *("init", "config", "systemd", "port"),
)
SCREEN = 43  # lines
TIME = 60.0  # seconds until a test gives up


def run(*arguments: str, **more: object) -> "subprocess.CompletedProcess[str]":
    """Run `python -m phonebook`."""
    options = {"capture_output": True, "text": True, "timeout": TIME, "check": False, **more}
    done = subprocess.run([sys.executable, "-m", "phonebook", *arguments], **options)  # type: ignore[call-overload]
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"phonebook {phonebook.__version__}\n")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help(command: str) -> None:
    done = run(*command.split(), "--help", env={**os.environ, "COLUMNS": "80"})
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) <= 90
    start = next(number for number, line in enumerate(lines) if line.startswith("example"))
    shown = lines[start + 1 :]
    names = ("phonebook", "phone") if command in ("", "lookup") else (f"phonebook {command}",)
    assert any(line.strip().startswith(names) for line in shown), "an example"


@pytest.mark.parametrize(("command", "code"), [("status", 3), ("conformance", 2)])
def test_what_is_no_host_name(command: str, code: int) -> None:
    done = run(command, "a..b:767")
    assert (done.returncode, done.stdout) == (code, "")
    assert "a..b" in done.stderr.splitlines()[0] and "is no host name" in done.stderr


def phone(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `phone` itself."""
    command = [Path(sysconfig.get_path("scripts"), "phone"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIME, check=False)


def test_phone_by_itself() -> None:
    done = phone("--help")
    assert done.returncode == 0
    assert "phone ada" in done.stdout
    assert phone("--version").stdout == f"phone {phonebook.__version__}\n"


def test_a_word_to_leave_out_that_comes_first() -> None:
    done = phone("-john", "smith")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: phone ")
    assert "-john is no option; a word to leave out goes behind the first, or --" in done.stderr


WRITES = (["--version"], ["config", str(LAB)], ["check", "--format", "json", str(LAB)])
WRITES += (["conformance", "--list"], ["demo", "--once"])  # more than waits to be written at once


@pytest.mark.parametrize("arguments", WRITES, ids=" ".join)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_written(arguments: list[str]) -> None:
    """It is said, and is not what 1 stands for."""
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    streams = {"capture_output": False, "stderr": subprocess.PIPE, "env": buffered}
    with open("/dev/full", "w") as full:
        done = run(*arguments, stdout=full, **streams)
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert "the output cannot be written: No space left" in done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["config", str(LAB)]], ids=" ".join)
def test_output_that_is_closed(arguments: list[str]) -> None:
    command = shlex.join([sys.executable, "-m", "phonebook", *arguments])
    done = subprocess.run(
        f"{command} >&-", shell=True, stderr=subprocess.PIPE, text=True, timeout=TIME, check=False
    )
    assert done.returncode == 5
    assert done.stderr == "phonebook: the output cannot be written: Bad file descriptor\n"


@pytest.mark.parametrize("arguments", [[], ["unheard-of"], ["--unheard-of"], ["check"], ["lookup"]])
def test_wrong_use(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: phonebook" in done.stderr


# check


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return a directory with two errors, in a file whose name GitHub would misread."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "a,b:100%.yaml").write_text("- phone: 1\n- {name: X, room: nowhere}\n")
    return folder


def test_check_without_errors() -> None:
    for form in ("text", "json", "github"):
        done = run("check", "--format", form, str(LAB))
        assert done.returncode == 0, done.stdout
        assert not done.stdout or form == "json" or "warning" in done.stdout
    assert "entries, " in run("check", str(LAB)).stderr


def test_check_counts(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("- name: Ada\n")
    assert run("check", str(tmp_path)).stderr == "1 entry, 0 warnings\n"


def test_check_text(broken: Path) -> None:
    done = run("check", str(broken))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(f"{broken}/a,b:100%.yaml:" in line and ": error: " in line for line in lines)


def test_check_json(broken: Path) -> None:
    done = run("check", "--format", "json", str(broken))
    assert done.returncode == 1
    problems = json.loads(done.stdout)
    assert [(each["line"], each["severity"]) for each in problems] == [(1, "error"), (2, "error")]
    assert all(
        set(each) == {"file", "line", "column", "severity", "code", "sentence"} for each in problems
    )


def test_check_github(broken: Path) -> None:
    done = run("check", "--format", "github", str(broken))
    assert done.returncode == 1
    for line in done.stdout.splitlines():
        head, _, sentence = line.removeprefix("::error ").partition("::")
        assert head.startswith("file=") and sentence
        assert "a%2Cb%3A100%25.yaml,line=" in head
        assert head.count(",") == 2


def test_check_nothing_there(tmp_path: Path) -> None:
    for where in (tmp_path, tmp_path / "gone"):
        done = run("check", str(where))
        assert done.returncode == 4
        assert done.stdout.count("\n") == 1


def test_check_survives_a_c_locale(tmp_path: Path) -> None:
    (tmp_path / "ä.yaml").write_text("- {name: Bäbbage, room: Zürich}\n", encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run("check", str(tmp_path), env=environment, encoding="utf-8")
    assert done.returncode == 1
    assert "Zürich" in done.stdout


# demo


def shows_lookups(text: str) -> None:
    assert text.startswith("phonebook: ready: ")
    assert text.count("\nC: ") == text.count("S: .\n") >= 4
    assert text.count("S: 250 ") >= 3
    assert "S: 252 " not in text and "S: 350 " not in text, "each finds something"
    assert "S: 210 " in text


def test_demo_once() -> None:
    done = run("demo", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    shows_lookups(done.stdout)
    assert "PHONEBOOK_SERVER" not in done.stdout, "nobody is there any more"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_demo_takes_its_server_with_it(number: int) -> None:
    """A closed terminal and a service manager alike."""
    command = [sys.executable, "-m", "phonebook", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            line = next(line for line in demo.stdout if "PHONEBOOK_SERVER=" in line)
            demo.send_signal(number)
            assert demo.wait(TIME) == 0
        finally:
            if demo.poll() is None:
                demo.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), TIME)


def test_demo_stays_until_ctrl_c() -> None:
    command = [sys.executable, "-m", "phonebook", "demo"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        assert demo.stdout is not None and demo.stderr is not None
        try:
            export = next(line for line in demo.stdout if "PHONEBOOK_SERVER=" in line)
            server = export.rpartition("=")[2].strip()
            found = subprocess.run(  # as it is told to
                f"{export}\n{next(demo.stdout)}",
                shell=True,
                env={**os.environ, "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=TIME,
                check=False,
            )
            assert found.returncode == 0, found.stderr
            assert found.stdout.startswith("Ada Byron\n")
            os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to both
            assert demo.wait(TIME) == 130
            assert "Traceback" not in demo.stderr.read()
        finally:
            if demo.poll() is None:
                demo.kill()
    assert run("lookup", "--server", server, "--timeout", "1", "ada").returncode == 3


# An installed copy


def test_the_container_copies_what_the_wheel_is_made_of() -> None:
    """That, and neither an environment nor a history that lies beside it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*wheel["packages"], *wheel["force-include"]}
    recipe = (ROOT / "examples/container/Containerfile").read_text("utf-8")
    lines = re.findall(r"^COPY ((?!--).*) /source/\S*$", recipe, flags=re.MULTILINE)
    assert {name for line in lines for name in line.split()} == needed


def test_wheel_far_from_the_checkout(tmp_path: Path) -> None:
    """The wheel carries the lab, the specification and the cases; both commands work from it."""
    pytest.importorskip("build")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        capture_output=True,
        timeout=TIME,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    far = tmp_path / "far"
    venv.create(far, with_pip=False, symlinks=True)
    python = far / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", wheel], timeout=TIME, check=True)
    # what it needs comes from here: from a copy of the path that leaves the checkout out
    needed = tmp_path / "needed"
    needed.mkdir()
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if "phonebook" not in each.name and each.suffix != ".pth":
            (needed / each.name).symlink_to(each)
    environment = {**os.environ, "PYTHONPATH": str(needed)}

    def installed(*command: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [str(python.parent / command[0]), *command[1:]],
            cwd=far,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIME,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    where = installed("python", "-c", "import phonebook; print(phonebook.__file__)").stdout
    assert where.startswith(str(far))
    shows_lookups(installed("phonebook", "demo", "--once").stdout)
    assert "phone ada" in installed("phone", "--help").stdout
    assert installed("phonebook", "conformance", "--list").stdout.count("\n") > 150
    assert installed("phonebook", "--version").stdout == f"phonebook {phonebook.__version__}\n"


def test_help_is_quick() -> None:
    """Nothing heavy is imported before it is needed."""
    code = (
        "import sys; from phonebook.cli.main import main\n"
        "try: main(['lookup', '--help'])\n"
        "finally: print(sorted({'twisted', 'yaml', 'asyncio'} & set(sys.modules)))"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIME, check=False
    )
    assert done.stdout.endswith("[]\n"), done.stdout
    assert time.perf_counter() - start < 5
