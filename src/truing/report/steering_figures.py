"""Figures of what interventions did to two choices: promotion against suppression, and by strength.

After Pres et al. 2024 (arXiv 2410.17245), with intervals and without rescaling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from truing.report import words
from truing.report.arms import (
    CONTROL,
    MARGIN,
    MEASURED,
    NATS,
    PROMOTION,
    SUPPRESSION,
    Arm,
    arms_of,
    ident,
    signed,
    with_interval,
)
from truing.report.figures import Figure
from truing.report.grid import Cells, Grid
from truing.report.marks import SCHEMA, numbers, spread
from truing.report.pair_figures import pair_by_pair
from truing.report.theme import Spec
from truing.types import Moment, Row

EDGE = 0.14
"""How far a zero line stays from the frame, as a share of the axis."""
LABEL, WIDTH, HEIGHT = 15, 620, 330
"""Pixels: a label's height, and the plane as far as its labels are concerned."""


def figures(
    grid: Grid,
    moment: Moment,
    rows: Iterable[Row],
    cells: Cells,
    metas: Sequence[Mapping[str, Any]] = (),
) -> list[Figure]:
    """All of them: per aspect the plane and a dose-response of every method with several strengths;
    of the first aspect, every arm but the controls pair by pair from ``rows``. None without likelihoods
    of two choices. ``metas`` are those of the runs' summaries.
    """
    doses = [told for meta in metas for told in meta.get("doses", ())]
    found: list[Figure] = []
    asked = {(c.aspect, c.protocol) for c in grid.columns if c.metric == PROMOTION}
    places = sorted(asked, key=lambda place: (words.aspect_order(place[0]), place[1]))
    held = list(rows)
    for aspect, protocol in places:
        arms = arms_of(grid, aspect, protocol, moment, cells)
        if arms:
            found.append(plane(grid, aspect, protocol, moment, arms))
        for method in dict.fromkeys(arm.method for arm in arms):
            mine = [a for a in arms if a.method == method and a.strength is not None]
            if len({a.strength for a in mine}) > 1:
                note = " ".join(
                    dose_told(each)
                    for each in doses
                    if set(each["cells"]) <= {a.cell for a in mine}
                    and (each["aspect"], each["protocol"], each["moment"])
                    == (aspect, protocol, moment)
                )
                found.append(replace(dose(grid, aspect, protocol, moment, mine), note=note))
    for aspect, protocol in places[:1]:
        arms = arms_of(grid, aspect, protocol, moment, cells)
        for arm in (arm for arm in arms if arm.series != CONTROL):
            about = [
                row
                for row in held
                if (row.cell, row.moment, row.aspect, row.protocol)
                == (arm.cell, moment, aspect, protocol)
            ]
            if (figure := pair_by_pair(grid, arm, about)) is not None:
                found.append(figure)
    return found


def dose_told(dose: Mapping[str, Any]) -> str:
    """The numbers of a dose-response in a sentence."""

    def share(value: Mapping[str, Any]) -> str:
        mean, low, high = (value[k] for k in ("mean", "low", "high"))
        return f"{100 * mean:.0f} %" + (
            "" if low is None else f" ({100 * low:.0f}–{100 * high:.0f})"
        )

    def number(value: Mapping[str, Any]) -> str:
        if value["mean"] is None:
            return "none"
        mean, low, high = value["mean"], value["low"], value["high"]
        return signed(mean) + ("" if low is None else f" ({signed(low)} to {signed(high)})")

    steps = ", ".join(f"{strength:g}" for strength in dose["strengths"])
    of_pairs = dose["response"] == "margin-shift"
    what, unit, of = ("the margin", f" {NATS}", "pairs") if of_pairs else ("z_per", "", "topics")
    return (
        f"Each unit of strength moves {what} by {number(dose['slope'])}{unit}; it rises with every "
        f"step ({steps}) in {share(dose['rising'])} of {dose['n']} {of}; rank correlation within {of} "
        f"{number(dose['spearman'])}."
    )


def plane(grid: Grid, aspect: str, protocol: str, moment: Moment, arms: Sequence[Arm]) -> Figure:
    """Suppression across, promotion upward, with intervals: a labelled dot per arm.

    Right of the dashed line the wanted choice gained on the other. Below zero on the right, both
    became less likely. Strengths of one method are joined.
    """
    x_low, x_high = _domain(arms, SUPPRESSION)
    y_low, y_high = _domain(arms, PROMOTION)
    labels = _labels(arms, (x_low, x_high), (y_low, y_high))
    values = [
        {
            "arm": arm.label, "method": arm.series, "rest": arm.rest, "strength": arm.strength,
            "x": arm.mean(SUPPRESSION), "x_low": arm.low(SUPPRESSION), "x_high": arm.high(SUPPRESSION),
            "y": arm.mean(PROMOTION), "y_low": arm.low(PROMOTION), "y_high": arm.high(PROMOTION),
            "label": label, "label_y": y, "n": arm.values[PROMOTION].n,
            "promotion": with_interval(arm.values[PROMOTION]), "suppression": with_interval(arm.values[SUPPRESSION]),
            "margin": with_interval(arm.values[MARGIN]),
        }
        for arm, (label, y) in zip(arms, labels, strict=True)
    ]  # fmt: skip
    x = _axis("x", f"suppression, {NATS}", (x_low, x_high))
    y = _axis("y", f"promotion, {NATS}", (y_low, y_high))
    colour = _by_method(arms)
    thin: Spec = {"type": "rule", "strokeWidth": 6, "opacity": 0.2, "strokeCap": "round"}
    layers: list[Spec] = [
        _zero("x", x), _zero("y", y), _even(x, y, (x_low, x_high), (y_low, y_high)),
        _corner("both as wanted", right=True, top=True),
        _corner("both less likely", right=True, top=False),
        _corner("both likelier", right=False, top=True),
        {
            "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.55},
            "encoding": {
                "x": x, "y": y, "color": colour, "order": {"field": "strength", "type": "quantitative"},
                "detail": {"field": "rest"},
            },
        },
        {
            "mark": thin,
            "encoding": {"x": {**x, "field": "x_low"}, "x2": {"field": "x_high"}, "y": y, "color": colour},
        },
        {
            "mark": thin,
            "encoding": {"x": x, "y": {**y, "field": "y_low"}, "y2": {"field": "y_high"}, "color": colour},
        },
        {
            "mark": {"type": "circle", "size": 90, "opacity": 1},
            "encoding": {
                "x": x, "y": y, "color": colour,
                "tooltip": [
                    {"field": "arm", "title": "Method"},
                    {"field": "promotion", "title": "Promotion"},
                    {"field": "suppression", "title": "Suppression"},
                    {"field": "margin", "title": "Margin shift"},
                    {"field": "n", "title": "n"},
                ],
            },
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 9},
            "encoding": {"x": x, "y": {**y, "field": "label_y"}, "text": {"field": "label"}},
        },
    ]  # fmt: skip
    return _figure(
        ("plane", grid, aspect, protocol, moment),
        f"Promotion and suppression · {words.aspect_title(aspect).lower()} · {words.protocol(protocol)}",
        f"{grid.title}. One dot per method and strength.",
        arms,
        {"height": HEIGHT, "data": {"values": values}, "layer": layers},
        broad=True,
    )


def dose(grid: Grid, aspect: str, protocol: str, moment: Moment, arms: Sequence[Arm]) -> Figure:
    """Strength across; promotion, suppression and their sum upward, a line each, with intervals."""
    titles = {MARGIN: "margin shift", PROMOTION: "promotion", SUPPRESSION: "suppression"}
    values = [
        {
            "strength": arm.strength, "series": title, "rest": arm.rest, "arm": arm.label,
            "mean": arm.mean(metric), "low": arm.low(metric), "high": arm.high(metric),
            "told": with_interval(arm.values[metric]), "n": arm.values[metric].n,
        }
        for arm in arms
        for metric, title in titles.items()
    ]  # fmt: skip
    x: Spec = {
        "field": "strength", "type": "quantitative", "title": "strength",
        "axis": {"grid": False, "labelFlush": False, "format": ".3~g", "values": sorted({a.strength or 0.0 for a in arms})},
    }  # fmt: skip
    y = numbers("mean", NATS)
    domain = list(titles.values())
    colour: Spec = {
        "field": "series", "type": "nominal", "scale": {"domain": domain, "range": "category"},
        "legend": {"title": None, "symbolSize": 80, "symbolOpacity": 1},
    }  # fmt: skip
    shape: Spec = {
        **colour, "scale": {"domain": domain, "range": ["diamond", "circle", "square"]},
    }  # fmt: skip
    detail = {"field": "rest"}
    layers: list[Spec] = [
        _zero("y", y),
        {
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {"x": x, "y": y, "color": colour, "detail": detail},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 6, "opacity": 0.2, "strokeCap": "round"},
            "encoding": {
                "x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {
                "x": x, "y": y, "color": colour, "shape": shape,
                "tooltip": [
                    {"field": "arm", "title": "Method"},
                    {"field": "series", "title": "Number"},
                    {"field": "told", "title": "Mean"},
                    {"field": "n", "title": "n"},
                ],
            },
        },
    ]  # fmt: skip
    method = arms[0].method
    return _figure(
        ("dose", grid, aspect, protocol, f"{moment}-{method}"),
        f"{method} by strength · {words.aspect_title(aspect).lower()}",
        f"{grid.title}, {words.protocol(protocol)}. Everything else of the method's settings is equal "
        "along a line.",
        arms,
        {"height": 240, "data": {"values": values}, "layer": layers},
    )


def _figure(
    key: tuple[str, Grid, str, str, str],
    title: str,
    what: str,
    arms: Sequence[Arm],
    body: Spec,
    *,
    broad: bool = False,
) -> Figure:
    kind, grid, *rest = key
    said = "; ".join(
        f"{arm.label} promotion {signed(arm.mean(PROMOTION))}, suppression {signed(arm.mean(SUPPRESSION))}"
        for arm in arms[:12]
    )
    more = "; the table has the rest" if len(arms) > 12 else ""
    told = f"{title}. {what} {said}{more}."
    return Figure(
        id=ident(kind, grid, *rest),
        title=title,
        description=told,
        spec={
            "$schema": SCHEMA,
            "description": told,
            "title": {"text": title},
            "width": "container",
            **body,
        },
        headers=("Method", "Promotion", "Suppression", "Margin shift", "n"),
        rows=tuple(
            (
                arm.label,
                *(with_interval(arm.values[metric]) for metric in MEASURED),
                str(arm.values[PROMOTION].n),
            )
            for arm in arms
        ),
        broad=broad,
    )


def _domain(arms: Sequence[Arm], metric: str) -> tuple[float, float]:
    """Around every interval, with zero well inside."""
    low = min(0.0, *(arm.low(metric) for arm in arms))
    high = max(0.0, *(arm.high(metric) for arm in arms))
    edge = EDGE * ((high - low) or 1.0)
    return low - edge, high + edge


def _axis(field: str, title: str, domain: tuple[float, float]) -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"domain": list(domain), "nice": False},
        "axis": {"tickCount": 6, "labelFlush": False},
    }


def _zero(channel: str, axis: Spec) -> Spec:
    """A line at 0 of one axis."""
    return {
        "data": {"values": [{"zero": 0}]},
        "mark": {"type": "rule", "style": "connector", "strokeWidth": 1.5},
        "encoding": {channel: {**axis, "field": "zero"}},
    }


def _even(x: Spec, y: Spec, across: tuple[float, float], upward: tuple[float, float]) -> Spec:
    """The dashed line on which promotion and suppression cancel out, as far as it is in the frame."""
    start, end = max(across[0], -upward[1]), min(across[1], -upward[0])
    return {
        "data": {"values": [{"x": start, "y": -start, "x_end": end, "y_end": -end}]},
        "mark": {"type": "rule", "style": "connector", "strokeDash": [4, 4]},
        "encoding": {"x": x, "y": y, "x2": {"field": "x_end"}, "y2": {"field": "y_end"}},
    }


def _corner(text: str, *, right: bool, top: bool) -> Spec:
    return {
        "data": {"values": [{"text": text}]},
        "mark": {
            "type": "text",
            "style": "note",
            "align": "right" if right else "left",
            "baseline": "top" if top else "bottom",
            "dx": -6 if right else 6,
            "dy": 6 if top else -6,
        },
        "encoding": {
            "text": {"field": "text"},
            "x": {"value": "width" if right else 0},
            "y": {"value": 0 if top else "height"},
        },
    }


def _by_method(arms: Sequence[Arm]) -> Spec:
    """A colour per method, one for all controls: the first of the theme, elsewhere the baseline's."""
    there = dict.fromkeys(a.series for a in arms)
    methods = [series for series in there if series != CONTROL]
    return {
        "field": "method",
        "type": "nominal",
        "scale": {"domain": [CONTROL, *methods], "range": "category"},
        "legend": {
            "title": None,
            "symbolSize": 80,
            "symbolOpacity": 1,
            "symbolType": "circle",
            "values": list(there),
        },
    }


def _labels(
    arms: Sequence[Arm], across: tuple[float, float], upward: tuple[float, float]
) -> list[tuple[str, float]]:
    """What stands beside each dot, and how high: the arm's name, of joined strengths the strongest's.
    Names of dots that are near each other are kept apart."""
    strongest = {(a.method, a.rest): a for a in sorted(arms, key=lambda a: abs(a.strength or 0.0))}
    named = [
        i
        for i, a in enumerate(arms)
        if a.series != CONTROL and (a.strength is None or a in strongest.values())
    ]
    many = {a.method for a in arms if len({b.strength for b in arms if b.method == a.method}) > 1}
    named.sort(key=lambda i: arms[i].mean(SUPPRESSION))
    heights = [a.mean(PROMOTION) for a in arms]
    near, gap = 110 / WIDTH * (across[1] - across[0]), LABEL / HEIGHT * (upward[1] - upward[0])
    groups: list[list[int]] = []
    for i in named:
        if groups and arms[i].mean(SUPPRESSION) - arms[groups[-1][-1]].mean(SUPPRESSION) < near:
            groups[-1].append(i)
        else:
            groups.append([i])
    for group in groups:
        placed = spread([heights[i] for i in group], gap, *upward)
        for i, y in zip(group, placed, strict=True):
            heights[i] = y
    return [
        (_name(a, a.method in many) if i in named else "", y)
        for i, (a, y) in enumerate(zip(arms, heights, strict=True))
    ]


def _name(arm: Arm, by_strength: bool) -> str:
    return f"{arm.method} {arm.strength:g}" if by_strength and arm.strength else arm.label
