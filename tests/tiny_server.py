"""A small server of the Phonebook Protocol, version 1: the core, over TCP and UDP on loopback."""
import argparse
import asyncio
import hashlib
import json
import re
import socket
from collections import namedtuple
from contextlib import suppress
from itertools import groupby
from pathlib import Path

TEXTS = {210: "Help", 250: "Found", 252: "Nothing found", 320: "Too long", 350: "Ask there"}
CLOSING, KINDS = (500, 501, 502), ("person", "group", "service", "place")
TABLE = {name: n for n, name in enumerate(re.findall(r"\S+", """
id kind name family alias title org phone email room location address
member-of part-of reports-to contact hours url note"""))}
LINKS = ("room", "member-of", "part-of", "reports-to", "contact")
EXACT = ("id", "email", "url", *LINKS)  # their words have one spelling
PARTICLES = re.findall(r"\S+", """af al av bin bint da dal das de del della den der des di do dos du
el ibn la las le lo los ter ten van vom von zu zum zur""")
SUFFIXES, HYPHENS = ("jr", "sr", "ii", "iii", "iv"), "-\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
UMLAUT = re.compile("(?:([äÄ]|[aA]\u0308)|([öÖøØ]|[oO]\u0308)|([üÜ]|[uU]\u0308)|"
                    "([åÅ\u212b]|[aA]\u030a))(?![\u0300-\u036f])")
NAME = r"[A-Za-z][A-Za-z0-9-]{0,31}(?:\.[A-Za-z0-9-]{1,30})?"
ID = re.compile("[a-z0-9][a-z0-9._-]{0,63}")
REQUEST = re.compile(r"(?s)(?!.*[\0-\x1f\x7f-\x9f\ud800-\udfff])([A-Z]{3,10})"  # the verb, the tag,
                     r"(?: +(#[A-Za-z0-9]{1,16})(?![^ ]))?"
                     r"((?: +[a-z][a-z0-9-]{0,31}=[^ ]*)*)(?: +(.*))?")  # options, argument
TOKEN = re.compile(rf'(?!-[^ ]|(?i:sip|mailto):|{NAME}:"")'  # a name, and a phrase or a word
                   rf'(?:({NAME}):|(?!{NAME}:))(?:"([^"]*)"(?![^ ])|(?!")([^ ]++)) *+')
LINE, MATCHES, ENTRIES = 1232, 1000, 32
VERBS = {"LOOKUP": (re.compile(f"(?:{TOKEN.pattern})+"), ("after", "fields", "limit")),
         "ENTRY": (ID, ("fields",)), "HELP": (re.compile(""), ())}  # the argument, the options
Number = namedtuple("Number", "keys d x", defaults=("", ""))  # a code has no d
Term = namedtuple("Term", "words name phrase number")
Line = namedtuple("Line", "name forms number family")  # forms: the spellings of each word
Entry = namedtuple("Entry", "id all public lines order")
class Folding:  # the tables of section 9.1, and the words that they make of a text (9.2)
    def __init__(self, folder: Path) -> None:
        self.table = {0xAC00 + s: chr(0x1100 + s // 588) + chr(0x1161 + s % 588 // 28)
                      + (chr(0x11A7 + s % 28) if s % 28 else "") for s in range(11172)}
        rows, marks = ((folder / f"{n}.tsv").read_text("utf-8") for n in ("folding", "marks"))
        for first, last, result in re.findall(r"(?m)^(\w+)(?:\.\.(\w+))?\t(.*)", rows):
            to = {"space": "20", "nothing": ""}.get(result, result).split()
            span = range(int(first, 16), int(last or first, 16) + 1)
            self.table.update(dict.fromkeys(span, "".join(chr(int(c, 16)) for c in to)))
        self.table |= dict.fromkeys(map(ord, HYPHENS), "-") | {n: chr(n) for n in range(48, 58)}
        self.marks = {chr(int(c, 16)): int(n) for c, n in re.findall(r"(?m)^(\w+)\t(\w+)", marks)}
        self.run = re.compile(f"[{''.join(self.marks)}]+")
    def fold(self, text: str) -> str:
        return self.run.sub(lambda run: "".join(sorted(run[0], key=self.marks.__getitem__)),
                            text.translate(self.table))
    def words(self, text: str) -> list[str]:
        return re.findall("[^ -]+", self.fold(text))
    def spellings(self, text: str) -> list[list[str]]:
        forms, plain = [], ("", "ae", "oe", "ue", "aa")
        umlauts = iter(self.words(UMLAUT.sub(lambda found: plain[found.lastindex], text)))
        for group in self.fold(text).split(" "):
            if parts := [[word, next(umlauts)] for word in re.findall("[^-]+", group)]:
                forms += [parts[0] + [self.fold("".join(part[0] for part in parts))], *parts[1:]]
        return forms
def digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)
def values(value: str | list[str]) -> list[str]:
    lines = re.split("[\r\n]", value if isinstance(value, str) else "\n".join(value))
    return [line.strip(" ") for line in lines if line.strip(" ")]
def covers(wanted: str, name: str) -> bool:
    return wanted == name or "." not in wanted and name.startswith(wanted + ".")
def block(fields: list[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
def classes(term: Term, line: Line) -> list[int]:  # sections 9.3 to 9.5
    base, found = line.name.partition(".")[0], []
    if not covers(term.name, line.name) if term.name else base in ("kind", *LINKS):
        return []
    if line.number and term.number:
        (keys, d, x), (own, full, _) = term.number, line.number
        ends = len(d) > 2 and not x and any(re.fullmatch(rf"\+?[0-9]*{d}", key) for key in own)
        ends = ends or len(full) > 6 and d.endswith(full)
        found = [0] if keys & own else [4] if ends else []
    *firsts, last = term.words
    for at in range(len(line.forms) - len(firsts)):
        *before, end = line.forms[at:at + len(firsts) + 1]
        whole = last in end
        if all(word in forms for word, forms in zip(firsts, before, strict=False)) and (
                whole or not term.phrase and any(form.startswith(last) for form in end)):
            outside = not (at in line.family and at + len(firsts) in line.family)
            found.append({"name": outside, "alias": 2}.get(base, 3) + 4 * (not whole))
    return [0] if found and term.name else found
class Reply(namedtuple("Reply", "code tag blocks parameters behind", defaults=("", [], "", 0))):
    def octets(self, count: int | None = None) -> bytes:  # behind: matches from the first given
        blocks = self.blocks[:count]
        status = (f"{self.code} {self.tag}".strip() + " PHONEBOOK/1" * (self.code in CLOSING)
                  + self.parameters.format(self.behind - len(blocks)))
        return (f"{status} {TEXTS.get(self.code, 'Refused')}\r\n".encode()
                + b"\r\n".join(blocks) + b".\r\n")
    def within(self, room: int) -> bytes:
        whole, counts = self.octets(), range(1, len(self.blocks) if self.code == 250 else 1)
        fits = max((n for n in counts if len(self.octets(n)) <= room), default=0)
        long = Reply(320, self.tag, [], f" octets={len(whole)} fits={fits}")
        return whole if len(whole) <= room else long.octets()
class Directory:
    def __init__(self, path: Path, folding: Folding) -> None:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        data = data if isinstance(data, dict) else {"entries": data}
        self.folding, self.header = folding, data.get("directory", {})
        self.digits = {n: to for n, to in folding.table.items() if re.fullmatch("[0-9]+", to)}
        self.country, self.area, self.trunk, self.abroad, self.outside, self.main = (
            digits(self.header.get(name, "")) for name in
            ("country", "area", "trunk", "international", "outside", "main"))
        self.ranges = [(digits(line.split("-")[0]), digits(line.split("-")[-1]))
                       for line in values(self.header.get("extensions", []))]
        self.idle, self.request, self.session = (
            int(data.get("server", {}).get(name + "-timeout", seconds))
            for name, seconds in (("idle", 60), ("request", 10), ("session", 3600)))
        raw = {self.id_of(item): item for item in data.get("entries", [])}
        self.listed = {i for i, e in raw.items() if e.get("unlisted") not in ("yes", "true")}
        self.entries = {i: self.entry(i, e) for i, e in raw.items()}
        self.found = sorted((self.entries[i] for i in self.listed), key=lambda e: e.order)
        shown = repr((self.header, [e.public for e in self.found]))
        self.at = hashlib.sha256(shown.encode()).hexdigest()[:8]
        self.referrals = [block([("id", self.id_of(r)), ("kind", "service")] + [
            (n, values(r[n])[0]) for n in ("name", "server")] + [
            ("tls", "yes")] * (r.get("tls") in ("yes", "true")))
            for r in self.header.get("referrals", [])]
    def id_of(self, item: dict) -> str:
        return values(item.get("id") or "-".join(self.folding.words(item["name"])))[0]
    def entry(self, key: str, raw: dict) -> Entry:
        fields = [("id", key)]
        for name, value in ({"kind": "person"} | raw).items():
            subs = value if isinstance(value, dict) else {"": value}
            fields += [(f"{name}.{sub}" if sub else name, line) for sub, item in subs.items()
                       for line in values(item) if name not in ("id", "unlisted")]
        fields.sort(key=lambda line: (TABLE.get(line[0].partition(".")[0], 99), line[0]))
        fields = [(n, v) for n, v in fields if n.partition(".")[0] not in LINKS or v in self.listed]
        hidden = raw["unlisted"] if isinstance(raw.get("unlisted"), list) else []
        public = [(n, v) for n, v in fields if not any(covers(h, n) for h in hidden)]
        shown, words = dict(public), self.folding.words(dict(public)["name"])
        person, own = shown["kind"] == "person", self.folding.words(shown.get("family", ""))
        family, lines = family_words(words, own, person), []
        for name, value in public:
            forms, phone = self.folding.spellings(value), covers("phone", name)
            forms = [form[:1] for form in forms] if name.partition(".")[0] in EXACT else forms
            if name == "name" and person and family.start > 1:
                forms[0].append("".join(word[0] for word in words[:family.start]))
            lines.append(Line(name, [] if phone else forms, self.read(value, False)
                              if phone else None, family if name == "name" else range(0)))
        first = (own or words[family.stop - 1:family.stop]) if person else []
        return Entry(key, fields, public, lines, (
            KINDS.index(shown["kind"]), " ".join(first + words).encode(), key.encode()))
    def is_extension(self, d: str) -> bool:
        return any(len(d) == len(a) and a <= d <= b for a, b in self.ranges)
    def of_main(self, extension: str) -> set[str]:
        return {"x" + extension} | ({f"+{self.main}{extension}"} if self.main else set())
    def read(self, text: str, query: bool) -> Number:
        text = text.translate(self.digits).lower()
        text = text.replace("(0)", "" if re.match(r"[^0-9]*\+[^0-9]*[0-9]", text) else "(0)")
        head, *rest = re.split(r";ext=|ext\.?|x", text, maxsplit=1)
        d, x, main = digits(head), digits("".join(rest)), "+" + self.main if self.main else "none"
        if "*" in head or "#" in head:
            return Number({re.sub("[^0-9*#]", "", head)})
        if not d:
            return Number(self.of_main(x) if x else set(), d, x)
        if re.match(r"[^0-9]*\+", head):
            keys = {d, "+" + d}
        elif self.is_extension(d):
            keys = {d} | self.of_main(d)
        else:
            keys = {d}
            for n in {d, d.removeprefix(self.outside)} - {""}:
                trunk, rest = self.trunk and n.startswith(self.trunk), n.removeprefix(self.trunk)
                if self.abroad and n.startswith(self.abroad):
                    keys.add("+" + n.removeprefix(self.abroad))
                elif self.country:
                    rests = {rest} if trunk else {self.area + n, n}
                    keys |= {f"+{self.country}{rest}" for rest in rests}
        inside = {key.removeprefix(main) for key in keys if key.startswith(main)}
        keys |= {"x" + e for e in inside if self.is_extension(e)}
        if x:
            alone = {"x" + x} if inside or not query else set()
            keys = {f"{key}x{x}" for key in keys} | alone | (set() if query else keys)
        return Number(keys, d, x)
    def is_numeric(self, token: re.Match[str]) -> bool:
        rest = self.folding.fold((token[3] or "a").translate(dict.fromkeys(self.digits, " ")))
        return not token[1] and not rest.replace("ext", "").replace("x", "").strip(" -")
    def terms(self, query: str) -> list[Term]:
        terms = []
        for numeric, tokens in groupby(TOKEN.finditer(query), self.is_numeric):
            parts = [((t[1] or "").lower(), t[2] or t[3] or "", t[3] is None) for t in tokens]
            run = " ".join(value for _, value, _ in parts)
            numeric = numeric and re.search("[0-9]", run.translate(self.digits))
            for name, value, phrase in [("", run, False)] if numeric else parts:
                name = "phone" if name == "tel" else name
                number = numeric or covers("phone", name)
                terms.append(Term(self.folding.words(value), name, phrase,
                                  self.read(value, True) if number else None))
        return [term for term in terms if term.words]
    def help(self) -> bytes:
        header = {"name": "phonebook", "contact": ""} | self.header
        numbers = {"connection": self.session, "entries": ENTRIES, "idle": self.idle,
                   "line": LINE, "matches": MATCHES, "request": self.request}
        return block([("id", "phonebook"), ("kind", "service"),
                      *((n, line) for n in ("name", "contact") for line in values(header[n])),
                      ("protocol", "PHONEBOOK/1"), *(("verb", verb) for verb in VERBS),
                      *(("option", option) for option in VERBS["LOOKUP"][1]),
                      ("transport", "tcp"), ("transport", "udp"), ("folding", "15.1.0"),
                      *(("limit." + name, str(value)) for name, value in numbers.items())])
    def answer(self, octets: bytes) -> Reply:
        line = octets[:-1].removesuffix(b"\r").decode(errors="surrogateescape").rstrip(" ")
        if not (request := REQUEST.fullmatch(line)):
            return Reply(500)
        verb, tag, options, argument = request.groups(default="")
        pairs = re.findall(" ([^ =]+)=([^ ]*)", options)
        options, (shape, known) = dict(pairs), VERBS.get(verb, (ID, ()))
        names, limit, after = (options.get(*pair) for pair in (
            ("fields", "id"), ("limit", "10"), ("after", None)))
        faults = {501: verb not in VERBS,
                  503: len(options) < len(pairs) or not options.keys() <= set(known),
                  504: not (re.fullmatch("[1-9]|[12][0-9]|3[0-2]", limit) and ID.fullmatch(
                      options.get("after", "0")) and re.fullmatch(f"{NAME}(,{NAME})*", names)),
                  505: not shape.fullmatch(argument)}
        if True in faults.values():
            return Reply(next(code for code in faults if faults[code]), tag)
        if verb == "HELP":
            return Reply(210, tag, [self.help()])
        found = [self.entries[argument]] if argument in self.entries else []
        if verb == "LOOKUP":
            terms = self.terms(argument)
            if not terms or sum(len(term.words) for term in terms) > 16:
                return Reply(507 if terms else 506, tag)
            ranks = {e.id: [min((c for line in e.lines for c in classes(term, line)), default=9)
                            for term in terms] for e in self.found}
            found = sorted((e for e in self.found if 9 not in ranks[e.id]),
                           key=lambda e: sum(ranks[e.id]))
        start = next((n for n, e in enumerate(found, 1) if e.id == after), 0)
        if len(found) > MATCHES or after and not start:
            return Reply(551 if len(found) > MATCHES else 552, tag)
        if not found:
            return Reply(350 if self.referrals else 252, tag, self.referrals)
        wanted = names.lower().split(",")
        blocks = [block([(n, v) for n, v in (e.public if verb == "LOOKUP" else e.all) if n == "id"
                         or "fields" not in options or any(covers(w, n) for w in wanted)])
                  for e in found[start:start + int(limit)]]
        parameters = f" matched={len(found)} left={{}} at={self.at}"
        return Reply(250, tag, blocks, parameters, len(found) - start)
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now, code = asyncio.get_running_loop().time, 0
        end = now() + self.session
        writer.transport.set_write_buffer_limits(0)
        with suppress(OSError, EOFError):
            while code not in CLOSING and now() < end:
                async with asyncio.timeout_at(min(end, now() + self.idle)):
                    first = await reader.readexactly(1)
                if first == b"\x16" and not code:
                    return writer.transport.abort()
                line = first * (LINE + 1)  # too long, unless it is read
                with suppress(asyncio.LimitOverrunError):
                    async with asyncio.timeout_at(min(end, now() + self.request)):
                        line = first if first == b"\n" else first + await reader.readuntil()
                reply = self.answer(line) if len(line) <= LINE else Reply(502)
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
        with suppress(OSError):
            data, source = udp.recvfrom(2048, socket.MSG_DONTWAIT)
            if (64 <= len(data) <= LINE and data.find(b"\n") == len(data) - 1
                    and source[1] not in (0, 7, 13, 17, 19, udp.getsockname()[1])):
                reply = self.answer(data)
                if reply.code != 500 and (reply.code != 501 or reply.tag):
                    udp.sendto(reply.within(len(data)), socket.MSG_DONTWAIT, source)
def family_words(words: list[str], own: list[str], person: bool) -> range:  # section 9.6
    if own or not person:
        first = max((i for i in range(len(words)) if words[i:i + len(own)] == own), default=0)
        return range(first, first + len(own))
    last = next((i for i in range(len(words) - 1, 0, -1) if words[i] not in SUFFIXES), 0)
    first = (i for i in range(last, 1, -1) if words[i - 1] not in PARTICLES)
    return range(next(first, min(last, 1)), last + 1)
async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs=2)
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    book = Directory(args.paths[0], Folding(args.paths[1]))
    tcp = socket.create_server(("127.0.0.1", args.port))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(tcp.getsockname())
    server = await asyncio.start_server(book.serve, sock=tcp, limit=LINE - 1)
    asyncio.get_running_loop().add_reader(udp, book.datagram, udp)
    print("ready", tcp.getsockname()[1], flush=True)
    await server.serve_forever()
if __name__ == "__main__":
    asyncio.run(main())
