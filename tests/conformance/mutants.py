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


# what every patch may use; modules in capitals, wrappers around what the service answers
PRELUDE = """
import random, re, unicodedata
from dataclasses import replace
import phonebook.directory.index as INDEX
import phonebook.directory.numbers as NUMBERS
import phonebook.directory.project as PROJECT
import phonebook.directory.query as QUERY
import phonebook.directory.text as TEXT
import phonebook.service.answer as ANSWER
import phonebook.service.snapshot as SNAPSHOT
import phonebook.wire.framing as FRAMING
import phonebook.wire.request as REQUEST
from phonebook.wire import Code, RequestError, Request, render

old_answer, old_datagram = ANSWER.answer, ANSWER.answer_datagram
old_parse, old_query, old_render = ANSWER.parse_request, ANSWER.parse_query, ANSWER.render
old_lookup, old_match, old_fold = ANSWER._lookup, INDEX.Index.match, TEXT._separated
old_lines = INDEX._read_lines

def change(octets):
    "Put what a function makes of a reply in its place, over both transports."
    def answer(line, snapshot):
        reply, closes = old_answer(line, snapshot)
        return octets(reply), closes
    def datagram(datagram, snapshot):
        reply = old_datagram(datagram, snapshot)
        return reply and octets(reply)
    ANSWER.answer, ANSWER.answer_datagram = answer, datagram

def conversation():
    from phonebook.server.tcp import Conversation
    return Conversation

def near(entries, answers):
    "Announce near, and give so many entries with 251 in place of what `answers` tells."
    rendered = ANSWER._Outcome.render
    def render_near(self, tag, at, count=None):
        if self.code is Code.NEAR:
            parameters = f"matched={len(self.entries)} left=0 at={at}"
            return old_render(Code.NEAR, tag, parameters, self.entries)
        return rendered(self, tag, at, count)
    def lookup(request, snapshot):
        found = old_lookup(request, snapshot)
        if found.code is answers:
            return replace(found, code=Code.NEAR, entries=snapshot.rendered[:entries])
        return found
    ANSWER._Outcome.render, ANSWER._lookup = render_near, lookup
    change(lambda reply: reply.replace(b"transport:", b"capability: near\\r\\ntransport:", 1))
"""

# No mutant: C-4 (no case can make a server busy), X-2 (what a server asks others shows at those),
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
    Mutant("padding-is-text", "Q-6", """
def parse(line):
    if line.endswith(b" "):
        raise RequestError(Code.BAD_ARGUMENT, "")
    return old_parse(line)
ANSWER.parse_request = parse
"""),
    Mutant("no-tag", "Q-7", """
ANSWER.render = lambda code, tag="", *more: old_render(code, "", *more)
"""),
    Mutant("unknown-option-ignored", "Q-8", """
class All(dict):
    def __getitem__(self, verb):
        return ("after", "color", "fields", "limit", "qvxz", "x", "a", "a" * 32)
REQUEST.VERBS = All(REQUEST.VERBS)
"""),
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
    Mutant("limit-ignored", "Q-12", "Request.limit = property(lambda self: 10)"),
    Mutant("limit-leading-zero", "Q-13", "REQUEST._LIMIT = re.compile('[0-9]{1,2}')"),
    Mutant("fields-ignored", "Q-14", "Request.fields = property(lambda self: None)"),
    Mutant("fields-case", "Q-15", """
Request.fields = property(lambda self: (
    frozenset(dict(self.options)["fields"].split(",")) if "fields" in dict(self.options) else None))
"""),
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
    Mutant("bare-lf-replies", "R-2", "change(lambda reply: reply.replace(b'\\r\\n', b'\\n'))"),
    Mutant("blank-in-entry", "R-3", """
change(lambda reply: reply.replace(b"\\r\\nname:", b"\\r\\n\\r\\nname:", 1))
"""),
    Mutant("no-blank-between", "R-3", """
change(lambda reply: reply.replace(b"\\r\\n\\r\\n", b"\\r\\n"))
"""),
    Mutant("escaped", "R-4", "change(lambda reply: reply.replace(b'&', b'&amp;'))"),
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
    Mutant("echo", "R-7", """
def answer(line, snapshot):
    reply, closes = old_answer(line, snapshot)
    if reply[:1] == b"5":
        reply = reply[:3] + b" Bad " + re.sub(rb"[^a-zA-Z]", b"", line)[:30] + b"\\r\\n.\\r\\n"
    return reply, closes
ANSWER.answer = answer
"""),
    Mutant("fields-reversed", "R-8", """
make = SNAPSHOT.render_entry
def reverse(entry, fields=None):
    return make(replace(entry, fields=entry.fields[:1] + entry.fields[:0:-1]), fields)
SNAPSHOT.render_entry = ANSWER.render_entry = reverse
"""),
    Mutant("left-before-matched", "R-9", """
change(lambda reply: re.sub(rb"(matched=\\d+) (left=\\d+)", rb"\\2 \\1", reply, count=1))
"""),
    Mutant("at-random", "R-10", """
change(lambda reply: re.sub(rb" at=\\w+", b" at=%08x" % random.getrandbits(32), reply, count=1))
"""),
    Mutant("nameless", "R-11", "change(lambda reply: reply.replace(b' PHONEBOOK/1 ', b' '))"),
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
made = conversation().connectionMade
def greet(self):
    made(self)
    self.transport.write(b"210 Welcome\\r\\n.\\r\\n")
conversation().connectionMade = greet
"""),
    Mutant("unknown-verb-keeps-open", "T-2", "ANSWER.CLOSING = frozenset({500, 502})"),
    Mutant("one-shot", "T-3", """
ANSWER.answer = lambda line, snapshot: (old_answer(line, snapshot)[0], True)
"""),
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
conversation().readConnectionLost = lambda self: self.transport.abortConnection()
"""),
    Mutant("reset", "T-6", "conversation()._close = lambda self: self.transport.abortConnection()"),
    Mutant("closes-at-once", "T-6", """
conversation()._close = lambda self: (
    self.transport.unregisterProducer(), self.transport.loseConnection())
"""),
    Mutant("no-pipeline", "T-7", """
feed = FRAMING.LineReader.feed
FRAMING.LineReader.feed = lambda self, octets: feed(self, octets)[:1]
"""),
    Mutant("never-idle", "T-8", "conversation().watch = lambda self: None", "times"),
    Mutant("idle-till-the-end", "T-8", """
watch = conversation().watch
def patient(self):
    self._active = self._clock.seconds()
    watch(self)
conversation().watch = patient
""", "times"),
    Mutant("slow-lines", "T-9", """
watch = conversation().watch
def patient(self):
    self._line_began = None
    if self._reader.pending:
        self._active = self._clock.seconds()
    watch(self)
conversation().watch = patient
""", "times"),
    Mutant("for-ever", "T-10", """
watch = conversation().watch
def patient(self):
    self._opened = self._clock.seconds()
    watch(self)
conversation().watch = patient
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
UDP._reply_source = lambda ancillary: source([
    (level, kind, value[:8] + value[4:8]) for level, kind, value in ancillary])
""", everywhere=True),
    Mutant("source-by-routing", "U-9", """
import phonebook.server.udp as UDP
source = UDP._reply_source
UDP._reply_source = lambda ancillary: source(ancillary) and (*source(ancillary)[:2], bytes(12))
""", everywhere=True),
    Mutant("another-port", "U-9", """
import socket
import phonebook.server.udp as UDP
class Turned(socket.socket):
    def sendmsg(self, parts, ancillary, flags, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"".join(parts), peer)
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
asked = set()
def datagram(octets, snapshot):
    query = octets.split()[-1]
    if b"after=" in octets and query not in asked:
        return old_render(Code.START_OVER)
    asked.add(query)
    return old_datagram(octets, snapshot)
ANSWER.answer_datagram = datagram
"""),
    # what is hidden
    Mutant("unlisted-shown", "F-2", "SNAPSHOT.project = SNAPSHOT.exact"),
    Mutant("unlisted-counted", "F-2", """
made = SNAPSHOT.Snapshot.__init__
def make(self, directory, terms):
    made(self, directory, terms)
    self.whole = INDEX.Index(SNAPSHOT.exact(directory))
SNAPSHOT.Snapshot.__init__ = make
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    if found.code is Code.FOUND:
        count = len(snapshot.whole.match(old_query(request.argument)))
        return replace(found, matched=count)
    return found
ANSWER._lookup = lookup
"""),
    Mutant("unlisted-field-matched", "F-3", """
hidden = SNAPSHOT.project
def project(directory):
    listed = {each.id for each in hidden(directory).entries}
    whole = SNAPSHOT.exact(directory)
    return replace(whole, entries=tuple(each for each in whole.entries if each.id in listed))
SNAPSHOT.project = project
"""),
    Mutant("link-to-unlisted", "F-4", "PROJECT.LINKS = {}"),
    Mutant("entry-begun", "F-5", """
def entry(request, snapshot):
    for name in sorted(snapshot.exact):
        if name.startswith(request.argument):
            return old_entry(replace(request, argument=name), snapshot)
    return old_entry(request, snapshot)
old_entry, ANSWER._entry = ANSWER._entry, entry
"""),
    Mutant("hides-itself-alone", "F-6", """
from phonebook.directory.entry import Entry
Entry.hides = lambda self, name: name in self.unlisted_fields
"""),
    Mutant("at-tells-of-unlisted", "P-1", """
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    if found.code is Code.NOTHING and request.argument in ("smuggler", "hidden person"):
        return replace(found, code=Code.BUSY)
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
INDEX.spellings = lambda text: [(each,) for each in TEXT.words(text)]
"""),
    Mutant("words-cut", "M-4", """
TEXT._separated = lambda text: "".join(
    " " if unicodedata.category(each) in ("Mc", "Mn") else each for each in old_fold(text))
"""),
    Mutant("any-term", "M-5", """
def match(self, terms):
    found = {each for term in terms for each in old_match(self, [term])}
    return sorted(found)
INDEX.Index.match = match
"""),
    Mutant("no-beginnings", "M-6", """
ANSWER.parse_query = lambda text: tuple(replace(each, whole=True) for each in old_query(text))
"""),
    Mutant("phrase-begun", "M-7", """
ANSWER.parse_query = lambda text: tuple(replace(each, whole=False) for each in old_query(text))
"""),
    Mutant("kind-tried", "M-8", """
INDEX._read_lines = lambda name, entry: (
    *old_lines(name, entry), INDEX._line("kind", entry.kind, 3))
"""),
    Mutant("subtypes-apart", "M-9", "INDEX._is_named = lambda asked, field: asked in ('', field)"),
    Mutant("no-word-is-nothing", "M-10", """
def lookup(request, snapshot):
    found = old_lookup(request, snapshot)
    return replace(found, code=Code.NOTHING) if found.code is Code.NO_WORD else found
ANSWER._lookup = lookup
"""),
    Mutant("many-words", "M-11", "QUERY.MAX_WORDS = 99"),
    Mutant("minus-accepted", "M-12", """
ANSWER.parse_query = lambda text: old_query(re.sub(r"(^| )-(?=\\w)", r"\\1", text))
"""),
    Mutant("reserved-accepted", "M-12", "QUERY._RESERVED = frozenset()"),
    Mutant("never-too-broad", "M-13", "INDEX.MAX_MATCHES = 10 ** 9"),
    Mutant("wildcard", "M-14", """
known = set()
spell = INDEX.spellings
def spellings(text):
    found = spell(text)
    known.update(each for word in found for each in word)
    return found
INDEX.spellings = spellings
def word(found):
    pattern = re.escape(found[0]).replace(r"\\*", ".*").replace(r"\\?", ".")
    return next((each for each in known if re.fullmatch(pattern, each)), found[0])
ANSWER.parse_query = lambda text: old_query(re.sub(r"\\S*[*?]\\S*", word, text))
"""),
    Mutant("near-unannounced", "M-15", """
near(1, Code.NOTHING)
ANSWER.answer, ANSWER.answer_datagram = old_answer, old_datagram  # HELP is silent of it
"""),
    Mutant("near-goes-first", "M-15", "near(3, Code.FOUND)"),
    Mutant("many-are-near", "M-15", "near(6, Code.NOTHING)"),
    # numbers
    Mutant("numbers-as-text", "N-1", "INDEX.Index._match_number = lambda self, term, number: {}"),
    Mutant("extension-alone", "N-1", """
keys = NUMBERS.Dialling.entry_keys
NUMBERS.Dialling.entry_keys = lambda self, number: frozenset(
    each for each in keys(self, number) if len(number.digits) != 3 or not each.startswith("+"))
asked = NUMBERS.Dialling.query_keys
NUMBERS.Dialling.query_keys = lambda self, number: frozenset(
    each for each in asked(self, number) if not number.international or not each.startswith("x"))
"""),
    Mutant("no-last-digits", "N-2", "INDEX._MIN_ENDING = INDEX._MIN_NUMBER = 99"),
    Mutant("numbers-only-phones", "N-3", """
words = INDEX.Index._match_words
INDEX.Index._match_words = lambda self, term: {} if term.number else words(self, term)
"""),
    Mutant("phones-are-words", "N-4", """
INDEX._read_lines = lambda name, entry: (*old_lines(name, entry), *(
    INDEX._line(field, value, 3) for field, values in entry.fields
    if field.startswith("phone") for value in values))
"""),
    Mutant("codes-are-digits", "N-5", """
read = NUMBERS.read_number
INDEX.read_number = QUERY.read_number = lambda text: read(re.sub("[*#]", "", text))
"""),
    # order
    Mutant("order-by-id", "O-1", """
INDEX.Index.match = lambda self, terms: sorted(
    old_match(self, terms), key=lambda each: self.entries[each].id)
"""),
    Mutant("kinds-in-another-order", "O-1", """
INDEX._KINDS = ("person", "place", "group", "service")
"""),
    Mutant("no-rank", "O-1", """
INDEX.Index.match = lambda self, terms: sorted(old_match(self, terms))
"""),
    Mutant("sorted-by-name", "O-2", """
name = INDEX.read_name
INDEX.read_name = lambda entry: replace(name(entry), sort_name=TEXT.fold(entry.name))
"""),
    # referral and HELP
    Mutant("no-referral", "X-1", """
from phonebook.service.answer import _Outcome
ANSWER._nothing = lambda snapshot: _Outcome(Code.NOTHING)
""", "referral"),
    Mutant("referral-limited", "X-1", """
nothing = ANSWER._nothing
ANSWER._nothing = lambda snapshot: replace(nothing(snapshot), entries=nothing(snapshot).entries[:1])
""", "referral"),
    Mutant("help-without-limits", "H-1", """
change(lambda reply: re.sub(rb"limit.entries: .*\\r\\n", b"", reply))
"""),
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
from phonebook.server import factory
factory._TLS_HANDSHAKE = -1
""", tls=True),
    Mutant("tls-by-two-octets", "L-1", """
from phonebook.server import factory
received = factory.FirstOctet.dataReceived
def receive(self, octets):
    factory._TLS_HANDSHAKE = 0x16 if octets[1:2] == b"\\x03" else -1
    received(self, octets)
factory.FirstOctet.dataReceived = receive
""", tls=True),
    Mutant("tls-answered", "L-2", """
from phonebook.server import factory
factory._TLS_HANDSHAKE = -1
"""),
    Mutant("any-alpn", "L-3", """
conversation().handshakeCompleted = lambda self: setattr(self, "_handshaken", True)
""", tls=True),
    Mutant("other-alpn", "L-3", """
import phonebook.server.main as MAIN
MAIN.ALPN = b"pb/1"
""", tls=True),
    Mutant("old-tls", "L-3", """
import twisted.internet.ssl as SSL
class Lax(SSL.CertificateOptions):
    def __init__(self, raiseMinimumTo, **more):
        super().__init__(insecurelyLowerMinimumTo=SSL.TLSVersion.TLSv1_0, **more)
        self._cipherString = "ALL:@SECLEVEL=0"
SSL.CertificateOptions = Lax
""", tls=True),
    Mutant("endless-handshake", "L-4", """
import phonebook.server.tcp as TCP
TCP.HANDSHAKE_TIME = 3_600.0
""", tls=True),
    Mutant("tls-stays-open", "L-5", """
close = conversation()._close
conversation()._close = lambda self: None if self._tls else close(self)
""", tls=True),
    Mutant("tls-one-at-a-time", "L-5", """
received = conversation().dataReceived
def receive(self, octets):
    received(self, octets.partition(b"\\n")[0] + b"\\n" if self._tls else octets)
conversation().dataReceived = receive
""", tls=True),
]  # fmt: skip
