"""A compiled snapshot as one run of octets: written once, then mapped by whoever answers from it.

A head says what lies where; behind it the tables lie as they are asked. Nothing in it is ever
executed or unpickled. Where its octets are kept, and whether they are still true, is `store`'s.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, cast
from zlib import crc32

from phonebook.directory.entry import Header, Referral, View
from phonebook.search.tables import FORMATS, Tables
from phonebook.service.snapshot import Compiled, Shelf
from phonebook.wire.codes import FOLDING

FORMAT = f"3 {FOLDING} {sys.byteorder}"
"""Changes with the layout, with what the tables mean, and with the folding table."""

_MAGIC = b"PHONEBOOK IMAGE\n"
_ALIGNMENT = 64  # octets: each part begins at a multiple
_SHELVES = ("listed", "apart")
_SHELF_FORMATS = {"octets": "B", "offsets": "I", "ids": "I"}
_ENDS = 1 << 20  # octets at each end of a part that are compared at every opening


class ImageError(Exception):
    """These octets are not a compiled snapshot of this version, whole."""


def dump(compiled: Compiled, note: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """Yield the octets of an image, piece by piece; `note` is kept in its head for the reader."""
    pieces = {f"tables.{name}": part for name, part in compiled.tables.parts().items()}
    for name in _SHELVES:
        shelf: Shelf = getattr(compiled, name)
        pieces |= {f"{name}.{each.name}": getattr(shelf, each.name) for each in fields(shelf)}
    parts, place = {}, 0
    for name, piece in pieces.items():
        octets = piece.cast("B") if piece.nbytes else piece
        parts[name] = [place, piece.nbytes, _checksum(octets), crc32(octets)]
        place += _aligned(piece.nbytes)
    head = json.dumps(
        {
            "format": FORMAT,
            "note": note,
            "parts": parts,
            "size": place,
            "count": compiled.tables.count,
            "slots": compiled.tables.slots,
            "kinds": compiled.tables.kinds,
            "header": asdict(compiled.header),
            "settings": dict(compiled.settings),
            "at": compiled.at,
            "entries": compiled.count,
        }
    ).encode()
    start = _MAGIC + len(head).to_bytes(8, "little") + crc32(head).to_bytes(8, "little") + head
    yield start.ljust(_aligned(len(start)), b"\0")
    for piece in pieces.values():
        yield piece.cast("B") if piece.format != "B" and piece.nbytes else piece
        yield bytes(_aligned(piece.nbytes) - piece.nbytes)


def load(octets: memoryview, whole: bool = False) -> tuple[Compiled, dict[str, Any]]:
    """Return what an image holds, and its note; its parts are views of these very octets.

    Raises `ImageError` for one that is torn, foreign, or of another version: whatever a lookup will
    rely on is compared once, here. Of a large part that is its length and its two ends, or all of
    it where `whole` asks for that. An image takes its name when all of it is on the disk, so one
    that was cut off is not there at all, or has another length, or ends in zeros; what may go wrong
    inside is the disk's, or somebody's hand. To look for that at each start would read all of it:
    450 MB, and half a second, where a million entries otherwise answer after a few pages. A lookup
    that meets such octets gives a wrong reply, or fails; `phonebook compile --verify` finds them.
    """
    try:
        return _load(octets, whole)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ImageError(f"its head is broken ({error!r})") from None


def _load(octets: memoryview, whole: bool) -> tuple[Compiled, dict[str, Any]]:
    begin = len(_MAGIC) + 16
    if octets[: len(_MAGIC)] != _MAGIC:
        raise ImageError("it is something else")
    length = int.from_bytes(octets[begin - 16 : begin - 8], "little")
    head_octets = bytes(octets[begin : begin + length])
    if crc32(head_octets) != int.from_bytes(octets[begin - 8 : begin], "little"):
        raise ImageError("its head is torn")
    head = json.loads(head_octets)
    if head["format"] != FORMAT:
        raise ImageError("another version made it")
    base = _aligned(begin + length)
    if len(octets) != base + head["size"]:
        raise ImageError("it is torn")

    def part(name: str, item: str) -> memoryview:
        place, size, of_ends, of_all = head["parts"][name]
        piece = octets[base + place : base + place + size]
        if (
            piece.nbytes != size
            or _checksum(piece) != of_ends
            or (whole and crc32(piece) != of_all)
        ):
            raise ImageError(f"its part {name} is torn")
        return cast("memoryview", piece.cast(item))  # type: ignore[call-overload]

    tables = Tables(
        head["count"],
        tuple(head["slots"]),
        {kind: (first, end) for kind, (first, end) in head["kinds"].items()},
        **{name: part(f"tables.{name}", item) for name, item in FORMATS.items()},
    )
    shelves = {
        name: Shelf(**{key: part(f"{name}.{key}", item) for key, item in _SHELF_FORMATS.items()})
        for name in _SHELVES
    }
    header = head["header"]
    header["referrals"] = tuple(Referral(**each) for each in header["referrals"])
    header["extensions"] = tuple((first, last) for first, last in header["extensions"])
    header["views"] = tuple(View(*map(_frozen, each.values())) for each in header["views"])
    _check(tables, shelves["listed"])
    compiled = Compiled(
        Header(**header),
        head["settings"],
        tables,
        shelves["listed"],
        shelves["apart"],
        head["at"],
        head["entries"],
    )
    return compiled, head["note"]


def _check(tables: Tables, listed: Shelf) -> None:
    """Compare the sizes that every lookup relies on."""
    words, rows = len(tables.word_ends), len(tables.row_slots)
    sizes = [
        (len(listed.offsets), tables.count + 1),
        (listed.offsets[-1], len(listed.octets)),
        (len(tables.word_offsets), words + 1),
        (tables.word_offsets[-1], len(tables.word_text)),
        (len(tables.word_texts), words + 1),
        (len(tables.word_weights), words + 1),
        (tables.word_texts[-1], len(tables.text_rows)),
        (len(tables.row_offsets), rows + 1),
        (tables.row_offsets[-1], len(tables.postings)),
        (len(tables.number_entries), len(tables.number_endings)),
    ]
    if any(one != other for one, other in sizes):
        raise ImageError("its parts do not fit one another")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _checksum(piece: memoryview) -> int:
    """Return the checksum of a part's two ends."""
    return crc32(piece[-_ENDS:], crc32(piece[:_ENDS]))
