"""Reloads under load: every request is answered, whole, from one snapshot or the next."""

import gc
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from running import WAIT, Server, write
from twisted.internet import defer
from twisted.internet.task import Clock

from phonebook import store
from phonebook.server import reload
from phonebook.server.reload import POLL_INTERVAL, Reloader, fingerprint, read_served
from phonebook.server.state import State
from phonebook.service.answer import answer
from phonebook.service.snapshot import Terms
from phonebook.wire import ReplyReader, parse_reply

Serve = Callable[..., Server]


def generation(number: int) -> str:
    """Return a directory that says its number twice in every entry."""
    entries = "".join(
        f"- {{name: Person {each}, id: p-{each}, title: g{number}, note: g{number}}}\n"
        for each in range(40)
    )
    return entries


def numbers(entries: tuple[tuple[tuple[str, str], ...], ...]) -> set[str]:
    return {value for entry in entries for field, value in entry if field in ("title", "note")}


def test_a_snapshot_ends_with_its_last_use(lab: Path) -> None:
    """What it maps is given back at once, not when Python next looks for cycles."""
    snapshot = read_served(lab, lambda _: Terms()).public
    for line in (b"LOOKUP ada", b"LOOKUP adda byron", b"ENTRY ada-byron"):
        assert answer(line, snapshot)[0].startswith(b"25")
    ends = weakref.ref(snapshot)
    gc.disable()
    try:
        del snapshot
        assert ends() is None
    finally:
        gc.enable()


class Asker(threading.Thread):
    """Asks without pause until told to stop; keeps what was wrong."""

    def __init__(self, server: Server, udp: bool) -> None:
        """Ask this server, over UDP or TCP."""
        super().__init__(daemon=True)
        self.server, self.udp = server, udp
        self.stopped = threading.Event()
        self.answered, self.wrong, self.seen = 0, list[str](), list[int]()

    def run(self) -> None:
        """Ask."""
        try:
            (self._datagrams if self.udp else self._stream)()
        except Exception as error:
            self.wrong.append(repr(error))

    def _datagrams(self) -> None:
        line = b"LOOKUP limit=2 fields=title,note person".ljust(1_198) + b"\r\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.connect(("127.0.0.1", self.server.port))
            asker.settimeout(WAIT)
            while not self.stopped.is_set():
                asker.send(line)
                self._look(parse_reply(asker.recv(4_096)).entries, 2)

    def _stream(self) -> None:
        reader, pending = ReplyReader(), 8
        line = b"LOOKUP limit=32 person\r\n"
        with self.server.connect() as connection:
            while not self.stopped.is_set():
                connection.sendall(line * pending)
                replies = []
                while len(replies) < pending:
                    octets = connection.recv(65_536)
                    assert octets, "closed"
                    replies += reader.feed(octets)
                for reply in replies:
                    self._look(reply.entries, 32)

    def _look(self, entries: tuple[tuple[tuple[str, str], ...], ...], count: int) -> None:
        self.answered += 1
        seen = numbers(entries)
        if len(entries) != count or len(seen) != 1:
            self.wrong.append(f"{len(entries)} entries of {seen}")
            return
        number = int(seen.pop()[1:])
        if self.seen and number < self.seen[-1]:
            self.wrong.append(f"{number} after {self.seen[-1]}")
        if not self.seen or number != self.seen[-1]:
            self.seen.append(number)


def test_change_between_load_and_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes while the server starts is not missed."""
    file = tmp_path / "phonebook.yaml"
    write(file, generation(0))
    before = fingerprint(tmp_path)
    state = State(read_served(tmp_path, lambda _: Terms()))
    write(file, generation(1))
    reloader = Reloader(tmp_path, before, state, lambda _: Terms())
    asked = []
    reloader.reload = lambda: asked.append(True)  # type: ignore[method-assign]
    clock = Clock()
    monkeypatch.setattr(reload, "_in_thread", lambda _, work: defer.execute(work))
    reloader.begin(clock)  # type: ignore[arg-type]
    clock.pump([POLL_INTERVAL] * 2)
    assert asked


@pytest.mark.parametrize("reloads", [10, pytest.param(100, marks=pytest.mark.full)])
def test_reloads_under_load(serve: Serve, tmp_path: Path, reloads: int) -> None:
    file = tmp_path / "phonebook.yaml"
    write(file, generation(0))
    server = serve(tmp_path)
    askers = [Asker(server, udp) for udp in (True, False)]
    for asker in askers:
        asker.start()
    for number in range(1, reloads + 1):
        broken = number % 2 == 1
        refused = server.said.count("goes on answering")
        write(file, generation(number) + "- name: Two\n  name: Two\n" * broken)

        def dealt_with(number: int = number, broken: bool = broken, refused: int = refused) -> bool:
            if broken and server.said.count("goes on answering") > refused:
                return True
            if not broken and all(asker.seen[-1:] == [number] or asker.wrong for asker in askers):
                return True
            server.signal(signal.SIGHUP)  # one that comes while it loads is left to the poll
            time.sleep(0.05)
            return False

        server.until(dealt_with)
        answered = [asker.answered for asker in askers]
        server.until(
            lambda answered=answered: all(  # type: ignore[misc]
                asker.answered > before + 8 or asker.wrong
                for asker, before in zip(askers, answered, strict=True)
            )
        )
    for asker in askers:
        asker.stopped.set()
        asker.join(WAIT)
        assert not asker.wrong, asker.wrong[:5]
        assert asker.seen == list(range(0, reloads + 1, 2)), "the whole ones, in their order"
        print(f"{'udp' if asker.udp else 'tcp'}: {asker.answered} answered in {reloads} reloads")


def test_a_reload_that_gets_no_time_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left no time while it gives way is run once more, and then takes some."""
    write(tmp_path / "phonebook.yaml", generation(1))
    monkeypatch.setattr(store, "SMALL", 0)
    monkeypatch.setattr(reload, "_PATIENCE", 1e-3)
    place = tmp_path.with_name("cache")
    ways = []
    monkeypatch.setattr(reload, "_nice", ways.append)
    snapshot = read_served(tmp_path, lambda _: Terms(), place, aside=reload.Aside()).public
    assert (snapshot.count, len(ways)) == (40, 1)
    assert store.cached(tmp_path, place) is not None
