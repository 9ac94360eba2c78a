"""What a run showed, as text, as JSON or as JUnit's XML."""

import difflib
import json
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

from phonebook.conformance.reply import Failure
from phonebook.conformance.result import AGAIN, Result, Verdict

SENTENCE = 60  # characters of a requirement's sentence on its line


def must_failed(verdicts: list[Verdict], strict: bool) -> bool:
    """Tell whether a requirement that counts is broken."""
    return any(
        verdict.status == "broken" and (strict or verdict.requirement.keyword == "MUST")
        for verdict in verdicts
    )


def text(verdicts: list[Verdict], results: list[Result]) -> Iterator[str]:
    """Yield the lines of a report: one for each requirement, a diff for each failure."""
    for verdict in verdicts:
        sentence = verdict.requirement.sentence
        if len(sentence) > SENTENCE:
            sentence = sentence[: SENTENCE - 1].rsplit(" ", 1)[0] + " …"
        reason = f" ({verdict.reason})" if verdict.reason else ""
        if verdict.status == "kept":
            named = f"{verdict.cases} cases" if verdict.cases != 1 else "1 case"
            reason = (
                f" ({verdict.run} of {named})" if verdict.run < verdict.cases else f" ({named})"
            )
        yield f"{verdict.requirement.id:<5} {verdict.status + reason}: {sentence}"
        for result, failure in verdict.failures:
            yield f"      {result.case.id} over {result.transport}: {result.case.about}"
            yield f"      {failure.sentence}"
            yield from diff(failure, "        ")
    counts = Counter(verdict.status for verdict in verdicts)
    runs = sum(result.status in ("kept", "broken") for result in results)
    shown = ", ".join(
        f"{counts[name]} {name}" for name in ("kept", "broken", "not offered", "not tried")
    )
    again = sum(result.reason == AGAIN for result in results)
    twice = f", {again} of them twice" if again else ""
    yield f"{len(verdicts)} requirements: {shown}; {runs} cases run{twice}."


def diff(failure: Failure, indent: str) -> Iterator[str]:
    """Yield the expected octets and the seen ones, line by line."""
    expected = failure.expected.split("\n") if failure.expected else []
    seen = failure.seen.split("\n") if failure.seen else []
    if expected and len(seen) > len(expected) + 2:  # a code expected, a whole reply seen
        lines = [*(f"- {line}" for line in expected), *(f"+ {line}" for line in seen)]
    else:
        lines = [line for line in difflib.ndiff(expected, seen) if not line.startswith("?")]
    yield from (indent + line for line in lines)


def as_json(verdicts: list[Verdict], results: list[Result]) -> str:
    """Return a report for programs."""
    document = {
        "requirements": [
            {
                "id": verdict.requirement.id,
                "keyword": verdict.requirement.keyword,
                "sentence": verdict.requirement.sentence,
                "status": verdict.status,
                "reason": verdict.reason,
                "cases": verdict.cases,
                "run": verdict.run,
                "failures": [
                    {
                        "case": result.case.id,
                        "transport": result.transport,
                        "about": result.case.about,
                        "what": failure.sentence,
                        "expected": failure.expected,
                        "seen": failure.seen,
                    }
                    for result, failure in verdict.failures
                ],
            }
            for verdict in verdicts
        ],
        "cases": [
            {
                "id": result.case.id,
                "transport": result.transport,
                "status": result.status,
                "reason": result.reason,
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def as_junit(verdicts: list[Verdict], results: list[Result]) -> str:
    """Return a report as continuous integration reads it: a test case for each case."""
    suite = ElementTree.Element(
        "testsuite",
        name="phonebook conformance",
        tests=str(len(results)),
        failures=str(sum(result.status == "broken" for result in results)),
        skipped=str(sum(result.status.startswith("not") for result in results)),
    )
    for result in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=" ".join(result.case.tries),
            name=f"{result.case.id} {result.transport}",
            time=f"{result.seconds:.3f}",
        )
        if result.failures:
            first = result.failures[0]
            broken = sorted({name for each in result.failures for name in each.requirements})
            element = ElementTree.SubElement(
                case, "failure", type=" ".join(broken), message=first.sentence
            )
            element.text = "\n".join(
                line
                for failure in result.failures
                for line in (failure.sentence, *diff(failure, ""))
            )
        elif result.status.startswith("not"):
            ElementTree.SubElement(case, "skipped", message=f"{result.status}: {result.reason}")
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
