"""The suite against our server and against the tiny one: every MUST holds."""

import json
import socket
import sys
import time
from pathlib import Path

import pytest
from documents import ROOT, SPEC
from servers import EVERYWHERE, TLS, profile, running, serve

from phonebook.conformance.cases import (
    Case,
    load_cases,
    load_requirements,
    load_untestable,
    load_yaml,
    profiles,
)
from phonebook.conformance.report import must_failed, text
from phonebook.conformance.result import AGAIN, Result, Verdict, verdicts
from phonebook.conformance.run import run
from phonebook.conformance.server import NoAnswer, Server, ask_help
from phonebook.conformance.wire import Address

TRANSPORTS = frozenset({"tcp", "udp", "tls"})
TINY = ROOT / "tests/tiny_server.py"


def test_a_closed_port_is_told_at_once() -> None:
    with socket.socket() as before:
        before.bind(("127.0.0.1", 0))
        port = before.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(NoAnswer):
        ask_help(Address("127.0.0.1", port), ["tcp", "tls", "udp"])
    assert time.monotonic() - began < Address("", 0).timeout / 2


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


def test_what_chance_may_have_broken_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Case] = []

    def breaks_at_first(_: Server, case: Case, transport: str, profile: str) -> Result:
        known = any(each.id == case.id for each in tried)
        tried.append(case)
        return Result(case, transport, "kept" if known else "broken")

    monkeypatch.setattr("phonebook.conformance.run._run_one", breaks_at_first)
    cases = [each for each in load_cases() if each.id in ("budget-network", "idle-at-once")]
    plain = next(each for each in load_cases() if not each.is_doubtful)
    found = run(Server(Address("127.0.0.1", 767)), [plain, *cases], frozenset({"tcp"}))
    assert {each.case.id: (each.status, each.reason) for each in found} == {
        plain.id: ("broken", ""),
        "budget-network": ("kept", AGAIN),
        "idle-at-once": ("kept", AGAIN),
    }
    sources = [each.source for each in tried if each.id == "budget-network"]
    assert sources == ["127.12.0.1", "127.112.0.1"]
    *_, last = text(judge(found), found)
    assert last.endswith("; 3 cases run, 2 of them twice.")


def test_each_case_of_a_budget_asks_from_networks_of_its_own() -> None:
    """So that none takes another's, at the second try neither."""
    seen: dict[str, str] = {}
    for case in load_cases():
        if case.profile == "budget":
            steps = (step.value for step in case.steps if step.kind == "from")
            for source in (case.source, *steps):
                first, second, *_ = source.split(".")
                assert first == "127" and 0 < int(second) < 100, case.id
                assert seen.setdefault(second, case.id) == case.id


def test_the_report_tells_how_many_cases_were_run() -> None:
    cases = [each for each in load_cases() if "F-12" in each.tries][:3]
    found = [Result(each, "tcp", "not offered", "links") for each in cases]
    found[0] = Result(cases[0], "tcp", "kept")
    lines = list(text(judge(found), found))
    assert any(line.startswith("F-12  kept (1 of 3 cases): ") for line in lines)
    lines = list(text(judge(found[:1]), found[:1]))
    assert any(line.startswith("F-12  kept (1 case): ") for line in lines)
