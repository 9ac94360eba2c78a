"""Replies: `Reply` to octets and back.

Implements spec/phonebook.md, section 4, for servers (`render`) and clients (`parse_reply`,
`ReplyReader`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from phonebook.wire.codes import (
    CLOSING,
    MAX_BARE_REPLY,
    MAX_ID,
    MAX_REPLY,
    MAX_REPLY_LINE,
    MAX_TAG,
    PROTOCOL,
    TEXT,
    Code,
)
from phonebook.wire.errors import ReplyError

Block = tuple[tuple[str, str], ...]
"""One entry as it travels: (field, line) in order, its id first."""

END = b".\r\n"

_STATUS = re.compile(
    rf"(?P<code>[2-5][0-9]{{2}})(?: #(?P<tag>[A-Za-z0-9]{{1,{MAX_TAG}}}))?"
    r"(?P<parameters>(?: (?:PHONEBOOK/1|[a-z]+=[A-Za-z0-9]+)(?= |$))*)"
    r"(?: (?P<text>[A-Z][ -<>-~]*))?"
)
_LINE = re.compile(
    r"(?P<field>[a-z][a-z0-9-]{0,31}(?:\.[a-z0-9-]{1,30})?): "
    r"(?P<value>[^\x00-\x20\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?)"
)
_ID = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_ID - 1}}}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply, and the octets that it came in."""

    code: int
    tag: str
    parameters: Mapping[str, str]
    text: str
    entries: tuple[Block, ...]
    octets: bytes


def render(code: Code, tag: str = "", parameters: str = "", entries: Iterable[bytes] = ()) -> bytes:
    """Return a reply's octets; `parameters` as they travel, each entry as its lines' octets."""
    head = f"{code} #{tag}" if tag else str(int(code))
    if code in CLOSING:
        head += f" {PROTOCOL}"
    if parameters:
        head += f" {parameters}"
    status = f"{head} {TEXT[code]}\r\n".encode()
    body = b"\r\n".join(entries)
    if not body and len(status) + len(END) > MAX_BARE_REPLY:
        status = f"{head}\r\n".encode()  # the text is for people, the length is the rule
    return status + body + END


def parse_reply(octets: bytes) -> Reply:
    """Read exactly one whole reply, such as a datagram holds. Raises `ReplyError`."""
    if len(octets) > MAX_REPLY:
        raise ReplyError("the reply is too long", offset=MAX_REPLY)
    if not octets.endswith(b"\r\n" + END):
        raise ReplyError("the reply has no end", offset=len(octets))
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        raise ReplyError("the reply is not UTF-8", offset=error.start) from None
    first, *lines = text.split("\r\n")[:-2]
    if len(first) > MAX_REPLY_LINE:
        raise ReplyError("a line is too long")
    if not (status := _STATUS.fullmatch(first)):
        raise ReplyError("the reply begins with no status line")
    offset = len(first) + 2
    blocks: list[list[tuple[str, str]]] = []
    between = True  # the next line begins an entry
    for line in lines:
        size = len(line) if line.isascii() else len(line.encode())
        if size > MAX_REPLY_LINE:
            raise ReplyError("a line is too long", offset=offset)
        if not line and not between:
            between = True
        elif not (match := _LINE.fullmatch(line)):
            raise ReplyError("a line is neither a field nor the end", offset=offset)
        elif between:
            if match["field"] != "id" or not _ID.fullmatch(match["value"]):
                raise ReplyError("an entry begins without its id", offset=offset)
            blocks.append([("id", match["value"])])
            between = False
        else:
            blocks[-1].append((match["field"], match["value"]))
        offset += size + 2
    if blocks and between:
        raise ReplyError("a blank line stands behind the last entry", offset=offset)
    parameters = dict(each.split("=") for each in status["parameters"].split() if each != PROTOCOL)
    return Reply(
        code=int(status["code"]),
        tag=status["tag"] or "",
        parameters=parameters,
        text=status["text"] or "",
        entries=tuple(map(tuple, blocks)),
        octets=octets,
    )


class ReplyReader:
    """Cuts a stream into replies."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._rest = bytearray()  # bytes would be copied whole for every few that come

    @property
    def pending(self) -> bool:
        """Whether octets of an unfinished reply wait."""
        return bool(self._rest)

    def feed(self, octets: bytes) -> list[Reply]:
        """Return the replies that these octets complete. Raises `ReplyError`."""
        replies = []
        rest, start = self._rest, 0
        seen = max(0, len(rest) - 4)
        rest += octets
        while (end := rest.find(b"\r\n" + END, max(start, seen))) >= 0:
            end += 2 + len(END)
            replies.append(parse_reply(bytes(rest[start:end])))
            start = end
        del rest[:start]
        if len(rest) > MAX_REPLY:
            raise ReplyError("the reply is too long", offset=MAX_REPLY)
        begun = rest[rest.rfind(b"\n") + 1 :]
        if len(begun.removesuffix(b"\r")) > MAX_REPLY_LINE:
            raise ReplyError("a line is too long", offset=len(rest))
        return replies
