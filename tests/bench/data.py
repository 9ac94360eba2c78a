"""What is measured with: directories of several sizes, and requests drawn from their entries."""

import csv
import gc
import os
import random
import re
import subprocess
import sys
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

import yaml
from processes import ROOT, NotHereError

GENERATE = ROOT / "tests" / "tools" / "generate.py"
SIZES = {"congress": 0, "1k": 1_000, "10k": 10_000, "100k": 100_000, "1m": 1_000_000}
DRAWN = 30_000  # requests of a kind
SEED = 767
FEW = 3  # entries at most with a word that is asked for alone
HITS = range(8, 13)  # of a prefix with ten hits, about

EXPECTED = {"id": "250", "word": "250", "name": "250", "prefix": "250", "typo": "251"}
SAMPLE = 100  # replies that are looked at: a refusal is quick, and would flatter
MOST = 0.8  # of them


class Person(NamedTuple):
    """What the peers are given of an entry."""

    id: str
    name: str
    phone: str
    email: str


class Words(NamedTuple):
    """Sorted words, and how often there are words up to each."""

    words: list[str]
    sums: list[int]

    def beginning(self, prefix: str) -> int:
        """Return how often there are words with this beginning."""
        first = bisect_left(self.words, prefix)
        last = bisect_left(self.words, prefix + "\U0010ffff")
        return self.sums[last] - self.sums[first]


def counted(counts: Counter[str]) -> Words:
    """Return words to count prefixes in."""
    words = sorted(counts)
    return Words(words, [0, *accumulate(counts[word] for word in words)])


class Data:
    """A directory and its entries."""

    def __init__(self, folder: Path, size: str) -> None:
        """Find the directory in the folder, or have it generated there."""
        self.size, self.path = size, folder.resolve() / size
        if not self.path.is_dir():
            if size == "congress":
                raise NotHereError(
                    f"{self.path} is not there; examples/congress/README.md makes it"
                )
            folder.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, str(GENERATE), str(SIZES[size]), str(self.path)]
            if subprocess.run(command, check=False).returncode:
                raise NotHereError(f"{GENERATE.name} failed; it needs faker, names and nicknames")
        self._list = folder / f"{size}.tsv"

    @cached_property
    def people(self) -> list[Person]:
        """All entries; a list beside the directory saves reading YAML each time."""
        if not self._list.exists() or self._list.stat().st_mtime < self.path.stat().st_mtime:
            with self._list.open("w", encoding="utf-8", newline="") as out:
                csv.writer(out, "excel-tab").writerows(_people(self.path))
        with self._list.open(encoding="utf-8", newline="") as source:
            return [Person(*row) for row in csv.reader(source, "excel-tab")]

    @cached_property
    def words(self) -> Words:
        """The words of all names."""
        return counted(Counter(word for person in self.people for word in set(folded(person.name))))

    @cached_property
    def ids(self) -> Words:
        """All ids, to count how many begin alike."""
        return counted(Counter(person.id for person in self.people))

    def draw(self, make: Callable[[Person, random.Random], str | None]) -> list[str]:
        """Return what is made of entries drawn at random; None is not taken, and drawn anew."""
        rng = random.Random(SEED)
        found: list[str] = []
        for _ in range(40 * DRAWN):
            made = make(rng.choice(self.people), rng)
            if made is not None:
                found.append(made)
                if len(found) == DRAWN:
                    break
        return found

    # What is asked for

    def an_id(self, person: Person, rng: random.Random) -> str:
        """Return the id."""
        return person.id

    def a_word(self, person: Person, rng: random.Random) -> str | None:
        """Return a word of the name that three entries have at most."""
        word = rng.choice(folded(person.name))
        return word if word.isalpha() and self.words.beginning(word) <= FEW else None

    def a_name(self, person: Person, rng: random.Random) -> str:
        """Return the full name."""
        return " ".join(folded(person.name))

    def a_prefix(self, person: Person, rng: random.Random) -> str | None:
        """Return the beginning of a word that about ten entries have."""
        word = rng.choice(folded(person.name))
        return _prefix(self.words, word) if word.isalpha() else None

    def an_id_prefix(self, person: Person, rng: random.Random) -> str | None:
        """Return the beginning of an id that about ten entries have."""
        return _prefix(self.ids, person.id)

    def a_misspelt_name(self, person: Person, rng: random.Random) -> str | None:
        """Return a name of several words, one of them with a slip."""
        words = folded(person.name)
        which = rng.randrange(len(words))
        if len(words) < 2 or not re.fullmatch("[a-z]{4,}", words[which]):
            return None
        words[which] = _slip(words[which], rng)
        return " ".join(words)


def complaint(kind: str, replies: Sequence[bytes]) -> str:
    """Return what is wrong with the replies to requests of a kind, if most are not as expected."""
    codes = Counter(reply[:3].decode() for reply in replies)
    if codes[EXPECTED[kind]] >= MOST * len(replies):
        return ""
    told = ", ".join(f"{count} of {code}" for code, count in codes.most_common())
    return f"most replies are not {EXPECTED[kind]}: {told}"


def folded(name: str) -> list[str]:
    """Return the words of a name in small letters without accents, much as the protocol does."""
    bare = unicodedata.normalize("NFKD", name.lower().replace("'", "").replace("’", ""))
    kept = (letter for letter in bare if not "\u0300" <= letter <= "\u036f")
    spaced = (" " if unicodedata.category(letter)[0] in "ZPS" else letter for letter in kept)
    return unicodedata.normalize("NFC", "".join(spaced)).split() or [name]


def _prefix(words: Words, word: str) -> str | None:
    """Return the shortest beginning of the word that few enough words have, if not too few."""
    for length in range(2, len(word) + 1):
        count = words.beginning(word[:length])
        if count < HITS.stop:
            return word[:length] if count in HITS else None
    return None


def _slip(word: str, rng: random.Random) -> str:
    """Return the word with a letter more, less, other, or two changed about."""
    while True:
        place, letter = rng.randrange(len(word)), rng.choice(ascii_lowercase)
        head, tail = word[:place], word[place:]
        slips = [head + letter + tail, head + tail[1:], head + letter + tail[1:]]
        slips.append(head + tail[1::-1] + tail[2:])
        if (made := rng.choice(slips)) != word:
            return made


def _people(path: Path) -> Iterator[Person]:
    """Yield the entries of a directory out of its files."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    gc.disable()  # twice as fast
    for file in sorted(path.glob("*.yaml")):
        if file.name == "phonebook.yaml":
            continue
        with file.open("rb") as stream:
            entries = yaml.load(stream, loader)
        for entry in entries:
            name = entry["name"]
            yield Person(
                entry.get("id") or name.lower().replace(" ", "-"),
                name,
                _first(entry.get("phone") or entry.get("phone.work") or ""),
                _first(entry.get("email") or ""),
            )
    gc.enable()


def _first(value: str | list[str] | dict[str, str | list[str]]) -> str:
    if isinstance(value, dict):
        return _first(next(iter(value.values())))
    return value if isinstance(value, str) else value[0]


def default_folder() -> Path:
    """Return where generated directories are kept: where caches are."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "phonebook-bench"
