"""A plugin of pytest: all that our server and our client send during a run is of the grammar.

Every Python process that the tests start records what it sends (startup/tap.py), but for servers
that are broken on purpose (servers.py). At the end each message is read with the specification's
ABNF, and one that it does not describe fails the run.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import tap
from grammar import accepts

RULES = {"reply": "reply", "request": "request-line"}
SHOWN = 10  # messages that are not of the grammar

_REPLIES = re.compile(rb".*?\r\n\.\r\n|.+", re.DOTALL)
_sent = pytest.StashKey["Counter[str]"]()
_wrong = pytest.StashKey[list[tuple[str, bytes]]]()


def messages(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what processes recorded, each message once: its kind and its octets."""
    seen: set[int] = set()
    for path in folder.iterdir():
        for line in path.open():
            if not line.endswith("\n"):
                break  # the process was killed as it wrote
            kind, _, digits = line.partition(" ")
            octets = bytes.fromhex(digits)
            together = kind == "replies"
            for each in _REPLIES.findall(octets) if together else [octets]:
                if (key := hash(each)) not in seen:
                    seen.add(key)
                    yield "reply" if together else kind, each


def pytest_configure(config: pytest.Config) -> None:
    """Record from now on, in this process and in those that it starts."""
    if not hasattr(config, "workerinput"):  # workers of pytest-xdist get our environment
        folder = TemporaryDirectory(prefix="phonebook-sent-")
        config.add_cleanup(folder.cleanup)
        startup, others = str(Path(tap.__file__).parent), os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [startup, others]))
        os.environ[tap.FOLDER] = folder.name
    tap.install()


@pytest.hookimpl(trylast=True)  # the workers have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Read everything with the grammar."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    sent, wrong = Counter[str](), list[tuple[str, bytes]]()
    for kind, octets in messages(Path(os.environ[tap.FOLDER])):
        sent[kind] += 1
        if not accepts(RULES[kind], octets):
            wrong.append((kind, octets))
    config.stash[_sent], config.stash[_wrong] = sent, wrong
    if wrong and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Tell how much was read, and what is wrong with it."""
    sent, wrong = config.stash.get(_sent, Counter()), config.stash.get(_wrong, [])
    for kind, octets in wrong[:SHOWN]:
        terminalreporter.write_line(f"not of the grammar: {kind} {octets!r}", red=True)
    if sent:
        told = ", ".join(f"{count} of {RULES[kind]}" for kind, count in sorted(sent.items()))
        told = f"different messages sent: {told}; not of the grammar: {len(wrong)}"
        terminalreporter.write_line(told)
