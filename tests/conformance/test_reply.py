"""What the suite takes for a reply is one: its reading of section 4 against the grammar there."""

import random

import pytest
from grammar import accepts, make
from hypothesis import given
from hypothesis import strategies as st

from phonebook.conformance.reply import read_reply

GRAMMAR = {"R-1", "R-2", "R-3", "R-4"}
"""The rules that a reply breaks which is not of the grammar."""
FRAGMENTS = (
    b"",
    *(bytes([octet]) for octet in b"\r\n .:=#-_aZ0/\x00\t\x7f\xff"),
    *(b"\r\n", b"\r\n\r\n", b"\r\n.\r\n", b"  ", b" a=", b" a=1", b" PHONEBOOK/1", b" Found"),
    *(each.encode() for each in "\u0085 \u00a0 \u2028 \u202e é \U0001f4d6".split(" ")),
    *(b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
)

FOUND = "250 #k3 matched=1 left=0 at=5f0c2a91 Found|id: ada|kind: person|phone.mobile: 1|."
NOTHING = "252 Nothing found|."


def broken(octets: bytes) -> set[str]:
    return {rule for each in read_reply(octets).failures for rule in each.requirements}


def octets_of(reply: str) -> bytes:
    return reply.replace("|", "\r\n").encode() + b"\r\n"


@given(st.randoms(use_true_random=False))
def test_made_replies_keep_the_grammar(chance: random.Random) -> None:
    octets = make("reply", chance)
    reply = read_reply(octets)
    # the grammar lets a second id stand in an entry; what turns the direction of text, R-4 forbids
    stricter = {"No line without octets stands between two entries"} | {
        "A value is empty, or holds what no value may hold"
    }
    wrong = [each for each in reply.failures if GRAMMAR.intersection(each.requirements)]
    assert {each.sentence for each in wrong} <= stricter
    if wrong:
        assert b"\r\nid: " in octets or b"\xe2\x80" in octets or b"\xe2\x81" in octets
    assert octets.startswith(reply.code.encode())


@given(st.randoms(use_true_random=False), st.data())
def test_what_the_grammar_rejects_breaks_it(chance: random.Random, data: st.DataObject) -> None:
    octets = bytearray(make("reply", chance))
    for _ in range(data.draw(st.integers(1, 2))):
        # the status line and the names of fields are where most of the grammar is
        place = data.draw(st.integers(0, min(len(octets), 40)) | st.integers(0, len(octets)))
        octets[place : place + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(FRAGMENTS))
    if not accepts("reply", bytes(octets)):
        assert broken(bytes(octets)) & GRAMMAR


@pytest.mark.parametrize("reply", [FOUND, NOTHING, FOUND.replace("Found|", "Found  twice (2) |")])
def test_good_replies(reply: str) -> None:
    assert accepts("reply", octets_of(reply))
    assert not broken(octets_of(reply))


@pytest.mark.parametrize(
    ("rule", "reply"),
    [
        # the status line
        ("R-1", FOUND.replace("Found", "found it")),
        ("R-1", FOUND.replace("Found", "(found)")),
        ("R-1", FOUND.replace("Found", "")),
        ("R-1", FOUND.replace("at=5f0c2a91", "at=5f0c-2a91")),
        ("R-1", FOUND.replace("at=5f0c2a91", "at=")),
        ("R-1", FOUND.replace("matched", "Matched")),
        ("R-1", FOUND.replace("matched=1 ", "matched=1  ")),
        ("R-1", FOUND.replace("#k3", "#k-3")),
        ("R-1", FOUND.replace("#k3", "#abcdefgh123456789")),
        ("R-1", FOUND.replace("250 ", "250  ")),
        ("R-1", "252 Found=1|."),
        ("R-1", "252 |."),
        ("R-1", "252 Überhaupt nichts|."),
        ("R-1", "152 Nothing found|."),
        ("R-1", NOTHING + "|."),
        # the parameters
        ("R-9", FOUND.replace("matched=1 left=0", "left=0 matched=1")),
        ("R-9", FOUND.replace(" at=5f0c2a91", "")),
        ("R-9", FOUND.replace("at=5f0c2a91", "at=5f0c2a91b")),
        ("R-9", FOUND.replace("left=0", "left=00")),
        ("R-9", FOUND.replace("left=0", "left=none")),
        ("R-9", FOUND.replace("left=0", "left=1")),
        ("R-9", FOUND.replace("matched=1", f"matched={'1' * 5_000}")),
        ("R-11", "501 Unknown verb|."),
        ("R-11", "501 Unknown verb PHONEBOOK/1|."),
        ("R-12", FOUND.replace("at=5f0c2a91", "at=5f0c2a91 at=5f0c2a91")),
        ("R-12", FOUND.replace("at=5f0c2a91", "at=5f0c2a91 x=1 x=2")),
        ("R-12", FOUND.replace("at=5f0c2a91", "at=5f0c2a91 retry=1")),
        ("R-12", "252 matched=0 left=0 Nothing found|."),
        ("R-12", "503 PHONEBOOK/1 Unknown option|."),
        ("R-12", "501 PHONEBOOK/1 PHONEBOOK/1|."),
        ("U-4", "320 fits=0 octets=100|."),
        ("U-4", "320 octets=100|."),
        ("C-4", "420 retry=030 Busy|."),
        ("C-4", "430 retry=3601|."),
        ("C-4", "430 Enough|."),
        # the entries
        ("R-12", "350 Ask there|."),
        ("R-12", "252 Nothing found|id: ada|."),
        ("R-12", "210 Help|id: phonebook||id: more|."),
        ("R-3", FOUND.replace("phone.mobile", "phone.Mobile")),
        ("R-3", FOUND.replace("phone.mobile", "Phone")),
        ("R-3", FOUND.replace("phone.mobile", "phone.")),
        ("R-3", FOUND.replace("phone.mobile", "phone.a.b")),
        ("R-3", FOUND.replace("phone.mobile", "phone_mobile")),
        ("R-3", FOUND.replace("phone.mobile", "p" * 33)),
        ("R-3", FOUND.replace("mobile", "m" * 31)),
        ("R-3", FOUND.replace("kind: ", "kind:")),
        ("R-3", FOUND.replace("id: ada|kind: person", "kind: person|id: ada")),
        ("R-3", FOUND.replace("id: ada", "id: Ada")),
        ("R-3", FOUND.replace("id: ada", "id: " + "a" * 65)),
        ("R-3", FOUND.replace("id: ada", "|id: ada")),
        ("R-3", FOUND.replace("|kind", "||kind")),
        ("R-3", FOUND.replace("|.", "||.")),
        ("R-3", FOUND.replace("mobile: 1", "mobile: 1|||id: bob")),
        ("R-3", FOUND.replace("mobile: 1", "mobile: 1|id: bob")),
        ("R-4", FOUND.replace("kind: ", "kind:  ")),
        ("R-4", FOUND.replace("person", "person ")),
        ("R-4", FOUND.replace("person", "")),
        ("R-4", FOUND.replace("person", "per\tson")),
        ("R-4", FOUND.replace("person", "per\u0085son")),
        ("R-4", FOUND.replace("person", "per\u2028son")),
        ("R-4", FOUND.replace("person", "per\u202eson")),
        ("R-8", FOUND.replace("kind: person|phone.mobile: 1", "phone.mobile: 1|kind: person")),
        ("R-8", FOUND.replace("phone.mobile: 1", "phone.mobile: 1|phone: 2")),
        ("R-8", FOUND.replace("phone.mobile: 1", "x.a: 1|x-y: 2")),
        # the lengths
        ("R-6", "252 " + "Nothing" * 8 + "|."),
        ("C-8", FOUND.replace("person", "p" * 2_048)),
        ("C-8", FOUND.replace("|.", f"|note: {'n' * 1_000}" * 300 + "|.")),
    ],
)
def test_each_breach_is_seen(rule: str, reply: str) -> None:
    assert rule in broken(octets_of(reply))


@pytest.mark.parametrize(
    ("rule", "octets"),
    [
        ("R-1", b"252 Nothing found\r\n"),
        ("R-1", b"252 Nothing found\r\n. \r\n"),
        ("R-1", b"252 Nothing found\r\n."),
        ("R-1", b".\r\n"),
        ("R-2", b"252 Nothing found\n.\n"),
        ("R-2", b"252 Nothing\rfound\r\n.\r\n"),
        ("R-4", b"250 matched=1 left=0 at=1\r\nid: ada\r\nname: \xe9\r\n.\r\n"),
    ],
)
def test_each_broken_line_is_seen(rule: str, octets: bytes) -> None:
    assert rule in broken(octets)
