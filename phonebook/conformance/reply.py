"""A reply as octets, held against section 4 of the specification."""

import re
from dataclasses import dataclass, field
from typing import Protocol

LONGEST_LINE = 2_048  # octets
LONGEST_REPLY = 270_336  # octets
LONGEST_WITHOUT_ENTRIES = 64  # octets
LONGEST_DATAGRAM = 65_535  # octets
NEAREST_ENTRIES = 5

# section 8, in its order
FIELDS = (
    "id kind name family alias title org phone email room location address member-of part-of "
    "reports-to contact hours url note"
).split()

_STATUS = re.compile(rb"[2-5][0-9][0-9](?: [\x20-\x7e]+)?\Z")
_TAG = re.compile(r"#[A-Za-z0-9]{1,16}\Z")
_PARAMETER = re.compile(r"([a-z]+)=([A-Za-z0-9]+)\Z")
_ID = re.compile(rb"id: ([a-z0-9][a-z0-9._-]{0,63})\Z")
_FIELD = re.compile(rb"([a-z][a-z0-9-]{0,31}(?:\.[A-Za-z0-9-]{1,30})?): (.*)\Z", re.DOTALL)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Failure:
    """What was expected, what was seen, and the requirements that are broken by it."""

    requirements: tuple[str, ...]
    sentence: str
    expected: str = ""
    seen: str = ""


@dataclass
class Reply:
    """One reply, read as leniently as possible, with all that is wrong with it."""

    octets: bytes
    code: str = ""
    tag: str = ""
    protocol: bool = False
    parameters: dict[str, str] = field(default_factory=dict)
    text: str = ""
    entries: list[list[str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the entries, in order."""
        return [entry[0].removeprefix("id: ") for entry in self.entries if entry]

    @property
    def lines(self) -> list[str]:
        """Return the lines between the status line and the dot, '' between entries."""
        lines: list[str] = []
        for entry in self.entries:
            lines += ([""] if lines else []) + entry
        return lines


def visible(octets: bytes) -> str:
    """Return octets as one line of text in which every control can be seen."""
    text = octets.decode("utf-8", "backslashreplace").replace("\\\\x", "\\x")
    shown = []
    for character in text:
        if character in "\r\n\t":
            shown.append({"\r": "\\r", "\n": "\\n", "\t": "\\t"}[character])
        elif _FORBIDDEN.match(character):
            code = ord(character)
            shown.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")
        else:
            shown.append(character)
    return "".join(shown)


def visible_lines(octets: bytes) -> str:
    """Return octets as lines, with the ends of the lines visible and the runs of spaces counted."""
    parts = octets.split(b"\n")
    lines = [visible(part + b"\n") for part in parts[:-1]]
    if parts[-1]:
        lines.append(visible(parts[-1]))
    text = "\n".join(lines)
    text = re.sub(r" {12,}", lambda run: f" <{len(run.group())} spaces> ", text)
    return re.sub(r"(.)\1{39,}", lambda run: f"{run.group(1)}<{len(run.group())} times>", text)


def reply_end(octets: bytes) -> int:
    """Return where the first reply in octets ends, or 0 when it is not yet whole."""
    if octets.startswith((b".\r\n", b".\n")):
        return octets.index(b"\n") + 1
    ends = [octets.find(dot) + len(dot) for dot in (b"\n.\r\n", b"\n.\n") if dot in octets]
    return min(ends, default=0)


def read_reply(octets: bytes) -> Reply:
    """Return the reply that octets are, with every breach of section 4 in its failures."""
    reply = Reply(octets)

    def wrong(requirement: str, sentence: str, expected: str = "", seen: str = "") -> None:
        failure = Failure((requirement,), sentence, expected, seen or visible_lines(octets))
        reply.failures.append(failure)

    if re.search(rb"(?<!\r)\n|\r(?!\n)", octets):
        wrong("R-2", "A line does not end with CR LF, or a CR or LF stands elsewhere")
    lines = [line.removesuffix(b"\r") for line in octets.split(b"\n")]
    if lines[-1] == b"":
        lines.pop()
    else:
        wrong("R-1", "The reply does not end with a line's end")
    if not lines or lines[-1] != b".":
        wrong("R-1", "The reply does not end with a line of one dot", ".\\r\\n")
        body = lines[1:]
    else:
        body = lines[1:-1]
    if b"." in body:
        wrong("R-1", "A line of one dot stands before the reply's end")
    status = lines[0] if lines else b""
    if not _STATUS.match(status):
        wrong("R-1", "The first line is no status line", "CODE [#TAG] PARAMETERS TEXT\\r\\n")
    _read_status(reply, status.decode("latin-1"))
    _read_entries(reply, body, wrong)
    if not body and len(octets) > LONGEST_WITHOUT_ENTRIES:
        wrong("R-6", f"A reply without entries has {len(octets)} octets", "at most 64 octets")
    for line in lines:
        if len(line) > LONGEST_LINE:
            wrong("C-8", f"A line has {len(line)} octets", f"at most {LONGEST_LINE} octets")
    _check_code(reply, wrong)
    return reply


def _read_status(reply: Reply, status: str) -> None:
    reply.code, _, rest = status.partition(" ")
    words = rest.split(" ")
    if words and _TAG.match(words[0]):
        reply.tag = words.pop(0).removeprefix("#")
    if words and words[0] == "PHONEBOOK/1":
        reply.protocol = True
    while words:
        parameter = _PARAMETER.match(words[0])
        if parameter:
            reply.parameters.setdefault(parameter.group(1), parameter.group(2))
        elif words[0] != "PHONEBOOK/1":
            break
        words.pop(0)
    reply.text = " ".join(words)


class _Wrong(Protocol):
    """The shape of the function that takes note of a failure."""

    def __call__(
        self, requirement: str, sentence: str, expected: str = "", seen: str = ""
    ) -> None: ...


def _read_entries(reply: Reply, body: list[bytes], wrong: "_Wrong") -> None:
    if not body:
        return
    blocks: list[list[bytes]] = [[]]
    for line in body:
        if line:
            blocks[-1].append(line)
        else:
            blocks.append([])
    if not all(blocks):
        wrong("R-3", "A line without octets stands elsewhere than between two entries")
    for block in filter(None, blocks):
        if not _ID.match(block[0]):
            wrong("R-3", "The first line of an entry is not its id", "id: ID", visible(block[0]))
        ids = [line for line in block if line.startswith(b"id:")]
        if len(ids) > 1:
            wrong("R-3", "No line without octets stands between two entries", "", visible(ids[1]))
        names = []
        for line in block:
            parts = _FIELD.match(line)
            if parts is None:
                wrong("R-3", "A line is no `name: value`", "NAME: VALUE", visible(line))
                continue
            names.append(parts.group(1).decode("ascii"))
            _check_value(parts.group(2), line, wrong)
        ordered = sorted(names, key=_place)
        if reply.code != "210" and names != ordered:
            wrong(
                "R-8", "The lines of an entry are out of order", " ".join(ordered), " ".join(names)
            )
        reply.entries.append([line.decode("utf-8", "backslashreplace") for line in block])


def _place(name: str) -> tuple[int, bool, str]:
    base, dot, subtype = name.partition(".")
    if base in FIELDS:
        return FIELDS.index(base), bool(dot), subtype
    return len(FIELDS), False, name


def _check_value(value: bytes, line: bytes, wrong: "_Wrong") -> None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        wrong("R-4", "A value is not UTF-8", "", visible(line))
        return
    if _FORBIDDEN.search(text) or not text or text != text.strip(" "):
        wrong("R-4", "A value is empty, or holds what no value may hold", "", visible(line))


def _check_code(reply: Reply, wrong: "_Wrong") -> None:
    code, parameters = reply.code, reply.parameters
    if code in ("250", "251"):
        if list(parameters)[:3] != ["matched", "left", "at"]:
            wrong("R-9", "250 and 251 bear matched, left and at in this order")
        elif not all(
            re.fullmatch("0|[1-9][0-9]*", parameters[name]) for name in ("matched", "left")
        ):
            wrong("R-9", "matched and left are numbers")
        elif int(parameters["matched"]) < int(parameters["left"]) + len(reply.entries):
            wrong("R-9", "matched is less than the entries given and left")
        if not 1 <= len(parameters.get("at", "-")) <= 8:
            wrong("R-9", "at has 1 to 8 letters and digits")
    elif code in ("500", "501", "502") and not reply.protocol:
        wrong("R-11", f"{code} does not bear PHONEBOOK/1", f"{code} PHONEBOOK/1")
    elif code in ("420", "430") and not 1 <= _number(parameters.get("retry")) <= 3600:
        wrong("C-4", "retry is no whole number of seconds from 1 to 3600")
    if code == "251" and (
        parameters.get("left") != "0"
        or parameters.get("matched") != str(len(reply.entries))
        or len(reply.entries) > NEAREST_ENTRIES
    ):
        wrong("M-15", "251 bears at most 5 entries, left=0 and their number")
    if code in ("210", "251", "350") and not reply.entries:
        wrong("R-1", f"{code} bears no entry")
    if code not in ("210", "250", "251", "350") and reply.entries:
        wrong("R-1", f"{code} bears entries")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else -1
