"""A figure of an intervention pair by pair: where each text stood, and where it stands now.

The scatter of Pres et al. 2024 (arXiv 2410.17245, figure 2), without rescaling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from truing.report import words
from truing.report.arms import NATS, PROMOTION, SUPPRESSION, Arm, ident, signed
from truing.report.figures import Figure
from truing.report.grid import Grid
from truing.report.marks import SCHEMA, numbers
from truing.report.theme import Spec
from truing.types import Response, Row

AS_WANTED, OTHER_WAY, AS_BEFORE = "as wanted", "the other way", "as before"
SAME = 1e-3
"""Nats per token. Smaller changes are rounding."""
HEIGHT = 230


@dataclass(frozen=True, slots=True)
class _Text:
    """One text of one pair, and its place on the axis."""

    case: str
    side: str
    base: float
    now: float
    at: int = 0

    @property
    def moved(self) -> str:
        rise = self.now - self.base if self.side == "wanted" else self.base - self.now
        if abs(rise) < SAME:
            return AS_BEFORE
        return AS_WANTED if rise > 0 else OTHER_WAY


def pair_by_pair(grid: Grid, arm: Arm, rows: Sequence[Row]) -> Figure | None:
    """Every text under the base model (ring) and now (dot), joined; the wanted texts to the left, the
    others to the right, each side in the order of the base model's likelihood. Lines across are
    means. ``None`` where ``rows`` hold no such pair."""
    texts = _texts(rows)
    if not texts:
        return None
    n = len(texts) // 2
    values = [
        {
            "case": t.case, "side": t.side, "at": t.at, "base": t.base, "now": t.now,
            "moved": t.moved,
            "told": f"{signed(t.base)} → {signed(t.now)}",
        }
        for t in texts
    ]  # fmt: skip
    sides = [("wanted", 1, PROMOTION), ("unwanted", n + _gap(n) + 1, SUPPRESSION)]
    means = [
        {
            "from": first - 0.5, "to": first + n - 0.5,
            "base": math.fsum(t.base for t in texts if t.side == side) / n,
            "now": math.fsum(t.now for t in texts if t.side == side) / n,
            "middle": first + (n - 1) / 2, "heading": f"{metric} {signed(arm.mean(metric))}",
        }
        for side, first, metric in sides
    ]  # fmt: skip
    x: Spec = {
        "field": "at", "type": "quantitative", "axis": None,
        "scale": {"domain": [0, 2 * n + _gap(n) + 1], "nice": False},
    }  # fmt: skip
    y = numbers("base", NATS)
    now = {**y, "field": "now"}
    colour: Spec = {
        "field": "moved", "type": "nominal",
        "scale": {"domain": [AS_BEFORE, AS_WANTED, OTHER_WAY], "range": "category"},
        "legend": {
            "title": None, "symbolSize": 80, "symbolOpacity": 1, "symbolType": "circle",
            "values": [w for w in (AS_WANTED, OTHER_WAY, AS_BEFORE) if any(t.moved == w for t in texts)],
        },
    }  # fmt: skip
    across = {"data": {"values": means}}
    ends: Spec = {"x": {**x, "field": "from"}, "x2": {"field": "to"}}
    layers: list[Spec] = [
        {
            **across, "mark": {"type": "rule", "style": "connector", "strokeDash": [4, 4]},
            "encoding": {**ends, "y": y},
        },
        {**across, "mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": {**ends, "y": now}},
        {
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.6},
            "encoding": {"x": x, "y": y, "y2": {"field": "now"}, "color": colour},
        },
        {
            "mark": {"type": "point", "size": 22, "strokeWidth": 1.25, "style": "connector"},
            "encoding": {"x": x, "y": y},
        },
        {
            "mark": {"type": "circle", "size": 34, "opacity": 1},
            "encoding": {
                "x": x, "y": now, "color": colour,
                "tooltip": [
                    {"field": "case", "title": "Case"},
                    {"field": "side", "title": "Text"},
                    {"field": "told", "title": NATS},
                ],
            },
        },
        {
            **across, "mark": {"type": "text", "baseline": "top"},
            "encoding": {
                "x": {**x, "field": "middle"}, "y": {"value": HEIGHT + 10}, "text": {"field": "heading"},
            },
        },
    ]  # fmt: skip
    every = arm.values[PROMOTION].n
    shown = f"the first {n} of {every} pairs" if n < every else words.plural(n, "pair")
    rose = sum(t.moved == AS_WANTED for t in texts if t.side == "wanted")
    fell = sum(t.moved == AS_WANTED for t in texts if t.side == "unwanted")
    told = (
        f"{arm.label}, pair by pair. {grid.title}: {shown}. Of the wanted texts {rose} became likelier, "
        f"of the others {fell} less likely. Rings are the base model, dots what the intervention left."
    )
    spec: Spec = {
        "$schema": SCHEMA,
        "description": told,
        "title": {"text": f"{arm.label} · pair by pair"},
        "width": "container",
        "height": HEIGHT,
        "data": {"values": values},
        "layer": layers,
    }
    return Figure(
        id=ident("pairs", grid, arm.cell),
        title=f"{arm.label} · pair by pair",
        description=told,
        spec=spec,
        headers=("Case", "Text", "Base", "Now"),
        rows=tuple((t.case, t.side, signed(t.base), signed(t.now)) for t in texts),
    )


def _texts(rows: Sequence[Row]) -> list[_Text]:
    """Both texts of every pair, wanted first, each side in the order of the base model's scores."""
    wanted, unwanted = [], []
    for row in rows:
        base, now = _per_token(row.base), _per_token(row.response)
        if base is not None and now is not None:
            wanted.append(_Text(row.case, "wanted", base[0], now[0]))
            unwanted.append(_Text(row.case, "unwanted", base[1], now[1]))
    n = len(wanted)
    placed = []
    for side, first in ((wanted, 1), (unwanted, n + _gap(n) + 1)):
        for i, t in enumerate(sorted(side, key=lambda t: t.base)):
            placed.append(_Text(t.case, t.side, t.base, t.now, first + i))
    return placed


def _gap(n: int) -> int:
    """Free places between the two sides."""
    return max(2, n // 8)


def _per_token(response: Response | None) -> tuple[float, float] | None:
    if (
        response is None
        or len(response.choices) != 2
        or not all(c.n_tokens for c in response.choices)
    ):
        return None
    first, second = (c.logprob / c.n_tokens for c in response.choices)
    return (first, second) if math.isfinite(first + second) else None
