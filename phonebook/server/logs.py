"""The log on standard error: text, or JSON for programs; so many lines a second, whatever happens.

No line holds what somebody asked, but those of `journal` while the operator wants that. Of what
goes wrong the place is told, and never an error's own words, which may quote anything.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

PER_SECOND = 1_000
"""Lines a second at most, of each process; how many were left out is told."""

KEPT = {"kept": True}
"""What a line brings as `extra` that is never left out."""

log = logging.getLogger("phonebook.server")


def set_up(level: int, format: str = "text") -> None:
    """Log to standard error from this level on, in the format `text` or `json`."""
    handler = Bounded(sys.stderr)
    handler.setFormatter(formatter(format))
    logging.basicConfig(level=level, handlers=[handler])


def formatter(format: str) -> logging.Formatter:
    """Return what writes lines in a format."""
    return _Json() if format == "json" else _Text("phonebook: %(message)s")


def say(sentence: str) -> None:
    """Write a line in the log's format, whatever is left out of the log."""
    record = logging.LogRecord(log.name, logging.INFO, "", 0, "%s", (sentence,), None)
    logging.getLogger().handle(record)


def lines() -> int:
    """Return how many lines this process has logged within this second, or tried to."""
    handlers = logging.getLogger().handlers
    return sum(each.count() for each in handlers if isinstance(each, Bounded))


class Bounded(logging.StreamHandler[Any]):
    """Writes lines, so many a second."""

    def __init__(self, stream: Any, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a stream."""
        super().__init__(stream)
        self._clock, self._second, self._count = clock, 0, 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it."""
        if hasattr(record, "kept"):
            return super().emit(record)
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

    def count(self) -> int:
        """Return the lines of this second so far."""
        return self._count if int(self._clock()) == self._second else 0


class _Text(logging.Formatter):
    """A line of text for each line of the log, and below it where something went wrong."""

    def formatException(self, ei: Any) -> str:
        """Return the places and the kind of an error."""
        kind, _, places = ei
        told = ["Traceback (most recent call last):\n", *traceback.format_tb(places)]
        return "".join(told) + getattr(kind, "__name__", "")


class _Json(logging.Formatter):
    """A line of JSON for each line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            kind, _, places = record.exc_info
            told["error"] = kind.__name__
            told["places"] = [
                f"{each.filename}:{each.lineno} {each.name}"
                for each in traceback.extract_tb(places)
            ]
        return json.dumps(told)
