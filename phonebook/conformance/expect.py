"""Holds a reply against what a case expects of it (the keys of spec/conformance/cases.schema.json).

What every reply must be, whatever a case expects, is in `reply`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from phonebook.conformance.cases import octets_of
from phonebook.conformance.reply import Failure, Reply, visible_lines


def differences(
    reply: Reply, expected: Mapping[str, Any], tries: tuple[str, ...]
) -> Iterator[Failure]:
    """Yield how a reply differs from the expected one, and so breaks what the case tries."""
    seen = visible_lines(reply.octets)

    def other(sentence: str, wanted: str, got: str = seen) -> Failure:
        return Failure(tries, sentence, wanted, got)

    if reply.code != expected.get("code", reply.code):
        yield other("The code is another", expected["code"])
    if reply.tag != expected.get("tag", reply.tag):
        wanted = f"#{expected['tag']}" if expected["tag"] else "no tag"
        yield Failure(("Q-7",), "The tag is another", wanted, seen)
    if reply.ids != expected.get("ids", reply.ids):
        yield other(
            "The entries are others, or in another order",
            "\n".join(expected["ids"]),
            "\n".join(reply.ids),
        )
    parameters = dict(expected.get("parameters", {}))
    parameters |= {key: expected[key] for key in ("matched", "left") if key in expected}
    for name, value in parameters.items():
        if reply.parameters.get(name) != value:
            yield other(f"`{name}` is another", f"{name}={value}")
    if reply.lines != expected.get("lines", reply.lines):
        yield other("The lines are others", "\n".join(expected["lines"]), "\n".join(reply.lines))
    last = expected.get("last", [])
    if last and reply.lines[-len(last) :] != last:
        yield other("The last lines are others", "\n".join(last))
    if len(reply.entries) != int(expected.get("count", len(reply.entries))):
        yield other(
            "The number of entries is another",
            f"{expected['count']} entries",
            f"{len(reply.entries)} entries",
        )
    names = list(dict.fromkeys(line.partition(":")[0] for line in reply.lines if line))
    for name in expected.get("names", ()):
        if name not in names:
            yield other("A field is missing", f"{name}:")
    ordered = [name for name in expected.get("order", ()) if name in names]
    if names[: len(ordered)] != ordered:
        yield other("The fields are in another order", " ".join(ordered), " ".join(names))
    lines = iter(reply.lines)
    missing = next((line for line in expected.get("has", ()) if line not in lines), None)
    if missing is not None:
        yield other("A line is missing, or stands before another", missing)
    for text in expected.get("lacks", ()):
        if octets_of(text) in reply.octets:
            yield other("The reply holds what it may not", text)
    if len(reply.octets) > int(expected.get("max-octets", len(reply.octets))):
        yield other(
            f"The reply has {len(reply.octets)} octets", f"at most {expected['max-octets']}"
        )
    if "protocol" in expected and reply.protocol != (expected["protocol"] == "true"):
        yield other(
            "PHONEBOOK/1 does not stand behind the code and the tag", f"{reply.code} PHONEBOOK/1"
        )
