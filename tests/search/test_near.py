"""The nearest names: who is meant where nothing matches as written, and when to be silent."""

import random
import string
from collections.abc import Iterator
from dataclasses import replace

import pytest
from documents import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from made import Asking, askings, directories, directory, entry, snapshot, values_of

from phonebook.directory.entry import Directory, Header, Referral
from phonebook.directory.load import load
from phonebook.directory.project import project
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Snapshot
from phonebook.wire import Reply, parse_reply

MOST = 5


def ask(asked: Snapshot, request: str) -> Reply:
    """Return the reply to a lookup."""
    octets, closes = answer(f"LOOKUP {request}".encode(), asked)
    assert not closes
    return parse_reply(octets)


def ids(reply: Reply) -> list[str]:
    """Return the ids of a reply's entries."""
    return [lines[0][1] for lines in reply.entries]


def slips(made: Directory, seed: int, count: int = 8) -> Iterator[str]:
    """Yield what stands in a directory with one or two slips."""
    rng = random.Random(seed)
    values = values_of(made)
    for _ in range(count):
        letters = list(rng.choice(values).replace('"', ""))
        for _ in range(rng.randint(1, 2)):
            place = rng.randrange(len(letters) + 1)
            match rng.randrange(4):
                case 0:
                    letters.insert(place, rng.choice(string.ascii_lowercase))
                case 1:
                    del letters[place : place + 1]
                case 2:
                    letters[place : place + 1] = [rng.choice(string.ascii_lowercase)]
                case _:
                    letters[place : place + 2] = letters[place : place + 2][::-1]
        yield ". " + "".join(letters)  # the dot: neither tag nor option


@pytest.fixture(scope="module")
def lab() -> Snapshot:
    """Return what answers from the example lab, if it knew of no other directory to ask."""
    made = load(ROOT / "examples/lab").unwrap()
    return snapshot(replace(made, header=replace(made.header, referrals=())))


@settings(max_examples=30, deadline=None)
@given(directories(), st.integers(0, 2**32))
def test_251_is_given_only_where_nothing_matches_and_has_its_form(
    made: Directory, seed: int
) -> None:
    asked = snapshot(made)
    listed = {each.id for each in made.entries if not each.unlisted}
    for query in slips(made, seed):
        reply = ask(asked, f"limit=32 {query}")
        if reply.code != 251:
            assert reply.code in (250, 252, 505, 506, 507), query
            continue
        found = ids(reply)
        assert 0 < len(found) == len(set(found)) <= MOST
        assert reply.parameters == {"matched": str(len(found)), "left": "0", "at": asked.at}
        assert set(found) <= listed
        for limit in range(1, len(found)):
            fewer = ask(asked, f"limit={limit} {query}")
            assert (fewer.code, ids(fewer)) == (251, found[:limit])
            assert fewer.parameters["matched"] == str(limit)
            assert fewer.parameters["left"] == "0"
        named = ask(asked, f"fields=name {query}")
        assert ids(named) == found
        assert all([name for name, _ in lines] == ["id", "name"] for lines in named.entries)
        for id in found:
            assert ask(asked, f"after={id} {query}").code == 552


@settings(max_examples=30, deadline=None)
@given(askings(), st.integers(0, 2**32))
def test_what_is_unlisted_changes_no_octet_of_an_answer(asking: Asking, seed: int) -> None:
    """[P-1], for what is near too: as if the directory had never held it."""
    every, listed = snapshot(asking.directory), snapshot(project(asking.directory))
    for query in [*asking.queries, *slips(asking.directory, seed)]:
        line = f"LOOKUP {query}".encode()
        assert answer(line, every) == answer(line, listed), query


@settings(max_examples=30, deadline=None)
@given(directories(), st.integers(0, 2**32), st.integers(64, 700))
def test_a_datagram_too_short_for_251_tells_what_fits(
    made: Directory, seed: int, room: int
) -> None:
    asked = snapshot(made)
    for query in slips(made, seed):
        line = f"LOOKUP {query}".encode()
        whole, _ = answer(line, asked)
        padded = line.ljust(room - 2) + b"\r\n"
        if parse_reply(whole).code != 251 or len(padded) > room:
            continue
        reply = answer_datagram(padded, asked)
        assert reply is not None
        assert len(reply) <= room
        if len(whole) <= room:
            assert reply == whole
            continue
        told = parse_reply(reply)
        assert (told.code, told.parameters["octets"]) == (320, str(len(whole)))
        fits = int(told.parameters["fits"])
        for limit in (fits, fits + 1):
            if limit:
                fewer, _ = answer(f"LOOKUP limit={limit} {query}".encode(), asked)
                assert (len(fewer) <= room) == (limit == fits), (fits, len(fewer), room)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("adabyron", "ada-byron"),
        ("ada bryon", "ada-byron"),
        ("adda byron", "ada-byron"),
        ("vandeberg", "anneke-van-der-berg"),
        ("annekevanderberg", "anneke-van-der-berg"),
        ("anneke vanderberg", "anneke-van-der-berg"),
        ("garciamarquez", "juan-carlos-garcia-marquez"),
        ("front ofice", "front-office"),
        ("help dexk", "help-desk"),
        ("note:call adda byron", "ada-byron"),
    ],
)
def test_spaces_and_slips(lab: Snapshot, query: str, expected: str) -> None:
    reply = ask(lab, query)
    assert reply.code == 251
    assert expected in ids(reply)[:3], ids(reply)


def test_given_names_run_together_that_are_another_name() -> None:
    made = [entry("anna", "Anna Maria Grycz"), entry("other", "Annamaria Kos")]
    asked = snapshot(directory(*made))
    assert ids(ask(asked, "annamaria grycz")) == ["anna"]
    assert ids(ask(asked, "anna maria kos")) == ["other"]


@pytest.mark.parametrize("query", ["hoper", "grase hoper", "gracehopper", "grace hop per"])
def test_no_more_than_five_are_near(query: str) -> None:
    made = directory(*(entry(f"p{number}", "Grace Hopper") for number in range(2 * MOST)))
    reply = ask(snapshot(made), f"limit=32 {query}")
    assert (reply.code, len(reply.entries)) == (251, MOST)
    assert (reply.parameters["matched"], reply.parameters["left"]) == (str(MOST), "0")


def test_what_is_asked_strictly_is_not_forgiven(lab: Snapshot) -> None:
    assert "ada-byron" in ids(ask(lab, "adda bryon"))
    assert "ada-byron" not in ids(ask(lab, "adda bryon -title:director"))
    assert ids(ask(lab, "adda bryon kind:place")) == []
    assert ask(lab, "title:dirctor").code == 252
    assert ask(lab, "phone:14711").code == 252


def test_random_letters_stay_quiet(lab: Snapshot) -> None:
    rng = random.Random(3)

    def word() -> str:
        return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(4, 10)))

    queries = [" ".join(word() for _ in range(rng.randint(1, 2))) for _ in range(500)]
    loud = [query for query in queries if ask(lab, query).code != 252]
    assert len(loud) <= 3, loud


def test_what_is_near_goes_before_a_referral() -> None:
    """[X-1]"""
    header = Header(referrals=(Referral("other", "Other", "other.example"),))
    asked = snapshot(directory(entry("ada-byron", "Ada Byron"), header=header))
    assert ask(asked, "ada byron").code == 250
    assert ask(asked, "ada nobody").code == 350
    assert ask(asked, "ada bryon").code == 251


@pytest.mark.parametrize("strict", ['note:"office the"', '-"office the"', "note:office-the"])
def test_near_names_of_which_too_many_would_be_read_are_none(strict: str) -> None:
    """251 people are near, and each has the words of a phrase, which none has."""
    many = [entry(f"p{at}", "Ada Byron Zoa", note=f"The {at} office") for at in range(251)]
    asked = snapshot(directory(*many, entry("zoe", "Zoe")))
    assert ids(ask(asked, "ada byron zoe"))
    assert ask(asked, f"ada byron zoe {strict}").code == 252
