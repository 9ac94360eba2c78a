"""The octets that are kept for each target: a line for each, as Python writes them.

`corpus.py unpack TARGET FOLDER` makes a file of each, `corpus.py pack TARGET FOLDER` keeps instead
what is in the folder.
"""

import ast
import sys
from pathlib import Path

KEPT = Path(__file__).resolve().parent / "corpus"


def read_corpus(target: str) -> list[bytes]:
    """Return the octets that are kept."""
    text = (KEPT / f"{target}.txt").read_text(encoding="ascii")
    return [ast.literal_eval(line) for line in text.splitlines()]


def unpack(target: str, folder: Path) -> None:
    """Write what is kept into files of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(read_corpus(target)):
        (folder / f"{number:03}").write_bytes(data)


def pack(target: str, folder: Path) -> None:
    """Keep the files of a folder."""
    found = sorted({each.read_bytes() for each in folder.iterdir()})
    lines = "".join(f"{data!r}\n" for data in found)
    (KEPT / f"{target}.txt").write_text(lines, encoding="ascii")


if __name__ == "__main__":
    command, target, folder = sys.argv[1:]
    {"pack": pack, "unpack": unpack}[command](target, Path(folder))
