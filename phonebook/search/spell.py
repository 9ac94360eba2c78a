"""The tables by which misspelt words are found: words with letters left out, and their sounds."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain, combinations
from typing import NamedTuple
from zlib import crc32

from phonebook.search.sound import sound

_LOOKED_AT = 7  # letters of a word that letters are left out of


class Near(NamedTuple):
    """The tables of a directory's name words, and which these are. It is plain."""

    words: dict[str, int]
    """The words and their numbers, which are in the same order."""
    deletes: bytes
    sounds: bytes


NOTHING = Near({}, b"", b"")


def near_tables(words: dict[str, int], before: Near = NOTHING) -> Near:
    """Return the tables of name words and their numbers.

    Most of the time goes into their letters; what the tables of other words `before` have of it is
    only numbered anew.
    """
    numbers = array("q", [-1]) * (max(before.words.values(), default=-1) + 1)
    for word, number in before.words.items():
        numbers[number] = words.get(word, -1)
    fresh = [(number, word) for word, number in words.items() if word not in before.words]
    return Near(
        words,
        _joined(_renumbered(before.deletes, numbers), _deletes(fresh)),
        _joined(_renumbered(before.sounds, numbers), _sounds(fresh)),
    )


def _renumbered(codes: bytes, numbers: "array[int]") -> list[int]:
    """Return codes with the words' new numbers, less those of words that are gone."""
    return [
        code >> 32 << 32 | number
        for code in memoryview(codes).cast("Q").tolist()
        if (number := numbers[code & 0xFFFF_FFFF]) >= 0
    ]


def _joined(codes: list[int], more: list[int]) -> bytes:
    codes += more
    codes.sort()
    return array("Q", codes).tobytes()


def _deletes(words: Iterable[tuple[int, str]]) -> list[int]:
    parted: list[list[int]] = [[] for _ in range(256)]  # short lists are sorted in less time
    for number, word in words:
        left = left_out(word, limit_of(len(word)))
        for code in set(map(crc32, map(str.encode, left))):
            parted[code >> 24].append(code << 32 | number)
    return list(chain.from_iterable(map(sorted, parted)))


def _sounds(words: Sequence[tuple[int, str]]) -> list[int]:
    keys = sound("\n".join([word for _, word in words])).split("\n")
    return [
        crc32(key.encode()) << 32 | number
        for key, (number, _) in zip(keys, words, strict=False)  # no words are one empty line
        if len(key) > 1
    ]


def left_out(word: str, most: int) -> set[str]:
    """Return the beginning of a word, and that with one or more of its letters left out.

    >>> sorted(left_out("ada", 1))
    ['aa', 'ad', 'ada', 'da']
    """
    word = word[:_LOOKED_AT]
    found = {word}
    for fewer in range(1, min(most, len(word)) + 1):
        found.update(map("".join, combinations(word, len(word) - fewer)))
    return found


def limit_of(letters: int) -> int:
    """Return how many letters of a word may differ where the rest of the query agrees."""
    return 0 if letters < 2 else 1 if letters < 3 else 2
