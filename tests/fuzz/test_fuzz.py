"""Octets that mean no good, for the reader of the wire, the reader of YAML, and the search.

The kept corpora and some of their mutations are tried here; `run.py` tries millions.
"""

import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from corpus import read_corpus, unpack
from targets import TARGETS

EXECUTIONS = 1_000_000
MUTATIONS = {"wire": 1_500, "yaml": 400, "query": 800}


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_met_before_breaks_nothing(target: str) -> None:
    for data in read_corpus(target):
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_mutations_break_nothing(target: str) -> None:
    corpus, rng = read_corpus(target), random.Random(767)
    for _ in range(MUTATIONS[target]):
        data = mutated(rng.choice(corpus), rng.choice(corpus), rng)
        try:
            TARGETS[target](data)
        except Exception as error:
            error.add_note(repr(data))
            raise


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return octets with something of others in them, less, more or different."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(data))
        end = min(len(data), start + rng.choice([0, 0, 1, 1, 2, 8, 100]))
        begin = rng.randint(0, len(other))
        put = rng.choice(
            [b"", rng.randbytes(1), data[start:end] * 2, other[begin : begin + rng.randint(1, 30)]]
        )
        data = data[:start] + put + data[end:]
    return data


@pytest.mark.full
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: .[fuzz] has it")
@pytest.mark.parametrize("target", TARGETS)
def test_a_million_executions_break_nothing(target: str, tmp_path: Path) -> None:
    unpack(target, tmp_path / "corpus")
    flags = [f"-runs={EXECUTIONS}", f"-artifact_prefix={tmp_path}/", "-timeout=20", "-seed=767"]
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("run.py"), target, tmp_path / "corpus", *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert f"Done {EXECUTIONS} runs" in done.stderr
