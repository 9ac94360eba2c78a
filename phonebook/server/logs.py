"""The log on standard error: text, or JSON for programs; so many lines a second, whatever happens.

No line holds what somebody asked.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

PER_SECOND = 1_000
"""Lines a second at most, of each process; how many were left out is told."""

log = logging.getLogger("phonebook.server")


def set_up(level: int, format: str = "text") -> None:
    """Log to standard error from this level on, in the format `text` or `json`."""
    handler = Bounded(sys.stderr)
    handler.setFormatter(
        _Json() if format == "json" else logging.Formatter("phonebook: %(message)s")
    )
    logging.basicConfig(level=level, handlers=[handler])


def timed(answer: Callable[..., Any], transport: str) -> Callable[..., Any]:
    """Return what answers a request, and logs a line about the reply."""

    def answered(*asked: Any) -> Any:
        began = time.perf_counter_ns()
        outcome = answer(*asked)
        spent = (time.perf_counter_ns() - began) // 1_000
        reply = outcome[0] if isinstance(outcome, tuple) else outcome
        code, octets = (reply[:3].decode(), len(reply)) if reply else ("none", 0)
        fields = {"code": code, "octets": octets, "microseconds": spent, "transport": transport}
        message = "answered %s with %d octets in %d us over %s"
        log.info(message, code, octets, spent, transport, extra={"fields": fields})
        return outcome

    return answered


class Bounded(logging.StreamHandler[Any]):
    """Writes lines, so many a second."""

    def __init__(self, stream: Any, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a stream."""
        super().__init__(stream)
        self._clock, self._second, self._count = clock, 0, 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it."""
        second = int(self._clock())
        if second != self._second:
            left_out = self._count - PER_SECOND
            self._second, self._count = second, 0
            if left_out > 0:
                said = "%d lines within a second were left out"
                args = (record.name, logging.WARNING, "", 0, said, (left_out,), None)
                super().emit(logging.LogRecord(*args))
        self._count += 1
        if self._count <= PER_SECOND:
            super().emit(record)


class _Json(logging.Formatter):
    """A line of JSON for each line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(told)
