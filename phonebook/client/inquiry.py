"""A whole lookup, without I/O: pages, a referral's servers, a start over, until there is an answer.

Implements spec/phonebook.md, [Q-16], [Q-17], [K-5] and [X-3] to [X-5]. `inquire` is a generator
that a driver runs: it yields `Find` (send back the name's addresses) and `Ask` (send back the
reply, or throw the `ClientError`), and returns the `Answer`.
"""

import re
from base64 import b32encode
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from phonebook.client.address import Address
from phonebook.client.answer import (
    Answer,
    BadInput,
    BrokenReply,
    ClientError,
    Entry,
    NoAnswer,
    Refused,
)
from phonebook.client.exchange import Trace, Transport
from phonebook.wire import LINKS, PADDED, PORT, Block, Code, Reply, Request

MAX_DEPTH = 3  # referrals followed one after another
MAX_SERVERS = 8  # asked for one question
PAGE = 32  # entries in a reply at most
MAX_TIMEOUT = 3_600  # seconds: more than anybody waits, and less than systems can
TAG_ENTROPY = 10  # octets, 80 bits: the 16 letters of a tag (K-1)

Entropy = Callable[[int], bytes]


class Tls(NamedTuple):
    """The files that TLS takes, in PEM."""

    cafile: str | None = None
    """Whose certificates servers must have; without it, those that the system trusts."""
    certfile: str | None = None
    """The client's certificate, which tells the server who asks."""
    keyfile: str | None = None
    """Its key, unless that is in `certfile`, too."""


class Question(NamedTuple):
    """What to ask, and how; the same for both drivers."""

    argument: str
    verb: str = "LOOKUP"
    kind: str | None = None
    fields: Sequence[str] = ()
    links: Sequence[str] = ()
    limit: int = 10
    after: str = ""
    transport: Transport = Transport.AUTO
    timeout: float = 5.0
    tls: Tls = Tls()
    trace: Trace | None = None

    def request(self, limit: int, after: str) -> Request:
        """Return the request for one page, without a tag."""
        options = []
        if self.fields:  # what links is among them: the answer tells how each entry is linked
            names = ["kind", "name", *self.fields, *self.links]
            options.append(("fields", ",".join(dict.fromkeys(map(str.lower, names)))))
        if self.links:
            options.append(("links", ",".join(self.links)))
        argument = self.argument
        if self.verb == "LOOKUP" or self.links:
            if limit != 10:
                options.append(("limit", str(limit)))
            if after:
                options.append(("after", after))
        if self.verb == "LOOKUP":
            if self.kind:
                argument = f"kind:{self.kind} {argument}"
            if re.match(r" *[a-z][a-z0-9-]{0,31}=", argument):
                argument = f". {argument}"  # else it would be read as an option (section 3)
        return Request(self.verb, options=tuple(options), argument=argument)

    def check(self) -> None:
        """Raise `BadInput` for what would not be read as it is meant."""
        if not self.argument.strip(" "):
            raise BadInput("There is nothing to look up: give a name, a number or a word.")
        if self.limit < 1:
            raise BadInput("The limit is a number from 1 on.")
        if not 0 < self.timeout <= MAX_TIMEOUT:
            raise BadInput(f"The timeout is a number of seconds above 0, {MAX_TIMEOUT} at most.")
        if any(self.tls) and self.transport is not Transport.TLS:
            raise BadInput("Certificates are for TLS alone: ask over it (--tls).")
        if self.tls.keyfile and not self.tls.certfile:
            raise BadInput("A key is of use with its certificate alone: give that, too (--cert).")
        for name in self.fields:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}(\.[A-Za-z0-9-]{1,30})?", name):
                raise BadInput(f"{name!r} is no name of a field: write letters, as in phone.")
        for name in self.links:
            if name.lower() not in LINKS:
                raise BadInput(f"{name!r} is no link: write {', '.join(LINKS)}.")
        if self.kind and not re.fullmatch(r"[A-Za-z]+", self.kind):
            raise BadInput(f"{self.kind!r} is no kind: write person, place, group or service.")
        for each in (self.after, self.argument if self.verb == "ENTRY" else ""):
            if each and not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", each):
                raise BadInput(f"{each!r} is no id: it has small letters, digits, '.', '_', '-'.")


class Find(NamedTuple):
    """Find the IP addresses of a host."""

    host: str


class Ask(NamedTuple):
    """Ask a server, at these addresses."""

    request: Request
    transport: Transport
    server: Address
    addresses: tuple[str, ...]
    tls: Tls


Step = Find | Ask
Inquiry = Generator[Step, "Sequence[str] | Reply", Answer]


class _Place(NamedTuple):
    """A server to ask, and how."""

    server: Address
    addresses: tuple[str, ...]
    transport: Transport


def inquire(question: Question, server: Address, entropy: Entropy) -> Inquiry:
    """Ask the server, and those that it refers to, for the question's answer."""
    question.check()
    try:
        addresses = yield from _find(server.host)
    except NoAnswer as error:
        raise NoAnswer(f"{error} Is the name right?") from None
    walk = _Walk(question, _name(server.host), entropy)
    return (yield from walk.visit(_Place(server, addresses, question.transport), 0))


class _Walk:
    """The servers that were asked for one question."""

    def __init__(self, question: Question, named: str, entropy: Entropy) -> None:
        self._question = question
        self._named = named
        self._entropy = entropy
        self._asked: set[tuple[str, int, bool]] = set()  # host or address, port, TLS
        self._servers = 0

    def visit(self, place: _Place, depth: int) -> Inquiry:
        """Ask a server, and where it refers to others, them."""
        self._servers += 1
        for host in (place.server.host, *place.addresses):
            self._asked.add(_key(host, place.server.port, place.transport))
        first = self._question.request(min(self._question.limit, PAGE), self._question.after)
        reply, place = yield from self._ask(place, first)
        if _refers(reply):
            return (yield from self._follow(place, reply, depth))
        return (yield from self._pages(place, reply))

    def _ask(
        self, place: _Place, request: Request
    ) -> Generator[Step, "Sequence[str] | Reply", tuple[Reply, _Place]]:
        """Ask with a fresh tag (K-1); over UDP alone, for as much as fits (K-5)."""
        reply = yield from self._once(place, request)
        if reply.code == Code.TOO_LONG:
            fits = _number(reply, "fits")
            if not 0 < fits < int(dict(request.options).get("limit", 10)):
                raise Refused(reply.code, reply.text)
            options = {**dict(request.options), "limit": str(fits)}
            again = Request(request.verb, options=tuple(options.items()), argument=request.argument)
            reply = yield from self._once(place, again)
        if place.transport is Transport.AUTO and len(reply.octets) > PADDED:
            # It came over TCP, and so will the next page.
            place = place._replace(transport=Transport.TCP)
        return reply, place

    def _once(
        self, place: _Place, request: Request
    ) -> Generator[Step, "Sequence[str] | Reply", Reply]:
        tag = b32encode(self._entropy(TAG_ENTROPY)).decode()
        tagged = Request(request.verb, tag, request.options, request.argument)
        tls = self._question.tls
        if _name(place.server.host) != self._named:  # a referral shall not make us known elsewhere
            tls = tls._replace(certfile=None, keyfile=None)
        try:
            reply = yield Ask(tagged, place.transport, place.server, place.addresses, tls)
        except (NoAnswer, BrokenReply) as error:  # say whose
            raise type(error)(f"{place.server}: {error}") from None
        assert isinstance(reply, Reply)
        return reply

    def _pages(self, place: _Place, reply: Reply) -> Inquiry:
        """Read on behind the first page until there are enough; on 552 start over, once (Q-17)."""
        question, entries, fresh = self._question, list[Entry](), True
        while True:
            if reply.code == Code.START_OVER and entries and fresh:
                entries, fresh = [], False
                page = question.request(min(question.limit, PAGE), question.after)
            else:
                _accept(reply)
                entries += map(Entry.of, reply.entries)
                missing, left = question.limit - len(entries), _number(reply, "left")
                if missing <= 0 or not left or not reply.entries or reply.code != Code.FOUND:
                    break
                page = question.request(min(missing, PAGE), entries[-1].id)
            reply, place = yield from self._ask(place, page)
        return Answer(
            entries=tuple(entries[: question.limit]),
            near=reply.code == Code.NEAR,
            matched=_number(reply, "matched", len(entries)),
            left=left + max(0, -missing),
            at=reply.parameters.get("at", ""),
            server=str(place.server),
        )

    def _follow(self, referrer: _Place, reply: Reply, depth: int) -> Inquiry:
        """Ask the servers of a referral in their order until one has a match (X-3)."""
        nearest: Answer | None = None
        failures: list[ClientError] = []
        for block in reply.entries:
            if depth == MAX_DEPTH or self._servers == MAX_SERVERS:
                failures.append(NoAnswer("The referrals go on too long; none had an answer."))
                break
            try:
                if not (place := (yield from self._permitted(referrer, block))):
                    continue
                answer = yield from self.visit(place, depth + 1)
            except ClientError as error:
                failures.append(error)
                continue
            if answer.entries and not answer.near:
                return answer
            if nearest is None or not nearest.entries:
                nearest = answer
        if failures and isinstance(failures[0], NoAnswer | BrokenReply):
            told = " ".join(map(str, failures))
            raise type(failures[0])(
                f"{referrer.server} found nothing and refers to others, "
                f"not all of which could be asked. {told}"
            )
        if failures:  # a part of the answer would pass for the whole
            raise failures[0]
        if nearest is None:
            raise Refused(reply.code, "It refers to servers that may not be asked.")
        return nearest

    def _permitted(
        self, referrer: _Place, block: Block
    ) -> Generator[Step, "Sequence[str] | Reply", _Place | None]:
        """Return where a referral leads, or None where it must not be followed (X-3 to X-5)."""
        fields = dict(reversed(block))  # the first line of each counts
        try:
            server = Address.parse(fields.get("server", ""))
        except BadInput:
            return None
        transport = self._question.transport
        if fields.get("tls") == "yes" or referrer.transport is Transport.TLS:
            if transport is Transport.UDP:
                return None
            transport = Transport.TLS
        if server.port not in (PORT, referrer.server.port):
            return None
        if _key(server.host, server.port, transport) in self._asked:
            return None
        near = all(map(_is_near, referrer.addresses))
        try:
            found = yield from _find(server.host)
        except NoAnswer as error:
            raise NoAnswer(f"{server}: {error}") from None
        addresses = tuple(
            address
            for address in found
            if (near or not _is_near(address))
            and _key(address, server.port, transport) not in self._asked
        )
        return _Place(server, addresses, transport) if addresses else None


def _find(host: str) -> Generator[Step, "Sequence[str] | Reply", tuple[str, ...]]:
    found = yield Find(host)
    assert not isinstance(found, Reply)
    return tuple(found)


def _key(host: str, port: int, transport: Transport) -> tuple[str, int, bool]:
    return _name(host), port, transport is Transport.TLS


def _name(host: str) -> str:
    return host.lower().rstrip(".")


def _is_near(address: str) -> bool:
    """Whether an IP address is a loopback or link-local one, however it is written (X-4)."""
    from ipaddress import IPv6Address, ip_address

    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified


def _refers(reply: Reply) -> bool:
    """Whether a reply says "ask there"; an unknown 3xx does if it names a server (C-1)."""
    return reply.code // 100 == 3 and any("server" in dict(block) for block in reply.entries)


def _accept(reply: Reply) -> None:
    """Raise `Refused` unless the reply is 2xx, known or unknown (C-1)."""
    if reply.code == Code.HELP:
        raise BrokenReply("The server answered a question that was not asked.")
    if reply.code // 100 != 2:
        retry = _number(reply, "retry", 0) or None
        raise Refused(reply.code, reply.text, retry)


def _number(reply: Reply, name: str, default: int = 0) -> int:
    text = reply.parameters.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else default
