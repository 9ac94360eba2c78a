"""The service: the octets of a request in, the octets of its reply out.

Implements spec/phonebook.md, sections 3 to 5, and of section 7 what a datagram holds.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phonebook.directory.text import fold
from phonebook.search.query import (
    NoWordError,
    QueryError,
    Term,
    TooManyWordsError,
    parse_query,
)
from phonebook.search.ways import TooBroadError
from phonebook.service.snapshot import Snapshot, only
from phonebook.wire import (
    Code,
    Request,
    RequestError,
    datagram_line,
    parse_request,
    render,
)
from phonebook.wire.codes import CLOSING, DEFAULT_ENTRIES, MAX_REPLY, MIN_DATAGRAM


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a request comes to, before it is octets."""

    code: Code
    entries: Sequence[bytes] = ()
    matched: int = 0
    left: int = 0

    def render(self, tag: str, at: str, count: int | None = None) -> bytes:
        """Return the reply, or that with the first `count` entries alone."""
        entries = self.entries if count is None else self.entries[:count]
        parameters = ""
        if self.code is Code.NEAR:
            parameters = f"matched={len(entries)} left=0 at={at}"
        elif self.code is Code.FOUND:
            left = self.left + len(self.entries) - len(entries)
            parameters = f"matched={self.matched} left={left} at={at}"
        return render(self.code, tag, parameters, entries)


def answer(line: bytes, snapshot: Snapshot) -> tuple[bytes, bool]:
    """Answer a request line that came over TCP; tell also whether to close (T-2)."""
    reply = _plain(line, snapshot)
    if reply is not None:
        return reply, False
    try:
        request = parse_request(line)
    except RequestError as error:
        return render(error.code, error.tag), error.code in CLOSING
    return _outcome(request, snapshot).render(request.tag, snapshot.at), False


def answer_datagram(datagram: bytes, snapshot: Snapshot) -> bytes | None:
    """Answer a datagram, or not: None is silence (section 7). Never longer than the datagram."""
    room = len(datagram)
    if room < MIN_DATAGRAM:
        return None
    line = datagram_line(datagram)
    if line is None:
        return None
    reply = _plain(line, snapshot, room)
    if reply is not None:
        return reply
    try:
        request = parse_request(line)
    except RequestError as error:
        if error.code is Code.MALFORMED or (error.code is Code.UNKNOWN_VERB and not error.tag):
            return None
        return render(error.code, error.tag)
    return _within(_outcome(request, snapshot), request.tag, snapshot.at, room)


def cost(line: bytes, reply: bytes) -> int:
    """Return how many entries a reply counts as that a request got, over TCP or UDP (B-1).

    No line of an entry is empty, so that an empty line stands between two entries.
    """
    code = reply[:3]
    if code == b"250" or code == b"251":
        return reply.count(b"\r\n\r\nid: ") + 1
    if code == b"320" or (line.startswith(b"ENTRY ") and not code.startswith(b"50")):
        return 1
    return 0


def enough(line: bytes, retry: int) -> bytes | None:
    """Return the 430 for a request line of a network whose budget is used up (B-3).

    None where it asks for no entries, or would be refused as it is written: that is answered.
    """
    return _turned_away(line, Code.LATER, f"retry={retry}")


def enough_datagrams(datagram: bytes) -> bytes | None:
    """Return the 321 for a datagram of such a network, None as `enough` does (B-4)."""
    return _turned_away(datagram_line(datagram) or b"", Code.USE_TCP)


def _turned_away(line: bytes, code: Code, parameters: str = "") -> bytes | None:
    if not line.startswith((b"LOOKUP ", b"ENTRY ")):
        return None
    try:
        return render(code, parse_request(line).tag, parameters)
    except RequestError:
        return None


def _within(outcome: _Outcome, tag: str, at: str, room: int) -> bytes:
    """Return the reply, or what is said instead where there is no room for it."""
    reply = outcome.render(tag, at)
    return reply if len(reply) <= room else _too_long(outcome, tag, at, len(reply), room)


def _too_long(outcome: _Outcome, tag: str, at: str, octets: int, room: int) -> bytes:
    """Return what is said instead of a reply of so many octets, where there is less room (U-4)."""
    whole, fits, entries = octets, 0, outcome.entries
    if outcome.code in (Code.FOUND, Code.NEAR):
        octets -= len(str(outcome.left))
        for fits in range(len(entries) - 1, -1, -1):
            octets -= len(entries[fits]) + len(b"\r\n")
            if octets + len(str(outcome.left + len(entries) - fits)) <= room:
                break
    return render(Code.TOO_LONG, tag, f"octets={whole} fits={fits}")


_PLAIN = re.compile(  # possessive: what does not fit is given up at once
    rb"(?:ENTRY( #[A-Za-z0-9]{1,16}+)?+ ([a-z0-9][a-z0-9._-]{0,63}+)"
    rb"|LOOKUP( #[A-Za-z0-9]{1,16}+)?+"
    rb"(?: fields=([a-z]{1,32}+(?:,[a-z]{1,32}+)*+))?+(?: limit=([12][0-9]|3[0-2]|[1-9]))?+"
    rb" ([A-Za-z\x80-\xff]++(?: [A-Za-z\x80-\xff]++){,15}+)) *+"
)


def _plain(line: bytes, snapshot: Snapshot, room: int = MAX_REPLY) -> bytes | None:
    """Answer the plainest requests: an id that is there, or words of letters.

    A shortcut, since these are most of all requests: they cost a third of what they would below.
    """
    plain = _PLAIN.fullmatch(line)
    if plain is None:
        return None
    entry_tag, id, tag, fields, limit, text = plain.groups(b"")
    if id:
        number, entry = snapshot.listed.find(id)
        if number < 0 or (snapshot.some_apart and snapshot.apart.find(id)[0] >= 0):
            return None
        tag, matched, page = entry_tag, 1, [entry]
    else:
        words = text.lower().split(b" ") if text.isascii() else _folded(text)
        if not words:
            return None
        names = fields.decode().split(",") if fields else None
        most = int(limit or DEFAULT_ENTRIES)
        try:
            found = snapshot.index.match_words(words)
        except TooBroadError:
            return _within(_Outcome(Code.TOO_BROAD), tag[2:].decode(), snapshot.at, room)
        if not found:
            outcome = _near(parse_query(text.decode()), names, most, snapshot)
            return _within(outcome, tag[2:].decode(), snapshot.at, room)
        matched, get = len(found), snapshot.listed.get
        page = [get(found[0])] if matched == 1 else [*map(get, found[:most])]
        if names:
            page = _shown(names, page)
    if matched == 1:
        reply = b"".join((b"250", tag, snapshot.found_one, page[0], b".\r\n"))
    else:
        counts = b" matched=%d left=%d at=" % (matched, matched - len(page))
        entries = b"\r\n".join(page)
        reply = b"".join((b"250", tag, counts, snapshot.found_at, entries, b".\r\n"))
    if len(reply) <= room:
        return reply
    outcome = _Outcome(Code.FOUND, page, matched, matched - len(page))
    return _too_long(outcome, tag[2:].decode(), snapshot.at, len(reply), room)


def _folded(text: bytes) -> list[bytes]:
    """Return words folded, none where they are not UTF-8, or not letters alone."""
    try:
        words = text.decode().split(" ")
    except UnicodeDecodeError:
        return []
    found = [fold(word).encode() for word in words if word.isalpha()]
    good = len(found) == len(words) and all(each and b" " not in each for each in found)
    return found if good else []


def _outcome(request: Request, snapshot: Snapshot) -> _Outcome:
    """Return what answers a request."""
    match request.verb:
        case "HELP":
            return _Outcome(Code.HELP, [snapshot.help])
        case "ENTRY":
            return _entry(request, snapshot)
        case _:
            return _lookup(request, snapshot)


def _entry(request: Request, snapshot: Snapshot) -> _Outcome:
    id = request.argument.encode()
    own = snapshot.apart.find(id)[1] or snapshot.listed.find(id)[1]
    if not own:
        return _Outcome(Code.START_OVER) if request.after else _nothing(snapshot)
    try:
        linked = snapshot.linked(id, request.links) if request.links else []
    except TooBroadError:
        return _Outcome(Code.TOO_BROAD)
    found = [own, *linked]
    start = 0
    if request.after:
        first_line = b"id: %b\r" % request.after.encode()
        start = next((at for at, each in enumerate(found, 1) if each.startswith(first_line)), 0)
        if not start:
            return _Outcome(Code.START_OVER)
    return _page(request, found[start : start + request.limit], start, len(found))


def _page(request: Request, entries: list[bytes], start: int, matched: int) -> _Outcome:
    """Return these entries, which stand behind `start` others in the result."""
    left = matched - start - len(entries)
    return _Outcome(Code.FOUND, _shown(request.fields, entries), matched, left)


def _shown(fields: Iterable[str] | None, entries: list[bytes]) -> list[bytes]:
    if fields is None:
        return entries
    asked = {field.encode() for field in fields}
    return [only(entry, asked) for entry in entries]


def _lookup(request: Request, snapshot: Snapshot) -> _Outcome:
    try:
        terms = parse_query(request.argument)
        found = snapshot.index.match(terms)
    except TooBroadError:
        return _Outcome(Code.TOO_BROAD)
    except NoWordError:
        return _Outcome(Code.NO_WORD)
    except TooManyWordsError:
        return _Outcome(Code.TOO_MANY_WORDS)
    except QueryError:
        return _Outcome(Code.BAD_ARGUMENT)
    start = 0
    if request.after:
        position, _ = snapshot.listed.find(request.after.encode())
        if position not in found:
            return _Outcome(Code.START_OVER)
        start = found.index(position) + 1
    if not found:
        return _near(terms, request.fields, request.limit, snapshot)
    page = found[start : start + request.limit]
    return _page(request, [*map(snapshot.listed.get, page)], start, len(found))


def _near(
    terms: Sequence[Term], fields: Iterable[str] | None, limit: int, snapshot: Snapshot
) -> _Outcome:
    """Return what is said where nothing matches as written."""
    near = [*map(snapshot.listed.get, snapshot.near.match(terms)[:limit])]
    return _Outcome(Code.NEAR, _shown(fields, near)) if near else _nothing(snapshot)


def _nothing(snapshot: Snapshot) -> _Outcome:
    if snapshot.referrals:
        return _Outcome(Code.REFERRAL, snapshot.referrals)
    return _Outcome(Code.NOTHING)
