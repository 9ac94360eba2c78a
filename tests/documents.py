"""What the documents hold for a machine: tables, code blocks, transcripts, sections."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "spec"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(text: str, number: str) -> str:
    """Return a section of a document, up to the next heading of any kind."""
    found = re.search(rf"^##+ {re.escape(number)}\.? .*?(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {number}"
    return found[0]


def table(text: str, *header: str) -> list[list[str]]:
    """Return the cells of the first table whose header begins so; code quotes left off."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if _cells(line)[: len(header)] == list(header):
            rows = []
            for row in lines[number + 2 :]:
                if not row.startswith("|"):
                    break
                rows.append(_cells(row))
            return rows
    raise AssertionError(f"there is no table with the header {header}")


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def blocks(text: str, language: str) -> Iterator[tuple[int, str]]:
    """Yield the fenced blocks of a language, each with its first line's number."""
    for found in _FENCE.finditer(text):
        if found[1] == language:
            yield text.count("\n", 0, found.start()) + 2, found[2]


@dataclass(frozen=True)
class Exchange:
    """A request and its reply, as a document shows them."""

    where: str
    request: str
    reply: bytes


def documents() -> list[Path]:
    """Return every document that a reader may see."""
    found = [*ROOT.glob("*.md"), *SPEC.rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return sorted(found)


def exchanges(path: Path) -> Iterator[Exchange]:
    """Yield what the transcripts of a document say."""
    name = path.relative_to(ROOT)
    for first, block in blocks(path.read_text("utf-8"), "transcript"):
        request, where, reply = "", "", b""
        for number, line in enumerate(block.splitlines(), first):
            if line.startswith("C: "):
                assert not reply, f"{name}:{number}: the reply before this has no end"
                request, where = line[3:], f"{name}:{number}"
            else:
                assert line.startswith("S:"), f"{name}:{number}: neither C: nor S:"
                reply += line[3:].encode() + b"\r\n"
                if line == "S: .":
                    yield Exchange(where, request, reply)
                    reply = b""
        assert not reply, f"{name}: a transcript ends within a reply"


def grammar() -> str:
    """Return the ABNF of the specification as one text."""
    text = (SPEC / "phonebook.md").read_text("utf-8")
    return "\n".join(block for _, block in blocks(text, "abnf"))
