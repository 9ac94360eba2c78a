"""What a query finds, and in which order: the index against a reader of every line."""

import random
import sys
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import Literal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from made import Asking, askings, directories, directory, entry, snapshot, term, values_of
from naive import Naive, Refused, Term, fold, tables, terms

from phonebook.directory.entry import Directory
from phonebook.directory.text import fold as our_fold
from phonebook.search.match import TooBroadError
from phonebook.search.query import NoWordError, QueryError, TooManyWordsError, parse_query
from phonebook.service.snapshot import Snapshot

Result = list[str] | int
Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD")

# a failing directory is small as it is drawn; to make it smaller takes minutes
quickly = settings(
    max_examples=50, phases=[Phase.explicit, Phase.reuse, Phase.generate], deadline=None
)


def id_of(lines: bytes) -> str:
    """Return the id of a rendered entry."""
    return lines.partition(b"\r\n")[0].removeprefix(b"id: ").decode()


def found(asked: Snapshot, query: str) -> Result:
    """Return the ids that the index finds, or the code that refuses the query."""
    try:
        numbers = asked.index.match(parse_query(query))
        return [id_of(asked.listed.get(number)) for number in numbers]
    except TooBroadError:
        return 551
    except NoWordError:
        return 506
    except TooManyWordsError:
        return 507
    except QueryError:
        return 505


def read(asked: Naive, query: str) -> Result:
    """Return what a reader of every line finds, or the code."""
    try:
        return asked.find(query)
    except Refused as refused:
        return refused.code


def understood(query: str) -> list[Term]:
    """Return the terms of a query, none where it is refused."""
    try:
        return terms(query)
    except Refused:
        return []


def ids(result: Result) -> set[str]:
    """Return the ids of a result that is none where the query was refused."""
    return set() if isinstance(result, int) else set(result)


@quickly
@given(askings())
def test_the_index_finds_what_a_reader_of_every_line_finds(asking: Asking) -> None:
    reader, index = Naive(asking.directory), snapshot(asking.directory)
    for query in asking.queries:
        assert found(index, query) == read(reader, query), query


@pytest.mark.full
@settings(quickly, max_examples=2_000)
@given(askings(most=16, count=20))
def test_the_index_finds_it_forty_thousand_times(asking: Asking) -> None:
    reader, index = Naive(asking.directory), snapshot(asking.directory)
    for query in asking.queries:
        assert found(index, query) == read(reader, query), query


# A list that is long is looked up in bits, so each rule is tried with few entries and low numbers.


@pytest.fixture
def bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each word's entries in bits."""
    monkeypatch.setattr("phonebook.search.heavy._HEAVY", 0)
    monkeypatch.setattr("phonebook.search.heavy._SHARE", sys.maxsize)


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch, bits: None) -> None:
    """Refuse what may be refused from the fourth entry on."""
    monkeypatch.setattr("phonebook.search.match.BROAD", LOW)
    monkeypatch.setattr("phonebook.search.ways.MAX_READ", LOW)
    monkeypatch.setattr("phonebook.search.match.MAX_IN_FIELDS", LOW)
    monkeypatch.setattr("phonebook.search.match.MAX_NUMBERS", LOW)


LOW = 3


@pytest.mark.usefixtures("bits")
@quickly
@given(askings())
def test_words_looked_up_in_bits_are_found_alike(asking: Asking) -> None:
    reader, index = Naive(asking.directory), snapshot(asking.directory)
    for query in asking.queries:
        assert found(index, query) == read(reader, query), query


@pytest.mark.usefixtures("bits")
def test_a_whole_word_stands_before_a_beginning_in_bits_too() -> None:
    made = [entry(f"p{number}", "Berta", org="Ann") for number in range(5)]
    made += [entry("begun", "Ada Abel", alias="Annex"), entry("whole", "Ada Zorn", org="Ann")]
    assert found(snapshot(directory(*made)), "ada ann") == ["whole", "begun"]


@pytest.fixture(params=["all in pairs", "few words", "few entries"])
def pairs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Search rows of pairs, lists and kept sets as it is done where they are long.

    So, too, where names have more words than pairs are made of, and where these are many.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phonebook.search.pairs._SCAN", 0)
        patch.setattr("phonebook.search.words._SEARCH", 0)
        patch.setattr("phonebook.search.words._LARGE", 1)
        patch.setattr("phonebook.search.words._ROOM", 8)
        patch.setattr("phonebook.search.pairs._MOST_ELSEWHERE", 3)
        if request.param != "all in pairs":
            patch.setattr("phonebook.search.pairs.MOST_WORDS", 3)
        if request.param == "few entries":
            patch.setattr("phonebook.search.pairs._MOST_WORDY", 1)
        yield


@pytest.mark.usefixtures("pairs")
@quickly
@given(askings(most=14))
def test_two_words_of_a_name_are_found_alike_however_they_are_searched(asking: Asking) -> None:
    asked, reader = snapshot(asking.directory), Naive(asking.directory)
    words = [word for value in values_of(asking.directory) for word in our_fold(value).split()]
    two = [f"{one} {other[:2]}" for one, other in zip(words, words[1:], strict=False)]
    for query in [*asking.queries, *two[:20]]:
        assert found(asked, query) == read(reader, query), query


@pytest.mark.usefixtures("low")
@quickly
@given(askings(most=14))
def test_what_may_be_refused_is_exact_or_refused(asking: Asking) -> None:
    reader = Naive(asking.directory, broad=LOW, read=LOW, places=LOW, numbers=LOW)
    index = snapshot(asking.directory)
    for query in asking.queries:
        result = found(index, query)
        if result != 551 or not reader.may_refuse(query):
            assert result == read(reader, query), query


@pytest.mark.parametrize("dense", [0, sys.maxsize])
@pytest.mark.usefixtures("bits")
@quickly
@given(asking=askings(most=14))
def test_what_many_have_is_met_alike_in_bits_and_in_sets(dense: int, asking: Asking) -> None:
    """As where more than 1,000 have each term, and a query that few match is still to be found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phonebook.search.match.MAX_MATCHES", LOW)
        patch.setattr("naive.MATCHES", LOW)
        patch.setattr("phonebook.search.bits._DENSE", dense)
        reader, index = Naive(asking.directory), snapshot(asking.directory)
        for query in asking.queries:
            result = read(reader, query)
            if result != 551:
                assert found(index, query) == result, query


@pytest.mark.usefixtures("low")
def test_the_number_of_a_switchboard_is_broad() -> None:
    """Where everybody has it, it tells of nobody; beside a word that few have it does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phonebook.search.match.MAX_MATCHES", LOW)
        index = snapshot(
            directory(
                *(
                    entry(f"p{number}", f"Ada B{number}", phone=("4711000", f"{4_000 + number}"))
                    for number in range(3 * LOW)
                )
            )
        )
        assert found(index, "phone:4711000 ada") == found(index, "4711000") == 551
        assert found(index, "ada -phone:4711000 -phone:000") == 551
        assert found(index, "b7 phone:4711000 000") == found(index, "4007") == ["p7"]
        assert found(index, "b7 -phone:000") == []


@pytest.mark.usefixtures("low")
def test_what_is_broad() -> None:
    made = [
        entry(f"p{number}", f"Ada B{number}", org=f"The {number} office") for number in range(8)
    ]
    made += [entry("one", "Ada Only", org="The office", note="Only"), entry("two", "Al Two")]
    index = snapshot(directory(*made))
    assert found(index, "org:office org:the") == 551
    assert found(index, '"the office"') == found(index, 'org:"the office"') == 551
    assert found(index, '-"the office" ada') == 551
    assert found(index, "the-office only") == ["one"]
    assert found(index, "org:office only") == ["one"]
    assert found(index, "ada office only") == ["one"]
    assert found(index, "org:office -title:the only") == 551
    assert found(index, "org:office -title:nobody only -org:nobody") == ["one"]
    assert found(index, "-only ada b3") == ["p3"]
    assert found(index, "two") == ["two"]
    assert found(index, "ada nobody") == []


def test_what_many_have_is_found_in_bits() -> None:
    """In 1,100 entries: a word and its beginnings in bits, others in lists, some in both."""
    made = [entry(f"p{number}", f"Ada {number}", org=f"Unit {number}") for number in range(1_100)]
    made += [entry("x", "Unit Ada", note="Old"), entry("y", "Berta Unit", alias="Adam")]
    index = snapshot(directory(*made))
    assert found(index, "ada") == found(index, "a") == found(index, "unit a") == 551
    assert found(index, "ada -p") == found(index, "unit ad -p") == ["x", "y"]
    assert found(index, "ada -p -adam") == ["x"]


# Laws


@quickly
@given(askings(), st.data())
def test_a_further_entry_takes_none_from_a_result(asking: Asking, data: st.DataObject) -> None:
    every = asking.directory
    left_out = data.draw(st.sampled_from(every.entries)).id
    fewer = Directory(every.header, tuple(each for each in every.entries if each.id != left_out))
    before, after = snapshot(fewer), snapshot(every)
    for query in asking.queries:
        if not query.startswith("-") and " -" not in query:  # a link may now be one to leave out
            assert ids(found(before, query)) <= ids(found(after, query)), query


def written(query: str) -> list[str]:
    """Return other ways to write a query that mean the same."""
    wide = {code: code + 0xFEE0 for code in map(ord, "0123456789")}
    ways = [query.upper(), query.lower(), query.swapcase(), query.translate(wide)]
    ways += [unicodedata.normalize("NFC", query), unicodedata.normalize("NFD", query)]
    if ":" not in query and not any(letter in "0123456789" for letter in fold(query)):
        wide = {code: code + 0xFEE0 for code in range(0x41, 0x7B) if chr(code).isalpha()}
        ways += [query.translate(wide)]
        ways += ["".join(f"{each}\u0301" if each.isalpha() else each for each in query)]
    return ways


@quickly
@given(askings())
def test_case_accents_width_and_form_change_nothing(asking: Asking) -> None:
    index = snapshot(asking.directory)
    for query in asking.queries:
        if ":" in query and "-" in query.partition(":")[0]:
            continue  # mon-fri-08:00 is a term of a field, and in wide digits it is not
        for other in written(query):
            assert found(index, other) == found(index, query), (query, other)


@quickly
@given(directories(), st.sampled_from(FORMS), st.integers(0, 2**32))
def test_the_form_of_a_directory_changes_nothing(made: Directory, form: Form, seed: int) -> None:
    def formed(text: str) -> str:
        return unicodedata.normalize(form, text)

    other = Directory(
        made.header,
        tuple(
            type(each)(
                each.id,
                each.kind,
                tuple((name, tuple(map(formed, lines))) for name, lines in each.fields),
                each.unlisted,
                each.unlisted_fields,
            )
            for each in made.entries
        ),
    )
    one, two, rng = snapshot(made), snapshot(other), random.Random(seed)
    for _ in range(10):
        query = term(values_of(made), rng)
        assert found(one, query) == found(two, query), query


@quickly
@given(askings(terms=1), st.data())
def test_the_order_of_terms_changes_nothing(asking: Asking, data: st.DataObject) -> None:
    """Numbers are left out: next to one another they are one."""
    read = [(query, understood(query)) for query in asking.queries]
    words = [query for query, found in read if found and not any(each.number for each in found)]
    words = words[:4]
    index = snapshot(asking.directory)
    turned = data.draw(st.permutations(words))
    assert found(index, " ".join(turned)) == found(index, " ".join(words)), turned


@quickly
@given(askings(terms=1))
def test_what_is_excluded_is_what_it_would_find(asking: Asking) -> None:
    index = snapshot(asking.directory)
    wanted = [each for each in asking.queries if not each.startswith("-")]
    for left_out in wanted:
        without = found(index, left_out)
        if isinstance(without, int) or (" " in left_out and '"' not in left_out):
            continue  # it is no term, or more than one
        for query in wanted:
            every = found(index, query)
            if not isinstance(every, int):
                rest = [each for each in every if each not in without]
                assert found(index, f"{query} -{left_out}") == rest, (query, left_out)


def test_canonically_equal_text_folds_alike() -> None:
    """All code points that Unicode takes apart, and all orders of two marks.

    What is assigned never comes apart in another way, so any version of Unicode can tell; one that
    is newer than the table's knows code points that the table has as they are.
    """
    folding, marks = tables()
    newer = tuple(map(int, unicodedata.unidata_version.split("."))) > (15, 1, 0)
    tried = 0
    for character in map(chr, range(sys.maxunicode + 1)):
        apart = unicodedata.normalize("NFD", character)
        if apart == character or (newer and ord(character) not in folding and apart[0] < "\u1100"):
            continue
        tried += 1
        assert our_fold(f"x{apart}x") == our_fold(f"x{character}x"), f"U+{ord(character):04X}"
        assert our_fold(f"x{character}x") == fold(f"x{character}x"), f"U+{ord(character):04X}"
    assert tried > 13_000
    by_class: dict[int, str] = {}
    known = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.combining(character)
        and (not newer or character in marks or ord(character) in folding)
    ]
    for order, same in groupby(sorted(known, key=unicodedata.combining), unicodedata.combining):
        by_class[order] = next(same)
    for mark in known:
        for order, other in by_class.items():
            if order != unicodedata.combining(mark):
                assert our_fold(f"x{mark}{other}") == our_fold(f"x{other}{mark}"), (mark, other)


# Examples


PEOPLE = directory(
    entry("jean-luc", "Jean-Luc Lefèvre", alias="Captain", room=["r-1"], phone="4711"),
    entry("luc", "Luc Jean", title="Jean", note="Head of Jean-Luc's office"),
    entry("anna", "Anna Müller", phone__mobile="+1 202 555 0143", org="Office"),
    entry("mueller", "Berta Mueller", reports_to="anna", org="Office of the head"),
    entry("r-1", "Room 2.14", "place", hours="Mon-Fri 08:00-18:00"),
    entry("office", "Office", "group", email="ann@office.example"),
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("jean-luc", "jean-luc luc"),
        ("jean luc", "luc jean-luc"),
        ('"jean luc"', "jean-luc"),
        ('"jean lucs office"', "luc"),
        ("jeanluc", "jean-luc luc"),
        ('"jeanluc lefevre"', ""),
        ('"jean lu"', ""),
        ("jean-lu", "jean-luc luc"),
        ("luc-jean", "luc"),
        ("muller", "anna"),
        ("mueller", "mueller anna"),
        ("müller", "anna"),
        ("kind:place", "r-1"),
        ("kind:p", "luc jean-luc mueller anna r-1"),
        ("kind:p -kind:person", "r-1"),
        ("title:jean", "luc"),
        ("TITLE:JEAN", "luc"),
        ("room:r-1", "jean-luc"),
        ("room:r", "jean-luc"),
        ("r-1", "r-1"),
        ("reports-to:anna", "mueller"),
        ("anna", "anna"),
        ("phone:4711", "jean-luc"),
        ("phone.mobile:4711", ""),
        ("phone.mobile:0143", "anna"),
        ("4711", "jean-luc"),
        ("2.14", "r-1"),
        ("office", "office luc mueller anna"),
        ("office -head", "office anna"),
        ("office -org:office", "office luc"),
        ('office -"of the"', "office luc anna"),
        ("head-of", "luc"),
        ("08:00-18", "r-1"),
        ("office.example", "office"),
        ("nothing:office", ""),
        ("٤٧⑪", "jean-luc"),
        ("4711 x", "jean-luc"),
        ("& luc", "luc jean-luc"),
        ("luc name:&", "luc jean-luc"),
        ("kind:group office -&", "office"),
    ],
)
def test_examples(query: str, expected: str) -> None:
    assert found(snapshot(PEOPLE), query) == expected.split()
    assert read(Naive(PEOPLE), query) == expected.split()


def test_a_field_terms_class_is_0_for_numbers_too() -> None:
    """9.5: who has the number stands before whose number ends so only without the field."""
    made = snapshot(
        directory(entry("a", "Ada", phone="9994711"), entry("b", "Berta", phone="4711"))
    )
    assert found(made, "4711") == ["b", "a"]
    assert found(made, "phone:4711") == ["a", "b"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 506),
        ("&", 506),
        ("-ada", 506),
        ("-ada -room:x & -", 506),
        (" ".join("abcdefghijklmnopq"), 507),
        ("-".join("abcdefghijklmnopq"), 507),
        ("room:", 505),
        ('room:" "', 506),
        ("room:&", 506),
        ("sip.work:x", []),
        ('room:""', 505),
        ('"ada', 505),
        ('"ada"b', 505),
        ("-sip:x", 505),
        ("ada mailto:x", 505),
        ('-"ada', 505),
        ("-room:", 505),
    ],
)
def test_refused(query: str, code: Result) -> None:
    assert found(snapshot(PEOPLE), query) == code
    assert read(Naive(PEOPLE), query) == code


def test_an_empty_directory_finds_nothing() -> None:
    index = snapshot(directory())
    for query in ("a", "ada byron", '"ada byron"', "name:ada", "4711", "kind:person", "ada -b"):
        assert found(index, query) == []
        assert index.near.match(parse_query(query)) == []


@pytest.mark.parametrize(("count", "result"), [(1_000, 1_000), (1_001, 551)])
def test_more_than_a_thousand_are_too_many(count: int, result: int) -> None:
    index = snapshot(directory(*(entry(f"p{number}", "Ada") for number in range(count))))
    for query in ("ada", "a", '"ada"', "name:ada", "ada ada -berta"):
        here = found(index, query)
        assert (here if isinstance(here, int) else len(here)) == result
