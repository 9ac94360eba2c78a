"""Text as people compare it: Ángel is angel, O'Brien is obrien, Straße is strasse.

Implements the sections "Folding" and "Words" of spec/phonebook.md. Every string that is searched
for or searched in passes through `fold`, so that case, accents and width never decide whether an
entry is found. The rule is data, spec/folding.tsv and spec/marks.tsv, and not Python's own
knowledge of Unicode: two servers agree whatever they are written in, and this one whatever Python
runs it.

Folding goes code point by code point, so the folding of a text is that of its parts, joined. The
one thing that looks at neighbours is the order of the few marks that are kept.
"""

import re
from functools import cache

from phonebook.share import share

# ASCII needs no file: letters lose their case, two apostrophes vanish, digits stay, and all else
# separates words. Most names end here; as octets they take half the time.
_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)).ljust(
    256
)
_ASCII_VANISHES = b"'`"

# What people write for letters whose accent the folding drops. One more accent makes another letter
# (the pinyin ǚ), and keeps composed and decomposed text alike.
_EXPANSIONS = {
    **dict.fromkeys(("ä", "Ä", "a\u0308", "A\u0308"), "ae"),
    **dict.fromkeys(("ö", "Ö", "o\u0308", "O\u0308"), "oe"),
    **dict.fromkeys(("ü", "Ü", "u\u0308", "U\u0308"), "ue"),
    **dict.fromkeys(("ø", "Ø"), "oe"),
    **dict.fromkeys(("å", "Å", "\u212b", "a\u030a", "A\u030a"), "aa"),  # U+212B is Å, the unit
}
_EXPANDABLE = re.compile(f"(?:{'|'.join(_EXPANSIONS)})(?![\u0300-\u036f])")

_HYPHEN = re.compile("[-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d]")


def fold(text: str) -> str:
    """Return the text as it is compared: folded words with one space between them.

    >>> fold("  O'Brien, Ángel ")
    'obrien angel'
    """
    return " ".join(words(text))


def fold_character(character: str) -> str:
    """Return what one character becomes: some become spaces, and words between them."""
    return _separated(character)


def words(text: str) -> list[str]:
    """Return the folded words of the text, in their order."""
    if text.isascii():
        return text.encode().translate(_ASCII, _ASCII_VANISHES).decode().split()
    return _separated(text).split()


def is_plain(text: str) -> bool:
    """Whether each word of the text has one spelling, which `words` returns; most texts are so."""
    return text.isascii() and "-" not in text


def spellings(text: str) -> list[tuple[str, ...]]:
    """Return, for each word of the text, the spellings under which an entry's word is found.

    The first is the folded word. Another is how it is written without umlauts, and the first word
    of a hyphenated compound stands for the whole compound too:

    >>> spellings("Jean-Luc Müller")
    [('jean', 'jeanluc'), ('luc',), ('muller', 'mueller')]
    """
    if is_plain(text):
        return [(word,) for word in words(text)]
    plain = _compounds(text)
    # An expansion replaces a letter by letters, so the words and the hyphens are the same.
    expanded = _compounds(_EXPANDABLE.sub(lambda match: _EXPANSIONS[match[0]], text))
    found: list[tuple[str, ...]] = []
    for compound, variants in zip(plain, expanded, strict=True):
        spelt = [[word, variant] for word, variant in zip(compound, variants, strict=True)]
        if len(compound) > 1:
            spelt[0].append(fold("".join(compound)))
        found += [tuple(dict.fromkeys(each)) for each in spelt]
    return found


def _compounds(text: str) -> list[list[str]]:
    """Return the folded words in groups: words with nothing but hyphens between them are one."""
    hyphenated = "-".join(map(_separated, _HYPHEN.split(text)))
    groups = ([word for word in group.split("-") if word] for group in hyphenated.split())
    return [group for group in groups if group]


def _separated(text: str) -> str:
    """Fold, and leave each separator the space that it became."""
    if text.isascii():
        return text.encode().translate(_ASCII, _ASCII_VANISHES).decode()
    table, marks, runs = unicode_tables()
    folded = text.translate(table)
    if folded.isascii() or marks.keys().isdisjoint(folded):
        return folded
    return runs.sub(lambda run: "".join(sorted(run[0], key=marks.__getitem__)), folded)


class _Table(dict[int, int | str]):
    """What each code point becomes, in the form that str.translate asks for."""

    def __missing__(self, code: int) -> int | str:
        if not 0xAC00 <= code <= 0xD7A3:
            return code
        # A Hangul syllable: 588 for each leading consonant, 28 for each vowel.
        leading, rest = divmod(code - 0xAC00, 588)
        vowel, trailing = divmod(rest, 28)
        jamo = chr(0x1100 + leading) + chr(0x1161 + vowel)
        return jamo + chr(0x11A7 + trailing) if trailing else jamo


@cache
def unicode_tables() -> tuple[_Table, dict[str, int], re.Pattern[str]]:
    """Load the tables, at the first text that needs them: the folding, the marks, runs of marks."""
    # Translating is quick about what the table holds, so hold all letters of the small alphabets.
    table = _Table(zip(range(0x3000), range(0x3000), strict=True))
    results = {"space": " ", "nothing": ""}
    for codes, result in _rows("spec/folding.tsv"):
        first, _, last = codes.partition("..")
        if result not in results:
            results[result] = "".join([chr(int(code, 16)) for code in result.split()])
        if last:
            row = range(int(first, 16), int(last, 16) + 1)
            table.update(dict.fromkeys(row, results[result]))
        else:
            table[int(first, 16)] = results[result]
    marks = {chr(int(code, 16)): int(order) for code, order in _rows("spec/marks.tsv")}
    return table, marks, re.compile(f"[{''.join(marks)}]{{2,}}")


def _rows(relative: str) -> list[tuple[str, str]]:
    """Read the lines of a table, of two columns each."""
    with share(relative).open(encoding="ascii") as lines:
        pairs = (line.rstrip("\n").split("\t") for line in lines if not line.startswith("#"))
        return [(code, value) for code, value in pairs]
