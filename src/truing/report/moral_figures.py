"""Figures of behaviour edits: how far one edit spreads, and moral accuracy before and after.

After the impact figures of Huang et al. 2025 (arXiv 2506.20606), with strict accuracy and intervals.
"""

from __future__ import annotations

from collections.abc import Sequence

from truing.report.figures import STEP, Figure
from truing.report.marks import SCHEMA, share_axis, spread
from truing.report.moral_table import points, share
from truing.report.morals import IMPACT, MORAL, MoralArm
from truing.report.theme import Spec

BEFORE, AFTER = "before", "after"
WHERE = {MORAL: "edited scenario", IMPACT: "elsewhere"}
HEIGHT, LABEL = 300, 16
"""Pixels: the plane, and the height of a label in it."""

SIGNED = "datum.value == 0 ? '0' : format(datum.value, '+.0%')"


def how_far(key: Sequence[str], arms: Sequence[MoralArm]) -> Figure | None:
    """Efficacy across, change of strict moral accuracy in other scenarios upward: a labelled dot per
    arm with both intervals. An edit that holds and stays where it was made stands at the right, on
    the dashed line. Colours tell models apart. ``None`` without such arms."""
    values: list[Spec] = []
    rows = []
    several = len({arm.model for arm in arms}) > 1
    for arm in arms:
        answers = arm.answers.get(IMPACT)
        change = None if answers is None else answers.change
        if arm.baseline or arm.control or arm.edits is None or change is None:
            continue
        efficacy = arm.edits.efficacy
        if efficacy.mean is None or change.delta is None:
            continue
        x, y = share(efficacy), points(change)
        values.append(
            {
                "arm": arm.label, "model": arm.model,
                "x": efficacy.mean, "x_low": _or(efficacy.low, efficacy.mean),
                "x_high": _or(efficacy.high, efficacy.mean),
                "y": change.delta, "y_low": _or(change.low, change.delta),
                "y_high": _or(change.high, change.delta),
                "efficacy": f"{x.text} ({x.range})", "change": f"{y.text} points ({y.range})",
            }
        )  # fmt: skip
        rows.append((arm.model, arm.label, x.text, x.range, y.text, y.range, str(change.n_pairs)))
    if not values:
        return None
    low = min(-0.1, *(v["y_low"] for v in values)) - 0.05
    high = max(0.1, *(v["y_high"] for v in values)) + 0.05
    places = spread([v["y"] for v in values], (high - low) * LABEL / HEIGHT, low, high)
    for value, place in zip(values, places, strict=True):
        value["label_y"] = place
    across = share_axis("x", "efficacy: the answer is the edit's target")
    x_of: Spec = {**across, "scale": {"domain": [0, 1.3], "nice": False}}
    y_of: Spec = {
        "field": "y",
        "type": "quantitative",
        "title": "change of moral accuracy elsewhere",
        "scale": {"domain": [low, high], "nice": False},
        "axis": {"labelExpr": SIGNED, "tickCount": 5, "labelFlush": False},
    }
    colour = _colour([arm.model for arm in arms], several)
    thin: Spec = {"type": "rule", "strokeWidth": 6, "opacity": 0.2, "strokeCap": "round"}
    layers: list[Spec] = [
        {
            "data": {"values": [{"zero": 0}]},
            "mark": {"type": "rule", "style": "connector", "strokeDash": [4, 4]},
            "encoding": {"y": {**y_of, "field": "zero"}},
        },
        {
            "mark": thin,
            "encoding": {"x": {**x_of, "field": "x_low"}, "x2": {"field": "x_high"}, "y": y_of, "color": colour},
        },
        {
            "mark": thin,
            "encoding": {"x": x_of, "y": {**y_of, "field": "y_low"}, "y2": {"field": "y_high"}, "color": colour},
        },
        {
            "mark": {"type": "circle", "size": 110, "opacity": 1},
            "encoding": {
                "x": x_of, "y": y_of, "color": colour,
                "tooltip": [
                    {"field": "model", "title": "Model"},
                    {"field": "arm", "title": "Arm"},
                    {"field": "efficacy", "title": "Efficacy"},
                    {"field": "change", "title": "Change elsewhere"},
                ],
            },
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 10, "fontWeight": 600},
            "encoding": {"x": x_of, "y": {**y_of, "field": "label_y"}, "text": {"field": "arm"}},
        },
    ]  # fmt: skip
    title = "How far one edit spreads"
    told = (
        f"{title}. Efficacy of the edits across, change of strict moral accuracy in other scenarios "
        "upward, in percentage points. "
        + "; ".join(f"{v['model']}, {v['arm']} {v['efficacy']}, {v['change']}" for v in values)
        + "."
    )
    spec: Spec = {
        "$schema": SCHEMA, "description": told, "title": {"text": title, "frame": "bounds"}, "width": "container",
        "height": HEIGHT, "data": {"values": values}, "layer": layers,
    }  # fmt: skip
    headers = ("Model", "Arm", "Efficacy", "Interval · n", "Change elsewhere", "Interval", "Pairs")
    return Figure(_id("spread", key), title, told, spec, headers, tuple(rows))


def before_and_after(key: Sequence[str], aspect: str, arms: Sequence[MoralArm]) -> Figure | None:
    """Strict moral accuracy of every arm as two bars, before its edits and after, with
    intervals; several models stand one below the other. ``None`` where nothing was asked."""
    several = len({arm.model for arm in arms}) > 1
    base = {arm.model: arm.answers.get(aspect) for arm in arms if arm.baseline}
    values: list[Spec] = []
    rows = []
    for arm in arms:
        if arm.baseline or arm.control:
            continue
        for when, answers in ((BEFORE, base.get(arm.model)), (AFTER, arm.answers.get(aspect))):
            v = None if answers is None else answers.strict
            if v is None or v.mean is None:
                continue
            shown = share(v)
            values.append(
                {
                    "arm": _name(arm, several), "when": when, "mean": v.mean,
                    "low": _or(v.low, v.mean), "high": _or(v.high, v.mean),
                    "shown": shown.text, "range": shown.range,
                }
            )  # fmt: skip
            rows.append((_name(arm, several), when, shown.text, shown.range))
    if not values:
        return None
    names = list(dict.fromkeys(v["arm"] for v in values))
    y: Spec = {
        "field": "arm", "type": "nominal", "title": None, "sort": names,
        "scale": {"domain": names, "paddingInner": 0.32},
        "axis": {"grid": False, "labelPadding": 14},
    }  # fmt: skip
    offset: Spec = {"field": "when", "sort": [BEFORE, AFTER], "scale": {"paddingInner": 0.15}}
    x = share_axis("mean")
    colour: Spec = {
        "field": "when", "type": "nominal",
        "scale": {"domain": [BEFORE, AFTER], "range": "category"},
        "legend": {"title": None, "symbolType": "square", "symbolOpacity": 1},
    }  # fmt: skip
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "cornerRadiusEnd": 3, "fillOpacity": 0.4},
            "encoding": {
                "y": y, "yOffset": offset, "x": x, "color": colour,
                "tooltip": [
                    {"field": "arm", "title": "Arm"},
                    {"field": "when", "title": "When"},
                    {"field": "shown", "title": "Strict moral accuracy"},
                    {"field": "range", "title": "Interval"},
                ],
            },
        },
        {
            "mark": {"type": "rule", "strokeWidth": 2.5},
            "encoding": {
                "y": y, "yOffset": offset, "color": colour,
                "x": {**x, "field": "low"}, "x2": {"field": "high"},
            },
        },
    ]  # fmt: skip
    title = f"Moral accuracy, {WHERE[aspect]}"
    told = (
        f"{title}. Share of all answers that are right, before any edit and under each arm. "
        + "; ".join(f"{v['arm']} {v['when']} {v['shown']}" for v in values[:24])
        + "."
    )
    spec: Spec = {
        "$schema": SCHEMA, "description": told, "title": {"text": title, "frame": "bounds"}, "width": "container",
        "height": int(1.25 * STEP * len(names)), "data": {"values": values}, "layer": layers,
    }  # fmt: skip
    headers = ("Arm", "When", "Strict", "Interval · n")
    ident = _id(f"morals-{aspect}", key)
    return Figure(ident, title, told, spec, headers, tuple(rows), broad=several)


def _name(arm: MoralArm, several: bool) -> str:
    return f"{arm.label} · {arm.model.rpartition('/')[2]}" if several else arm.label


def _or(x: float | None, otherwise: float) -> float:
    return otherwise if x is None else x


def _colour(models: Sequence[str], several: bool) -> Spec:
    names = list(dict.fromkeys(models))
    if not several:
        names = ["", *names]
    return {
        "field": "model",
        "type": "nominal",
        "scale": {"domain": names, "range": "category"},
        "legend": {"title": None, "symbolOpacity": 1} if several else None,
    }


def _id(kind: str, key: Sequence[str]) -> str:
    return "-".join("".join(ch if ch.isalnum() else "_" for ch in part) for part in (kind, *key))
