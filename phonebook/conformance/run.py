"""Runs cases against a server over blocking sockets, and gathers what each requirement got."""

import re
import ssl
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from phonebook.conformance.cases import Case, Requirement, Untestable, octets_of
from phonebook.conformance.reply import Failure, Reply, read_reply, reply_end, visible_lines
from phonebook.conformance.wire import Address, Datagrams, NotTried, Stream

PADDED = 1_200  # octets: what a client pads its datagram to
SILENCE = 0.4  # seconds without an answer that count as silence
CLOSING = 3.5  # seconds within which a stream ends that is being closed
MARGIN = 1.0  # seconds that a timer may be late
LONGEST_WAIT = 5.0  # seconds that a case waits for an announced time
SIDE_BY_SIDE = 16  # cases
IN_VAIN = 12  # replies that never came, after which the suite waits for less long
IMPATIENT = 1.0  # seconds
MOST_ENTRIES = 32  # in a reply
ALPN = ["phonebook/1"]
CLOSING_CODES = ("500", "501", "502")

_TAG = re.compile(r"[A-Z]{3,10} +#([A-Za-z0-9]{1,16})(?= |\Z)")


class NoAnswer(Exception):
    """Nothing answers at the server's address."""


@dataclass
class Server:
    """The server under test, and what it says of itself in HELP."""

    address: Address
    fields: dict[str, list[str]] = field(default_factory=dict)
    answers: frozenset[str] = frozenset()
    unanswered: int = 0

    def patience(self) -> float:
        """Return for how many seconds to wait for a reply: less after many in vain."""
        return self.address.timeout if self.unanswered < IN_VAIN else IMPATIENT

    def offers(self, name: str) -> bool:
        """Tell whether the server announces a transport or a capability."""
        return any(name in self.fields.get(key, ()) for key in ("transport", "capability"))

    def limit(self, name: str) -> float:
        """Return a time that the server announces."""
        values = self.fields.get(name, [])
        if not values or not values[0].isdecimal():
            raise NotTried(f"the server does not announce {name}")
        if int(values[0]) > LONGEST_WAIT:
            raise NotTried(f"{name} is {values[0]} s")
        return float(values[0])


@dataclass(frozen=True)
class Result:
    """What one case showed over one transport: kept, broken, not offered or not tried."""

    case: Case
    transport: str
    status: str
    reason: str = ""
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What all cases showed of one requirement."""

    requirement: Requirement
    status: str
    reason: str = ""
    failures: tuple[tuple[Result, Failure], ...] = ()
    cases: int = 0


class _Broken(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


def ask_help(address: Address, transports: Iterable[str]) -> Server:
    """Return the server at an address, after its HELP; over UDP if nobody answers over TCP."""
    server = Server(address)
    answers = set()
    for transport in transports:
        octets = b""
        if transport == "tcp":
            try:
                stream = Stream(address)
            except OSError:
                continue
            stream.send(b"HELP\r\n")
            octets = stream.reply()
            stream.close()
        elif transport == "udp":
            octets = _help_over_udp(address)
        if octets:
            answers.add(transport)
        for line in read_reply(octets).lines if octets and not server.fields else ():
            name, _, value = line.partition(": ")
            server.fields.setdefault(name, []).append(value)
    if not answers:
        raise NoAnswer(f"Nothing answers HELP at {address}.")
    server.answers = frozenset(answers)
    return server


def _help_over_udp(address: Address) -> bytes:
    datagrams = Datagrams(address)
    try:
        return datagrams.exchange(_padded(b"HELP #help", PADDED), address.timeout)
    finally:
        datagrams.close()


def _padded(request: bytes, size: int) -> bytes:
    return request.ljust(size - 2, b" ") + b"\r\n"


def run(
    server: Server,
    cases: Iterable[Case],
    transports: frozenset[str],
    profile: str = "core",
) -> list[Result]:
    """Run the cases of a profile over the transports, side by side; results in the cases' order."""
    jobs = []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for case in cases:
            wanted = [name for name in case.transport if name in transports]
            if case.same_octets:
                wanted = ["tcp"] if {"tcp", "udp"} <= transports else []
            for transport in wanted:
                jobs.append(pool.submit(_run_one, server, case, transport, profile))
    return [job.result() for job in jobs]


def _run_one(server: Server, case: Case, transport: str, profile: str) -> Result:
    if case.profile != profile:
        return Result(case, transport, "not tried", f"it needs --profile {case.profile}")
    needs = [transport] if transport not in server.answers else []
    if case.same_octets and "udp" not in server.answers:
        needs.append("udp")
    for need in [*needs, *case.needs.split()]:
        if server.offers(need.removeprefix("no-")) == need.startswith("no-"):
            return Result(case, transport, "not offered", need)
    started = time.monotonic()
    play = _Play(server, case, transport)
    status, reason = "kept", ""
    try:
        play.run()
    except NotTried as error:
        status, reason = "not tried", str(error)
    except _Broken as broken:
        play.failures.append(broken.failure)
    except OSError as error:
        sentence = f"The connection failed: {error}"
        play.failures.append(Failure(case.tries, sentence, "an answer", "no connection"))
    finally:
        play.close()
    if play.failures:
        status = "broken"
    seconds = time.monotonic() - started
    return Result(case, transport, status, reason, tuple(play.failures), seconds)


class _Play:
    """One case over one transport."""

    def __init__(self, server: Server, case: Case, transport: str) -> None:
        self.server = server
        self.case = case
        self.transport = transport
        self.failures: list[Failure] = []
        self.remembered: dict[str, str] = {}
        self.datagram = b""  # what the next datagram holds, over UDP
        self.asked = 0  # octets of the last datagram
        self.reply: Reply | None = None
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
                self._stream = Stream(self.server.address, alpn)
            except ssl.SSLError as error:
                raise self.broken(f"The TLS handshake failed: {error.reason}") from None
        return self._stream

    @property
    def datagrams(self) -> Datagrams:
        if self._datagrams is None:
            own = str(self.server.address.port)
            port = int(self.case.source_port.replace("own", own) or 0)
            self._datagrams = Datagrams(self.server.address, port)
        return self._datagrams

    def broken(self, sentence: str, expected: str = "", seen: str = "", *ids: str) -> _Broken:
        return _Broken(Failure(ids or self.case.tries, sentence, expected, seen))

    def run(self) -> None:
        if self.case.same_octets:
            self.run_same()
        elif self.case.ask is not None:
            self.run_ask(self.case.ask)
        else:
            for step in self.case.steps:
                getattr(self, "do_" + step.kind.replace("-", "_"))(step.value)
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
                str(self.server.address),
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
            self.datagram = _padded(ask.encode(), PADDED)
            if expected["code"] in ("500", "502") or (expected["code"] == "501" and not tag):
                self.expect_silence("U-1" if expected["code"] != "501" else "U-5")
                return
        else:
            self.stream.send(ask.encode() + b"\r\n")
        reply = self.read()
        if reply.code == "320" and expected["code"] != "320" and self.transport == "udp":
            octets = reply.parameters.get("octets", "0")
            if not octets.isdecimal() or int(octets) <= PADDED:
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
        octets = _padded((self.case.ask or "HELP").encode(), PADDED)
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
        self.put(_padded(value[0].encode(), int(value[1])))

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
        while (passed := time.monotonic() - started) < seconds + MARGIN + 1:
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
            for _ in range(int(value.get("times", 1))):
                self.check(self.read(), value)

    def expect_silence(self, *ids: str) -> None:
        if self.transport == "udp":
            started = time.monotonic()
            self.fresh_socket()
            self.datagrams.send(self.datagram)
            sent, self.datagram = self.datagram, b""
            if not _help_over_udp(self.server.address):
                raise self.broken("The server answers nothing more over UDP", "210", "nothing")
            left = max(0.05, SILENCE - (time.monotonic() - started))
            octets = self.datagrams.receive(left)
            self.check_source()
            if octets:
                raise self.broken(
                    f"A datagram that is dropped was answered: {visible_lines(sent)}",
                    "nothing",
                    visible_lines(octets),
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
        octets = self.stream.rest(CLOSING)
        if octets or not self.stream.ended:
            seen = visible_lines(octets) if octets else "open"
            raise self.broken("The connection is not closed", "end of stream", seen, *ids)

    def do_handshake(self, value: Mapping[str, Any]) -> None:
        """Try a TLS handshake with these ALPN names; `outcome` is `fails` or the name chosen."""
        try:
            self._stream = Stream(self.server.address, list(value["alpn"]))
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
        self.datagram = _padded(request.replace("{}", most).encode(), PADDED)
        short = self.read()
        self.check(short, {"code": "320"})
        self.transport = "tcp"
        sizes = {}
        fits = short.parameters.get("fits", "")
        if not fits.isdecimal():
            raise self.broken("320 bears no `fits`", "fits=N", visible_lines(short.octets))
        for option in {most, f" limit={max(1, int(fits))}", f" limit={int(fits) + 1}"}:
            self.stream.send(request.replace("{}", option).encode() + b"\r\n")
            sizes[option] = len(self.read().octets)
        if short.parameters.get("octets") != str(sizes[most]):
            raise self.broken(
                "`octets` is not the length of the whole reply",
                f"octets={sizes[most]}",
                visible_lines(short.octets),
            )
        if int(fits) and sizes[f" limit={fits}"] > PADDED:
            raise self.broken(
                f"A reply with limit={fits} does not fit",
                f"at most {PADDED} octets",
                f"{sizes[f' limit={fits}']} octets",
            )
        if sizes[f" limit={int(fits) + 1}"] <= PADDED:
            raise self.broken(
                f"A reply with limit={int(fits) + 1} would fit, too",
                f"fits={int(fits) + 1}",
                visible_lines(short.octets),
            )

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
            if reply.code == "320" and not all(
                reply.parameters.get(name, "").isdecimal() for name in ("octets", "fits")
            ):
                self.fail("U-4", "320 bears octets= and fits=", "", visible_lines(octets))
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
        seen = visible_lines(reply.octets)

        def unless(holds: bool, sentence: str, wanted: str, got: str = seen) -> None:
            if not holds:
                raise self.broken(sentence, wanted, got)

        code = expected.get("code", reply.code)
        if code == "252" and reply.code == "251" and self.server.offers("near"):
            return
        unless(reply.code == code, "The code is another", code)
        if "tag" in expected and reply.tag != expected["tag"]:
            wanted = f"#{expected['tag']}" if expected["tag"] else "no tag"
            raise self.broken("The tag is another", wanted, seen, "Q-7")
        if "ids" in expected:
            unless(
                reply.ids == expected["ids"],
                "The entries are others, or in another order",
                "\n".join(expected["ids"]),
                "\n".join(reply.ids),
            )
        parameters = dict(expected.get("parameters", {}))
        parameters |= {key: expected[key] for key in ("matched", "left") if key in expected}
        for name, value in parameters.items():
            unless(reply.parameters.get(name) == value, f"`{name}` is another", f"{name}={value}")
        if "lines" in expected:
            unless(
                reply.lines == expected["lines"],
                "The lines are others",
                "\n".join(expected["lines"]),
                "\n".join(reply.lines),
            )
        if "count" in expected:
            unless(
                len(reply.entries) == int(expected["count"]),
                "The number of entries is another",
                f"{expected['count']} entries",
                f"{len(reply.entries)} entries",
            )
        names = list(dict.fromkeys(line.partition(":")[0] for line in reply.lines if line))
        for name in expected.get("names", ()):
            unless(name in names, "A field is missing", f"{name}:")
        if "order" in expected:
            ordered = [name for name in expected["order"] if name in names]
            unless(
                names[: len(ordered)] == ordered,
                "The fields are in another order",
                " ".join(ordered),
                " ".join(names),
            )
        for line in expected.get("has", ()):
            unless(line in reply.lines, "A line is missing", line)
        for text in expected.get("lacks", ()):
            unless(octets_of(text) not in reply.octets, "The reply holds what it may not", text)
        if "max-octets" in expected:
            unless(
                len(reply.octets) <= int(expected["max-octets"]),
                f"The reply has {len(reply.octets)} octets",
                f"at most {expected['max-octets']}",
            )
        if "protocol" in expected:
            unless(
                reply.protocol == (expected["protocol"] == "true"),
                "PHONEBOOK/1 does not stand behind the code and the tag",
                f"{reply.code} PHONEBOOK/1",
            )


def verdicts(
    requirements: Mapping[str, Requirement],
    untestable: Mapping[str, Untestable],
    results: Iterable[Result],
) -> list[Verdict]:
    """Return what the results show of each requirement, in the specification's order."""
    failures: dict[str, list[tuple[Result, Failure]]] = {}
    tried: dict[str, list[Result]] = {}
    for result in results:
        for name in result.case.tries:
            tried.setdefault(name, []).append(result)
        for failure in result.failures:
            for name in failure.requirements:
                failures.setdefault(name, []).append((result, failure))
    found = []
    for name, requirement in requirements.items():
        mine = tried.get(name, [])
        verdict = Verdict(requirement, "not tried", cases=len(mine))
        reasons = Counter(
            (result.status, result.reason) for result in mine if result.status.startswith("not")
        )
        if name in failures:
            verdict = replace(verdict, status="broken", failures=tuple(failures[name]))
        elif any(result.status in ("kept", "broken") for result in mine):
            verdict = replace(verdict, status="kept")
        elif reasons:
            (status, reason), _ = reasons.most_common(1)[0]
            verdict = replace(verdict, status=status, reason=reason)
        elif name in untestable:
            by = untestable[name].by
            reason = "tried by --client" if by == "client" else untestable[name].reason
            verdict = replace(verdict, reason=reason)
        else:
            verdict = replace(verdict, reason="no case over these transports")
        found.append(verdict)
    return found
