"""Each console block and each Python block of README.md says what really happens."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "phonebook", "serve", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [*command, str(ROOT / "examples/lab")], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if "ready:" in line)
        yield line.split(" on ")[1].split()[0]
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


@pytest.mark.parametrize(("command", "output"), commands(), ids=lambda text: text[:40])
def test_console(server: str, command: str, output: str) -> None:
    if " nc " in command and not shutil.which("nc"):
        pytest.skip("nc is not installed")
    host, _, port = server.rpartition(":")
    command = command.replace("localhost 767", f"{host} {port}")
    command = re.sub(r"^phone ", f"{sys.executable} -m phonebook lookup ", command)
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PHONEBOOK_SERVER": server},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    at = re.compile(r" at=[0-9a-f]+")  # it names a snapshot, and changes with the lab
    assert at.sub("", done.stdout.replace("\r\n", "\n")) == at.sub("", output), done.stderr


@pytest.mark.parametrize("code", blocks("python"))
def test_python(server: str, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PHONEBOOK_SERVER": server},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    assert "anneke-van-der-berg" in done.stdout
