"""Octets: framing at every split, replies there and back, limits at their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonebook.directory.read_entry import ENTRY_OCTETS
from phonebook.wire import (
    MAX_LINE,
    Code,
    LineReader,
    ReplyError,
    ReplyReader,
    Request,
    RequestError,
    datagram_line,
    parse_reply,
    parse_request,
    render,
)
from phonebook.wire.codes import MAX_REPLY, MAX_REPLY_LINE, MAX_TAG

STREAM = b"LOOKUP ada\r\nHELP #a\n\r\nENTRY m\xc3\xbcller\r\r\nLOOKUP unfin"
LINES = [b"LOOKUP ada", b"HELP #a", b"", b"ENTRY m\xc3\xbcller\r"]

ENTRIES = [b"id: a\r\nname: A\r\n", b"id: b\r\nname: .\r\nnote: 250 X\r\n"]
REPLIES = [
    render(Code.FOUND, "k3", "matched=2 left=0 at=1", ENTRIES),
    render(Code.NOTHING),
    render(Code.UNKNOWN_VERB, "k4"),
]


# request lines


@pytest.mark.parametrize("place", range(len(STREAM) + 1))
def test_lines_at_every_split(place: int) -> None:
    reader = LineReader()
    assert reader.feed(STREAM[:place]) + reader.feed(STREAM[place:]) == LINES
    assert reader.pending
    assert not reader.too_long


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_lines_do_not_depend_on_segments(octets: bytes, places: list[int]) -> None:
    whole, parts = LineReader(), LineReader()
    cuts = [0, *sorted(places), len(octets)]
    found = [
        line
        for first, last in zip(cuts, cuts[1:], strict=False)
        for line in parts.feed(octets[first:last])
    ]
    assert found == whole.feed(octets)
    assert parts.pending == whole.pending


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_longest_line(end: bytes) -> None:
    line = b"x" * (MAX_LINE - len(end))
    reader = LineReader()
    assert reader.feed(line + end) == [line]
    assert not reader.too_long
    assert reader.feed(b"HELP\n" + line + b"x" + end + b"HELP\n") == [b"HELP"]
    assert reader.too_long
    assert reader.feed(b"HELP\n") == []


def test_endless_line_is_seen_at_its_octet() -> None:
    reader = LineReader()
    assert reader.feed(b"x" * MAX_LINE) == []
    assert not reader.too_long
    assert reader.feed(b"x") == []
    assert reader.too_long
    assert not reader.pending  # nothing of it is kept


@pytest.mark.parametrize("place", [0, 1, 700, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1])
def test_too_long_at_every_split(place: int) -> None:
    octets = b"HELP\n" + b"x" * MAX_LINE + b"\nHELP\n"
    reader = LineReader()
    assert reader.feed(octets[:place]) + reader.feed(octets[place:]) == [b"HELP"]
    assert reader.too_long


@pytest.mark.parametrize(
    ("datagram", "line"),
    [
        (b"HELP\n", b"HELP"),
        (b"HELP\r\n", b"HELP"),
        (b"HELP", None),
        (b"\n", b""),
        (b"HELP\nHELP\n", None),
        (b"HELP\n\n", None),
        (b"HELP\nx", None),
        (b"x" * (MAX_LINE - 1) + b"\n", b"x" * (MAX_LINE - 1)),
        (b"x" * MAX_LINE + b"\n", None),
    ],
)
def test_datagrams(datagram: bytes, line: bytes | None) -> None:
    assert datagram_line(datagram) == line


# requests


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (b"LOOKUP ada", Request("LOOKUP", argument="ada")),
        (b"LOOKUP  #a   limit=3  a  b  ", Request("LOOKUP", "a", (("limit", "3"),), "a  b")),
        (b"LOOKUP . limit=0", Request("LOOKUP", argument=". limit=0")),
        (b"LOOKUP a #b", Request("LOOKUP", argument="a #b")),
        (b"LOOKUP #a #b", Request("LOOKUP", "a", (), "#b")),
        (b"LOOKUP LIMIT=3", Request("LOOKUP", argument="LIMIT=3")),
        (b"ENTRY fields=a,B.c x", Request("ENTRY", "", (("fields", "a,B.c"),), "x")),
        (b"HELP   ", Request("HELP")),
    ],
)
def test_requests(line: bytes, request_: Request) -> None:
    assert parse_request(line) == request_
    assert parse_request(request_.octets().removesuffix(b"\r\n")) == request_


@pytest.mark.parametrize(
    ("line", "code", "tag"),
    [
        (b"", Code.MALFORMED, ""),
        (b" HELP", Code.MALFORMED, ""),
        (b"help", Code.MALFORMED, ""),
        (b"HE", Code.MALFORMED, ""),
        (b"ABCDEFGHIJK", Code.MALFORMED, ""),
        (b"HELP #a \xff", Code.MALFORMED, ""),
        (b"HELP #a \xc2\x85", Code.MALFORMED, ""),
        (b"ABCDEFGHIJ #a x", Code.UNKNOWN_VERB, "a"),
        (b"LOOKUP #a x=1 limit=0", Code.UNKNOWN_OPTION, "a"),
        (b"LOOKUP #a limit=0", Code.BAD_VALUE, "a"),
        (b"LOOKUP #a limit=33 x", Code.BAD_VALUE, "a"),
        (b"LOOKUP after=- x", Code.BAD_VALUE, ""),
        (b"LOOKUP fields=a..b x", Code.BAD_VALUE, ""),
        (b"LOOKUP", Code.BAD_ARGUMENT, ""),
        (b"HELP #" + b"a" * (MAX_TAG + 1), Code.BAD_ARGUMENT, ""),
        (b"ENTRY " + b"a" * 65, Code.BAD_ARGUMENT, ""),
    ],
)
def test_first_fault(line: bytes, code: Code, tag: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(line)
    assert (caught.value.code, caught.value.tag) == (code, tag)


def test_offset_counts_octets() -> None:
    with pytest.raises(RequestError) as caught:
        parse_request("LOOKUP müller\tx".encode())
    assert caught.value.offset == len("LOOKUP müller".encode())


def test_padding_to_the_edge() -> None:
    request = Request("LOOKUP", "a", (), "q")
    for pad in (0, 64, 1_200, MAX_LINE):
        octets = request.octets(pad)
        assert len(octets) == max(pad, len(b"LOOKUP #a q\r\n"))
        assert datagram_line(octets) is not None
    with pytest.raises(RequestError):
        request.octets(MAX_LINE + 1)
    room = MAX_LINE - len(b"LOOKUP \r\n")
    assert len(Request("LOOKUP", argument="q" * room).octets()) == MAX_LINE
    with pytest.raises(RequestError) as caught:
        Request("LOOKUP", argument="q" * (room + 1)).octets()
    assert caught.value.code is Code.LINE_TOO_LONG


@pytest.mark.parametrize("text", ["a\r\nHELP", "a\x00", "a\x85", "a\x7f", "a\ud800"])
def test_nothing_malformed_is_sent(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        Request("LOOKUP", argument=text).octets()
    assert caught.value.code is Code.MALFORMED


# replies


def test_replies_at_every_split() -> None:
    stream = b"".join(REPLIES)
    expected = [parse_reply(each) for each in REPLIES]
    for place in range(len(stream) + 1):
        reader = ReplyReader()
        assert reader.feed(stream[:place]) + reader.feed(stream[place:]) == expected
        assert not reader.pending
    reader = ReplyReader()
    found = [reply for octet in stream for reply in reader.feed(bytes([octet]))]
    assert found == expected


def test_reply_there_and_back() -> None:
    reply = parse_reply(REPLIES[0])
    assert (reply.code, reply.tag, reply.text) == (Code.FOUND, "k3", "Found")
    assert dict(reply.parameters) == {"matched": "2", "left": "0", "at": "1"}
    assert reply.entries == (
        (("id", "a"), ("name", "A")),
        (("id", "b"), ("name", "."), ("note", "250 X")),
    )
    assert reply.octets == REPLIES[0]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b".\r\n",
        b"250 Found\r\n",
        b"250 Found\n.\n",
        b"250 Found\r\n.",
        b"150 Found\r\n.\r\n",
        b"600 Found\r\n.\r\n",
        b"25 Found\r\n.\r\n",
        b" 250 Found\r\n.\r\n",
        b"252 Nothing\r\n\r\n.\r\n",
        b"250 X\r\nname: A\r\nid: a\r\n.\r\n",
        b"250 X\r\nid: A\r\n.\r\n",
        b"250 X\r\nid: a\r\n\r\n\r\nid: b\r\n.\r\n",
        b"250 X\r\nid: a\r\n\r\n.\r\n",
        b"250 X\r\nid: a\r\nname:A\r\n.\r\n",
        b"250 X\r\nid: a\r\nname:  A\r\n.\r\n",
        b"250 X\r\nid: a\r\nname: A \r\n.\r\n",
        b"250 X\r\nid: a\r\nNAME: A\r\n.\r\n",
        b"250 X\r\nid: a\r\nname: A\tB\r\n.\r\n",
        b"250 X\r\nid: a\r\nname: \xff\r\n.\r\n",
        b"250 X\r\nid: a\r\n.\r\nname: b\r\n.\r\n",
        b"252 Nothing\r\n.\r\n.\r\n",
    ],
)
def test_no_reply_at_all(octets: bytes) -> None:
    with pytest.raises(ReplyError):
        parse_reply(octets)


def test_longest_line_of_a_reply() -> None:
    line = b"note: " + b"x" * (MAX_REPLY_LINE - len(b"note: "))
    head = b"250 X\r\nid: a\r\n"
    assert parse_reply(head + line + b"\r\n.\r\n").entries
    with pytest.raises(ReplyError):
        parse_reply(head + line + b"x\r\n.\r\n")
    with pytest.raises(ReplyError):
        ReplyReader().feed(head + b"x" * (MAX_REPLY_LINE + 2))


@pytest.mark.parametrize("first", [b"250 X", b"250 X\r\nid: a\r\nnote: x"])
def test_longest_line_of_a_reply_is_as_long_in_segments(first: bytes) -> None:
    line = first.rpartition(b"\n")[2]
    reply = first + b"x" * (MAX_REPLY_LINE - len(line)) + b"\r\n.\r\n"
    for place in range(len(reply) - 6, len(reply)):
        reader = ReplyReader()
        assert [*reader.feed(reply[:place]), *reader.feed(reply[place:])] == [parse_reply(reply)]
    for place in (0, len(reply) - 6, len(reply) - 5, len(reply)):
        reader = ReplyReader()
        longer = first + b"x" + reply[len(first) :]
        with pytest.raises(ReplyError):
            reader.feed(longer[:place])
            reader.feed(longer[place:])


def test_many_replies_at_once_are_read_in_one_go() -> None:
    reply = b"252 Nothing found\r\n.\r\n"
    assert len(ReplyReader().feed(reply * 30_000)) == 30_000


def test_line_of_a_reply_is_measured_in_octets() -> None:
    line = b"note: " + "ü".encode() * (MAX_REPLY_LINE // 2)
    with pytest.raises(ReplyError):
        parse_reply(b"250 X\r\nid: a\r\n" + line + b"\r\n.\r\n")


def test_longest_reply() -> None:
    entry = b"id: a\r\n" + (b"note: " + b"x" * 1_000 + b"\r\n") * 8
    assert len(entry) <= ENTRY_OCTETS
    reply = render(Code.FOUND, "A" * 16, "matched=1000 left=968 at=ffffffff", [entry] * 32)
    assert len(reply) <= MAX_REPLY
    reader = ReplyReader()
    assert [len(each.entries) for each in reader.feed(reply)] == [32]
    with pytest.raises(ReplyError):
        ReplyReader().feed(b"250 X\r\n" + (b"x" * 100 + b"\r\n") * (MAX_REPLY // 100))
    with pytest.raises(ReplyError):
        parse_reply(b"250 X\r\n" + b"id: a\r\n\r\n" * (MAX_REPLY // 9) + b"id: a\r\n.\r\n")


@given(st.binary(max_size=60))
def test_random_octets_are_no_reply(octets: bytes) -> None:
    for read in (parse_reply, ReplyReader().feed):
        try:
            read(octets + b"\r\n.\r\n")
        except ReplyError as error:
            assert error.offset >= 0
