"""Directories: the lab, what a directory may say, and what each broken one is told."""

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from phonebook.directory.entry import Entry, Header, View
from phonebook.directory.fields import HIDING, KNOWN
from phonebook.directory.load import directory_files, load, load_text
from phonebook.directory.problems import DirectoryError
from phonebook.directory.project import exact, project
from phonebook.directory.read_entry import entry_octets
from phonebook.directory.views import MAX_VIEWS
from phonebook.settings import SETTINGS
from phonebook.share import share

LAB = share("examples/lab")
BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
NORM = share("spec/directory.md").read_text("utf-8")
SCHEMA: dict[str, Any] = json.loads(share("spec/directory.schema.json").read_text("utf-8"))

# What a schema can say too; the others need more than one entry, or the text as it was written.
IN_THE_SCHEMA = {
    *("bad-field-name", "bad-id", "bad-kind", "bad-main", "bad-setting", "empty-value"),
    *("missing-key", "too-many-certificates", "too-many-networks"),
    *("missing-name", "not-a-list", "not-a-mapping", "not-an-entry", "not-digits"),
    *("not-yes-or-no", "reserved-field", "unknown-key", "value-not-text"),
}


def entries(text: str) -> tuple[Entry, ...]:
    loaded = load_text(text.encode(), "test.yaml")
    assert loaded.directory, loaded.problems
    return loaded.directory.entries


def fields(text: str) -> dict[str, tuple[str, ...]]:
    return dict(entries(text)[0].fields)


def codes(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [each.code for each in load_text(data, "test.yaml").problems]


def typed(data: bytes) -> Any:
    """Return a document as an editor's YAML types it; dates are text to a JSON Schema."""
    return json.loads(json.dumps(yaml.safe_load(data), default=str))


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_directory_is_told_what_to_write(path: Path) -> None:
    loaded = load_text(path.read_bytes(), path.name)
    expected = path.with_suffix(".expected").read_text("utf-8").splitlines()
    assert expected
    assert [str(each) for each in loaded.problems] == expected
    assert (loaded.directory is None) == any(": error: " in each for each in expected)


def test_the_corpus_is_large_and_has_every_code() -> None:
    assert len(BROKEN) >= 60
    seen = {
        re.findall(r"\[([a-z-]+)\]$", line)[0]
        for path in BROKEN
        for line in path.with_suffix(".expected").read_text("utf-8").splitlines()
    }
    source = "".join(path.read_text("utf-8") for path in share("phonebook/directory").glob("*.py"))
    given_codes = set(re.findall(r'(?:error|warning)\(\s*"([a-z-]+)"', source))
    given_codes |= {"bad-field-name", "control-character", "bidi-control", "line-separator"}
    assert given_codes - seen <= {
        *("too-deep", "missing", "unreadable", "header-elsewhere"),
        *("not-a-file", "outside", "too-large", "too-many", "too-many-fields"),
    }


def test_the_lab_has_no_problem() -> None:
    loaded = load(LAB)
    assert loaded.problems == []
    directory = loaded.unwrap()
    assert 40 <= sum(entry.kind == "person" for entry in directory.entries) <= 60
    assert {entry.kind for entry in directory.entries} == {"person", "place", "group", "service"}
    ada = next(entry for entry in directory.entries if entry.id == "ada-byron")
    assert ada.get("phone") == ("147",)
    assert ada.get("note") == ("Prefers a call to a letter.", "Reads letters on Fridays.")
    assert directory.header.extensions == (("100", "199"),)
    assert [each.tls for each in directory.header.referrals] == [True, False]


def test_the_labs_numbers_are_kept_for_fiction() -> None:
    fiction = re.compile(
        r"1\d\d|\*80|(9 1 |\+1 )202 555 01\d\d|\+44 20 7946 0\d{3}|\+49 30 23125 \d{3}"
    )
    for entry in load(LAB).unwrap().entries:
        for name, values in entry.fields:
            if name.startswith("phone"):
                assert all(fiction.fullmatch(value) for value in values), values


def test_every_scalar_is_text_as_written() -> None:
    written = [
        "0471",
        "+12025550143",
        "no",
        "1e5",
        "2024-01-01",
        "12:30:45",
        "1_000",
        "0x1F",
        "1.10",
    ]
    text = "- name: Ada Byron\n  note:\n" + "".join(f"    - {each}\n" for each in written)
    assert fields(text)["note"] == tuple(written)


def test_fields_stand_in_the_order_of_the_norm() -> None:
    text = """
- zebra: 1
  note: n
  phone: {work: 1, fax: 2}
  ant-hill: 1
  ant.b: 1
  ant: 1
  phone.a: 3
  name: Ada Byron
  id: x
  family: Byron
"""
    order = "name family phone.a phone.fax phone.work note ant ant-hill ant.b zebra"
    assert " ".join(fields(text)) == order


def test_block_text_is_a_line_each() -> None:
    assert fields("- name: A\n  note: |\n    one\n\n      two  \n")["note"] == ("one", "two")


def test_json_is_a_directory_too() -> None:
    content = {"entries": [{"name": "Ada \U0001f600", "id": "ada", "phone": {"work": ["1", "2"]}}]}
    for text in (json.dumps(content), json.dumps(content, indent="\t", ensure_ascii=False)):
        assert fields(text) == {"name": ("Ada \U0001f600",), "phone.work": ("1", "2")}


@pytest.mark.parametrize(
    "data", [b"[" * 40_000, b"{a: " * 40_000, b"- " * 40_000, b"? " * 40_000], ids=len
)
def test_nesting_without_end_is_refused(data: bytes) -> None:
    assert codes(data) == ["too-deep"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        *((each, ["no-entries"]) for each in (b"# nothing\n", b"---\n", b"[]", b"entries: []\n")),
        *((each, ["empty-file"]) for each in (b"", b"\n", b" \r\n", b"\xef\xbb\xbf")),
        (b"\xef\xbb\xbf- name: A", []),
    ],
)
def test_what_says_nothing_is_no_error(data: bytes, said: list[str]) -> None:
    assert codes(data) == said
    assert load_text(data, "test.yaml").directory


def test_a_file_that_was_emptied_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- name: Ada\n")
    (tmp_path / "b.yaml").write_text("")
    (problem,) = load(tmp_path).problems
    assert str(problem).startswith(f"{tmp_path}/b.yaml:1:1: warning: This file is empty")


def test_what_is_no_text_has_one_error() -> None:
    """Text in another encoding is read on, for what else is wrong with it."""
    assert codes(b"\x89PNG\r\n\x1a\n\0\0" + bytes(range(256)) * 400) == ["encoding"]
    assert codes(b"- name: M\xfcller\n- name: B\xf6ll\n  kind: robot\n") == ["encoding", "bad-kind"]


def test_ends_of_lines_are_those_of_any_system() -> None:
    for end in ("\r\n", "\r", "\n"):
        assert codes(f"- name: Ada{end}  phone: *1{end}") == ["alias"]


@given(st.binary(max_size=300))
def test_no_octets_raise(data: bytes) -> None:
    load_text(data, "test.yaml")


@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    text = (LAB / "phonebook.yaml").read_text("utf-8") + data.draw(
        st.sampled_from(["entries:\n- name: A\n", "entries:\n  - name: B\n    phone: [1]\n"])
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(["\t", '"', "'", "[", "}", ": ", "- ", "\n", "|", "&a ", "\ufeff"])
        )
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 3)) :]
    loaded = load_text(text.encode(), "test.yaml")
    assert loaded.directory or loaded.problems
    assert all("\n" not in str(each) for each in loaded.problems)


def test_errors_behind_a_syntax_error_are_shown() -> None:
    text = "entries:\n  - name: a: b\n  - name: Bob\n    kind: robot\nserver:\n  idle-timeout: 1\n"
    assert codes(text) == ["syntax", "bad-kind"]


def test_the_header_stands_in_phonebook_yaml(tmp_path: Path) -> None:
    (tmp_path / "phonebook.yaml").write_text("directory: {name: Lab}\n")
    (tmp_path / "b.yml").write_text("- name: Bob\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z.yaml").write_text("entries: [{name: Zoe}]\n")
    (tmp_path / "a-b.yaml").write_text("- name: Ann\n")
    (tmp_path / "notes.txt").write_text("not read")
    (tmp_path / ".draft.yaml").write_text("- broken: [\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("- broken: [\n")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    loaded = load(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in loaded.files] == (
        ["a-b.yaml", "a/z.yaml", "b.yml", "phonebook.yaml"]
    )
    assert directory_files(tmp_path) == loaded.files
    assert [entry.id for entry in loaded.unwrap().entries] == ["ann", "zoe", "bob"]
    (tmp_path / "b.yml").write_text("directory: {name: Lab}\n")
    assert [each.code for each in load(tmp_path).problems] == ["header-elsewhere"]
    assert load(tmp_path / "b.yml").unwrap().header.name == "Lab"


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert [each.code for each in load(tmp_path).problems] == ["missing"]
    loaded = load(tmp_path / "none.yaml")
    assert [each.code for each in loaded.problems] == ["missing"]
    with pytest.raises(DirectoryError, match="There is no"):
        loaded.unwrap()
    assert [each.code for each in load("a\0b").problems] == ["missing"]
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert [each.code for each in load(tmp_path).problems] == ["missing", "not-a-file"]


def test_messages_cannot_steer_a_terminal() -> None:
    loaded = load_text(b'- "\\e[31m\\u202ename": x\n  room: "\\e]0;x\\a"\n', "a\x1b.yaml")
    assert loaded.problems
    assert all(str(each).isprintable() for each in loaded.problems)


def test_what_is_unlisted_is_in_no_projection() -> None:
    directory = load(LAB).unwrap()
    secret = "x7q2mfk90vtdw3zb"
    public = project(directory)
    assert secret not in {entry.id for entry in public.entries}
    ada = next(entry for entry in public.entries if entry.id == "ada-byron")
    assert not ada.get("phone.mobile") and ada.get("phone") and not ada.unlisted_fields
    assert secret in {entry.id for entry in exact(directory).entries}
    whole = load_text(
        f"- name: Bob\n  id: {secret}\n  unlisted: yes\n  reports-to: ada\n"
        "- name: Ada\n  contact.x: [bob2, BOB]\n- name: Bob2\n".replace("BOB", secret).encode(),
        "test.yaml",
    ).unwrap()
    for view in (project(whole), exact(whole)):
        assert next(each for each in view.entries if each.id == "ada").get("contact.x") == ("bob2",)
    assert exact(whole).entries[0].get("reports-to") == ("ada",)


VIEWS = """
views:
  - name: board
    certificates:
      - key: 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08
      - name: dns:Ada.Byron.example
      - name: email:Ada@byron.example
    includes: [staff]
  - name: staff
    networks: [192.0.2.0/24, 198.51.100.7, "2001:DB8:0::/32"]
directory: {name: Lab}
entries:
  - name: Ada Byron
    family: Byron
    phone: {desk: 147, mobile: 148}
    room: vault
    note: Plain.
    view: {phone: staff, phone.mobile: board, family: board, room: staff}
  - {name: Vault, kind: place, view: staff}
  - {name: Board, kind: group, view: board, unlisted: [note], note: Apart.}
  - {name: Cid, view: staff, member-of: board}
"""


def test_views_are_read() -> None:
    header = load_text(VIEWS.encode(), "test.yaml").unwrap().header
    key = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    names = ("dns:ada.byron.example", "email:Ada@byron.example")
    networks = ("192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32")
    assert header == Header(
        name="Lab",
        views=(
            View("board", (), (key,), names, ("staff",)),
            View("staff", networks),
        ),
    )
    assert header.sees("") == header.sees("nobody") == frozenset()
    assert header.sees("staff") == {"staff"}
    assert header.sees("board") == {"board", "staff"}


@pytest.mark.parametrize(
    ("view", "ids", "fields"),
    [
        ("", "ada-byron", "name note"),
        ("staff", "ada-byron vault cid", "name phone.desk room note"),
        ("board", "ada-byron vault board cid", "name family phone.desk phone.mobile room note"),
    ],
)
def test_a_view_shows_what_is_of_it(view: str, ids: str, fields: str) -> None:
    directory = load_text(VIEWS.encode(), "test.yaml").unwrap()
    shown, searched = exact(directory, view), project(directory, view)
    for seen in (shown, searched):
        assert " ".join(each.id for each in seen.entries) == ids
        assert " ".join(name for name, _ in seen.entries[0].fields) == fields
        assert not seen.header.views
        assert not any(each.view or each.field_views for each in seen.entries)
        assert project(seen) == searched, "it can be projected again"
    cid = {each.id: each for each in searched.entries}.get("cid")
    assert cid is None or bool(cid.get("member-of")) == (view == "board")
    board = {each.id: each for each in shown.entries}.get("board")
    assert board is None or board.get("note") == ("Apart.",)


def test_views_stand_where_the_header_does(tmp_path: Path) -> None:
    (tmp_path / "phonebook.yaml").write_text(VIEWS)
    (tmp_path / "a.yaml").write_text("- {name: Dora, view: staff, room: vault}\n")
    assert load(tmp_path).problems == []
    (tmp_path / "a.yaml").write_text("views: [{name: x, networks: 192.0.2.0/24}]\n")
    assert [each.code for each in load(tmp_path).problems] == ["header-elsewhere"]


def test_the_schema_accepts_what_the_checker_accepts() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    accepted = [path.read_bytes() for path in LAB.glob("*.yaml")]
    accepted += [
        path.read_bytes()
        for path in BROKEN
        if load_text(path.read_bytes(), path.name).directory is not None
        and typed(path.read_bytes()) is not None  # there is something to look at
    ]
    accepted.append(
        b"- {name: 4711, id: 7, alias: [no, 1e5, 2024-01-01], phone: 0471, unlisted: no}"
    )
    accepted.append(VIEWS.encode())
    assert len(accepted) > 8
    assert all(load_text(data, "test.yaml").directory for data in accepted[-2:])
    for data in accepted:
        validator.validate(typed(data))


def test_the_schema_refuses_what_it_can() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    refused = 0
    for path in BROKEN:
        found = set(codes(path.read_bytes()))
        if found and found <= IN_THE_SCHEMA:
            assert not validator.is_valid(typed(path.read_bytes())), path.name
            refused += 1
    assert refused > 20


def test_each_requirement_of_the_norm_has_its_id() -> None:
    ids = re.findall(r"^- `\[(D-\d+)\]` ", NORM, flags=re.M)
    assert ids == [f"D-{number}" for number in range(1, len(ids) + 1)]
    for paragraph in re.split(r"\n(?=- |\n)", NORM.partition("## 1. ")[2]):
        binding = re.search(r"\b(MUST|SHOULD)\b", paragraph)
        assert bool(binding) == paragraph.startswith("- `[D-"), paragraph


def test_the_tables_of_the_norm_are_those_of_the_code() -> None:
    keys = re.findall(r"^\| `([a-z-]+)` \|", NORM, flags=re.M)
    of_header = [each for each in Header.__dataclass_fields__ if each != "views"]
    of_view = list(SCHEMA["$defs"]["view"]["properties"])
    assert keys == [*KNOWN, *of_header, *SETTINGS, *of_view]
    assert set(SCHEMA["$defs"]["entry"]["properties"]) == {*KNOWN, *HIDING}
    assert set(SCHEMA["$defs"]["header"]["properties"]) == set(of_header)
    assert SCHEMA["oneOf"][1]["properties"]["views"]["maxItems"] == MAX_VIEWS
    assert set(SCHEMA["$defs"]["server"]["properties"]) == {
        key for key, setting in SETTINGS.items() if not setting.apart
    }


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", NORM, flags=re.S))
def test_the_examples_of_the_norm_are_directories(text: str) -> None:
    assert load_text(text.encode(), "example.yaml").problems == []
    jsonschema.validate(typed(text.encode()), SCHEMA)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("- name: {}\n  id: a\n", (256, "value-too-long")),
        ("- name: A\n  note: {}\n", (1000, "value-too-long")),
        ("- name: A\n  id: {}\n", (64, "value-too-long")),
        ("- name: {}\n", (64, "no-id")),
        ("- name: A\n  {}: x\n", (32, "bad-field-name")),
        ("- name: A\n  x: {{{}: x}}\n", (30, "bad-field-name")),
    ],
)
def test_the_limits_hold_to_the_octet(text: str, code: tuple[int, str]) -> None:
    most, problem = code
    assert codes(text.format("x" * most)) == []
    assert codes(text.format("x" * (most + 1))) == [problem]


def test_an_entry_is_as_long_as_a_reply_can_carry() -> None:
    def sized(octets: int) -> str:
        return (
            "- name: Zoë\n  note:\n"
            + "    - "
            + "n" * 990
            + "\n"
            + (("    - " + "n" * 990 + "\n") * 7 + "    - " + "n" * octets + "\n")
        )

    rest = 8192 - entry_octets(entries(sized(1))[0]) + 1
    assert codes(sized(rest)) == []
    assert codes(sized(rest + 1)) == ["entry-too-long"]
    entry = entries(sized(rest))[0]
    lines = [("id", entry.id), ("kind", entry.kind)]
    lines += [(name, value) for name, values in entry.fields for value in values]
    reply = "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
    assert len(reply.encode()) == entry_octets(entry) == 8192
