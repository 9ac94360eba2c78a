"""The index as flat tables of numbers, which can be made once, written down and mapped.

What a table means is said here alone; `build` fills them and `match` reads them. A table is a
memoryview over memory or over a file: matching cannot tell which.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

FORMATS: Mapping[str, str] = {
    "word_text": "B",
    "word_columns": "I",
    "word_hash": "I",
    "row_slots": "H",
    "row_offsets": "I",
    "postings": "I",
    "text_rows": "I",
    "text_starts": "I",
    "text_words": "I",
    "pair_words": "I",
    "pair_entries": "I",
    "pair_wordy": "I",
    "heavy_ranges": "I",
    "heavy_bits": "B",
    "number_endings": "Q",
    "number_entries": "I",
    "number_keys": "Q",
    "near_deletes": "Q",
    "near_sounds": "Q",
}
"""The item format of each table, as struct and memoryview name it."""

LINK = "\x01"
"""Stands before the words of links, which are words of their own: tried only by name ([M-8])."""

ECHO = "~"

FURTHER = 1 << 31
"""Marks, in `text_words`, a further spelling of the word before it."""

HEAVY_COLUMNS = 7

FAMILY, NAME, ALIAS, OTHER, ECHOES = range(5)
"""The classes of section 9.5, and echoes; the first three are also the first slots."""

STEPS = 128
"""Places of an open-addressed table, twice as large as what is in it, that are looked at for one
word: by chance they never are. More are only taken by who looks for words of one checksum."""

OFFSET, END, WEIGHT, ONLY, TEXTS, PAIRS, ROWS = range(7)
COLUMNS = ROWS + ECHOES + 1
"""What `word_columns` has of each word."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The index of a directory of `count` entries, numbered in the order of equal rank."""

    count: int
    slots: tuple[str, ...]
    """Where words stand: the family words of a name, its other words, then fields by name; those
    with ECHO behind it are of words that the entry's name has too, and no plain word needs them."""
    kinds: Mapping[str, tuple[int, int]]
    """The entries of each kind: from, to."""

    word_text: memoryview
    """All words, in octet order, end to end in UTF-8; a link's with LINK before it."""
    word_columns: memoryview
    """So many columns for each word, and once more behind the last: one next to another, since
    they are asked together, and a word lies anywhere. See `column`."""
    word_hash: memoryview
    """Open addressing: word number + 1 at crc32 of the word, modulo twice the words and 1, and on;
    behind that, in octet order, the numbers that found no place within STEPS."""
    row_slots: memoryview
    row_offsets: memoryview
    """Where each row's postings begin, and the end."""
    postings: memoryview
    """The entries of each row, ascending."""
    text_rows: memoryview
    """Rows of another kind, behind the others: a text of several words that often stands there."""
    text_starts: memoryview
    """For each such text, where in `text_words` it begins, and the end."""
    text_words: memoryview
    """The numbers of its words, in their order."""
    pair_words: memoryview
    """The other word of each pair; ascending for one word, then by entry. A pair is two words of
    one name, its aliases among them, and stands under each of the two."""
    pair_entries: memoryview
    """Whose name it is << 4 | the class of the word << 2 | that of the other word."""
    pair_wordy: memoryview
    """Entries that have too many words in their names for pairs; ascending."""
    heavy_ranges: memoryview
    """Sevens, ascending: a range of words in many entries (from, to), the number of these, and of
    the bits of them all, and of those with a word in each of the first three classes; 0 for none,
    1 for the first."""
    heavy_bits: memoryview
    """A bit for each entry, again and again, each time in whole octets."""
    number_endings: memoryview
    """Digits of numbers in full, last first, a hexadecimal digit (plus 1) each; ascending."""
    number_entries: memoryview
    """Whose they are."""
    number_keys: memoryview
    """crc32 << 32 | entry, of each key that is not seven digits or more; ascending."""
    near_deletes: memoryview
    """crc32 << 32 | word, of each name word with up to two letters left out; ascending."""
    near_sounds: memoryview
    """crc32 << 32 | word, of the sound of each name word; ascending."""

    def column(self, column: int) -> memoryview:
        """Return a column, with an item for each word and the end behind the last.

        OFFSET: where its text begins. END: the first word behind it that does not begin with it.
        WEIGHT: in how many entries of their rows all words before it stand, echoes left out. ONLY:
        1 + the entry, where there is but one with the word or one that begins with it, else 0.
        TEXTS: where in `text_rows` its texts begin. PAIRS: where the pairs begin that it is in.
        ROWS, and on, for each class and echoes: its first row. A row is a word in a slot; rows
        stand in the order of classes, words and slots, so those of a range of words are one.
        """
        return self.word_columns[column::COLUMNS]

    def parts(self) -> dict[str, memoryview]:
        """Return the tables by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)[3:]}


def beyond(table: memoryview, size: int, wanted: bytes, text: Callable[[int], bytes]) -> int:
    """Return the number + 1 of what found no place in a table of this size, 0 if it is not there.

    `text` returns what has such a number.
    """
    place = bisect_left(table, wanted, size, key=text)
    return table[place] if place < len(table) and text(table[place]) == wanted else 0


def ending_code(digits: str) -> int:
    """Return the digits, last first, as `number_endings` holds them: 16 of them at most.

    >>> f"{ending_code('4711'):x}"
    '2285000000000000'
    """
    code = int(digits[:-17:-1].translate(_PLUS_ONE), 16)
    return code << 4 * max(0, 16 - len(digits))


_PLUS_ONE = str.maketrans("0123456789", "123456789a")
