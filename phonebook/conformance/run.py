"""Runs cases against a server, side by side, and those once more that chance may have broken."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from phonebook.conformance.cases import Case
from phonebook.conformance.reply import Failure
from phonebook.conformance.result import AGAIN, Result
from phonebook.conformance.server import Server
from phonebook.conformance.trial import Broken, Trial
from phonebook.conformance.wire import NotTried

SIDE_BY_SIDE = 16  # cases


def run(
    server: Server,
    cases: Iterable[Case],
    transports: frozenset[str],
    profile: str = "core",
) -> list[Result]:
    """Run the cases of a profile over the transports; results in the cases' order.

    What is doubtful and broken is tried once more when all else is done, and that counts.
    """
    found = run_once(server, cases, transports, profile)
    doubtful = [
        place
        for place, each in enumerate(found)
        if each.status == "broken" and each.case.is_doubtful
    ]
    jobs = [(found[place].case.again(), found[place].transport) for place in doubtful]
    for place, each in zip(doubtful, _run_all(server, jobs, profile), strict=True):
        found[place] = replace(each, reason=each.reason or AGAIN)
    return found


def run_once(
    server: Server,
    cases: Iterable[Case],
    transports: frozenset[str],
    profile: str = "core",
) -> list[Result]:
    """Run the cases as `run` does, each but once."""
    jobs = []
    for case in cases:
        wanted = [name for name in case.transport if name in transports]
        if case.same_octets:
            wanted = ["tcp"] if {"tcp", "udp"} <= transports else []
        jobs += [(case, transport) for transport in wanted]
    return _run_all(server, jobs, profile)


def _run_all(server: Server, jobs: Iterable[tuple[Case, str]], profile: str) -> list[Result]:
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        begun = [pool.submit(_run_one, server, *job, profile) for job in jobs]
    return [each.result() for each in begun]


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
    trial = Trial(server, case, transport)
    status, reason = "kept", ""
    try:
        trial.run()
    except NotTried as error:
        status, reason = "not tried", str(error)
    except Broken as broken:
        trial.failures.append(broken.failure)
    except OSError as error:
        sentence = f"The connection failed: {error}"
        trial.failures.append(Failure(case.tries, sentence, "an answer", "no connection"))
    finally:
        trial.close()
    if trial.failures:
        status = "broken"
    seconds = time.monotonic() - started
    return Result(case, transport, status, reason, tuple(trial.failures), seconds)
