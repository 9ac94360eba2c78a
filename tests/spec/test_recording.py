"""What is sent while the tests run is recorded, wherever it is sent, and a wrong message told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import tap
from documents import ROOT
from recording import messages
from servers import running, serve

from phonebook.client.blocking import lookup

RUN = """
import subprocess, sys
from servers import profile, running, serve

SERVER = r'''
import phonebook.wire.reply as reply
reply.TEXT = {code: "A\\ttab" for code in reply.TEXT}
'''
CLIENT = r'''
import contextlib, sys
from phonebook.client.answer import ClientError
from phonebook.client.blocking import entry
from phonebook.wire import Request
Request.octets = lambda self, pad=0: b"entry #" + self.tag.encode() + b" ada\\r\\n"
with contextlib.suppress(ClientError):
    entry("ada", server=sys.argv[1], timeout=2)
'''

def test_both():
    command = [each for each in serve(profile("times"), patch=SERVER) if each != "-E"]
    with running(command) as address:
        server = f"{address.host}:{address.port}"
        subprocess.run([sys.executable, "-c", CLIENT, server], check=True)
"""
"""A run whose only test sees nothing wrong, though both sides send what they must not."""


def test_both_sides_are_recorded(tmp_path: Path) -> None:
    """Over UDP and TCP, from processes of their own and from this one."""
    (tmp_path / "phonebook.yaml").write_text("- name: Only Here\n", "utf-8")
    with running(serve(tmp_path)) as address:
        server = f"{address.host}:{address.port}"
        for transport in ("udp", "tcp"):
            assert lookup("only here", server=server, transport=transport).entries
    sent = list(messages(Path(os.environ[tap.FOLDER])))
    requests = [octets for kind, octets in sent if kind == "request" and b"only here" in octets]
    tags = [re.findall(rb"#\w+", octets)[0] for octets in requests]
    assert len(set(tags)) == 2
    assert {b"  " in octets for octets in requests} == {True, False}, "padded, for UDP"
    for tag in tags:
        assert [kind for kind, octets in sent if octets.startswith(b"250 " + tag)] == ["reply"]


def test_a_wrong_message_fails_the_run(tmp_path: Path) -> None:
    inner = tmp_path / "test_inner.py"
    inner.write_text(RUN, "utf-8")
    path = os.pathsep.join([str(ROOT / "tests"), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "recording", "-p", "no:cacheprovider", inner],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout
    told = re.findall(r"not of the grammar: (\w+) b'(\w+)", done.stdout)
    assert sorted(told) == [("reply", "500"), ("request", "entry")], done.stdout
    assert done.returncode == 1
