"""What is fuzzed: octets in, and what must hold of them whatever they are.

Each target takes any octets, and raises where a promise is broken. What is drawn is drawn from
the octets: so it is the same each time.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from zlib import crc32

from phonebook.directory.entry import Directory
from phonebook.directory.load import load, load_text
from phonebook.directory.problems import DirectoryError
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Snapshot, Terms, compile
from phonebook.wire import (
    Code,
    LineReader,
    Reply,
    ReplyError,
    ReplyReader,
    Request,
    RequestError,
    datagram_line,
    parse_reply,
    parse_request,
)
from phonebook.wire.codes import CLOSING, MAX_BARE_REPLY, MAX_LINE, MIN_DATAGRAM

LAB = Path(__file__).resolve().parents[2] / "examples" / "lab"

# what ends a line, steers a terminal, or turns the text around it
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

Read = Request | tuple[Code, str]
"""What a line is read as: a request, or a refusal and its tag."""


def wire(data: bytes) -> None:
    """Octets as a stream of requests, as a datagram, and as a stream of replies."""
    pieces = _divided(data)
    lines = _requests(data)
    assert _requests(*pieces) == lines
    for line in lines[0]:
        _read_again(line, _read(line))
    line = datagram_line(data)
    if line is not None:
        assert len(data) <= MAX_LINE
        assert _read(line) == _read(data[:-1].removesuffix(b"\r"))
    assert _replies(*pieces) == _replies(data)


def yaml(data: bytes) -> None:
    """Octets as a file of a directory: it is served, or its problems have places and sentences."""
    loaded = load_text(data, "octets.yaml")
    assert (loaded.directory is None) == any(each.severity == "error" for each in loaded.problems)
    assert not _UNSAFE.search(" ".join(map(str, loaded.problems)))
    for problem in loaded.problems:
        assert 1 <= problem.where.line <= len(data) + 1
        assert 1 <= problem.where.column <= len(data) + 1
    try:
        directory = loaded.unwrap()
    except DirectoryError:
        return
    served = _snapshot(directory)
    for entry in directory.entries:
        if entry.view:
            continue
        (own,) = parse_reply(answer(f"ENTRY {entry.id}".encode(), served)[0]).entries
        assert own[0] == ("id", entry.id)


def query(data: bytes) -> None:
    """Octets as a request, or as what a lookup asks for, of a small directory."""
    line = data.replace(b"\n", b"")
    _ask(line if line[:3].isupper() else b"LOOKUP " + line)


TARGETS: dict[str, Callable[[bytes], None]] = {"wire": wire, "yaml": yaml, "query": query}


def _draw(data: bytes, count: int) -> int:
    """Return one of so many numbers, from 0, as the octets have it."""
    return crc32(data) % count


def _divided(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return octets in three pieces."""
    places = len(data) + 1
    first, second = sorted(divmod(_draw(data, places * places), places))
    return data[:first], data[first:second], data[second:]


def _requests(*pieces: bytes) -> tuple[list[bytes], bool, bool]:
    reader = LineReader()
    lines = [line for piece in pieces for line in reader.feed(piece)]
    return lines, reader.too_long, reader.pending


def _replies(*pieces: bytes) -> tuple[list[Reply], bool] | None:
    """Return the replies that octets are, and whether one is begun; None where they are none."""
    reader = ReplyReader()
    try:
        return [reply for piece in pieces for reply in reader.feed(piece)], reader.pending
    except ReplyError as error:
        assert 0 <= error.offset <= sum(map(len, pieces))
        return None


def _read(line: bytes) -> Read:
    try:
        return parse_request(line)
    except RequestError as error:
        assert 0 <= error.offset <= len(line)
        return error.code, error.tag


def _read_again(line: bytes, read: Read) -> None:
    """A request that was read is read as the same again when it is written."""
    if isinstance(read, Request):
        try:
            written = read.octets()
        except RequestError as error:
            assert error.code is Code.LINE_TOO_LONG and len(line) > MAX_LINE - 2
        else:
            assert parse_request(written.removesuffix(b"\r\n")) == read


def _ask(line: bytes) -> None:
    served = lab()
    octets, closes = answer(line, served)
    reply = _whole(octets)
    assert closes == (reply.code in CLOSING)
    read = _read(line)
    assert reply.tag == (read.tag if isinstance(read, Request) else read[1])
    if not isinstance(read, Request):
        assert reply.code == read[0]
    # and in a second way, half by TCP, half by UDP. To look for near names costs most: where that
    # is asked for without an option, it is one in four
    drawn = _draw(line, 32)
    plain = isinstance(read, Request) and not read.options
    if plain and reply.code in (Code.NEAR, Code.NOTHING, Code.REFERRAL) and drawn >= 8:
        return
    verb, _, rest = line.partition(b" ")
    if drawn % 2:
        room = (MIN_DATAGRAM, len(octets) - 1, len(octets), MAX_LINE)[drawn // 2 % 4]
        _ask_by_datagram(line.ljust(max(room, MIN_DATAGRAM) - 2) + b"\r\n", reply)
    elif rest:  # one more space means nothing, and shuts out the shortcut for plain requests
        assert answer(b"%b  %b" % (verb, rest), served) == (octets, closes)


def _ask_by_datagram(datagram: bytes, reply: Reply) -> None:
    by_datagram = answer_datagram(datagram, lab())
    if by_datagram is None:
        assert len(datagram) > MAX_LINE or reply.code in (Code.MALFORMED, Code.UNKNOWN_VERB)
        return
    assert len(by_datagram) <= len(datagram)
    if by_datagram != reply.octets:
        refusal = _whole(by_datagram)
        assert refusal.code == Code.TOO_LONG
        assert int(refusal.parameters["octets"]) == len(reply.octets) > len(datagram)
        assert int(refusal.parameters["fits"]) < max(1, len(reply.entries))


def _whole(octets: bytes) -> Reply:
    reply = parse_reply(octets)
    assert reply.code in set(Code)
    assert reply.entries or len(octets) <= MAX_BARE_REPLY
    return reply


@cache
def lab() -> Snapshot:
    """Return what answers from the directory of the examples."""
    return _snapshot(load(LAB).unwrap())


def _snapshot(directory: Directory) -> Snapshot:
    return Snapshot(compile(directory), Terms())
