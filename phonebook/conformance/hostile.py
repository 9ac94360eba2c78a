"""`phonebook conformance --client`: a hostile server tries a client, situation by situation.

The command is run once for each situation, with PHONEBOOK_SERVER=HOST:PORT in its environment and a
query behind its arguments; `{server}` and `{query}` in an argument are replaced, and then nothing
is added. For TLS it gets `--tls` before the query. It ends with 0 (found), 1 (nothing found),
2 (wrong use) or 3 (no answer, a broken one, a refusal), and prints the entry that it was given.
"""

import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from phonebook.conformance import report
from phonebook.conformance.cases import (
    Case,
    Requirement,
    Untestable,
    load_requirements,
    load_untestable,
)
from phonebook.conformance.reply import Failure, visible, visible_lines
from phonebook.conformance.result import Result, verdicts
from phonebook.conformance.situations import FOUND, WRONG_USE, Situation, situations
from phonebook.conformance.stage import CERTIFICATE, NoStage, Notes, Request, Stage
from phonebook.share import share

DONE, FAILED = 0, 1
QUERY = "ada"
LONGEST_RUN = 8.0  # seconds, for a client that waits 5 in all
SIDE_BY_SIDE = 6  # situations
LONGEST_REQUEST = 1_232  # octets
PADDED = 1_200  # octets
MOST_DATAGRAMS = 3
TAG_BITS = 64
ENOUGH_TAGS = 20  # to tell from them what they are made of
SHOWN = 400  # octets of what a client printed
STEERING = frozenset(
    [*range(0x00, 0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F)]
    + [*range(0x2066, 0x206A)]
)
UNTRIED = {"T-12": Untestable("A single question makes no pipeline.", "nothing")}


@dataclass(frozen=True)
class Run:
    """A client's run: how it ended, what it printed, what it sent."""

    exit: int | None
    output: bytes
    seconds: float
    notes: Notes


def main(command: list[str], form: str = "text") -> int:
    """Try the client that this command starts; print a report and return the exit code."""
    if not command:
        return _wrong_use("give the client's command behind `--`.")
    if shutil.which(command[0]) is None:
        return _wrong_use(f"there is no program {command[0]}.")
    try:
        results, tags = try_client(command)
    except OSError as error:
        return _wrong_use(f"{command[0]} cannot be started: {error.strerror or error}.")
    if not tags:
        return _wrong_use(f"{command[0]} never asked the server that PHONEBOOK_SERVER names.")
    found = verdicts(_requirements(), UNTRIED, results)
    if form == "json":
        print(report.as_json(found, results))
    elif form == "junit":
        print(report.as_junit(found, results))
    else:
        for line in report.text(found, results):
            print(line)
    return FAILED if report.must_failed(found, strict=False) else DONE


def _wrong_use(sentence: str) -> int:
    print(f"phonebook conformance: {sentence}", file=sys.stderr)
    return WRONG_USE


def _requirements() -> dict[str, Requirement]:
    """Return the requirements for clients."""
    tried = {name for situation in situations() for name in situation.tries}
    clients = {name for name, item in load_untestable().items() if item.by == "client"}
    return {name: item for name, item in load_requirements().items() if name in tried | clients}


def try_client(
    command: list[str], only: tuple[str, ...] = ()
) -> tuple[list[Result], dict[str, list[str]]]:
    """Return what each situation showed, and the tags that the client sent in each."""
    tags: dict[str, list[str]] = {}

    def one(situation: Situation) -> Result:
        began = time.monotonic()
        try:
            run = _run(command, situation)
        except NoStage as error:
            return Result(_case(situation), _transport(situation), "not tried", str(error))
        tags[situation.id] = list(
            dict.fromkeys(each.tag for each in run.notes.requests if each.transport == "udp")
        )
        if run.exit == WRONG_USE and situation.arguments and not run.notes.requests:
            reason = f"the client has no {' '.join(situation.arguments)}"
            return Result(_case(situation), _transport(situation), "not offered", reason)
        failures = tuple(dict.fromkeys(_failures(situation, run)))
        status = "broken" if failures else "kept"
        seconds = time.monotonic() - began
        return Result(
            _case(situation), _transport(situation), status, failures=failures, seconds=seconds
        )

    chosen = [each for each in situations() if not only or each.id in only]
    # the long ones first, so that none is waited for alone at the end
    order = sorted(chosen, key=lambda each: each.id not in ("silence", "trickle"))
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        by_id = dict(zip((each.id for each in order), pool.map(one, order), strict=True))
    results = [by_id[each.id] for each in chosen]
    for failure in _tag_failures(tags):
        first = results[0]
        results[0] = Result(
            first.case, first.transport, "broken", failures=(*first.failures, failure)
        )
    return results, {name: each for name, each in tags.items() if each}


def _case(situation: Situation) -> Case:
    return Case(
        id=situation.id,
        tries=situation.tries,
        about=situation.about,
        profile="client",
        transport=(_transport(situation),),
        needs="",
        ask=None,
        expected={},
        steps=(),
        same_octets=False,
        source_port="",
        source="",
        to="",
        certificate="",
        file="situations.py",
    )


def _transport(situation: Situation) -> str:
    return "tls" if situation.arguments else "udp and tcp"


def _run(command: list[str], situation: Situation) -> Run:
    stage = Stage(
        situation.udp,
        situation.tcp,
        hosts=situation.hosts,
        udp_open=situation.udp_open,
        tls=situation.tls,
    )
    try:
        server = f"{situation.hosts[0]}:{stage.port}"
        environment = {**os.environ, "PHONEBOOK_SERVER": server}
        if situation.trust:
            environment["SSL_CERT_FILE"] = str(share(CERTIFICATE))
        began = time.monotonic()
        line = _command_line(command, server, situation)
        try:
            ended = subprocess.run(
                line,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=LONGEST_RUN,
                check=False,
            )
            code, output = ended.returncode, ended.stdout
        except subprocess.TimeoutExpired as error:
            code, output = None, error.stdout or b""
        return Run(code, output, time.monotonic() - began, stage.notes)
    finally:
        stage.close()


def _command_line(command: list[str], server: str, situation: Situation) -> list[str]:
    query = QUERY if situation.query is None else situation.query
    if not any("{query}" in part for part in command):
        command = [*command, "{query}"]
    place = next(number for number, part in enumerate(command) if "{query}" in part)
    command = [*command[:place], *situation.arguments, *command[place:]]
    return [part.replace("{server}", server).replace("{query}", query) for part in command]


def _failures(situation: Situation, run: Run) -> Iterator[Failure]:
    """Yield all that a run broke: what the situation is about first, then what always holds."""
    main = situation.tries[:1]
    printed = visible_lines(run.output[:SHOWN])
    if run.exit is None:
        yield Failure(
            ("K-7",), f"The client did not end within {LONGEST_RUN:.0f} seconds", "", printed
        )
    elif run.exit not in situation.exits:
        wanted = " or ".join(map(str, situation.exits))
        yield Failure(
            main,
            "The client's exit code is another",
            f"exit {wanted}",
            f"exit {run.exit}\n{printed}",
        )
    if run.exit == FOUND:
        for text in situation.has:
            if text not in run.output:
                yield Failure(
                    main, "The client did not print what it was told", visible(text), printed
                )
    for text in situation.lacks:
        if text in run.output:
            yield Failure(
                main,
                "The client printed what it must not believe",
                f"nothing of {visible(text)}",
                printed,
            )
    for requirement, sentence in situation.check(run.notes):
        seen = "\n".join(map(_shown, run.notes.requests))
        yield Failure((requirement,), sentence, "", seen)
    if any(ord(letter) in STEERING for letter in _lines_ended(run.output)):
        yield Failure(("C-7",), "The client printed what can steer a terminal", "", printed)
    for request in run.notes.requests:
        if request.transport != "hello":
            yield from _request_failures(request)
    yield from _exchange_failures(run.notes.requests)


def _lines_ended(output: bytes) -> str:
    """Return what was printed; CR LF, as on Windows, steers nothing."""
    return output.replace(b"\r\n", b"\n").decode("utf-8", "replace")


def _shown(request: Request) -> str:
    octets = visible(request.octets[:SHOWN].rstrip(b"\r\n").rstrip(b" "))
    return f"{request.seconds:.2f} s {request.transport} {request.host}: {octets}"


def _request_failures(request: Request) -> Iterator[Failure]:
    """Yield what is wrong with a single request."""
    octets, seen = request.octets, _shown(request)
    text = octets.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")
    if any(
        ord(each) < 0x20
        or 0x7F <= ord(each) < 0xA0
        or ord(each) > 0x10_0000
        or 0xD800 <= ord(each) < 0xE000
        for each in text
    ):
        yield Failure(("C-6",), "The client sent a control, or no UTF-8", "", seen)
    if request.transport != "udp":
        if len(octets) > LONGEST_REQUEST:
            yield Failure(
                ("C-6",),
                f"The client sent {len(octets)} octets",
                f"at most {LONGEST_REQUEST}",
                seen,
            )
        return
    if len(octets) > LONGEST_REQUEST:
        yield Failure(
            ("K-3",),
            f"The client sent a datagram of {len(octets)} octets",
            f"at most {LONGEST_REQUEST}",
            seen,
        )
    elif len(octets) < PADDED:
        yield Failure(
            ("K-3",),
            "The client did not pad its datagram",
            f"{PADDED} octets",
            f"{len(octets)} octets",
        )
    if len(request.tag) < math.ceil(TAG_BITS / math.log2(62)):
        yield Failure(
            ("K-1",),
            "The client's tag has no room for 64 bits",
            "at least 11 letters or digits",
            seen,
        )


def _exchange_failures(requests: list[Request]) -> Iterator[Failure]:
    """Yield what is wrong with a run's datagrams together."""
    sent: dict[tuple[str, str], list[Request]] = {}
    for request in requests:
        if request.transport == "udp":
            sent.setdefault((request.host, request.tag), []).append(request)
    ports: dict[int, str] = {}
    for (host, tag), datagrams in sent.items():
        seen = "\n".join(map(_shown, datagrams))
        if len({each.octets for each in datagrams}) > 1:
            yield Failure(("K-4",), "The client sent other octets again", "", seen)
        if len(datagrams) > MOST_DATAGRAMS:
            yield Failure(
                ("K-4",),
                f"The client sent {len(datagrams)} datagrams to {host}",
                f"at most {MOST_DATAGRAMS}",
                seen,
            )
        for port in {each.source for each in datagrams}:
            if ports.setdefault(port, tag) != tag:
                yield Failure(("K-1",), "Two requests came from the same port", "", seen)


def _tag_failures(tags: dict[str, list[str]]) -> Iterator[Failure]:
    """Yield what is wrong with the tags of all runs together."""
    sent = [tag for each in tags.values() for tag in each if tag]
    if len(set(sent)) < len(sent):
        again = next(tag for tag in sent if sent.count(tag) > 1)
        yield Failure(("K-1",), "The client used a tag for two requests", "", f"#{again}")
    if len(sent) >= ENOUGH_TAGS:
        letters = len({letter for tag in sent for letter in tag})
        length = min(map(len, sent))
        places = sum(len({tag[place] for tag in sent}) > 1 for place in range(length))
        bits = places * math.log2(letters) if letters > 1 else 0.0
        if bits < TAG_BITS:
            yield Failure(
                ("K-1",),
                f"The client's tags have at most {bits:.0f} bits",
                f"{TAG_BITS} bits",
                "\n".join(f"#{tag}" for tag in sent[:5]),
            )
