"""The settings of a server: the one table that flags, environment, file and help are made of.

Implements the section "Settings" of spec/directory.md. The value in force is the first that is
given, in the order of `SOURCES`. A new setting is a line in `SETTINGS`: the flag `--idle-timeout`
and the variable PHONEBOOK_IDLE_TIMEOUT follow from `idle-timeout`, its key under `server:`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonebook.wire.codes import (
    CONNECTION_TIME,
    ENTRIES_PER_MINUTE,
    IDLE_TIME,
    PORT,
    REQUEST_TIME,
)

SOURCES = ("flag", "environment", "file", "default")
"""Where a value can come from; the first that has one is heard."""

_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_HOST = re.compile(r"[0-9A-Za-z.:%_-]+")
_TIME = re.compile(r"([1-9][0-9]{0,4})([smh])")
_DAY = 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Type:
    """What a setting's text may be."""

    read: Callable[[str], Any]
    """Returns the value; raises ValueError where the text is none."""
    advice: str
    """What to write, as the end of a sentence."""
    metavar: str = ""
    """What stands for it in a flag's help; empty where the flag has no value (--udp, --no-udp)."""
    many: bool = False
    """Whether it is several texts: a list in the file, words in the environment."""
    unit: str = ""


def _whole(low: int, high: int, example: int) -> Type:
    return Type(
        _between(low, high), f"write a whole number from {low} to {high}, as in `{example}`", "N"
    )


def _between(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return read


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "true", "no", "false"):
        raise ValueError(text)
    return text in ("yes", "true")


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(text.split())
    if not hosts or not all(map(_HOST.fullmatch, hosts)):  # an unset $HOST is not all of them
        raise ValueError(text)
    return hosts


def _place(text: str) -> Path:
    if "\0" in text:
        raise ValueError(text)
    return Path(text)


def _name(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ValueError(text)
    return text


def host_and_port(text: str) -> tuple[str, int]:
    """Return what HOST:PORT says. Raises ValueError."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not _HOST.fullmatch(host) or not _WHOLE.fullmatch(port) or int(port) > 65_535:
        raise ValueError(text)
    return host, int(port)


def seconds(text: str) -> int:
    """Return the seconds of a time like `90s`, `10m` or `2h`. Raises ValueError."""
    found = _TIME.fullmatch(text)
    time = int(found[1]) * {"s": 1, "m": 60, "h": 3_600}[found[2]] if found else 0
    if not 0 < time <= _DAY:
        raise ValueError(text)
    return time


def _as_text(read: Callable[[str], object]) -> Callable[[str], str]:
    """Return what reads a text that stays one, and is good if `read` can read it."""

    def same(text: str) -> str:
        read(text)
        return text

    return same


def _one_of(*texts: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in texts:
            raise ValueError(text)
        return text

    return read


_SECONDS = Type(
    _between(1, 999_999), "write whole seconds from 1 to 999999, as in `30`", "S", unit="seconds"
)
_SWITCH = Type(_yes_or_no, "write `yes` or `no`")
_HOSTS = Type(_hosts, "write an address or a name of this machine, as in `127.0.0.1`", "H", True)
_PLACE = Type(_place, "write a path", "F")
_NAME = Type(_name, "write a user's name", "NAME")
_ADDRESS = Type(_as_text(host_and_port), "write HOST:PORT, as in `127.0.0.1:9767`", "HOST:PORT")
_FORMAT = Type(_one_of("text", "json"), "write `text` or `json`", "FORMAT")
_SHOWN = Type(_one_of("none", "network", "full"), "write `none`, `network` or `full`", "HOW")
_FOR = Type(_as_text(seconds), "write a time up to 24h, as in `90s`, `10m` or `2h`", "TIME")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the server."""

    key: str
    type: Type
    default: str
    """As it is written in the file; empty where there is none."""
    sentence: str
    example: str = ""
    """What the file might say, where there is no default."""
    lasting: bool = True
    """Whether a value holds until the server stops; else a changed file changes it."""
    apart: bool = False
    """Whether the file cannot say it: it gives a right, and who writes in the directory may not."""

    @property
    def flag(self) -> str:
        """The flag of `phonebook serve`."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PHONEBOOK_{self.key.upper().replace('-', '_')}"


SETTINGS: Mapping[str, Setting] = {
    each.key: each
    for each in (
        Setting("host", _HOSTS, "", "an address to answer on; all if none is given", "127.0.0.1"),
        Setting("port", _whole(0, 65_535, PORT), f"{PORT}", "for TCP, TLS and UDP; 0: a free one"),
        Setting("udp", _SWITCH, "yes", "whether datagrams are answered"),
        Setting("tcp", _SWITCH, "yes", "whether connections are taken"),
        Setting("tls-cert", _PLACE, "", "certificate, PEM: TLS on the same port", "tls/server.pem"),
        Setting("tls-key", _PLACE, "", "its key, PEM; else in the same file", "tls/server.key"),
        Setting("tls-client-ca", _PLACE, "", "of clients' certificates, PEM", "tls/ca.pem"),
        Setting("connections", _whole(1, 999_999, 1_000), "1000", "at a time, at most"),
        Setting(
            "connections-per-network", _whole(1, 999_999, 250), "", "a quarter of them else", "250"
        ),
        Setting(
            "entries-per-minute",
            _whole(0, 999_999, ENTRIES_PER_MINUTE),
            f"{ENTRIES_PER_MINUTE}",
            "given to a network; 0: no limit",
            lasting=False,
        ),
        Setting("workers", _whole(1, 64, 2), "1", "processes that answer"),
        Setting("log-format", _FORMAT, "text", "of the log's lines"),
        Setting("log-requests", _SWITCH, "no", "a line for each reply, without the query"),
        Setting("log-addresses", _SHOWN, "none", "in these: none, their network or full"),
        Setting("log-queries", _FOR, "", "so long after a start, with the query", "10m"),
        Setting(
            "idle-timeout", _SECONDS, f"{IDLE_TIME}", "an idle connection is closed", lasting=False
        ),
        Setting("request-timeout", _SECONDS, f"{REQUEST_TIME}", "for a line", lasting=False),
        Setting(
            "session-timeout", _SECONDS, f"{CONNECTION_TIME}", "for a connection", lasting=False
        ),
        Setting(
            "user", _NAME, "", "as root: bind, then go on as this user", "phonebook", apart=True
        ),
        Setting(
            "metrics",
            _ADDRESS,
            "",
            "figures for Prometheus, over HTTP",
            "127.0.0.1:9767",
            apart=True,
        ),
        Setting(
            "cache",
            _PLACE,
            "",
            "what it makes of a large DIR is kept here",
            "/var/cache/lab",
            apart=True,
        ),
        Setting("links-out", _SWITCH, "no", "whether links in DIR may lead out", apart=True),
    )
}


class SettingError(Exception):
    """A setting has a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The value in force of a setting, None where there is none, and which source gave it."""

    setting: Setting
    value: Any
    source: str

    @property
    def by(self) -> str:
        """What gave the value, as a sentence names it; empty for the default."""
        named = {
            "flag": f"--no-{self.setting.key}" if self.value is False else self.setting.flag,
            "environment": self.setting.variable,
            "file": f"`{self.setting.key}` of `server:`",
        }
        return named.get(self.source, "")

    @property
    def text(self) -> str:
        """The value as the file has it; empty where there is none."""
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, tuple):
            return " ".join(self.value)
        return "" if self.value is None else str(self.value)


def choose(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Mapping[str, str], folder: Path
) -> dict[str, Chosen]:
    """Return what is in force, by key: flags are given as values, the others as texts.

    Paths in the file begin at its `folder`. A variable that is empty counts for none. Raises
    `SettingError` for one that cannot be read.
    """
    given = {key: told(setting, flags, environment) for key, setting in SETTINGS.items()}

    def chosen(setting: Setting) -> Chosen:
        if each := given[setting.key]:
            return each
        if text := file.get(setting.key):
            value = setting.type.read(text)
            return Chosen(setting, folder / value if isinstance(value, Path) else value, "file")
        default = setting.type.read(setting.default) if setting.default else None
        return Chosen(setting, default, "default")

    return {key: chosen(setting) for key, setting in SETTINGS.items()}


def told(
    setting: Setting, flags: Mapping[str, Any], environment: Mapping[str, str]
) -> Chosen | None:
    """Return what the operator says of a setting outside the file. Raises `SettingError`."""
    if (flag := flags.get(setting.key)) is not None:
        return Chosen(setting, flag, "flag")
    if text := environment.get(setting.variable):
        try:
            return Chosen(setting, setting.type.read(text), "environment")
        except ValueError:
            advice = setting.type.advice
            raise SettingError(f"{setting.variable} is {text!r}: {advice}") from None
    return None


def not_in_force(
    chosen: Mapping[str, Chosen], begun: Mapping[str, str], now: Mapping[str, str]
) -> list[str]:
    """Return the keys of which a file says in vain something else than it did at the start."""
    return [
        key
        for key, each in chosen.items()
        if each.setting.lasting
        and each.source in ("file", "default")
        and now.get(key) != begun.get(key)
    ]
