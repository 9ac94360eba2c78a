"""Request lines out of a stream, however it is divided (spec/phonebook.md, Q-1, Q-2, T-4, T-11)."""

from phonebook.wire.codes import MAX_LINE


class LineReader:
    """Cuts a stream into request lines, in bounded memory."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._rest = b""
        self.too_long = False
        """Whether a line was too long; nothing behind it is ever given."""

    @property
    def pending(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._rest)

    def feed(self, octets: bytes) -> list[bytes]:
        """Return the lines that these octets complete, without their ends."""
        if self.too_long:
            return []
        octets = self._rest + octets
        if len(octets) < MAX_LINE:  # no line is too long
            lines = octets.split(b"\r\n")
            if octets.count(b"\n") == len(lines) - 1:  # all end alike: a third less than below
                self._rest = lines.pop()
                return lines
        *lines, self._rest = octets.split(b"\n")
        self._cut(lines)
        return [line.removesuffix(b"\r") for line in lines]

    def _cut(self, lines: list[bytes]) -> None:
        """Take away the first line that is too long, and what is behind it."""
        for position, line in enumerate(lines):
            if len(line) >= MAX_LINE:
                self.too_long = True
                del lines[position:]
                break
        if len(self._rest) > MAX_LINE:
            self.too_long = True
        if self.too_long:
            self._rest = b""


_SPACES = b" " * MAX_LINE
_PADDING = _SPACES + b"\r\n"
_LF = 10  # `in` takes a number four times as quickly as one octet of bytes


def unpadded(line: bytes) -> bytes:
    """Return a line without the spaces at its end (Q-6), which may be most of it.

    Comparing them with others is far quicker than `rstrip`, which looks at each.
    """
    start = line.find(b"  ")
    if start >= 0 and _SPACES.startswith(line[start:]):
        return line[:start]
    return line.rstrip(b" ")


def datagram_line(datagram: bytes) -> bytes | None:
    """Return a datagram's one line without its end, or None if it is no request (U-1, U-10).

    Its padding goes, too, where nothing else stands behind two spaces: that needs no second look.
    """
    if len(datagram) > MAX_LINE:
        return None
    line, _, padding = datagram.partition(b"  ")
    if padding and _PADDING.endswith(padding) and _LF not in line:
        return line
    if not datagram or datagram.find(_LF) != len(datagram) - 1:
        return None
    return datagram[:-1].removesuffix(b"\r")
