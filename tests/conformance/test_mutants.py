"""The suite can fail: each mutant, a server that breaks one rule, is caught by a case of it."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from servers import EVERYWHERE, TLS, profile, running, serve

from phonebook.conformance.cases import Case, load_cases
from phonebook.conformance.result import Result
from phonebook.conformance.run import run_once
from phonebook.conformance.server import ask_help

sys.path.insert(0, str(Path(__file__).parent))

from mutants import MUTANTS, PRELUDE, Mutant

TRANSPORTS = frozenset({"tcp", "udp", "tls"})
PATIENCE = 2.0  # seconds for an answer that a mutant may never give


def results(mutant: Mutant, cases: Iterable[Case]) -> list[Result]:
    """Run cases against a mutant."""
    command = serve(
        profile(mutant.profile),
        *(TLS if mutant.tls else ()),
        host=EVERYWHERE if mutant.everywhere else "127.0.0.1",
        patch=PRELUDE + mutant.patch,
    )
    with running(command) as address:
        server = ask_help(replace(address, timeout=PATIENCE), sorted(TRANSPORTS))
        # what HELP lacks is the mutant's fault and no reason to leave out a case
        server.fields.setdefault("transport", ["tcp", "udp"])
        return run_once(server, cases, TRANSPORTS, mutant.profile)


def broken(found: Iterable[Result]) -> dict[str, set[str]]:
    """Return what is broken, with the cases that say so."""
    rules: dict[str, set[str]] = {}
    for result in found:
        for failure in result.failures:
            for rule in failure.requirements:
                rules.setdefault(rule, set()).add(result.case.id)
    return rules


def tries(mutant: Mutant) -> list[Case]:
    """Return the cases of a mutant's rule."""
    return [
        each
        for each in load_cases()
        if mutant.rule in each.tries and each.profile == mutant.profile
    ]


each_mutant = pytest.mark.parametrize(
    "mutant",
    [pytest.param(each, marks=pytest.mark.full if each.subtle else ()) for each in MUTANTS],
    ids=lambda mutant: f"{mutant.rule}-{mutant.name}",
)


@each_mutant
def test_a_case_of_the_rule_fails(mutant: Mutant) -> None:
    cases = tries(mutant)
    assert cases, f"no case tries {mutant.rule} in the profile {mutant.profile}"
    found = results(mutant, cases)
    if mutant.rule == "U-7" and all(each.status == "not tried" for each in found):
        pytest.skip("the system gives no low ports")
    named = broken(found)
    assert mutant.rule in named, {each.case.id: each.status for each in found}
    # a case that names the rule, not only a check that every reply gets
    assert named[mutant.rule] & {each.id for each in cases}


@pytest.mark.full
@each_mutant
def test_all_cases(mutant: Mutant) -> None:
    """The whole suite finds the rule too, and most of it goes on working."""
    found = results(mutant, [each for each in load_cases() if each.profile == mutant.profile])
    if mutant.rule == "U-7" and all(
        each.status == "not tried" for each in found if "U-7" in each.case.tries
    ):
        pytest.skip("the system gives no low ports")
    assert mutant.rule in broken(found)


def test_every_rule_that_a_case_tries_has_a_mutant() -> None:
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)
    tried = {rule for each in load_cases() for rule in each.tries}
    assert {each.rule for each in MUTANTS} == tried
