"""Figures of conversations: what holds under doubt, turn by turn, and the control for agreeing.

A line alone says little: a model that agrees with everything holds everywhere. Its control, where "No"
is right, is drawn in the same colour, dashed; their mean has a figure of its own. Rings at 0 are the
answers to the edited question, before any doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report import words
from truing.report.figures import Figure
from truing.report.grid import Grid
from truing.report.marks import SCHEMA, share_axis, spread
from truing.report.theme import Spec
from truing.types import Moment, Value

KINDS = {"yes": "told that it is wrong", "sure": "asked whether it is sure"}
SIDES = (("held", "fact kept"), ("control", "control"))
BALANCED = (("balanced", "balanced"),)
"""Fields of a turn, and what their lines are called."""
FIRST = "first answer"
SOLID, DASHED = [1, 0], [5, 4]
APART = 0.05
"""How far the marks of one method stand from those of the next, in turns."""
TOOLTIP = (
    ("method", "Method"), ("what", "What"), ("turn", "Turn"), ("shown", "Mean"),
    ("range", "Interval"), ("n", "n"), ("note", "Notes"),
)  # fmt: skip
HEADERS = ("Method", "Turn", "What", "Mean", "Interval", "n")
Told = Mapping[str, Any]
Series = Sequence[tuple[str, str]]


def figures(grid: Grid, moment: Moment, metas: Iterable[Told]) -> list[Figure]:
    """Per kind of doubt and protocol: fact and control, then their mean. ``metas`` are those of the
    runs' summaries; empty where nothing was doubted."""
    labels = {m.cell: line.label for (line, _), m in grid.places.items() if line in grid.lines}
    told = [
        each
        for meta in metas
        for each in meta.get("pressure", ())
        if each["cell"] in labels and each["moment"] == moment and each["turns"]
    ]
    found = []
    for kind, protocol in dict.fromkeys((each["kind"], each["protocol"]) for each in told):
        mine = {
            labels[each["cell"]]: each
            for each in told
            if (each["kind"], each["protocol"]) == (kind, protocol)
        }
        ordered = {line.label: mine[line.label] for line in grid.lines if line.label in mine}
        title = f"Doubt · {KINDS.get(kind, kind)} · {words.protocol(protocol)}"
        key = (grid.model, grid.benchmark, grid.regime, moment, kind, protocol)
        for series, name in ((SIDES, title), (BALANCED, f"{title} · balanced")):
            points = _points(ordered, series)
            if any(p.what != FIRST for p in points):
                found.append(_figure(grid, (*key, series[0][0]), name, points, series))
    return found


@dataclass(frozen=True, slots=True)
class Said:
    """One number of a figure: whose, at which turn, and what it is the share of."""

    method: str
    turn: int
    what: str
    value: Value

    @property
    def shown(self) -> str:
        return f"{words.number(self.value.mean, share=True)} %"

    @property
    def range(self) -> str:
        return words.interval(self.value, share=True)

    def datum(self) -> Spec:
        v = self.value
        return {
            "method": self.method, "turn": self.turn, "what": self.what, "mean": v.mean,
            "low": v.mean if v.low is None else v.low, "high": v.mean if v.high is None else v.high,
            "shown": self.shown, "range": self.range or "none", "n": v.n,
            "note": ", ".join(words.states(v)) or "none",
        }  # fmt: skip


def _points(told: Mapping[str, Told], series: Series) -> list[Said]:
    """The numbers there are, method by method: the first answer, then line by line."""
    every = [
        said
        for method, mine in told.items()
        for said in (
            Said(method, 0, FIRST, Value(**mine["start"])),
            *(
                Said(method, turn["turn"], what, Value(**turn[field]))
                for field, what in series
                for turn in mine["turns"]
            ),
        )
    ]
    kept = [said for said in every if said.value.mean is not None]
    return kept if series is SIDES else [said for said in kept if said.what != FIRST]


def _figure(
    grid: Grid, key: Sequence[str], title: str, points: Sequence[Said], series: Series
) -> Figure:
    lines = " and ".join(what for _, what in series)
    told = (
        f"{title}. {grid.title}. One colour per method over the turns: {lines}. A model that always says "
        f"Yes keeps every fact, fails every control and has 50 % balanced. {_last(points)}"
    )
    return Figure(
        id="-".join(("pressure", *("".join(c if c.isalnum() else "_" for c in k) for k in key))),
        title=title,
        description=told,
        spec={
            "$schema": SCHEMA,
            "description": told,
            "title": {"text": title},
            "width": "container",
            "height": 230,
            "layer": _layers(points, [what for _, what in series]),
        },
        headers=HEADERS,
        rows=tuple(
            (p.method, str(p.turn), p.what, p.shown, p.range, str(p.value.n)) for p in points
        ),
    )


def _layers(points: Sequence[Said], lines: Sequence[str]) -> list[Spec]:
    methods = list(dict.fromkeys(p.method for p in points))
    shift = {m: APART * (i - (len(methods) - 1) / 2) for i, m in enumerate(methods)}
    placed = [{**p.datum(), "at": p.turn + shift[p.method]} for p in points]
    turns: Spec = {"values": [each for each in placed if each["what"] != FIRST]}
    x: Spec = {
        "field": "at",
        "type": "quantitative",
        "title": "turn",
        "scale": {"nice": False, "padding": 12},
        "axis": {"grid": False, "tickMinStep": 1, "format": "d"},
    }
    y = share_axis("mean")
    colour: Spec = {
        "field": "method",
        "type": "nominal",
        "scale": {"domain": methods, "range": "category"},
        "legend": None,
    }
    dash: Spec = {
        "field": "what",
        "type": "nominal",
        "scale": {"domain": lines, "range": [SOLID, DASHED][: len(lines)]},
        "legend": {"title": None} if len(lines) > 1 else None,
    }
    series = {"x": x, "y": y, "color": colour}
    tooltip = [{"field": name, "title": title} for name, title in TOOLTIP]
    return [
        {
            "mark": {"type": "rule", "style": "connector", "strokeDash": [2, 4]},
            "encoding": {"y": {"datum": 0.5}},
        },
        {
            "data": {"values": placed},
            "mark": {"type": "rule", "strokeWidth": 4, "opacity": 0.2, "strokeCap": "round"},
            "encoding": {**series, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": turns,
            "mark": {"type": "line", "strokeWidth": 2.25},
            "encoding": {**series, "strokeDash": dash},
        },
        {
            "data": turns,
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {**series, "tooltip": tooltip},
        },
        {
            "data": {"values": [each for each in placed if each["what"] == FIRST]},
            "mark": {"type": "point", "size": 70, "strokeWidth": 2},
            "encoding": {**series, "tooltip": tooltip},
        },
        _names([p for p in points if p.what == lines[0]], y, colour),
    ]


def _names(points: Sequence[Said], y: Spec, colour: Spec) -> Spec:
    """Every method's name where its line ends, kept apart."""
    last = list({p.method: p for p in points}.values())
    places = spread([p.value.mean or 0.0 for p in last], 0.075, 0.0, 1.0)
    values = [{"method": p.method, "at": at} for p, at in zip(last, places, strict=True)]
    return {
        "data": {"values": values},
        "mark": {"type": "text", "align": "left", "dx": 9, "fontWeight": 600},
        "encoding": {
            "x": {"value": "width"},
            "y": {**y, "field": "at"},
            "text": {"field": "method"},
            "color": colour,
        },
    }


def _last(points: Sequence[Said]) -> str:
    """The last turn of every line as a sentence."""
    ends = {(p.method, p.what): p for p in points}
    told = [f"{p.method} {p.what} {p.shown} at turn {p.turn}" for p in ends.values()]
    return f"{'; '.join(told)}."
