"""Settings: one table, read from flags, environment and file, and what `config` says of it."""

import contextlib
import re
from pathlib import Path

import pytest
from commands import phonebook, shown
from running import Server, write

from phonebook.cli.main import main
from phonebook.settings import SETTINGS, SOURCES, choose
from phonebook.share import share

NORM = share("spec/directory.md").read_text("utf-8")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    write(tmp_path / "people.yaml", "- name: Ada\n")
    return tmp_path


def test_the_norm_has_the_defaults_of_the_code() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| .*? \| (.*?) \| .*? \|$", NORM, flags=re.MULTILINE)
    norm = {key: default.strip("`") for key, default in rows if key in SETTINGS}
    for key, setting in SETTINGS.items():
        if setting.default:
            assert norm[key] == setting.default


def test_what_the_table_says_can_be_read() -> None:
    for setting in SETTINGS.values():
        assert setting.type.read(setting.default or setting.example) is not None


# a value from each source, and what it is
GIVEN = {
    "host": ("127.0.0.1", "::1", "[127.0.0.2, 127.0.0.3]"),
    "port": ("1001", "1002", "1003"),
    "tls-cert": ("/flag.pem", "/variable.pem", "file.pem"),
    "tls-key": ("/flag.key", "/variable.key", "file.key"),
    "tls-client-ca": ("/flag.ca", "/variable.ca", "file.ca"),
    "connections": ("11", "12", "13"),
    "connections-per-network": ("11", "12", "13"),
    "entries-per-minute": ("11", "12", "13"),
    "workers": ("2", "3", "4"),
    "user": ("flag", "variable", ""),
    "metrics": ("127.0.0.1:1", "127.0.0.1:2", ""),
    "log-format": ("json", "text", "json"),
    "log-addresses": ("full", "network", "full"),
    "log-queries": ("1s", "2m", "3h"),
    "cache": ("/flag", "/variable", ""),
    "idle-timeout": ("11", "12", "13"),
    "request-timeout": ("11", "12", "13"),
    "session-timeout": ("11", "12", "13"),
}


def test_order(lab: Path) -> None:
    assert set(GIVEN) == {key for key, each in SETTINGS.items() if each.type.metavar}
    flags: list[str | Path] = []
    variables: dict[str, str] = {}
    text = "server:\n"
    apart = {key for key in GIVEN if SETTINGS[key].apart}
    for key, (flag, variable, written) in GIVEN.items():
        flags += [SETTINGS[key].flag, flag]
        variables[SETTINGS[key].variable] = variable
        if key not in apart:
            text += f"  {key}: {written}\n"
    write(lab / "phonebook.yaml", text)
    found = [
        shown(*flags, lab, **variables),
        shown(lab, **variables),
        shown(lab, **dict.fromkeys(variables, "")),
    ]
    (lab / "phonebook.yaml").unlink()
    found.append(shown(lab))
    for key in GIVEN:
        sources = [source for source in SOURCES if key not in apart or source != "file"]
        assert list(dict.fromkeys(each[key][1] for each in found)) == sources
        if key not in ("log-format", "log-addresses"):  # they can be but a few things
            assert len({str(each[key][0]) for each in found}) == len(sources)


def test_order_of_switches(lab: Path) -> None:
    write(lab / "phonebook.yaml", "server: {udp: no}\n")
    assert shown(lab)["udp"] == (False, "file")
    assert shown(lab, PHONEBOOK_UDP="yes")["udp"] == (True, "environment")
    assert shown("--no-udp", lab, PHONEBOOK_UDP="yes")["udp"] == (False, "flag")
    assert shown("--udp", lab)["udp"] == (True, "flag")


def test_a_path_in_the_file_begins_there(lab: Path) -> None:
    write(lab / "phonebook.yaml", "server: {tls-cert: tls/server.pem}\n")
    assert shown(lab)["tls-cert"] == (str(lab / "tls/server.pem"), "file")
    assert shown(lab / "phonebook.yaml")["tls-cert"] == (str(lab / "tls/server.pem"), "file")


def test_several_hosts(lab: Path) -> None:
    write(lab / "phonebook.yaml", 'server: {host: [127.0.0.1, "::1"]}\n')
    assert shown(lab)["host"] == (["127.0.0.1", "::1"], "file")
    assert shown(lab, PHONEBOOK_HOST="127.0.0.2 ::1")["host"][0] == ["127.0.0.2", "::1"]
    assert shown("--host", "a", "--host", "b", lab)["host"][0] == ["a", "b"]


def test_config_names_where_from(lab: Path) -> None:
    write(lab / "phonebook.yaml", "server: {idle-timeout: 30}\n")
    text = phonebook("config", "--no-udp", lab, PHONEBOOK_PORT="7767").stdout
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    assert list(rows) == list(SETTINGS)
    assert rows["udp"] == ["no", "--no-udp"]
    assert rows["port"] == ["7767", "PHONEBOOK_PORT"]
    assert rows["idle-timeout"] == ["30", "seconds", str(lab / "phonebook.yaml")]
    assert rows["tcp"] == ["yes", "default"]


@pytest.mark.parametrize("command", ["config", "serve"])
def test_bad_variable(lab: Path, command: str) -> None:
    done = phonebook(command, lab, PHONEBOOK_PORT="http")
    assert (done.returncode, done.stdout) == (2, "")
    assert "PHONEBOOK_PORT is 'http': write a whole number from 0 to 65535" in done.stderr


def test_a_variable_that_is_nearly_one_is_told(lab: Path) -> None:
    others = {"PHONEBOOK_SERVER": "x", "PHONEBOOK_SOAK_MINUTES": "1", "PHONEBOOK_HSOT": ""}
    done = phonebook("config", lab, PHONEBOOK_PROT="1", **others)
    said = "phonebook: PHONEBOOK_PROT is no setting's variable: write PHONEBOOK_PORT?\n"
    assert (done.returncode, done.stderr) == (0, said)


@pytest.mark.parametrize(
    "command", ["check", "compile", "config", "init", "serve", "status", "systemd"]
)
def test_no_name_is_not_the_folder_one_is_in(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(SystemExit):
        assert main([command, ""]) == 2
    assert "DIR is empty, as a variable is that nobody set" in capsys.readouterr().err


def test_errors_name_what_gave_the_setting(lab: Path) -> None:
    write(lab / "phonebook.yaml", "server: {host: 224.0.0.1}\n")
    done = phonebook("serve", lab)
    said = "`host` of `server:` is '224.0.0.1': many hosts' address, not one of this one"
    assert (done.returncode, done.stderr) == (5, f"phonebook: {said}\n")
    chosen = choose({"udp": False, "tcp": True}, {"PHONEBOOK_PORT": "7"}, {}, lab)
    given = [chosen[key].by for key in ("udp", "tcp", "port", "host")]
    assert given == ["--no-udp", "--tcp", "PHONEBOOK_PORT", ""]


@pytest.mark.parametrize("command", ["config", "serve"])
def test_a_host_that_is_not_set(lab: Path, command: str) -> None:
    """As in `--host "$BIND"`: that would be all addresses."""
    done = phonebook(command, "--host", "", lab)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--host: '': write an address" in done.stderr


@pytest.mark.parametrize("command", ["config", "serve"])
def test_bad_file(lab: Path, command: str) -> None:
    write(lab / "phonebook.yaml", "server: {prot: 7767, port: x}\n")
    done = phonebook(command, lab)
    assert done.returncode == 4
    assert "phonebook.yaml:1:10: error: `server` has no key `prot`: write `port`?" in done.stderr
    assert "phonebook.yaml:1:28: error: `port` is `x`: " in done.stderr


@pytest.mark.parametrize(
    "settings", ["{udp: no, tcp: no}", "{tls-key: a.key}", "{tls-cert: a.pem, tcp: no}"]
)
def test_settings_that_do_not_go_together(lab: Path, settings: str) -> None:
    write(lab / "phonebook.yaml", f"server: {settings}\n")
    assert phonebook("config", lab).returncode == 2
    assert phonebook("serve", lab).returncode == 2


def test_serve_heeds_the_file(lab: Path) -> None:
    write(lab / "phonebook.yaml", "server: {host: 127.0.0.1, udp: no, idle-timeout: 7}\n")
    server = Server(lab, [])
    try:
        server.wait_ready()
        assert " on 127.0.0.1:" in server.ready and server.ready.endswith("(tcp)")
        assert b"limit.idle: 7\r\n" in server.ask(b"HELP\r\n")

        # a reload takes what it can, and says what it cannot
        write(lab / "phonebook.yaml", "server: {host: 127.0.0.1, udp: yes, idle-timeout: 8}\n")
        server.until(lambda: "reloaded: " in server.said)
        assert "`udp` of `server:` is not in force" in server.said
        assert server.said.count("not in force") == 1
        assert b"limit.idle: 8\r\n" in server.ask(b"HELP\r\n")
        assert b"transport: udp" not in server.ask(b"HELP\r\n")
    finally:
        server.end()


def test_a_flag_outlasts_the_file(lab: Path) -> None:
    """What the file says of a setting that a flag decides is no news, at a reload neither."""
    server = Server(lab, ["--host", "127.0.0.1", "--idle-timeout", "7", "--udp"])
    try:
        server.wait_ready()
        write(lab / "phonebook.yaml", "server: {udp: no, port: 7, idle-timeout: 9}\n")
        server.until(lambda: "reloaded: " in server.said)
        assert "not in force" not in server.said
        assert b"limit.idle: 7\r\n" in server.ask(b"HELP\r\n")
    finally:
        server.end()


def test_settings_below_many_entries(tmp_path: Path) -> None:
    """They are read too late to hold, and the server says so."""
    entries = "".join(f"  - name: Ada {number}\n    note: {'x' * 200}\n" for number in range(1_500))
    file = tmp_path / "lab.yaml"
    write(file, f"server: {{udp: no}}\nentries:\n{entries}")
    assert shown(file)["udp"] == (False, "file")
    write(file, f"entries:\n{entries}server: {{udp: no}}\n")
    assert shown(file)["udp"] == (True, "default")
    server = Server(file, ["--host", "127.0.0.1"])
    try:
        server.wait_ready()
        assert "`udp` of `server:` is not in force" in server.said
    finally:
        server.end()


def test_an_early_reader_meets_what_is_broken(tmp_path: Path) -> None:
    for text in ("server: [\n", "server: {port: 1}\nserver: {port: 2}\n", "- a\n", "\0", ""):
        write(tmp_path / "phonebook.yaml", text)
        assert phonebook("config", tmp_path).returncode in (0, 4)


def test_compile_and_serve_have_one_cache(lab: Path) -> None:
    done = phonebook("compile", lab, PHONEBOOK_CACHE=str(lab.parent / "kept"))
    assert done.returncode == 0
    assert Path(done.stdout.strip()).parent.resolve() == (lab.parent / "kept").resolve()


def test_compile_heeds_only_what_it_needs(lab: Path) -> None:
    """The rest is judged where it is known: a flag of the server may complete it."""
    write(lab / "phonebook.yaml", "server: {tls-key: tls/server.key}\n")
    assert phonebook("config", lab).returncode == 2
    place = lab.parent / "kept"
    done = phonebook("compile", "--cache", place, lab)
    assert done.returncode == 0 and done.stderr == ""
    assert phonebook("compile", lab, PHONEBOOK_LINKS_OUT="maybe").returncode == 2


def test_choose_is_pure() -> None:
    chosen = choose({"port": 5}, {}, {"port": "6", "tls-key": "kept"}, Path("/lab"))
    assert chosen["port"].value == 5
    assert chosen["tls-key"].value == Path("/lab/kept")
    assert chosen["idle-timeout"].text == "60"
