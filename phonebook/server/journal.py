"""The journal: a line of the log for each reply, where the operator wants them.

Implements [P-2] and [P-3] of spec/phonebook.md: what was asked stands in it for a stated time
alone, and is escaped; addresses stand in it as far as they are wanted.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

from phonebook.directory.problems import printable
from phonebook.server.networks import network, written

log = logging.getLogger("phonebook.server")


@dataclass(frozen=True, slots=True)
class Span:
    """A time that ends by both clocks: one can be set back, the other stands still in sleep."""

    time_of_day: float
    """When it ends."""
    monotonic: float
    """The same; all processes of a system have this clock in common."""

    @classmethod
    def of(cls, seconds: float) -> "Span":
        """Return what begins now and lasts so long."""
        return cls(time.time() + seconds, time.monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds until it ends, less than 0 where it has."""
        return min(self.time_of_day - time.time(), self.monotonic - time.monotonic())


@dataclass(frozen=True, slots=True)
class Journal:
    """What a line is written for, and what stands in it."""

    always: bool
    """Whether there are lines when none says what was asked."""
    addresses: str
    """`none`, `network` or `full`."""
    queries: Span | None
    """While lines say what was asked."""

    def wanted(self) -> bool:
        """Return whether there are lines now."""
        return self.always or self.with_queries()

    def with_queries(self) -> bool:
        """Return whether lines say now what was asked."""
        return self.queries is not None and self.queries.left() > 0

    def tell(
        self, transport: str, address: str, view: str, asked: bytes, reply: bytes, nanoseconds: int
    ) -> None:
        """Write a line about a reply, empty for silence, that took so long."""
        fields: dict[str, Any] = {
            "code": reply[:3].decode() or "none",
            "octets": len(reply),
            "microseconds": nanoseconds // 1_000,
            "transport": transport,
            "view": view or "public",
        }
        message = "answered %(code)s with %(octets)d octets in %(microseconds)d us "
        message += "over %(transport)s, view %(view)s"
        if self.addresses != "none":
            full = self.addresses == "full"
            fields["address"] = address if full else written(network(address))
            message += ", for %(address)s"
        if self.with_queries():
            text = asked.decode("utf-8", "backslashreplace").rstrip()
            fields["asked"] = printable(text)
            message += ": %(asked)s"
        log.info(message, fields, extra={"fields": fields})
