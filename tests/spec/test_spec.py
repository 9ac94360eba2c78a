"""The specification against itself, its cases and the code."""

import re
from functools import cache
from pathlib import Path

import pytest
from documents import ROOT, SPEC, Exchange, documents, exchanges, section, table

from phonebook.conformance.cases import (
    lint,
    load_cases,
    load_requirements,
    load_untestable,
    uncovered,
)
from phonebook.conformance.reply import FIELDS
from phonebook.directory import fields
from phonebook.directory.load import load
from phonebook.directory.read_entry import ENTRY_OCTETS
from phonebook.directory.values import NAME_OCTETS, VALUE_OCTETS
from phonebook.search.build import BROAD
from phonebook.search.match import MAX_MATCHES
from phonebook.search.near import MAX_NEAR
from phonebook.search.query import MAX_WORDS
from phonebook.search.ways import MAX_IN_FIELDS, MAX_NUMBERS, MAX_READ
from phonebook.service.answer import answer
from phonebook.service.snapshot import CAPABILITIES, Snapshot, Terms, compile
from phonebook.wire import Reply, codes, parse_reply, render
from phonebook.wire.codes import CLOSING, TEXT, VERBS, Code

NORMS = ("phonebook.md", "directory.md")
NORM = (SPEC / "phonebook.md").read_text("utf-8")

ITEM = re.compile(r"- `?\[([A-Z]+-[0-9]+)\]`? ")
KEYWORD = re.compile(r"\b(?:MUST|SHOULD)\b")
TERMINOLOGY = "key words MUST, MUST NOT"


def paragraphs(text: str) -> list[str]:
    """Return list items, paragraphs, headings and rows of tables, each by itself."""
    found: list[str] = []
    for line in text.splitlines():
        if not found or not line.strip() or re.match(r"- |#|\||```", line):
            found.append(line)
        elif found[-1] and not found[-1].startswith(("#", "|", "```")):
            found[-1] += " " + line.strip()
        else:
            found.append(line)
    return found


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_has_an_id(name: str) -> None:
    wrong = [
        paragraph
        for paragraph in paragraphs((SPEC / name).read_text("utf-8"))
        if KEYWORD.search(paragraph) and not ITEM.match(paragraph) and TERMINOLOGY not in paragraph
    ]
    assert not wrong, "\n".join(wrong)


def test_ids_are_unique() -> None:
    ids = [
        name
        for each in NORMS
        for line in (SPEC / each).read_text("utf-8").splitlines()
        for name in re.findall(r"^- `?\[([A-Z]+-[0-9]+)\]", line)
    ]
    assert sorted(ids) == sorted(set(ids))
    assert set(load_requirements()) == set(ids)


def test_ids_have_no_gaps() -> None:
    numbers: dict[str, list[int]] = {}
    for name in load_requirements():
        letter, _, number = name.partition("-")
        numbers.setdefault(letter, []).append(int(number))
    for letter, found in numbers.items():
        assert found == list(range(1, len(found) + 1)), letter


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_references_lead_somewhere(path: Path) -> None:
    known = load_requirements().keys()
    ids = set(re.findall(r"\[([A-Z]-[0-9]+)\](?!\()", path.read_text("utf-8")))
    assert ids <= known | {"X-n"}


def test_every_id_is_tried_or_listed() -> None:
    cases = load_cases()
    assert not list(uncovered(cases))
    assert all(len(each.reason) > 20 for each in load_untestable().values())
    assert len(cases) >= 150


def test_cases_are_clean() -> None:
    assert not list(lint(load_cases()))


def test_codes() -> None:
    rows = table(section(NORM, "5"), "code", "parameters", "meaning")
    assert [int(row[0]) for row in rows] == [int(code) for code in Code]
    for code, parameters, meaning, _ in rows:
        assert (parameters == codes.PROTOCOL) == (int(code) in CLOSING), code
        assert ("TCP closes" in meaning) == (int(code) in CLOSING), code
    assert list(TEXT) == list(Code)


def test_every_code_that_a_case_can_bring_about_is_tried() -> None:
    """251, 321, 420, 430 and 530 come from no server of the core."""
    expected = {str(case.expected.get("code")) for case in load_cases()}
    for case in load_cases():
        for step in case.steps:
            if step.kind == "expect" and isinstance(step.value, dict):
                expected.add(str(step.value.get("code")))
    assert {str(int(code)) for code in Code} - expected <= {"251", "321", "420", "430", "530"}


def test_verbs_and_options() -> None:
    rows = table(section(NORM, "3"), "verb", "argument", "options")
    written = {row[0]: () if row[2] == "none" else tuple(re.split(", *", row[2])) for row in rows}
    assert written == VERBS
    assert list(written) == list(VERBS)
    rows = table(section(NORM, "3"), "option", "value")
    assert tuple(row[0] for row in rows) == codes.OPTIONS
    assert set(codes.OPTIONS) == {option for options in VERBS.values() for option in options}
    assert set(codes.WITH_LINKS) == set(VERBS["LOOKUP"]) - set(VERBS["ENTRY"])
    limit = {row[0]: row for row in rows}["limit"]
    assert limit[1] == f"1 to {codes.MAX_ENTRIES}"
    assert f"{codes.DEFAULT_ENTRIES} when absent" in limit[2]


LIMITS = {
    "request line": (codes.MAX_LINE,),
    "shortest datagram": (codes.MIN_DATAGRAM,),
    "tag": (codes.MAX_TAG,),
    "words in a query": (MAX_WORDS,),
    "entries in a reply": (codes.MAX_ENTRIES,),
    "entries without limit": (codes.DEFAULT_ENTRIES,),
    "matches": (MAX_MATCHES,),
    "entries that have the rarest word": (BROAD,),
    "entries that have all words": (MAX_READ,),
    "places of the words": (MAX_IN_FIELDS,),
    "numbers with the last digits": (MAX_NUMBERS,),
    "nearest entries": (MAX_NEAR,),
    "id": (codes.MAX_ID,),
    "value": (VALUE_OCTETS,),
    "entry, its lines": (ENTRY_OCTETS,),
    "reply without entries": (codes.MAX_BARE_REPLY,),
    "pipeline a server must accept": (16,),
    "pending": (codes.MAX_PENDING_REQUESTS, codes.MAX_PENDING_OCTETS),
    "idle": (codes.IDLE_TIME,),
    "time of a request line": (codes.REQUEST_TIME,),
    "connection": (codes.CONNECTION_TIME,),
    "TLS handshake": (codes.HANDSHAKE_TIME,),
    "TLS handshakes at a time": (),
    "connections at a time": (),
    "entries that a network is given": (codes.ENTRIES_PER_MINUTE, codes.BUDGET_TIME // 60),
    "lingering close": (codes.LINGER_TIME, codes.LINGER_OCTETS),
}


def test_limits() -> None:
    rows = table(section(NORM, "12"), "limit", "number")
    assert len(rows) == len(LIMITS)
    for (name, numbers), (label, written, *_) in zip(LIMITS.items(), rows, strict=True):
        assert label.startswith(name)
        assert [float(each.replace(",", "")) for each in re.findall(r"[\d,]+", written)] == [
            float(each) for each in numbers
        ], label
    assert codes.MAX_PENDING_REQUESTS >= 16
    assert f"at most {NAME_OCTETS} octets" in section(NORM, "12")
    assert f"in a directory {fields.FIELD_NAME_OCTETS}." in section(NORM, "12")
    assert codes.MAX_ID == fields.ID_OCTETS


def test_capabilities() -> None:
    assert f"none in the core ({', '.join(CAPABILITIES)})" in section(NORM, "11")
    assert list(CAPABILITIES) == sorted(CAPABILITIES)


def test_numbers_elsewhere() -> None:
    sentences = {name: each.sentence for name, each in load_requirements().items()}
    ports = re.search(r"port ([\d, ]+) or", sentences["U-7"])
    assert ports
    assert set(map(int, ports[1].split(","))) == codes.FORBIDDEN_SOURCE_PORTS
    assert f"{codes.MAX_REPLY_LINE:,}" in sentences["C-8"]
    assert f"{codes.MAX_REPLY:,}" in sentences["C-8"]
    assert f"{codes.PADDED:,}" in sentences["K-3"]
    assert codes.ALPN.decode() in sentences["L-3"]
    assert f"Unicode {codes.FOLDING}" in section(NORM, "9.1")
    assert f"{codes.PORT}" in section(NORM, "17")
    # the longest reply that the limits allow is one that a client bears
    assert codes.MAX_ENTRIES * ENTRY_OCTETS + codes.MAX_BARE_REPLY <= codes.MAX_REPLY


LARGEST = {
    Code.FOUND: f"matched={MAX_MATCHES} left={MAX_MATCHES} at=ffffffff",
    Code.NEAR: f"matched={MAX_NEAR} left=0 at=ffffffff",
    Code.TOO_LONG: f"octets={codes.MAX_REPLY} fits={codes.MAX_ENTRIES}",
    Code.BUSY: "retry=3600",
    Code.LATER: "retry=3600",
}


@pytest.mark.parametrize("code", Code)
def test_replies_without_entries_are_short(code: Code) -> None:
    tag = "A" * codes.MAX_TAG
    octets = render(code, tag, LARGEST.get(code, ""))
    assert len(octets) <= codes.MAX_BARE_REPLY
    assert parse_reply(octets).tag == tag
    written = {row[0]: row[1].split() for row in table(section(NORM, "5"), "code", "parameters")}
    parameters = [each for each in written[str(int(code))] if each != codes.PROTOCOL]
    assert list(parse_reply(octets).parameters) == parameters
    assert (codes.PROTOCOL.encode() in octets) == (code in CLOSING)


def test_fields_of_both_documents_and_of_the_code() -> None:
    rows = table(section(NORM, "8"), "field", "kind of value")
    assert tuple(row[0] for row in rows) == fields.KNOWN
    assert tuple(FIELDS) == fields.KNOWN
    links = {row[0]: set(re.findall(r"person|place|group|service", row[2]))
             for row in rows if row[1] == "link"}  # fmt: skip
    assert links == {name: set(kinds) for name, kinds in fields.LINKS.items()}
    assert tuple(links) == codes.LINKS
    norm = (SPEC / "directory.md").read_text("utf-8")
    other = table(section(norm, "7"), "field", "what it holds")
    assert tuple(row[0] for row in other) == fields.KNOWN


def test_order_of_lines() -> None:
    names = [*fields.KNOWN, "phone.mobile", "phone.work", "room.day", "x", "x.a", "x-y", "apiary"]
    known = {name: fields.field_called(name) for name in names}
    ordered = sorted(names, key=lambda name: known[name].order)
    assert ordered.index("phone") + 1 == ordered.index("phone.mobile")
    assert ordered.index("phone.mobile") + 1 == ordered.index("phone.work")
    assert [each for each in ordered if each.partition(".")[0] in fields.KNOWN and "." not in each
            ] == list(fields.KNOWN)  # fmt: skip
    assert ordered[-4:] == ["apiary", "x", "x-y", "x.a"]


# transcripts


@cache
def snapshot(name: str) -> Snapshot:
    return Snapshot(compile(load(ROOT / name).unwrap()), Terms(("tcp", "udp", "tls")))


def directory_of(exchange: Exchange) -> Snapshot:
    """The specification speaks of the conformance directory, all else of the example lab."""
    spec = exchange.where.startswith("spec/")
    return snapshot("spec/conformance/profiles/core.yaml" if spec else "examples/lab")


EXCHANGES = [each for path in documents() for each in exchanges(path)]


def exact(reply: Reply) -> tuple[object, ...]:
    """What of a transcript is no example."""
    parameters = {name: value for name, value in reply.parameters.items() if name != "at"}
    protocol = codes.PROTOCOL.encode() in reply.octets.partition(b"\r\n")[0]
    return reply.code, reply.tag, protocol, parameters, "at" in reply.parameters, reply.entries


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda each: each.where)
def test_transcripts(exchange: Exchange) -> None:
    octets, _ = answer(exchange.request.rstrip(" ").encode(), directory_of(exchange))
    assert exact(parse_reply(octets)) == exact(parse_reply(exchange.reply))


def test_the_norm_shows_exchanges() -> None:
    assert sum(each.where.startswith("spec/phonebook.md") for each in EXCHANGES) >= 3
