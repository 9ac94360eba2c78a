"""Telephone numbers as people write and dial them, read into keys that can be compared.

Implements spec/phonebook.md, section 9.4. Two numbers are equal if they have a key in common:
`+12025550147`, `x147` and `5550147` are keys.
"""

import re
from typing import NamedTuple

from phonebook.directory.entry import Header
from phonebook.directory.text import fold_character

_EXTENSION_MARK = re.compile(r";ext=|ext\.?|x")
_DIGIT = re.compile(r"[0-9]")
_NOT_DIGIT = re.compile(r"[^0-9]")
_NOT_CODE = re.compile(r"[^0-9*#]")


class Number(NamedTuple):
    """A number as it was written: its digits, and how they are to be read."""

    digits: str
    extension: str = ""
    international: bool = False
    code: str = ""
    """Digits with `*` and `#`, such as `*600`; then all else is empty."""


def read_number(text: str) -> Number:
    """Read a number (steps 1 to 3); a text without digits is a `Number` without any."""
    if text.isascii() and text.isdigit():
        return Number(text)
    text = text.lower() if text.isascii() else "".join(map(_plain, text))
    plus = text.find("+")
    international = plus == 0 or plus > 0 and not _DIGIT.search(text[:plus])
    if international:
        text = text.replace("(0)", "")
    mark = _EXTENSION_MARK.search(text) if "x" in text else None
    before, behind = (text[: mark.start()], text[mark.end() :]) if mark else (text, "")
    if "*" in before or "#" in before:
        return Number("", code=_NOT_CODE.sub("", before))
    extension = _NOT_DIGIT.sub("", behind) if mark else ""
    return Number(_NOT_DIGIT.sub("", before), extension, international)


def digits_of(character: str) -> str:
    """Return the ASCII digits that a character stands for: those of its fold, if it has no more."""
    if character.isascii():
        return character if character in "0123456789" else ""
    folded = fold_character(character)
    return folded if folded.isascii() and folded.isdigit() else ""


def _plain(character: str) -> str:
    """Return the digits that a character stands for, else the character in lower case."""
    return digits_of(character) or (character.lower() if character.isascii() else character)


class Dialling:
    """How numbers are dialled where the directory is: the figures of its header."""

    def __init__(self, header: Header) -> None:
        """Take the codes of a header; absent ones are empty."""
        self._country = header.country
        self._area = header.area
        self._trunk = header.trunk
        self._international = header.international
        self._outside = header.outside
        self._main = _NOT_DIGIT.sub("", header.main)
        self._ranges = header.extensions

    def query_keys(self, number: Number) -> frozenset[str]:
        """Return the keys of a number that is looked up (steps 3 to 7)."""
        if number.code or not number.extension or not number.digits:
            return self._own_keys(number)
        own = self._own_keys(Number(number.digits, international=number.international))
        keys = {f"{key}x{number.extension}" for key in own}
        if self._main and any(key.startswith("+" + self._main) for key in own):
            keys.add("x" + number.extension)
        return frozenset(keys)

    def entry_keys(self, number: Number) -> frozenset[str]:
        """Return the keys of a number that stands in an entry (steps 3 to 6)."""
        if number.code or not number.extension or not number.digits:
            return self._own_keys(number)
        own = self._own_keys(Number(number.digits, international=number.international))
        extended = {f"{key}x{number.extension}" for key in own}
        return own | extended | {"x" + number.extension}

    def _own_keys(self, number: Number) -> frozenset[str]:
        """Return the keys of a code, of an extension alone, or of digits alone."""
        if number.code:
            return frozenset({number.code})
        if not number.digits:
            return self._extension_keys(number.extension) if number.extension else frozenset()
        digits = number.digits
        if number.international:
            keys = {"+" + digits}
        elif self._is_extension(digits):
            return self._extension_keys(digits) | {digits}
        else:
            keys = self._dialled(digits)
            if self._outside and digits.startswith(self._outside) and digits != self._outside:
                keys |= self._dialled(digits.removeprefix(self._outside))
        if self._main:
            prefix = "+" + self._main
            for key in [*keys]:
                if key.startswith(prefix) and self._is_extension(key[len(prefix) :]):
                    keys.add("x" + key[len(prefix) :])
        return frozenset({digits, *keys})

    def _extension_keys(self, digits: str) -> frozenset[str]:
        extension = "x" + digits
        return frozenset((extension, f"+{self._main}{digits}") if self._main else (extension,))

    def _is_extension(self, digits: str) -> bool:
        # the ends of a range are of one length, so that their order as text is that of numbers
        return any(len(digits) == len(low) and low <= digits <= high for low, high in self._ranges)

    def _dialled(self, digits: str) -> set[str]:
        """Return what dialling these digits may reach, in international form."""
        if self._international and digits.startswith(self._international):
            return {"+" + digits.removeprefix(self._international)}
        if not self._country:
            return set()
        if self._trunk and digits.startswith(self._trunk):
            return {f"+{self._country}{digits.removeprefix(self._trunk)}"}
        keys = {f"+{self._country}{digits}"}
        if self._area:
            keys.add(f"+{self._country}{self._area}{digits}")
        return keys
