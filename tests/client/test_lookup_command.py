"""`phonebook lookup`: what is printed where, and the exit codes."""

import argparse
import json
import os
import subprocess
import sys
import time

import pytest
import yaml
from scripted_server import found, serving, status

from phonebook.cli import lookup, output
from phonebook.client.answer import Answer, Entry

ADA = Entry(
    "ada",
    "person",
    "Ada Byron",
    {"title": ["Analyst"], "phone": ["4711"], "phone.mobile": ["+1 202 555 0143"]},
)
ROOM = Entry("r", "place", "Lab 大", {"phone": ["12"], "zebra": ["x", "y"]})
HOSTILE = Entry("x", "person", "Eve \u202eknil\x1b[2J\x9b", {"no": ['a "b" \\ c', "\u2028"]})


def command(*arguments):
    parser = argparse.ArgumentParser(prog="phone")
    lookup.add_arguments(parser)
    return lookup.run(parser.parse_args(arguments))


@pytest.fixture
def ask(capfdbinary):
    def run(answer, *arguments):
        with serving(lambda way, request: answer(request)) as server:
            code = command("--server", server.address, *arguments)
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode(), server.seen

    return run


def test_found(ask):
    code, out, err, seen = ask(lambda r: found(r, "Ada"), "ada", "byron")
    assert (code, out, err) == (0, "Ada\n  id  ada\n", "")
    assert seen[0][1].split(b" ", 2)[2].strip() == b"ada byron"


def test_white_space_is_between_words(ask):
    _, _, _, seen = ask(lambda r: found(r, "Ada"), "\tada\r\n", "byron\tking\n")
    assert seen[0][1].split(b" ", 2)[2].strip() == b"ada byron king"


@pytest.mark.parametrize(("columns", "whole"), [("", True), ("0", True), ("12", False)])
def test_a_terminal_that_does_not_say_how_wide_it_is(columns, whole):
    names = ["Ada Byron", "Augusta Ada King"]
    ours, theirs = os.openpty()  # 0 columns by 0 lines
    with serving(lambda _, request: found(request, *names)) as server:
        subprocess.run(
            [sys.executable, "-c", PROGRAM, "--server", server.address, "a"],
            env={**os.environ, "COLUMNS": columns},
            stdout=theirs,
        )
    os.close(theirs)
    shown = os.read(ours, 4096).decode().split("\r\n")
    os.close(ours)
    assert shown == ([*names, ""] if whole else ["Ada Byron", "Augusta Ada…", ""])


def test_nothing(ask):
    code, out, err, _ = ask(lambda r: status(r, 252), "nobody")
    assert (code, out, err) == (1, "", "phonebook: Nothing found for nobody\n")
    code, out, err, _ = ask(lambda r: status(r, 252), "nobody", "--format", "json")
    assert (code, out) == (1, "[]\n") and err
    assert ask(lambda r: status(r, 252), "nobody", "--format", "yaml")[1] == "[]\n"
    code, out, err, _ = ask(lambda r: status(r, 252), "nobody", "--id")
    assert (code, out) == (1, "")


def test_near(ask):
    code, out, err, _ = ask(lambda r: found(r, "Ada", code=251), "adda")
    assert (code, out, err) == (1, f"{output.NEAREST}\n  Ada\n", "")
    code, out, err, _ = ask(lambda r: found(r, "Ada", code=251), "adda", "--format=json")
    assert code == 1 and json.loads(out)[0]["match"] == "near" and err


GROUP = "id: g\r\nkind: group\r\nname: Group\r\nreports-to: c\r\n"
LINKED = [
    GROUP,
    "id: a\r\nkind: person\r\nname: Ada\r\nphone: 1\r\nmember-of: g\r\nmember-of.old: x\r\n",
    "id: b\r\nkind: person\r\nname: Bob\r\nphone: 22\r\nmember-of: g\r\nnote: x\r\n",
    "id: c\r\nkind: person\r\nname: Cy\r\nreports-to: g\r\n",
]


def linked(request, entries=LINKED):
    blocks = "\r\n".join(entries)
    tag = request.split()[1].decode()
    return f"250 {tag} matched=9 left=5 at=a1 Found\r\n{blocks}.\r\n".encode()


def test_links(ask):
    code, out, err, seen = ask(linked, "--links", "Member-of,reports-to", "--limit", "4", "g")
    assert seen[0][1].split(b" ", 2)[2].strip() == b"links=Member-of,reports-to limit=4 g"
    assert code == 0 and out.splitlines() == [
        "Group",
        "  id          g",
        "  kind        group",
        "  reports-to  c",
        "",
        "member-of g",
        "  Ada  1",
        "  Bob  22",
        "",
        "reports-to",
        "  Cy",
        "",
        "reports-to g",
        "  Cy",
    ]
    assert err == "phonebook: 5 more: --limit 9.\n"
    _, out, _, _ = ask(linked, "--links", "room", "--limit", "4", "g")  # not what was asked for
    assert [row.split()[:1] for row in out.splitlines()[4:]] == [
        [],
        ["linked"],
        ["Ada"],
        ["Bob"],
        ["Cy"],
    ]
    _, out, _, _ = ask(linked, "--links", "room", "--limit", "4", "g", "--format", "json")
    assert [each["id"] for each in json.loads(out)] == ["g", "a", "b", "c"]
    _, out, _, _ = ask(
        lambda request: linked(request, LINKED[1:]),
        *("--links", "member-of", "--limit", "3", "--after", "g", "g"),
    )
    assert [row.split()[0] for row in out.splitlines()] == ["Ada", "Bob", "Cy"]


@pytest.mark.parametrize(("code", "word"), [(503, "does not follow links"), (551, "fewer links")])
def test_links_refused(ask, code, word):
    told, out, err, _ = ask(lambda r: status(r, code), "--links", "room", "r")
    assert (told, out) == (3, "") and word in err


@pytest.mark.parametrize(
    ("code", "word"),
    [(551, "add a word"), (530, "--tls"), (430, "in 9 seconds"), (506, "no word"), (599, "599")],
)
def test_refused(ask, code, word):
    told, out, err, _ = ask(lambda r: status(r, code, "retry=9"), "a", "--format", "json")
    assert (told, out) == (3, "") and word in err and err.count("\n") == 1


def test_every_refusal_has_its_advice():
    from phonebook.wire import Code

    explained = set(lookup.ADVICE)
    never_sent = {500, 501, 503, 504}  # by this client, which checks what it sends
    assert {code for code in Code if code >= 400} - never_sent <= explained


@pytest.mark.parametrize(
    "arguments",
    [
        ["--server", "a:b", "x"],
        ["--limit", "0", "x"],
        ["--fields", "a b", "x"],
        ["--timeout", "0", "x"],
        ["--id", "A B"],
        ["--id", "a", "--kind", "person"],
        ["--links", "room", "--kind", "person", "a"],
        ["--links", "phone", "a"],
        ["--links", "room,", "a"],
        ["--tls", "--ca", "/no/such/file", "--server", "127.0.0.1:1", "x"],
        ["--ca", "/no/such/file", "--server", "127.0.0.1:1", "x"],
        ["--tcp", "--cert", "/no/such/file", "--server", "127.0.0.1:1", "x"],
        ["--tls", "--key", "/no/such/file", "--server", "127.0.0.1:1", "x"],
        ["a\x1bb", "--server", "127.0.0.1:1"],
        ["x" * 1300, "--server", "127.0.0.1:1"],
    ],
)
def test_wrong_use(arguments, capsys):
    assert command(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("phonebook: ") and err.count("\n") == 1


def test_no_answer(capsys):
    assert command("x", "--tcp", "--server", "127.0.0.1:1") == 3
    assert "127.0.0.1:1: " in capsys.readouterr().err


def test_interrupted(monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(lookup, "_run", interrupt)
    assert lookup.run(argparse.Namespace()) == 130


def test_server_from_the_environment(monkeypatch, capsys):
    with serving(lambda _, request: found(request, "Ada")) as server:
        monkeypatch.setenv("PHONEBOOK_SERVER", server.address)
        assert command("ada") == 0


def test_wire(ask):
    code, out, _, _ = ask(lambda r: found(r, "Ada"), "ada", "--format", "wire")
    sent, first, *rest = out.splitlines()
    tag = sent.split()[2]
    assert sent == f"C: LOOKUP {tag} ada [1170 spaces]" and len(tag) == 17
    assert first == f"S: 250 {tag} matched=1 left=0 at=a1 Found"
    assert rest == ["S: id: ada", "S: kind: person", "S: name: Ada", "S: ."]


def test_wire_shows_everything():
    assert output.wire_lines("S", b"a\x1b\xff\r\n\r\nb\n.") == [
        "S: a\\x1b\\xff",
        "S:",
        "S: b [no CR]",
        "S: . [no line end]",
    ]


def test_card():
    assert output.as_text(Answer((ADA,))).splitlines() == [
        "Ada Byron",
        "  id     ada",
        "  title  Analyst",
        "  phone  4711",
        "  phone  +1 202 555 0143 (mobile)",
    ]


def test_table():
    assert output.as_text(Answer((ADA, ROOM))).splitlines() == [
        "Ada Byron         4711, +1 202 555 0143 (mobile)  Analyst",
        "Lab 大     place  12",
    ]
    assert output.as_text(Answer((ADA, ROOM)), asked=True).splitlines()[1].endswith("  x, y")


def test_table_on_a_narrow_terminal():
    lines = output.as_text(Answer((ADA, ROOM)), width=20).splitlines()
    assert all(output.width(line) <= 20 for line in lines) and lines[0].endswith("…")


def test_a_long_row_is_cut_at_once():
    """A hostile server's, of wide letters and marks that take no room."""
    entry = Entry("a", "person", "大e\u0301" * 10_000, {})
    began = time.process_time()
    told = output.as_text(Answer((entry, entry)), width=20)
    assert time.process_time() - began < 2, "a second look at each letter takes minutes"
    assert told == ("大e\u0301" * 6 + "…\n") * 2


@pytest.mark.parametrize("text", ["大", "é", "e\u0301", "ノ", "a"])
def test_width(text):
    assert output.width(text) == {"大": 2, "ノ": 2}.get(text, 1)


@pytest.mark.parametrize("several", [False, True])
def test_nothing_steers_a_terminal(several):
    """C-7: in no format."""
    answer = Answer((HOSTILE, ADA) if several else (HOSTILE,))
    for text in (output.as_text(answer), output.as_json(answer), output.as_yaml(answer)):
        assert not set(text) & set("\u202e\x1b\x9b\u2028")
    assert "\\u202eknil\\x1b[2J\\x9b" in output.as_text(answer)


@pytest.mark.parametrize("near", [False, True])
def test_json_and_yaml_are_the_same_data(near):
    answer = Answer((HOSTILE, ADA, ROOM), near=near)
    data = json.loads(output.as_json(answer))
    assert yaml.safe_load(output.as_yaml(answer)) == data
    assert data[0]["name"] == HOSTILE.name and data[0]["no"] == HOSTILE.fields["no"]
    assert data[2]["zebra"] == ["x", "y"]
    assert [each.get("match") for each in data] == ["near" if near else None] * 3


PROGRAM = """
import argparse, sys
from phonebook.cli import lookup
parser = argparse.ArgumentParser()
lookup.add_arguments(parser)
sys.exit(lookup.run(parser.parse_args()))
"""


def test_utf8_in_a_c_locale():
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with serving(lambda _, request: found(request, "X", more="title: Ä大\r\n")) as server:
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, "--server", server.address, "Ä"],
            capture_output=True,
            env=environment,
        )
        assert "Ä大".encode() in run.stdout and not run.stderr
        assert server.seen[0][1].split()[2] == "Ä".encode()


def test_a_closed_pipe_is_silent():
    names = [f"Name {number}" for number in range(10)]
    with serving(lambda _, request: found(request, *names)) as server:
        read, write = os.pipe()
        os.close(read)
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, "--server", server.address, "a"],
            stdout=write,
            stderr=subprocess.PIPE,
        )
        os.close(write)
        assert not run.stderr and run.returncode == 0
