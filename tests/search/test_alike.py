"""Words and ids that somebody chose for their one checksum: they cost next to nothing more."""

from itertools import compress
from zlib import crc32

from phonebook.directory.entry import Directory, Entry, Header
from phonebook.search.build import hashed
from phonebook.search.tables import STEPS
from phonebook.service.answer import answer
from phonebook.service.snapshot import Snapshot, Terms, compile


def alike(count: int) -> list[str]:
    """Return words of one crc32, which is linear: what changes it by nothing is any sum of such."""
    letters = 20
    steps = [(at, bit) for at in range(letters) for bit in (2, 4, 8)]  # from `a` to a, c, e .. o

    def word(mask: int) -> bytes:
        octets = bytearray(b"a" * letters)
        for number, (at, bit) in enumerate(steps):
            octets[at] ^= bit * (mask >> number & 1)
        return bytes(octets)

    pivots: dict[int, tuple[int, int]] = {}
    nothing = []
    for number in range(len(steps)):
        value, mask = crc32(word(1 << number)) ^ crc32(word(0)), 1 << number
        while value and value.bit_length() in pivots:
            other, more = pivots[value.bit_length()]
            value, mask = value ^ other, mask ^ more
        if value:
            pivots[value.bit_length()] = value, mask
        else:
            nothing.append(mask)
    found = []
    for number in range(count):
        mask = 0
        for each in compress(nothing, map(int, reversed(f"{number:b}"))):
            mask ^= each
        found.append(word(mask).decode())
    return found


def test_words_and_ids_of_one_checksum() -> None:
    """All are found, and what is not there is not; nobody walks past all the others."""
    chosen = alike(3 * STEPS)
    assert len({crc32(each.encode()) for each in chosen}) == 1 and len({*chosen}) == len(chosen)
    *there, absent = chosen
    entries = [
        Entry(f"{each}", "person", (("name", (f"N{number}",)), ("note", (each,))))
        for number, each in enumerate(there)
    ]
    snapshot = Snapshot(compile(Directory(Header(), tuple(entries))), Terms())
    for table in (snapshot.compiled.tables.word_hash, snapshot.listed.ids):
        assert table[-1], "some stand behind the table"
    for number, each in enumerate(there):
        assert f"name: N{number}\r\n".encode() in answer(f"ENTRY {each}".encode(), snapshot)[0]
        found = answer(f"LOOKUP note:{each}".encode(), snapshot)[0]
        assert found.startswith(b"250") and f"name: N{number}\r\n".encode() in found
    assert answer(f"ENTRY {absent}".encode(), snapshot)[0].startswith(b"252")
    assert answer(f"LOOKUP note:{absent}".encode(), snapshot)[0].startswith(b"252")


def test_such_a_table_is_made_in_steps() -> None:
    """So many for each, not for each two."""
    octets = [each.encode() for each in alike(2_000)]
    table = hashed(octets)
    size = 2 * len(octets) + 1
    assert len(table) == size + len(octets) - STEPS
    assert [octets[each - 1] for each in table[size:]] == sorted(octets[STEPS:])
