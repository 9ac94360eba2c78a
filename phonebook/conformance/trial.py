"""One case over one transport: sends what its steps say, and holds what comes against them."""

import re
import ssl
import time
from collections.abc import Mapping
from typing import Any

from phonebook.conformance.cases import WAITS, Case, octets_of
from phonebook.conformance.expect import differences
from phonebook.conformance.reply import Failure, Reply, read_reply, reply_end, visible_lines
from phonebook.conformance.server import HOME, PADDED, Server, help_over_udp, padded
from phonebook.conformance.wire import Datagrams, NotTried, Stream
from phonebook.share import share

SILENCE = 0.4  # seconds without an answer that count as silence
CLOSING = 3.5  # seconds within which a stream ends whose time has passed
MARGIN = 1.0  # seconds that a timer may be late
MOST_ENTRIES = 32  # in a reply
ALPN = ["phonebook/1"]
CLOSING_CODES = ("500", "501", "502")

_TAG = re.compile(r"[A-Z]{3,10} +#([A-Za-z0-9]{1,16})(?= |\Z)")


class Broken(Exception):
    """The server broke what the case tries."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


class Trial:
    """One case over one transport."""

    def __init__(self, server: Server, case: Case, transport: str) -> None:
        self.server = server
        self.case = case
        self.transport = transport
        self.source = case.source  # the address that is asked from, if it matters
        self.failures: list[Failure] = []
        self.remembered: dict[str, str] = {}
        self.datagram = b""  # what the next datagram holds, over UDP
        self.asked = 0  # octets of the last datagram
        self.reply: Reply | None = None
        self.waited = False  # whether the last step let a time pass
        self._stream: Stream | None = None
        self._datagrams: Datagrams | None = None

    def close(self) -> None:
        for line in (self._stream, self._datagrams):
            if line is not None:
                line.close()

    @property
    def stream(self) -> Stream:
        if self._stream is None:
            alpn = ALPN if self.transport == "tls" else None
            try:
                self._stream = self.connect(alpn)
            except ssl.SSLError as error:
                raise self.broken(f"The TLS handshake failed: {error.reason}") from None
        return self._stream

    def connect(self, alpn: list[str] | None, version: str = "") -> Stream:
        """Return a connection from where the case asks, with what it shows."""
        shown = self.case.certificate
        certificate = share(f"spec/conformance/{shown}") if shown else None
        address = self.server.address
        return Stream(address, alpn, version, source=self.source, certificate=certificate)

    @property
    def datagrams(self) -> Datagrams:
        if self._datagrams is None:
            own = str(self.server.address.port)
            port = int(self.case.source_port.replace("own", own) or 0)
            address = self.server.address
            if self.case.to:
                address = self.server.elsewhere(self.case.to)
            self._datagrams = Datagrams(address, port, self.source)
        return self._datagrams

    def broken(self, sentence: str, expected: str = "", seen: str = "", *ids: str) -> Broken:
        return Broken(Failure(ids or self.case.tries, sentence, expected, seen))

    def run(self) -> None:
        if self.source and self.server.address.host not in HOME:
            raise NotTried("the server is not at 127.0.0.1")
        if self.case.same_octets:
            self.run_same()
        elif self.case.ask is not None:
            self.run_ask(self.case.ask)
        else:
            for step in self.case.steps:
                getattr(self, "do_" + step.kind.replace("-", "_"))(step.value)
                self.waited = step.kind in WAITS
            if self.datagram:
                raise NotTried("the case sends nothing: no step expects what its datagram gets")
        if self._stream is not None and self._stream.unread:
            unread = visible_lines(self._stream.unread)
            raise self.broken("The server sent more than its replies", "", unread, "T-1")
        self.check_source()

    def check_source(self) -> None:
        if self._datagrams is not None and self._datagrams.strangers:
            raise self.broken(
                "A reply came from elsewhere than where the request went",
                self._datagrams.asked,
                self._datagrams.strangers[0],
                "U-9",
            )

    # the simple form

    def run_ask(self, ask: str) -> None:
        expected = dict(self.case.expected)
        tag = _TAG.match(ask)
        if expected["code"] not in ("500", "502"):
            expected.setdefault("tag", tag.group(1) if tag else "")
        if self.transport == "udp":
            self.datagram = padded(ask.encode(), PADDED)
            if expected["code"] in ("500", "502") or (expected["code"] == "501" and not tag):
                self.expect_silence("U-1" if expected["code"] != "501" else "U-5")
                return
        else:
            self.stream.send(ask.encode() + b"\r\n")
        reply = self.read()
        if reply.code == "320" and expected["code"] != "320" and self.transport == "udp":
            if reply.number("octets") <= PADDED:
                raise self.broken(
                    "320, though the reply fits",
                    "octets=N above 1200",
                    visible_lines(reply.octets),
                    "U-4",
                )
            return
        self.check(reply, expected)
        if expected["code"] in CLOSING_CODES and self.transport != "udp":
            self.expect_closed("T-2")

    def run_same(self) -> None:
        octets = padded((self.case.ask or "HELP").encode(), PADDED)
        self.stream.send(octets)
        over_tcp = self.read()
        if self.case.expected:
            self.check(over_tcp, self.case.expected)
        self.transport = "udp"
        self.datagram = octets
        over_udp = self.read()
        if over_tcp.octets != over_udp.octets:
            raise self.broken(
                "The reply over UDP is another than over TCP",
                visible_lines(over_tcp.octets),
                visible_lines(over_udp.octets),
            )

    # steps that send

    def put(self, octets: bytes) -> None:
        if self.transport == "udp":
            self.datagram += octets
        else:
            self.stream.send(octets)

    def do_send(self, text: str) -> None:
        self.put(octets_of(text))

    def do_send_repeat(self, value: list[str]) -> None:
        self.put(octets_of(value[0]) * int(value[1]))

    def do_pad(self, value: list[str]) -> None:
        self.put(padded(value[0].encode(), int(value[1])))

    def do_datagram(self, value: str) -> None:
        """Send what has been gathered as a datagram now, without waiting for an answer."""
        self.datagrams.send(self.datagram)
        self.datagram = b""

    def do_each_octet(self, text: str) -> None:
        octets = octets_of(text)
        for index in range(len(octets)):
            self.put(octets[index : index + 1])
            time.sleep(0.002)

    def do_trickle(self, value: list[str]) -> None:
        """Send the octets over and over, one at a time, until a limit has passed."""
        octets = octets_of(value[0])
        deadline = time.monotonic() + self.server.limit(value[1]) + MARGIN
        index = 0
        while time.monotonic() < deadline:
            self.put(octets[index % len(octets)].to_bytes(1, "big"))
            index += 1
            time.sleep(0.15)

    def do_keep_asking(self, limit: str) -> None:
        """Ask HELP over and over until a limit has passed; the stream ends then, not earlier."""
        seconds = self.server.limit(limit)
        pause = min(0.3, self.server.limit("limit.idle") / 3)
        started = time.monotonic()
        while (passed := time.monotonic() - started) < seconds + CLOSING:
            self.stream.send(b"HELP\r\n")
            octets = self.stream.reply()
            if not octets and self.stream.ended:
                if passed < seconds - 0.75:
                    raise self.broken(
                        f"The connection was closed after {passed:.1f} s", f"{seconds:.0f} s"
                    )
                return
            if not octets:
                raise self.broken("HELP is not answered", "210", "nothing")
            time.sleep(pause)
        raise self.broken(f"The connection is open after {passed:.1f} s", f"{seconds:.0f} s")

    def do_shutdown(self, value: str) -> None:
        self.stream.shutdown()

    def do_wait(self, value: str) -> None:
        self.stream  # noqa: B018 (the connection exists from here on)
        if re.fullmatch(r"[0-9.]+", value):
            time.sleep(float(value))
        else:
            time.sleep(self.server.limit(value) + MARGIN)

    def do_over(self, transport: str) -> None:
        self.transport = transport

    def do_from(self, source: str) -> None:
        """Go on from another address, on another connection."""
        self.close()
        self._stream = self._datagrams = None
        self.source = source

    # steps that expect

    def do_expect(self, value: Any) -> None:
        if value == "silence":
            self.expect_silence()
        elif value == "closed":
            self.expect_closed()
        elif value == "open":
            self.stream.send(b"HELP\r\n")
            reply = self.read()
            if reply.code != "210":
                raise self.broken("The connection is not open", "210", visible_lines(reply.octets))
        else:
            datagram = self.datagram  # sent as often as it is to be answered
            for _ in range(int(value.get("times", 1))):
                self.datagram = datagram
                self.check(self.read(), value)

    def expect_silence(self, *ids: str) -> None:
        if self.transport == "udp":
            started = time.monotonic()
            self.fresh_socket()
            self.datagrams.send(self.datagram)
            sent, self.datagram = self.datagram, b""
            if not help_over_udp(self.server.address):
                raise self.broken("The server answers nothing more over UDP", "210", "nothing")
            left = max(0.05, SILENCE - (time.monotonic() - started))
            octets = self.datagrams.receive(left)
            if octets or self.datagrams.strangers:
                raise self.broken(
                    f"A datagram that is dropped was answered: {visible_lines(sent)}",
                    "nothing",
                    visible_lines(octets) or f"a reply from {self.datagrams.strangers[0]}",
                    *ids,
                )
        else:
            octets = self.stream.rest(SILENCE)
            if octets:
                seen = visible_lines(octets)
                raise self.broken("The server sent what nobody asked for", "nothing", seen, *ids)
            if self.stream.ended:
                raise self.broken("The server closed the connection", "open", "closed", *ids)

    def expect_closed(self, *ids: str) -> None:
        """Wait for the end of the stream: long, unless that is too late in itself."""
        patience = CLOSING if self.waited else max(CLOSING, self.server.patience())
        octets = self.stream.rest(patience)
        if not self.stream.ended:
            self.server.unanswered += 1
        if octets or not self.stream.ended:
            seen = visible_lines(octets) if octets else "open"
            raise self.broken("The connection is not closed", "end of stream", seen, *ids)

    def do_handshake(self, value: Mapping[str, Any]) -> None:
        """Try a TLS handshake with these ALPN names; `outcome` is `fails` or the name chosen."""
        version = value.get("version", "")
        try:
            self._stream = self.connect(list(value["alpn"]), version)
        except (ssl.SSLError, ConnectionError, TimeoutError):
            outcome = "fails"
        else:
            outcome = self._stream.chosen or "nothing"
            if value["outcome"] == "fails":  # TLS 1.3: the server's refusal comes when we read
                self._stream.send(b"HELP\r\n")
                if not self._stream.reply():
                    outcome = "fails"
        if outcome != value["outcome"]:
            raise self.broken("The TLS handshake came out otherwise", value["outcome"], outcome)

    def do_remember(self, name: str) -> None:
        self.remembered[name] = self.part(name)

    def do_same(self, name: str) -> None:
        self.compare(name, True)

    def do_differs(self, name: str) -> None:
        self.compare(name, False)

    def compare(self, name: str, same: bool) -> None:
        before, now = self.remembered[name], self.part(name)
        if (before == now) != same:
            word = "is another" if same else "is the same"
            raise self.broken(f"`{name}` {word}", before, now)

    def part(self, name: str) -> str:
        assert self.reply is not None
        if name == "octets":
            return visible_lines(self.reply.octets)
        if name == "body":
            return "\n".join(self.reply.lines)
        return self.reply.parameters.get(name, "")

    def do_measure(self, request: str) -> None:
        """Hold `octets` and `fits` of a 320 against replies over TCP; {} is where limit goes."""
        self.transport = "udp"
        most = f" limit={MOST_ENTRIES}"
        self.datagram = padded(request.replace("{}", most).encode(), PADDED)
        short = self.read()
        self.check(short, {"code": "320"})
        self.transport = "tcp"
        sizes = {}
        fits = short.number("fits")
        if fits < 0:
            raise self.broken("320 bears no `fits`", "fits=N", visible_lines(short.octets))
        for option in {most, f" limit={max(1, fits)}", f" limit={fits + 1}"}:
            self.stream.send(request.replace("{}", option).encode() + b"\r\n")
            sizes[option] = len(self.read().octets)
        if short.parameters.get("octets") != str(sizes[most]):
            raise self.broken(
                "`octets` is not the length of the whole reply",
                f"octets={sizes[most]}",
                visible_lines(short.octets),
            )
        if fits and sizes[f" limit={fits}"] > PADDED:
            raise self.broken(
                f"A reply with limit={fits} does not fit",
                f"at most {PADDED} octets",
                f"{sizes[f' limit={fits}']} octets",
            )
        if sizes[f" limit={fits + 1}"] <= PADDED:
            raise self.broken(
                f"A reply with limit={fits + 1} would fit, too",
                f"fits={fits + 1}",
                visible_lines(short.octets),
            )
        for count in {1, fits} - {0}:
            self.measure_edge(request, count)

    def measure_edge(self, request: str, count: int) -> None:
        """Ask in datagrams in which so many entries just fit, and just do not."""
        self.transport = "tcp"
        self.stream.send(request.replace("{}", f" limit={count}").encode() + b"\r\n")
        size = len(self.read().octets)
        for octets, expected in ((size, count), (size - 1, count - 1)):
            self.transport = "udp"
            self.datagram = padded(request.replace("{}", f" limit={MOST_ENTRIES}").encode(), octets)
            self.check(self.read(), {"code": "320", "parameters": {"fits": str(expected)}})

    # replies

    def read(self) -> Reply:
        """Return the next reply, after its checks against sections 4 and 7."""
        if self.transport == "udp":
            if self.datagram:
                self.fresh_socket()
                octets = self.datagrams.exchange(self.datagram, self.server.patience())
                self.asked, self.datagram = len(self.datagram), b""
            else:
                octets = self.datagrams.receive(self.server.address.timeout)
            self.check_source()
        else:
            self.stream.timeout = self.server.patience()
            octets = self.stream.reply()
        if not reply_end(octets) and not (self._stream and self._stream.ended):
            self.server.unanswered += 1
        if not octets:
            raise self.broken("No reply came", "a reply", "nothing")
        reply = self.reply = read_reply(octets)
        self.failures += reply.failures
        if self.transport == "udp":
            if self.asked and len(octets) > self.asked:
                self.fail(
                    "U-3",
                    f"The reply has {len(octets)} octets, its request {self.asked}",
                    f"at most {self.asked}",
                    visible_lines(octets),
                )
        elif reply.code in ("320", "321"):
            self.fail("C-3", f"{reply.code} came over TCP", "", visible_lines(octets))
        if reply.code == "251" and not self.server.offers("near"):
            self.fail("M-15", "251 from a server without near", "252", visible_lines(octets))
        return reply

    def fresh_socket(self) -> None:
        """Use another socket for each request: a late second reply is not taken for the next."""
        if self._datagrams is not None and not self.case.source_port:
            self._datagrams.close()
            self._datagrams = None

    def fail(self, requirement: str, sentence: str, expected: str, seen: str) -> None:
        self.failures.append(Failure((requirement,), sentence, expected, seen))

    def check(self, reply: Reply, expected: Mapping[str, Any]) -> None:
        """Raise when a reply is not the one that the case expects."""
        if expected.get("code") == "252" and reply.code == "251" and self.server.offers("near"):
            # other entries for each server, but none may hold what no reply may
            expected = {key: expected[key] for key in ("tag", "lacks") if key in expected}
        for difference in differences(reply, expected, self.case.tries):
            raise Broken(difference)
