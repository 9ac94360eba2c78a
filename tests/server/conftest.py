"""A small directory, and servers that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Server, write

LAB = """\
directory:
  name: Test lab
entries:
  - name: Ada Byron
    phone: 4711
    title: Analyst
  - name: Charles Babbage
    phone: 4712
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Return a small directory that a test may change."""
    folder = tmp_path / "lab"
    folder.mkdir()
    write(folder / "phonebook.yaml", LAB)
    return folder


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return what starts a server: `serve(DIR, "--flag", ...)`; all end with the test."""
    started: list[Server] = []

    def start(
        directory: Path,
        *arguments: str,
        host: str | None = "127.0.0.1",
        budget: bool = False,
    ) -> Server:
        where = [] if host is None else ["--host", host]
        free = [] if budget else ["--entries-per-minute", "0"]  # tests ask a lot
        started.append(Server(directory, [*where, *free, *arguments]))
        started[-1].wait_ready()
        return started[-1]

    yield start
    for each in started:
        each.end()
