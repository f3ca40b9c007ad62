"""The pieces that figures share: points, axes, dots and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.report import words
from truing.report.grid import Grid
from truing.report.theme import Spec
from truing.types import Measure

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
RING = "M-1.5,0A1.5,1.5,0,1,1,1.5,0A1.5,1.5,0,1,1,-1.5,0ZM-1.05,0A1.05,1.05,0,1,0,1.05,0A1.05,1.05,0,1,0,-1.05,0Z"
SHAPES = (RING, "circle", "diamond", "square", "triangle-up", "cross")
HEADERS = ("Method", "Aspect", "Protocol", "Scorer", "Moment", "Mean", "Interval", "n")


@dataclass(frozen=True, slots=True)
class Point:
    """One number of a figure and the line it belongs to."""

    label: str
    protocol: str
    measure: Measure


def datum(p: Point) -> dict[str, str | int | float | None]:
    """The point as a record of the figure's data."""
    m, share = p.measure, words.is_share(p.measure)
    v = m.value
    unit = " %" if share else ""
    return {
        "method": p.label,
        "protocol": words.protocol(p.protocol),
        "mean": v.mean,
        "low": v.low if v.low is not None else v.mean,
        "high": v.high if v.high is not None else v.mean,
        "step": m.step,
        "n": v.n,
        "shown": words.number(v.mean, share=share) + unit,
        "range": words.interval(v, share=share) + unit if v.low is not None else "none",
        "scorer": m.judge,
        "note": ", ".join((*words.states(v), *m.flags)) or "none",
    }


def method_axis(grid: Grid) -> Spec:
    """Methods from top to bottom in the order of the table."""
    return {
        "field": "method",
        "type": "nominal",
        "title": None,
        "sort": [line.label for line in grid.lines],
        "scale": {"domain": [line.label for line in grid.lines]},
        "axis": {"grid": False, "labelPadding": 14},
    }


def share_axis(field: str, title: str | None = None) -> Spec:
    """0 to 100 %."""
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "values": [0, 0.25, 0.5, 0.75, 1], "labelFlush": False},
    }


def numbers(field: str, title: str | None = None) -> Spec:
    """A plain quantitative axis that need not start at zero."""
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"zero": False},
        "axis": {"tickCount": 5, "labelFlush": False},
    }


def colour_by_protocol(grid: Grid, found: Sequence[Point], *, legend: bool = True) -> Spec:
    """One colour per protocol, the same in every figure of the grid."""
    shown = list(dict.fromkeys(words.protocol(p.protocol) for p in found))
    synthetic = [words.protocol(p) for p in grid.protocols if words.family(p) == "synthetic"]
    free = [words.protocol(p) for p in grid.protocols if words.family(p) == "wild"]
    every = [words.protocol(p) for p in grid.protocols]
    domain = list(
        dict.fromkeys([*(synthetic[:1] or ["synthetic"]), *(free[:1] or ["wild"]), *every])
    )
    about = {"title": None, "symbolSize": 80, "symbolOpacity": 1, "values": shown}
    return {
        "field": "protocol",
        "type": "nominal",
        "scale": {"domain": domain, "range": "ordinal"},
        "legend": about if legend else None,
    }


def shape_by_protocol(colour: Spec) -> Spec:
    """The shapes that go with the colours: a ring for fed answers, a dot for free ones."""
    domain = colour["scale"]["domain"]
    shapes = [SHAPES[i % len(SHAPES)] for i in range(len(domain))]
    return {**colour, "scale": {"domain": domain, "range": shapes}}


def connector(gaps: Sequence[Spec], y: Spec) -> Spec:
    """A thin line between a method's first and last dot."""
    return {
        "data": {"values": list(gaps)},
        "mark": {"type": "rule", "style": "connector", "strokeWidth": 2},
        "encoding": {"y": y, "x": share_axis("from"), "x2": {"field": "to"}},
    }


def intervals(found: Sequence[Point], y: Spec, x: Spec, colour: Spec) -> Spec:
    """A translucent bar from ``low`` to ``high``."""
    return {
        "data": {"values": [datum(p) for p in found]},
        "mark": {"type": "rule", "strokeWidth": 9, "opacity": 0.22, "strokeCap": "round"},
        "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour},
    }


def dots(
    found: Sequence[Point],
    y: Spec,
    x: Spec,
    colour: Spec,
    *,
    shape: Spec | None = None,
    size: int = 110,
) -> Spec:
    """A dot at every mean, with a tooltip. ``shape`` tells series apart without colour."""
    return {
        "data": {"values": [datum(p) for p in found]},
        "mark": {"type": "point", "filled": True, "size": size, "opacity": 1},
        "encoding": {
            "y": y,
            "x": x,
            "color": colour,
            "shape": {"value": "circle"} if shape is None else shape,
            "tooltip": [
                {"field": "method", "title": "Method"},
                {"field": "protocol", "title": "Protocol"},
                {"field": "shown", "title": "Mean"},
                {"field": "range", "title": "Interval"},
                {"field": "n", "title": "n"},
                {"field": "scorer", "title": "Scorer"},
                {"field": "note", "title": "Notes"},
            ],
        },
    }


def signed_points(x: float) -> str:
    """``−38``: a difference of shares in percentage points."""
    whole = round(100 * x)
    return f"{'−' if whole < 0 else '+' if whole > 0 else '±'}{abs(whole)}"


def describe(found: Sequence[Point]) -> str:
    """The numbers as a sentence, for readers who cannot see the figure (at most 24 numbers)."""
    parts = []
    for p in found[:24]:
        share = words.is_share(p.measure)
        moment = f" after {p.measure.step} edits" if p.measure.moment in ("step", "final") else ""
        text = words.number(p.measure.value.mean, share=share) + (" %" if share else "")
        parts.append(f"{p.label} {words.protocol(p.protocol)}{moment} {text}")
    more = "; the table has the rest" if len(found) > 24 else ""
    return "; ".join(parts) + more + "."


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near ``values`` that are at least ``gap`` apart, for labels beside them.

    Order is kept; as far as they fit, all lie within ``low`` to ``high``.
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    placed = [values[i] for i in order]
    for k in range(1, len(placed)):
        placed[k] = max(placed[k], placed[k - 1] + gap)
    if placed and placed[-1] > high:
        placed[-1] = high
        for k in range(len(placed) - 2, -1, -1):
            placed[k] = min(placed[k], placed[k + 1] - gap)
    if placed and placed[0] < low:
        placed = [p + low - placed[0] for p in placed]
    found = [0.0] * len(values)
    for k, i in enumerate(order):
        found[i] = placed[k]
    return found
