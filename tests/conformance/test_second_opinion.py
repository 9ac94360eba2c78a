"""Ours and the tiny server, written from the specification alone, give the same answers.

Generated requests over the core directory, seeded: names, their beginnings, numbers as people write
them, field terms, phrases, options. Status text and the snapshot's name may differ; all else not.
"""

import json
import random
import socket
import sys
from collections.abc import Iterator

import pytest
import yaml
from documents import SPEC
from servers import profile, running

from phonebook.directory.entry import Directory
from phonebook.directory.load import load
from phonebook.search.near import MAX_NEAR
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Snapshot, Terms, compile
from phonebook.wire import Code, Reply, ReplyReader, parse_reply

TINY = SPEC.parent / "tests/tiny_server.py"
SEED = 1060
BATCH = 16  # requests in the pipe


def questions(directory: Directory, count: int) -> Iterator[str]:
    """Yield requests that a server understands, or refuses without closing."""
    chance = random.Random(SEED)
    entries = directory.entries
    lines = ((name, value) for each in entries for name, values in each.fields for value in values)
    values = list(dict.fromkeys(lines))
    for _ in range(count):
        terms = []
        for _ in range(chance.choice([1, 1, 1, 2, 2, 3])):
            field, value = chance.choice(values)
            word = chance.choice(value.split(" "))
            word = word[: chance.randint(1, len(word))] if chance.random() < 0.3 else word
            word = chance.choice([word, word.upper(), word.lower(), word.swapcase()])
            kind = chance.random()
            if kind < 0.15:
                terms.append(f"{field}:{word}")
            elif kind < 0.25:
                terms.append('"' + value.replace('"', " ") + '"')
            elif kind < 0.4:
                terms.append(chance.choice(["", "9", "0", "+1 ", "+1202", "x"]) + value[-9:])
            else:
                terms.append(word)
        options = []
        if chance.random() < 0.3:
            options.append(f"limit={chance.randint(1, 32)}")
        if chance.random() < 0.2:
            options.append("fields=" + chance.choice(["phone", "name,phone", "kind", "note,alias"]))
        if chance.random() < 0.1:
            options.append("after=" + chance.choice(entries).id)
        if chance.random() < 0.1:
            yield f"ENTRY #t{len(terms)} {chance.choice(entries).id}"
        else:
            yield " ".join(["LOOKUP", *options, *terms])


def substance(reply: Reply) -> tuple[object, ...]:
    return (
        reply.code,
        reply.tag,
        {name: value for name, value in reply.parameters.items() if name != "at"},
        reply.entries,
    )


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.full)])
def test_same_answers(count: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = profile("core")
    directory = load(path).unwrap()
    snapshot = Snapshot(compile(directory), Terms())
    as_json = tmp_path_factory.mktemp("core") / "core.json"
    as_json.write_text(json.dumps(yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)))
    asked = list(questions(directory, count))
    with (
        running([sys.executable, TINY, as_json, SPEC, "--port", "0"]) as address,
        socket.create_connection((address.host, address.port), 30) as connection,
    ):
        reader = ReplyReader()
        for start in range(0, count, BATCH):
            batch = asked[start : start + BATCH]
            connection.sendall("".join(f"{line}\r\n" for line in batch).encode())
            theirs: list[Reply] = []
            while len(theirs) < len(batch):
                octets = connection.recv(65_536)
                assert octets, f"the tiny server hung up at one of {batch}"
                theirs += reader.feed(octets)
            for line, reply in zip(batch, theirs, strict=True):
                ours, closes = answer(line.encode(), snapshot)
                assert not closes, line
                own = parse_reply(ours)
                if own.code == Code.NEAR:  # the tiny server has no near names
                    assert reply.code == Code.NOTHING and 1 <= len(own.entries) <= MAX_NEAR, line
                else:
                    assert substance(own) == substance(reply), line
                padded = line.encode().ljust(1_198) + b"\r\n"
                datagram = answer_datagram(padded, snapshot)
                assert datagram is not None
                assert len(datagram) <= len(padded)
                assert datagram == ours or parse_reply(datagram).code == 320
                assert answer_datagram(datagram, snapshot) is None
