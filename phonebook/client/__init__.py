"""Asking a phonebook server: `lookup`, `entry` and `linked` wait, `asking.ask` does not.

>>> from phonebook.client import lookup
>>> for entry in lookup("ada", server="lab").entries:  # doctest: +SKIP
...     print(entry.name, entry.fields.get("phone"))

Implements the client's side of spec/phonebook.md. What the network does not need is imported when
it is used: one question from a shell should not pay for it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonebook.client.answer import (
        Answer,
        BadInput,
        BrokenReply,
        ClientError,
        Entry,
        NoAnswer,
        Refused,
    )
    from phonebook.client.blocking import entry, linked, lookup

__all__ = [
    "Answer",
    "BadInput",
    "BrokenReply",
    "ClientError",
    "Entry",
    "NoAnswer",
    "Refused",
    "entry",
    "linked",
    "lookup",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = "blocking" if name in ("entry", "linked", "lookup") else "answer"
    return getattr(import_module(f"{__name__}.{module}"), name)
