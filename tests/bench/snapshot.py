"""What a directory costs: octets on disk and in memory, seconds to start and to reload."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from data import Data
from load import PERSISTENT, Generator, Load, Subject, write_requests
from processes import ENVIRONMENT, EVERY_CORE, HOST, NotHereError, Server, ours
from rows import Bar, Row

HERE = Path(__file__).parent
RUNS = 3  # the best of them counts
LOAD_TIME = 2.0  # seconds

COLD = {"10k": Bar(1.0, 0.7), "100k": Bar(6.5, 5)}
WARM = {"100k": Bar(0.5, 0.35), "1m": Bar(0.7, 0.4)}
OCTETS = {"1m": Bar(450, 360)}
MEMORY = {"1m": Bar(90, 60)}


def compiled(directory: Path) -> Path:
    """Return the file that `phonebook compile` makes of a directory, or finds to be true."""
    command = [sys.executable, "-m", "phonebook", "compile", str(directory)]
    done = subprocess.run(
        command, env=ENVIRONMENT, cwd=HERE, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotHereError("phonebook compile: " + done.stderr.strip().rpartition("\n")[2])
    return Path(done.stdout.strip())


def forget() -> None:
    """Remove compiled snapshots: the next start is cold."""
    shutil.rmtree(ENVIRONMENT["XDG_CACHE_HOME"], ignore_errors=True)


# Measurements


def octets(data: Data) -> float:
    """Return octets an entry of the compiled snapshot."""
    return compiled(data.path).stat().st_size / len(data.people)


def memory(data: Data, folder: Path, generate: Generator) -> float:
    """Return MB that one worker has for itself, after lookups by id and by word."""
    with ours(data.path, folder / "memory.log") as server:
        for kind, lines in (
            ("id", [f"ENTRY {key}\r\n" for key in data.draw(data.an_id)]),
            ("word", [f"LOOKUP {word}\r\n" for word in data.draw(data.a_word)]),
        ):
            requests = write_requests(folder / kind, (line.encode() for line in lines))
            generate(Subject(kind, server, PERSISTENT, requests), LOAD_TIME)
        return server.memory("Private_Dirty") / 1e6


def cold(data: Data, folder: Path) -> float:
    """Return the seconds to the first answer where nothing is compiled."""

    def one() -> float:
        forget()
        return first_answer(data, folder, cores=EVERY_CORE)

    return min(one() for _ in range(RUNS))


def warm(data: Data, folder: Path) -> float:
    """Return the seconds to the first answer where all is compiled."""
    compiled(data.path)
    return min(first_answer(data, folder) for _ in range(RUNS))


def first_answer(data: Data, folder: Path, cores: str = "") -> float:
    """Return seconds from the start of the process until its first answer is whole."""
    began = time.perf_counter()
    with ours(data.path, folder / "first.log", cores) as server:
        fetch(server, data.people[0].id)
        return time.perf_counter() - began


def fetch(server: Server, key: str) -> bytes:
    """Return the reply to one request, over a connection that then closes."""
    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(f"ENTRY {key}\r\n".encode())
        reply = b""
        while not reply.endswith(b"\r\n.\r\n"):
            reply += connection.recv(65_536)
        return reply


class Changing:
    """A copy of a directory, one entry of which is renamed again and again."""

    def __init__(self, data: Data, folder: Path) -> None:
        """Copy the directory."""
        self.path = folder / "changing"
        shutil.copytree(data.path, self.path)
        self.file = sorted(self.path.glob("entries-*.yaml"))[-1]
        self.count = 0
        self.change()

    def change(self) -> str:
        """Change one line, as an editor does; return the entry's new name."""
        self.count += 1
        name = f"Changed Entry{self.count}"
        text = self.file.read_text("utf-8")
        line = f"- name: {name}\n  id: changed-entry\n"
        text = re.sub(r"- name: Changed .*\n  id: changed-entry\n", "", text) + line
        (fresh := self.file.with_suffix(".new")).write_text(text, "utf-8")
        fresh.rename(self.file)
        return name

    def until_answered(self, server: Server) -> float:
        """Change it, and return the seconds until the new entry answers."""
        name = self.change().encode()
        began = time.perf_counter()
        while name not in fetch(server, "changed-entry"):
            time.sleep(0.01)
        return time.perf_counter() - began


def p99_of_reload(
    server: Server, changing: Changing, window: float, data: Data, folder: Path, generate: Generator
) -> float:
    """Return the p99 of lookups at a third of full load: with a reload, against without one."""
    lines = (f"ENTRY {key}\r\n".encode() for key in data.draw(data.an_id))
    requests = write_requests(folder / "requests", lines)
    full = generate(Subject("full load", server, PERSISTENT, requests), LOAD_TIME)
    third = Load("stay", connections=50, rate=full.per_second / 3)
    subject = Subject("a third of it", server, third, requests)
    ratios = []
    for _ in range(RUNS):
        quiet = generate(subject, window)
        busy = generate(subject, window, changing.change)
        ratios.append(busy.p99 / quiet.p99)
        time.sleep(window)
    return min(ratios)


def reload_rows(data: Data, folder: Path, generate: Generator) -> Iterator[Row]:
    """Yield the rows of a reload. The server has all cores, as it has where it is used."""
    changing = Changing(data, folder)
    for whose, *options in (("",), (", two workers", "--workers", "2")):
        log = folder / f"reload{whose}.log"
        with ours(changing.path, log, EVERY_CORE, "--verbose", *options) as server:
            took = [changing.until_answered(server) for _ in range(RUNS)]
            name = f"one line changed, until it answers{whose}"
            yield Row(name, data.size, Bar(5, 2), min(took), "s")
            window = max(1.0, min(took))
            felt = p99_of_reload(server, changing, window, data, folder, generate)
            yield Row(f"p99 while it reloads / else{whose}", data.size, Bar(2, 1.3), felt, "x")
        took = [float(each) for each in re.findall(r"switch took ([0-9.]+) ms", log.read_text())]
        yield Row(f"the switch itself{whose}", data.size, Bar(2, 1), max(took), "ms")


def measure(data: Data, folder: Path, generate: Generator) -> list[Row]:
    """Return the rows that a directory has."""
    wanted: list[tuple[str, Bar | None, str, Callable[[], float]]] = [
        ("cold until the first answer", COLD.get(data.size), "s", lambda: cold(data, folder)),
        ("warm until the first answer", WARM.get(data.size), "s", lambda: warm(data, folder)),
        ("compiled, octets an entry", OCTETS.get(data.size), "", lambda: octets(data)),
        (
            "private memory of a worker",
            MEMORY.get(data.size),
            "MB",
            lambda: memory(data, folder, generate),
        ),
    ]
    rows = []
    for name, bar, unit, figure in wanted:
        if bar is not None:
            try:
                rows.append(Row(name, data.size, bar, figure(), unit))
            except NotHereError as error:
                rows.append(Row(name, data.size, bar, None, unit, str(error)))
    if data.size == "100k":
        rows += reload_rows(data, folder, generate)
    return rows
