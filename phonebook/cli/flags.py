"""The settings of a server as flags, and what is in force of them; several commands share it."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phonebook.settings import SETTINGS, Chosen, SettingError, Type, choose


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare a flag for every setting."""
    group = parser.add_argument_group("settings")
    for key, setting in SETTINGS.items():
        more: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        if setting.type.metavar:
            more = {"type": _reads(setting.type), "metavar": setting.type.metavar}
        if setting.type.many:
            more["action"] = "extend"
        given = " ".join(filter(None, (setting.default, setting.type.unit)))
        sentence = f"{setting.sentence} ({given})" if given else setting.sentence
        group.add_argument(setting.flag, dest=key, default=None, help=sentence, **more)


def _reads(type: Type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return type.read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: {type.advice}") from None

    return read


def in_force(arguments: argparse.Namespace, path: Path) -> tuple[dict[str, Chosen], dict[str, str]]:
    """Return what is in force for the directory at a path, and what its file says of it.

    What is wrong with the file is for others to tell. Raises `SettingError`.
    """
    from phonebook.directory.load import load_settings, settings_file
    from phonebook.directory.problems import Problems

    file = load_settings(path, Problems(str(path)))
    given = {key: getattr(arguments, key, None) for key in SETTINGS}
    flags = {key: tuple(each) if isinstance(each, list) else each for key, each in given.items()}
    chosen = choose(flags, os.environ, file, settings_file(path).parent)
    if not chosen["udp"].value and not chosen["tcp"].value:
        raise SettingError("udp and tcp are both off, which leaves nothing: leave one on")
    if chosen["tls-key"].value and not chosen["tls-cert"].value:
        raise SettingError("tls-key needs tls-cert")
    if chosen["tls-client-ca"].value and not chosen["tls-cert"].value:
        raise SettingError("tls-client-ca needs tls-cert")
    if chosen["tls-cert"].value and not chosen["tcp"].value:
        raise SettingError("tls-cert needs tcp: leave it on")
    return chosen, file
