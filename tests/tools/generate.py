"""Write a directory of any size, to measure with: invented people with real names.

    python tests/tools/generate.py COUNT DEST [--files N] [--seed S]

needs the packages `faker`, `names` and `nicknames`. The names are drawn as often as people bear
them: 65 % of the people by the frequencies of the census of the United States (1990, as `names` has
them), 30 % from 26 other lands that write Latin letters and 5 % from 13 that do not (as `faker`
has them, which knows frequencies of about half). Words then grow far slower than entries, as they
do in a directory of real people, and the rare ones are as many.

A directory is a row of departments of 50 entries each: 3 places, a group, a service, 45 people.
Links lead to entries that came earlier. So the first entries of a large directory are those of a
small one of the same seed, and entries can be had one by one. The country's code is one that
nobody has, so that no number here is anybody's.
"""

import argparse
import csv
import importlib
import json
import random
import re
import unicodedata
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from itertools import accumulate, groupby, islice
from pathlib import Path
from typing import NamedTuple

Entry = dict[str, str | list[str]]

SEED = 767
IN_A_FILE = 1000  # entries, where no number of files is given

HEADER = """\
directory:
  name: Measured directory
  contact: frontdesk@phonebook.example
  country: 999
  area: 20
  trunk: 0
  international: 00
  main: "+999 20 "
  extensions: 1000000-9999999
"""

SEXES = ("male", "female")
CENSUS, LATIN, OTHER = 0.65, 0.30, 0.05  # of the people

# how a land puts its names together
GIVEN_FIRST, FAMILY_FIRST, TWO_FAMILIES, UNSPACED = range(4)
FORMS = {
    "hu_HU": FAMILY_FIRST,
    "vi_VN": FAMILY_FIRST,
    "ja_JP": FAMILY_FIRST,
    "es_ES": TWO_FAMILIES,
    "es_MX": TWO_FAMILIES,
    "pt_PT": TWO_FAMILIES,
    "zh_CN": UNSPACED,
    "zh_TW": UNSPACED,
    "ko_KR": UNSPACED,
}
LATIN_LANDS = """
    en_GB en_IE en_IN en_KE de_DE de_AT de_CH fr_FR fr_BE fr_CA es_ES es_MX pt_PT pt_BR it_IT
    nl_NL sv_SE no_NO da_DK fi_FI pl_PL cs_CZ hr_HR hu_HU tr_TR vi_VN
""".split()
OTHER_LANDS = """
    ru_RU uk_UA bg_BG el_GR ar_AA fa_IR hi_IN ne_NP th_TH zh_CN zh_TW ja_JP ko_KR
""".split()

TITLES = (
    """
    Engineer|Senior engineer|Head of engineering|Analyst|Senior analyst|Accountant|Secretary
    Assistant|Head of department|Librarian|Lecturer|Professor|Research fellow|Visiting fellow
    Doctoral student|Technician|Laboratory manager|Nurse|Physician|Surgeon|Pharmacist|Architect
    Draughtsman|Buyer|Store keeper|Driver|Porter|Caretaker|Gardener|Cook|Clerk|Registrar
    Programmer|System administrator|Project manager|Counsel|Translator|Editor|Photographer|Trainee
""".strip()
    .replace("\n    ", "|")
    .split("|")
)
FIELDS = """
    Accounting Acoustics Admissions Anaesthesia Archaeology Archives Astronomy Botany Cardiology
    Chemistry Communications Construction Dermatology Economics Electronics Ethics Facilities
    Geology History Hydrology Immunology Insurance Law Logistics Maintenance Marketing Mathematics
    Mechanics Metallurgy Meteorology Music Neurology Nutrition Oceanography Optics Payroll
    Personnel Philosophy Physics Planning Procurement Psychology Publishing Quality Radiology
    Recruitment Safety Security Statistics Surveying Taxation Theology Transport Zoology
""".split()
GROUPS = ["group", "team", "office", "laboratory", "committee", "board"]
HOUSES = ["House", "Hall", "Building", "Tower", "Court", "Wing", "Annex"]
ROOMS = ["Room", "Room", "Room", "Laboratory", "Workshop", "Meeting room"]
SERVICES = ["Help desk", "Printer", "Reception", "Hotline", "Switchboard", "Emergency line"]
HOURS = ["Mon-Fri 08:00-18:00", "Mon-Thu 09:00-17:00", "always", "Tue and Thu 10:00-12:00"]
LOCATIONS = [
    "first desk on the left",
    "by the stairs",
    "at the end of the corridor, beside the store",
    "opposite the lift",
    "behind the glass door",
]
NOTES = [
    "Prefers a call to a letter.",
    "Reads letters on Fridays.",
    "Works from home on Mondays and Wednesdays.",
    "On leave until the end of the quarter; ask the head of the department meanwhile.",
    "Speaks English, French and some Portuguese.",
    "Keeps the keys of the meeting rooms and of the store.",
    "Deputy of the safety officer on this floor.",
    "First aid; call in any case, day and night.",
    "Part time, in the mornings only.",
]

# letters that Unicode does not take apart, and three alphabets, spelt as passports do, more or less
SPELLINGS = {
    **dict(zip("łøđðıß æœþ", ["l", "o", "d", "d", "i", "ss", " ", "ae", "oe", "th"], strict=True)),
    **dict(zip("абвгдезиклмнопрстуф", "abvgdeziklmnoprstuf", strict=True)),
    **dict(zip("жйхцчшщъыьэюя", "zh y kh ts ch sh shch  y  e yu ya".split(" "), strict=True)),
    **dict(zip("єіїґё", "ye i yi g e".split(), strict=True)),
    **dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True)),
    **dict(zip("θχψ", "th ch ps".split(), strict=True)),
}

PLAIN_ID = re.compile(r"[A-Za-z]+( [A-Za-z]+)*")  # a name whose id is plain to see
PLAIN_YAML = re.compile(r"[\w+](?:[^:#,\[\]{}]|:(?=\S))*")  # needs no quotes, within a list even


class Names:
    """Names with their frequencies, to draw from."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        """Take names with their weights; one of them need not be a probability."""
        self.words = list(weights)
        self.sums = list(accumulate(weights.values()))

    def draw(self, rng: random.Random) -> str:
        """Return a name."""
        return self.words[bisect(self.sums, rng.random() * self.sums[-1])]


class Pool(NamedTuple):
    """The names of the men or of the women of a land."""

    given: Names
    family: Names
    form: int


def census(part: str) -> Names:
    """Return names of the census; `part` is the end of the file's name.

    Frequencies are in steps of a thousandth of a percent, which makes 70,000 family names as rare
    as none at all. The sums beside them still grow: names with the same sum share its step.
    """
    lines = resources.files("names").joinpath(f"dist.{part}").read_text("ascii").splitlines()
    rows = [(name, float(total)) for name, _, total, _ in (line.split() for line in lines)]
    weights: dict[str, float] = {}
    before = 0.0
    for total, group in groupby(rows, key=lambda row: row[1]):
        same = [capitals(name) for name, _ in group]
        weights.update(dict.fromkeys(same, (total - before) / len(same)))
        before = total
    return Names(weights)


def capitals(name: str) -> str:
    """Return a name that is all capitals as people write it."""
    if name.startswith("MC") and len(name) > 4:
        return "Mc" + name[2:].capitalize()
    return name.capitalize()


def land(locale: str) -> Iterator[Pool]:
    """Yield the names of a land as faker has them, the men's and the women's.

    Where it tells no frequencies, a name that it lists twice is twice as frequent.
    """
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    for sex in SEXES:
        yield Pool(
            weighted(getattr(provider, f"first_names_{sex}")),
            weighted(
                getattr(provider, f"last_names_{sex}", None)
                or getattr(provider, "unisex_last_names", None)  # the Polish ones
                or provider.last_names
            ),
            FORMS.get(locale, GIVEN_FIRST),
        )


def weighted(source: Mapping[str, float] | Iterable[str]) -> Names:
    """Return names out of one of faker's tables, with or without frequencies."""
    if not isinstance(source, Mapping):
        source = Counter(source)
    return Names({name: weight for name, weight in source.items() if "(" not in name})


def nicknames() -> dict[str, list[str]]:
    """Return the nicknames of given names, all in small letters."""
    found: dict[str, list[str]] = defaultdict(list)
    table = resources.files("nicknames").joinpath("names.csv").read_text("utf-8")
    for row in csv.DictReader(table.splitlines()):
        if row["relationship"] == "has_nickname":
            found[row["name1"]].append(row["name2"])
    return found


def japanese() -> dict[str, str]:
    """Return Japanese names with their Latin spelling."""
    provider = importlib.import_module("faker.providers.person.ja_JP").Provider
    pairs = [*provider.first_name_pairs, *provider.last_name_pairs]
    return {name: latin for name, _, latin in pairs}


def in_latin(text: str) -> str:
    """Return a text in small ASCII letters, as far as it can be spelt by rule."""
    spelt = "".join(
        unicodedata.name(character).split()[-1].lower()  # HANGUL SYLLABLE GIM
        if "가" <= character <= "힣"
        else SPELLINGS.get(character, character)
        for character in unicodedata.normalize("NFC", text.lower())
    )
    bare = unicodedata.normalize("NFKD", spelt)
    bare = "".join(SPELLINGS.get(letter, letter) for letter in bare if letter not in "'’ʼ")
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


def made_id(name: str) -> str | None:
    """Return the id that a reader makes of the name, or None where that takes knowledge."""
    return name.lower().replace(" ", "-") if PLAIN_ID.fullmatch(name) else None


class Generator:
    """Draws departments, one after the other."""

    def __init__(self, seed: int) -> None:
        """Read the tables; `seed` decides everything else."""
        self.rng = random.Random(seed)
        family = census("all.last")
        groups = [
            (CENSUS, [Pool(census(f"{sex}.first"), family, GIVEN_FIRST) for sex in SEXES]),
            (LATIN, [pool for locale in LATIN_LANDS for pool in land(locale)]),
            (OTHER, [pool for locale in OTHER_LANDS for pool in land(locale)]),
        ]
        self.pools = [pool for _, pools in groups for pool in pools]
        self.shares = list(accumulate(share / len(pools) for share, pools in groups for _ in pools))
        self.family = family
        self.nicknames = nicknames()
        self.japanese = japanese()
        self.ids: set[str] = set()
        self.numbers: dict[str, int] = defaultdict(int)
        self.head: str | None = None  # the last department's, to whom the next one's reports

    def likely(self, chance: float) -> bool:
        """Tell whether something that happens with this chance happens."""
        return self.rng.random() < chance

    def new_id(self, stem: str) -> str:
        """Return an id that no other entry has: the stem, or the stem and a number."""
        stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:50].strip("-") or "person"
        made = stem
        while made in self.ids:
            self.numbers[stem] += 1
            made = f"{stem}-{self.numbers[stem] + 1}"
        self.ids.add(made)
        return made

    def entry(self, kind: str, name: str) -> Entry:
        """Return the beginning of an entry."""
        entry: Entry = {"id": self.new_id(in_latin(name)), "name": name}
        if kind != "person":
            entry["kind"] = kind
        return entry

    def extension(self) -> str:
        """Return an extension."""
        return str(self.rng.randrange(1_000_000, 10_000_000))

    def department(self) -> Iterator[Entry]:
        """Yield 50 entries, linked with one another."""
        rng = self.rng
        house = self.entry("place", f"{self.family.draw(rng)} {rng.choice(HOUSES)}")
        house["address"] = f"{rng.randrange(1, 400)} {self.family.draw(rng)} Street"
        house["phone"] = self.extension()
        house["hours"] = rng.choice(HOURS)
        yield house
        rooms = []
        for _ in range(2):
            number = f"{rng.randrange(10)}.{rng.randrange(1, 100):02}"
            room = self.entry("place", f"{rng.choice(ROOMS)} {number}")
            room |= {"alias": number, "part-of": house["id"], "phone": self.extension()}
            yield room
            rooms.append(room["id"])
        group = self.entry("group", f"{rng.choice(FIELDS)} {rng.choice(GROUPS)}")
        group |= {"part-of": house["id"], "phone": self.extension()}
        group["email"] = f"{group['id']}@phonebook.example"
        yield group
        service = self.entry("service", f"{rng.choice(SERVICES)} {house['name']}")
        service |= {"room": rng.choice(rooms), "phone": self.extension()}
        service["hours"] = rng.choice(HOURS)
        yield service

        org = f"{rng.choice(FIELDS)}, {house['name']}"
        superiors = [self.head] if self.head else []
        for place in range(45):
            person = self.person()
            person["title"] = rng.choice(TITLES)
            person["org"] = org
            self.reach(person)
            person["room"] = rng.choice(rooms)
            person["member-of"] = group["id"]
            if superiors:
                person["reports-to"] = rng.choice(superiors)
            if place == 0:  # who alone reports to another department's head
                self.head = str(person["id"])
                superiors.clear()
            if place < 5:
                superiors.append(str(person["id"]))
            if self.likely(0.4):
                person["location"] = rng.choice(LOCATIONS)
            if self.likely(0.2):
                person["hours"] = rng.choice(HOURS)
            if self.likely(0.4):
                person["url"] = f"https://phonebook.example/people/{person['id']}"
            if self.likely(0.45):
                person["note"] = rng.sample(NOTES, rng.choice((1, 1, 2, 3)))
            yield person

    def person(self) -> Entry:
        """Return a person with names and no more."""
        rng = self.rng
        pool = self.pools[bisect(self.shares, rng.random() * self.shares[-1])]
        given, family = pool.given.draw(rng), pool.family.draw(rng)
        if pool.form == TWO_FAMILIES:
            family += " " + pool.family.draw(rng)
        elif self.likely(0.02) and pool.form == GIVEN_FIRST:
            family += "-" + pool.family.draw(rng)
        called = given
        if pool.form == GIVEN_FIRST:
            if self.likely(0.10) and given.isascii():
                given += f" {rng.choice('ABCDEFGHJKLMNPRSTW')}."
            elif self.likely(0.10):
                given += " " + pool.given.draw(rng)
        if pool.form == UNSPACED:
            name = family + given
        elif pool.form == FAMILY_FIRST:
            name = f"{family} {given}"
        else:
            name = f"{given} {family}"

        latin = self.latin(given, family)
        entry: Entry = {"id": self.new_id(in_latin(latin or name)), "name": name}
        if pool.form == FAMILY_FIRST or (pool.form != UNSPACED and " " in family):
            entry["family"] = family
        short = self.nicknames.get(called.lower())
        if short and self.likely(0.25):
            entry["alias"] = rng.choice(short).capitalize()
        elif latin and self.likely(0.7):
            entry["alias"] = latin
        return entry

    def latin(self, given: str, family: str) -> str | None:
        """Return a name of other letters in Latin ones, or None where no rule spells it."""
        if unicodedata.name(family[-1]).startswith("LATIN"):
            return None
        spelt = [self.japanese.get(part) or in_latin(part).title() for part in (given, family)]
        return " ".join(spelt) if all(part.isascii() for part in spelt) else None

    def reach(self, person: Entry) -> None:
        """Give a person numbers and an address for mail."""
        rng = self.rng
        mobile = f"+999 7{rng.randrange(100, 1000)} {rng.randrange(1_000_000):06}"
        extension = self.extension()
        ways = rng.random()
        if ways < 0.55:
            person["phone"] = extension
        elif ways < 0.85:
            person |= {"phone.work": extension, "phone.mobile": mobile}
        elif ways < 0.93:
            person["phone"] = [extension, mobile]
        else:
            person |= {"phone": extension, "phone.fax": self.extension(), "phone.mobile": mobile}
        person["email"] = f"{person['id']}@phonebook.example"


def entries(count: int, seed: int = SEED) -> Iterator[Entry]:
    """Yield entries, each with its id, as mappings from fields to a text or a list of texts."""
    generator = Generator(seed)
    made = (entry for _ in range(0, count, 50) for entry in generator.department())
    return islice(made, count)


def scalar(text: str) -> str:
    """Return a text as YAML; a JSON string is one, too."""
    if PLAIN_YAML.fullmatch(text) and text.lower() != "null":
        return text
    return json.dumps(text, ensure_ascii=False)


def as_yaml(entry: Entry) -> str:
    """Return an entry as an item of a list; an id that a reader would make is left out."""
    lines = [f"name: {scalar(str(entry['name']))}"]
    for field, value in entry.items():
        if field == "name" or (field == "id" and value == made_id(str(entry["name"]))):
            continue
        if isinstance(value, list):
            lines.append(f"{field}: [{', '.join(map(scalar, value))}]")
        else:
            lines.append(f"{field}: {scalar(value)}")
    return "- " + "\n  ".join(lines) + "\n\n"


def write(dest: Path, count: int, files: int | None = None, seed: int = SEED) -> None:
    """Write a directory into a new folder: its header, and entries in so many files."""
    files = files or max(1, count // IN_A_FILE)
    dest.mkdir(parents=True)  # a folder that is there may hold entries of another directory
    (dest / "phonebook.yaml").write_text(HEADER, "utf-8")
    made = entries(count, seed)
    for number in range(files):
        size = count * (number + 1) // files - count * number // files
        with (dest / f"entries-{number:04}.yaml").open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(as_yaml(entry) for entry in islice(made, size))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int, metavar="COUNT", help="how many entries")
    parser.add_argument("dest", type=Path, metavar="DEST", help="a folder that is not there yet")
    parser.add_argument("--files", type=int, metavar="N", help="one for each 1,000 by default")
    parser.add_argument("--seed", type=int, default=SEED, metavar="S")
    arguments = parser.parse_args()
    try:
        write(arguments.dest, arguments.count, arguments.files, arguments.seed)
    except FileExistsError:
        parser.error(f"{arguments.dest} is there already")


if __name__ == "__main__":
    main()
