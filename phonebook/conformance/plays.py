"""What the hostile server does when it is asked: replies good and bad, and when they come.

A good answer holds Ada Byron, whose number is 4711. Whatever is forged, cut or broken holds
Mallory, who must not be seen.
"""

from collections.abc import Callable, Iterable, Iterator

from phonebook.conformance.stage import Close, Part, Play, Request

FOREVER = 60.0  # seconds: longer than any client runs
ENDLESS = 16_777_216  # octets of a reply without end: more than buffers hold
LONGEST_LINE = 2_048  # C-8
LONGEST_REPLY = 270_336  # C-8
LONGEST_VALUE = 1_000

ADA = ("id: ada-byron", "kind: person", "name: Ada Byron", "phone: 4711")
MALLORY = ("id: mallory", "kind: person", "name: Mallory Forged", "phone: 6660")


def reply(
    request: Request,
    status: str = "250",
    parameters: str = "matched=1 left=0 at=c0ffee",
    text: str = "Found",
    entries: tuple[tuple[str, ...], ...] = (ADA,),
    *,
    tag: str | None = None,
    end: str = "\r\n",
) -> bytes:
    """Return a reply to a request, with what is to be wrong in it."""
    tag = request.tag if tag is None else tag
    first = " ".join(part for part in (status, tag and f"#{tag}", parameters, text) if part)
    lines = [first]
    for number, entry in enumerate(entries):
        lines += ([""] if number else []) + list(entry)
    return "".join(f"{line}{end}" for line in [*lines, "."]).encode("utf-8", "surrogateescape")


def refusal(request: Request, status: str, parameters: str = "", text: str = "No") -> bytes:
    """Return a reply without entries."""
    return reply(request, status, parameters, text, ())


def silent(_: Request) -> Iterator[Part]:
    """Say nothing."""
    yield FOREVER


def good(request: Request) -> Iterator[Part]:
    """Answer as a good server does."""
    yield reply(request)


def turn(request: Request) -> Iterator[Part]:
    """Answer a datagram with "use TCP"."""
    yield refusal(request, "321", text="Use TCP")


def says(make: Callable[[Request], bytes]) -> Play:
    """Answer with what `make` returns, and stay."""
    return lambda request: [make(request)]


def ends(make: Callable[[Request], bytes]) -> Play:
    """Answer with what `make` returns, and close."""
    return lambda request: [make(request), Close()]


def first(*parts: Callable[[Request], Part]) -> Play:
    """Answer each datagram with these, a moment apart, then with the good reply."""

    def play(request: Request) -> Iterator[Part]:
        for part in parts:
            yield part(request)
            yield 0.03
        yield reply(request)

    return play


def forged(request: Request, tag: str | None = None) -> bytes:
    """Return the reply that must not be believed."""
    return reply(request, entries=(MALLORY,), tag=tag)


def each_octet(request: Request) -> Iterator[Part]:
    """Answer as a good server does, an octet at a time."""
    for octet in reply(request):
        yield bytes([octet])
        yield 0.004


def trickle(request: Request) -> Iterator[Part]:
    """Answer slowly, and never come to an end."""
    for octet in forged(request)[:-3] * 99:
        yield bytes([octet])
        yield 0.3


def endless(head: Callable[[Request], bytes], more: bytes) -> Play:
    """Begin with what `head` returns, and go on with more of the same."""

    def play(request: Request) -> Iterator[Part]:
        yield head(request)
        for _ in range(ENDLESS // len(more)):
            yield more

    return play


def unended(request: Request) -> bytes:
    """Return a reply without its dot line."""
    return reply(request, entries=(MALLORY,))[:-3]


def with_status(status: str) -> Callable[[Request], bytes]:
    """Return what makes a reply with this code."""
    return lambda request: reply(request, status, entries=(MALLORY,))


def with_lines(*lines: str) -> Callable[[Request], bytes]:
    """Return what makes a reply with an entry of these lines."""
    return lambda request: reply(request, entries=(lines,))


def changed(change: Callable[[bytes], bytes]) -> Callable[[Request], bytes]:
    """Return what makes a reply that is changed so."""
    return lambda request: change(forged(request))


def too_long_line(request: Request) -> bytes:
    """Return a reply with a line that is too long."""
    return reply(request, entries=((*MALLORY, "note: " + "m" * LONGEST_LINE),))


def too_long_reply(request: Request) -> bytes:
    """Return a reply that is too long, of good lines."""
    lines = LONGEST_REPLY // LONGEST_VALUE + 1
    return reply(request, entries=((*MALLORY, *["note: " + "m" * LONGEST_VALUE] * lines),))


def fits(request: Request) -> Iterator[Part]:
    """Answer that two entries would fit, and give them when they are asked for."""
    if b"limit=2" in request.line:
        yield reply(request, parameters="matched=3 left=1 at=c0ffee")
    else:
        yield refusal(request, "320", "octets=2000 fits=2", "Too long")


def refers(request: Request, servers: Iterable[str], tls: str = "") -> bytes:
    """Return a referral to these servers."""
    entries = []
    for number, server in enumerate(servers):
        entry = (f"id: server-{number}", "kind: service", "name: Elsewhere", f"server: {server}")
        entries.append((*entry, f"tls: {tls}") if tls else entry)
    return reply(request, "350", "", "Ask elsewhere", tuple(entries))


def referral(to: dict[str, list[str]], answers: dict[str, bytes], tls: str = "") -> Play:
    """Refer each host to others; a host in `answers` answers: Ada, Mallory or nothing."""

    def play(request: Request) -> Iterator[Part]:
        if request.host in to:
            ports = (
                server if ":" in server else f"{server}:{request.port}"
                for server in to[request.host]
            )
            yield refers(request, ports, tls)
        elif answers.get(request.host) == b"ada":
            yield reply(request)
        elif answers.get(request.host) == b"mallory":
            yield forged(request)
        else:
            yield refusal(request, "252", text="Nothing found")

    return play
