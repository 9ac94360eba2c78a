"""The client over plain sockets: it waits for the answer, and needs nothing but Python.

Drives exchange.py and inquiry.py; it starts several times faster than a reactor, which is what a
lookup from a shell is about.
"""

import os
import socket
import time
from collections.abc import Sequence
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import TYPE_CHECKING, Any

from phonebook.client.address import Address
from phonebook.client.answer import Answer, ClientError, Entry, NoAnswer
from phonebook.client.exchange import Action, Connect, Exchange, Send, Trace, Transport
from phonebook.client.inquiry import Ask, Find, Question, Tls, inquire
from phonebook.wire import LINKS, Reply

if TYPE_CHECKING:
    from phonebook.client.tls import Secured

NEXT_ADDRESS = 0.3  # seconds that a connection may take before the next address is tried too
FAMILIES: dict[int, int] = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


def lookup(
    query: str,
    *,
    server: str | None = None,
    kind: str | None = None,
    fields: Sequence[str] = (),
    limit: int = 10,
    after: str = "",
    transport: str = "auto",
    timeout: float = 5.0,
    cafile: str | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    family: int = 0,
    trace: Trace | None = None,
) -> Answer:
    """Look a query up. Without `server`, PHONEBOOK_SERVER names it, else it is localhost.

    `transport` is "auto", "udp", "tcp" or "tls"; `timeout` bounds the whole, in seconds; `family`
    is 4, 6 or 0 for both; `trace` sees all octets. With "tls", `cafile` holds the authorities to
    trust, and `certfile` the certificate to show, with its key unless `keyfile` does: to a server
    of the name that was given, and to no other by referral. Raises `ClientError`.
    """
    question = Question(
        query,
        kind=kind,
        fields=fields,
        limit=limit,
        after=after,
        transport=Transport(transport),
        timeout=timeout,
        tls=Tls(cafile, certfile, keyfile),
        trace=trace,
    )
    return _run(question, server, family)


def entry(
    id: str,
    *,
    server: str | None = None,
    fields: Sequence[str] = (),
    transport: str = "auto",
    timeout: float = 5.0,
    cafile: str | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    family: int = 0,
    trace: Trace | None = None,
) -> Entry | None:
    """Ask for the entry with this id, unlisted ones too; None if there is none."""
    question = Question(
        id,
        verb="ENTRY",
        fields=fields,
        transport=Transport(transport),
        timeout=timeout,
        tls=Tls(cafile, certfile, keyfile),
        trace=trace,
    )
    answer = _run(question, server, family)
    return answer.entries[0] if answer.entries and not answer.near else None


def linked(
    id: str,
    links: Sequence[str] = LINKS,
    *,
    server: str | None = None,
    fields: Sequence[str] = (),
    limit: int = 10,
    after: str = "",
    transport: str = "auto",
    timeout: float = 5.0,
    cafile: str | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    family: int = 0,
    trace: Trace | None = None,
) -> Answer:
    """Ask for the entry with this id, the first of the answer, and for those linked to it.

    These links of it are followed one step, in both directions; the server needs the capability
    `links`. `limit` counts all entries of the answer.
    """
    question = Question(
        id,
        verb="ENTRY",
        fields=fields,
        links=links,
        limit=limit,
        after=after,
        transport=Transport(transport),
        timeout=timeout,
        tls=Tls(cafile, certfile, keyfile),
        trace=trace,
    )
    return _run(question, server, family)


def server_address(server: str | None) -> Address:
    """Return the server to ask: the given one, PHONEBOOK_SERVER, localhost."""
    return Address.parse(server or os.environ.get("PHONEBOOK_SERVER") or "localhost")


def _run(question: Question, server: str | None, family: int) -> Answer:
    deadline = time.monotonic() + question.timeout
    inquiry = inquire(question, server_address(server), os.urandom)
    result: Sequence[str] | Reply
    try:
        step = next(inquiry)
        while True:
            try:
                if isinstance(step, Find):
                    result = _addresses(step.host, FAMILIES[family], deadline)
                else:
                    result = _Sockets(step, deadline, question.trace).run()
            except ClientError as error:
                step = inquiry.throw(error)
            else:
                step = inquiry.send(result)
    except StopIteration as end:
        answer: Answer = end.value
        return answer


def _addresses(host: str, family: int, deadline: float) -> list[str]:
    """Return the IP addresses of a host; the resolver has no timeout of its own (K-7)."""

    def resolve(flags: int = 0) -> list[str]:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM, flags=flags)
        return list(dict.fromkeys(_numeric(address) for *_, address in found))

    try:
        return resolve(socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        pass
    from threading import Thread

    results: list[list[str]] = []

    def work() -> None:
        try:
            results.append(resolve())
        except (OSError, UnicodeError):
            results.append([])

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if not results:
        raise NoAnswer(f"The address of {host} could not be found in time.")
    if not results[0]:
        version = {int(socket.AF_INET): "IPv4 ", int(socket.AF_INET6): "IPv6 "}.get(family, "")
        raise NoAnswer(f"There is no {version}address for {host}.")
    return results[0]


def _numeric(address: tuple[Any, ...]) -> str:
    """Return an address with its scope, as `getaddrinfo` reads it again."""
    host: str = address[0]
    if len(address) == 4 and address[3] and "%" not in host:
        return f"{host}%{address[3]}"
    return host


class _Sockets:
    """The sockets of one exchange."""

    def __init__(self, ask: Ask, deadline: float, trace: Trace | None) -> None:
        self._ask = ask
        self._selector = DefaultSelector()
        self._exchange = Exchange(
            ask.request,
            ask.transport,
            deadline,
            addresses=len(ask.addresses),
            trace=trace,
        )
        self._udp: dict[int, socket.socket] = {}
        self._untried: list[str] = []
        self._attempts: set[socket.socket] = set()
        self._next_attempt = deadline
        self._deadline = deadline
        self._line: Exchange | Secured = self._exchange  # what a connection's events go to
        self._connection: socket.socket | None = None

    def run(self) -> Reply:
        """Return the reply, or raise why there is none."""
        exchange = self._exchange
        try:
            self._do(exchange.begin(time.monotonic()))
            while exchange.outcome is None:
                wait = min(exchange.wake, self._next_attempt) - time.monotonic()
                for key, _ in self._selector.select(max(0.0, wait)):
                    current = self._selector.get_map().get(key.fd)
                    if exchange.outcome is None and current is key:  # not closed meanwhile
                        key.data()
                now = time.monotonic()
                if self._untried and now >= self._next_attempt:
                    self._attempt()
                self._do(exchange.tick(now))
        finally:
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
            self._selector.close()
        if isinstance(exchange.outcome, ClientError):
            raise exchange.outcome
        return exchange.outcome

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._send(action)
            elif isinstance(action, Connect):
                self._hang_up()
                if action.tls:
                    from phonebook.client.tls import Secured

                    self._line = Secured(self._exchange, self._ask.tls, self._ask.server.host)
                self._untried = list(self._ask.addresses)
                self._attempt()
            else:
                self._write(action.octets)

    # UDP

    def _send(self, action: Send) -> None:
        try:
            sock = self._udp.get(action.address)
            if sock is None:
                sock, address = self._socket(self._ask.addresses[action.address], socket.SOCK_DGRAM)
                self._udp[action.address] = sock
                self._selector.register(sock, EVENT_READ, lambda: self._datagram(sock))
                sock.connect(address)  # the system drops what comes from others (K-1)
            sock.send(action.octets)
        except OSError:
            self._do(self._exchange.datagram_refused(time.monotonic()))

    def _datagram(self, sock: socket.socket) -> None:
        try:
            octets = sock.recv(65_535)
        except BlockingIOError:
            return
        except OSError:
            self._do(self._exchange.datagram_refused(time.monotonic()))
        else:
            self._do(self._exchange.datagram(octets))

    # TCP and TLS

    def _attempt(self) -> None:
        """Try to connect to the next address, beside those that still take their time."""
        self._next_attempt = self._deadline
        while self._untried:
            try:
                sock, address = self._socket(self._untried.pop(0), socket.SOCK_STREAM)
            except OSError:
                continue
            self._attempts.add(sock)
            self._selector.register(sock, EVENT_WRITE, partial(self._attempted, sock))
            if self._untried:
                self._next_attempt = time.monotonic() + NEXT_ADDRESS
            try:
                sock.connect(address)
            except BlockingIOError:
                pass
            except OSError:
                self._drop(sock)
                continue
            return
        if not self._attempts:
            self._do(self._exchange.closed(refused=True))

    def _attempted(self, sock: socket.socket) -> None:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._drop(sock)
            self._attempt()
            return
        for other in self._attempts - {sock}:
            self._drop(other)
        self._attempts.clear()
        self._untried, self._next_attempt = [], self._deadline
        self._connection = sock
        self._selector.modify(sock, EVENT_READ, lambda: self._read(sock))
        self._do(self._line.connected())

    def _write(self, octets: bytes) -> None:
        """Write a request, or what a handshake says, which any fresh socket has room for."""
        assert self._connection is not None
        try:
            self._connection.sendall(octets)
        except OSError:
            self._hang_up()
            self._do(self._line.closed())

    def _read(self, sock: socket.socket) -> None:
        try:
            octets = sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self._do(self._line.received(octets))
        else:
            self._hang_up()
            self._do(self._line.closed())

    def _hang_up(self) -> None:
        if self._connection:
            self._drop(self._connection)
            self._connection = None

    def _socket(self, host: str, kind: socket.SocketKind) -> tuple[socket.socket, Any]:
        found = socket.getaddrinfo(
            host, self._ask.server.port, type=kind, flags=socket.AI_NUMERICHOST
        )
        family, _, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        return sock, address

    def _drop(self, sock: socket.socket) -> None:
        self._attempts.discard(sock)
        self._selector.unregister(sock)
        sock.close()
