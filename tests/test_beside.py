"""Work in a second process: its result is the same, and comes whatever becomes of the process."""

import os
import signal
from pathlib import Path

import pytest

from phonebook.beside import Begin, beside, later

RESULT = (1, "ä", b"\0", [None, {"a": frozenset({"b"})}])


@pytest.mark.parametrize("begin", [later, beside])
def test_a_result_comes_back(begin: Begin) -> None:
    assert begin(lambda: RESULT)() == RESULT


def test_it_is_another_process() -> None:
    waits = [beside(os.getpid) for _ in range(2)]
    assert len({os.getpid(), *(wait() for wait in waits)}) == 3


def test_a_result_may_be_longer_than_a_pipe_holds() -> None:
    assert beside(lambda: "x" * 10_000_000)() == "x" * 10_000_000


def test_what_is_killed_is_done_here() -> None:
    here = os.getpid()

    def work() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    assert beside(work)() == here


def test_a_mistake_is_raised_here(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise LookupError("of ours")

    wait = beside(work)
    with pytest.raises(LookupError, match="of ours"):
        wait()
    assert capfd.readouterr() == ("", "")


def test_what_is_not_plain_is_done_here(tmp_path: Path) -> None:
    assert beside(lambda: tmp_path)() is tmp_path


@pytest.mark.parametrize("missing", ["fork", "pipe"])
def test_where_there_is_no_second_process(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise BlockingIOError("no room")

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, missing, refuse)
        assert beside(os.getpid)() == os.getpid()
    if missing == "fork":
        monkeypatch.delattr(os, "fork")
        assert beside(os.getpid)() == os.getpid()
    assert len(os.listdir("/proc/self/fd")) == before
