"""The service: the octets of a request in, the octets of its reply out.

Implements spec/phonebook.md, sections 3 to 5, and of section 7 what a datagram holds.
"""

from collections.abc import Sequence

from phonebook.directory.index import TooBroadError
from phonebook.directory.query import NoWordError, QueryError, TooManyWordsError, parse_query
from phonebook.service.snapshot import Snapshot, render_entry
from phonebook.wire import Code, Request, RequestError, datagram_line, parse_request, render
from phonebook.wire.codes import CLOSING, MIN_DATAGRAM


def answer(line: bytes, snapshot: Snapshot) -> tuple[bytes, bool]:
    """Answer a request line that came over TCP; tell also whether to close (T-2)."""
    try:
        request = parse_request(line)
    except RequestError as error:
        return render(error.code, error.tag), error.code in CLOSING
    code, parameters, entries = _result(request, snapshot)
    return render(code, request.tag, parameters, entries), False


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
    code, parameters, entries = _result(request, snapshot)
    reply = render(code, request.tag, parameters, entries)
    if len(reply) <= len(datagram):
        return reply
    fits = _fitting(request, snapshot, entries, len(datagram)) if code is Code.FOUND else 0
    return render(Code.TOO_LONG, request.tag, f"octets={len(reply)} fits={fits}")


def _fitting(request: Request, snapshot: Snapshot, entries: Sequence[bytes], room: int) -> int:
    """Return how many of the first entries a reply in `room` octets can hold (U-4)."""
    if request.verb != "LOOKUP":
        return 0
    for count in range(len(entries) - 1, 0, -1):
        # `left` is of no more digits than the 1,000 matches have
        longest = f"matched=1000 left=1000 at={snapshot.at}"
        if len(render(Code.FOUND, request.tag, longest, entries[:count])) <= room:
            return count
    return 0


def _result(request: Request, snapshot: Snapshot) -> tuple[Code, str, Sequence[bytes]]:
    """Return the code, the parameters and the entries that answer a request."""
    match request.verb:
        case "HELP":
            return Code.HELP, "", [snapshot.help]
        case "ENTRY":
            return _entry(request, snapshot)
        case _:
            return _lookup(request, snapshot)


def _entry(request: Request, snapshot: Snapshot) -> tuple[Code, str, Sequence[bytes]]:
    entry = snapshot.exact.get(request.argument)
    if entry is None:
        return _nothing(snapshot)
    return Code.FOUND, _counts(1, 0, snapshot), [render_entry(entry, request.fields)]


def _lookup(request: Request, snapshot: Snapshot) -> tuple[Code, str, Sequence[bytes]]:
    try:
        found = snapshot.index.match(parse_query(request.argument))
    except TooBroadError:
        return Code.TOO_BROAD, "", ()
    except NoWordError:
        return Code.NO_WORD, "", ()
    except TooManyWordsError:
        return Code.TOO_MANY_WORDS, "", ()
    except QueryError:
        return Code.BAD_ARGUMENT, "", ()
    start = 0
    if request.after:
        position = snapshot.index.position.get(request.after, -1)
        if position not in found:
            return Code.START_OVER, "", ()
        start = found.index(position) + 1
    if not found:
        return _nothing(snapshot)
    page = found[start : start + request.limit]
    if request.fields is None:
        entries = [snapshot.rendered[position] for position in page]
    else:
        entries = [render_entry(snapshot.index.entries[each], request.fields) for each in page]
    return Code.FOUND, _counts(len(found), len(found) - start - len(page), snapshot), entries


def _nothing(snapshot: Snapshot) -> tuple[Code, str, Sequence[bytes]]:
    if snapshot.referrals:
        return Code.REFERRAL, "", snapshot.referrals
    return Code.NOTHING, "", ()


def _counts(matched: int, left: int, snapshot: Snapshot) -> str:
    return f"matched={matched} left={left} at={snapshot.at}"
