"""Figures as Vega-Lite specs: plain dicts that draw with any Vega-Lite 5 or 6.

Every figure carries a sentence that describes it and a table with the same numbers. Colours come
from the config (:mod:`truing.report.theme`), so that one spec serves light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.report import words
from truing.report.grid import Column, Grid
from truing.report.marks import (
    HEADERS,
    SCHEMA,
    Point,
    colour_by_protocol,
    connector,
    datum,
    describe,
    dots,
    intervals,
    method_axis,
    numbers,
    shape_by_protocol,
    share_axis,
    signed_points,
    spread,
)
from truing.report.theme import Spec
from truing.types import Measure, Moment

STEP = 38


@dataclass(frozen=True, slots=True)
class Figure:
    """A spec, what it shows in words, and its numbers as a table. ``note`` stands under the drawing."""

    id: str
    title: str
    description: str
    spec: Spec
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    broad: bool = False
    note: str = ""


def points(grid: Grid, columns: Sequence[Column]) -> list[Point]:
    """The numbers of these columns that exist."""
    return [
        Point(line.label, c.protocol, m)
        for line in grid.lines
        for c in columns
        if (m := grid.at(line, c)) is not None and m.value.mean is not None
    ]


def primary(grid: Grid, aspect: str, moment: Moment) -> list[Column]:
    """Per protocol the first column that scores ``aspect``, teacher-forced protocols first."""
    chosen: dict[str, Column] = {}
    for c in grid.select("score", moment):
        if c.aspect == aspect:
            chosen.setdefault(c.protocol, c)
    return list(chosen.values())


def beside(grid: Grid, aspect: str, moment: Moment) -> Figure | None:
    """One aspect, every method: each protocol's number on one line, joined, with intervals.

    With a teacher-forced and a free protocol, the joint between the dots is what free answers do
    not bear out. ``None`` when the aspect was not measured as a share.
    """
    found = points(grid, primary(grid, aspect, moment))
    if not found:
        return None
    ends: dict[str, list[float]] = {}
    for p in found:
        ends.setdefault(p.label, []).append(p.measure.value.mean or 0.0)
    gaps = [
        {"method": label, "from": xs[0], "to": xs[-1], "gap": signed_points(xs[-1] - xs[0])}
        for label, xs in ends.items()
        if len(xs) > 1
    ]
    y, colour = method_axis(grid), colour_by_protocol(grid, found)
    layers = [
        connector(gaps, y),
        intervals(found, y, share_axis("low"), colour),
        dots(found, y, share_axis("mean"), colour, shape=shape_by_protocol(colour)),
    ]
    if gaps:
        layers.append(
            {
                "data": {"values": gaps},
                "mark": {"type": "text", "align": "left", "dx": 14, "style": "note"},
                "encoding": {"y": y, "x": {"value": "width"}, "text": {"field": "gap"}},
            }
        )
    return _figure(
        "beside",
        (grid.model, grid.benchmark, grid.regime, aspect, moment),
        words.aspect_title(aspect),
        f"{grid.title}. One row per method, one dot per protocol.",
        found,
        {"height": STEP * len(grid.lines), "layer": layers},
    )


def amounts(grid: Grid, column: Column) -> Figure | None:
    """A reading (entropy, length, a rate): a dot per method; the dashed line is the baseline."""
    found = points(grid, [column])
    if not found:
        return None
    x = share_axis("mean") if all(words.is_share(p.measure) for p in found) else numbers("mean")
    y, colour = method_axis(grid), colour_by_protocol(grid, found)
    base = [datum(p) for p in found if p.measure.method == "none"]
    layers: list[Spec] = [
        {
            "data": {"values": base},
            "mark": {"type": "rule", "style": "connector", "strokeDash": [4, 4]},
            "encoding": {"x": x},
        },
        intervals(found, y, x, colour),
        dots(found, y, x, colour, shape=shape_by_protocol(colour)),
    ]
    return _figure(
        "amount",
        (
            grid.model,
            grid.benchmark,
            grid.regime,
            column.aspect,
            column.metric,
            column.protocol,
            column.moment,
        ),
        f"{words.metric_title(column.metric)} · {words.aspect_title(column.aspect).lower()}",
        f"{grid.title}. One dot per method; the dashed line is the unedited model.",
        found,
        {"height": STEP * len(grid.lines), "layer": layers},
    )


def tradeoff(grid: Grid, protocol: str, moment: Moment, gain: str, cost: str) -> Figure | None:
    """What an edit achieved (``gain``, across) beside what it left alone (``cost``, upward).

    One labelled dot per method with both intervals; the top right corner is the aim.
    """
    across = {
        p.label: p for p in points(grid, primary(grid, gain, moment)) if p.protocol == protocol
    }
    upward = {
        p.label: p for p in points(grid, primary(grid, cost, moment)) if p.protocol == protocol
    }
    both = [label for label in across if label in upward]
    if len(both) < 2:
        return None
    values = []
    tops = [across[label].measure.value.mean or 0.0 for label in both]
    heights = [upward[label].measure.value.mean or 0.0 for label in both]
    height = STEP * max(len(grid.lines), 5) - 16
    named = _label_heights(tops, heights, 15 / height)
    for label, label_y in zip(both, named, strict=True):
        x, y = across[label].measure.value, upward[label].measure.value
        values.append(
            {
                **datum(across[label]),
                "x": x.mean, "x_low": x.low, "x_high": x.high,
                "y": y.mean, "y_low": y.low, "y_high": y.high, "label_y": label_y,
            }
        )  # fmt: skip
    titles = words.aspect_title(gain), words.aspect_title(cost)
    found = [p for label in both for p in (across[label], upward[label])]
    x_of, y_of = share_axis("x", titles[0]), share_axis("y", titles[1])
    colour = colour_by_protocol(grid, found, legend=False)
    thin: Spec = {"type": "rule", "strokeWidth": 6, "opacity": 0.2, "strokeCap": "round"}
    layers: list[Spec] = [
        {
            "mark": thin,
            "encoding": {
                "x": {**x_of, "field": "x_low"},
                "x2": {"field": "x_high"},
                "y": y_of,
                "color": colour,
            },
        },
        {
            "mark": thin,
            "encoding": {
                "x": x_of,
                "y": {**y_of, "field": "y_low"},
                "y2": {"field": "y_high"},
                "color": colour,
            },
        },
        {
            "mark": {"type": "circle", "size": 130, "opacity": 1},
            "encoding": {
                "x": x_of,
                "y": y_of,
                "color": colour,
                "tooltip": [
                    {"field": "method", "title": "Method"},
                    {"field": "x", "title": titles[0], "format": ".1%"},
                    {"field": "y", "title": titles[1], "format": ".1%"},
                ],
            },
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 11, "fontWeight": 600},
            "encoding": {"x": x_of, "y": {**y_of, "field": "label_y"}, "text": {"field": "method"}},
        },
    ]
    return _figure(
        "tradeoff",
        (grid.model, grid.benchmark, grid.regime, protocol, moment, gain, cost),
        f"{titles[0]} against {titles[1].lower()} · {words.protocol(protocol)}",
        f"{grid.title}. One dot per method; the top right corner is the aim.",
        found,
        {
            "height": height,
            "data": {"values": values},
            "layer": layers,
        },
    )


def retention(measures: Sequence[Measure], labels: dict[str, str]) -> Figure | None:
    """How one aspect under one protocol holds up as edits pile up, a line per method.

    Takes the measures of one sequential run at moments ``immediate``, ``step`` and ``final``;
    ``labels`` names the cells. Rings at 0: each edit measured right after it was made.
    ``None`` with fewer than two points in time.
    """
    curve = sorted(
        (m for m in measures if m.moment in ("step", "final") and m.value.mean is not None),
        key=lambda m: m.step,
    )
    fresh = [m for m in measures if m.moment == "immediate" and m.value.mean is not None]
    if len({m.step for m in curve} | ({0} if fresh else set())) < 2:
        return None
    first = curve[0]
    names = list(dict.fromkeys(labels[m.cell] for m in (*fresh, *curve)))
    x: Spec = {
        "field": "step",
        "type": "quantitative",
        "title": "edits in force",
        "axis": {"grid": False, "labelFlush": False, "values": _ticks(curve)},
        "scale": {"domainMin": 0},
    }
    y = share_axis("mean") if words.is_share(first) else numbers("mean")
    colour: Spec = {
        "field": "method",
        "type": "nominal",
        "scale": {"domain": names, "range": "category"},
        "legend": None,
    }
    at = [Point(labels[m.cell], m.protocol, m) for m in curve]
    rings = [Point(labels[m.cell], m.protocol, m) for m in fresh]
    starts = [
        {**datum(p), "step": 0, "to": q.measure.value.mean, "to_step": q.measure.step}
        for p in rings
        if (q := next((q for q in at if q.label == p.label), None)) is not None
    ]
    line_data = {"data": {"values": [datum(p) for p in at]}}
    layers: list[Spec] = [
        {
            "data": {"values": starts},
            "mark": {"type": "rule", "strokeDash": [2, 4], "strokeWidth": 1.5},
            "encoding": {
                "x": x, "x2": {"field": "to_step"}, "y": y, "y2": {"field": "to"}, "color": colour,
            },
        },
        {
            **line_data,
            "mark": {"type": "rule", "strokeWidth": 5, "opacity": 0.16, "strokeCap": "round"},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
        },
        {
            **line_data,
            "mark": {"type": "line", "strokeWidth": 2.25},
            "encoding": {"x": x, "y": y, "color": colour},
        },
        dots(at, y, x, colour, size=46),
        {
            "data": {"values": [{**datum(p), "step": 0} for p in rings]},
            "mark": {"type": "point", "size": 70, "strokeWidth": 2},
            "encoding": {"x": x, "y": y, "color": colour},
        },
        _line_ends(at, y, colour),
    ]  # fmt: skip
    return _figure(
        "retention",
        (first.model, first.benchmark, first.regime, first.aspect, first.protocol, first.judge),
        f"{words.aspect_title(first.aspect)} · {words.protocol(first.protocol)}",
        f"{first.model} · {first.benchmark} · {first.regime}. One line per method over the number of "
        "edits in force; rings at 0 are each edit right after it was made.",
        [*rings, *at],
        {"height": 230, "layer": layers},
    )


def _figure(
    kind: str, key: Sequence[str], title: str, what: str, found: Sequence[Point], body: Spec
) -> Figure:
    told = " ".join((title + ".", what, describe(found)))
    headers, rows = _table(found)
    return Figure(
        id="-".join((kind, *("".join(ch if ch.isalnum() else "_" for ch in part) for part in key))),
        title=title,
        description=told,
        spec={
            "$schema": SCHEMA,
            "description": told,
            "title": {"text": title},
            "width": "container",
            **body,
        },
        headers=headers,
        rows=rows,
        broad=kind == "tradeoff",
    )


def _table(found: Sequence[Point]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Headers and rows; columns that say the same of every row are left out."""
    rows = [_row(p) for p in found]
    always = {"Method", "Mean", "Interval", "n"}
    kept = [i for i, h in enumerate(HEADERS) if h in always or len({row[i] for row in rows}) > 1]
    return tuple(HEADERS[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows)


def _row(p: Point) -> tuple[str, ...]:
    m, share = p.measure, words.is_share(p.measure)
    unit = " %" if share else ""
    return (
        p.label,
        words.aspect_title(m.aspect),
        words.protocol(m.protocol),
        m.judge,
        f"{m.moment}, {m.step} in force" if m.moment in ("step", "final") else m.moment,
        words.number(m.value.mean, share=share) + unit,
        words.interval(m.value, share=share),
        str(m.value.n),
    )


def _ticks(curve: Sequence[Measure]) -> list[int]:
    """0 and the steps that were measured, thinned to at most seven."""
    steps = sorted({m.step for m in curve})
    return [0, *steps[:: -(-len(steps) // 6)]] if steps else [0]


def _line_ends(at: Sequence[Point], y: Spec, colour: Spec) -> Spec:
    """Every line's name where it ends, kept apart."""
    last = list({p.label: p for p in at}.values())
    means = [p.measure.value.mean or 0.0 for p in last]
    low, high = (0.0, 1.0) if "domain" in y["scale"] else (min(means), max(means))
    places = spread(means, 0.075 * ((high - low) or 1.0), low, high)
    values = [{**datum(p), "at": place} for p, place in zip(last, places, strict=True)]
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


def _label_heights(across: Sequence[float], upward: Sequence[float], gap: float) -> list[float]:
    """Heights of labels a little above their dots; of dots close together they are ``gap`` apart."""
    heights = [y + 0.045 for y in upward]
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    for k, i in enumerate(order):
        near = [heights[j] for j in order[:k] if abs(across[i] - across[j]) < 0.22]
        if near:
            heights[i] = max(heights[i], max(near) + gap)
    return heights
