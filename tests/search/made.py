"""Small directories and queries about them, as hypothesis draws them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from hypothesis import strategies as st

from phonebook.directory.entry import Directory, Entry, Header, View
from phonebook.service.snapshot import Snapshot, Terms, compile

Fields = dict[str, Sequence[str] | str]

NAMES = """
    Ada Byron Ann Anna Anne Anneke Jean-Luc Jean Luc Jeanluc O'Brien Obrien Müller Mueller Muller
    Søren Soren Åse Aase José Straße Strasse Łukasz Zoë van der de la von Berg bergen García-Márquez
    Jr III A. B ab X ext Щукин Ёж Еж Йод Σίσυφος ΣΊΣΥΦΟΣ محمد مُحَمَّد أحمد יִצְחָק योगेश สมชาย か が ガ ｶﾞ
    김철수 각 王伟 王伟明 İstanbul Istanbul Ｆｕｌｌ ﬁne 2.14 214 4711 Nǚ 1st
""".split()
TEXTS = [
    "Engineer of engines", "Head of Ann's office", "Speaks Jean-Luc's French", "Room 2.14", "Ada",
    "Director, Byron Laboratory", "Mon-Fri 08:00-18:00", "がか", "Müller & Søn", "4711", "of",
]  # fmt: skip
NUMBERS = [
    "147", "101", "4711", "+1 202 555 0147", "+1 202 555 0143", "9 1 202 555 0143", "555 0147",
    "+44 (0)20 7946 0101", "4⑪", "٤٧١١", "⑴½",
    "020 7946 0101", "0202 5550143", "001 202 555 0147", "555-0100 x147",
    "555 0100 ext. 12", "x12", "*600", "#31#", "5550143", "0143", "12025550143;ext=7", "+12025550",
]  # fmt: skip
MAILS = ["ada@byron.example", "ann.jean-luc@byron.example", "office@byron.example"]
FIELDS = """
    title org org note note location x-note note.own alias alias.nick
""".split()
LINKED = ("room", "member-of", "part-of", "contact.own")
HEADERS = [
    Header(),
    Header(
        country="1", area="202", trunk="1", international="011", outside="9",
        main="+1 202 555 0", extensions=(("100", "199"),),
    ),
    Header(country="44", area="20", trunk="0", international="00"),
]  # fmt: skip
SEPARATORS = [" ", " ", " ", "-", "\u2010", ". ", ", ", " - ", "  "]


def entry(id: str, name: str, kind: str = "person", **fields: Sequence[str] | str) -> Entry:
    """Return an entry; `_` in a field's name is a hyphen, `__` a dot."""
    lines: list[tuple[str, tuple[str, ...]]] = [("name", (name,))]
    for field, values in fields.items():
        called = field.replace("__", ".").replace("_", "-")
        lines.append((called, (values,) if isinstance(values, str) else tuple(values)))
    return Entry(id, kind, tuple(lines))


def directory(*entries: Entry, header: Header = HEADERS[0]) -> Directory:
    """Return a directory of these entries."""
    return Directory(header, entries)


def snapshot(made: Directory) -> Snapshot:
    """Return what answers from a directory."""
    return Snapshot(compile(made), Terms())


@st.composite
def names(draw: st.DrawFn, pool: Sequence[str] = NAMES) -> str:
    """Draw a name of one to four words."""
    words = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4))
    made = words[0]
    for word in words[1:]:
        made += draw(st.sampled_from(SEPARATORS)) + word
    return made


@st.composite
def entries(draw: st.DrawFn, id: str, ids: Sequence[str], pool: Sequence[str] = NAMES) -> Entry:
    """Draw an entry that may link to these ids."""
    name = draw(names(pool))
    fields: dict[str, tuple[str, ...]] = {"name": (name,)}
    if draw(st.integers(0, 4)) == 0:
        tokens = name.split()
        start = draw(st.integers(0, len(tokens) - 1))
        family = " ".join(tokens[start : draw(st.integers(start + 1, len(tokens)))])
        if any(letter.isalnum() for letter in family):
            fields["family"] = (family,)
    for field in draw(st.lists(st.sampled_from(FIELDS), max_size=4)):
        value = draw(st.one_of(st.sampled_from(TEXTS), names(pool)))
        fields[field] = (*fields.get(field, ()), value)
    for field in ("phone", "phone.mobile"):
        if numbers := draw(st.lists(st.sampled_from(NUMBERS), max_size=2)):
            fields[field] = tuple(numbers)
    if mails := draw(st.lists(st.sampled_from(MAILS), max_size=1)):
        fields["email"] = tuple(mails)
    for field in draw(st.lists(st.sampled_from(LINKED), max_size=2, unique=True)):
        fields[field] = tuple(draw(st.lists(st.sampled_from(ids), min_size=1, max_size=2)))
    hidden = draw(st.lists(st.sampled_from(sorted({*fields} - {"name"}) or ["x"]), max_size=1))
    return Entry(
        id,
        draw(st.sampled_from(["person", "person", "person", "place", "group", "service"])),
        tuple(fields.items()),
        unlisted=draw(st.integers(0, 7)) == 0,
        unlisted_fields=frozenset(hidden if draw(st.integers(0, 3)) == 0 else ()),
    )


@st.composite
def directories(draw: st.DrawFn, most: int = 10) -> Directory:
    """Draw a directory whose names share words."""
    pool = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=20))
    stems = draw(
        st.lists(
            st.sampled_from(["ada", "ada-byron", "jean-luc", "r_2.14", "x", "ann.own", "king"]),
            min_size=most // 2,
            max_size=most,
        )
    )
    ids = [f"{stem}-{number}" for number, stem in enumerate(stems)]
    return Directory(
        draw(st.sampled_from(HEADERS)), tuple(draw(entries(id, ids, pool)) for id in ids)
    )


VIEWS = [
    (View("staff"),),
    (View("board", includes=("staff",)), View("guests"), View("staff")),
    (View("a", includes=("b", "d")), View("b", includes=("c",)), View("c"), View("d")),
]


@st.composite
def viewed(draw: st.DrawFn, most: int = 10) -> Directory:
    """Draw a directory of whose entries and fields some are of a view."""
    made = draw(directories(most))
    views = draw(st.sampled_from(VIEWS))
    names = st.sampled_from([each.name for each in views])
    every = []
    for each in made.entries:
        fields = [name for name, _ in each.fields[1:]]
        fields += [name.partition(".")[0] for name in fields]
        hidden = {name.partition(".")[0] for name in each.unlisted_fields}
        may = sorted(name for name in fields if name.partition(".")[0] not in hidden)
        if draw(st.booleans()) and not each.unlisted:
            every.append(replace(each, view=draw(names)))
        elif may:
            chosen = draw(st.lists(st.sampled_from(may), max_size=3, unique=True))
            every.append(replace(each, field_views=tuple((name, draw(names)) for name in chosen)))
        else:
            every.append(each)
    return Directory(replace(made.header, views=views), tuple(every))


class Asking(NamedTuple):
    """A directory and what is asked."""

    directory: Directory
    queries: list[str]


PIECES = [
    *NAMES,
    *TEXTS,
    *NUMBERS,
    *MAILS,
    "a",
    "j",
    "o",
    "of",
    "byron.example",
    "&",
    "-",
    "9",
    "+1",
]
NAMED = """
    name alias alias.nick title org note note.own id kind room member-of part-of contact email phone
    tel phone.mobile family x-note location nothing Name ALIAS
""".split()


@st.composite
def askings(draw: st.DrawFn, most: int = 10, count: int = 10, terms: int = 3) -> Asking:
    """Draw a directory and queries, most of them about what stands in it."""
    made = draw(directories(most))
    # queries are many, and each is short: hypothesis chooses among them rather than their letters
    rng = random.Random(draw(st.integers(0, 2**32)))
    values = [values_of(Directory(entries=(each,))) for each in made.entries]
    every = [value for own in values for value in own]
    # most about one entry, so that several terms may match together
    about = [rng.choice(values) if rng.random() < 0.7 else every for _ in range(count)]
    return Asking(made, [query(each, rng, rng.randint(1, terms)) for each in about])


def values_of(made: Directory) -> list[str]:
    """Return what stands in a directory, its ids too."""
    return [
        value for each in made.entries for _, lines in each.fields for value in (each.id, *lines)
    ]


def query(values: Sequence[str], rng: random.Random, terms: int) -> str:
    """Return a query of so many terms, about as many words."""
    return " ".join(term(values, rng) for _ in range(terms))


def term(values: Sequence[str], rng: random.Random) -> str:
    """Return a term: a word, its beginning, several words, a field's, or what is left out."""
    value = rng.choice(values) if rng.random() < 0.7 else rng.choice(PIECES)
    kind = rng.random()
    if kind < 0.1:  # some of its words, next to one another
        tokens = value.replace('"', " ").split(" ")
        start = rng.randrange(len(tokens))
        value = '"' + " ".join(tokens[start : rng.randint(start + 1, len(tokens))]) + '"'
    elif kind < 0.2:
        value = "-".join(value.split(" ")[-2:])
    elif kind < 0.8:
        value = rng.choice(value.split(" ") or [value])
        if rng.random() < 0.4:
            value = value[: rng.randint(1, max(1, len(value)))]
    if rng.random() < 0.2:
        value = rng.choice([value.upper(), value.lower(), value.swapcase()])
    if rng.random() < 0.25:
        value = f"{rng.choice(NAMED)}:{value}"
    elif rng.random() < 0.05:
        value = "kind:" + rng.choice(["person", "p", "place", "group", "per son", '"person"'])
    return f"-{value}" if rng.random() < 0.15 else value


SWITCHBOARD = "5550000"


def crowd(count: int, seed: int = 767) -> Directory:
    """Return a large directory of invented names, as unlike in number as people's are.

    In every entry stand the word `example` and the number of the switchboard, in one of twenty
    `deputy`; titles and notes are few.
    """
    rng = random.Random(seed)
    syllables = [a + b for a in "b d f g k l m n p r s t v z sh ch br".split() for b in "aeiou"]
    given = ["".join(rng.choices(syllables, k=2)) for _ in range(400)]
    family = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(count // 5)]
    weights = [1 / rank for rank in range(1, len(family) + 1)]
    families = rng.choices(family, weights, k=count)
    titles = ["Engineer", "Senior engineer", "Head of engineering", "Analyst", "Clerk", "Cook"]
    notes = ["Deputy of the safety officer on this floor.", "Reads letters on Fridays."]
    notes += [f"Works from home on {day} and answers letters." for day in "Mondays Fridays".split()]
    hours = ["Mon-Fri 08:00-18:00", "Tue-Thu 10:00-12:00"]
    made = []
    for number in range(count):
        name = f"{rng.choice(given).title()} {families[number].title()}"
        fields = {
            "title": rng.choice(titles),
            "org": f"Office {rng.randrange(40)}",
            "phone": (f"{rng.randrange(1_000_000, 10_000_000)}", SWITCHBOARD),
            "email": f"{number}@phonebook.example",
            "hours": rng.choice(hours),
        }
        if rng.random() < 0.2:
            fields["note"] = rng.choice(notes)
        made.append(entry(f"p{number}", name, **fields))
    return Directory(Header(country="999"), tuple(made))
