"""Rows of the table: a figure beside its bar."""

from collections.abc import Iterable
from dataclasses import dataclass

NEAR = 0.05  # of its bar: such a figure is neither met nor missed, and is measured again


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure is held to; whether more is better or less, the two numbers tell."""

    floor: float
    aim: float

    def near(self, figure: float) -> bool:
        """Tell whether the figure is too near to the floor or the aim to be judged by it."""
        return any(abs(figure / bar - 1) < NEAR for bar in (self.floor, self.aim))

    def verdict(self, figure: float) -> str:
        """Return how the figure stands."""
        more = self.aim > self.floor
        if figure >= self.aim if more else figure <= self.aim:
            return "aim"
        return "floor" if (figure >= self.floor if more else figure <= self.floor) else "MISSED"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, or, as a note, why there is none or it does not count."""

    name: str
    entries: str
    bar: Bar
    figure: float | None = None
    unit: str = ""
    note: str = ""

    def record(self) -> dict[str, object]:
        """Return the row for JSON."""
        judged = self.figure is not None and not self.note
        return {
            "row": self.name,
            "entries": self.entries,
            "figure": self.figure,
            "unit": self.unit,
            "floor": self.bar.floor,
            "aim": self.bar.aim,
            "verdict": self.bar.verdict(self.figure or 0.0) if judged else "void",
            "near its bar": judged and self.bar.near(self.figure or 0.0),
            "note": self.note,
        }


def table(head: list[str], lines: Iterable[Iterable[object]]) -> str:
    """Return a table for people: the first column to the left, numbers to the right."""
    cells = [head, *([number(cell) for cell in line] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def number(value: object) -> str:
    """Return a cell: numbers with as many digits as one reads."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def rows_table(rows: Iterable[Row]) -> str:
    """Return the table of bars."""
    lines = []
    for row in rows:
        told = row.record()
        verdict = f"{told['verdict']}{'?' if told['near its bar'] else ''}"
        figure = f"{number(row.figure)} {row.unit}".strip()
        bars = f"{number(row.bar.floor)} / {number(row.bar.aim)}"
        lines.append((row.name, row.entries, figure, bars, verdict, row.note))
    return table(["row", "entries", "measured", "floor / aim", "verdict", ""], lines)
