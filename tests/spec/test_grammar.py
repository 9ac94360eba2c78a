"""The specification's grammar against the code, both ways."""

import random
from functools import cache

import pytest
from documents import ROOT
from grammar import Spec, accepts, accepts_slowly, automaton, make
from hypothesis import example, given, settings
from hypothesis import strategies as st
from traffic import sent

from phonebook.conformance.cases import Case, load_cases
from phonebook.directory.load import load
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Snapshot, Terms, compile
from phonebook.wire import (
    Code,
    LineReader,
    Reply,
    ReplyError,
    Request,
    RequestError,
    parse_reply,
    parse_request,
    render,
)
from phonebook.wire.codes import LINKS, MAX_LINE, VERBS, WITH_LINKS

RANDOM = st.randoms(use_true_random=False)
RULES = {"LOOKUP": "lookup", "ENTRY": "entry", "HELP": "help"}


@cache
def snapshot(profile: str) -> Snapshot:
    path = ROOT / "spec/conformance/profiles" / f"{profile}.yaml"
    return Snapshot(compile(load(path).unwrap()), Terms())


def judge(line: bytes) -> Code | None:
    """Return the code of a line's first fault, None where it has none; agree with the grammar."""
    code, request = None, None
    try:
        request = parse_request(line)
    except RequestError as error:
        code = error.code
        assert 0 <= error.offset <= len(line)
    assert accepts("request-line", line + b"\r\n") == (code is not Code.MALFORMED)
    if code is not Code.MALFORMED:
        verb = line.split(b" ")[0].decode()
        assert (verb in VERBS) == (code is not Code.UNKNOWN_VERB)
    if request is not None:
        # the two rules beside the grammar do not change what it accepts
        assert accepts(RULES[request.verb], line.rstrip(b" "))
        if len(line) <= MAX_LINE - 2:  # a lone LF leaves room for one octet more than we send
            assert parse_request(request.octets().removesuffix(b"\r\n")) == request
    return code


def test_the_grammar_is_whole() -> None:
    for rule in ("request-line", "reply"):
        automaton(rule)  # reads every rule that it refers to
    unused = {"id", "text"} & {rule.name for rule in Spec.rules() if not rule.definition}
    assert not unused


@pytest.mark.parametrize("case", load_cases(), ids=lambda case: case.id)
def test_cases(case: Case) -> None:
    """What the cases send and what the server answers is of the grammar."""
    now = snapshot(case.profile)
    for line in dict.fromkeys(LineReader().feed(sent(case))):
        judge(line)
        for octets in (answer(line, now)[0], answer_datagram(line.ljust(1_200) + b"\n", now)):
            if octets is not None:
                assert accepts("reply", octets)
                assert parse_reply(octets).octets == octets


@given(RANDOM)
def test_made_requests_are_understood(chance: random.Random) -> None:
    octets = make("request-line", chance)
    line = octets.removesuffix(b"\n").removesuffix(b"\r")
    assert judge(line) is not Code.MALFORMED


@pytest.mark.parametrize("rule", ["lookup", "entry", "help"])
@given(RANDOM)
def test_made_requests_of_known_verbs(rule: str, chance: random.Random) -> None:
    line = make(rule, chance)
    code = judge(line)
    assert code in (None, Code.UNKNOWN_OPTION, Code.BAD_VALUE, Code.BAD_ARGUMENT)
    if rule == "help":
        assert code is None
    octets, _ = answer(line, snapshot("core"))
    assert accepts("reply", octets)


@given(RANDOM)
def test_made_replies_are_understood(chance: random.Random) -> None:
    octets = make("reply", chance)
    reply = parse_reply(octets)
    assert octets.startswith(str(reply.code).encode())
    assert sum(map(len, reply.entries)) == octets.count(b": ") - _within(reply)


def _within(reply: Reply) -> int:
    """Return how often a colon and a space stand within values and the status text."""
    texts = [value for entry in reply.entries for _, value in entry]
    return sum(text.count(": ") for text in [*texts, reply.text])


@given(st.binary(max_size=80))
@example(b"LOOKUP ada\r")
@example(b"LOOKUP\xc2\xa0ada")
@example(b"LOOKUP \xed\xa0\x80")
def test_random_octets(octets: bytes) -> None:
    judge(octets)


@given(RANDOM, st.data())
def test_mutated_requests(chance: random.Random, data: st.DataObject) -> None:
    line = bytearray(make("request", chance))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(line)))
        line[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    judge(bytes(line))


@given(RANDOM, st.data())
def test_mutated_replies(chance: random.Random, data: st.DataObject) -> None:
    """What a client takes for a reply is one: C-5."""
    octets = bytearray(make("reply", chance))
    place = data.draw(st.integers(0, len(octets)))
    octets[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        parse_reply(bytes(octets))
    except ReplyError as error:
        assert 0 <= error.offset <= len(octets)
    else:
        assert accepts("reply", bytes(octets))


TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=" "), min_size=1, max_size=8
)
TAGS = st.from_regex(r"[A-Za-z0-9]{0,16}", fullmatch=True)
IDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,31}(\.[a-z0-9-]{1,30})?", fullmatch=True)
OPTIONS = {
    "limit": st.integers(1, 32).map(str),
    "after": IDS,
    "fields": st.lists(NAMES, min_size=1, max_size=4).map(",".join),
    "links": st.lists(st.sampled_from(LINKS), min_size=1, max_size=4).map(",".join),
}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    verb = draw(st.sampled_from(list(VERBS)))
    names = draw(st.lists(st.sampled_from(VERBS[verb]), unique=True)) if VERBS[verb] else []
    if "links" in names:
        names += draw(st.lists(st.sampled_from(WITH_LINKS), unique=True))
    options = tuple((name, draw(OPTIONS[name])) for name in names)
    argument = ""
    if verb == "ENTRY":
        argument = draw(IDS)
    elif verb == "LOOKUP":  # the lone dot keeps the text from being tag or option
        argument = ". " + " ".join(draw(st.lists(TEXT, min_size=1, max_size=5)))
    return Request(verb, draw(TAGS), options, argument)


@given(requests(), st.sampled_from([0, 64, 1_200]))
def test_sent_requests_are_of_the_grammar(request: Request, pad: int) -> None:
    octets = request.octets(pad)
    assert len(octets) >= pad
    assert accepts("request-line", octets)
    assert parse_request(octets.removesuffix(b"\r\n")) == request


VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).filter(
    lambda text: not text.startswith(" ") and not text.endswith(" ")
)
ENTRIES = st.tuples(IDS, st.lists(st.tuples(NAMES, VALUES), max_size=4))
PARAMETERS = st.lists(st.from_regex(r"[a-z]{1,8}=[A-Za-z0-9]{1,8}", fullmatch=True), max_size=3)


@given(st.sampled_from(Code), TAGS, PARAMETERS, st.lists(ENTRIES, max_size=4))
def test_sent_replies_are_of_the_grammar(
    code: Code, tag: str, parameters: list[str], entries: list[tuple[str, list[tuple[str, str]]]]
) -> None:
    blocks = [[("id", name), *fields] for name, fields in entries]
    rendered = ["".join(f"{name}: {value}\r\n" for name, value in each) for each in blocks]
    octets = render(code, tag, " ".join(parameters), [each.encode() for each in rendered])
    assert accepts("reply", octets)
    reply = parse_reply(octets)
    assert (reply.code, reply.tag) == (code, tag)
    assert [list(entry) for entry in reply.entries] == blocks


@settings(max_examples=30)
@given(RANDOM, st.booleans())
def test_both_readers_of_the_grammar_agree(chance: random.Random, spoil: bool) -> None:
    """The automaton that is quick with padding, and the parser of the `abnf` package."""
    octets = bytearray(make("status-line", chance) if chance.random() < 0.5 else b"HELP #a  \r\n")
    if spoil:
        octets[chance.randrange(len(octets))] = chance.randrange(256)
    rule = "request-line" if octets.startswith(b"HELP") else "status-line"
    assert accepts(rule, bytes(octets)) == accepts_slowly(rule, bytes(octets))
