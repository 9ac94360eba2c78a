"""The folding: its tables, its laws, and names that people have."""

import hashlib
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonebook.directory.text import fold, spellings, words
from phonebook.share import share

TABLES = ("spec/folding.tsv", "spec/marks.tsv")
Form = Literal["NFC", "NFD"]

GENERATOR = Path(__file__).parents[1] / "tools" / "make_folding.py"
PINNED = "15.1.0"


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


# The characters that both this Python and the tables know. A newer Python knows characters which to
# the tables are still unassigned; it, too, carries Unicode 3.2 and can be tested with that.
KNOWN = [
    chr(code)
    for code in range(sys.maxunicode + 1)
    if (
        unicodedata
        if version(unicodedata.unidata_version) <= version(PINNED)
        else unicodedata.ucd_3_2_0
    ).category(chr(code))
    not in ("Cn", "Cs")
]
MARKS = [each for each in KNOWN if unicodedata.combining(each)]
COMPOSED = [each for each in KNOWN if unicodedata.decomposition(each)]

known = st.sampled_from(KNOWN)
marks = st.sampled_from(MARKS)
texts = st.text(
    st.one_of(
        known,
        marks,
        st.sampled_from(COMPOSED),
        st.sampled_from("aouAOUäöüÄÖÜøåÅ \u0308\u030a\u0323\u0345-\u2010'\u2019.كかΑα가각क\u094d"),
    )
)
FORMS: tuple[Form, ...] = ("NFC", "NFD")
forms = st.sampled_from(FORMS)


# The tables


def body(relative: str) -> list[str]:
    return [line for line in share(relative).read_text("ascii").split("\n") if line[:1] != "#"]


def rows(relative: str) -> Iterator[tuple[range, str]]:
    for line in filter(None, body(relative)):
        codes, result = line.split("\t")
        first, _, last = codes.partition("..")
        yield range(int(first, 16), int(last or first, 16) + 1), result


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_tables_are_what_the_generator_writes() -> None:
    # Only a Python with the pinned Unicode can tell; the checksums below are for all others.
    for python in filter(None, (sys.executable, shutil.which("python3.13"))):
        asked = run(python, "-c", "import unicodedata; print(unicodedata.unidata_version)")
        if asked.stdout.strip() == PINNED:
            checked = run(python, str(GENERATOR), "--check")
            assert checked.returncode == 0, checked.stderr
            return
    for relative in TABLES:
        test_nobody_edited_a_table(relative)


@pytest.mark.parametrize("relative", TABLES)
def test_nobody_edited_a_table(relative: str) -> None:
    header = [line for line in share(relative).read_text("ascii").split("\n") if line[:1] == "#"]
    assert f"Unicode {PINNED}" in header[0]
    digest = hashlib.sha256("\n".join(body(relative)).encode("ascii")).hexdigest()
    assert header[-1] == f"# {digest}"


def test_generator_refuses_another_unicode() -> None:
    pretend = "import runpy, sys, unicodedata; unicodedata.unidata_version = '1.1.0'; "
    refused = run(
        sys.executable,
        "-c",
        pretend + "del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')",
        str(GENERATOR),
        "--check",
    )
    assert refused.returncode == 2
    assert f"needs a Python whose unicodedata is {PINNED}" in refused.stderr


@pytest.mark.parametrize("relative", TABLES)
def test_rows_are_in_order_and_ranges_share_a_word(relative: str) -> None:
    end = -1
    for codes, result in rows(relative):
        assert codes.start > end
        end = codes[-1]
        assert len(codes) == 1 or result in ("space", "nothing")


def test_folding_is_what_the_table_says() -> None:
    """A second reading of the table, the shortest one, gives what `fold` gives."""
    named = {"space": " ", "nothing": ""}
    listed: set[int] = set()
    for codes, result in rows("spec/folding.tsv"):
        listed.update(codes)
        if result in named:
            expected = named[result]
        else:
            expected = "".join(chr(int(code, 16)) for code in result.split())
        for code in codes:
            assert fold(f"x{chr(code)}x") == f"x{expected}x"
    for code in range(sys.maxunicode + 1):
        if code not in listed and not 0xAC00 <= code <= 0xD7A3:
            assert fold(chr(code)) == chr(code)


def test_marks_keep_their_class_or_vanish() -> None:
    """With this, the order of marks before folding cannot change what comes out.

    Normalising moves a mark past others of another class. If each of them folds to nothing or to
    itself, with the class that Unicode gives it, putting them in order afterwards undoes the move.
    """
    classes = {chr(codes.start): int(order) for codes, order in rows("spec/marks.tsv")}
    for mark in MARKS:
        assert fold(mark) == (mark if mark in classes else "")
        assert classes.get(mark, unicodedata.combining(mark)) == unicodedata.combining(mark)


# The laws


def test_normal_forms_of_every_character_fold_alike() -> None:
    for character in KNOWN:
        for form in FORMS:
            normal = unicodedata.normalize(form, character)
            if normal != character:
                assert fold(f"x{normal}x") == fold(f"x{character}x"), f"U+{ord(character):04X}"


def test_folding_any_code_point_again_changes_nothing() -> None:
    for code in range(sys.maxunicode + 1):
        folded = fold(chr(code))
        assert fold(folded) == folded, f"U+{code:04X}"


def test_both_cases_of_every_letter_fold_alike() -> None:
    """The exceptions are the Greek letters with an iota below, whose capital form writes it out.

    The iota below is an accent and vanishes; the iota that str.upper() puts beside is a letter.
    """
    exceptions = set()
    all_known = set(KNOWN)
    for character in KNOWN:
        for cased in (character.upper(), character.lower(), character.title()):
            if all_known.issuperset(cased) and fold(cased) != fold(character):
                exceptions.add(character)
    assert exceptions == {each for each in KNOWN if "\u0345" in unicodedata.normalize("NFD", each)}


@given(texts, forms)
def test_normal_forms_fold_alike(text: str, form: Form) -> None:
    assert fold(unicodedata.normalize(form, text)) == fold(text)


@given(texts)
def test_folding_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(texts, texts)
def test_folding_goes_part_by_part(left: str, right: str) -> None:
    """The only thing that crosses the seam is the order of marks, which folding again mends."""
    assert fold(f"{left} {right}") == " ".join(words(left) + words(right))
    assert fold(f"{left}x{right}") == fold(fold(f"{left}x") + fold(f"x{right}")[1:])


@given(st.text())
def test_words_are_never_empty_and_join_to_the_folding(text: str) -> None:
    assert all(words(text))
    assert " ".join(words(text)) == fold(text)
    assert not any(character.isspace() for word in words(text) for character in word)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_needs_no_table_and_agrees_with_it(text: str) -> None:
    assert fold(f"{text} é") == f"{fold(text)} e".lstrip()


@given(texts)
def test_spellings_go_with_the_words(text: str) -> None:
    found = spellings(text)
    assert [each[0] for each in found] == words(text)
    for each in found:
        assert len(set(each)) == len(each)
        assert [words(spelling) for spelling in each] == [[spelling] for spelling in each]


@given(st.text(st.sampled_from("aouAOUäöüÄÖÜøåÅǘǟǻǿạ \u0308\u030a\u030c\u0323-")), forms)
def test_normal_forms_are_spelt_alike(text: str, form: Form) -> None:
    assert spellings(unicodedata.normalize(form, text)) == spellings(text)


# Examples


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("", ""),
        ("  Ada   Lovelace\t", "ada lovelace"),
        ("ada.lovelace@lab.example", "ada lovelace lab example"),
        ("José", "jose"),
        ("JOSE\u0301", "jose"),
        ("Jose", "jose"),
        ("Müller", "muller"),
        ("Søren", "soren"),
        ("SØREN", "soren"),
        ("Ǿ ǿ Ǽ ǽ", "o o ae ae"),
        ("Łódź", "lodz"),
        ("ŁÓDŹ", "lodz"),
        ("Straße", "strasse"),
        ("STRAẞE", "strasse"),
        ("STRASSE", "strasse"),
        ("Þóra Guðrún", "thora gudrun"),
        ("Đorđe Ħal Ŋgũgĩ Əliyev Œuvre", "dorde hal ngugi eliyev oeuvre"),
        ("İstanbul", "istanbul"),
        ("I\u0307stanbul", "istanbul"),
        ("\u0131stanbul", "istanbul"),
        ("ISTANBUL", "istanbul"),
        ("O'Brien", "obrien"),
        ("O\u2019Brien", "obrien"),
        ("O\u00b4Brien", "obrien"),
        ("O\u1ffdBrien", "obrien"),
        ("O`Brien", "obrien"),
        ("O\u02bcBrien", "obrien"),
        ("O\uff07Brien", "obrien"),
        ("Jean-Luc", "jean luc"),
        ("Jean\u2013Luc", "jean luc"),
        ("Jean\u00adLuc", "jeanluc"),
        ("\ufb01ne \ufb03", "fine ffi"),
        ("\uff26\uff55\uff4c\uff4c\u3000\uff37\uff49\uff44\uff54\uff48", "full width"),
        ("٠١٢٣ ४५६ \uff17 \U0001d7d6 ²", "0123 456 7 8 2"),
        ("½", "1 2"),
        ("№ 5 ™", "no 5 tm"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("Σίσυφος", "σισυφοσ"),
        ("Щукин Йод Ёж", "щукин иод еж"),
        ("יִצְחָק", "יצחק"),
        ("مُحَمَّد", "محمد"),
        ("أحمد", "احمد"),
        ("\u200fא\u200e \ufeffa\u200db\ufe0f", "א ab"),
        ("王伟", "王伟"),
        ("😀 👩\u200d💻 ❤\ufe0f 🇨🇭 👍🏽", ""),
        ("1\ufe0f\u20e3", "1"),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert words(text) == folded.split()


@pytest.mark.parametrize("word", ["योगेश", "สมชาย", "ปัญญา", "நிலா", "မောင်"])
def test_vowel_signs_do_not_split_a_word(word: str) -> None:
    assert words(word) == [word]


def test_hangul_is_alike_composed_and_decomposed() -> None:
    assert fold("김철수") == fold(unicodedata.normalize("NFD", "김철수"))
    assert fold("각가") == "\u1100\u1161\u11a8\u1100\u1161"
    for code in range(0xAC00, 0xD7A4):
        assert fold(chr(code)) == unicodedata.normalize("NFD", chr(code))


def test_a_voicing_mark_makes_another_letter() -> None:
    assert fold("が") != fold("か")
    assert fold("が") == fold("か\u3099")
    assert fold("ガ") == fold("\uff76\uff9e")


def test_kept_marks_are_put_in_order() -> None:
    virama, nukta = "\u094d", "\u093c"  # classes 9 and 7
    assert fold(f"क{virama}{nukta}") == fold(f"क{nukta}{virama}") == f"क{nukta}{virama}"
    assert fold(f"क{virama}\u0301\u034f{nukta}") == f"क{nukta}{virama}"


def test_one_character_may_be_four_words() -> None:
    assert words("\ufdfa") == ["صلى", "الله", "عليه", "وسلم"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("...", []),
        ("Ada Lovelace", [("ada",), ("lovelace",)]),
        ("Müller", [("muller", "mueller")]),
        ("MU\u0308LLER", [("muller", "mueller")]),
        ("Mueller", [("mueller",)]),
        ("José", [("jose",)]),
        ("Søren", [("soren", "soeren")]),
        ("Åse \u212bse A\u030ase", [("ase", "aase")] * 3),
        ("Ångström", [("angstrom", "aangstroem")]),
        ("Nǚ Nü\u030c Nu\u0308\u030c", [("nu",)] * 3),
        ("Jean-Luc", [("jean", "jeanluc"), ("luc",)]),
        ("Jean\u2011Luc Picard", [("jean", "jeanluc"), ("luc",), ("picard",)]),
        ("a-a-a", [("a", "aaa"), ("a",), ("a",)]),
        ("Jean--Luc-", [("jean", "jeanluc"), ("luc",)]),
        ("Jean - Luc", [("jean",), ("luc",)]),
        ("Jean- Luc -", [("jean",), ("luc",)]),
        ("Jean.-Luc", [("jean",), ("luc",)]),
        ("Jean\u00adLuc", [("jeanluc",)]),
        (
            "Müller-Lüdenscheidt",
            [("muller", "mueller", "mullerludenscheidt"), ("ludenscheidt", "luedenscheidt")],
        ),
    ],
)
def test_spellings(text: str, expected: list[tuple[str, ...]]) -> None:
    assert spellings(text) == expected


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"own file spec/nothing\.tsv is missing"):
        share("spec/nothing.tsv")
