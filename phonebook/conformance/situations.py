"""The situations that a client is brought into: what the server does, and what must come of it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

from phonebook.conformance.checks import (
    Check,
    gives_up,
    not_again,
    nothing,
    only_tls,
    silence,
    tries_tcp,
    unasked,
    unsent,
    unsplit,
    walk,
)
from phonebook.conformance.plays import (
    ADA,
    MALLORY,
    changed,
    each_octet,
    endless,
    ends,
    first,
    fits,
    forged,
    good,
    referral,
    refers,
    refusal,
    reply,
    says,
    silent,
    too_long_line,
    too_long_reply,
    trickle,
    turn,
    unended,
    with_lines,
    with_status,
)
from phonebook.conformance.stage import HOME, Close, Play, Request, Stranger

FOUND, NOTHING, WRONG_USE, NO_ANSWER = 0, 1, 2, 3
SEEN = (b"Ada Byron", b"4711")
UNSEEN = (b"Mallory", b"6660")


@dataclass(frozen=True)
class Situation:
    """What a client meets, and what it must make of that."""

    id: str
    tries: tuple[str, ...]
    """The requirements; a wrong end is a breach of the first one."""
    about: str
    udp: Play
    tcp: Play
    exits: tuple[int, ...]
    has: tuple[bytes, ...] = ()
    lacks: tuple[bytes, ...] = UNSEEN
    check: Check = nothing
    hosts: tuple[str, ...] = (HOME,)
    udp_open: bool = True
    tls: bool = False
    trust: bool = False
    """Whether the client is told, by SSL_CERT_FILE, to trust the server's certificate."""
    arguments: tuple[str, ...] = ()
    query: str | None = None


def _host(number: int) -> str:
    return f"127.0.0.{number}"


def _hosts(count: int) -> tuple[str, ...]:
    return tuple(map(_host, range(1, count + 1)))


class _Both(TypedDict):
    """The same play over either transport."""

    udp: Play
    tcp: Play


class _Stream(TypedDict):
    tcp: Play


def _both(play: Play) -> _Both:
    return {"udp": play, "tcp": play}


BROKEN: dict[str, tuple[str, Callable[[Request], bytes]]] = {
    "bare-lf": (
        "lines that end with LF alone",
        lambda request: reply(request, entries=(MALLORY,), end="\n"),
    ),
    "one-bare-lf": (
        "one field line that ends with LF alone",
        changed(lambda octets: octets.replace(b"person\r\n", b"person\n")),
    ),
    "bare-cr": (
        "a CR within a value",
        changed(lambda octets: octets.replace(b"Mallory ", b"Mallory\r")),
    ),
    "no-id": ("an entry without its id line", with_lines(*MALLORY[1:])),
    "late-id": (
        "an entry whose id line is not the first",
        with_lines(MALLORY[1], MALLORY[0], *MALLORY[2:]),
    ),
    "bad-id": ("an id outside the grammar", with_lines("id: Mallory!", *MALLORY[1:])),
    "no-colon": ("a field line without a colon", with_lines(*MALLORY, "nothing of a field")),
    "no-space": ("a field line without the space behind its colon", with_lines(*MALLORY, "note:x")),
    "no-value": ("a field line without a value", with_lines(*MALLORY, "note: ")),
    "upper-name": ("a field name that begins with a capital", with_lines(*MALLORY, "Note: x")),
    "last-space": ("a value that ends with a space", with_lines(*MALLORY, "note: x ")),
    "nul": ("a NUL in a value", with_lines(*MALLORY, "note: a\0b")),
    "not-utf-8": ("a value that is not UTF-8", with_lines(*MALLORY, "note: \udcff\udcfe")),
    "surrogate": ("a surrogate in a value", with_lines(*MALLORY, "note: \udced\udca0\udc80")),
    "overlong": ("an overlong form of UTF-8", with_lines(*MALLORY, "note: \udcc0\udcaf")),
    "blank-twice": (
        "two blank lines between two entries",
        lambda request: reply(request, entries=(MALLORY, (), MALLORY)),
    ),
    "blank-first": (
        "a blank line before the first entry",
        lambda request: reply(request, entries=((), MALLORY)),
    ),
    "code-1": ("a code that begins with 1", with_status("150")),
    "code-6": ("a code that begins with 6", with_status("650")),
    "code-2-digits": ("a code of two digits", with_status("25")),
    "code-4-digits": ("a code of four digits", with_status("2500")),
    "two-spaces": (
        "two spaces in the status line",
        changed(lambda octets: octets.replace(b" matched", b"  matched", 1)),
    ),
    "low-text": (
        "a status text that begins with a small letter",
        lambda request: reply(request, text="found", entries=(MALLORY,)),
    ),
    "equals-text": (
        "an equals sign in its status text",
        lambda request: reply(request, text="Found=1", entries=(MALLORY,)),
    ),
    "web": (
        "the answer of a web server",
        lambda request: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nMallory\r\n.\r\n",
    ),
}
"""Replies that break section 4: what is wrong, and how they are made."""

STEERING = {
    "escape": ("\x1b[2J\x1b]0;Owned\x07", (NO_ANSWER,)),
    "c1": ("\x9b2J\x85", (NO_ANSWER,)),
    "delete": ("\x7f\x08\x08", (NO_ANSWER,)),
    "bidi": ("\u202eevil\u202c", (FOUND, NO_ANSWER)),
    "isolate": ("\u2067evil\u2069", (FOUND, NO_ANSWER)),
}
"""What could steer a terminal, and how a client may end that meets it."""


def situations() -> list[Situation]:
    """Return all situations."""
    return [*_over_udp(), *_over_tcp(), *_replies(), *_referrals(), *_input(), *_over_tls()]


def _over_udp() -> Iterator[Situation]:
    found = partial(Situation, exits=(FOUND,), has=SEEN)
    quiet: _Stream = {"tcp": silent}
    yield found("good", ("K-1", "K-3"), "The reply comes at once over UDP.", good, silent)
    yield found("good-again", ("K-1",), "A second run has a fresh tag.", good, silent)
    yield Situation(
        "nothing",
        ("C-1",),
        "252 says that nothing was found.",
        says(lambda each: refusal(each, "252", text="Nothing found")),
        silent,
        (NOTHING,),
    )
    for name, about, make in (
        ("other-tag", "A reply with another tag comes first.", lambda each: forged(each, "A" * 16)),
        ("no-tag", "A reply without a tag comes first.", lambda each: forged(each, "")),
        (
            "short-tag",
            "A reply with the tag but for its last letter comes first.",
            lambda each: forged(each, each.tag[:-1]),
        ),
        (
            "tag-case",
            "A reply with the tag in the other case comes first.",
            lambda each: forged(each, each.tag.swapcase()),
        ),
        (
            "untagged-refusal",
            "A refusal without a tag comes first.",
            lambda each: reply(each, "500", "PHONEBOOK/1", "Malformed", (), tag=""),
        ),
        (
            "other-320",
            "A 321 with another tag comes first, and TCP is silent.",
            lambda each: reply(each, "321", "", "Use TCP", (), tag="B" * 16),
        ),
        ("garbage", "Random octets come first.", lambda each: b"\xff\x00" + os.urandom(200)),
        ("empty", "An empty datagram comes first.", lambda each: b""),
        ("echo", "The request itself comes back first.", lambda each: each.octets),
        (
            "cut-datagram",
            "A reply without its dot line comes first.",
            lambda each: forged(each)[:-3],
        ),
        (
            "cut-status",
            "A status line alone comes first.",
            lambda each: forged(each).partition(b"\n")[0] + b"\n",
        ),
        (
            "bare-lf-datagram",
            "A reply with bare LFs comes first.",
            lambda each: reply(each, entries=(MALLORY,), end="\n"),
        ),
        (
            "two-in-one",
            "A datagram with two replies comes first.",
            lambda each: forged(each) + forged(each),
        ),
    ):
        yield found(f"udp-{name}", ("K-2",), about, first(make), **quiet)
    yield found(
        "udp-flood",
        ("K-2",),
        "Sixty forged replies come first.",
        lambda each: [*[forged(each, f"A{n}") for n in range(60)], reply(each)],
        **quiet,
    )
    yield found(
        "udp-stranger",
        ("K-1",),
        "A reply with the right tag comes from another port.",
        first(lambda each: Stranger(forged(each))),
        **quiet,
    )
    yield found(
        "udp-silent", ("K-6",), "UDP is silent, TCP answers.", silent, good, check=tries_tcp
    )
    yield found(
        "udp-forged-only",
        ("K-6", "K-2"),
        "UDP brings forged replies alone, TCP answers.",
        says(lambda each: forged(each, "A" * 16)),
        good,
    )
    yield found(
        "udp-closed",
        ("K-8", "K-6"),
        "An ICMP error says that UDP is closed; TCP answers.",
        silent,
        good,
        udp_open=False,
    )
    yield found("use-tcp", ("K-5",), "321 says: use TCP.", turn, good)
    yield found(
        "too-long",
        ("K-5",),
        "320 says that nothing fits a datagram.",
        says(lambda each: refusal(each, "320", "octets=2000 fits=0", "Too long")),
        good,
    )
    yield found("too-long-fits", ("K-5",), "320 says that two entries would fit.", fits, good)
    yield Situation(
        "silence",
        ("K-7", "K-4", "K-6"),
        "Nothing ever comes, over UDP or TCP.",
        silent,
        silent,
        (NO_ANSWER,),
        check=silence,
    )
    for code in ("420", "430"):
        yield Situation(
            f"refused-{code}",
            ("C-4",),
            f"{code} asks for 30 seconds of patience.",
            **_both(says(partial(refusal, status=code, parameters="retry=30", text="Later"))),
            exits=(NO_ANSWER,),
            check=not_again("C-4"),
        )


def _over_tcp() -> Iterator[Situation]:
    found = partial(Situation, udp=turn, exits=(FOUND,), has=SEEN)
    fails = partial(Situation, udp=turn, exits=(NO_ANSWER,))
    yield found("short-reads", ("C-5",), "The reply comes octet by octet.", tcp=each_octet)
    yield found("kept-open", ("C-5",), "The connection stays open behind the dot line.", tcp=good)
    yield found(
        "closed-after", ("C-5",), "The connection closes behind the dot line.", tcp=ends(reply)
    )
    yield fails("trickle", ("K-7",), "A reply without end comes an octet each 0.3 s.", tcp=trickle)
    yield fails(
        "closed-at-once",
        ("C-5",),
        "The connection closes without a reply.",
        tcp=lambda each: [Close()],
    )
    yield fails(
        "cut",
        ("C-5",),
        "The connection closes before the dot line.",
        tcp=ends(changed(lambda octets: octets[:-3])),
    )
    yield fails(
        "cut-line",
        ("C-5",),
        "The connection closes within a field line.",
        tcp=ends(changed(lambda octets: octets[:-6])),
    )
    yield fails(
        "cut-status-line",
        ("C-5",),
        "The connection closes within the status line.",
        tcp=ends(changed(lambda octets: octets[:10])),
    )
    yield fails(
        "cut-dot",
        ("C-5",),
        "The connection closes between the dot and its line end.",
        tcp=ends(changed(lambda octets: octets[:-2])),
    )
    yield fails(
        "other-request",
        ("C-5",),
        "A reply to another request comes over TCP.",
        tcp=says(lambda each: forged(each, "A" * 16)),
    )
    yield fails(
        "long-line",
        ("C-8",),
        "A line of the reply has more than 2,048 octets.",
        tcp=says(too_long_line),
    )
    yield fails(
        "long-reply", ("C-8",), "The reply has more than 270,336 octets.", tcp=says(too_long_reply)
    )
    yield fails(
        "endless-line",
        ("C-8",),
        "A line of the reply never ends.",
        check=gives_up,
        tcp=endless(lambda each: unended(each) + b"note: ", b"m" * 65_536),
    )
    yield fails(
        "endless-reply",
        ("C-8",),
        "The reply never ends.",
        check=gives_up,
        tcp=endless(unended, b"note: more and more\r\n" * 3_000),
    )


def _replies() -> Iterator[Situation]:
    for name, (about, make) in BROKEN.items():
        yield Situation(
            f"broken-{name}", ("C-5",), f"The reply has {about}.", turn, ends(make), (NO_ANSWER,)
        )
    found = partial(Situation, tcp=silent, exits=(FOUND,))
    yield found(
        "code-299",
        ("C-1",),
        "An unknown 2xx bears the entry.",
        says(partial(reply, status="299")),
        has=SEEN,
    )
    for code in ("399", "499", "599"):
        yield Situation(
            f"code-{code}",
            ("C-1",),
            f"An unknown {code[0]}xx comes without entries.",
            **_both(says(partial(refusal, status=code, text="Strange"))),
            exits=(NO_ANSWER,),
        )
    yield Situation(
        "code-498",
        ("C-1", "C-4"),
        "An unknown 4xx asks for 30 seconds of patience.",
        **_both(says(partial(refusal, status="498", parameters="retry=30", text="Later"))),
        exits=(NO_ANSWER,),
        check=not_again("C-1"),
    )
    yield found(
        "parameters",
        ("C-2",),
        "The status line has unknown parameters.",
        says(partial(reply, parameters="matched=1 left=0 at=c0ffee zz=9 mood=Blue7")),
        has=SEEN,
    )
    yield found(
        "fields",
        ("F-1", "C-2"),
        "The entry has a field that nobody knows.",
        says(with_lines(*ADA, "x-shoe-size: Forty two")),
        has=(*SEEN, b"Forty two"),
    )
    yield found(
        "subtype",
        ("F-1",),
        "A phone has a subtype that nobody knows.",
        says(with_lines(*ADA, "phone.zeppelin: 4799")),
        has=(*SEEN, b"4799"),
    )
    for name, (text, exits) in STEERING.items():
        yield Situation(
            f"value-{name}",
            ("C-7", "C-5"),
            "A value could steer a terminal.",
            turn,
            ends(with_lines(*ADA, f"note: X{text}Y")),
            exits,
        )
        yield Situation(
            f"status-{name}",
            ("C-7", "C-5"),
            "A status text could steer a terminal.",
            turn,
            ends(partial(refusal, status="599", text=f"No{text}Y")),
            (NO_ANSWER,),
        )


def _referrals() -> Iterator[Situation]:
    home, second, third = _hosts(3)
    follow = partial(Situation, exits=(NOTHING, NO_ANSWER), check=walk)
    yield Situation(
        "referral",
        ("X-3",),
        "A referral leads to the answer.",
        **_both(referral({home: [second]}, {second: b"ada"})),
        exits=(FOUND, NO_ANSWER),
        check=walk,
        hosts=_hosts(2),
    )
    yield follow(
        "referral-self",
        ("X-3",),
        "A server refers to itself.",
        **_both(referral({home: [home]}, {})),
    )
    yield follow(
        "referral-loop",
        ("X-3",),
        "Two servers refer to each other.",
        **_both(referral({home: [second], second: [home]}, {})),
        hosts=_hosts(2),
    )
    yield Situation(
        "referral-deep",
        ("X-3",),
        "Referrals lead four servers deep.",
        **_both(referral({_host(n): [_host(n + 1)] for n in range(1, 5)}, {_host(5): b"mallory"})),
        exits=(NOTHING, NO_ANSWER),
        hosts=_hosts(5),
        check=lambda notes: [*walk(notes), *unasked("X-3", _host(5))(notes)],
    )
    yield follow(
        "referral-wide",
        ("X-3",),
        "A referral names eleven servers.",
        hosts=_hosts(12),
        **_both(referral({home: list(_hosts(12)[1:])}, {})),
    )
    yield Situation(
        "referral-order",
        ("X-3",),
        "The second of three servers has the answer.",
        **_both(referral({home: list(_hosts(4)[1:])}, {third: b"ada", _host(4): b"mallory"})),
        exits=(FOUND, NO_ANSWER),
        check=walk,
        hosts=_hosts(4),
    )
    yield Situation(
        "referral-port",
        ("X-4",),
        "A referral leads to another port.",
        **_both(lambda each: [refers(each, [f"{HOME}:{each.trap}"])]),
        exits=(NOTHING, NO_ANSWER),
        check=unasked("X-4", second),
    )
    yield Situation(
        "referral-nonsense",
        ("X-4",),
        "A referral names no server.",
        **_both(lambda each: [refers(each, ["[::", ":0", "a b", "x:99999999"])]),
        exits=(NOTHING, NO_ANSWER),
    )
    yield Situation(
        "referral-tls",
        ("X-5",),
        "`tls: yes` is not followed in plain text.",
        **_both(referral({home: [second]}, {second: b"mallory"}, "yes")),
        exits=(NOTHING, NO_ANSWER),
        hosts=_hosts(2),
        check=unasked("X-5", second, tls=True),
    )
    yield Situation(
        "referral-out-of-tls",
        ("X-5", "L-6"),
        "A server inside TLS refers to text.",
        **_both(referral({home: [second]}, {second: b"mallory"})),
        tls=True,
        trust=True,
        exits=(NOTHING, NO_ANSWER),
        hosts=_hosts(2),
        arguments=("--tls",),
        check=unasked("X-5", second, tls=True),
    )


def _input() -> Iterator[Situation]:
    for name, about, query, parted in (
        ("lf", "a line end", "ada\nENTRY mallory", True),
        ("cr", "a CR", "ada\rb", True),
        ("escape", "an escape", "ada\x1b[m", False),
        ("c1", "a control of two octets", "ada\x85b", False),
        ("long", "more than 1,232 octets", "ada" * 500, False),
    ):
        yield Situation(
            f"input-{name}",
            ("C-6",),
            f"The query holds {about}.",
            good,
            good,
            (WRONG_USE, FOUND) if parted else (WRONG_USE,),
            check=unsplit("C-6", query) if parted else unsent("C-6"),
            query=query,
        )


def _over_tls() -> Iterator[Situation]:
    refuses = partial(Situation, exits=(NO_ANSWER,), arguments=("--tls",), check=only_tls("L-6"))
    text = says(lambda each: reply(each, entries=(MALLORY,), tag=each.tag))
    yield Situation(
        "tls",
        ("L-6",),
        "A trusted server answers over TLS.",
        text,
        good,
        (FOUND, NO_ANSWER),
        check=only_tls("L-6"),
        arguments=("--tls",),
        tls=True,
        trust=True,
    )
    yield refuses("tls-text", ("L-6",), "A server answers TLS with plain text.", text, text)
    yield refuses(
        "tls-closed",
        ("L-6",),
        "A server closes a connection that begins with TLS.",
        text,
        lambda each: [Close()],
    )
    yield refuses(
        "tls-untrusted",
        ("L-6",),
        "The certificate is signed by nobody known.",
        text,
        text,
        tls=True,
    )
    yield refuses(
        "tls-other-name",
        ("L-6",),
        "The certificate is for another name.",
        text,
        text,
        tls=True,
        trust=True,
        hosts=("127.0.0.2",),
    )
