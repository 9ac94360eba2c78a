"""The characters that no value may hold, since they could forge a line or turn text around.

Implements the section "Characters" of spec/directory.md: in a file, in a comment even, and in a
value, where an escape such as "\\u202e" can still bring one in.
"""

import re

from phonebook.directory.problems import Placed, Position, Problems

_NAMES = {
    "control": ("control-character", "the control character"),
    "line": ("line-separator", "the line separator"),
    "bidi": ("bidi-control", "the invisible character"),
    "surrogate": ("surrogate", "the unpaired surrogate"),
    "nothing": ("noncharacter", "the noncharacter"),
}
_PLANES = "".join(
    chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF)
)
_FORBIDDEN = re.compile(
    "(?P<line>[\x0b\x0c\x85\u2028\u2029])"
    "|(?P<control>[\x00-\x1f\x7f-\x9f])"
    "|(?P<bidi>[\u202a-\u202e\u2066-\u2069])"
    "|(?P<surrogate>[\ud800-\udfff])"
    f"|(?P<nothing>[\ufdd0-\ufdef{_PLANES}])"
)
# In a file, the ends of lines stand between values, and tabs have a message of their own.
_IN_A_FILE = re.compile(f"(?![\t\n])(?:{_FORBIDDEN.pattern})")

REPLACEMENT = "\ufffd"


def clean(text: str, at: Placed, problems: Problems) -> str:
    """Report the first forbidden character of a value; return the value without any."""
    if text.isprintable():  # no forbidden character is, in any version of Unicode
        return text
    found = _FORBIDDEN.search(text)
    if not found:
        return text
    _report(found, at, problems)
    return _FORBIDDEN.sub(REPLACEMENT, text)


def clean_file(text: str, problems: Problems) -> str:
    """Report each line's first forbidden character; return the text without any."""
    if text.replace("\n", "").isprintable():
        return text
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        found = None if line.isprintable() else _IN_A_FILE.search(line)
        if found:
            _report(found, Position(problems.file, number, found.start() + 1), problems)
            lines[number - 1] = _IN_A_FILE.sub(REPLACEMENT, line)
    return "\n".join(lines)


def _report(found: re.Match[str], at: Placed | Position, problems: Problems) -> None:
    code, name = _NAMES[found.lastgroup or "control"]
    advice = {
        "line-separator": "use block text (`|`) for several lines",
        "bidi-control": "it makes text look other than it is; remove it",
        "surrogate": "write the character itself",
    }.get(code, "remove it")
    character = f"U+{ord(found[0]):04X}"
    problems.error(code, at, f"A directory cannot hold {name} {character}: {advice}.")
