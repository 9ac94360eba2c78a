"""Records what our server and our client send, in any process of a test run.

The taps sit where octets are handed to a socket, TLS or the kernel, and are put in as each module
is imported, so a process that never serves or asks stays as light as it was.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

FOLDER = "PHONEBOOK_SENT"  # the environment's name of the folder that holds the records
_SLOTS = 4_096  # hashes of what was recorded lately: repetitions are left out, memory is bounded

_lately = [0] * _SLOTS
_file = -1


def record(kind: str, octets: bytes) -> None:
    """Append a message to this process's file, at once: a server may be killed at any time."""
    global _file
    key = hash(octets)
    if _lately[key % _SLOTS] == key:
        return
    _lately[key % _SLOTS] = key
    if _file < 0:
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        path = os.path.join(os.environ[FOLDER], name)
        _file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(_file, f"{kind} {octets.hex()}\n".encode())


def _tcp(module: Any) -> None:
    """Tap what the server gives to a connection, plain or TLS: one or more replies."""
    answer = module.Connection._answer

    def tapped(connection: Any) -> bytes:
        replies: bytes = answer(connection)
        if replies:
            record("replies", replies)
        return replies

    module.Connection._answer = tapped


def _udp(module: Any) -> None:
    """Tap what the server puts into datagrams."""

    def tapped(answer: Callable[..., bytes | None]) -> Callable[..., bytes | None]:
        def tap(*arguments: Any) -> bytes | None:
            reply = answer(*arguments)
            if reply is not None:
                record("reply", reply)
            return reply

        return tap

    module.answer_datagram = tapped(module.answer_datagram)
    module.enough_datagrams = tapped(module.enough_datagrams)


def _client(module: Any) -> None:
    """Tap what the client sends over any transport."""
    begin = module.Exchange.__init__

    def tapped(exchange: Any, *arguments: Any, trace: Any = None, **more: Any) -> None:
        def both(direction: str, octets: bytes) -> None:
            if direction == "C":
                record("request", octets)
            if trace:
                trace(direction, octets)

        begin(exchange, *arguments, trace=both, **more)

    module.Exchange.__init__ = tapped


_TAPS: dict[str, Callable[[Any], None]] = {
    "phonebook.server.tcp": _tcp,
    "phonebook.server.udp": _udp,
    "phonebook.client.exchange": _client,
}


class _Finder:
    """Lets the other finders find a module, and has the tap put in once it is executed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _TAPS:
            return None
        others = (each for each in sys.meta_path if each is not self)
        found = filter(None, (each.find_spec(name, path, target) for each in others))
        if spec := next(found, None):
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                _TAPS[name](module)

            loader.exec_module = exec_module
        return spec


def install() -> None:
    """Tap from now on, what is imported already included; once, however often it is called."""
    if FOLDER in os.environ and not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
        for name in _TAPS.keys() & sys.modules.keys():
            _TAPS[name](sys.modules[name])
