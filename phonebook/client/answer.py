"""What a client hands back: entries, an answer, or the reason why there is none.

Implements spec/phonebook.md, sections 4 and 5, as the client sees them.
"""

from collections.abc import Mapping
from typing import NamedTuple, Self

from phonebook.wire import Block


class ClientError(Exception):
    """The lookup failed."""

    def __str__(self) -> str:
        """Return what was said of this failure, or the sentence of its class."""
        return super().__str__() or (self.__doc__ or "")


class BadInput(ClientError, ValueError):
    """What was to be asked cannot be sent."""


class NoAnswer(ClientError):
    """The server did not answer."""


class BrokenReply(ClientError):
    """The server's reply is not of the phonebook protocol."""


class Refused(ClientError):
    """The server refused the request."""

    def __init__(self, code: int, text: str, retry: int | None = None) -> None:
        """Tell the reply's code, its status text, and in how many seconds to ask again."""
        super().__init__(f"The server refused the request: {code} {text}".rstrip())
        self.code, self.text, self.retry = code, text, retry


class Entry(NamedTuple):
    """One person, place, group or service."""

    id: str
    kind: str
    name: str
    fields: Mapping[str, list[str]]
    """Every other field with its lines, both in the server's order (F-1)."""

    @classmethod
    def of(cls, block: Block) -> Self:
        """Read an entry as it travels; the first `kind` and `name` count."""
        fields: dict[str, list[str]] = {}
        for field, line in block:
            fields.setdefault(field, []).append(line)
        first = {field: fields.pop(field, [""])[0] for field in ("id", "kind", "name")}
        return cls(first["id"], first["kind"] or "person", first["name"], fields)


class Answer(NamedTuple):
    """What a server answered; without entries where nothing was found."""

    entries: tuple[Entry, ...]
    near: bool = False
    """Whether nothing matched as written and these are the nearest entries (251)."""
    matched: int = 0
    """How many entries match in all."""
    left: int = 0
    """How many of these stand behind the last one given."""
    at: str = ""
    """The snapshot's name, the same for as long as the directory does not change (R-10)."""
    server: str = ""
    """Who answered, after referrals."""
