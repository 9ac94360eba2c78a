"""From the octets of a file to text that can be parsed.

Implements the sections "YAML", as far as it speaks of octets and tabs, and "Characters" of
spec/directory.md.
"""

import re

from phonebook.directory.characters import clean_file
from phonebook.directory.problems import Position, Problems


def decode(data: bytes, problems: Problems) -> str:
    """Decode the file, and report what can stand in no document."""
    start = Position(problems.file, 1, 1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4]:
        problems.error("encoding", start, "The file is not UTF-8 (UTF-16?): save it as UTF-8.")
        return ""
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\n".join(
            _line(line, number, problems) for number, line in enumerate(data.split(b"\n"), 1)
        )
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


def _line(line: bytes, number: int, problems: Problems) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode()) + 1
        octet = f"0x{line[error.start]:02X}"
        problems.error(
            "encoding",
            Position(problems.file, number, column),
            f"The octet {octet} is not UTF-8: save the file as UTF-8.",
        )
        return line.decode(errors="replace")


_PAIR = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)


def _join_pair(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08x}"
