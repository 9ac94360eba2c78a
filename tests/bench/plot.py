"""Plots as SVG: lines over two logarithmic axes, written by hand."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

Series = Mapping[str, Sequence[tuple[float, float]]]  # points by name

WIDTH, HEIGHT = 880, 440
LEFT, RIGHT, TOP, BOTTOM = 90, 600, 50, 380  # of the area with the lines
COLOURS = "#0b62a4 #d1495b #2e8b57 #e08e0b #6a4c93 #12b5cb #8c564b #555555 #c2185b #7a9e1f".split()


def decades(values: Sequence[float]) -> list[int]:
    """Return the powers of ten around the values, two at least."""
    low = math.floor(math.log10(min(values)))
    return list(range(low, max(math.ceil(math.log10(max(values))), low + 1) + 1))


def place(value: float, powers: Sequence[int], begin: float, end: float) -> float:
    """Return where a value lies between two ends of an axis."""
    share = (math.log10(value) - powers[0]) / (powers[-1] - powers[0])
    return begin + share * (end - begin)


def label(power: int) -> str:
    """Return a power of ten as people write it."""
    return f"{10**power:,}" if power >= 0 else f"{10**power:.{-power}f}"


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    """Return words at a place."""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}">{words}</text>'


def chart(title: str, unit: str, series: Series) -> str:
    """Return a plot of figures against the number of entries."""
    return "\n".join(_parts(title, unit, series)) + "\n"


def _parts(title: str, unit: str, series: Series) -> Iterator[str]:
    points = [point for line in series.values() for point in line]
    across, up = decades([x for x, _ in points]), decades([y for _, y in points])
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif">'
    )
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield text(LEFT, 24, escape(title), size=16)
    yield text(LEFT, 42, escape(unit))
    yield text((LEFT + RIGHT) / 2, HEIGHT - 16, "entries", "middle")
    for power in across:
        x = place(10**power, across, LEFT, RIGHT)
        yield f'<path d="M{x:.0f} {TOP}V{BOTTOM}" stroke="#ddd"/>'
        yield text(x, BOTTOM + 18, label(power), "middle")
    for power in up:
        y = place(10**power, up, BOTTOM, TOP)
        yield f'<path d="M{LEFT} {y:.0f}H{RIGHT}" stroke="#ddd"/>'
        yield text(LEFT - 8, y + 4, label(power), "end")
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        dashes = ' stroke-dasharray="6 4"' if number >= len(COLOURS) else ""
        places = [
            (place(x, across, LEFT, RIGHT), place(y, up, BOTTOM, TOP)) for x, y in sorted(line)
        ]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        y = TOP + 10 + 20 * number
        yield f'<path d="M{RIGHT + 16} {y}h20" stroke="{colour}" stroke-width="2"{dashes}/>'
        yield text(RIGHT + 42, y + 4, escape(name))
    yield "</svg>"
