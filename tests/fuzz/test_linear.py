"""Reading twice as many octets takes about twice as long, whatever the octets are."""

import contextlib
import time
from collections.abc import Callable

import pytest
from targets import lab

from phonebook.directory.load import load_text
from phonebook.directory.text import fold, spellings
from phonebook.search.query import QueryError, parse_query
from phonebook.service.answer import answer_datagram
from phonebook.wire import (
    LineReader,
    ReplyError,
    ReplyReader,
    RequestError,
    datagram_line,
    parse_request,
)

FIRST, LAST = 10, 20  # from 2^10 to 2^20 octets
MOST = 2.5  # times as long for twice as many octets
TRIES = 3
SHORT = 2_000_000  # nanoseconds; what takes less is no measure, and not slow

Reading = Callable[[bytes], object]


def filled(pattern: bytes, size: int) -> bytes:
    """Return so many octets of a pattern, again and again."""
    return (pattern * (size // len(pattern) + 1))[:size]


def requests(data: bytes) -> None:
    reader = LineReader()
    for line in reader.feed(data):
        read_request(line)


def requests_octet_by_octet(data: bytes) -> None:
    reader = LineReader()
    for place in range(len(data)):
        for line in reader.feed(data[place : place + 1]):
            read_request(line)


def read_request(line: bytes) -> None:
    with contextlib.suppress(RequestError):
        parse_request(line)


def datagram(data: bytes) -> None:
    datagram_line(data)
    answer_datagram(data, lab())


def replies(data: bytes) -> None:
    with contextlib.suppress(ReplyError):
        ReplyReader().feed(data)


def replies_octet_by_octet(data: bytes) -> None:
    reader = ReplyReader()
    try:
        for place in range(len(data)):
            reader.feed(data[place : place + 1])
    except ReplyError:
        pass


def words(data: bytes) -> None:
    text = data.decode(errors="ignore")
    fold(text)
    spellings(text)


def query(data: bytes) -> None:
    with contextlib.suppress(QueryError):
        parse_query(data.decode(errors="ignore"))


def yaml(data: bytes) -> None:
    load_text(data, "octets.yaml")


def numbered(pattern: str, before: str = "", behind: str = "") -> Callable[[int], bytes]:
    """Return what makes so many octets of a pattern with a number in it, which grows.

    The numbers are of one length: a field's name of other letters may cost more to look at.
    """

    def make(size: int) -> bytes:
        count = size // len(pattern.format("0000000")) + 1
        text = "".join(pattern.format(f"{at:07}") for at in range(count))[
            : size - len(before) - len(behind)
        ]
        return f"{before}{text}{behind}".encode()

    return make


def repeated(pattern: str, before: str = "", behind: str = "") -> Callable[[int], bytes]:
    """Return what makes so many octets of a pattern."""

    def make(size: int) -> bytes:
        octets = filled(pattern.encode(), size - len(before) - len(behind))
        return before.encode() + octets + behind.encode()

    return make


STREAMS = {
    "one long line": repeated("LOOKUP ada "),
    "lines of nothing": repeated("\n"),
    "short lines": repeated("HELP\r\n"),
    "lines": repeated("LOOKUP #tag limit=3 ada byron\r\n"),
    "padded lines": repeated("LOOKUP ada" + " " * 1_000 + "\r\n"),
    "spaces": repeated(" "),
    "CR alone": repeated("\r"),
    "options": repeated("a=b ", "LOOKUP "),
}
REPLIES = {
    "short replies": repeated("252 Nothing found\r\n.\r\n"),
    "one long reply": numbered(
        "id: a{}\r\nname: Ada\r\n\r\n", "250 matched=1 left=0 at=a Found\r\n"
    ),
    "one long line": repeated("a", "250 "),
    "one long status": repeated(" a=b", "250"),
    "almost the end": repeated("\r\n.\r", "250 Found"),
    "lines of nothing": repeated("\n"),
}
TEXTS = {
    "one word": repeated("a"),
    "words": repeated("Jean-Luc Müller "),
    "hyphens": repeated("-"),
    "hyphens between letters": repeated("a-"),
    "marks": repeated("\u0301"),
    "marks that are kept": repeated("\u094d\u093c"),
    "marks in wrong order": repeated("\u3099\u094d\u05b0\u064b"),
    "umlauts": repeated("a\u0308"),
    "ligatures": repeated("\ufdfa"),
    "Hangul": repeated("김철수"),
    "apostrophes": repeated("'"),
    "words apart": repeated("a "),
}
QUERIES = {
    **TEXTS,
    "quotes": repeated('"a" '),
    "an open quote": repeated("a ", '"'),
    "colons": repeated("a:"),
    "field terms": repeated("name:a "),
    "exclusions": repeated("-a "),
    "digits": repeated("1 "),
    "extensions": repeated("x"),
    "extensions apart": repeated("x ;ext= "),
    "plus and zero": repeated("+(0)"),
    "a number in a field": repeated("(0)", "phone:+"),
}
ENTRY = "- {{name: Ada {0}, phone: '{0}'}}\n"
DOCUMENTS = {
    "a long text": repeated("a", "- name: "),
    "a long quoted text": repeated("a", '- name: "', '"'),
    "an open quote": repeated("a\n", '- name: "'),
    "a block of lines": repeated("  line\n", "- name: Ada\n  note: |\n"),
    "entries": numbered(ENTRY),
    "entries with an id each": numbered("- name: Ada\n  id: a{}\n"),
    "entries alike": repeated("- name: Ada\n"),
    "entries and links": numbered("- {{name: Ada {0}, id: a{0}, reports-to: a0}}\n"),
    "entries that link to nobody": numbered("- {{name: Ada {0}, id: a{0}, reports-to: b{0}}}\n"),
    "keys": numbered("  x-{0}: a\n", "- name: Ada\n"),
    "the same key": repeated("  note: a\n", "- name: Ada\n"),
    "unknown keys at the top": numbered("key{0}: a\n"),
    "an entry of many values": numbered("  - value {0}\n", "- name: Ada\n  note:\n"),
    "open brackets": repeated("["),
    "open braces": repeated("{a: "),
    "open braces in an entry": repeated("{a: ", "- name: Ada\n  note: "),
    "dashes": repeated("- "),
    "nested lists": numbered("- [[[[[[{0}]]]]]]\n"),
    "a comment": repeated("#"),
    "comments": repeated("# a\n"),
    "anchors": numbered("- &a{0} a\n"),
    "aliases": repeated("- *a\n", "- &a a\n"),
    "aliases of aliases": numbered("- &a{0} [*a, *a]\n"),
    "merges": repeated("- <<: {a: b}\n"),
    "tags": repeated("- !!python/object:os.system a\n"),
    "documents": repeated("---\na\n"),
    "documents of entries": repeated("---\n- name: Ada\n"),
    "broken lines": repeated("- name: [\n"),
    "broken entries": repeated('- name: "a" b\n'),
    "misspelt keys": numbered("- {{nmae: Ada {0}}}\n"),
    "tabs": repeated("\t"),
    "tabs in lines": repeated("- name:\tAda\n"),
    "controls": repeated("\x01"),
    "controls in lines": repeated("- name: \x01\n"),
    "question marks": repeated("? "),
    "colons": repeated(": "),
    "lines of nothing": repeated("\n"),
    "spaces": repeated(" "),
    "percents": repeated("%"),
    "surrogates in JSON": repeated("\\ud83d", '[{"name": "', '"}]'),
    "backslashes in JSON": repeated("\\\\", '[{"name": "', '"}]'),
    "views": numbered("  v{0}: {{networks: [10.0.0.0/8]}}\n", "views:\n"),
    "networks": numbered("10.{0}.0.0/16, ", "views:\n  v: {networks: [", "]}\n"),
    "referrals": numbered("- {{name: a, server: a{0}.example}}\n", "referrals:\n"),
    "no UTF-8": lambda size: filled(b"\xff", size),
    "no UTF-8 in lines": lambda size: filled(b"- name: \xff\n", size),
}
EVERY: dict[str, tuple[Reading, Callable[[int], bytes]]] = {
    f"{called.__name__}: {name}": (called, make)
    for readings, shapes in (
        ((requests, requests_octet_by_octet, datagram), STREAMS),
        ((replies, replies_octet_by_octet), REPLIES),
        ((words,), TEXTS),
        ((query,), QUERIES),
        ((yaml,), DOCUMENTS),
    )
    for called in readings
    for name, make in shapes.items()
}


def spent(read: Reading, data: bytes) -> int:
    """Return the nanoseconds of the thread's CPU that a reading takes, at best."""
    times = []
    for _ in range(TRIES):
        start = time.thread_time_ns()
        read(data)
        times.append(time.thread_time_ns() - start)
    return min(times)


@pytest.mark.full
@pytest.mark.parametrize("case", EVERY)
def test_twice_the_octets_take_no_more_than_two_and_a_half_times(case: str) -> None:
    read, make = EVERY[case]
    for size in range(FIRST, LAST + 1):
        # both are measured again where another program may have been in the way
        for _ in range(5):
            once, twice = (spent(read, make(1 << each)) for each in (size, size + 1))
            if twice <= max(MOST * once, SHORT):
                break
        else:
            raise AssertionError(f"2^{size}: {once / 1e6:.2f} ms, twice: {twice / 1e6:.2f} ms")
