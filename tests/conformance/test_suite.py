"""The suite against our server and against the tiny one: every MUST holds."""

import json
import sys
from pathlib import Path

import pytest
from documents import ROOT, SPEC
from servers import EVERYWHERE, TLS, profile, running, serve

from phonebook.conformance.cases import (
    load_cases,
    load_requirements,
    load_untestable,
    load_yaml,
    profiles,
)
from phonebook.conformance.report import must_failed
from phonebook.conformance.result import Result, Verdict, verdicts
from phonebook.conformance.run import run
from phonebook.conformance.server import ask_help
from phonebook.conformance.wire import Address

TRANSPORTS = frozenset({"tcp", "udp", "tls"})
TINY = ROOT / "tests/tiny_server.py"


def results(address: Address, name: str) -> list[Result]:
    """Return what all cases show of a server that has loaded a profile."""
    server = ask_help(address, sorted(TRANSPORTS))
    return run(server, load_cases(), TRANSPORTS, name)


def judge(found: list[Result]) -> list[Verdict]:
    """Return what results show of each requirement."""
    return verdicts(load_requirements(), load_untestable(), found)


def told(found: list[Verdict]) -> str:
    """Return all that is broken, in words."""
    return "\n".join(
        f"{each.requirement.id} {result.case.id} ({result.transport}): {failure.sentence}\n"
        f"  expected: {failure.expected}\n  seen: {failure.seen}"
        for each in found
        for result, failure in each.failures
    )


def test_our_server() -> None:
    """With TLS and without it every rule holds, and no case is left out of both."""
    runs: list[Result] = []
    for name in profiles():
        # without TLS at every address, where cases find other ones than 127.0.0.1; not with it:
        # there a case asks from the server's own port, at an address that it does not have
        for command in (serve(profile(name), *TLS), serve(profile(name), host=EVERYWHERE)):
            with running(command) as address:
                found = results(address, name)
            assert not must_failed(judge(found), True), told(judge(found))
            runs += found
    kept = {(each.case.id, each.transport) for each in runs if each.status == "kept"}
    left_out = {
        f"{each.case.id} over {each.transport}: {each.reason}"
        for each in runs
        if (each.case.id, each.transport) not in kept
        and each.reason not in ("no-near", "no-exclude", "no-links")
        and not each.reason.startswith(("it needs --profile", "the system gives no", "the TLS"))
    }
    assert not left_out


@pytest.mark.skipif(not TINY.exists(), reason="there is no second server yet")
@pytest.mark.parametrize("name", [each for each in profiles() if each not in ("budget", "views")])
def test_tiny_server(name: str, tmp_path: Path) -> None:
    directory = tmp_path / f"{name}.json"
    directory.write_text(json.dumps(load_yaml(profile(name)), ensure_ascii=False), "utf-8")
    with running([sys.executable, TINY, directory, SPEC, "--port", "0"]) as address:
        found = judge(results(address, name))
    assert not must_failed(found, False), told(found)
