"""Links that are followed, against a plain reading of [F-7] to [F-11]."""

import random
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import crowd, directories, directory, entry, snapshot

from phonebook.directory.entry import Directory, Entry
from phonebook.directory.project import project
from phonebook.search.build import in_order
from phonebook.search.piece import piece
from phonebook.service.answer import answer
from phonebook.service.snapshot import Snapshot
from phonebook.wire import LINKS, Code, Reply, parse_reply


def ask(line: str, of: Snapshot) -> Reply:
    return parse_reply(answer(line.encode(), of)[0])


def ids(reply: Reply) -> list[str]:
    return [block[0][1] for block in reply.entries]


def leads(one: Entry, other: str, links: list[str]) -> bool:
    """Tell whether one of these links of an entry leads to another."""
    return any(other in values for field, values in one.fields if field.partition(".")[0] in links)


def expected(made: Directory, id: str, links: list[str]) -> list[str]:
    """Return the ids of the result."""
    seen = project(made)
    (places,) = in_order([piece(seen.header, seen.entries)])
    every = [each for _, each in sorted(zip(places, seen.entries, strict=True), key=itemgetter(0))]
    own = next((each for each in every if each.id == id), None)
    return [id] + [
        each.id
        for each in every
        if own and each != own and (leads(own, each.id, links) or leads(each, id, links))
    ]


@settings(max_examples=150)
@given(directories(), st.lists(st.sampled_from(LINKS), min_size=1))
def test_followed(made: Directory, links: list[str]) -> None:
    asked = snapshot(made)
    for each in made.entries:
        found = ask(f"ENTRY links={','.join(links)} limit=32 {each.id}", asked)
        assert ids(found) == expected(made, each.id, links)
        assert (found.parameters["matched"], found.parameters["left"]) == (
            str(len(found.entries)),
            "0",
        )
        alone = ask(f"ENTRY {each.id}", asked)
        assert found.entries[0] == alone.entries[0]
        for other in found.entries[1:]:  # as a query gives it
            query = ask(f'LOOKUP limit=32 id:"{other[0][1]}"', asked)
            assert other in query.entries


@given(directories(), st.sampled_from(LINKS))
def test_pages(made: Directory, link: str) -> None:
    """Page by page is the whole, and an id that is not in it starts over."""
    asked = snapshot(made)
    for each in made.entries:
        whole = expected(made, each.id, [link])
        for place, id in enumerate(whole):
            page = ask(f"ENTRY links={link} fields=id limit=2 after={id} {each.id}", asked)
            assert ids(page) == whole[place + 1 : place + 3]
            assert int(page.parameters["left"]) == len(whole) - place - 1 - len(page.entries)
        for other in {other.id for other in made.entries} - set(whole):
            over = ask(f"ENTRY links={link} after={other} {each.id}", asked)
            assert over.code == Code.START_OVER


@given(directories(), st.sampled_from(LINKS))
def test_the_unlisted_changes_nothing(made: Directory, link: str) -> None:
    """P-1: what is unlisted may be as it likes; whoever asks about another sees no difference."""
    without = Directory(made.header, project(made).entries)
    asked, plain = snapshot(made), snapshot(without)
    for each in made.entries:
        if not each.unlisted and not each.unlisted_fields:
            line = f"ENTRY links={link} {each.id}".encode()
            assert answer(line, asked) == answer(line, plain)


def group(members: int) -> Directory:
    people = [entry(f"p{number}", f"Name {number}", member_of="g") for number in range(members)]
    return directory(entry("g", "Group", "group"), *people)


@pytest.mark.parametrize(("members", "code"), [(999, Code.FOUND), (1_000, Code.TOO_BROAD)])
def test_many(members: int, code: Code) -> None:
    assert ask("ENTRY links=member-of g", snapshot(group(members))).code == code


def test_an_id_of_many_words() -> None:
    """More than a query may have."""
    id = "-".join("abcdefghijklmnopqrstuvwxyz")
    made = snapshot(directory(entry(id, "Room", "place"), entry("p", "Person", room=id)))
    assert ids(ask(f"ENTRY links=room {id}", made)) == [id, "p"]


def test_cost() -> None:
    """A thousand linked by five links among many: tens of milliseconds at most on any machine."""
    from time import process_time

    rng = random.Random(767)
    people = [
        Entry(each.id, each.kind, (*each.fields, *((link, ("x-9",)) for link in LINKS)))
        if number < 999
        else Entry(each.id, each.kind, (*each.fields, ("room", (f"r-{rng.randrange(500)}",))))
        for number, each in enumerate(crowd(20_000).entries)
    ]
    made = snapshot(directory(entry("x-9", "Room", "place"), *people))
    line = f"ENTRY links={','.join(LINKS)} x-9".encode()
    assert ask(line.decode(), made).parameters["matched"] == "1000"
    costs = []
    for _ in range(3):
        start = process_time()
        answer(line, made)
        costs.append(process_time() - start)
    assert min(costs) < 0.5, costs
