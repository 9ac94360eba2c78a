"""What a parser says of broken YAML, in words that tell a person what to do.

Implements the section "Problems" of spec/directory.md.
"""

import yaml

from phonebook.directory.problems import Position, Problems

# What libyaml and PyYAML say, by a part of it, and what a person can do about it.
_SENTENCES = (
    ("found unexpected end of stream", "The quote that opens here is never closed: close it."),
    ("document indicator", "The quote that opens here is never closed: close it."),
    ("unknown escape", "There is no such escape: write `\\\\` for a backslash, or use no quotes."),
    ("escape code", "The escape names no character: write the character itself."),
    ("expected escape sequence", "The escape is not whole: write the character itself."),
    ("cannot start any token", "A value cannot begin with this character: put it in quotes."),
    ("expected key", "This line is not indented as its neighbours are: align it with them."),
    (
        "expected node content",
        'No value can begin with this character: put it in quotes (`"::1"`), if it is one.',
    ),
    ("expected ':'", "This line has no `:` after its field name: write `field: value`."),
    ("'-' indicator", "This line is not indented as its neighbours are: align it with them."),
    ("<block end>", "This line is not indented as its neighbours are: align it with them."),
    ("<document start>", "Text follows where the document has ended: align it with what it is in."),
)


def report_syntax(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> int:
    """Report where the YAML is broken, and return the line to go on behind."""
    said = str(error.problem)
    mark, opened = error.problem_mark or error.context_mark, error.context_mark
    if mark is None:  # nothing is known that has none
        problems.error("syntax", Position(problems.file, 1, 1), f"Bad YAML: {said}.")
        return 1
    written = "".join(text.split("\n")[mark.line : mark.line + 1])
    before = written[: mark.column].rstrip()
    sentence = next((ours for part, ours in _SENTENCES if part in said), f"Bad YAML: {said}.")
    behind = mark.line
    if "never closed" in sentence and opened:
        mark = opened  # else the end of the file would be shown
        behind = mark.line
    elif "' or ']'" in said or "' or '}'" in said:
        bracket = "bracket `[`" if "]" in said else "brace `{`"
        behind = opened.line if opened else behind
        sentence = f"The {bracket} of line {behind + 1} is not closed, or a comma is missing here."
    elif "mapping values" in said:
        sentence = (
            "A value with `: ` in it must stand in quotes."
            if ": " in before
            else "This line is indented too far: align it with the field above."
        )
    elif before.endswith(('"', "'")):
        sentence = "The quote ends before the value does: put all of it in quotes."
    where = Position(problems.file, mark.line + 1, mark.column + 1)
    if not any(each.code == "tab" and each.where.line == where.line for each in problems):
        problems.error("syntax", where, sentence)
    return behind + 1
