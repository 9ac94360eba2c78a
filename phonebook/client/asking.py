"""The client over Twisted: `ask` answers as `blocking.lookup` does, without blocking.

>>> answer = await ask(reactor, "ada", server="lab")  # doctest: +SKIP

Drives exchange.py and inquiry.py.
"""

import os
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from phonebook.client.answer import Answer, ClientError, Entry, NoAnswer
from phonebook.client.blocking import server_address
from phonebook.client.exchange import Action, Connect, Exchange, Send, Trace, Transport
from phonebook.client.inquiry import Ask, Find, Question, Tls, inquire
from phonebook.client.tls import Secured
from phonebook.wire import LINKS, Reply

PATIENCE = 1.0  # seconds for a connection while there is a further address to try


async def ask(
    reactor: Any,
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
    trace: Trace | None = None,
) -> Answer:
    """Look a query up, as `blocking.lookup` does. Raises `ClientError`."""
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
    return await _run(reactor, question, server)


async def ask_entry(
    reactor: Any,
    id: str,
    *,
    server: str | None = None,
    fields: Sequence[str] = (),
    transport: str = "auto",
    timeout: float = 5.0,
    cafile: str | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    trace: Trace | None = None,
) -> Entry | None:
    """Ask for the entry with this id, as `blocking.entry` does."""
    question = Question(
        id,
        verb="ENTRY",
        fields=fields,
        transport=Transport(transport),
        timeout=timeout,
        tls=Tls(cafile, certfile, keyfile),
        trace=trace,
    )
    answer = await _run(reactor, question, server)
    return answer.entries[0] if answer.entries and not answer.near else None


async def ask_linked(
    reactor: Any,
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
    trace: Trace | None = None,
) -> Answer:
    """Ask for the entry with this id and those linked to it, as `blocking.linked` does."""
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
    return await _run(reactor, question, server)


async def _run(reactor: Any, question: Question, server: str | None) -> Answer:
    deadline = reactor.seconds() + question.timeout
    inquiry = inquire(question, server_address(server), os.urandom)
    result: Sequence[str] | Reply
    try:
        step = next(inquiry)
        while True:
            try:
                if isinstance(step, Find):
                    result = await _addresses(reactor, step.host, deadline)
                else:
                    result = await _Driver(reactor, step, deadline, question.trace).run()
            except ClientError as error:
                step = inquiry.throw(error)
            else:
                step = inquiry.send(result)
    except StopIteration as end:
        answer: Answer = end.value
        return answer


@implementer(IResolutionReceiver)
class _Receiver:
    """Gathers the addresses of a host; `done` fires with them once."""

    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self._found: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Do nothing: there is no need to cancel."""

    def addressResolved(self, address: IAddress) -> None:
        """Keep an address."""
        self._found.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        """Hand the addresses over, unless it took too long."""
        if not self.done.called:
            self.done.callback(list(dict.fromkeys(self._found)))


async def _addresses(reactor: Any, host: str, deadline: float) -> list[str]:
    """Return the IP addresses of a host, in time (K-7)."""
    from twisted.internet.abstract import isIPAddress, isIPv6Address

    if isIPAddress(host) or isIPv6Address(host):
        return [host]
    receiver = _Receiver()
    late = reactor.callLater(
        max(0.0, deadline - reactor.seconds()),
        receiver.done.errback,
        NoAnswer(f"The address of {host} could not be found in time."),
    )
    reactor.nameResolver.resolveHostName(receiver, host)
    try:
        found = await receiver.done
    finally:
        if late.active():
            late.cancel()
    if not found:
        raise NoAnswer(f"There is no address for {host}.")
    return found


class _Driver:
    """One exchange, its ports, connection and timer."""

    def __init__(self, reactor: Any, ask: Ask, deadline: float, trace: Trace | None) -> None:
        self.exchange = Exchange(
            ask.request, ask.transport, deadline, addresses=len(ask.addresses), trace=trace
        )
        self._reactor = reactor
        self._ask = ask
        self._deadline = deadline
        self._done: Deferred[Reply] = Deferred()
        self._ports: dict[int, Any] = {}
        self._connecting: Deferred[Any] | None = None
        self._connection: _Connection | None = None
        self._line: Exchange | Secured = self.exchange  # what a connection's events go to
        self._timer: Any = None

    async def run(self) -> Reply:
        """Return the reply, or raise why there is none."""
        try:
            self.do(self.exchange.begin(self.now()))
            return await self._done
        finally:
            await self._close()

    def now(self) -> float:
        """Return the reactor's time."""
        seconds: float = self._reactor.seconds()
        return seconds

    def do(self, actions: Sequence[Action]) -> None:
        """Do what the exchange asks for, end when it has ended, else wait until it is due."""
        for action in actions:
            if isinstance(action, Send):
                self._send(action)
            elif isinstance(action, Connect):
                self._hang_up()
                self._connecting = Deferred.fromCoroutine(self._connect(action.tls))
                self._connecting.addErrback(self._fail)
            elif self._connection and self._connection.transport:
                self._connection.transport.write(action.octets)
        outcome = self.exchange.outcome
        if outcome is not None and not self._done.called:
            if isinstance(outcome, ClientError):
                self._done.errback(outcome)
            else:
                self._done.callback(outcome)
        if self._timer and self._timer.active():
            self._timer.cancel()
        if not self._done.called:
            wait = max(0.0, self.exchange.wake - self.now())
            self._timer = self._reactor.callLater(wait, self._tick)

    def connected(self, connection: "_Connection") -> None:
        """Ask over this connection, which is open now."""
        self._connection = connection
        self.do(self._line.connected())

    def received(self, connection: "_Connection", octets: bytes) -> None:
        """Hand on what came over this connection."""
        if connection is self._connection and self.exchange.outcome is None:
            self.do(self._line.received(octets))

    def lost(self, connection: "_Connection") -> None:
        """Tell that this connection is closed."""
        if connection is self._connection and self.exchange.outcome is None:
            self.do(self._line.closed())

    def port_lost(self, address: int) -> None:
        """Take another port for the next datagram, if there is one."""
        if self._ports.pop(address, None):
            self._reactor.callLater(0, self._refused)

    def _tick(self) -> None:
        self.do(self.exchange.tick(self.now()))

    def _fail(self, failure: Failure) -> None:
        """End with an error: of the input, or one that is not foreseen."""
        if not self._done.called:
            self._done.errback(failure)

    def _send(self, action: Send) -> None:
        if not (port := self._ports.get(action.address)):
            host = self._ask.addresses[action.address]
            port = self._reactor.listenUDP(
                0,
                _Datagrams(self, action.address),
                interface="::" if ":" in host else "",
                maxPacketSize=65_535,
            )
            self._ports[action.address] = port
            try:
                port.connect(host, self._ask.server.port)  # K-1
            except OSError:
                self._reactor.callLater(0, self._refused)
                return
        try:
            port.write(action.octets)
        except OSError:
            self._reactor.callLater(0, self._refused)

    def _refused(self) -> None:
        if not self._done.called:
            self.do(self.exchange.datagram_refused(self.now()))

    async def _connect(self, tls: bool) -> None:
        port = self._ask.server.port
        if tls:
            self._line = Secured(self.exchange, self._ask.tls, self._ask.server.host)
        *others, last = self._ask.addresses
        for address in (*others, last):
            left = max(0.01, self._deadline - self.now())
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            patience = left if address is last else min(left, PATIENCE)
            endpoint: Any = kind(self._reactor, address, port, timeout=patience)
            try:
                await endpoint.connect(Factory.forProtocol(lambda: _Connection(self)))
            except Exception:  # whatever it was, the next address is tried
                if self._done.called:
                    return
                continue
            return
        if not self._done.called:
            self.do(self.exchange.closed(refused=True))

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection and connection.transport:
            transport: Any = connection.transport
            transport.abortConnection()

    async def _close(self) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()
        if self._connecting and not self._connection:
            self._connecting.cancel()
        self._hang_up()
        ports, self._ports = self._ports, {}
        for port in ports.values():
            await maybeDeferred(port.stopListening)


class _Datagrams(DatagramProtocol):
    """The datagrams of one exchange."""

    def __init__(self, driver: _Driver, address: int) -> None:
        self._driver, self._address = driver, address

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Hand a datagram on."""
        if self._driver.exchange.outcome is None:
            self._driver.do(self._driver.exchange.datagram(datagram))

    def connectionRefused(self) -> None:
        """Hand an ICMP error on."""
        if self._driver.exchange.outcome is None:
            self._driver.do(self._driver.exchange.datagram_refused(self._driver.now()))

    def stopProtocol(self) -> None:
        """Hand an ICMP error on: the epoll reactor closes the port of a connected socket for it."""
        self._driver.port_lost(self._address)


class _Connection(Protocol):
    """The connection of one exchange."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver

    def connectionMade(self) -> None:
        """Begin."""
        self._driver.connected(self)

    def dataReceived(self, data: bytes) -> None:
        """Hand octets on."""
        self._driver.received(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell that the connection is closed."""
        self._driver.lost(self)
