"""The client over Twisted, in a process of its own: a reactor cannot be started twice."""

import json
import subprocess
import sys

from phonebook import client
from phonebook.client import Refused

TWISTED = """
import json, sys
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from phonebook.client import asking
def done(answer):
    print(json.dumps([each.name for each in answer.entries])); reactor.stop()
def failed(failure):
    print(json.dumps([failure.type.__name__, str(failure.value)])); reactor.stop()
def start():
    options = json.loads(sys.argv[1])
    function = getattr(asking, options.pop("function", "ask"))
    ensureDeferred(function(reactor, **options)).addCallbacks(done, failed)
reactor.callWhenRunning(start)
reactor.run()
"""


def in_process(**options):
    text = json.dumps(options)
    run = subprocess.run(
        [sys.executable, "-c", TWISTED, text], capture_output=True, text=True, timeout=30
    )
    assert not run.stderr, run.stderr
    told = json.loads(run.stdout)
    if len(told) == 2 and told[0] in ("NoAnswer", "BrokenReply", "Refused", "BadInput"):
        kind = getattr(client, told[0])
        raise kind(0, told[1]) if kind is Refused else kind(told[1])
    return told
