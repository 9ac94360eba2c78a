"""One request to one server, with a clock that the test moves."""

import pytest

from phonebook.client.answer import BadInput, BrokenReply, NoAnswer
from phonebook.client.exchange import Connect, Exchange, Send, Transport, Write
from phonebook.wire import Reply, Request

REQUEST = Request("LOOKUP", "A1", (), "ada")
LINE = b"LOOKUP #A1 ada\r\n"
DATAGRAM = LINE[:-2].ljust(1198) + b"\r\n"
FOUND = b"250 #A1 matched=1 left=0 at=a Found\r\nid: ada\r\n.\r\n"


def exchange(transport="auto", addresses=1):
    return Exchange(REQUEST, Transport(transport), 5.0, addresses=addresses)


def test_udp_first_padded():
    """K-3: 1,200 octets, and the answer ends it."""
    it = exchange()
    assert it.begin(0.0) == [Send(DATAGRAM, 0)]
    assert it.wake == 0.25
    assert it.datagram(FOUND) == []
    assert isinstance(it.outcome, Reply) and it.outcome.octets == FOUND


def test_the_same_octets_after_one_and_three_seconds():
    """K-4: three datagrams, then the end of waiting (K-7)."""
    it = exchange("udp")
    sent = it.begin(0.0)
    times = []
    while it.outcome is None:
        now = it.wake
        actions = it.tick(now)
        times += [now] * len(actions)
        sent += actions
    assert sent == [Send(DATAGRAM, 0)] * 3
    assert times == [1.0, 3.0] and now == 5.0
    assert isinstance(it.outcome, NoAnswer)


def test_tcp_is_raced_after_a_quarter_second():
    """K-4, K-6: TCP beside UDP; once it is open no datagram is sent again."""
    it = exchange()
    it.begin(0.0)
    assert it.tick(0.2) == []
    assert it.tick(0.25) == [Connect(tls=False)]
    assert it.wake == 1.0
    assert it.connected() == [Write(LINE)]
    assert it.tick(1.0) == [] and it.tick(3.0) == []
    assert it.received(FOUND[:20]) == []
    assert it.outcome is None
    it.received(FOUND[20:])
    assert isinstance(it.outcome, Reply)


def test_a_late_datagram_wins_the_race():
    it = exchange()
    it.begin(0.0)
    it.tick(0.25)
    it.connected()
    it.datagram(FOUND)
    assert isinstance(it.outcome, Reply)


@pytest.mark.parametrize(
    "datagram",
    [
        FOUND.replace(b"#A1", b"#A2"),
        FOUND.replace(b"#A1 ", b""),
        FOUND.replace(b"#A1", b"#a1"),
        FOUND[:-3],
        FOUND + b"\r\n",
        FOUND.replace(b"\r\n", b"\n"),
        b"",
        LINE,
        b"\xff\r\n.\r\n",
    ],
)
def test_strange_datagrams_are_dropped(datagram):
    """K-2: and the client goes on waiting."""
    it = exchange("udp")
    it.begin(0.0)
    assert it.datagram(datagram) == [] and it.outcome is None
    it.datagram(FOUND)
    assert isinstance(it.outcome, Reply)


@pytest.mark.parametrize(
    "status", [b"320 #A1 octets=3000 fits=2", b"321 #A1 Use TCP", b"399 #A1 New"]
)
def test_use_tcp(status):
    """K-5, C-1: TCP alone from there on."""
    it = exchange()
    it.begin(0.0)
    assert it.datagram(status + b"\r\n.\r\n") == [Connect(tls=False)]
    assert it.datagram(FOUND) == [] and it.outcome is None
    it.tick(1.0)
    it.closed(refused=True)
    assert isinstance(it.outcome, NoAnswer)


def test_too_long_ends_udp_alone():
    it = exchange("udp")
    it.begin(0.0)
    it.datagram(b"320 #A1 octets=3000 fits=2\r\n.\r\n")
    assert it.outcome.code == 320


def test_tls_never_sends_plain():
    """L-6."""
    it = exchange("tls")
    assert it.begin(0.0) == [Connect(tls=True)]
    assert it.tick(1.0) == [] == it.datagram_refused(1.1)
    assert it.closed("Its certificate is not to be trusted.") == []
    assert str(it.outcome) == "Its certificate is not to be trusted."


def test_an_icmp_error_ends_nothing():
    """K-8: it hastens TCP; with TCP refused too nobody is there."""
    it = exchange()
    it.begin(0.0)
    assert it.datagram_refused(0.01) == [Connect(tls=False)]
    assert it.outcome is None
    it.closed(refused=True)
    assert isinstance(it.outcome, NoAnswer)
    udp = exchange("udp")
    udp.begin(0.0)
    assert udp.datagram_refused(0.01) == []
    udp.datagram(FOUND)
    assert isinstance(udp.outcome, Reply)


def test_an_icmp_error_leads_to_the_next_address():
    """A name with two addresses, the server at the second alone."""
    it = exchange("udp", addresses=2)
    it.begin(0.0)
    assert it.datagram_refused(0.01) == [Send(DATAGRAM, 1)]
    assert it.datagram_refused(0.02) == []
    assert it.tick(1.0) == []
    assert it.tick(3.0) == [Send(DATAGRAM, 0)]


def test_tcp_refused_leaves_udp():
    it = exchange()
    it.begin(0.0)
    it.tick(0.25)
    assert it.closed(refused=True) == [] and it.outcome is None
    assert it.tick(1.0) == [Send(DATAGRAM, 0)]
    it.datagram(FOUND)
    assert isinstance(it.outcome, Reply)


@pytest.mark.parametrize(
    "octets",
    [
        FOUND.replace(b"#A1", b"#B1"),
        FOUND.replace(b"#A1 ", b""),
        b"HTTP/1.0 400 Bad\r\n\r\n.\r\n",
        b"250 #A1 " + b"x" * 3000,
        b"321 #A1 Use TCP\r\n.\r\n",
        b"250 #A1\r\n" + (b"id: a\r\nnote: " + b"x" * 2000 + b"\r\n\r\n") * 150,
        b"250 #A1\r\nid: a\r\nname: \x1b[2J\r\n.\r\n",
    ],
)
def test_broken_replies(octets):
    """C-3, C-5, C-8: no reply at all."""
    it = exchange("tcp")
    it.begin(0.0)
    it.connected()
    for start in range(0, len(octets), 1000):
        if it.outcome is None:
            it.received(octets[start : start + 1000])
    assert isinstance(it.outcome, BrokenReply)


def test_a_reply_cut_off():
    """C-5: it ends before its dot line."""
    it = exchange("tcp")
    it.begin(0.0)
    it.connected()
    it.received(FOUND[:-3])
    it.closed()
    assert isinstance(it.outcome, BrokenReply)


def test_closed_before_a_reply_begins():
    """Section 6: it asks once more; TLS that fails, or nobody there, is no reason to."""
    it = exchange("tcp")
    it.begin(0.0)
    assert it.connected() == [Write(LINE)]
    assert it.closed() == [Connect(tls=False)] and it.outcome is None
    assert it.connected() == [Write(LINE)]
    assert it.closed() == []
    assert isinstance(it.outcome, NoAnswer)


def test_an_untagged_refusal_over_tcp():
    """Q-7: a malformed line's tag need not come back."""
    it = exchange("tcp")
    it.begin(0.0)
    it.connected()
    it.received(b"500 PHONEBOOK/1 Malformed\r\n.\r\n")
    assert it.outcome.code == 500


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "a\x9f", "x" * 1300, "\udc80"])
def test_what_cannot_be_sent(text):
    """C-6."""
    with pytest.raises(BadInput):
        Exchange(Request("LOOKUP", "A1", (), text), Transport.AUTO, 5.0)


def test_trace():
    seen = []
    it = Exchange(REQUEST, Transport.TCP, 5.0, trace=lambda *each: seen.append(each))
    it.begin(0.0)
    it.connected()
    it.received(FOUND[:9])
    it.received(FOUND[9:])
    assert seen == [("C", LINE), ("S", FOUND)]
