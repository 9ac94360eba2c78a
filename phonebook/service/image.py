"""The compiled snapshots of all views as one run of octets: written once, then mapped by whoever
answers from them. So nobody has those of two loads.

A head says what lies where; behind it the tables lie as they are asked. Nothing in it is ever
executed or unpickled. Where its octets are kept, and whether they are still true, is `store`'s.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, cast
from zlib import crc32

from phonebook.directory.entry import Header, Referral, View
from phonebook.directory.project import known
from phonebook.search.tables import COLUMNS, FORMATS, OFFSET, PAIRS, TEXTS, Tables
from phonebook.service.snapshot import Compiled, Shelf
from phonebook.wire.codes import FOLDING

FORMAT = f"5 {FOLDING} {sys.byteorder}"
"""Changes with the layout, with what the tables mean, and with the folding table."""

_MAGIC = b"PHONEBOOK IMAGE\n"
_ALIGNMENT = 64  # octets: each part begins at a multiple
_SHELVES = ("listed", "apart")
_SHELF_FORMATS = {"octets": "B", "offsets": "I", "ids": "I"}
_ENDS = 1 << 20  # octets at each end of a part that are compared at every opening


class ImageError(Exception):
    """These octets are not the compiled snapshots of this version, whole."""


def dump(views: Mapping[str, Compiled], note: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """Yield the octets of an image, piece by piece; `note` is kept in its head for the reader.

    What two views share is there once.
    """
    public = views[""]
    snapshots = {id(each): each for each in views.values()}
    numbers = {each: number for number, each in enumerate(snapshots)}
    pieces: list[memoryview] = []
    heads, place = [], 0
    for compiled in snapshots.values():
        parts = {}
        for name, piece in _parts(compiled).items():
            octets = piece.cast("B") if piece.nbytes else piece
            parts[name] = [place, piece.nbytes, _checksum(octets), crc32(octets)]
            place += _aligned(piece.nbytes)
            pieces.append(octets)
        heads.append(
            {
                "parts": parts,
                "count": compiled.tables.count,
                "slots": compiled.tables.slots,
                "kinds": compiled.tables.kinds,
                "at": compiled.at,
                "entries": compiled.count,
            }
        )
    head = json.dumps(
        {
            "format": FORMAT,
            "note": note,
            "size": place,
            "header": asdict(replace(public.header, views=public.views)),
            "settings": dict(public.settings),
            "snapshots": heads,
            "views": {view: numbers[id(each)] for view, each in views.items()},
        }
    ).encode()
    start = _MAGIC + len(head).to_bytes(8, "little") + crc32(head).to_bytes(8, "little") + head
    yield start.ljust(_aligned(len(start)), b"\0")
    for octets in pieces:
        yield octets
        yield bytes(_aligned(octets.nbytes) - octets.nbytes)


def _parts(compiled: Compiled) -> dict[str, memoryview]:
    pieces = {f"tables.{name}": part for name, part in compiled.tables.parts().items()}
    for name in _SHELVES:
        shelf: Shelf = getattr(compiled, name)
        pieces |= {f"{name}.{each.name}": getattr(shelf, each.name) for each in fields(shelf)}
    return pieces


def load(
    octets: memoryview, whole: bool = False, compared: bool = False
) -> tuple[dict[str, Compiled], dict[str, Any]]:
    """Return what an image holds, by view, and its note; all its parts lie in these very octets.

    Raises `ImageError` for one that is torn, foreign, or of another version: whatever a lookup will
    rely on is compared once, here. Of a large part that is its length and its two ends, or all of
    it where `whole` asks for that. An image takes its name when all of it is on the disk, so one
    that was cut off is not there at all, or has another length, or ends in zeros; what may go wrong
    inside is the disk's, or somebody's hand. To look for that at each start would read all of it:
    450 MB, and half a second, where a million entries otherwise answer after a few pages. A lookup
    that meets such octets gives a wrong reply, or fails; `phonebook compile --verify` finds them.
    Where another process has `compared` them just now, sizes alone are looked at.
    """
    try:
        return _load(octets, whole, compared)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ImageError(f"its head is broken ({error!r})") from None


def _load(
    octets: memoryview, whole: bool, compared: bool
) -> tuple[dict[str, Compiled], dict[str, Any]]:
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

    header = head["header"]
    header["referrals"] = tuple(Referral(**each) for each in header["referrals"])
    header["extensions"] = tuple((first, last) for first, last in header["extensions"])
    header["views"] = tuple(
        View(name, *map(tuple, tests)) for name, *tests in map(dict.values, header["views"])
    )
    snapshots = [
        _snapshot(each, Header(**header), head["settings"], octets[base:], whole, compared)
        for each in head["snapshots"]
    ]
    return {view: snapshots[number] for view, number in head["views"].items()}, head["note"]


def _snapshot(
    head: dict[str, Any],
    header: Header,
    settings: Mapping[str, str],
    octets: memoryview,
    whole: bool,
    compared: bool,
) -> Compiled:
    """Return one of the snapshots of an image, whose parts lie in these octets."""

    def part(name: str, item: str) -> memoryview:
        place, size, of_ends, of_all = head["parts"][name]
        piece = octets[place : place + size]
        if (
            piece.nbytes != size
            or (not compared and _checksum(piece) != of_ends)
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
    _check(tables, shelves["listed"])
    return Compiled(
        known(header),
        settings,
        header.views,
        tables,
        shelves["listed"],
        shelves["apart"],
        head["at"],
        head["entries"],
    )


def _check(tables: Tables, listed: Shelf) -> None:
    """Compare the sizes that every lookup relies on."""
    rows = len(tables.row_slots)
    sizes = [
        (len(listed.offsets), tables.count + 1),
        (listed.offsets[-1], len(listed.octets)),
        (len(tables.word_columns) % COLUMNS, 0),
        (tables.column(OFFSET)[-1], len(tables.word_text)),
        (tables.column(TEXTS)[-1], len(tables.text_rows)),
        (tables.column(PAIRS)[-1], len(tables.pair_words)),
        (len(tables.row_offsets), rows + 1),
        (tables.row_offsets[-1], len(tables.postings)),
        (len(tables.number_entries), len(tables.number_endings)),
    ]
    if any(one != other for one, other in sizes):
        raise ImageError("its parts do not fit one another")


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _checksum(piece: memoryview) -> int:
    """Return the checksum of a part's two ends."""
    return crc32(piece[-_ENDS:], crc32(piece[:_ENDS]))
