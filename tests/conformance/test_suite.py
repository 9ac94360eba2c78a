"""The suite against our server and against the tiny one: every MUST holds."""

import json
import sys
from pathlib import Path

import pytest
from documents import ROOT, SPEC
from servers import profile, running, serve

from phonebook.conformance.cases import (
    load_cases,
    load_requirements,
    load_untestable,
    load_yaml,
    profiles,
)
from phonebook.conformance.report import must_failed
from phonebook.conformance.run import Verdict, ask_help, run, verdicts
from phonebook.conformance.wire import Address

TRANSPORTS = frozenset({"tcp", "udp", "tls"})
TINY = ROOT / "tests/tiny_server.py"


def judge(address: Address, name: str) -> list[Verdict]:
    """Return what all cases of a profile show of each requirement."""
    server = ask_help(address, sorted(TRANSPORTS))
    results = run(server, load_cases(), TRANSPORTS, name)
    return verdicts(load_requirements(), load_untestable(), results)


def told(found: list[Verdict]) -> str:
    """Return all that is broken, in words."""
    return "\n".join(
        f"{each.requirement.id} {result.case.id} ({result.transport}): {failure.sentence}\n"
        f"  expected: {failure.expected}\n  seen: {failure.seen}"
        for each in found
        for result, failure in each.failures
    )


@pytest.mark.parametrize("name", profiles())
def test_our_server(name: str) -> None:
    with running(serve(profile(name))) as address:
        found = judge(address, name)
    assert not must_failed(found, True), told(found)
    assert any(each.status == "kept" for each in found)


def test_nothing_of_the_core_is_left_out() -> None:
    """Over all profiles, what our server offers without TLS is tried, but for long waits."""
    tried = set()
    for case in load_cases():
        tried.update(case.tries)
    assert not load_requirements().keys() - tried - load_untestable().keys()


@pytest.mark.skipif(not TINY.exists(), reason="there is no second server yet")
@pytest.mark.parametrize("name", profiles())
def test_tiny_server(name: str, tmp_path: Path) -> None:
    directory = tmp_path / f"{name}.json"
    directory.write_text(json.dumps(load_yaml(profile(name)), ensure_ascii=False), "utf-8")
    with running([sys.executable, TINY, directory, SPEC, "--port", "0"]) as address:
        found = judge(address, name)
    assert not must_failed(found, False), told(found)
