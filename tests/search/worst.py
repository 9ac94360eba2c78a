"""Look for the request that costs most: `worst.py DIRECTORY SEED STEPS`.

Requests are bred: the dearest of those that were met are changed a little, again and again. Each
is asked of a snapshot that remembers nothing of what was asked before, since whoever means no good
asks nothing twice.
"""

import gc
import random
import sys
import time
from bisect import insort
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from phonebook.directory.text import words
from phonebook.search.lines import lines_of
from phonebook.search.piece import KINDS
from phonebook.service.answer import answer, answer_datagram
from phonebook.service.snapshot import Compiled, Snapshot, Terms
from phonebook.wire.codes import LINKS, MAX_LINE

ROOM = MAX_LINE - 2  # octets of a line without its end
TRIES = 4  # the best of them counts: what else runs on the machine is not the request's cost
KEPT = 40  # requests that are bred from
SHOWN = 10
SAMPLE = 2_000  # entries from which the words are drawn that are asked for

MARKS = ["\u0301", "\u0308", "\u3099", "\u094d", "\u200d", "\ufdfa", "\U0001f600", "ﬃ", "½", "⑪"]
PIECES = ["", "&", "-", ".", "x", "ext", "+", "(0)", "*", "#", "+1", "0", "00", "9", "11", "x1"]


class Costly(NamedTuple):
    """A request, and the milliseconds of the thread's CPU that it costs."""

    spent: float
    line: bytes


def spent_on(
    line: bytes, compiled: Compiled, tries: int = TRIES, *, datagram: bool = False
) -> float:
    """Return the milliseconds that a request costs, over TCP or UDP, at best of several."""
    octets, ask = line, answer
    if datagram:
        octets, ask = line.ljust(ROOM) + b"\r\n", answer_datagram
    spent = []
    for _ in range(tries):
        asked = Snapshot(compiled, Terms())
        start = time.thread_time_ns()
        ask(octets, asked)
        spent.append(time.thread_time_ns() - start)
    return min(spent) / 1e6


class Breeder:
    """Makes requests about a directory: new ones, and others like them."""

    def __init__(self, compiled: Compiled, rng: random.Random) -> None:
        """Draw words, texts, numbers and fields from the directory."""
        self._rng = rng
        asked = Snapshot(compiled, Terms())
        count = len(asked.listed.offsets) - 1
        lines = [lines_of(asked.listed.text(rng.randrange(count))) for _ in range(SAMPLE)]
        values = [each for own in lines for each in own]
        self._ids = [own[0][1] for own in lines]
        self._names = [own[2][1] for own in lines]
        self._texts = [value for field, value in values if not field.startswith("phone")]
        self._numbers = [value for field, value in values if field.startswith("phone")]
        self._fields = sorted({field for field, _ in values} | {"tel", "nothing", "NAME"})
        common = [word for text in self._texts for word in words(text)]  # each as often as it is
        self._words = [*common, *dict.fromkeys(common)]
        self._letters = sorted({letter for word in self._words for letter in word})

    def fresh(self) -> bytes:
        """Return a new request."""
        return self._line(self._options(), self._terms())

    def like(self, line: bytes, other: bytes) -> bytes:
        """Return a request that is a little unlike one, and may have something of another."""
        rng = self._rng
        tokens, others = line.decode().split(" "), other.decode().split(" ")
        for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
            place = rng.randrange(1, len(tokens)) if len(tokens) > 1 else 1
            match rng.randrange(10):
                case 0:
                    tokens[place : place + 1] = self._terms()[:2]
                case 1:
                    tokens.insert(place, rng.choice(self._terms()))
                case 2 if len(tokens) > 2:
                    del tokens[place]
                case 3:
                    tokens.insert(place, rng.choice(tokens[1:] or ["a"]))
                case 4:
                    start = rng.randrange(len(others))
                    tokens[place:place] = others[max(1, start) : start + 3]
                case 5 | 6:
                    tokens[place:] = (
                        [self._altered(tokens[place]), *tokens[place + 1 :]]
                        if (place < len(tokens))
                        else [self._word()]
                    )
                case 7:
                    tokens[1:1] = self._options()
                case 8:
                    rng.shuffle(order := tokens[1:])
                    tokens[1:] = order
                case _:
                    tokens += self._terms()
        return self._line([], tokens[1:], tokens[0])

    def _line(self, options: list[str], terms: list[str], verb: str = "LOOKUP") -> bytes:
        line = " ".join([verb, *options, *terms]).encode()[:ROOM]
        return line.decode(errors="ignore").encode()

    def _options(self) -> list[str]:
        rng = self._rng
        made = []
        if rng.random() < 0.3:
            made.append(f"limit={rng.randint(1, 32)}")
        if rng.random() < 0.1:
            made.append(f"after={rng.choice(self._ids)}")
        if rng.random() < 0.2:
            names = [self._field() for _ in range(rng.choice([1, 2, 5, 50, 300]))]
            made.append("fields=" + ",".join(names)[: rng.choice([60, 600, 1_100])].rstrip(",."))
        return made

    def _field(self) -> str:
        if self._rng.random() < 0.4:
            return "".join(
                self._rng.choices("abcdefghijklmnopqrstuvwxyz", k=self._rng.randint(1, 3))
            )
        return self._rng.choice(self._fields)

    def _terms(self) -> list[str]:
        return [self._term() for _ in range(self._rng.choice([1, 1, 2, 2, 3, 4, 6, 10, 16]))]

    def _term(self) -> str:
        rng = self._rng
        made = rng.choice(
            [
                self._word,
                self._word,
                self._beginning,
                self._beginning,
                self._slip,
                self._slip,
                self._number,
                self._phrase,
                self._compound,
                self._wide,
                self._kind,
            ]
        )()
        if rng.random() < 0.2:
            made = f"{rng.choice(self._fields)}:{made}"
        return f"-{made}" if rng.random() < 0.15 else made

    def _word(self) -> str:
        return self._rng.choice(self._words)

    def _beginning(self) -> str:
        return self._word()[: self._rng.randint(1, 4)]

    def _slip(self) -> str:
        word = self._rng.choice(words(self._rng.choice(self._names)) or ["a"])
        for _ in range(self._rng.randint(1, 2)):
            word = self._altered(word)
        return word

    def _number(self) -> str:
        number = self._rng.choice(self._numbers)
        digits = "".join(each for each in number if each.isdigit())
        return self._rng.choice(
            [number, digits, digits[-self._rng.randint(1, 7) :], " ".join(digits), f"{digits}x12"]
        )

    def _phrase(self) -> str:
        rng = self._rng
        tokens = rng.choice(self._texts).replace('"', "").split(" ")
        start = rng.randrange(len(tokens))
        own = " ".join(tokens[start : start + rng.randint(1, 6)])
        drawn = " ".join(self._word() for _ in range(rng.randint(1, 4)))
        return f'"{rng.choice([own, own, drawn])}"'

    def _compound(self) -> str:
        parts = [self._rng.choice([self._word, self._beginning])() for _ in range(3)]
        return self._rng.choice(["", "-", "."]).join(parts[: self._rng.randint(2, 3)])

    def _wide(self) -> str:
        return "".join(
            self._rng.choices([*MARKS, *PIECES, *self._letters], k=self._rng.randint(1, 40))
        )

    def _kind(self) -> str:
        kind = self._rng.choice(KINDS)
        return "kind:" + kind[: self._rng.randint(1, len(kind))]

    def _altered(self, word: str) -> str:
        """Return a word with a letter more, less, or another."""
        rng = self._rng
        place = rng.randint(0, len(word))
        behind = place + rng.randint(0, 1)
        match rng.randrange(4):
            case 0:
                return word[:place]
            case 1:
                return word[:place] + word[behind:]
            case _:
                letter = rng.choice(self._letters)
                return word[:place] + letter + word[behind:]


class Linked:
    """Makes requests for what is linked to an entry."""

    def __init__(self, compiled: Compiled, rng: random.Random) -> None:
        """Choose among all entries."""
        self._rng, self._asked = rng, Snapshot(compiled, Terms())
        self._count = len(self._asked.listed.offsets) - 1

    def fresh(self) -> bytes:
        """Return a request for an entry and its links: those that lead somewhere more often."""
        rng = self._rng
        lines = lines_of(self._asked.listed.text(rng.randrange(self._count)))
        ids = [value for field, value in lines if field.partition(".")[0] in LINKS]
        links = ",".join(rng.sample(LINKS, rng.randint(1, len(LINKS))))
        return f"ENTRY links={links} limit=32 {rng.choice([lines[0][1], *ids])}".encode()


def search(
    compiled: Compiled,
    seed: int,
    steps: int,
    known: Iterable[bytes] = (),
    tell: Callable[[str], None] = lambda progress: None,
) -> list[Costly]:
    """Return the dearest requests that so many steps find, dearest first; `known` are bred, too."""
    rng = random.Random(seed)
    breeder, linked = Breeder(compiled, rng), Linked(compiled, rng)
    kept: list[Costly] = []
    met = set()
    waiting = [*known]
    for step in range(steps):
        chance = rng.random()
        if waiting:
            line = waiting.pop()
        elif chance < 0.02:
            line = linked.fresh()
        elif chance < 0.2 or len(kept) < KEPT:
            line = breeder.fresh()
        else:
            # the dearest most often
            one, other = (kept[-1 - int(rng.random() ** 2 * len(kept))] for _ in range(2))
            line = breeder.like(one.line, other.line)
        if line in met:
            continue
        met.add(line)
        least = kept[0].spent if len(kept) == KEPT else 0.0
        if spent_on(line, compiled, 1) > least and (spent := spent_on(line, compiled)) > least:
            insort(kept, Costly(spent, line))
            del kept[:-KEPT]
            if kept[-1].line == line:
                tell(f"step {step}: {spent:.2f} ms {line.decode()}")
    return kept[::-1]


def main() -> None:
    """Search, and show the dearest."""
    from phonebook.server.reload import read_served
    from phonebook.store import cache_place

    path, seed, steps = sys.argv[1:]
    compiled = read_served(Path(path), lambda _: Terms(), cache_place()).public.compiled
    gc.freeze()
    for each in search(compiled, int(seed), int(steps), tell=print)[:SHOWN]:
        print(f"{each.spent:.2f} ms", each.line.decode())


if __name__ == "__main__":
    main()
