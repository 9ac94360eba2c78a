"""A bit for each entry: sets of entries that are many.

The bit of an entry is in the octet of its number divided by 8, the lowest first. As one integer,
such a set is met with another faster than a list can be read.
"""

import re
from collections.abc import Collection, Iterable
from itertools import compress, count

_SOME = re.compile(rb"[^\0]")
_BITS = [tuple(bit for bit in range(8) if octet & 1 << bit) for octet in range(256)]
_FLAGS = bytes.maketrans(b"01", b"\0\1")
_DENSE = 32  # one bit of so many: more are quicker met as bits, or spread, than one by one


def octets_of(count: int) -> int:
    """Return the octets of a bit for each entry.

    >>> octets_of(17)
    3
    """
    return (count + 7) // 8


def is_dense(some: int, count: int) -> bool:
    """Tell whether some of so many entries are sooner taken as bits than one by one."""
    return some * _DENSE > count


def having(bits: memoryview, entries: Collection[int]) -> set[int]:
    """Return those entries whose bit is set."""
    if is_dense(len(entries), len(bits) * 8):
        spread = format(int.from_bytes(bits, "little"), f"0{len(bits) * 8}b")
        flags = spread[::-1].encode().translate(_FLAGS)
        return set(compress(entries, map(flags.__getitem__, entries)))
    return {each for each in entries if bits[each >> 3] >> (each & 7) & 1}


def packed(entries: Iterable[int], count: int) -> int:
    """Return entries as bits of an integer.

    >>> packed([0, 3], 8)
    9
    """
    digits = bytearray(b"0" * count)
    for each in entries:
        digits[each] = 49  # "1"
    return int(digits[::-1], 2)


def unpacked(bits: int) -> list[int]:
    """Return the entries whose bits are set in an integer, ascending.

    >>> unpacked(9)
    [0, 3]
    """
    octets = bits.to_bytes(octets_of(bits.bit_length()), "little")
    if is_dense(bits.bit_count(), bits.bit_length()):
        places = zip(compress(count(0, 8), octets), filter(None, octets), strict=True)
        return [place + bit for place, octet in places for bit in _BITS[octet]]
    return [8 * some.start() + bit for some in _SOME.finditer(octets) for bit in _BITS[some[0][0]]]
