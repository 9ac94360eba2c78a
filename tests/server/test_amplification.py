"""Over UDP no reply is longer than its request, and none is answered: over what the cases send, and
over random datagrams, each answered as the tiny server, written from the specification alone,
answers it. Seeded; a failure names the octets.
"""

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from documents import ROOT, SPEC
from running import WAIT, Server
from servers import profile, running
from traffic import Traffic, real

from phonebook.conformance.cases import load_yaml, profiles
from phonebook.directory.load import load
from phonebook.share import share
from phonebook.wire import MAX_LINE, Code, Reply, parse_reply
from phonebook.wire.codes import MIN_DATAGRAM

SEED = 767
BESIDE = b"HELP #beside".ljust(1_198) + b"\r\n"
GROWTH = 8_000_000  # octets that a server's memory may differ by

Serve = Callable[..., Server]


@dataclass
class Asker:
    """Asks one server over UDP, and hears its silence without waiting for it."""

    socket: socket.socket
    worst: float = 0.0
    """The greatest length of a reply by that of its request."""

    def send(self, datagram: bytes) -> None:
        """Send a datagram, and behind it one whose reply tells that the first is dealt with."""
        self.socket.send(datagram)
        self.socket.send(BESIDE)

    def receive(self) -> bytes | None:
        """Return the reply to the datagram, or None for silence."""
        reply = self.socket.recv(65_536)
        if reply.startswith(b"210 #beside "):
            return None
        behind = self.socket.recv(65_536)
        assert behind.startswith(b"210 #beside "), (reply, behind)
        return reply

    def judge(self, datagram: bytes, reply: bytes) -> Reply:
        """Read a reply, which is answered neither as it came nor padded."""
        self.worst = max(self.worst, len(reply) / len(datagram))
        assert len(reply) <= len(datagram), datagram
        for again in (reply, reply.ljust(1_198) + b"\r\n"):
            self.send(again)
            assert self.receive() is None, again
        return parse_reply(reply)


@contextmanager
def asking(port: int) -> Iterator[Asker]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(("127.0.0.1", port))
        made.settimeout(WAIT)
        yield Asker(made)


def substance(reply: Reply) -> tuple[object, ...]:
    """Return what two servers must have in common: all but status text and the snapshot's name."""
    parameters = {name: value for name, value in reply.parameters.items() if name != "at"}
    return reply.code, reply.tag, parameters, reply.entries


def alike(datagram: bytes, ours: Reply, theirs: Reply) -> bool:
    """Tell whether two replies agree, where the tiny server has no near names and tells so."""
    if datagram.startswith(b"HELP"):  # it has capabilities, ours is longer
        return ours.tag == theirs.tag and ours.code in (theirs.code, Code.TOO_LONG)
    if b" -" in datagram and theirs.code == Code.BAD_ARGUMENT:  # it cannot exclude
        return ours.tag == theirs.tag
    if b" links=" in datagram and theirs.code == Code.UNKNOWN_OPTION:  # it follows no links
        return ours.tag == theirs.tag
    nothing = theirs.code in (Code.NOTHING, Code.REFERRAL) or theirs.parameters.get("fits") == "0"
    if nothing and ours.code in (Code.NEAR, Code.TOO_LONG):
        return ours.tag == theirs.tag
    return substance(ours) == substance(theirs)


def as_one(folder: Path) -> str:
    """Return a directory's tree of YAML as the one JSON file that the tiny server takes."""
    whole: dict[str, object] = {}
    entries: list[object] = []
    for path in sorted(folder.rglob("*.yaml")):
        held = load_yaml(path)
        held = held if isinstance(held, dict) else {"entries": held}
        entries += held.pop("entries", [])
        whole |= held
    return json.dumps(whole | {"entries": entries})


@pytest.mark.parametrize("name", profiles())
def test_cases(serve: Serve, name: str) -> None:
    server = serve(profile(name))
    with asking(server.port) as ours:
        for line in real(name):
            for size in {max(len(line) + 2, size) for size in (MIN_DATAGRAM, 200, 1_200, MAX_LINE)}:
                datagram = line.ljust(size - 2) + b"\r\n"
                ours.send(datagram)
                if reply := ours.receive():
                    ours.judge(datagram, reply)
    assert ours.worst <= 1.00


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_datagrams(serve: Serve, tmp_path: Path, count: int) -> None:
    lab = share("examples/lab")
    one = tmp_path / "lab.json"
    one.write_text(as_one(lab), "utf-8")
    server = serve(lab)
    before, valid, answered = 0, 0, 0
    with (
        running([sys.executable, ROOT / "tests/tiny_server.py", one, SPEC]) as tiny,
        asking(server.port) as ours,
        asking(tiny.port) as theirs,
    ):
        traffic = Traffic(load(lab).unwrap(), SEED)
        for number, (datagram, is_valid) in enumerate(traffic.datagrams(count)):
            theirs.send(datagram)
            ours.send(datagram)
            reply = ours.receive()
            expected = theirs.receive()
            assert (reply is None) == (expected is None), (datagram, reply, expected)
            assert reply or not is_valid, datagram
            valid += is_valid
            if reply and expected:
                answered += 1
                told, other = ours.judge(datagram, reply), parse_reply(expected)
                assert alike(datagram, told, other), datagram
            if number == min(1_000, count // 2):
                before = server.memory()
    growth = server.memory() - before
    print(
        f"{count} datagrams, {valid} valid, {answered} answered, all as by the tiny server; "
        f"longest reply / request: {ours.worst:.3f}; memory: {growth:+,} octets"
    )
    assert growth < GROWTH
    assert server.stop() == 0
    assert server.words == [server.ready], server.said
