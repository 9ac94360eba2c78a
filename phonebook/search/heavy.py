"""The tables of words in many entries, whose lists would be long to read."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import chain
from operator import or_

from phonebook.search.bits import octets_of, packed
from phonebook.search.tables import ECHOES, LINK, OTHER

_HEAVY, _SHARE = 1_000, 20
"""A range of words is heavy in more entries than this, and than one in so many of all."""

Lists = Callable[[int, int, int], Iterable[Sequence[int]]]
"""Returns the entries of a class and a range of words, in one list or several."""


def heavy(
    count: int, texts: Sequence[str], ends: Sequence[int], weights: Sequence[int], lists: Lists
) -> dict[str, Iterable[int] | bytes]:
    """Return the two tables, of sorted words that begin one another up to `ends`."""
    least = max(_HEAVY, count // _SHARE)
    octets = octets_of(count)
    ranges = set(_ranges(texts, ends, weights, least))
    found: dict[tuple[int, int], list[int]] = {}
    inside: list[tuple[int, int, list[int]]] = []  # what next ranges have in them, the first last
    for first, end in sorted(ranges, key=lambda each: (-each[0], each[1])):
        every = [0] * ECHOES
        at = first
        between = []
        while inside and inside[-1][0] < end:
            start, behind, bits = inside.pop()
            every = list(map(or_, every, bits))
            between.append((at, start))
            at = behind
        between.append((at, end))
        between = [(at, start) for at, start in between if weights[at] < weights[start]]
        for rank in range(ECHOES):
            some = [each for words in between for each in lists(rank, *words) if each]
            if some:
                every[rank] |= packed(chain.from_iterable(some), count)
        inside.append((first, end, every))
        runs = [reduce(or_, every)]
        for rank, its in enumerate(every[:OTHER]):
            many = sum(map(len, lists(rank, first, end))) > least
            runs.append(its if many else 0)
        if runs[0].bit_count() > least:
            found[first, end] = runs
    numbers: dict[int, int] = {0: 0}  # of each run of bits: most words' are another's, too
    columns = array("I")
    for words, runs in sorted(found.items()):
        columns.extend((*words, runs[0].bit_count()))
        columns.extend([numbers.setdefault(each, len(numbers)) for each in runs])
    del numbers[0]
    return {
        "heavy_ranges": columns,
        "heavy_bits": b"".join(bits.to_bytes(octets, "little") for bits in numbers),
    }


def _ranges(
    texts: Sequence[str], ends: Sequence[int], weights: Sequence[int], least: int
) -> Iterator[tuple[int, int]]:
    """Yield the ranges that a query's word can mean and that are in many entries."""
    for number, end in enumerate(ends):
        if weights[end] - weights[number] > least and not texts[number].startswith(LINK):
            yield number, end
            if weights[number + 1] - weights[number] > least:
                yield number, number + 1
    waiting = [(0, len(texts), 0)]
    while waiting:
        first, end, length = waiting.pop()
        while first < end:  # split by the next letter
            text = texts[first]
            if len(text) == length:  # the word that is this beginning itself
                first += 1
                continue
            last = bisect_left(texts, text[: length + 1] + "\U0010ffff", first, end)
            if text[length] != LINK and weights[last] - weights[first] > least:
                yield first, last
                waiting.append((first, last, length + 1))
            first = last
