"""Entries as text, JSON and YAML, and octets as lines; nothing that could steer a terminal (C-7).

Every function returns text that ends with a line end, or nothing.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from phonebook.client.answer import Answer, Entry

# Controls, line separators, bidirectional overrides and isolates, and what YAML does not print.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_BARE_KEY = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z][a-z0-9-]*(\.[a-z0-9-]+)?")
_BRIEF = ("title", "org", "room", "location", "email", "member-of", "part-of", "hours", "alias")
NEAREST = "Nothing matches as written. Nearest:"
GAP = "  "


def visible(text: str) -> str:
    r"""Return the text with what could steer a terminal written as \x1b or \u202e."""
    return _STEERING.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def width(text: str) -> int:
    """Return how many columns a terminal gives the text: wide characters two, marks none."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(each) in ("Mn", "Me", "Cf") else 2 if east_asian_width(each) in "WF" else 1
        for each in text
    )


def as_text(
    answer: Answer,
    *,
    asked: bool = False,
    links: Sequence[str] = (),
    of: str = "",
    width: int | None = None,
) -> str:
    """Return a card for one entry, a table for several; `asked`: the fields were chosen.

    Where links `of` an entry were followed, its card, and a table for each link in a direction.
    """
    if links and answer.entries and answer.entries[0].id == of:
        lines = _linked(answer.entries[0], answer.entries[1:], links, asked, width)
    elif answer.near:
        lines = [NEAREST, *(f"{GAP}{row}" for row in _table(answer.entries, asked, width))]
    elif len(answer.entries) == 1:
        lines = _card(answer.entries[0])
    else:
        lines = _table(answer.entries, asked, width)
    return "".join(f"{line}\n" for line in lines)


def _card(entry: Entry) -> list[str]:
    rows = [("id", entry.id)]
    if entry.kind != "person":
        rows.append(("kind", entry.kind))
    for field, lines in entry.fields.items():
        base, _, subtype = field.partition(".")
        label = field if base != "phone" else base
        suffix = f" ({subtype})" if base == "phone" and subtype else ""
        rows += [(label if not count else "", line + suffix) for count, line in enumerate(lines)]
    column = max(len(label) for label, _ in rows)
    cells = (f"{GAP}{label:{column}}{GAP}{visible(line)}" for label, line in rows)
    return [visible(entry.name or entry.id), *cells]


def _linked(
    first: Entry, others: Sequence[Entry], links: Sequence[str], asked: bool, columns: int | None
) -> list[str]:
    names = {name.lower() for name in links}

    def followed(entry: Entry) -> dict[str, list[str]]:
        fields = entry.fields.items()
        return {field: ids for field, ids in fields if field.partition(".")[0] in names}

    groups: dict[str, list[Entry]] = {}
    for entry in others:
        own = followed(entry)
        rest = {field: lines for field, lines in entry.fields.items() if field not in own}
        headings = [field for field, ids in followed(first).items() if entry.id in ids]
        headings += [f"{field} {first.id}" for field, ids in own.items() if first.id in ids]
        for heading in headings or ["linked"]:
            groups.setdefault(heading, []).append(entry._replace(fields=rest))
    lines = _card(first)
    for heading, entries in groups.items():
        lines += ["", heading, *(f"{GAP}{row}" for row in _table(entries, asked, columns))]
    return lines


def _table(entries: Sequence[Entry], asked: bool, columns: int | None) -> list[str]:
    kinds = any(entry.kind != "person" for entry in entries)
    rows = []
    for entry in entries:
        kind = "" if entry.kind == "person" else entry.kind
        rest = list(_rest(entry, asked))
        cells = [entry.name or entry.id, *([kind] if kinds else []), ", ".join(_phones(entry))]
        rows.append([visible(cell) for cell in (*cells, ", ".join(rest))])
    widths = [max(map(width, column), default=0) for column in zip(*rows, strict=True)]
    shown = [number for number, size in enumerate(widths) if size]
    lines = []
    for row in rows:
        cells = [row[number] + " " * (widths[number] - width(row[number])) for number in shown]
        lines.append(_cut(GAP.join(cells).rstrip(), columns))
    return lines


def _phones(entry: Entry) -> Iterable[str]:
    for field, lines in entry.fields.items():
        base, _, subtype = field.partition(".")
        if base == "phone":
            yield from (f"{line} ({subtype})" if subtype else line for line in lines)


def _rest(entry: Entry, asked: bool) -> Iterable[str]:
    for field, lines in entry.fields.items():
        base = field.partition(".")[0]
        if base != "phone" and (asked or base in _BRIEF):
            yield from lines


def _cut(line: str, columns: int | None) -> str:
    """Return the line cut to a terminal's columns, which a table needs to stay one."""
    if columns is None or width(line) <= columns:
        return line
    kept = bisect_left([*accumulate(map(width, line))], columns)
    return line[:kept] + "…"


def as_json(answer: Answer) -> str:
    """Return an array of objects; near ones are marked."""
    if not answer.entries:
        return "[]\n"
    objects = ",\n".join(
        "  {" + ", ".join(f"{_quoted(key)}: {_value(value)}" for key, value in _items(each)) + "}"
        for each in _pairs(answer)
    )
    return f"[\n{objects}\n]\n"


def as_yaml(answer: Answer) -> str:
    """Return the same data as a YAML list; every scalar is a quoted string."""
    if not answer.entries:
        return "[]\n"
    lines = []
    for each in _pairs(answer):
        mark = "- "
        for key, value in _items(each):
            name = key if _BARE_KEY.fullmatch(key) else _quoted(key)
            if isinstance(value, str):
                lines.append(f"{mark}{name}: {_quoted(value)}")
            else:
                lines.append(f"{mark}{name}:")
                lines += [f"    - {_quoted(line)}" for line in value]
            mark = "  "
    return "".join(f"{line}\n" for line in lines)


def _pairs(answer: Answer) -> list[tuple[Entry, bool]]:
    return [(entry, answer.near) for entry in answer.entries]


def _items(pair: tuple[Entry, bool]) -> Iterable[tuple[str, str | list[str]]]:
    entry, near = pair
    yield from (("id", entry.id), ("kind", entry.kind), ("name", entry.name))
    if near:
        yield "match", "near"
    for field, lines in entry.fields.items():
        if not (near and field == "match"):
            yield field, lines


def _value(value: str | list[str]) -> str:
    return _quoted(value) if isinstance(value, str) else f"[{', '.join(map(_quoted, value))}]"


def _quoted(text: str) -> str:
    """Return a JSON string, which is a YAML one too."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + '"'


def wire_lines(side: str, octets: bytes) -> list[str]:
    r"""Return a message, a line for each of its lines, with padding counted.

    >>> wire_lines("C", b"LOOKUP ada   \r\n")
    ['C: LOOKUP ada [3 spaces]']
    """
    *lines, rest = octets.split(b"\n")
    shown = [_wire_line(line.removesuffix(b"\r"), line.endswith(b"\r")) for line in lines]
    if rest:
        shown.append(f"{_wire_line(rest, True)} [no line end]")
    return [f"{side}: {line}".rstrip(" ") for line in shown]


def _wire_line(line: bytes, whole_end: bool) -> str:
    bare = line.rstrip(b" ")
    text = visible(bare.decode("utf-8", "backslashreplace"))
    if count := len(line) - len(bare):
        text += f" [{count:,} space{'s' if count > 1 else ''}]".replace(",", "")
    return text if whole_end else f"{text} [no CR]"
