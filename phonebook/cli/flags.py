"""The settings of a server as flags, and what is in force of them; several commands share it."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phonebook.settings import SETTINGS, Chosen, Setting, SettingError, Type, choose, told

EMPTY = "DIR is empty, as a variable is that nobody set: name a folder or a file"

_PREFIX = "PHONEBOOK_"
_OTHERS = ("server",)  # the client's


def directory(text: str) -> Path:
    """Return the DIR of a command: as a path, no name at all would be the folder one is in."""
    if not text:
        raise argparse.ArgumentTypeError(EMPTY)
    return Path(text)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare a flag for every setting."""
    group = parser.add_argument_group("settings")
    for setting in SETTINGS.values():
        _add(group, setting)


def add_links_out(parser: argparse.ArgumentParser) -> None:
    """Declare the flag of the one setting that all who read a directory heed."""
    _add(parser, SETTINGS["links-out"])


def links_out(arguments: argparse.Namespace) -> bool:
    """Return whether links may lead out of a directory. Raises `SettingError`."""
    return bool(_told("links-out", arguments))


def cache(arguments: argparse.Namespace) -> Path | None:
    """Return the folder of the cache, if one is given. Raises `SettingError`."""
    place: Path | None = _told("cache", arguments)
    return place


def _told(key: str, arguments: argparse.Namespace) -> Any:
    """Return what the operator says of a setting that the file cannot say; None for nothing."""
    chosen = told(SETTINGS[key], vars(arguments), os.environ)
    return chosen and chosen.value


def _add(parser: argparse._ActionsContainer, setting: Setting) -> None:
    more: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
    if setting.type.metavar:
        more = {"type": _reads(setting.type), "metavar": setting.type.metavar}
    if setting.type.many:
        more["action"] = "extend"
    given = " ".join(filter(None, (setting.default, setting.type.unit)))
    sentence = f"{setting.sentence} ({given})" if given else setting.sentence
    parser.add_argument(setting.flag, dest=setting.key, default=None, help=sentence, **more)


def _reads(type: Type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return type.read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: {type.advice}") from None

    return read


def strange_variables() -> list[str]:
    """Return what to say of variables that are nearly a setting's."""
    from phonebook.directory.fields import nearest
    from phonebook.directory.problems import Problems

    said = []
    for name in sorted(os.environ):
        key = name.removeprefix(_PREFIX).lower().replace("_", "-")
        if name.startswith(_PREFIX) and os.environ[name] and key not in (*SETTINGS, *_OTHERS):
            near = nearest(key, SETTINGS, Problems(name))
            if near:
                said.append(f"{name} is no setting's variable: write {SETTINGS[near].variable}?")
    return said


def is_confined(chosen: Chosen) -> bool:
    """Whether it is a path that the directory's file names, which may not lead out of there."""
    return chosen.source == "file" and isinstance(chosen.value, Path)


def in_force(arguments: argparse.Namespace, path: Path) -> tuple[dict[str, Chosen], dict[str, str]]:
    """Return what is in force for the directory at a path, and what its file says of it.

    What is wrong with the file is for others to tell. Raises `SettingError`.
    """
    from phonebook.directory.load import leads_out, load_settings, settings_file
    from phonebook.directory.problems import Problems

    outside = links_out(arguments)
    file = load_settings(path, Problems(str(path)), outside)
    given = {key: getattr(arguments, key, None) for key in SETTINGS}
    flags = {key: tuple(each) if isinstance(each, list) else each for key, each in given.items()}
    folder = settings_file(path).parent
    chosen = choose(flags, os.environ, file, folder)
    for key, each in chosen.items():
        if is_confined(each) and not outside and leads_out(each.value, folder):
            raise SettingError(
                f"{key} of `server:` leads out of the directory, as those who write there may not: "
                f"give it as {each.setting.flag}, or allow it with --links-out"
            )
    if not chosen["udp"].value and not chosen["tcp"].value:
        raise SettingError("udp and tcp are both off, which leaves nothing: leave one on")
    if chosen["tls-key"].value and not chosen["tls-cert"].value:
        raise SettingError("tls-key needs tls-cert")
    if chosen["tls-client-ca"].value and not chosen["tls-cert"].value:
        raise SettingError("tls-client-ca needs tls-cert")
    if chosen["tls-cert"].value and not chosen["tcp"].value:
        raise SettingError("tls-cert needs tcp: leave it on")
    return chosen, file
