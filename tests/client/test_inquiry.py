"""Pages, a start over and referrals, without a network."""

import itertools
from zlib import crc32

import pytest

from phonebook.client.address import Address
from phonebook.client.answer import BadInput, BrokenReply, NoAnswer, Refused
from phonebook.client.exchange import Transport
from phonebook.client.inquiry import Find, Question, Tls, inquire
from phonebook.wire import parse_reply


def entries(*ids, code=250, left=0, matched=None):
    count = len(ids) if matched is None else matched
    blocks = "\r\n".join(f"id: {each}\r\nkind: person\r\nname: N {each}\r\n" for each in ids)
    return f"{code} matched={count} left={left} at=x1 Found\r\n{blocks}.\r\n"


def referral(*servers, tls=False):
    more = "tls: yes\r\n" if tls else ""
    blocks = "\r\n".join(
        f"id: r{n}\r\nkind: service\r\nname: R\r\nserver: {each}\r\n{more}"
        for n, each in enumerate(servers)
    )
    return f"350 Ask there\r\n{blocks}.\r\n"


NOTHING = "252 Nothing found\r\n.\r\n"


def invented(host):
    """Return the address of a host, another for each, lab's for LAB. too."""
    return f"203.0.{'.'.join(str(octet) for octet in crc32(host.encode()).to_bytes(4)[:2])}"


def play(question, answer, server="lab", names=None):
    """Run an inquiry; `answer(ask)` gives a reply's text or an error. Returns it and the asks."""
    counter = itertools.count(1)
    inquiry = inquire(
        question, Address.parse(server), lambda size: next(counter).to_bytes(size, "big")
    )
    asks = []
    step = next(inquiry)
    try:
        while True:
            if isinstance(step, Find):
                step = inquiry.send((names or {}).get(step.host, [invented(step.host)]))
                continue
            asks.append(step)
            told = answer(step)
            if isinstance(told, Exception):
                step = inquiry.throw(told)
            else:
                step = inquiry.send(parse_reply(told.encode()))
    except StopIteration as end:
        return end.value, asks


def line(ask):
    return " ".join(
        [ask.request.verb, *(f"{k}={v}" for k, v in ask.request.options), ask.request.argument]
    )


def test_the_request():
    question = Question("ada", kind="person", fields=("Phone", "email"), limit=5, after="a-b")
    _, asks = play(question, lambda ask: NOTHING)
    assert [line(ask) for ask in asks] == [
        "LOOKUP fields=kind,name,phone,email limit=5 after=a-b kind:person ada"
    ]
    assert len(asks[0].request.tag) == 16


def test_links_of_an_entry():
    question = Question("a", verb="ENTRY", links=("room", "contact"), fields=("phone",), limit=40)
    ids = [f"e{number}" for number in range(40)]

    def answer(ask):
        if "after" in dict(ask.request.options):
            return entries(*ids[32:], left=9, matched=49)
        return entries(*ids[:32], left=17, matched=49)

    found, asks = play(question, answer)
    same = "ENTRY fields=kind,name,phone,room,contact links=room,contact"
    assert [line(ask) for ask in asks] == [f"{same} limit=32 a", f"{same} limit=8 after=e31 a"]
    assert [entry.id for entry in found.entries] == ids and (found.matched, found.left) == (49, 9)


def test_links_over_udp_alone():
    """K-5: as many as fit, and the rest behind them."""

    def answer(ask):
        options = dict(ask.request.options)
        if int(options["limit"]) > 2:
            return "320 octets=2000 fits=2 Use TCP\r\n.\r\n"
        return entries("c", matched=3) if "after" in options else entries("a", "b", left=1)

    question = Question("a", verb="ENTRY", links=("room",), limit=3, transport=Transport.UDP)
    found, asks = play(question, answer)
    assert [entry.id for entry in found.entries] == ["a", "b", "c"]
    assert line(asks[-1]) == "ENTRY links=room limit=1 after=b a"


@pytest.mark.parametrize("text", ["limit=3 ada", "x=", " a=b"])
def test_text_like_an_option_is_a_query(text):
    _, asks = play(Question(text), lambda ask: NOTHING)
    assert line(asks[0]) == f"LOOKUP . {text}"


def test_pages():
    everyone = [f"e{n}" for n in range(80)]

    def answer(ask):
        options = dict(ask.request.options)
        start = everyone.index(options["after"]) + 1 if "after" in options else 0
        page = everyone[start : start + int(options["limit"])]
        return entries(*page, left=80 - start - len(page), matched=80)

    found, asks = play(Question("e", limit=70), answer)
    assert [each.id for each in found.entries] == everyone[:70]
    assert (found.matched, found.left, found.at) == (80, 10, "x1")
    assert [dict(ask.request.options)["limit"] for ask in asks] == ["32", "32", "6"]
    assert len({ask.request.tag for ask in asks}) == 3
    assert asks[0].transport is Transport.AUTO and asks[1].transport is Transport.TCP


def test_start_over_once():
    """Q-17."""
    replies = [
        entries("a", left=1, matched=2),
        "552 Start over\r\n.\r\n",
        entries("b", left=1, matched=2),
        entries("c", matched=2),
    ]
    found, _ = play(Question("e", limit=40), lambda ask: replies.pop(0))
    assert [each.id for each in found.entries] == ["b", "c"]
    replies = [entries("a", left=1, matched=2), "552 Start over\r\n.\r\n"] * 2
    with pytest.raises(Refused):
        play(Question("e", limit=40), lambda ask: replies.pop(0))


def test_a_server_without_end_is_left_at_the_limit():
    found, asks = play(Question("e", limit=40), lambda ask: entries("a", left=9, matched=10))
    assert len(found.entries) == 40 == len(asks)


def test_udp_alone_takes_what_fits():
    """K-5: one page of what fits, then the rest."""

    def answer(ask):
        options = dict(ask.request.options)
        if int(options.get("limit", 10)) > 2:
            return "320 octets=3000 fits=2\r\n.\r\n"
        return entries("c", matched=3) if "after" in options else entries("a", "b", left=1)

    found, _ = play(Question("e", transport=Transport.UDP, limit=3), answer)
    assert [each.id for each in found.entries] == ["a", "b", "c"]
    with pytest.raises(Refused) as caught:
        play(
            Question("e", transport=Transport.UDP),
            lambda ask: "320 octets=3000 fits=0\r\n.\r\n",
        )
    assert caught.value.code == 320


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        ("430 retry=7", 430, 7),
        ("551 Too broad", 551, None),
        ("599 New", 599, None),
        ("499 New", 499, None),
        ("399", 399, None),
    ],
)
def test_refusals(status, code, retry):
    """C-1: by the first digit."""
    with pytest.raises(Refused) as caught:
        play(Question("e"), lambda ask: f"{status}\r\n.\r\n")
    assert (caught.value.code, caught.value.retry) == (code, retry)


def test_unknown_things_are_ignored():
    """C-1, C-2."""
    told = "299 new=1 matched=1 Odd\r\nid: a\r\nzebra: 1\r\nname: A\r\nzebra: 2\r\n.\r\n"
    found, _ = play(Question("e"), lambda ask: told)
    assert found.entries[0].name == "A" and found.entries[0].fields == {"zebra": ["1", "2"]}


def test_near():
    found, _ = play(Question("e"), lambda ask: entries("a", code=251))
    assert found.near


def test_a_broken_reply_names_the_server():
    with pytest.raises(BrokenReply, match="lab:767: "):
        play(Question("e"), lambda ask: BrokenReply())


# Referrals


def hosts(asks):
    return [f"{ask.server.host}/{ask.transport.value}" for ask in asks]


def test_followed_in_order():
    told = {"lab": referral("one", "two", "three"), "one": NOTHING, "two": entries("a")}
    found, asks = play(Question("e", limit=3), lambda ask: told[ask.server.host])
    assert hosts(asks) == ["lab/auto", "one/auto", "two/auto"]
    assert found.server == "two:767"
    assert len({line(ask) for ask in asks}) == 1 and len({ask.request.tag for ask in asks}) == 3


def test_three_deep():
    """X-3."""
    with pytest.raises(NoAnswer):
        play(Question("e"), lambda ask: referral(ask.server.host + "x"))
    asked = []

    def answer(ask):
        asked.append(ask.server.host)
        return referral(ask.server.host + "x")

    with pytest.raises(NoAnswer):
        play(Question("e"), answer)
    assert asked == ["lab", "labx", "labxx", "labxxx"]


def test_eight_servers():
    """X-3."""
    asked = []

    def answer(ask):
        asked.append(ask.server.host)
        return referral(*(f"h{'h' * n}" for n in range(20))) if len(asked) == 1 else NOTHING

    with pytest.raises(NoAnswer):
        play(Question("e"), answer, names={"lab": ["198.51.100.1"]})
    assert len(asked) == 8


def test_loops():
    """X-3: no host, port and transport twice, under another name neither."""
    names = {"LAB.": ["192.0.2.3"], "alias": ["192.0.2.3"], "lab": ["192.0.2.3"]}
    told = {"lab": referral("LAB.", "alias", "192.0.2.3", "two"), "two": referral("lab")}
    asked = []

    def answer(ask):
        asked.append(ask.server.host)
        return told[ask.server.host]

    with pytest.raises(Refused):
        play(Question("e"), answer, names=names)
    assert asked == ["lab", "two"]


@pytest.mark.parametrize(
    ("server", "to", "addresses", "followed"),
    [
        ("lab", "x:7670", ["192.0.2.9"], False),
        ("lab:7670", "x:7670", ["192.0.2.9"], True),
        ("lab:7670", "x", ["192.0.2.9"], True),
        ("lab", "x", ["127.0.0.1"], False),
        ("lab", "x", ["127.9.9.9"], False),
        ("lab", "x", ["0.0.0.0"], False),
        ("lab", "x", ["::1"], False),
        ("lab", "x", ["::ffff:127.0.0.1"], False),
        ("lab", "x", ["fe80::1%eth0"], False),
        ("lab", "x", ["169.254.1.1"], False),
        ("lab", "not a server", ["192.0.2.9"], False),
        ("localhost:7670", "127.0.0.2:7670", ["127.0.0.2"], True),
    ],
)
def test_where_to(server, to, addresses, followed):
    """X-4."""
    names = {"localhost": ["::1", "127.0.0.1"], "x": addresses, to.split(":")[0]: addresses}
    asked = []

    def answer(ask):
        asked.append(ask.server)
        return referral(to) if len(asked) == 1 else entries("a")

    if followed:
        assert play(Question("e"), answer, server, names)[0].entries
    else:
        with pytest.raises(Refused):
            play(Question("e"), answer, server, names)
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("transport", "tls", "expected"),
    [
        ("tls", False, "tls"),
        ("tls", True, "tls"),
        ("auto", True, "tls"),
        ("tcp", True, "tls"),
        ("udp", True, None),
        ("tcp", False, "tcp"),
    ],
)
def test_protection_is_kept(transport, tls, expected):
    """X-5, L-6."""
    asked = []

    def answer(ask):
        asked.append(ask.transport.value)
        return referral("two", tls=tls) if len(asked) == 1 else entries("a")

    question = Question("e", transport=Transport(transport))
    if expected:
        play(question, answer, names={"two": ["192.0.2.9"]})
        assert asked == [transport, expected]
    else:
        with pytest.raises(Refused):
            play(question, answer)


def test_a_certificate_is_for_the_server_that_was_named():
    """Whatever port or case a referral writes it with, and no other server's."""
    tls = Tls("ca", "cert", "key")
    told = {"lab": referral("one", "LAB."), "one": NOTHING, "LAB.": entries("a")}
    question = Question("e", transport=Transport.TLS, tls=tls)
    names = {"LAB.": ["192.0.2.9"]}
    _, asks = play(question, lambda ask: told[ask.server.host], "lab:7670", names)
    assert [(ask.server.host, ask.tls) for ask in asks] == [
        ("lab", tls),
        ("one", Tls("ca")),
        ("LAB.", tls),
    ]


def test_a_failure_is_not_nothing():
    told = {"lab": referral("one", "three"), "one": NoAnswer("Silent."), "three": NOTHING}
    with pytest.raises(
        NoAnswer, match=r"^lab:767 found nothing and refers to others, .*asked\. one:767: Silent\.$"
    ):
        play(Question("e"), lambda ask: told[ask.server.host])
    told["three"] = entries("a")
    assert play(Question("e"), lambda ask: told[ask.server.host])[0].entries


@pytest.mark.parametrize(
    "question",
    [
        Question(" "),
        Question("a", limit=0),
        Question("a", timeout=0.0),
        Question("a", timeout=3_601.0),
        Question("a", timeout=float("inf")),
        Question("a", timeout=float("nan")),
        Question("a", fields=("a b",)),
        Question("a", fields=("",)),
        Question("a", kind="person x"),
        Question("a", after="A B"),
        Question("A B", verb="ENTRY"),
        Question("a", verb="ENTRY", links=("phone",)),
        Question("a", verb="ENTRY", links=("room", "")),
        Question("a", verb="ENTRY", links="room"),
    ],
)
def test_wrong_questions(question):
    with pytest.raises(BadInput):
        play(question, lambda ask: NOTHING)
