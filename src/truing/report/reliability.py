"""A reliability diagram as a self-contained SVG: what a judge scores against what is so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SIDE, LEFT, TOP, GAP = 220, 52, 34, 56
INK, LINE, DOT = "#1c1f26", "#b9bcc4", "#1f5fbf"


@dataclass(frozen=True, slots=True)
class Point:
    """``n`` verdicts of mean score ``score``, a share ``correct`` of them labelled correct."""

    score: float
    correct: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Diagram:
    """One judge. On the diagonal a score is the chance of being right."""

    title: str
    points: Sequence[Point]


def svg(diagrams: Sequence[Diagram]) -> str:
    """The diagrams beside each other."""
    width = max(1, len(diagrams)) * (LEFT + SIDE + 24)
    height = TOP + SIDE + GAP
    parts = [_one(each, i * (LEFT + SIDE + 24) + LEFT) for i, each in enumerate(diagrams)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="11" '
        f'fill="{INK}"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _one(each: Diagram, x: int) -> str:
    floor = TOP + SIDE
    parts = [
        f'<text x="{x}" y="20" font-size="13" font-weight="600">{escape(each.title)}</text>',
        f'<rect x="{x}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="{LINE}"/>',
        f'<line x1="{x}" y1="{floor}" x2="{x + SIDE}" y2="{TOP}" stroke="{LINE}" '
        'stroke-dasharray="4 4"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        at = round(share * SIDE)
        parts.append(f'<text x="{x + at}" y="{floor + 15}" text-anchor="middle">{share:g}</text>')
        parts.append(f'<text x="{x - 6}" y="{floor - at + 4}" text-anchor="end">{share:g}</text>')
    middle = TOP + SIDE // 2
    parts.append(
        f'<text x="{x + SIDE // 2}" y="{floor + 32}" text-anchor="middle">mean score</text>'
        f'<text transform="rotate(-90 {x - 34} {middle})" x="{x - 34}" y="{middle}" '
        'text-anchor="middle">share labelled correct</text>'
    )
    most = max((point.n for point in each.points), default=1)
    for point in each.points:
        px, py = x + point.score * SIDE, floor - point.correct * SIDE
        radius = 3 + 6 * (point.n / most) ** 0.5
        told = (
            f"score {point.score:.2f}: {point.correct:.2f} correct "
            f"({point.low:.2f} to {point.high:.2f}), n {point.n}"
        )
        parts.append(
            f'<line x1="{px:.1f}" y1="{floor - point.low * SIDE:.1f}" x2="{px:.1f}" '
            f'y2="{floor - point.high * SIDE:.1f}" stroke="{DOT}"/>'
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{radius:.1f}" fill="{DOT}">'
            f"<title>{escape(told)}</title></circle>"
        )
    return "".join(parts)
