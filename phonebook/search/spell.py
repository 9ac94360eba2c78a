"""The tables by which misspelt words are found: words with letters left out, and their sounds."""

from array import array
from collections.abc import Iterable
from itertools import combinations
from zlib import crc32

from phonebook.search.sound import sound

_LOOKED_AT = 7  # letters of a word that letters are left out of


def deletes(words: Iterable[tuple[int, str]]) -> "array[int]":
    """Return the table `near_deletes` of name words and their numbers."""
    codes: list[int] = []
    for number, word in words:
        left = left_out(word, limit_of(len(word)))
        codes += {crc32(each.encode()) << 32 | number for each in left}
    codes.sort()
    return array("Q", codes)


def sounds(words: Iterable[tuple[int, str]]) -> "array[int]":
    """Return the table `near_sounds` of name words and their numbers."""
    keys = ((sound(word), number) for number, word in words)
    return array(
        "Q", sorted(crc32(key.encode()) << 32 | number for key, number in keys if len(key) > 1)
    )


def left_out(word: str, most: int) -> set[str]:
    """Return the beginning of a word, and that with one or more of its letters left out.

    >>> sorted(left_out("ada", 1))
    ['aa', 'ad', 'ada', 'da']
    """
    word = word[:_LOOKED_AT]
    found = {word}
    letters = len(word)
    if most >= 1:
        found.update([word[:cut] + word[cut + 1 :] for cut in range(letters)])
    if most >= 2:
        found.update(
            [
                word[:one] + word[one + 1 : other] + word[other + 1 :]
                for one, other in combinations(range(letters), 2)
            ]
        )
    return found


def limit_of(letters: int) -> int:
    """Return how many letters of a word may differ where the rest of the query agrees."""
    return 0 if letters < 2 else 1 if letters < 3 else 2
