"""The service: the octets of a request in, the octets of its reply out.

Implements spec/phonebook.md, sections 3 to 5, and of section 7 what a datagram holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from phonebook.directory.index import TooBroadError
from phonebook.directory.query import NoWordError, QueryError, TooManyWordsError, parse_query
from phonebook.service.snapshot import Snapshot, render_entry
from phonebook.wire import Code, Request, RequestError, datagram_line, parse_request, render
from phonebook.wire.codes import CLOSING, MIN_DATAGRAM


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
        if self.code is Code.FOUND:
            left = self.left + len(self.entries) - len(entries)
            parameters = f"matched={self.matched} left={left} at={at}"
        return render(self.code, tag, parameters, entries)


def answer(line: bytes, snapshot: Snapshot) -> tuple[bytes, bool]:
    """Answer a request line that came over TCP; tell also whether to close (T-2)."""
    try:
        request = parse_request(line)
    except RequestError as error:
        return render(error.code, error.tag), error.code in CLOSING
    return _outcome(request, snapshot).render(request.tag, snapshot.at), False


def answer_datagram(datagram: bytes, snapshot: Snapshot) -> bytes | None:
    """Answer a datagram, or not: None is silence (section 7). Never longer than the datagram."""
    line = datagram_line(datagram)
    if line is None or len(datagram) < MIN_DATAGRAM:
        return None
    try:
        request = parse_request(line)
    except RequestError as error:
        if error.code is Code.MALFORMED or (error.code is Code.UNKNOWN_VERB and not error.tag):
            return None
        return render(error.code, error.tag)
    outcome = _outcome(request, snapshot)
    reply = outcome.render(request.tag, snapshot.at)
    if len(reply) <= len(datagram):
        return reply
    fits = 0
    if request.verb == "LOOKUP" and outcome.code is Code.FOUND:
        fits = len(outcome.entries) - 1
        while fits and len(outcome.render(request.tag, snapshot.at, fits)) > len(datagram):
            fits -= 1
    return render(Code.TOO_LONG, request.tag, f"octets={len(reply)} fits={fits}")


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
    entry = snapshot.exact.get(request.argument)
    if entry is None:
        return _nothing(snapshot)
    if request.fields is None:
        return _Outcome(Code.FOUND, [snapshot.rendered_exact[entry.id]], matched=1)
    return _Outcome(Code.FOUND, [render_entry(entry, request.fields)], matched=1)


def _lookup(request: Request, snapshot: Snapshot) -> _Outcome:
    try:
        found = snapshot.index.match(parse_query(request.argument))
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
        position = snapshot.index.position.get(request.after, -1)
        if position not in found:
            return _Outcome(Code.START_OVER)
        start = found.index(position) + 1
    if not found:
        return _nothing(snapshot)
    page = found[start : start + request.limit]
    if request.fields is None:
        entries = [snapshot.rendered[position] for position in page]
    else:
        entries = [render_entry(snapshot.index.entries[each], request.fields) for each in page]
    return _Outcome(Code.FOUND, entries, len(found), len(found) - start - len(page))


def _nothing(snapshot: Snapshot) -> _Outcome:
    if snapshot.referrals:
        return _Outcome(Code.REFERRAL, snapshot.referrals)
    return _Outcome(Code.NOTHING)
