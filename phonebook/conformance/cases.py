"""The cases and requirements, read from spec/, and the lint that keeps the cases honest."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from phonebook.share import share

TRANSPORTS = ("tcp", "udp", "tls")
LONGEST_ABOUT = 100  # characters
CASE_KEYS = frozenset(
    (
        "case tries about profile transport needs ask same-octets steps source-port from to "
        "certificate code ids "
        "parameters matched left tag has lacks lines last max-octets protocol count order names"
    ).split()
)
REPLY_KEYS = frozenset(
    (
        "code ids tag parameters matched left has lacks lines last max-octets protocol times "
        "count order names"
    ).split()
)
STEP_KINDS = frozenset(
    (
        "send send-repeat pad expect shutdown wait remember same differs each-octet trickle "
        "keep-asking datagram measure handshake over from"
    ).split()
)
OUTCOMES = ("silence", "closed", "open")
WAITS = ("wait", "trickle", "keep-asking")
"""Steps after which a server has let a time pass, or has not."""
BUDGETS = "budget"  # the profile of which each case asks from networks of its own
_FURTHER = 100  # what makes of the second octet of such a network that of another

_REQUIREMENT = re.compile(r"^- `?\[([A-Z]+-[0-9]+)\]`? (.*(?:\n  .*)*)$", re.MULTILINE)
_ESCAPE = re.compile(rb"\\(?:([rnt0\\])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))|(\\)")
_CASE_ID = re.compile(r"[a-z0-9-]+\Z")


class CaseError(Exception):
    """A conformance case cannot be used."""


@dataclass(frozen=True)
class Requirement:
    """A normative sentence of the specification."""

    id: str
    keyword: str
    sentence: str


@dataclass(frozen=True)
class Untestable:
    """A requirement that no case tries from outside, and why."""

    reason: str
    by: str


@dataclass(frozen=True)
class Step:
    """One thing to do or to expect."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Case:
    """Octets to send, what must come back, and the requirements that this tries."""

    id: str
    tries: tuple[str, ...]
    about: str
    profile: str
    transport: tuple[str, ...]
    needs: str
    ask: str | None
    expected: Mapping[str, Any]
    steps: tuple[Step, ...]
    same_octets: bool
    source_port: str
    source: str
    to: str
    certificate: str
    file: str

    @property
    def is_doubtful(self) -> bool:
        """Whether a good server breaks it now and then.

        On a busy machine a time passes before its time; and two networks may share a budget (B-5).
        """
        return self.profile == BUDGETS or any(step.kind in WAITS for step in self.steps)

    def again(self) -> "Case":
        """Return what to try in its place: a budget's case asks from networks yet unknown."""
        if self.profile != BUDGETS:
            return self
        steps = (
            Step(step.kind, _further(step.value)) if step.kind == "from" else step
            for step in self.steps
        )
        return replace(self, source=_further(self.source), steps=tuple(steps))


def _further(address: str) -> str:
    first, second, *rest = address.split(".")
    return ".".join([first, str(int(second) + _FURTHER), *rest])


def load_yaml(path: Path) -> Any:
    """Return a YAML document with every scalar as it was written (the failsafe schema)."""
    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    return yaml.load(path.read_text("utf-8"), Loader=loader)


def load_requirements() -> dict[str, Requirement]:
    """Return every normative sentence of the specification, by its id, in the order it stands."""
    requirements = {}
    for name in ("spec/phonebook.md", "spec/directory.md"):
        try:
            text = share(name).read_text("utf-8")
        except FileNotFoundError:
            continue
        for found in _REQUIREMENT.finditer(text):
            sentence = " ".join(found.group(2).split())
            keyword = "MUST" if re.search(r"\bMUST\b", sentence) else "SHOULD"
            requirements[found.group(1)] = Requirement(found.group(1), keyword, sentence)
    return requirements


def load_untestable() -> dict[str, Untestable]:
    """Return the requirements that are not tried from outside, with the reasons."""
    path = share("spec/conformance/untestable.yaml")
    return {
        name: Untestable(item["reason"], item.get("by", "nothing"))
        for item in load_yaml(path)
        for name in item["ids"]
    }


def load_cases() -> list[Case]:
    """Return all cases, by the names of their files and in the order they stand there."""
    cases = []
    for path in sorted(share("spec/conformance").glob("*.yaml")):
        if path.name == "untestable.yaml":
            continue
        document = load_yaml(path)
        if not isinstance(document, list):
            raise CaseError(f"{path.name} is not a list of cases.")
        cases += [_case(item, path.name) for item in document]
    return cases


def _case(item: Any, file: str) -> Case:
    if not isinstance(item, dict) or "case" not in item:
        raise CaseError(f"{file} holds something that is not a case: {str(item)[:60]}.")
    name = item["case"]
    unknown = set(item) - CASE_KEYS
    if unknown:
        raise CaseError(f"{file}: case {name} has an unknown key: {min(unknown)}.")
    missing = {"tries", "about"} - set(item)
    if missing:
        raise CaseError(f"{file}: case {name} lacks {min(missing)}.")
    if ("ask" in item) == ("steps" in item):
        raise CaseError(f"{file}: case {name} has either `ask` or `steps`.")
    expected = {key: item[key] for key in item if key in REPLY_KEYS}
    steps = []
    for step in item.get("steps", ()):
        if not isinstance(step, dict) or len(step) != 1 or set(step) - STEP_KINDS:
            raise CaseError(f"{file}: case {name} has an unknown step: {step}.")
        ((kind, value),) = step.items()
        if kind == "expect" and not (
            value in OUTCOMES if isinstance(value, str) else set(value) <= REPLY_KEYS
        ):
            raise CaseError(f"{file}: case {name} expects something unknown: {value}.")
        steps.append(Step(kind, value))
    transport = item.get("transport", ["tcp", "udp"])
    return Case(
        id=name,
        tries=tuple(item["tries"]),
        about=item["about"],
        profile=item.get("profile", "core"),
        transport=(transport,) if isinstance(transport, str) else tuple(transport),
        needs=item.get("needs", ""),
        ask=item.get("ask"),
        expected=expected,
        steps=tuple(steps),
        same_octets=item.get("same-octets") == "true",
        source_port=item.get("source-port", ""),
        source=item.get("from", ""),
        certificate=item.get("certificate", ""),
        to=item.get("to", ""),
        file=file,
    )


def octets_of(text: str) -> bytes:
    r"""Return the octets that a case's text stands for: UTF-8, with \r \n \t \0 \\ \xHH \uHHHH."""

    def unescape(found: re.Match[bytes]) -> bytes:
        letter, octet, point, alone = found.groups()
        if letter is not None:
            return {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}[bytes(letter)]
        if octet is not None:
            return bytes([int(octet, 16)])
        if point is not None:
            return chr(int(point, 16)).encode()
        raise CaseError(f"{text!r} holds a backslash that begins no escape; write two.")

    return _ESCAPE.sub(unescape, text.encode())


def lint(cases: list[Case]) -> Iterator[str]:
    """Yield a sentence for everything that is wrong with the cases."""
    requirements = load_requirements()
    seen: set[str] = set()
    for case in cases:
        where = f"{case.file}: case {case.id}"
        if not _CASE_ID.match(case.id):
            yield f"{where}: an id has lower-case letters, digits and hyphens."
        if case.id in seen:
            yield f"{where}: the id is used twice."
        seen.add(case.id)
        if len(case.about) > LONGEST_ABOUT:
            yield f"{where}: `about` has more than {LONGEST_ABOUT} characters."
        if re.search(r"\bshould\b|\btests? that\b", case.about, re.IGNORECASE):
            yield f"{where}: `about` says what is tried, without `should` and `test that`."
        if not case.tries:
            yield f"{where}: it tries no requirement."
        for name in case.tries:
            if name not in requirements:
                yield f"{where}: the specification has no requirement {name}."
        for name in case.transport:
            if name not in TRANSPORTS:
                yield f"{where}: there is no transport {name}."
        if case.ask is not None and "code" not in case.expected:
            yield f"{where}: an `ask` needs a `code`."
        for step in case.steps:
            try:
                if step.kind in ("send", "each-octet"):
                    octets_of(step.value)
                elif step.kind in ("send-repeat", "trickle"):
                    octets_of(step.value[0])
            except CaseError as error:
                yield f"{where}: {error}"


def uncovered(cases: list[Case]) -> Iterator[str]:
    """Yield a sentence for every requirement that is neither tried nor listed, or is both."""
    requirements = load_requirements()
    untestable = load_untestable()
    tried = {name for case in cases for name in case.tries}
    for name in requirements:
        if name not in tried and name not in untestable:
            yield f"{name} is tried by no case and is not listed in untestable.yaml."
    for name in untestable:
        if name not in requirements:
            yield f"untestable.yaml lists {name}, which the specification does not have."
        elif name in tried:
            yield f"untestable.yaml lists {name}, which a case tries."


def profiles() -> list[str]:
    """Return the names of the directories that a server under test can be asked to load."""
    return sorted(path.stem for path in share("spec/conformance/profiles").glob("*.yaml"))
