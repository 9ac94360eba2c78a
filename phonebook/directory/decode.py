"""From the octets of a file to text that can be parsed.

Implements the sections "YAML", as far as it speaks of octets and tabs, and "Characters" of
spec/directory.md.
"""

import re

from phonebook.directory.characters import clean_file
from phonebook.directory.problems import Position, Problems

_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # in no text, whatever its encoding


def decode(data: bytes, problems: Problems) -> str:
    """Decode the file, and report what can stand in no document."""
    start = Position(problems.file, 1, 1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        problems.error("encoding", start, "The file is not UTF-8 (UTF-16?): save it as UTF-8.")
        return ""
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        _report(data, error.start, problems)
        if _BINARY.search(data):
            return ""
        text = data.decode(errors="replace")
    text = clean_file(text, problems)
    if text.lstrip().startswith(("{", "[")):  # JSON: tabs may indent, two escapes make a character
        text = re.sub(r"^[ \t]+", lambda match: match[0].replace("\t", " "), text, flags=re.M)
        return _PAIR.sub(_join_pair, text)
    if "\t" not in text:
        return text
    for number, each in enumerate(text.split("\n"), 1):
        if "\t" in each:
            where = Position(problems.file, number, each.index("\t") + 1)
            problems.error("tab", where, "YAML and tabs do not mix: write spaces instead.")
    return text.replace("\t", " ")


def _report(data: bytes, place: int, problems: Problems) -> None:
    """Report the first octet that is not UTF-8: whoever mends the file mends the others, too."""
    line = data[data.rfind(b"\n", 0, place) + 1 : place]
    problems.error(
        "encoding",
        Position(problems.file, data.count(b"\n", 0, place) + 1, len(line.decode()) + 1),
        f"The octet 0x{data[place]:02X} is not UTF-8: save the file as UTF-8.",
    )


_PAIR = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)


def _join_pair(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08x}"
