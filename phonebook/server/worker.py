"""A worker: it answers on the sockets that its supervisor hands it, and knows no directory.

`python -m phonebook.server.worker N` is how the supervisor starts one; N is its end of a channel.
"""

import json
import logging
import pickle
import signal
import socket
import sys
import time
from dataclasses import asdict
from typing import Any

from phonebook.server import logs
from phonebook.server.answering import Answering
from phonebook.server.channel import Channel
from phonebook.server.options import Options, state_of, terms_of, tls_of
from phonebook.server.sharing import mapped, mapped_budgets, mapped_credentials
from phonebook.server.state import State
from phonebook.server.steady import Reactor, steady_reactor
from phonebook.server.workers import BEAT

log = logging.getLogger("phonebook.server")


_ACCEPT = 8  # connections for one turn of the reactor


class Worker:
    """What one worker does; its supervisor's end is its own end, too."""

    def __init__(self, reactor: Reactor, end: socket.socket) -> None:
        """Wait for the supervisor's words."""
        self._reactor = reactor
        self._options: Options
        self._state: State
        self._answering: Answering | None = None
        self._stopping = False
        self._channel = Channel(end, reactor, self._heard, self.stop)

    def _heard(self, line: bytes) -> None:
        order = json.loads(line)
        match order["do"]:
            case "begin":
                self._begin(pickle.loads(bytes.fromhex(order["options"])), order["sockets"])
            case "map":
                began = time.perf_counter()
                served = mapped(self._channel.files.pop(0), self._terms)
                self._state.switch(served, self._reactor)
                log.debug("the switch took %.3f ms", (time.perf_counter() - began) * 1_000)
                self._tell("mapped")
            case "renew":
                self._state.new_tls = tls_of(mapped_credentials(self._channel.files.pop(0)))
            case "stop":
                self.stop(order["others"])

    def _begin(self, options: Options, sockets: int) -> None:
        logs.set_up(options.log_level, options.log_format)
        self._options = options
        bound = self._channel.take_sockets(sockets)
        served = mapped(self._channel.files.pop(0), self._terms)
        budgets = mapped_budgets(self._channel.files.pop(0))
        tls = tls_of(mapped_credentials(self._channel.files.pop(0)))
        self._state = state_of(options, served, tls, budgets)
        # a few at a time: who is busy with these leaves the next to the others
        self._answering = Answering(bound, self._state, self._reactor, accept_at_once=_ACCEPT)
        self._tell("ready")
        self._beat()

    def _terms(self, settings: Any) -> Any:
        return terms_of(settings, self._options)

    def _beat(self) -> None:
        assert self._answering is not None
        self._tell("figures", figures=asdict(self._answering.figures()))
        self._reactor.callLater(BEAT, self._beat)

    def _tell(self, what: str, **more: Any) -> None:
        self._channel.send(json.dumps({"told": what, **more}).encode())

    def stop(self, others: bool = True) -> None:
        """Answer what was asked, and end: others go on, unless the supervisor says otherwise."""
        if self._stopping:
            return
        self._stopping = True
        if self._answering is None:
            self._reactor.stop()
        else:
            self._answering.stop(self._end, others)

    def _end(self) -> None:
        if self._answering is not None:
            self._tell("figures", figures=asdict(self._answering.figures().when_ended()))
        self._reactor.stop()


def main() -> None:
    """Work until the supervisor says stop, or is gone."""
    for number in (signal.SIGINT, signal.SIGHUP):  # the terminal's, meant for the supervisor
        signal.signal(number, signal.SIG_IGN)
    running = steady_reactor()
    worker = Worker(running, socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGTERM, lambda *_: running.callFromThread(worker.stop))
    running.run(installSignalHandlers=False)  # type: ignore[call-arg]


if __name__ == "__main__":
    main()
