"""What was seen: of a case over one transport, and in sum of each requirement."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from phonebook.conformance.cases import Case, Requirement, Untestable
from phonebook.conformance.reply import Failure

AGAIN = "at the second try"


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
    """How many name the requirement, over one transport each."""
    run: int = 0
    """How many of these were run."""


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
        ran = sum(result.status in ("kept", "broken") for result in mine)
        verdict = Verdict(requirement, "not tried", cases=len(mine), run=ran)
        reasons = Counter(
            (result.status, result.reason) for result in mine if result.status.startswith("not")
        )
        if name in failures:
            verdict = replace(verdict, status="broken", failures=tuple(failures[name]))
        elif ran:
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
