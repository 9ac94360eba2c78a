"""A directory of which one edition follows another, and which of them may be answered when."""

import time
from pathlib import Path

from loads import Truth
from running import Server, write

from phonebook.wire import Reply

_FIRST = 1_000  # the number of an edition is a phone
_MANY = 2_500
_RELOAD = 180.0  # seconds: where others want the processor, a large directory gives way at first
_REACHES = 1.5  # seconds from the server's word until all its workers answer from an edition


class Editions(Truth):
    """Each edition has another number in all entries, and another count of them.

    So an answer tells of which edition it is, and that it is of that one alone.
    """

    verb, argument = "LOOKUP", "team"

    def __init__(self, folder: Path, large: bool = False) -> None:
        """Begin with the first; a large directory goes by way of the cache."""
        folder.mkdir()
        self._folder = folder
        self.newest = _FIRST
        """What stands in the directory."""
        self._in_force = [(0.0, _FIRST)]  # since when
        if large:
            note = "x" * 100
            entries = [f"- {{name: Person {each}, note: {note}}}\n" for each in range(_MANY)]
            write(folder / "many.yaml", "".join(entries))
        self._write()

    def change(self, server: Server) -> None:
        """Write the next one, and wait until the server says that it has it."""
        before = server.said.count("reloaded")
        self.newest += 1
        self._write()
        server.until(lambda: server.said.count("reloaded") > before, _RELOAD)
        self._in_force.append((time.monotonic() + _REACHES, self.newest))

    @property
    def count(self) -> int:
        """How many there have been."""
        return self.newest - _FIRST + 1

    def oldest(self) -> int:
        """Return the oldest edition that may be told to who asks now."""
        now = time.monotonic()
        return next(edition for since, edition in reversed(self._in_force) if since <= now)

    def holds(self, reply: Reply, oldest: int) -> bool:
        """Return whether a reply is one edition's, and that one neither too old nor to come."""
        phones = [dict(entry).get("phone", "") for entry in reply.entries]
        edition = int(phones[0]) if phones else 0
        whole = phones == [str(edition)] * _count(edition) and reply.code == 250
        return (
            whole
            and reply.parameters["matched"] == str(len(phones))
            and oldest <= edition <= self.newest
        )

    def _write(self) -> None:
        members = (
            f"- {{name: Team Member {each}, phone: {self.newest}}}\n"
            for each in range(_count(self.newest))
        )
        write(self._folder / "team.yaml", "".join(members))


def _count(edition: int) -> int:
    return 3 + edition % 5
