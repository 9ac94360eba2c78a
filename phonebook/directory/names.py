"""Which words of a name are the family's, and what follows from it.

Implements spec/phonebook.md, section 9.6, the sort name of 9.5 and the initials of 9.2.
"""

from typing import NamedTuple

from phonebook.directory.entry import Entry
from phonebook.directory.text import words

PARTICLES = frozenset(
    "af al av bin bint da dal das de del della den der des di do dos du el ibn la las le lo los "
    "ter ten van vom von zu zum zur".split()
)
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})


class Name(NamedTuple):
    """A name in folded words, and the place of the family's among them."""

    words: tuple[str, ...]
    start: int
    end: int
    """The family words are words[start:end]; none where start equals end."""
    sort_name: str

    @property
    def initials(self) -> str:
        """The first letters of what stands before the family words, if these are two or more."""
        return "".join(word[0] for word in self.words[: self.start]) if self.start >= 2 else ""


def read_name(entry: Entry) -> Name:
    """Return an entry's name in words, with the family's found by its field or by the rule."""
    name = words(entry.name)
    written = entry.get("family")
    family = words(written[0]) if written else []
    if family:
        start = _last_occurrence(family, name)
        end = start + len(family)
        sorted_by = name[start:end]
    elif entry.kind == "person" and name:
        end = len(name)
        while end > 1 and name[end - 1] in _SUFFIXES:
            end -= 1
        start = end - 1
        while start > 1 and name[start - 1] in PARTICLES:
            start -= 1
        sorted_by = name[end - 1 : end]
    else:
        start = end = 0
        sorted_by = []
    if entry.kind != "person":
        return Name(tuple(name), start, end, " ".join(name))
    return Name(tuple(name), start, end, " ".join([*sorted_by, *name]))


def _last_occurrence(part: list[str], whole: list[str]) -> int:
    for start in range(len(whole) - len(part), -1, -1):
        if whole[start : start + len(part)] == part:
            return start
    return len(whole)  # the check refuses such a directory
