"""What the tests of the cache have in common."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from made import query, values_of

from phonebook.directory.entry import Directory

OLD = 1_000_000_000  # seconds: no file is young that was last changed then

FOREIGN: dict[str, bytes] = {
    "empty": b"",
    "one octet": b"\0",
    "zeros": bytes(100_000),
    "text": b"- name: Ada\n" * 1_000,
    "a beginning like ours": b"PHONEBOOK IMAGE\n" + b"\xff" * 5_000,
    "a pickle": b"\x80\x04\x95" + bytes(500),
}


def rewrite(path: Path, text: str, when: float = OLD) -> None:
    """Write a file in its place, so that it keeps its number, and give it a time."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    os.utime(path, (when, when))


def refuse(number: int) -> Callable[..., object]:
    """Return a function that raises this error."""

    def refusing(*_: object, **__: object) -> object:
        raise OSError(number, os.strerror(number))

    return refusing


def requests(directory: Directory, count: int) -> Iterator[bytes]:
    """Yield requests of all kinds about what stands in a directory."""
    rng = random.Random(767)
    values = values_of(directory)
    ids = [each.id for each in directory.entries]
    for _ in range(count):
        kind = rng.random()
        fields = rng.choice(["", "", "fields=phone ", "fields=name,note,alias ", "fields=kind "])
        if kind < 0.1:
            yield f"ENTRY #t {fields}{rng.choice(ids)}".encode()
            continue
        limit = rng.choice(["", "", "limit=3 ", "limit=32 "])
        after = f"after={rng.choice(ids)} " if kind > 0.95 else ""
        asked = query(values, rng, rng.choice([1, 1, 2, 3]))
        if kind < 0.3:  # a slip
            place = rng.randrange(len(asked) + 1)
            asked = asked[:place] + rng.choice("aeiou") + asked[place + 1 :]
        yield f"LOOKUP {fields}{limit}{after}. {asked}".encode()
