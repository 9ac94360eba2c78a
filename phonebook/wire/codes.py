"""The protocol's numbers and names: reply codes, verbs, options, limits, each once.

Implements the tables of spec/phonebook.md, sections 3, 5, 7, 8 and 12, in the spec's order; a test
compares them.
"""

from enum import IntEnum

PROTOCOL = "PHONEBOOK/1"
ALPN = b"phonebook/1"
PORT = 767
FOLDING = "15.1.0"  # the Unicode version of the folding table

MAX_LINE = 1_232  # octets of a request line with its end, and of a datagram
MIN_DATAGRAM = 64  # octets
PADDED = 1_200  # octets, what a client pads a datagram to
MAX_BARE_REPLY = 64  # octets of a reply without entries
MAX_TAG = 16  # letters and digits
MAX_ENTRIES = 32  # in a reply
DEFAULT_ENTRIES = 10
MAX_ID = 64  # octets
MAX_REPLY_LINE = 2_048  # octets, what a client bears
MAX_REPLY = 270_336  # octets, what a client bears
MAX_PENDING_REQUESTS = 64
MAX_PENDING_OCTETS = 262_144
LINGER_TIME = 2.0  # seconds
LINGER_OCTETS = 65_536
HANDSHAKE_TIME = 10.0  # seconds
IDLE_TIME = 60  # seconds
REQUEST_TIME = 10  # seconds
CONNECTION_TIME = 3_600  # seconds
ENTRIES_PER_MINUTE = 120  # for a network
BUDGET_TIME = 600  # seconds: what is given at once, at most, is what so many bring
MAX_RETRY = 3_600  # seconds

# UDP services that answer anything (qotd, daytime, chargen, ...) and port 0
FORBIDDEN_SOURCE_PORTS = frozenset({0, 7, 13, 17, 19})

VERBS: dict[str, tuple[str, ...]] = {
    "LOOKUP": ("after", "fields", "limit"),
    "ENTRY": ("fields", "links"),
    "HELP": (),
}
"""Each verb with the options that it takes."""

WITH_LINKS = ("after", "limit")
"""The options that `links` brings with it."""

OPTIONS = ("after", "fields", "limit", "links")

LINKS = ("room", "member-of", "part-of", "reports-to", "contact")
"""The fields, with their subtypes, whose lines are ids; in the order of section 8."""


class Code(IntEnum):
    """A reply code: the first digit tells what to do."""

    HELP = 210
    FOUND = 250
    NEAR = 251
    NOTHING = 252
    TOO_LONG = 320
    USE_TCP = 321
    REFERRAL = 350
    BUSY = 420
    LATER = 430
    MALFORMED = 500
    UNKNOWN_VERB = 501
    LINE_TOO_LONG = 502
    UNKNOWN_OPTION = 503
    BAD_VALUE = 504
    BAD_ARGUMENT = 505
    NO_WORD = 506
    TOO_MANY_WORDS = 507
    TLS_NEEDED = 530
    TOO_BROAD = 551
    START_OVER = 552


TEXT = {
    Code.HELP: "Help",
    Code.FOUND: "Found",
    Code.NEAR: "Near",
    Code.NOTHING: "Nothing found",
    Code.TOO_LONG: "Use TCP",
    Code.USE_TCP: "Use TCP",
    Code.REFERRAL: "Ask there",
    Code.BUSY: "Busy",
    Code.LATER: "Try later",
    Code.MALFORMED: "Malformed",
    Code.UNKNOWN_VERB: "Unknown verb",
    Code.LINE_TOO_LONG: "Line too long",
    Code.UNKNOWN_OPTION: "Unknown or repeated option",
    Code.BAD_VALUE: "Bad value of an option",
    Code.BAD_ARGUMENT: "Bad argument",
    Code.NO_WORD: "No word in the query",
    Code.TOO_MANY_WORDS: "Too many words",
    Code.TLS_NEEDED: "TLS needed",
    Code.TOO_BROAD: "Too broad: add a word",
    Code.START_OVER: "Start over",
}
"""What a person reads behind the code; with the longest tag it still fits 64 octets."""

CLOSING = frozenset({Code.MALFORMED, Code.UNKNOWN_VERB, Code.LINE_TOO_LONG})
"""Refusals after which TCP closes; they name the protocol."""
