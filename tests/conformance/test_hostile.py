"""The hostile server: our client keeps every rule, and bad clients are caught by name."""

import json
import sys
from pathlib import Path

import pytest

from phonebook.conformance import hostile
from phonebook.conformance.cases import load_requirements, load_untestable
from phonebook.conformance.result import Result
from phonebook.conformance.situations import situations
from phonebook.conformance.stage import Stage

PHONE = [sys.executable, "-c", "from phonebook.cli.main import phone; raise SystemExit(phone())"]

CLIENT = """
import os, re, secrets, socket, string, sys, time
host, port = os.environ["PHONEBOOK_SERVER"].rsplit(":", 1)
SERVER, QUERY = (host, int(port)), sys.argv[-1]
LETTERS = string.ascii_letters + string.digits
BEFORE = time.monotonic()

def refuses():
    return re.search(r"[\\x00-\\x1f\\x7f-\\x9f]", QUERY) or len(QUERY) > 1100

def new_tag():
    return "".join(secrets.choice(LETTERS) for _ in range(16))

def whole(octets):
    text = octets.decode("utf-8", "replace")
    line = "(?:[a-z][a-z0-9.-]*: [^\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]*\\r\\n)"
    entry = f"id: [a-z0-9-]+\\r\\n{line}*"
    status = "([2-5][0-9]{2})(?: #(\\w+))?( [ -~]+)?\\r\\n"
    return re.fullmatch(f"{status}((?:{entry}(?:\\r\\n{entry})*)?)[.]\\r\\n", text)

def over_udp(tag, sock):
    sock.connect(SERVER)
    sock.send(f"LOOKUP #{tag} {QUERY}".encode().ljust(1199) + b"\\n")
    while True:
        sock.settimeout(max(0.01, BEFORE + 0.5 - time.monotonic()))
        octets = sock.recv(65535)
        found = whole(octets)
        if found and found[2] == tag:
            return found

def over_tcp(tag):
    sock = socket.create_connection(SERVER, 1)
    sock.sendall(f"LOOKUP #{tag} {QUERY}\\r\\n".encode())
    octets = b""
    while not octets.endswith(b"\\r\\n.\\r\\n") and time.monotonic() < BEFORE + 4:
        more = sock.recv(65536)
        octets += more
        if not more:
            break
        if max(map(len, octets.split(b"\\n"))) > 2048 or len(octets) > 270336:
            return None
    return whole(octets)

def show(text):
    print(text)

def ask():
    tag = new_tag()
    try:
        found = over_udp(tag, socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        if found[1] not in ("320", "321"):
            return found
    except OSError:
        pass
    found = over_tcp(tag)
    return found if found and found[2] == tag else None

def run():
    if "--tls" in sys.argv or refuses():
        sys.exit(2)
    try:
        found = ask()
    except OSError:
        sys.exit(3)
    if not found or found[1][0] != "2":
        sys.exit(3)
    show(found[4])
    sys.exit(0 if found[4] else 1)
"""

BAD = {
    "believes any datagram": (
        "def over_udp(tag, sock):\n"
        "    sock.connect(SERVER)\n"
        "    sock.send(f'LOOKUP #{tag} {QUERY}'.encode().ljust(1199) + b'\\n')\n"
        "    sock.settimeout(0.5)\n"
        "    text = sock.recv(65535).decode('latin-1')\n"
        "    return re.match('(...)( )?(.*)((?s:.*))', text) or 1/0\n",
        "K-2",
        ("udp-other-tag", "udp-no-tag", "udp-cut-datagram"),
    ),
    "reads a cut reply as whole": (
        "def whole(octets):\n"
        "    text = octets.decode('utf-8', 'replace')\n"
        "    return re.match(r'(...)(?: #(\\w+))?([^\\r]*)\\r\\n((?s:.*))', text)\n",
        "C-5",
        ("cut", "cut-line", "cut-dot"),
    ),
    "prints what can steer a terminal": (
        "strict = whole\n"
        "def whole(octets):\n"
        "    found = strict(re.sub(rb'[\\x00-\\x09\\x0b\\x0c\\x0e-\\x1f\\x7f]', b'', octets))\n"
        "    global show\n"
        "    show = lambda text: print(text + octets.decode('utf-8', 'replace'))\n"
        "    return found\n",
        "C-7",
        ("value-escape",),
    ),
    "counts its tags": (
        "def new_tag():\n    return f'{os.getpid():016}'\n",
        "K-1",
        tuple(each.id for each in situations() if each.id.startswith("udp-"))
        + ("good", "good-again", "use-tcp", "too-long", "parameters", "fields", "subtype"),
    ),
    "does not pad": (
        "class Short(socket.socket):\n"
        "    def send(self, octets):\n"
        "        return super().send(octets.rstrip() + b'\\n')\n"
        "padded = over_udp\n"
        "def over_udp(tag, sock):\n"
        "    return padded(tag, Short(socket.AF_INET, socket.SOCK_DGRAM))\n",
        "K-3",
        ("good",),
    ),
    "never turns to TCP": ("def over_tcp(tag):\n    return None\n", "K-6", ("udp-silent",)),
    "sends whatever it is told": (
        "def refuses():\n    return False\n",
        "C-6",
        ("input-lf", "input-long"),
    ),
    "asks again at once": (
        "once = ask\ndef ask():\n    once()\n    time.sleep(0.4)\n    return once()\n",
        "C-4",
        ("refused-430",),
    ),
    "reads on for ever": (
        "def over_tcp(tag):\n"
        "    sock = socket.create_connection(SERVER, 1)\n"
        "    sock.sendall(f'LOOKUP #{tag} {QUERY}\\r\\n'.encode())\n"
        "    octets = b''\n"
        "    while more := sock.recv(65536):\n"
        "        octets += more\n"
        "        if octets[-5:] == b'\\r\\n.\\r\\n': break\n"
        "    return whole(octets)\n",
        "C-8",
        ("long-line", "long-reply"),
    ),
}


def _broken(results: list[Result]) -> dict[str, set[str]]:
    """Return the situations in which each requirement was broken."""
    broken: dict[str, set[str]] = {}
    for result in results:
        for failure in result.failures:
            for name in failure.requirements:
                broken.setdefault(name, set()).add(result.case.id)
    return broken


def test_our_client_keeps_every_rule() -> None:
    results, tags = hostile.try_client(PHONE)
    assert _broken(results) == {}
    assert {result.status for result in results} <= {"kept", "not tried"}
    assert tags["good"] != tags["good-again"]


def test_the_simple_client_keeps_the_rules_that_bad_ones_break(tmp_path: Path) -> None:
    """Else the bad ones could be caught for another reason."""
    situated = {name for _, _, names in BAD.values() for name in names}
    results, _ = hostile.try_client(_script(tmp_path, ""), tuple(situated))
    assert _broken(results) == {}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_client_is_caught(tmp_path: Path, fault: str) -> None:
    change, requirement, names = BAD[fault]
    results, _ = hostile.try_client(_script(tmp_path, change), names)
    assert requirement in _broken(results)


def _script(folder: Path, change: str) -> list[str]:
    script = folder / "client.py"
    script.write_text(f"{CLIENT}{change}\nrun()\n", "utf-8")
    return [sys.executable, str(script)]


def test_every_rule_for_clients_is_tried_but_pipelining() -> None:
    clients = {name for name, item in load_untestable().items() if item.by == "client"}
    tried = {name for situation in situations() for name in situation.tries}
    assert clients - tried <= {"T-12"}
    assert tried <= set(load_requirements())


def test_situations_have_ids_and_sentences_of_their_own() -> None:
    ids = [situation.id for situation in situations()]
    assert len(set(ids)) == len(ids)
    for situation in situations():
        assert situation.about.endswith("."), situation.id
        assert len(situation.about) <= 100, situation.id


@pytest.mark.parametrize(
    "command, sentence",
    [
        ([], "give the client's command"),
        (["no-such-program-here"], "there is no program no-such-program-here"),
        ([sys.executable, "-c", "pass"], "never asked the server"),
    ],
)
def test_wrong_use(command: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hostile.main(command) == 2
    assert sentence in capsys.readouterr().err


def test_the_report_names_the_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hostile.main(_script(tmp_path, BAD["never turns to TCP"][0]), "json") == 1
    report = json.loads(capsys.readouterr().out)
    status = {each["id"]: each["status"] for each in report["requirements"]}
    assert status["K-6"] == "broken"
    assert status["K-2"] == "kept"


def test_placeholders_are_replaced() -> None:
    situation = next(each for each in situations() if each.id == "tls")
    command = ["ask", "--server={server}", "{query}", "--short"]
    line = hostile._command_line(command, "127.0.0.1:767", situation)
    assert line == ["ask", "--server=127.0.0.1:767", "--tls", "ada", "--short"]


def test_a_stage_ends_its_threads() -> None:
    stage = Stage(lambda _: [], lambda _: [])
    stage.close()
    assert stage.port
