"""What tests send to servers: requests of the cases and random ones, changed, or without sense."""

import random
from collections.abc import Iterator, Sequence
from functools import cache

from phonebook.conformance.cases import Case, load_cases, octets_of
from phonebook.directory.entry import Directory
from phonebook.wire import MAX_LINE, LineReader, RequestError, parse_request
from phonebook.wire.codes import CLOSING, MIN_DATAGRAM

PIECES = [
    *(b"#", b"#t", b"limit=", b"limit=32", b"after=", b"fields=", b"fields=name", b":", b'"', b"-"),
    *(b"LOOKUP ", b"ENTRY ", b"HELP", b"NOVERB #t ", b"250 matched=1\r\n.\r\n", b".", b"*", b"+1"),
    *(b"\x00", b"\x16", b"\r", b"\n", b"\r\n", b" ", b"\x7f", b"\xc2\x85", b"\xff", b"\xc0\x80"),
    *("é ß ﬁ İ \u202e \u2028 \ufeff 中 م ก \U0001f600 \u0301\u0301\u0301".encode().split(b" ")),
]
ENDS = [b"\r\n", b"\n"]

_ROOM = MAX_LINE - 2  # octets of a line without its end


def sent(case: Case) -> bytes:
    """Return all octets that a case sends, whatever it waits for between them."""
    if case.ask is not None:
        return case.ask.encode() + b"\r\n"
    octets = b""
    for kind, value in ((step.kind, step.value) for step in case.steps):
        if kind in ("send", "each-octet"):
            octets += octets_of(value)
        elif kind == "send-repeat":
            octets += octets_of(value[0]) * int(value[1])
        elif kind == "pad":
            octets += value[0].encode().ljust(int(value[1]) - 2) + b"\r\n"
        elif kind == "measure":
            octets += value.replace("{}", "").encode() + b"\r\n"
    return octets


@cache
def real(profile: str = "") -> Sequence[bytes]:
    """Return the lines of the cases, of all or of one profile's, that no server closes at."""
    lines = (
        line.rstrip(b" ")
        for case in load_cases()
        if profile in ("", case.profile)
        for line in LineReader().feed(sent(case))
    )
    return [line for line in dict.fromkeys(lines) if len(line) <= _ROOM and _is_request(line)]


def _is_request(line: bytes) -> bool:
    try:
        parse_request(line)
    except RequestError as error:
        return error.code not in CLOSING
    return True


class Traffic:
    """Random datagrams to a server of a directory, the same for the same seed."""

    def __init__(self, directory: Directory, seed: int) -> None:
        self._chance = random.Random(seed)
        self._ids = [entry.id for entry in directory.entries]
        lines = (
            (field, value)
            for entry in directory.entries
            for field, values in entry.fields
            for value in values
        )
        self._lines = list(dict.fromkeys(lines))

    def datagrams(self, count: int) -> Iterator[tuple[bytes, bool]]:
        """Give datagrams, and whether each is a valid request: a third of them are."""
        for number in range(count):
            make = (self.valid, self.mutated, self.noise)[number % 3]
            yield make(), number % 3 == 0

    def valid(self) -> bytes:
        """Return a request of a case or of the directory's own text, padded or hardly."""
        chance = self._chance
        line = chance.choice(real()) if chance.random() < 0.2 else self._line()
        size = chance.choice([MIN_DATAGRAM, 1_200, MAX_LINE, chance.randint(MIN_DATAGRAM, 600)])
        end = chance.choice(ENDS)
        return line.ljust(size - len(end)) + end

    def mutated(self) -> bytes:
        """Return such a request with some octets changed, cut, doubled or put in."""
        chance, octets = self._chance, bytearray(self.valid())
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(octets) + 1)
            match chance.randrange(5):
                case 0:
                    octets[place : place + 1] = chance.randbytes(1)
                case 1:
                    del octets[place : place + chance.choice([1, 2, 500])]
                case 2:
                    octets[place:place] = octets[place : place + chance.choice([1, 20, 1_000])]
                case _:
                    octets[place:place] = chance.choice(PIECES)
        return bytes(octets[:2_000])

    def noise(self) -> bytes:
        """Return octets without sense, some behind a verb."""
        chance = self._chance
        if chance.random() < 0.5:
            return chance.randbytes(chance.randint(0, 1_400))
        words = chance.choices(PIECES, k=chance.randint(0, 40))
        return chance.choice(PIECES) + chance.choice([b"", b" "]).join(words) + b"\r\n"

    def _line(self) -> bytes:
        chance = self._chance
        verb = chance.choices(["LOOKUP", "ENTRY", "HELP"], [85, 12, 3])[0]
        tokens = [verb]
        if chance.random() < 0.5:
            tokens.append(f"#{chance.getrandbits(chance.choice([4, 64])):x}")
        if verb != "HELP" and chance.random() < 0.3:
            tokens.append("fields=" + chance.choice(["phone", "name,Phone", "kind", "note,x.y"]))
        linked = verb == "ENTRY" and chance.random() < 0.5
        if linked:
            tokens.append("links=" + chance.choice(["room", "member-of,Reports-To", "contact"]))
        if (verb == "LOOKUP" or linked) and chance.random() < 0.3:
            tokens.append(f"limit={chance.randint(1, 32)}")
        if (verb == "LOOKUP" or linked) and chance.random() < 0.2:
            tokens.append(f"after={chance.choice(self._ids)}")
        if verb == "ENTRY":
            tokens.append(chance.choice([*self._ids, "nobody-of-this-name"]))
        elif verb == "LOOKUP":
            tokens += (self._term() for _ in range(chance.choice([1, 1, 1, 2, 2, 3])))
        return " ".join(tokens).encode()

    def _term(self) -> str:
        chance = self._chance
        field, value = chance.choice(self._lines)
        word = chance.choice(value.split(" "))
        if chance.random() < 0.3:
            word = word[: chance.randint(1, len(word))]
        word = chance.choice([word, word.upper(), word.lower(), word.swapcase()])
        match chance.randrange(8):
            case 0:
                return f"{field}:{word}"
            case 1:
                return '"' + value.replace('"', " ") + '"'
            case 2:
                return chance.choice(["", "9", "0", "+1 ", "+1202", "x", "tel:"]) + value[-9:]
            case _:
                return word
