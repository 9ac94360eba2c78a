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
class Journal:
    """What a line is written for, and what stands in it."""

    always: bool
    """Whether there are lines when none says what was asked."""
    addresses: str
    """`none`, `network` or `full`."""
    queries_until: float
    """The time of day until which lines say what was asked; 0: never."""

    def wanted(self) -> bool:
        """Return whether there are lines now."""
        return self.always or self.with_queries()

    def with_queries(self) -> bool:
        """Return whether lines say now what was asked."""
        return time.time() < self.queries_until

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
