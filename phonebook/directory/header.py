"""The header of a directory and the settings of its server.

Implements the sections "Header" and "Settings" of spec/directory.md.
"""

import re
from collections.abc import Sequence

from phonebook.directory.entry import Header, Referral
from phonebook.directory.fields import RESERVED_IDS, is_id, meant
from phonebook.directory.nodes import ListNode, Node, Refused, Scalar
from phonebook.directory.problems import Problems, quoted
from phonebook.directory.text import words
from phonebook.directory.values import NAME_OCTETS, line, lines, pairs
from phonebook.settings import SETTINGS

MAX_REFERRALS = 8

_DIGITS = ("country", "area", "trunk", "international", "outside")
_KEYS = ("name", "contact", *_DIGITS, "main", "extensions", "referrals")
_REFERRAL_KEYS = ("id", "name", "server", "tls")
_SETTINGS = [key for key, setting in SETTINGS.items() if not setting.apart]

_NUMBER = re.compile(r"[0-9]{1,15}")
_MAIN = re.compile(r"\+[0-9][0-9 ()./-]*")
_RANGE = re.compile(r"([0-9]{1,15})(?: *- *([0-9]{1,15}))?")
_SERVER = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]+))?"
)


def read_header(node: Node, problems: Problems) -> Header:
    """Read what stands under `directory:`."""
    texts: dict[str, str] = {}
    extensions: tuple[tuple[str, str], ...] = ()
    referrals: tuple[Referral, ...] = ()
    for key, value in pairs(node, "`directory`", problems):
        what = quoted(key.value)
        if key.value not in _KEYS:
            problems.error(
                "unknown-key",
                key,
                f"`directory` has no key {what}: {meant(key.value, _KEYS, problems)}",
            )
        elif key.value == "extensions":
            extensions = _extensions(value, problems)
        elif key.value == "referrals":
            referrals = _referrals(value, problems)
        else:
            text = line(value, what, problems, NAME_OCTETS)
            if text is None:
                continue
            if key.value in _DIGITS and not _NUMBER.fullmatch(text):
                problems.error(
                    "not-digits", value, f"{what} is {quoted(text)}: write digits alone."
                )
            elif key.value == "main" and not _MAIN.fullmatch(text):
                problems.error(
                    "bad-main",
                    value,
                    f"`main` is {quoted(text)}: write the number that extensions are added to, "
                    "as in `+1 202 555 0`.",
                )
            else:
                texts[key.value] = text
    return Header(**texts, extensions=extensions, referrals=referrals, views=())


def read_settings(node: Node, problems: Problems) -> dict[str, str]:
    """Read what stands under `server:`: the text of each setting, that of a list in one line."""
    settings = {}
    for key, value in pairs(node, "`server`", problems):
        what = quoted(key.value)
        if key.value not in _SETTINGS:
            apart = SETTINGS.get(key.value)
            cure = (
                f"it is set by {apart.flag} or {apart.variable}, not by who writes here."
                if apart
                else meant(key.value, _SETTINGS, problems)
            )
            problems.error("unknown-key", key, f"`server` has no key {what}: {cure}")
            continue
        kind = SETTINGS[key.value].type
        found: Sequence[tuple[str, Node]]
        if kind.many:
            found = lines(value, what, problems)
        else:
            text = line(value, what, problems)
            found = [(text, value)] if text else []
        good = []
        for text, at in found:
            try:
                kind.read(text)
                good.append(text)
            except ValueError:
                problems.error("bad-setting", at, f"{what} is {quoted(text)}: {kind.advice}.")
        if good:
            settings[key.value] = " ".join(good)
    return settings


def _extensions(node: Node, problems: Problems) -> tuple[tuple[str, str], ...]:
    found = []
    for text, at in lines(node, "`extensions`", problems):
        match = _RANGE.fullmatch(text)
        first, last = (match[1], match[2] or match[1]) if match else ("", "")
        if not match or len(first) != len(last) or first > last:
            problems.error(
                "bad-extensions",
                at,
                f"{quoted(text)} is no range of extensions: write the lowest and the highest, "
                "of as many digits, as in `100-199`.",
            )
        else:
            found.append((first, last))
    return tuple(found)


def _referrals(node: Node, problems: Problems) -> tuple[Referral, ...]:
    if not isinstance(node, ListNode):
        if not isinstance(node, Refused):
            problems.error(
                "not-a-list", node, "`referrals` is a list; write `- name:` and `server:`."
            )
        return ()
    read = (_referral(item, problems) for item in node.items)
    found: dict[str, Referral] = {}
    for item, referral in zip(node.items, read, strict=True):
        if referral and referral.id in found:
            problems.error(
                "duplicate-id",
                item,
                f"Another referral has the id `{referral.id}`: write another `id:`.",
            )
        elif referral:
            found[referral.id] = referral
    if len(node.items) > MAX_REFERRALS:
        problems.error(
            "too-many-referrals",
            node.items[MAX_REFERRALS],
            f"At most {MAX_REFERRALS} referrals can be followed: remove the others.",
        )
    return tuple(found.values())


def _referral(node: Node, problems: Problems) -> Referral | None:
    texts: dict[str, str] = {}
    before = len(problems)
    for key, value in pairs(node, "A referral", problems):
        what = quoted(key.value)
        if key.value not in _REFERRAL_KEYS:
            problems.error(
                "unknown-key",
                key,
                f"A referral has no key {what}: {meant(key.value, _REFERRAL_KEYS, problems)}",
            )
            continue
        text = line(value, what, problems, NAME_OCTETS)
        if text is None:
            continue
        texts[key.value] = text
        if key.value == "tls" and text not in ("yes", "no", "true", "false"):
            problems.error("not-yes-or-no", value, f"`tls` is {quoted(text)}: write `yes` or `no`.")
        elif key.value == "server" and not _is_server(text):
            problems.error(
                "bad-server",
                value,
                f"{quoted(text)} is no server: write HOST or HOST:PORT, as in "
                "`phone.example:767` or `[2001:db8::1]:767`.",
            )
        elif key.value == "id" and not _may_be_id(text):
            problems.error("bad-id", value, f"No referral can have the id {quoted(text)}.")
    if len(problems) > before:
        return None
    for key_name in ("name", "server"):
        if key_name not in texts and not isinstance(node, Refused):
            problems.error("missing-key", node, f"A referral needs `{key_name}:`.")
    if len(problems) > before or isinstance(node, Refused | Scalar):
        return None
    id = texts.get("id") or "-".join(words(texts["name"]))
    if not _may_be_id(id):
        problems.error(
            "no-id",
            node,
            f"{quoted(texts['name'])} makes no id: write `id:` and a short name in ASCII.",
        )
        return None
    tls = texts.get("tls") in ("yes", "true")
    return Referral(id, texts["name"], texts["server"], tls)


def _may_be_id(text: str) -> bool:
    return is_id(text) and text not in RESERVED_IDS


def _is_server(text: str) -> bool:
    match = _SERVER.fullmatch(text)
    return match is not None and 0 < int((match[1] or "767")[:6]) < 65536
