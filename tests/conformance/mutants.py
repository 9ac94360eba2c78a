"""Servers that each break one rule: what to break, and the requirement that it breaks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A patch that runs in the server's process before the server does."""

    name: str
    rule: str
    patch: str
    profile: str = "core"
    tls: bool = False
    """Whether it offers TLS."""
    everywhere: bool = False
    """Whether it is at all addresses of its host, not at 127.0.0.1 alone."""
    subtle: bool = False
    """Whether others break its rule more plainly: it is tried in the full suite alone."""


# What every patch may use; modules in capitals, wrappers around what the service answers. The
# shortcuts for the plainest requests are left out, so that one place decides each rule.
PRELUDE = """
import contextlib, random, re, socket, struct, time, unicodedata
from collections import defaultdict
from dataclasses import replace
import phonebook.directory.numbers as NUMBERS
import phonebook.directory.project as PROJECT
import phonebook.directory.text as TEXT
import phonebook.search.build as BUILD
import phonebook.search.piece as PIECE
import phonebook.search.lines as LINES
import phonebook.search.match as INDEX
import phonebook.search.near as NEAR
import phonebook.search.query as QUERY
import phonebook.search.ways as WAYS
import phonebook.server.budget as BUDGET
import phonebook.server.viewers as VIEWERS
import phonebook.service.answer as ANSWER
import phonebook.service.snapshot as SNAPSHOT
import phonebook.store as STORE
import phonebook.wire.framing as FRAMING
import phonebook.wire.request as REQUEST
from phonebook.wire import Code, RequestError, Request, render

ANSWER._plain = lambda line, snapshot, room=0: None
QUERY.Term.is_word = property(lambda self: False)
STORE.is_small = lambda files: True  # nothing is compiled in another process, or kept

old_answer, old_datagram = ANSWER.answer, ANSWER.answer_datagram
old_parse, old_query, old_render = ANSWER.parse_request, ANSWER.parse_query, ANSWER.render
old_lookup, old_match, old_fold = ANSWER._lookup, INDEX.Index.match, TEXT._separated
old_project, old_piece = SNAPSHOT.project, SNAPSHOT.piece
old_columns, old_spelt = PIECE._columns, LINES._spelt
old_linked, old_targets = SNAPSHOT.Snapshot.linked, SNAPSHOT.targets
old_cost, old_charge = ANSWER.cost, BUDGET.Budget.charge

def change(octets):
    "Put what a function makes of a reply in its place, over both transports."
    def answer(line, snapshot):
        reply, closes = old_answer(line, snapshot)
        return octets(reply), closes
    def datagram(datagram, snapshot):
        reply = old_datagram(datagram, snapshot)
        return reply and octets(reply)
    ANSWER.answer, ANSWER.answer_datagram = answer, datagram

def change_terms(changed):
    "Put what a function makes of each term in its place; None leaves it out."
    ANSWER.parse_query = lambda text: tuple(filter(None, map(changed, old_query(text))))

def change_tls(changed):
    "Put what a function makes of each of the server's contexts, and of its anchors, in its place."
    import phonebook.server.tls as TLS
    made = TLS.tls_context
    TLS.tls_context = lambda certificate, key, anchors=None: changed(
        made(certificate, key, anchors), anchors)

def connection():
    import phonebook.server.tcp as TCP
    return TCP.Connection

class Whole:
    "The directory with all that is unlisted, indexed beside what is listed."
    def __init__(self):
        SNAPSHOT.project = self.project
    def project(self, directory, *view):
        every = SNAPSHOT.exact(directory, *view)
        pieces = [old_piece(directory.header, every.entries)]
        places = BUILD.in_order(pieces)
        self.entries = dict(zip(places[0], every.entries, strict=True))
        tables = BUILD.build(pieces, places)
        self.index = INDEX.Index(tables, directory.header, self.text)
        self.near = NEAR.Nearest(self.index, tables)
        return old_project(directory, *view)
    def text(self, number):
        return SNAPSHOT.render_entry(self.entries[number]).decode()
"""

# No mutant: X-2 (what a server asks others shows at those),
# L-7 (OpenSSL for Python has neither early data nor compression), the client's rules (their bad
# clients are in test_hostile.py), the file's (D-1 on: tests/directory). untestable.yaml has them.
MUTANTS = [
    # requests
    Mutant("bare-lf", "Q-1", """
def feed(self, octets):
    *lines, self._rest = (self._rest + octets).split(b"\\r\\n")
    return lines
FRAMING.LineReader.feed = feed
"""),
    Mutant("endless-lines", "Q-2", "FRAMING.MAX_LINE = 10 ** 6"),
    Mutant("lines-of-characters", "Q-2", """
def feed(self, octets):
    *lines, self._rest = (self._rest + octets).split(b"\\n")
    sizes = [len(line.decode(errors="replace")) for line in (*lines, self._rest)]
    if any(size >= FRAMING.MAX_LINE for size in sizes[:-1]) or sizes[-1] > FRAMING.MAX_LINE:
        self.too_long, self._rest, lines = True, b"", []
    return [line.removesuffix(b"\\r") for line in lines]
FRAMING.LineReader.feed = feed
""", subtle=True),
    Mutant("line-ends-of-two-octets", "Q-2", """
def feed(self, octets):
    lines = old_feed(self, octets)
    for place, line in enumerate(lines):
        if len(line) > FRAMING.MAX_LINE - 2:
            self.too_long, self._rest = True, b""
            return lines[:place]
    return lines
old_feed, FRAMING.LineReader.feed = FRAMING.LineReader.feed, feed
""", subtle=True),
    Mutant("controls", "Q-3", "REQUEST._CONTROL = re.compile('(?!)')"),
    Mutant("lower-case-verb", "Q-11", """
def parse(line):
    verb, space, rest = line.partition(b" ")
    return old_parse(verb.upper() + space + rest)
ANSWER.parse_request = parse
"""),
    Mutant("leading-spaces", "Q-4", """
ANSWER.parse_request = lambda line: old_parse(line.lstrip(b" "))
"""),
    Mutant("byte-order-mark", "Q-4", """
ANSWER.parse_request = lambda line: old_parse(line.removeprefix(b"\\xef\\xbb\\xbf"))
"""),
    Mutant("empty-line-is-help", "Q-4", """
ANSWER.parse_request = lambda line: old_parse(line or b"HELP")
"""),
    Mutant("any-verb-unknown", "Q-4", "REQUEST._VERB = re.compile('[^ ]+')"),
    Mutant("verb-of-any-alphabet", "Q-4", r"""
REQUEST._VERB = re.compile('[^\W\d_a-z]{3,10}')
""", subtle=True),
    Mutant("verb-malformed", "Q-5", """
def parse(line):
    try:
        return old_parse(line)
    except RequestError as error:
        if error.code is Code.UNKNOWN_VERB:
            raise RequestError(Code.MALFORMED, "", tag=error.tag)
        raise
ANSWER.parse_request = parse
"""),
    Mutant("verbs-begun", "Q-5", """
def parse(line):
    verb, space, rest = line.partition(b" ")
    whole = [each for each in REQUEST.VERBS if len(verb) > 2 and each.startswith(verb.decode())]
    return old_parse((whole[0].encode() if whole else verb) + space + rest)
ANSWER.parse_request = parse
""", subtle=True),
    Mutant("verbs-with-more", "Q-5", """
ANSWER.parse_request = lambda line: old_parse(re.sub(rb"^(LOOKUP|ENTRY|HELP)[A-Z]+", rb"\\1", line))
""", subtle=True),
    Mutant("padding-is-text", "Q-6", """
def parse(line):
    if line.endswith(b" "):
        raise RequestError(Code.BAD_ARGUMENT, "")
    return old_parse(line)
ANSWER.parse_request = parse
"""),
    Mutant("any-space-is-padding", "Q-6", r"""
ANSWER.parse_request = lambda line: old_parse(re.sub(b"(?:\xc2\xa0|\xe3\x80\x80| )+$", b"", line))
""", subtle=True),
    Mutant("no-tag", "Q-7", """
ANSWER.render = lambda code, tag="", *more: old_render(code, "", *more)
"""),
    Mutant("tag-of-any-alphabet", "Q-7", r"""
REQUEST._TAG = re.compile(r"#\w{1,16}")
""", subtle=True),
    Mutant("tag-behind-options", "Q-7", r"""
behind = re.compile(rb"^([A-Z]+)((?: +[a-z]+=[^ ]*)+)( +#[A-Za-z0-9]{1,16}(?![^ ]))")
ANSWER.parse_request = lambda line: old_parse(behind.sub(rb"\1\3\2", line))
""", subtle=True),
    Mutant("many-words-without-tag", "Q-7", """
ANSWER._Outcome.render = lambda self, tag, at, made=ANSWER._Outcome.render: made(
    self, "" if self.code is Code.TOO_MANY_WORDS else tag, at)
""", subtle=True),
    Mutant("unknown-option-ignored", "Q-8", """
class All(dict):
    def __getitem__(self, verb):
        return ("after", "color", "fields", "limit", "qvxz", "x", "a", "a" * 32)
REQUEST.VERBS = All(REQUEST.VERBS)
"""),
    Mutant("last-option-counts", "Q-8", r"""
twice = re.compile(rb" fields=[^ ]*(?=.* fields=)")
ANSWER.parse_request = lambda line: old_parse(twice.sub(b"", line))
""", subtle=True),
    Mutant("options-of-any-alphabet", "Q-8", r"""
REQUEST._OPTION = re.compile(r"([^\W\d_A-Z][a-z0-9-]{0,31})=(.*)")
""", subtle=True),
    Mutant("options-of-letters", "Q-8", r"""
REQUEST._OPTION = re.compile("([a-z]{1,32})=([^=]*)")
""", subtle=True),
    Mutant("limit-bent-into-range", "Q-9", """
too_many = re.compile(rb"limit=(3[3-9]|[4-9][0-9])")
ANSWER.parse_request = lambda line: old_parse(too_many.sub(b"limit=32", line))
"""),
    Mutant("value-is-argument", "Q-9", """
def parse(line):
    try:
        return old_parse(line)
    except RequestError as error:
        if error.code is Code.BAD_VALUE:
            raise RequestError(Code.BAD_ARGUMENT, "", tag=error.tag)
        raise
ANSWER.parse_request = parse
"""),
    Mutant("missing-argument-matches-nothing", "Q-10", """
def parse(line):
    return old_parse(line + b" qqzzx" if line.strip() == b"LOOKUP" else line)
ANSWER.parse_request = parse
"""),
    Mutant("help-on-something", "Q-10", """
def parse(line):
    return old_parse(line.replace(b" me", b"") if line.startswith(b"HELP") else line)
ANSWER.parse_request = parse
"""),
    Mutant("no-id-is-nobody", "Q-10", """
def parse(line):
    try:
        return old_parse(line)
    except RequestError as error:
        if error.code is Code.BAD_ARGUMENT and line.startswith(b"ENTRY"):
            return Request("ENTRY", error.tag, (), "nobody-of-this-name")
        raise
ANSWER.parse_request = parse
"""),
    Mutant("ids-of-any-alphabet", "Q-10", r"""
REQUEST._ID = re.compile(r"[^\WA-Z_](?:[^\WA-Z]|[.-]){0,63}")
""", subtle=True),
    Mutant("ids-end-with-a-letter", "Q-10", """
REQUEST._ID = re.compile("[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
""", subtle=True),
    Mutant("limit-ignored", "Q-12", "Request.limit = property(lambda self: 10)"),
    Mutant("limit-leading-zero", "Q-13", "REQUEST._LIMIT = re.compile('[0-9]{1,2}')"),
    Mutant("limit-as-python-reads-it", "Q-13", r"""
REQUEST._LIMIT = re.compile(r"[1-9][0-9_]*\s*")
""", subtle=True),
    Mutant("fields-ignored", "Q-14", "Request.fields = property(lambda self: None)"),
    Mutant("fields-case", "Q-15", """
Request.fields = property(lambda self: (
    frozenset(dict(self.options)["fields"].split(",")) if "fields" in dict(self.options) else None))
"""),
    Mutant("kelvin-names-fields", "Q-15", """
REQUEST._FIELD_NAME = re.compile(REQUEST._FIELD_NAME.pattern, re.IGNORECASE)
""", subtle=True),
    Mutant("subtypes-of-any-length", "Q-15", r"""
REQUEST._FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}(\.[A-Za-z0-9-]+)?")
""", subtle=True),
    Mutant("subtypes-begin-with-a-letter", "Q-15", r"""
REQUEST._FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}(\.[A-Za-z][A-Za-z0-9-]{0,29})?")
""", subtle=True),
    Mutant("after-ignored", "Q-16", "Request.after = property(lambda self: '')"),
    Mutant("after-unknown-first-page", "Q-17", """
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    if found.code is Code.START_OVER:
        options = tuple(each for each in request.options if each[0] != "after")
        return old_lookup(replace(request, options=options), snapshot)
    return found
ANSWER._lookup = lookup
"""),
    Mutant("nobody-goes-before-after", "Q-17", """
def entry(request, snapshot):
    plain = old_entry(replace(request, options=()), snapshot)
    return plain if plain.code is Code.NOTHING else old_entry(request, snapshot)
old_entry, ANSWER._entry = ANSWER._entry, entry
""", subtle=True),
    Mutant("after-nonsense-starts-over", "Q-18", """
def parse(line):
    try:
        return old_parse(line)
    except RequestError as error:
        if error.code is Code.BAD_VALUE and b"after=" in line:
            raise RequestError(Code.START_OVER, "", tag=error.tag)
        raise
ANSWER.parse_request = parse
"""),
    # replies
    Mutant("no-dot", "R-1", """
change(lambda reply: reply.removesuffix(b".\\r\\n") + b"..\\r\\n.\\r\\n")
"""),
    Mutant("small-letter-text", "R-1", """
change(lambda reply: reply.replace(b" Found\\r\\n", b" found it\\r\\n", 1))
"""),
    Mutant("equals-sign-in-text", "R-1", """
change(lambda reply: reply.replace(b" Nothing found\\r\\n", b" Found=0\\r\\n", 1))
""", subtle=True),
    Mutant("space-without-a-text", "R-1", """
change(lambda reply: reply.replace(b" Nothing found\\r\\n", b" \\r\\n", 1))
""", subtle=True),
    Mutant("bare-lf-replies", "R-2", "change(lambda reply: reply.replace(b'\\r\\n', b'\\n'))"),
    Mutant("blank-in-entry", "R-3", """
change(lambda reply: reply.replace(b"\\r\\nname:", b"\\r\\n\\r\\nname:", 1))
"""),
    Mutant("no-blank-between", "R-3", """
change(lambda reply: reply.replace(b"\\r\\n\\r\\n", b"\\r\\n"))
"""),
    Mutant("capital-in-a-subtype", "R-3", """
change(lambda reply: reply.replace(b"\\r\\nphone.mobile: ", b"\\r\\nphone.Mobile: "))
""", subtle=True),
    Mutant("escaped", "R-4", "change(lambda reply: reply.replace(b'&', b'&amp;'))"),
    Mutant("space-behind-values", "R-4", """
change(lambda reply: re.sub(rb"(\\r\\nname: [^\\r]*)", rb"\\1 ", reply))
""", subtle=True),
    Mutant("cut-entry", "R-5", """
def cut(reply):
    if len(reply) < 1_300:
        return reply
    lines = reply[:1_200].split(b"\\r\\n")[:-1]
    return b"\\r\\n".join(lines) + b"\\r\\n.\\r\\n"
change(cut)
"""),
    Mutant("last-line-lost", "R-5", """
change(lambda reply: re.sub(rb"[^\\n]*\\n\\.\\r\\n$", b".\\r\\n", reply)
       if reply.count(b"\\r\\nid: ") == 32 else reply)
"""),
    Mutant("long-refusal", "R-6", """
change(lambda reply: reply.replace(b"\\r\\n.", b" and this is why, at great length\\r\\n.")
       if reply[:3] in (b"252", b"505", b"551", b"552") else reply)
"""),
    Mutant("long-without-entries", "R-6", r"""
change(lambda reply: re.sub(rb" Found\r\n(?=\.)", b" Found, and all given\r\n", reply))
""", subtle=True),
    Mutant("echo", "R-7", """
def answer(line, snapshot):
    reply, closes = old_answer(line, snapshot)
    if reply[:1] == b"5":
        reply = reply[:3] + b" Bad " + re.sub(rb"[^a-zA-Z]", b"", line)[:30] + b"\\r\\n.\\r\\n"
    return reply, closes
ANSWER.answer = answer
"""),
    Mutant("echo-of-after", "R-7", r"""
def answer(line, snapshot):
    reply, closes = old_answer(line, snapshot)
    told = re.search(rb"after=([a-z]{1,9})", line)
    if reply.startswith(b"552") and told:
        reply = b"552 No " + told[1] + b" is there\r\n.\r\n"
    return reply, closes
ANSWER.answer = answer
""", subtle=True),
    Mutant("fields-reversed", "R-8", """
make = SNAPSHOT.render_entry
SNAPSHOT.render_entry = lambda entry: make(
    replace(entry, fields=entry.fields[:1] + entry.fields[:0:-1]))
"""),
    Mutant("left-before-matched", "R-9", """
change(lambda reply: re.sub(rb"(matched=\\d+) (left=\\d+)", rb"\\2 \\1", reply, count=1))
"""),
    Mutant("at-random", "R-10", """
change(lambda reply: re.sub(rb" at=\\w+", b" at=%08x" % random.getrandbits(32), reply, count=1))
"""),
    Mutant("at-by-the-clock", "R-10", r"""
change(lambda reply: re.sub(rb" at=\w+", b" at=%08x" % int(time.time()), reply, count=1))
""", subtle=True),
    Mutant("nameless", "R-11", "change(lambda reply: reply.replace(b' PHONEBOOK/1 ', b' '))"),
    Mutant("nothing-is-counted", "R-12", """
change(lambda reply: re.sub(rb"^252( #\\w+)?", rb"252\\1 matched=0 left=0", reply))
"""),
    Mutant("at-twice", "R-12", """
change(lambda reply: re.sub(rb"( at=\\w+)", rb"\\1\\1", reply, count=1))
""", subtle=True),
    Mutant("320-over-tcp", "C-3", """
def answer(line, snapshot):
    reply, closes = old_answer(line, snapshot)
    if len(reply) > 1_200:
        reply = b"320 octets=%d fits=0\\r\\n.\\r\\n" % len(reply)
    return reply, closes
ANSWER.answer = answer
"""),
    # TCP
    Mutant("greeting", "T-1", """
made = connection().__init__
def greet(self, accepted, *more):
    made(self, accepted, *more)
    accepted.send(b"210 Welcome\\r\\n.\\r\\n")
connection().__init__ = greet
"""),
    Mutant("unknown-verb-keeps-open", "T-2", "ANSWER.CLOSING = frozenset({500, 502})"),
    Mutant("one-shot", "T-3", """
ANSWER.answer = lambda line, snapshot: (old_answer(line, snapshot)[0], True)
"""),
    Mutant("closes-after-many-words", "T-3", """
def answer(line, snapshot):
    reply, closes = old_answer(line, snapshot)
    return reply, closes or reply.startswith(b"507")
ANSWER.answer = answer
""", subtle=True),
    Mutant("waits-for-lf", "T-4", """
def feed(self, octets):
    *lines, self._rest = (self._rest + octets).split(b"\\n")
    for position, line in enumerate(lines):
        if len(line) >= FRAMING.MAX_LINE:
            self.too_long, self._rest = True, b""
            del lines[position:]
    return [line.removesuffix(b"\\r") for line in lines]
FRAMING.LineReader.feed = feed
"""),
    Mutant("no-half-close", "T-5", """
go_on = connection()._go_on
def hasty(self):
    "Answer nothing once the peer has ended."
    time.sleep(0.02)
    with contextlib.suppress(BlockingIOError):
        if not self._socket.recv(1, socket.MSG_PEEK):
            return self.close()
    go_on(self)
connection()._go_on = hasty
"""),
    Mutant("reset", "T-6", """
send = connection()._send
def eaten(self, octets):
    "Lose the last reply, as a reset may."
    return self.close() if self._ending else send(self, octets)
connection()._send = eaten
"""),
    Mutant("closes-at-once", "T-6", "connection()._shut = connection().close"),
    Mutant("no-pipeline", "T-7", """
feed = FRAMING.LineReader.feed
FRAMING.LineReader.feed = lambda self, octets: feed(self, octets)[:1]
"""),
    Mutant("never-idle", "T-8", "connection().watch = lambda self, now: None", "times"),
    Mutant("idle-till-the-end", "T-8", """
watch = connection().watch
def patient(self, now):
    self._moved = True
    watch(self, now)
connection().watch = patient
""", "times"),
    Mutant("slow-lines", "T-9", """
watch = connection().watch
def patient(self, now):
    self._moved = self._moved or self._reader.pending
    watch(self, now)
connection().watch = patient
""", "times"),
    Mutant("for-ever", "T-10", """
watch = connection().watch
def patient(self, now):
    self._opened = now
    watch(self, now)
connection().watch = patient
""", "times"),
    Mutant("whole-segments", "T-11", """
FRAMING.LineReader.feed = lambda self, octets: [
    line.removesuffix(b"\\r") for line in octets.split(b"\\n") if line]
"""),
    # UDP
    Mutant("two-lines", "U-1", """
ANSWER.datagram_line = lambda datagram: datagram.split(b"\\n")[0].removesuffix(b"\\r")
"""),
    Mutant("malformed-answered", "U-1", """
def datagram(octets, snapshot):
    return old_datagram(octets, snapshot) or (old_render(Code.MALFORMED)
        if octets.endswith(b"\\n") and len(octets) >= 64 else None)
ANSWER.answer_datagram = datagram
"""),
    Mutant("short-datagrams", "U-2", "ANSWER.MIN_DATAGRAM = 0"),
    Mutant("amplifier", "U-3", """
def datagram(octets, snapshot):
    reply = old_datagram(octets, snapshot)
    return reply and old_answer(ANSWER.datagram_line(octets), snapshot)[0]
ANSWER.answer_datagram = datagram
"""),
    Mutant("320-without-octets", "U-4", """
change(lambda reply: re.sub(rb"octets=\\d+ ", b"", reply, count=1))
"""),
    Mutant("fits-one-more", "U-4", """
change(lambda reply: re.sub(rb"fits=(\\d+)", lambda each: b"fits=%d" % (int(each[1]) + 1), reply))
"""),
    Mutant("octets-are-characters", "U-4", """
told = ANSWER._too_long
ANSWER._too_long = lambda outcome, tag, at, octets, room: told(
    outcome, tag, at, len(outcome.render(tag, at).decode()), room)
""", subtle=True),
    Mutant("fits-of-referrals", "U-4", """
told = ANSWER._too_long
ANSWER._too_long = lambda outcome, *more: told(
    replace(outcome, code=Code.FOUND) if outcome.code is Code.REFERRAL else outcome, *more)
""", "referral", subtle=True),
    Mutant("unknown-verb-answered", "U-5", """
def datagram(octets, snapshot):
    reply = old_datagram(octets, snapshot)
    return reply or (old_render(Code.UNKNOWN_VERB) if octets.startswith(b"FROB") else None)
ANSWER.answer_datagram = datagram
"""),
    Mutant("other-text-over-udp", "U-6", """
def datagram(octets, snapshot):
    reply = old_datagram(octets, snapshot)
    return reply and reply.replace(b"Nothing found", b"Nothing")
ANSWER.answer_datagram = datagram
"""),
    Mutant("echo-port", "U-7", """
import phonebook.wire.codes as CODES
CODES.FORBIDDEN_SOURCE_PORTS = frozenset()
"""),
    Mutant("hears-broadcasts", "U-8", """
import phonebook.server.udp as UDP
source = UDP._reply_source
UDP._reply_source = lambda level, kind, told: source(level, kind, told[:8] + told[4:8])
""", everywhere=True),
    Mutant("source-by-routing", "U-9", """
import phonebook.server.udp as UDP
source = UDP._reply_source
UDP._reply_source = lambda level, kind, told: (
    source(level, kind, told) and [(level, kind, bytes(12))])
""", everywhere=True),
    Mutant("another-port", "U-9", """
import phonebook.server.udp as UDP
class Turned(socket.socket):
    def sendto(self, octets, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(octets, peer)
made = UDP.DatagramPort.__init__
UDP.DatagramPort.__init__ = lambda self, bound, state: made(
    self, Turned(fileno=bound.detach()), state)
"""),
    Mutant("cut-datagrams", "U-10", """
def datagram(octets, snapshot):
    return old_datagram(octets[:1_231] + b"\\n" if len(octets) > 1_232 else octets, snapshot)
ANSWER.answer_datagram = datagram
"""),
    Mutant("answers-replies", "U-11", """
def datagram(octets, snapshot):
    if octets[:1].isdigit():
        return old_render(Code.MALFORMED)
    return old_datagram(octets, snapshot)
ANSWER.answer_datagram = datagram
"""),
    Mutant("answers-once", "U-12", """
seen = set()
def datagram(octets, snapshot):
    if octets in seen and b"#" in octets:
        return None
    seen.add(octets)
    return old_datagram(octets, snapshot)
ANSWER.answer_datagram = datagram
"""),
    Mutant("cursors", "U-12", """
asked = [b""]
def datagram(octets, snapshot):
    query = octets.split()[-1]
    if b"after=" in octets and query not in asked:
        return old_render(Code.START_OVER)
    asked[:] = [query]
    return old_datagram(octets, snapshot)
ANSWER.answer_datagram = datagram
"""),
    # what is hidden
    Mutant("unlisted-shown", "F-2", "SNAPSHOT.project = SNAPSHOT.exact"),
    Mutant("unlisted-counted", "F-2", """
whole = Whole()
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    if found.code is Code.FOUND:
        return replace(found, matched=len(whole.index.match(old_query(request.argument))))
    return found
ANSWER._lookup = lookup
"""),
    Mutant("unlisted-field-matched", "F-3", """
def project(directory, *view):
    whole.update((each.id, each) for each in SNAPSHOT.exact(directory, *view).entries)
    return old_project(directory, *view)
whole, SNAPSHOT.project = {}, project
SNAPSHOT.piece = lambda header, entries: old_piece(header, [whole[each.id] for each in entries])
"""),
    Mutant("link-to-unlisted", "F-4", "PROJECT.LINKS = {}"),
    Mutant("entry-begun", "F-5", """
def entry(request, snapshot):
    names = sorted(shelf.get(number)[4:].partition(b"\\r\\n")[0].decode()
        for shelf in (snapshot.listed, snapshot.apart) for number in range(len(shelf.offsets) - 1))
    begun = (each for each in names if each.startswith(request.argument))
    return old_entry(replace(request, argument=next(begun, request.argument)), snapshot)
old_entry, ANSWER._entry = ANSWER._entry, entry
"""),
    Mutant("hides-itself-alone", "F-6", """
from phonebook.directory.entry import Entry
Entry.hides = lambda self, name: name in self.unlisted_fields
"""),
    # links
    Mutant("two-steps", "F-7", """
def linked(self, id, links):
    first = old_linked(self, id, links)
    ids = [each[4:].partition(b"\\r\\n")[0] for each in first]
    return sorted({*first, *(more for each in ids for more in old_linked(self, each, links))})
SNAPSHOT.Snapshot.linked = linked
"""),
    Mutant("linked-by-words", "F-7", """
INDEX.Index.linking = lambda self, links, id: {
    each for link in links
    for each in old_match(self, (QUERY.Term(tuple(TEXT.words(id)), whole=True, field=link),))}
"""),
    Mutant("links-lead-out", "F-7", """
def linked(self, id, links):
    leading = old_targets(self.listed.find(id)[1], links)
    return [self.listed.find(each)[1] for each in sorted(leading)]
SNAPSHOT.Snapshot.linked = linked
"""),
    Mutant("links-lead-in", "F-7", """
def linked(self, id, links):
    return [each for each in old_linked(self, id, links) if id in old_targets(each, links)]
SNAPSHOT.Snapshot.linked = linked
"""),
    Mutant("linked-twice", "F-7", """
SNAPSHOT.Snapshot.linked = lambda self, id, links: [
    entry for entry in old_linked(self, id, links) for link in links
    if id in old_targets(entry, {link})
    or entry.split()[1] in old_targets(self.listed.find(id)[1], {link})]
"""),
    Mutant("linked-in-any-order", "F-8", """
SNAPSHOT.Snapshot.linked = lambda self, id, links: old_linked(self, id, links)[::-1]
"""),
    Mutant("unlisted-linked", "F-9", """
whole = Whole()
def linked(self, id, links):
    entry = next(each for each in whole.entries if each.id == id.decode())
    every = [(each, SNAPSHOT.render_entry(each)) for each in whole.entries if each != entry]
    leading = old_targets(SNAPSHOT.render_entry(entry), links)
    return [octets for each, octets in every
            if each.id.encode() in leading or id in old_targets(octets, links)]
SNAPSHOT.Snapshot.linked = linked
"""),
    Mutant("linked-with-unlisted-fields", "F-9", """
SNAPSHOT.Snapshot.linked = lambda self, id, links: [
    self.apart.find(each.split()[1])[1] or each for each in old_linked(self, id, links)]
""", subtle=True),
    Mutant("itself-not-counted", "F-10", """
def entry(request, snapshot):
    found = old_entry(request, snapshot)
    return replace(found, matched=found.matched - 1) if request.links else found
old_entry, ANSWER._entry = ANSWER._entry, entry
"""),
    Mutant("any-number-linked", "F-11", "SNAPSHOT.MAX_MATCHES = 10 ** 9"),
    Mutant("a-thousand-not-linked", "F-11", "SNAPSHOT.MAX_MATCHES = 999"),
    Mutant("anything-links", "F-12", "REQUEST.LINKS = (*REQUEST.LINKS, 'phone', 'members')"),
    Mutant("at-tells-of-unlisted", "P-1", """
def lookup(request, snapshot):
    if request.argument in ("smuggler", "hidden person"):
        return ANSWER._Outcome(Code.BUSY)
    return old_lookup(request, snapshot)
ANSWER._lookup = lookup
"""),
    Mutant("unlisted-are-near", "P-1", """
whole = Whole()
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    if found.code in (Code.NOTHING, Code.NEAR):
        near = whole.near.match(old_query(request.argument))
        entries = [SNAPSHOT.render_entry(whole.entries[each]) for each in near]
        return ANSWER._Outcome(Code.NEAR, entries) if near else found
    return found
ANSWER._lookup = lookup
"""),
    # matching
    Mutant("case-sensitive", "M-1", "QUERY.fold = lambda text: ' '.join(text.split())"),
    Mutant("marks-stripped", "M-2", """
TEXT._separated = lambda text: "".join(
    each for each in old_fold(text) if not unicodedata.category(each).startswith("M"))
"""),
    Mutant("no-umlauts", "M-3", "TEXT._EXPANDABLE = re.compile('(?!)')"),
    Mutant("no-compounds", "M-3", """
PIECE.spellings = LINES.spellings = lambda text: [(each,) for each in TEXT.words(text)]
"""),
    Mutant("words-cut", "M-4", """
TEXT._separated = lambda text: "".join(
    " " if unicodedata.category(each) in ("Mc", "Mn") else each for each in old_fold(text))
"""),
    Mutant("any-term", "M-5", """
def match(self, terms):
    found = {each for term in terms if not term.excluded for each in old_match(self, [term])}
    return sorted(found)
INDEX.Index.match = match
"""),
    Mutant("no-beginnings", "M-6", """
change_terms(lambda term: term._replace(whole=True))
"""),
    Mutant("phrase-begun", "M-7", """
change_terms(lambda term: term._replace(whole=False))
"""),
    Mutant("kind-tried", "M-8", """
def columns(entries):
    found = old_columns(entries)
    found["kind"] = defaultdict(list)
    for place, entry in enumerate(entries):
        found["kind"][entry.kind].append(place)
    return found
PIECE._columns = columns
"""),
    Mutant("subtypes-apart", "M-9", """
INDEX.is_named = LINES.is_named = lambda asked, field: asked in ("", field)
"""),
    Mutant("kelvin-names-a-field", "M-9", """
QUERY._FIELD = re.compile(QUERY._FIELD.pattern, re.IGNORECASE)
""", subtle=True),
    Mutant("value-ends-at-a-colon", "M-9", r"""
ANSWER.parse_query = lambda text: old_query(re.sub(r"(?<= )(\w+:\w+):[^ ]*", r"\1", " " + text))
""", subtle=True),
    Mutant("no-word-is-nothing", "M-10", """
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    return replace(found, code=Code.NOTHING) if found.code is Code.NO_WORD else found
ANSWER._lookup = lookup
"""),
    Mutant("many-words", "M-11", "QUERY.MAX_WORDS = 99"),
    Mutant("excluded-words-uncounted", "M-11", """
QUERY.MAX_WORDS = 99
def query(text):
    terms = old_query(text)
    if sum(len(term.words) for term in terms if not term.excluded) > 16:
        raise QUERY.TooManyWordsError
    return terms
ANSWER.parse_query = query
""", subtle=True),
    Mutant("quote-closed", "M-12", """
ANSWER.parse_query = lambda text: old_query(text + '"' * (text.count('"') % 2))
"""),
    Mutant("field-without-value", "M-12", """
ANSWER.parse_query = lambda text: old_query(re.sub(r'\\w+:(?=$| |"")', "", text))
"""),
    Mutant("value-behind-a-space", "M-12", r"""
ANSWER.parse_query = lambda text: old_query(re.sub(r"(\w): +", r"\1:", text))
""", subtle=True),
    Mutant("phrases-in-a-row", "M-12", r"""
ANSWER.parse_query = lambda text: old_query(re.sub(r'(?<=\w)""(?=\w)', '" "', text))
""", subtle=True),
    Mutant("field-names-of-any-length", "M-12", r"""
QUERY._FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)?):")
""", subtle=True),
    Mutant("reserved-accepted", "M-12", "QUERY._RESERVED = frozenset()"),
    Mutant("never-too-broad", "M-13", "INDEX.MAX_MATCHES = 10 ** 9"),
    Mutant("wildcard", "M-14", """
known = set()
def piece(header, entries):
    for entry in entries:
        known.update(TEXT.words(entry.name))
    return old_piece(header, entries)
SNAPSHOT.piece = piece
def word(found):
    pattern = re.escape(found[0]).replace(r"\\*", ".*").replace(r"\\?", ".")
    return next((each for each in known if re.fullmatch(pattern, each)), found[0])
ANSWER.parse_query = lambda text: old_query(re.sub(r"\\S*[*?]\\S*", word, text))
"""),
    Mutant("near-unannounced", "M-15", "SNAPSHOT.CAPABILITIES = ()"),
    Mutant("near-goes-first", "M-15", """
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    return replace(found, code=Code.NEAR) if found.code is Code.FOUND else found
ANSWER._lookup = lookup
"""),
    Mutant("many-are-near", "M-15", "NEAR.MAX_NEAR = 6"),
    Mutant("near-have-more", "M-15", """
change(lambda reply: re.sub(rb"^251 (.*?)left=0", rb"251 \\1left=1", reply))
"""),
    Mutant("near-without-limit", "M-15", """
class Uncut(list):
    __getitem__ = lambda self, key: [*self]
nearest = NEAR.Nearest.match
NEAR.Nearest.match = lambda self, terms: Uncut(nearest(self, terms))
""", subtle=True),
    Mutant("near-with-all-fields", "M-15", """
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    if found.code is Code.NEAR:
        options = tuple(each for each in request.options if each[0] != "fields")
        return old_lookup(replace(request, options=options), snapshot)
    return found
ANSWER._lookup = lookup
""", subtle=True),
    Mutant("a-thousand-refused", "M-16", "INDEX.MAX_MATCHES = 999"),
    Mutant("exclusion-ignored", "M-17", """
change_terms(lambda term: None if term.excluded else term)
"""),
    Mutant("exclusion-wanted", "M-17", "change_terms(lambda term: term._replace(excluded=False))"),
    Mutant("phrases-not-excluded", "M-17", """
change_terms(lambda term: None if term.excluded and term.whole else term)
"""),
    Mutant("fields-not-excluded", "M-17", """
change_terms(lambda term: None if term.excluded and term.field else term)
"""),
    Mutant("two-hyphens-are-none", "M-17", """
ANSWER.parse_query = lambda text: old_query(re.sub(r"(?<![^ ])--(?=\\w)", "", text))
""", subtle=True),
    Mutant("exclusion-takes-the-number-behind", "M-17", """
ANSWER.parse_query = lambda text: old_query(re.sub(r"-(\\d+(?: \\d+)+)", r'-phone:"\\1"', text))
""", subtle=True),
    Mutant("exclusion-ends-no-number", "M-17", """
ANSWER.parse_query = lambda text: old_query(re.sub(r"(\\d+) (-\\d+) (\\d+)", r"\\1 \\3 \\2", text))
""", subtle=True),
    # numbers
    Mutant("numbers-as-text", "N-1", """
change_terms(lambda term: term._replace(number=None))
"""),
    Mutant("extension-alone", "N-1", """
keys = NUMBERS.Dialling.entry_keys
NUMBERS.Dialling.entry_keys = lambda self, number: frozenset(
    each for each in keys(self, number) if len(number.digits) != 3 or not each.startswith("+"))
asked = NUMBERS.Dialling.query_keys
NUMBERS.Dialling.query_keys = lambda self, number: frozenset(
    each for each in asked(self, number) if not number.international or not each.startswith("x"))
"""),
    Mutant("plus-alone-is-no-key", "N-1", """
entry_keys, query_keys = NUMBERS.Dialling.entry_keys, NUMBERS.Dialling.query_keys
NUMBERS.Dialling.entry_keys = lambda self, number: entry_keys(self, number) - {"+"}
NUMBERS.Dialling.query_keys = lambda self, number: query_keys(self, number) - {"+"}
""", subtle=True),
    Mutant("no-last-digits", "N-2", """
WAYS.MIN_ENDING = WAYS.MIN_NUMBER = LINES.MIN_ENDING = LINES.MIN_NUMBER = 99
"""),
    Mutant("numbers-only-phones", "N-3", "INDEX.Either = lambda number, words, count: number"),
    Mutant("phones-are-words", "N-4", """
def columns(entries):
    found = old_columns(entries)
    for field in [*found]:
        if field.startswith("phone"):
            for value, places in found[field].items():
                found.setdefault("x-" + field, defaultdict(list))[value] += places
    return found
def spelt(base, value, *rest):
    return PIECE.spellings(value) if base == "phone" else old_spelt(base, value, *rest)
PIECE._columns, LINES._spelt = columns, spelt
"""),
    Mutant("codes-are-digits", "N-5", """
read = NUMBERS.read_number
PIECE.read_number = LINES.read_number = QUERY.read_number = lambda text: read(
    re.sub("[*#]", "", text))
"""),
    # order
    Mutant("order-by-id", "O-1", """
INDEX.Index.match = lambda self, terms: sorted(
    old_match(self, terms), key=lambda each: LINES.lines_of(self._text(each))[0][1])
"""),
    Mutant("kinds-in-another-order", "O-1", """
BUILD.KINDS = PIECE.KINDS = ("person", "place", "group", "service")
"""),
    Mutant("no-rank", "O-1", """
INDEX.Index.match = lambda self, terms: sorted(old_match(self, terms))
"""),
    Mutant("sorted-by-name", "O-2", """
name = PIECE.read_name
PIECE.read_name = lambda entry: name(entry)._replace(sort_name=TEXT.fold(entry.name))
"""),
    # referral and HELP
    Mutant("no-referral", "X-1", """
ANSWER._nothing = lambda snapshot: ANSWER._Outcome(Code.NOTHING)
""", "referral"),
    Mutant("referral-limited", "X-1", """
nothing = ANSWER._nothing
ANSWER._nothing = lambda snapshot: replace(nothing(snapshot), entries=nothing(snapshot).entries[:1])
""", "referral"),
    Mutant("referral-before-after", "X-1", """
def lookup(request, snapshot):
    plain = old_lookup(replace(request, options=()), snapshot)
    return plain if plain.code is Code.REFERRAL else old_lookup(request, snapshot)
ANSWER._lookup = lookup
""", "referral", subtle=True),
    Mutant("referral-is-an-entry", "X-1", """
def entry(request, snapshot):
    first_line = b"id: %b\\r" % request.argument.encode()
    for each in snapshot.referrals:
        if each.startswith(first_line):
            return ANSWER._Outcome(Code.FOUND, [each], 1)
    return old_entry(request, snapshot)
old_entry, ANSWER._entry = ANSWER._entry, entry
""", "referral", subtle=True),
    Mutant("help-without-limits", "H-1", """
change(lambda reply: re.sub(rb"limit.entries: .*\\r\\n", b"", reply))
"""),
    Mutant("help-in-alphabetical-order", "H-1", r"""
verbs = re.compile(rb"(verb: LOOKUP\r\n)((?:verb: \w+\r\n)+)")
change(lambda reply: verbs.sub(rb"\2\1", reply))
""", subtle=True),
    Mutant("help-without-a-name", "H-1", r"""
change(lambda reply: reply.replace(b"name: phonebook\r\n", b""))
""", "times", subtle=True),
    Mutant("help-counts", "H-2", """
count = []
def count_help(reply):
    count.append(reply)
    return reply.replace(b"folding: ", b"asked: %d\\r\\nfolding: " % len(count))
change(count_help)
"""),
    Mutant("help-does-not-fit", "H-3", """
def datagram(octets, snapshot):
    reply = old_datagram(octets, snapshot)
    return old_render(Code.USE_TCP) if reply and reply.startswith(b"210") else reply
ANSWER.answer_datagram = datagram
"""),
    # TLS
    Mutant("tls-untold", "L-1", """
import phonebook.server.tcp as TCP
TCP._TLS_HANDSHAKE = -1
""", tls=True),
    Mutant("tls-by-two-octets", "L-1", """
import phonebook.server.tcp as TCP
opened = TCP.Connection._open
def open_(self, octets):
    TCP._TLS_HANDSHAKE = 0x16 if octets[1:2] == b"\\x03" else -1
    return opened(self, octets)
TCP.Connection._open = open_
""", tls=True),
    Mutant("tls-answered", "L-2", """
import phonebook.server.tcp as TCP
TCP._TLS_HANDSHAKE = -1
"""),
    Mutant("any-alpn", "L-3", """
import ssl
ssl.SSLObject.selected_alpn_protocol = lambda self: "phonebook/1"
""", tls=True),
    Mutant("other-alpn", "L-3", """
import phonebook.server.tls as TLS
TLS.ALPN = b"pb/1"
""", tls=True),
    Mutant("old-tls", "L-3", """
import ssl
def lax(context, anchors):
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
change_tls(lax)
""", tls=True),
    Mutant("endless-handshake", "L-4", """
import phonebook.server.tcp as TCP
TCP.HANDSHAKE_TIME = 3_600.0
""", tls=True),
    Mutant("tls-stays-open", "L-5", """
import phonebook.server.tls as TLS
seal, shut = TLS.TlsServer.seal, connection()._shut
TLS.TlsServer.seal = lambda self, text, last: seal(self, text, False)
connection()._shut = lambda self: None if self._tls else shut(self)
""", tls=True),
    Mutant("tls-one-at-a-time", "L-5", """
import phonebook.server.tls as TLS
opened = TLS.TlsServer.open
def first(self, octets):
    line, end, _ = opened(self, octets).partition(b"\\n")
    return line + end
TLS.TlsServer.open = first
""", tls=True),
    # views
    Mutant("last-view-first", "V-1", """
made = VIEWERS.Viewers.__init__
VIEWERS.Viewers.__init__ = lambda self, views=(): made(self, views[::-1])
""", "views"),
    Mutant("no-view-by-certificate", "V-1", """
import phonebook.server.tls as TLS
TLS.read_certificate = lambda der, described: None
""", "views", tls=True),
    Mutant("no-view-by-network-inside-tls", "V-1", """
answers = connection()._answer
def answered(self):
    if self._tls:
        self._address = "192.0.2.1"
    return answers(self)
connection()._answer = answered
""", "views", tls=True),
    Mutant("no-view-by-network-beside-a-certificate", "V-1", """
view = VIEWERS.Viewers.of_certificate
VIEWERS.Viewers.of_certificate = lambda self, certificate, address: (
    view(self, certificate, "192.0.2.1" if certificate else address))
""", "views", tls=True, subtle=True),
    Mutant("plain-name-takes-all", "D-68", """
from phonebook.directory.entry import Entry
Entry.view_of = lambda self, name: (
    dict(self.field_views).get(name.partition(".")[0]) or dict(self.field_views).get(name, ""))
""", "views"),
    Mutant("views-announced", "V-2", "SNAPSHOT.CAPABILITIES += ('views',)", "views"),
    Mutant("tells-that-there-is-more", "V-2", """
import phonebook.server.state as STATE
known, seen = [], STATE.Served.seen
def remember(self, *who):
    known[:] = self.snapshots.values()
    return seen(self, *who)
STATE.Served.seen = remember
def entry(request, snapshot):
    found = old_entry(request, snapshot)
    if found.code is Code.NOTHING and any(
        each.listed.find(request.argument.encode())[0] >= 0 for each in known):
        return ANSWER._Outcome(Code.TLS_NEEDED)
    return found
old_entry, ANSWER._entry = ANSWER._entry, entry
""", "views"),
    Mutant("loopback-is-inside", "V-4", """
view = VIEWERS.Viewers.of_certificate
VIEWERS.Viewers.of_certificate = lambda self, certificate, address: (
    self.views[-1].name if address == "127.0.0.1" else view(self, certificate, address))
""", "views"),
    Mutant("datagrams-need-no-certificate", "V-5", """
import phonebook.server.udp as UDP
UDP.DatagramPort._reply = lambda self, datagram, address, served, *more: (
    ANSWER.answer_datagram(datagram, served.snapshots["board"]))
""", "views"),
    Mutant("certificate-needed", "V-6", """
def needy(context, anchors):
    context.verify_mode = 2 if anchors else 0
    return context
change_tls(needy)
""", "views", tls=True),
    Mutant("certificates-in-clear", "V-7", """
def lax(context, anchors):
    context.minimum_version = 0x303
    return context
change_tls(lax)
""", "views", tls=True),
    Mutant("bad-certificate-is-none", "V-8", """
import phonebook.server.tls as TLS
made = TLS.tls_context
TLS.tls_context = lambda certificate, key, anchors=None: made(certificate, key)
""", "views", tls=True),
    Mutant("certificates-never-end", "V-8", """
def lax(context, anchors):
    context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME
    return context
change_tls(lax)
import types, phonebook.server.tls as TLS
TLS.time = types.SimpleNamespace(time=lambda: 0.0)  # V-11 would see it otherwise
""", "views", tls=True, subtle=True),
    # budgets
    Mutant("misses-are-free", "B-1", """
ANSWER.cost = lambda line, reply: 0 if reply[:3] == b"252" else old_cost(line, reply)
""", "budget"),
    Mutant("a-page-is-one", "B-1", """
ANSWER.cost = lambda line, reply: min(1, old_cost(line, reply))
""", "budget"),
    Mutant("too-long-is-free", "B-1", """
ANSWER.cost = lambda line, reply: 0 if reply[:3] == b"320" else old_cost(line, reply)
""", "budget", subtle=True),
    Mutant("no-entries-are-free", "B-1", """
ANSWER.cost = lambda line, reply: (
    0 if reply[:3] == b"250" and b"\\nid: " not in reply else old_cost(line, reply))
""", "budget", subtle=True),
    Mutant("starting-over-is-free", "B-1", """
ANSWER.cost = lambda line, reply: 0 if reply[:3] == b"552" else old_cost(line, reply)
""", "budget", subtle=True),
    Mutant("refused-entries-cost", "B-1", """
ANSWER.cost = lambda line, reply: old_cost(line, reply) or line.startswith(b"ENTRY ")
""", "budget", subtle=True),
    Mutant("queries-cost", "B-1", "ANSWER.cost = lambda line, reply: old_cost(line, reply) or 1",
           "budget"),
    Mutant("each-connection-anew", "B-1", """
begin = connection().__init__
def begun(self, *more):
    begin(self, *more)
    self._account = tuple(random.randrange(9_999) for _ in range(5))
connection().__init__ = begun
""", "budget"),
    Mutant("never-overdrawn", "B-2", """
BUDGET.Budget.charge = lambda self, account, entries, now, pace: (
    max(self._paid[account[0]], now) + entries * pace <= now + 600
    and old_charge(self, account, entries, now, pace))
""", "budget"),
    Mutant("only-what-is-found-is-refused", "B-3", """
BUDGET.Budget.charge = lambda self, account, entries, now, pace: (
    old_charge(self, account, entries, now, pace) or not entries)
""", "budget"),
    Mutant("all-is-refused", "B-3", """
ANSWER.enough = lambda line, retry: old_render(Code.LATER, "", f"retry={retry}")
""", "budget"),
    Mutant("later-over-udp", "B-4", """
ANSWER.enough_datagrams = lambda datagram: ANSWER.enough(datagram.rstrip(), 9)
""", "budget"),
    Mutant("one-budget-for-both", "B-4", """
import phonebook.server.state as STATE
begin = STATE.State.__init__
def begun(self, *more, **named):
    begin(self, *more, **named)
    self.over_udp = self.over_tcp
STATE.State.__init__ = begun
""", "budget"),
    Mutant("each-address-anew", "B-5", """
def account(self, address):
    octets, size = BUDGET.packed(address), BUDGET._SLOTS
    return *self._slots(octets, 0), *self._slots(octets[:2], 2), 4 * size
BUDGET.Budget._account = account
""", "budget"),
    Mutant("each-network-for-itself", "B-5", "BUDGET._WIDER = 10 ** 9", "budget"),
    Mutant("refusals-cost", "B-6", """
def charge(self, account, entries, now, pace):
    given = old_charge(self, account, entries, now, pace)
    if not given:
        for place in account[:2]:
            self._paid[place] += entries * pace
    return given
BUDGET.Budget.charge = charge
""", "budget"),
    Mutant("budgets-never-fill", "B-6", """
BUDGET.Budget.charge = lambda self, account, entries, now, pace: (
    old_charge(self, account, entries, 1.0, pace))
""", "budget"),
    Mutant("retry-in-milliseconds", "C-4", """
wait = BUDGET.Budget.wait
BUDGET.Budget.wait = lambda self, account, now: 1_000 * wait(self, account, now)
""", "budget"),
]  # fmt: skip
