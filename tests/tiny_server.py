"""A small server of the Phonebook Protocol, version 1: the core, over TCP and UDP on loopback.

Usage: python tiny_server.py DIRECTORY.json FOLDING_DIR [--port N]
"""

import argparse
import asyncio
import hashlib
import json
import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

LINE, MATCHES, ENTRIES = 1232, 1000, 32
VERBS = {"LOOKUP": ("after", "fields", "limit"), "ENTRY": ("fields",), "HELP": ()}
TEXTS = {210: "Help", 250: "Found", 252: "Nothing found", 320: "Too long", 350: "Ask there"}
CLOSING = (500, 501, 502)
KINDS = ("person", "group", "service", "place")
TABLE = re.findall(
    r"\S+",
    """id kind name family alias title org phone email room location address
member-of part-of reports-to contact hours url note""",
)
LINKS = ("room", "member-of", "part-of", "reports-to", "contact")
PARTICLES = re.findall(
    r"\S+",
    """af al av bin bint da dal das de del della den der des di do dos du
el ibn la las le lo los ter ten van vom von zu zum zur""",
)
SUFFIXES = ("jr", "sr", "ii", "iii", "iv")
HYPHENS = "-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
UMLAUT = re.compile(
    "(?:([äÄ]|[aA]\u0308)|([öÖøØ]|[oO]\u0308)|([üÜ]|[uU]\u0308)|"
    "([åÅ]|[aA]\u030a))(?![\u0300-\u036f])"
)
NAME = r"[A-Za-z][A-Za-z0-9-]{0,31}(?:\.[A-Za-z0-9-]{1,30})?"
ID = re.compile("[a-z0-9][a-z0-9._-]{0,63}")
REQUEST = re.compile(
    r"(?s)(?!.*[\0-\x1f\x7f-\x9f])([A-Z]{3,10})"  # the verb, the tag,
    r"(?: +(#[A-Za-z0-9]{1,16})(?![^ ]))?+"
    r"((?: +[a-z][a-z0-9-]{0,31}=[^ ]*+)*+)(?: +(.*))?"
)  # options, argument
TOKEN = re.compile(
    rf'(?!-[^ ]|(?i:sip|mailto):|{NAME}:"")'  # a name, and a phrase or a word
    rf'(?:({NAME}):)?+(?:"([^"]*)"(?![^ ])|(?!")([^ ]++)) *+'
)
QUERY = re.compile(f"(?:{TOKEN.pattern})++")

Fields = list[tuple[str, str]]


class Refusal(Exception):
    """Ends the work on a request; its argument is the code of the reply."""


class Folding:
    """The tables of section 9.1, and the words that they make of a text (9.2)."""

    def __init__(self, folder: Path) -> None:
        self.table = {
            0xAC00 + s: chr(0x1100 + s // 588)
            + chr(0x1161 + s % 588 // 28)
            + (chr(0x11A7 + s % 28) if s % 28 else "")
            for s in range(11172)
        }
        for codes, result in self.rows(folder / "folding.tsv"):
            first, _, last = codes.partition("..")
            to = {"space": "20", "nothing": ""}.get(result, result).split()
            span = range(int(first, 16), int(last or first, 16) + 1)
            self.table.update(dict.fromkeys(span, "".join(chr(int(c, 16)) for c in to)))
        self.table.update(dict.fromkeys(map(ord, HYPHENS), "-"))
        self.marks = {chr(int(c, 16)): int(n) for c, n in self.rows(folder / "marks.tsv")}
        self.run = re.compile(f"[{''.join(self.marks)}]+")

    def rows(self, path: Path) -> list[list[str]]:
        lines = path.read_text(encoding="utf-8").split("\n")
        return [line.split("\t") for line in lines if line and line[0] != "#"]

    def fold(self, text: str) -> str:
        """The fold of a text, in which a hyphen is still told from other spaces."""
        return self.run.sub(
            lambda run: "".join(sorted(run[0], key=self.marks.__getitem__)),
            text.translate(self.table),
        )

    def words(self, text: str) -> list[str]:
        return re.findall("[^ -]+", self.fold(text))

    def spellings(self, text: str) -> list[list[str]]:
        """For each word of a line of an entry, its spellings but the initials."""
        forms = list[list[str]]()
        plain = ("", "ae", "oe", "ue", "aa")
        umlauts = iter(self.words(UMLAUT.sub(lambda found: plain[found.lastindex or 0], text)))
        for group in self.fold(text).split(" "):
            parts = [[word, next(umlauts)] for word in re.findall("[^-]+", group)]
            forms += [parts[0] + ["".join(part[0] for part in parts)], *parts[1:]] if parts else []
        return forms


def digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


def values(value: str | list[str]) -> list[str]:
    """The lines of a field, from one scalar or a list of them."""
    lines = re.split("\r\n?|\n", value if isinstance(value, str) else "\n".join(value))
    return [line.strip(" ") for line in lines if line.strip(" ")]


def covers(wanted: str, name: str) -> bool:
    return wanted == name or "." not in wanted and name.startswith(wanted + ".")


def place(line: tuple[str, str]) -> tuple[int, str]:
    base = line[0].partition(".")[0]
    return (TABLE.index(base) if base in TABLE else len(TABLE), line[0])


def block(fields: Fields) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


class Number(NamedTuple):
    keys: set[str]
    d: str = ""  # empty for a code
    x: str = ""

    def rank(self, entry: "Number") -> list[int]:
        """The class of this term on a number of an entry, in a list, if it has one."""
        ends = (
            len(self.d) > 2
            and not self.x
            and any(re.fullmatch(rf"\+?[0-9]*{self.d}", key) for key in entry.keys)
        )
        ends = ends or len(entry.d) > 6 and self.d.endswith(entry.d)
        return [0] if self.keys & entry.keys else [4] if ends else []


class Numbers:
    """The reading of numbers, section 9.4."""

    def __init__(self, header: dict[str, Any], folding: Folding) -> None:
        self.table = {code: to for code, to in folding.table.items() if to in set("0123456789")}
        self.country, self.area, self.trunk, self.abroad, self.outside, self.main = (
            digits(header.get(name, ""))
            for name in ("country", "area", "trunk", "international", "outside", "main")
        )
        ends = [line.split("-") for line in values(header.get("extensions", []))]
        self.ranges = [(digits(end[0]), digits(end[-1])) for end in ends]

    def is_extension(self, d: str) -> bool:
        return any(len(d) == len(a) and a <= d <= b for a, b in self.ranges)

    def dialled(self, d: str) -> set[str]:
        """The international keys of digits that are neither international nor an extension."""
        if self.abroad and d.startswith(self.abroad):
            return {"+" + d.removeprefix(self.abroad)}
        trunk = self.trunk and d.startswith(self.trunk)
        rests = [d.removeprefix(self.trunk)] if trunk else [self.area + d, d]
        return {"+" + self.country + rest for rest in rests if self.country}

    def of_main(self, extension: str) -> set[str]:
        return {"x" + extension} | ({f"+{self.main}{extension}"} if self.main else set())

    def read(self, text: str, query: bool) -> Number:
        text = text.translate(self.table).lower()
        if re.match(r"[^0-9]*\+[^0-9]*[0-9]", text):
            text = text.replace("(0)", "")
        head, *rest = re.split(r";ext=|ext\.?|x", text, maxsplit=1)
        d, x, main = digits(head), digits("".join(rest)), "+" + self.main if self.main else "none"
        if "*" in head or "#" in head:
            return Number({re.sub("[^0-9*#]", "", head)})
        if not d:
            return Number(self.of_main(x) if x else set(), d, x)
        keys = {d}
        if re.match(r"[^0-9]*\+", head):
            keys |= {"+" + d}
        elif self.is_extension(d):
            keys |= self.of_main(d)
        else:
            outside = self.outside and d.startswith(self.outside) and d.removeprefix(self.outside)
            keys |= self.dialled(d) | (self.dialled(outside) if outside else set())
        inside = {key.removeprefix(main) for key in keys if key.startswith(main)}
        keys |= {"x" + e for e in inside if self.is_extension(e)}
        if x:
            alone = {"x" + x} if inside or not query else set[str]()
            keys = {f"{key}x{x}" for key in keys} | alone | (set() if query else keys)
        return Number(keys, d, x)


class Term(NamedTuple):
    words: list[str]
    name: str = ""
    phrase: bool = False
    number: Number | None = None


class Line(NamedTuple):
    name: str
    forms: list[list[str]]  # the spellings of each word
    number: Number | None = None
    family: range = range(0)

    def classes(self, term: Term) -> list[int]:
        """The classes of the matches of a term on this line (9.3 to 9.5)."""
        base = self.name.partition(".")[0]
        if not covers(term.name, self.name) if term.name else base in ("kind", *LINKS):
            return []
        if self.number:
            classes = term.number.rank(self.number) if term.number else []
            return [0] if classes and term.name else classes
        found, size, last = list[int](), len(term.words), term.words[-1]
        for at in range(len(self.forms) - size + 1):
            part = self.forms[at : at + size]
            if all(word in forms for word, forms in zip(term.words[:-1], part, strict=False)):
                whole = last in part[-1]
                if whole or not term.phrase and any(form.startswith(last) for form in part[-1]):
                    family = at in self.family and at + size - 1 in self.family
                    where = {"name": 0 if family else 1, "alias": 2}
                    found.append(where.get(base, 3) + 4 * (not whole))
        return [0] if found and term.name else found


class Entry(NamedTuple):
    id: str
    all: Fields
    public: Fields
    lines: list[Line]
    order: tuple[int, bytes, bytes]


@dataclass
class Reply:
    code: int
    blocks: list[bytes] = field(default_factory=list)
    parameters: str = ""
    behind: int = 0  # the entries of the result from the first one given
    at: str = ""
    tag: str = ""

    def octets(self, count: int = ENTRIES) -> bytes:
        blocks = self.blocks[:count] if self.code == 250 else self.blocks
        left = f" left={self.behind - len(blocks)} at={self.at}" if self.code == 250 else ""
        status = (
            f"{self.code} {self.tag}".strip()
            + " PHONEBOOK/1" * (self.code in CLOSING)
            + f"{self.parameters}{left} {TEXTS.get(self.code, 'Refused')}\r\n"
        )
        return status.encode() + b"\r\n".join(blocks) + b".\r\n"

    def within(self, room: int) -> bytes:
        """What goes over UDP, where there is room for so many octets."""
        whole, counts = self.octets(), range(1, len(self.blocks) if self.code == 250 else 1)
        fits = max((n for n in counts if len(self.octets(n)) <= room), default=0)
        sizes = f" octets={len(whole)} fits={fits}"
        return whole if len(whole) <= room else Reply(320, [], sizes, tag=self.tag).octets()


class Directory:
    """A directory, and the answers that it gives."""

    def __init__(self, path: Path, folding: Folding) -> None:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        data = data if isinstance(data, dict) else {"entries": data}
        self.folding, self.header = folding, data.get("directory", {})
        self.numbers = Numbers(self.header, folding)
        times = {"idle": 60, "request": 10, "session": 3600}
        self.idle, self.request, self.session = (
            int(data.get("server", {}).get(n + "-timeout", s)) for n, s in times.items()
        )
        raw = {self.id_of(item): item for item in data.get("entries", [])}
        self.listed = {i for i, e in raw.items() if e.get("unlisted") not in ("yes", "true")}
        self.entries = {i: self.entry(i, e) for i, e in raw.items()}
        self.found = sorted((self.entries[i] for i in self.listed), key=lambda e: e.order)
        shown = repr((self.header, [e.public for e in self.found]))
        self.at = hashlib.sha256(shown.encode()).hexdigest()[:8]
        self.referrals = [
            block(
                [("id", self.id_of(r)), ("kind", "service")]
                + [(n, values(r[n])[0]) for n in ("name", "server")]
                + [("tls", "yes") for _ in "1" if r.get("tls") in ("yes", "true")]
            )
            for r in self.header.get("referrals", [])
        ]

    def id_of(self, item: dict[str, Any]) -> str:
        return values(item.get("id") or "-".join(self.folding.words(item["name"])))[0]

    def entry(self, key: str, raw: dict[str, Any]) -> Entry:
        fields = [("id", key)]
        for name, value in ({"kind": "person"} | raw).items():
            if name not in ("id", "unlisted"):
                subs = value if isinstance(value, dict) else {"": value}
                fields += [
                    (f"{name}.{sub}" if sub else name, line)
                    for sub, item in subs.items()
                    for line in values(item)
                ]
        fields = [(n, v) for n, v in fields if n.partition(".")[0] not in LINKS or v in self.listed]
        fields.sort(key=place)
        hidden = raw["unlisted"] if isinstance(raw.get("unlisted"), list) else []
        public = [(n, v) for n, v in fields if not any(covers(h, n) for h in hidden)]
        shown, words = dict(public), self.folding.words(dict(public)["name"])
        person, own = shown["kind"] == "person", self.folding.words(shown.get("family", ""))
        family, lines = family_words(words, own, person), list[Line]()
        for name, value in public:
            forms, phone = self.folding.spellings(value), covers("phone", name)
            if name == "name" and person and family.start > 1:
                forms[0].append("".join(word[0] for word in words[: family.start]))
            lines.append(
                Line(
                    name,
                    [] if phone else forms,
                    self.numbers.read(value, False) if phone else None,
                    family if name == "name" else range(0),
                )
            )
        first = (own or words[family.stop - 1 : family.stop]) if person else []
        order = (KINDS.index(shown["kind"]), " ".join(first + words).encode(), key.encode())
        return Entry(key, fields, public, lines, order)

    def is_numeric(self, token: re.Match[str]) -> bool:
        rest = self.folding.fold(token[3] or "a").replace("ext", "").replace("x", "")
        return not token[1] and re.fullmatch("[0-9 -]*", rest) is not None

    def terms(self, query: str) -> list[Term]:
        if not QUERY.fullmatch(query):
            raise Refusal(505)
        terms = list[Term]()
        for numeric, tokens in groupby(TOKEN.finditer(query), self.is_numeric):
            parts = [((t[1] or "").lower(), t[2] or t[3] or "", t[3] is None) for t in tokens]
            run = " ".join(value for _, value, _ in parts)
            numeric = numeric and re.search("[0-9]", self.folding.fold(run)) is not None
            parts = [("", run, False)] if numeric else parts
            for name, value, phrase in parts:
                name = "phone" if name == "tel" else name
                number = numeric or covers("phone", name)
                terms.append(
                    Term(
                        self.folding.words(value),
                        name,
                        phrase,
                        self.numbers.read(value, True) if number else None,
                    )
                )
        terms = [term for term in terms if term.words]
        if not terms or sum(len(term.words) for term in terms) > 16:
            raise Refusal(507 if terms else 506)
        return terms

    def lookup(self, query: str) -> list[Entry]:
        terms, ranked = self.terms(query), list[tuple[int, Entry]]()
        for entry in self.found:
            classes = [
                min((c for line in entry.lines for c in line.classes(term)), default=9)
                for term in terms
            ]
            if 9 not in classes:
                ranked.append((sum(classes), entry))
        if len(ranked) > MATCHES:
            raise Refusal(551)
        return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]

    def help(self) -> bytes:
        header = [
            (n, line)
            for n in ("name", "contact")
            for line in values(self.header.get(n, "phonebook" if n == "name" else ""))
        ]
        numbers = {
            "connection": self.session,
            "entries": ENTRIES,
            "idle": self.idle,
            "line": LINE,
            "matches": MATCHES,
            "request": self.request,
        }
        return block(
            [
                ("id", "phonebook"),
                ("kind", "service"),
                *header,
                ("protocol", "PHONEBOOK/1"),
                *(("verb", verb) for verb in VERBS),
                *(("option", option) for option in VERBS["LOOKUP"]),
                ("transport", "tcp"),
                ("transport", "udp"),
                ("folding", "15.1.0"),
                *(("limit." + name, str(value)) for name, value in numbers.items()),
            ]
        )

    def answer(self, octets: bytes) -> Reply:
        """The reply to one line, which has its LF."""
        with suppress(UnicodeDecodeError):
            line = octets[:-1].removesuffix(b"\r").decode().rstrip(" ")
            if request := REQUEST.fullmatch(line):
                verb, tag, options, argument = request.groups(default="")
                try:
                    reply = self.perform(verb, re.findall(" ([^ =]+)=([^ ]*)", options), argument)
                except Refusal as refusal:
                    reply = Reply(refusal.args[0])
                reply.tag = tag
                return reply
        return Reply(500)

    def perform(self, verb: str, pairs: Fields, argument: str) -> Reply:
        options = dict(pairs)
        limit, names = options.get("limit", "10"), options.get("fields", "id").split(",")
        after = options.get("after")
        if verb not in VERBS:
            raise Refusal(501)
        if len(options) < len(pairs) or not options.keys() <= set(VERBS[verb]):
            raise Refusal(503)
        if not (
            re.fullmatch("[1-9]|[12][0-9]|3[0-2]", limit)
            and ID.fullmatch(after or "a")
            and after != ""
            and all(re.fullmatch(NAME, name) for name in names)
        ):
            raise Refusal(504)
        if (verb == "HELP") == bool(argument) or verb == "ENTRY" and not ID.fullmatch(argument):
            raise Refusal(505)
        if verb == "HELP":
            return Reply(210, [self.help()])
        found = (
            self.lookup(argument)
            if verb == "LOOKUP"
            else [self.entries[i] for i in [argument] if i in self.entries]
        )
        start = next((n for n, e in enumerate(found, 1) if e.id == after), 0)
        if after and not start:
            raise Refusal(552)
        if not found:
            return Reply(350 if self.referrals else 252, self.referrals)
        wanted = [name.lower() for name in names]
        blocks = [
            block(
                [
                    (n, v)
                    for n, v in (e.public if verb == "LOOKUP" else e.all)
                    if n == "id" or "fields" not in options or any(covers(w, n) for w in wanted)
                ]
            )
            for e in found[start : start + int(limit)]
        ]
        return Reply(250, blocks, f" matched={len(found)}", len(found) - start, self.at)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection, section 6."""
        now, line, code = asyncio.get_running_loop().time, b"", 0
        end = now() + self.session
        writer.transport.set_write_buffer_limits(0)
        with suppress(OSError, EOFError):
            while code not in CLOSING and now() < end:
                async with asyncio.timeout_at(min(end, now() + self.idle)):
                    first = await reader.readexactly(1)
                if first == b"\x16" and not code:
                    return writer.transport.abort()
                try:
                    async with asyncio.timeout_at(min(end, now() + self.request)):
                        line = first if first == b"\n" else first + await reader.readuntil()
                    reply = self.answer(line) if len(line) <= LINE else Reply(502)
                except asyncio.LimitOverrunError:
                    reply = Reply(502)
                code = reply.code
                writer.write(reply.octets())
                async with asyncio.timeout(self.idle):
                    await writer.drain()
                await asyncio.sleep(0)  # the others' turn
        with suppress(OSError, EOFError):
            writer.write_eof()
            async with asyncio.timeout(2):
                await reader.readexactly(65536)
        writer.transport.abort()

    def datagram(self, udp: socket.socket) -> None:
        """Answers one datagram, section 7."""
        with suppress(OSError):
            data, source = udp.recvfrom(2048)
            if (
                64 <= len(data) <= LINE
                and data.find(b"\n") == len(data) - 1
                and source[1] not in (0, 7, 13, 17, 19, udp.getsockname()[1])
            ):
                reply = self.answer(data)
                if reply.code != 500 and (reply.code != 501 or reply.tag):
                    udp.sendto(reply.within(len(data)), source)


def family_words(words: list[str], own: list[str], person: bool) -> range:
    """Where the family words of a name stand in it, section 9.6."""
    if own or not person or not words:
        starts = [i for i in range(len(words)) if own and words[i : i + len(own)] == own]
        return range(starts[-1], starts[-1] + len(own)) if starts else range(0)
    last = next((i for i in range(len(words) - 1, 0, -1) if words[i] not in SUFFIXES), 0)
    first = last
    while first > 1 and words[first - 1] in PARTICLES:
        first -= 1
    return range(first, last + 1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("folding", type=Path)
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    book = Directory(args.directory, Folding(args.folding))
    tcp = socket.create_server(("127.0.0.1", args.port))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(tcp.getsockname())
    udp.setblocking(False)
    server = await asyncio.start_server(book.serve, sock=tcp, limit=LINE - 1)
    asyncio.get_running_loop().add_reader(udp, book.datagram, udp)
    print("ready", tcp.getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
