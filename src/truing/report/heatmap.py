"""A heat map as a self-contained SVG: rows by name, columns by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

CELL, LEFT, TOP, GAP, BESIDE = 18, 150, 44, 26, 190
LETTER = 8
"""Pixels per letter of a title, rather too many."""
LOW, HIGH, BELOW = (247, 247, 250), (60, 20, 120), (200, 40, 125)


@dataclass(frozen=True, slots=True)
class Heatmap:
    """``values[row][column]``; ``marked`` rows are set off, and so is the cell ``framed`` (row, column).
    ``unit`` is what a value is. Columns are numbered from 0 unless they have ``numbers`` of their own."""

    title: str
    rows: Sequence[str]
    values: Sequence[Sequence[float]]
    columns: str
    unit: str
    marked: frozenset[int] = frozenset()
    framed: tuple[int, int] | None = None
    numbers: Sequence[int] = ()

    @property
    def top(self) -> float:
        """The value of the darkest cell, whatever its sign."""
        return max((abs(v) for row in self.values for v in row), default=0.0)

    def number(self, column: int) -> int:
        return self.numbers[column] if self.numbers else column


def shade(value: float, top: float) -> tuple[int, int, int]:
    """The colour of a value between ``-top`` and ``top``."""
    part = min(1.0, abs(value) / top) if top > 0 else 0.0
    end = HIGH if value >= 0 else BELOW
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(LOW, end, strict=True))
    return red, green, blue


def svg(maps: Sequence[Heatmap]) -> str:
    """The maps below each other."""
    grid = max(len(row) for each in maps for row in each.values) * CELL
    width = max(LEFT + grid + BESIDE, *(8 + LETTER * len(each.title) for each in maps))
    parts, y = [], GAP
    for each in maps:
        parts.append(_one(each, y))
        y += TOP + len(each.rows) * CELL + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" '
        f'height="{y}" role="img" font-family="system-ui, sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _one(each: Heatmap, y: int) -> str:
    parts = [f'<text x="8" y="{y}" font-size="13" font-weight="600">{escape(each.title)}</text>']
    base = y + 14
    for r, (name, row) in enumerate(zip(each.rows, each.values, strict=True)):
        weight = ' font-weight="700"' if r in each.marked else ""
        text_y = base + r * CELL + CELL - 5
        parts.append(
            f'<text x="{LEFT - 8}" y="{text_y}" text-anchor="end"{weight}>{escape(name)}</text>'
        )
        for c, value in enumerate(row):
            colour = "rgb({},{},{})".format(*shade(value, each.top))
            label = f"{name.strip()}, {each.columns} {each.number(c)}: {value:.3f} {each.unit}"
            frame = ' stroke="black" stroke-width="2"' if (r, c) == each.framed else ""
            parts.append(
                f'<rect x="{LEFT + c * CELL}" y="{base + r * CELL}" width="{CELL - 1}" '
                f'height="{CELL - 1}" fill="{colour}"{frame}><title>{escape(label)}</title></rect>'
            )
    below = base + len(each.rows) * CELL + 12
    step = max(1, len(each.values[0]) // 12) if each.values else 1
    for c in range(0, len(each.values[0]) if each.values else 0, step):
        x = LEFT + c * CELL + CELL // 2
        parts.append(f'<text x="{x}" y="{below}" text-anchor="middle">{each.number(c)}</text>')
    end = LEFT + (len(each.values[0]) if each.values else 0) * CELL + 8
    parts.append(f'<text x="{end}" y="{below}">{escape(each.columns)}</text>')
    parts.append(
        f'<text x="{end}" y="{base + 12}">darkest {each.top:.2f} {escape(each.unit)}</text>'
    )
    return "".join(parts)
