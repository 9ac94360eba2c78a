"""Queries that mean no good: each gets an answer, and none costs much."""

import gc
from collections.abc import Iterator

import pytest
from made import SWITCHBOARD, crowd, snapshot
from worst import ROOM, spent_on

from phonebook.service.answer import answer
from phonebook.service.snapshot import Snapshot

QUICK, LARGE = 5_000, 100_000  # entries
BUDGET = 5.0  # milliseconds of the thread's CPU

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]

LONG = ROOM - len("LOOKUP ")  # octets of a query

ENDS = " ".join(f"phone:{SWITCHBOARD[-digits:]}" for digits in range(3, 8))

QUERIES: dict[str, tuple[str, set[int]]] = {
    "one long word": ("a" * LONG, {252}),
    "one long name": ("ba" * (LONG // 2), {252}),
    "a long phrase": ('"' + "la " * 15 + "la" + '"', {252, 551}),
    "long and hyphenated": ("-".join(["ba"] * 16), {252, 551}),
    "long digits": ("9" * LONG, {252}),
    "many digits": ("1 " * (LONG // 2), {507}),
    "one letter": ("b", {250, 551}),
    "one letter, often": (" ".join("bdfgklmnprstvzba"), {250, 251, 252, 551}),
    "three letters": ("b d f", {250, 551}),
    "one digit": ("1", {250, 252, 551}),
    "three digits": ("123", {250, 252}),
    "letters of a field": ("title:e", {250, 551}),
    "emoji alone": ("\U0001f600 \U0001f44d\U0001f3fd \u2764\ufe0f", {506}),
    "many emoji": ("\U0001f600" * (LONG // 4), {506}),
    "combining marks alone": ("\u0301\u0308\u030a" * 100, {506}),
    "marks that stay": ("\u094d\u093c" * (LONG // 6), {252}),
    "a letter under marks": ("b" + "\u0301" * (LONG // 2 - 2), {250, 551}),
    "two hundred terms": ("b " * 200, {507}),
    "two hundred terms without a word": ("& " * 200, {506}),
    "two hundred terms to leave out": ("ba " + "-b " * 200, {507}),
    "turned text": ("\u202eba\u202c \u2067la\u2069", {250, 251, 252, 551}),
    "turning alone": ("\u202e" * 300, {506}),
    "one word in every entry": ("example", {551}),
    "only words in every entry": ("phonebook example", {551}),
    "a phrase in every entry": ('"phonebook example"', {551}),
    "a word in one of twenty": ("deputy", {250, 551}),
    "words in one of twenty": ("deputy safety floor officer", {250, 551}),
    "a phrase in one of twenty": ('"deputy of the safety officer"', {250, 551}),
    "a phrase that is in none": ('"officer safety the of deputy"', {252}),
    "a hyphen between frequent words": ("letters-home", {252}),
    "words of two titles": ('"engineer senior"', {252}),
    "hours": ("08:00-18:00", {551}),
    "days": ("mon-fri", {551}),
    "a phrase in a field": ('note:"works from home"', {250, 551}),
    "two frequent words": ("engineer letters", {250, 551}),
    "many but few": ("engineer -senior", {250, 551}),
    "beginnings in fields": ("ba name:b email:e id:p title:e org:o", {250, 551}),
    "beginnings in fields to leave out": ("ba -name:d -email:1 -id:p -title:s", {252, 551}),
    "every kind, without nobody": ("kind:person kind:p -nobody -nobody", {551}),
    "nobody of a kind, with fields": ("kind:place bxaqa org:o org:o hours:m", {252, 551}),
    "every kind": ("kind:person", {551}),
    "a kind and a letter": ("kind:person b", {250, 551}),
    "six misspelt words": ("bxaqa xuqo qxiqi fxuqu gqoqx kxqeq", {251, 252}),
    "six words, each of them known": ("ba da ba la na ra", {250, 251, 252, 551}),
    "six names, each of them known": ("baba dada fafa gaga kaka lala", {250, 251, 252}),
    "two misspelt words": ("babxa dadqa", {251, 252}),
    "names run together": ("babadadafafagaga", {250, 251, 252}),
    "the longest that is misspelt": ("babadadafafagagakakalala", {250, 251, 252}),
    "a number with all that belongs to it": ("+999 (0)1234567 ext. 123456789", {252}),
    "a number in a field": ("phone:123", {250, 252}),
    "the number of a switchboard": ("5550000", {551}),
    "a switchboard and a letter": ("b 5550000", {551}),
    "ends of a switchboard's number": (f"{ENDS} nobody", {252}),
    "such ends, and who has them": (f"{ENDS} ba", {250, 551}),
    "such ends to leave out": (f"ba {ENDS.replace('phone', '-phone')}", {252, 551}),
    "other letters": ("Щукин 王伟 محمد योगेश", {252}),
    "phrases that many might have": ('"example phonebook" example-phonebook phonebook-exam', {551}),
    "a phrase that some might have": ('"example 1"', {252, 551}),
    "ligatures": ("\ufdfa " * 4, {252}),
}


@pytest.fixture(scope="module")
def few() -> Snapshot:
    """Return what answers from a directory of some size."""
    return snapshot(crowd(QUICK))


@pytest.fixture(scope="module")
def many() -> Iterator[Snapshot]:
    """Return what answers from a large one."""
    gc.disable()
    made = snapshot(crowd(LARGE))
    gc.enable()
    gc.freeze()
    yield made
    gc.unfreeze()


def ask(asked: Snapshot, query: str) -> int:
    """Return the code of the reply."""
    line = f"LOOKUP {query}".encode()
    assert len(line) <= ROOM
    octets, _ = answer(line, asked)
    return int(octets[:3])


@pytest.mark.parametrize("case", QUERIES)
def test_a_query_that_means_no_good_gets_its_answer(few: Snapshot, case: str) -> None:
    query, codes = QUERIES[case]
    assert ask(few, query) in codes


def test_a_control_is_refused(few: Snapshot) -> None:
    for control in CONTROLS:
        octets, closes = answer(f"LOOKUP ba{control}ba".encode(), few)
        assert octets.startswith(b"500 PHONEBOOK/1 "), repr(control)
        assert closes


@pytest.mark.full
@pytest.mark.parametrize("case", QUERIES)
def test_a_query_that_means_no_good_costs_little(many: Snapshot, case: str) -> None:
    query, codes = QUERIES[case]
    assert ask(many, query) in codes
    spent = spent_on(f"LOOKUP {query}".encode(), many.compiled)
    assert spent <= BUDGET, f"{spent:.1f} ms"
