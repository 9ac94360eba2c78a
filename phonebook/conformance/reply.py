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

# section 5: what a status line bears, and the rule that says so
PARAMETERS = {
    "250": ("R-9", ("matched", "left", "at")),
    "251": ("R-9", ("matched", "left", "at")),
    "320": ("U-4", ("octets", "fits")),
    "420": ("C-4", ("retry",)),
    "430": ("C-4", ("retry",)),
    "500": ("R-11", ("PHONEBOOK/1",)),
    "501": ("R-11", ("PHONEBOOK/1",)),
    "502": ("R-11", ("PHONEBOOK/1",)),
}
WITH_ENTRIES = ("210", "250", "251", "350")

_LISTED = frozenset(name for _, names in PARAMETERS.values() for name in names)
_STATUS = re.compile(
    rb"[2-5][0-9]{2}(?: #[A-Za-z0-9]{1,16})?(?: (?:PHONEBOOK/1|[a-z]+=[A-Za-z0-9]+))*"
    rb"(?: [A-Z][\x20-\x3c\x3e-\x7e]*)?"
)
_TAG = re.compile(r"#[A-Za-z0-9]{1,16}\Z")
_PARAMETER = re.compile(r"(PHONEBOOK/1)\Z|([a-z]+)=([A-Za-z0-9]+)\Z")
_NUMBER = re.compile("0|[1-9][0-9]{0,8}")  # int() refuses what is far longer
_ID = re.compile(rb"id: ([a-z0-9][a-z0-9._-]{0,63})\Z")
_FIELD = re.compile(rb"([a-z][a-z0-9-]{0,31}(?:\.[a-z0-9-]{1,30})?): (.*)\Z", re.DOTALL)
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
    names: list[str] = field(default_factory=list)
    """What stands among the parameters, PHONEBOOK/1 too, in order and as often as it does."""
    parameters: dict[str, str] = field(default_factory=dict)
    text: str = ""
    entries: list[list[str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def protocol(self) -> bool:
        """Whether PHONEBOOK/1 stands directly behind the code and the tag."""
        return self.names[:1] == ["PHONEBOOK/1"]

    def number(self, name: str) -> int:
        """Return a parameter's number, -1 if it has none."""
        value = self.parameters.get(name, "")
        return int(value) if _NUMBER.fullmatch(value) else -1

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
    """Return the reply that octets are, with every breach of section 4 in its failures.

    What breaks the grammar breaks R-1 to R-4.
    """
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
    _read_status(reply, status.decode("latin-1"))
    _read_entries(reply, body, wrong)
    if not body and len(octets) > LONGEST_WITHOUT_ENTRIES:
        wrong("R-6", f"A reply without entries has {len(octets)} octets", "at most 64 octets")
    for line in lines:
        if len(line) > LONGEST_LINE:
            wrong("C-8", f"A line has {len(line)} octets", f"at most {LONGEST_LINE} octets")
    if len(octets) > LONGEST_REPLY:
        wrong("C-8", f"A reply has {len(octets)} octets", f"at most {LONGEST_REPLY} octets")
    if _STATUS.fullmatch(status):
        _check_code(reply, wrong)
    else:
        wrong("R-1", "The first line is no status line", "CODE [#TAG] PARAMETERS TEXT\\r\\n")
    return reply


def _read_status(reply: Reply, status: str) -> None:
    reply.code, _, rest = status.partition(" ")
    words = rest.split(" ")
    if words and _TAG.match(words[0]):
        reply.tag = words.pop(0).removeprefix("#")
    while words and (parameter := _PARAMETER.match(words[0])):
        protocol, name, value = parameter.groups(default="")
        reply.names.append(protocol or name)
        if name:
            reply.parameters.setdefault(name, value)
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
    rule, listed = PARAMETERS.get(code, ("R-12", ()))
    if len(set(reply.names)) < len(reply.names):
        wrong("R-12", "A parameter is given twice")
    elif tuple(reply.names[: len(listed)]) != listed:
        wrong(rule, f"{code} does not bear its parameters, or not in their order", " ".join(listed))
    elif _LISTED.intersection(reply.names[len(listed) :]):
        wrong("R-12", f"{code} bears what another code does", " ".join(listed) or "no parameters")
    elif code in ("250", "251"):
        matched, left = reply.number("matched"), reply.number("left")
        if matched < 0 or left < 0:
            wrong("R-9", "matched and left are numbers")
        elif matched < left + len(reply.entries):
            wrong("R-9", "matched is less than the entries given and left")
        if len(parameters["at"]) > 8:
            wrong("R-9", "at has 1 to 8 letters and digits")
    elif code == "320" and min(map(reply.number, listed)) < 0:
        wrong("U-4", "octets and fits are numbers")
    elif code in ("420", "430") and not 1 <= reply.number("retry") <= 3600:
        wrong("C-4", "retry is no whole number of seconds from 1 to 3600")
    if code == "251" and (
        parameters.get("left") != "0"
        or parameters.get("matched") != str(len(reply.entries))
        or len(reply.entries) > NEAREST_ENTRIES
    ):
        wrong("M-15", "251 bears at most 5 entries, left=0 and their number")
    if code in ("210", "251", "350") and not reply.entries:
        wrong("R-12", f"{code} bears no entry")
    if code == "210" and len(reply.entries) > 1:
        wrong("R-12", "210 bears more than one entry")
    if code not in WITH_ENTRIES and reply.entries:
        wrong("R-12", f"{code} bears entries")
