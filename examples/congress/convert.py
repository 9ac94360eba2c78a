#!/usr/bin/env python3
"""Turn the public files of unitedstates/congress-legislators into a Phonebook directory.

    python convert.py SOURCE DEST

SOURCE holds legislators-current.yaml, legislators-district-offices.yaml and
committees-current.yaml. DEST is created; a directory that already holds something is refused.
"""

import argparse
import re
import sys
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

Record = dict[str, Any]  # what the source files hold: mappings of text, lists and mappings

ID_OCTETS = 64  # the longest id of the protocol
LINE_CHARACTERS = 240  # at most 960 octets of UTF-8; a value may have 1,000

HEADER: Record = {
    "directory": {
        "name": "Congress of the United States",
        "country": "1",
        "area": "202",
        "trunk": "1",
        "international": "011",
    }
}
CHAMBERS = {"house": "House", "senate": "Senate", "joint": "Joint", "rep": "House", "sen": "Senate"}
DELEGATES = {"AS", "DC", "GU", "MP", "VI"}


def text(value: object) -> str:
    """The value on one line, without controls, with single spaces."""
    words = " ".join(str(value or "").split())
    return "".join(character for character in words if character.isprintable())


def entry(**fields: object) -> Record:
    """The fields that are not empty; `member_of` stands for `member-of`."""
    kept: Record = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            value = {key: line for key, item in value.items() if (line := text(item))}
        elif isinstance(value, list):
            lines = list(dict.fromkeys(line for item in value if (line := text(item))))
            value = lines[0] if len(lines) == 1 else lines
        else:
            value = text(value)
        if value:
            kept[name.replace("_", "-")] = value
    return kept


def identifier(*parts: str) -> str:
    """An id made of the parts: lower-case ASCII letters and digits with hyphens between them."""
    plain = unicodedata.normalize("NFKD", " ".join(parts)).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9]+", "-", plain.lower()).strip("-")[:ID_OCTETS].rstrip("-")


def person_ids(legislators: list[Record]) -> dict[str, str]:
    """Ids by bioguide number: the name, and the number behind it where two share the name."""
    names = {
        person["id"]["bioguide"]: identifier(person["name"]["first"], person["name"]["last"])
        for person in legislators
    }
    bearers = Counter(names.values())
    return {
        number: name if bearers[name] == 1 else identifier(name[: ID_OCTETS - 9], number)
        for number, name in names.items()
    }


def family(name: str, last: str) -> str:
    """The last name, where it is part of the name but not simply its last word."""
    words, wanted = name.replace(",", " ").split(), last.split()
    places = range(len(words) - len(wanted) + 1)
    inside = any(words[place : place + len(wanted)] == wanted for place in places)
    return last if inside and name.split()[-1:] != wanted else ""


def title(term: Record) -> str:
    if term["type"] == "sen":
        return "Senator"
    if term["state"] == "PR":
        return "Resident Commissioner"
    return "Delegate" if term["state"] in DELEGATES else "Representative"


def people(legislators: list[Record], ids: dict[str, str]) -> Iterable[Record]:
    for person in legislators:
        names, term = person["name"], person["terms"][-1]
        first, last = names["first"], names["last"]
        name = names.get("official_full") or f"{first} {last}"
        nickname = names.get("nickname")
        aliases = [f"{first} {last}", f"{nickname} {last}" if nickname else ""]
        district = term.get("district")
        yield entry(
            name=name,
            id=ids[person["id"]["bioguide"]],
            family=family(name, last),
            alias=[alias for alias in aliases if alias != name],
            title=title(term),
            phone={"work": term.get("phone"), "fax": term.get("fax")},
            location=term.get("office"),
            address=term.get("address"),
            url=term.get("url"),
            chamber=CHAMBERS[term["type"]],
            state=term["state"],
            district="at large" if district == "0" else district,
            party=term.get("party"),
        )


def offices(
    records: list[Record], legislators: list[Record], ids: dict[str, str]
) -> Iterable[Record]:
    lasts = {person["id"]["bioguide"]: person["name"]["last"] for person in legislators}
    for record in records:
        number = record["id"]["bioguide"]
        if number not in ids:  # the offices of someone who has left
            continue
        for office in record["offices"]:
            town = f"{office['city']}, {office['state']}"
            rooms = filter(None, (office.get("building"), office.get("suite")))
            yield entry(
                name=f"{lasts[number]} district office, {office['city']}",
                id=identifier(office["id"]),
                kind="place",
                phone={"work": office.get("phone"), "fax": office.get("fax")},
                location=", ".join(rooms),
                address=[office.get("address"), f"{town} {office.get('zip', '')}"],
                contact=ids[number],
                hours=office.get("hours"),
                state=office["state"],
            )


def committee(record: Record, number: str, chamber: str, parent: str = "") -> Record:
    return entry(
        name=record["name"],
        id=identifier(number),
        kind="group",
        phone={"work": record.get("phone")},
        address=text(record.get("address")).split("; "),
        part_of=parent,
        url=record.get("url"),
        note=textwrap.wrap(text(record.get("jurisdiction")), LINE_CHARACTERS),
        chamber=CHAMBERS[chamber],
    )


def committees(records: list[Record]) -> Iterable[Record]:
    for record in records:
        number, chamber = record["thomas_id"], record["type"]
        yield committee(record, number, chamber)
        for part in record.get("subcommittees", []):
            yield committee(part, number + part["thomas_id"], chamber, identifier(number))


def read(path: Path) -> list[Record]:
    """The records of a source file; each scalar is text as it was written."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    with path.open("rb") as stream:
        records = yaml.load(stream, loader)
    if not isinstance(records, list):
        raise ValueError(f"{path} does not hold a list")
    return records


def write(path: Path, content: object) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        yaml.safe_dump(content, stream, allow_unicode=True, sort_keys=False, width=1000)


def convert(source: Path, dest: Path) -> int:
    """Write the directory; the number of its entries."""
    legislators = read(source / "legislators-current.yaml")
    district = read(source / "legislators-district-offices.yaml")
    ids = person_ids(legislators)
    files = {
        "people.yaml": list(people(legislators, ids)),
        "offices.yaml": list(offices(district, legislators, ids)),
        "committees.yaml": list(committees(read(source / "committees-current.yaml"))),
    }
    uses = Counter(item["id"] for entries in files.values() for item in entries)
    if twice := [name for name, count in uses.items() if count > 1]:
        raise ValueError(f"{source} gives these ids twice: {', '.join(twice)}")
    dest.mkdir(parents=True, exist_ok=True)
    if any(dest.iterdir()):
        raise ValueError(f"{dest} is not empty; name a directory that does not exist yet")
    write(dest / "phonebook.yaml", HEADER)
    for name, entries in files.items():
        write(dest / name, entries)
    return uses.total()


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Turn the files of unitedstates/congress-legislators into a directory."
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="where the three files are")
    parser.add_argument("dest", type=Path, metavar="DEST", help="the directory to create")
    arguments = parser.parse_args()
    try:
        count = convert(arguments.source, arguments.dest)
    except KeyError as error:
        print(f"convert.py: a record of {arguments.source} has no {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"convert.py: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except (ValueError, yaml.YAMLError) as error:
        print(f"convert.py: {error}", file=sys.stderr)
        return 2
    print(f"convert.py: {count} entries in {arguments.dest}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
