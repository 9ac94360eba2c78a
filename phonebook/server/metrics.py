"""Figures for Prometheus: its text format, over as much HTTP as that needs.

Labels are bounded: reply codes, transports and the names of limits. Whoever asks anything gets the
figures, so that of the entries those count that everybody may find; views, and what is unlisted,
are the owner's to know (`control`). How long a question may be, how long it may take and how many
may ask at a time is bounded, too.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

_LONGEST = 8_192  # octets of a question
_TIME = 5.0  # seconds
_AT_ONCE = 8  # connections
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n"
)


def text(report: dict[str, Any]) -> str:
    """Return a report in Prometheus's text format."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    directory, limits = report["directory"], report["limits"]
    restarts = sum(each["restarts"] for each in report["workers"])
    yield "# TYPE phonebook_replies_total counter"
    for transport, codes in report["requests"].items():
        for code, count in codes.items():
            yield f'phonebook_replies_total{{transport="{transport}",code="{code}"}} {count}'
    yield "# TYPE phonebook_limit_now gauge"
    for name, limit in limits.items():
        yield f'phonebook_limit_now{{limit="{name}"}} {limit["now"]}'
    yield "# TYPE phonebook_limit_most gauge"
    for name, limit in limits.items():
        yield f'phonebook_limit_most{{limit="{name}"}} {limit["most"]}'
    yield "# TYPE phonebook_refused_total counter"
    for name, limit in limits.items():
        if "refused" in limit:
            yield f'phonebook_refused_total{{limit="{name}"}} {limit["refused"]}'
    yield "# TYPE phonebook_budgets_exhausted gauge"
    for transport, budgets in report["budgets"].items():
        for of in ("networks", "wider", "all"):
            labels = f'transport="{transport}",of="{of}"'
            yield f"phonebook_budgets_exhausted{{{labels}}} {budgets[of]}"
    for name, kind, value in (
        ("entries", "gauge", directory["found"]),
        ("connections", "gauge", limits["connections"]["now"]),
        ("connections_limit", "gauge", limits["connections"]["most"]),
        ("worker_restarts_total", "counter", restarts),
        ("directory_loaded_timestamp_seconds", "gauge", directory["loaded"]),
        ("directory_refused", "gauge", int(bool(directory["errors"]))),
        ("start_time_seconds", "gauge", report["since"]),
    ):
        yield f"# TYPE phonebook_{name} {kind}"
        yield f"phonebook_{name} {value}"
    yield "# TYPE phonebook_info gauge"
    yield f'phonebook_info{{version="{report["version"]}"}} 1'


class Metrics(ServerFactory):
    """Who answers."""

    def __init__(self, report: Callable[[], dict[str, Any]], clock: IReactorTime) -> None:
        """Answer with what `report` returns."""
        self.report, self.clock, self.asking = report, clock, 0

    def buildProtocol(self, address: object) -> Any:
        """Let one in, if there is room."""
        return _Http(self) if self.asking < _AT_ONCE else None


class _Http(Protocol):
    """One connection: a question's head, the figures, the end."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._head = metrics, b""

    def connectionMade(self) -> None:
        self._metrics.asking += 1
        abort = cast(ITCPTransport, self.transport).abortConnection
        self._end = self._metrics.clock.callLater(_TIME, abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._metrics.asking -= 1
        if self._end.active():
            self._end.cancel()

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self._head += data
        if b"\r\n\r\n" in self._head:
            body = text(self._metrics.report()).encode()
            self.transport.write(_HEAD % len(body) + body)
            self.transport.loseConnection()
        elif len(self._head) > _LONGEST:
            self.transport.loseConnection()
