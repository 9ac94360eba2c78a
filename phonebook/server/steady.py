"""The reactor, by a clock that nobody sets.

Twisted's goes by the time of day. Where that is set back, by an hour say, every timer would wait
an hour longer: connections would stay open, changes be overlooked, systemd's watchdog bite.
"""

import time
from typing import cast

from twisted.internet.interfaces import IReactorCore, IReactorSocket

from phonebook.server import channel, reload


class Reactor(IReactorCore, IReactorSocket, channel.Reactor, reload.Reactor):
    """What the server asks of a reactor."""


def steady_reactor() -> Reactor:
    """Return the reactor; its timers go by the monotonic clock from now on."""
    from twisted.internet import reactor

    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    return cast(Reactor, reactor)
