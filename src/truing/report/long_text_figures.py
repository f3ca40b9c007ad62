"""What long texts name before and after an edit, and which flaws they have more or less of.

After sections 4 and 5 of Halevy et al. 2024 (arXiv 2403.00180).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from truing.report import words
from truing.report.figures import Figure
from truing.report.marks import RING, SCHEMA, share_axis, signed_points
from truing.report.people import Flawed, Named
from truing.report.theme import Spec
from truing.types import Value

ROW = 44
BAR = 24
"""Pixels: the height of a line with two marks, and of one with a bar."""
BEFORE, AFTER = "before", "after"
MORE, LESS = "more", "less"
OPEN = "open"


def names(key: Sequence[str], found: Sequence[Named], labels: Mapping[str, str]) -> Figure | None:
    """Share of texts that name a right answer, or the edit, as rings before and dots after, with
    intervals. ``labels`` are the arms' names by cell. ``None`` without texts."""
    values: list[Spec] = []
    rows = []
    for one in found:
        line = f"{labels[one.cell]} · {one.wording or OPEN} · {one.sought}"
        for when, v in ((BEFORE, one.naming.before), (AFTER, one.naming.after)):
            if v.mean is not None:
                values.append({"line": line, "when": when, "n": v.n, **_share(v, v.mean)})
        rows.append(_named(labels[one.cell], one))
    if not values:
        return None
    order = list(dict.fromkeys(v["line"] for v in values))
    y: Spec = {
        "field": "line", "type": "nominal", "title": None, "sort": order, "scale": {"domain": order},
        "axis": {"grid": False, "labelLimit": 260, "labelPadding": 14},
    }  # fmt: skip
    offset: Spec = {"field": "when", "sort": [BEFORE, AFTER], "scale": {"paddingInner": 0.4, "paddingOuter": 0.6}}  # fmt: skip
    series: Spec = {
        "field": "when",
        "type": "nominal",
        "legend": {"title": None, "symbolOpacity": 1},
    }
    colour = {**series, "scale": {"domain": [BEFORE, AFTER], "range": "category"}}
    x = share_axis("mean", "texts")
    layers: list[Spec] = [
        {
            "mark": {"type": "rule", "strokeWidth": 8, "opacity": 0.24, "strokeCap": "round"},
            "encoding": {
                "y": y, "yOffset": offset, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 100, "opacity": 1},
            "encoding": {
                "y": y, "yOffset": offset, "x": x, "color": colour,
                "shape": {**series, "scale": {"domain": [BEFORE, AFTER], "range": [RING, "circle"]}},
                "tooltip": [
                    {"field": "line", "title": "Texts"},
                    {"field": "when", "title": "When"},
                    {"field": "shown", "title": "Name it"},
                    {"field": "range", "title": "Interval"},
                    {"field": "n", "title": "n"},
                ],
            },
        },
    ]  # fmt: skip
    title = "Long texts that name the answer, or the edit"
    said = f"{title}, shares before and after. " + "; ".join(
        f"{v['line']} {v['when']} {v['shown']}" for v in values[:24]
    )
    spec: Spec = {
        "$schema": SCHEMA, "description": f"{said}.", "title": {"text": title, "frame": "bounds"},
        "width": "container", "height": ROW * len(order), "data": {"values": values}, "layer": layers,
    }  # fmt: skip
    headers = ("Arm", "Prompt", "Names the", "n", "Before", "After", "Change", "p", "Answer unknown", "Published rule")  # fmt: skip
    return Figure(_id("names", key), title, f"{said}.", spec, headers, tuple(rows), broad=True)


def flaws(key: Sequence[str], label: str, found: Sequence[Flawed]) -> Figure | None:
    """Shares of texts with more of a flaw to the right, with less to the left, by flaw and rater, and the
    difference with its interval as a diamond; a panel per kind of prompt. Raters who find neither more nor
    less are in the table alone. ``None`` where that is all of them."""
    values: list[Spec] = []
    rows = []
    for one in found:
        prompt = one.wording or OPEN
        for s in one.shifts:
            net = s.net
            span = _signed_span(net.low, net.high)
            p = net.p if net.p_adjusted is None else net.p_adjusted
            shown = "·" if net.delta is None else signed_points(net.delta)
            counts = map(str, (s.more, s.same, s.less, s.unsaid))
            rows.append(
                (
                    prompt,
                    s.flaw,
                    s.rater,
                    *counts,
                    shown,
                    span,
                    "·" if p is None else words.p_text(p),
                )
            )
            for what, share in ((MORE, s.more), (LESS, -s.less)):
                if s.n:
                    values.append(
                        {
                            "prompt": prompt, "line": f"{s.flaw} · {s.rater}", "what": what,
                            "share": share / s.n, "net": net.delta,
                            "low": net.delta if net.low is None else net.low,
                            "high": net.delta if net.high is None else net.high,
                            "shown": f"{s.more} more, {s.same} as much, {s.less} less", "range": span or "none",
                        }
                    )  # fmt: skip
    told = {v["line"] for v in values if v["share"]}
    values = [v for v in values if v["line"] in told]
    if not values:
        return None
    order = list(dict.fromkeys(v["line"] for v in values))
    widest = max(abs(v[end]) for v in values for end in ("share", "low", "high"))
    x: Spec = {
        "type": "quantitative", "title": "← less · texts · more →",
        "scale": {"domain": [-1.08 * widest, 1.08 * widest], "nice": False},
        "axis": {"labelExpr": "format(abs(datum.value), '.0%')", "tickCount": 5, "labelFlush": False},
    }  # fmt: skip
    y: Spec = {
        "field": "line", "type": "nominal", "title": None, "sort": order, "scale": {"domain": order},
        "axis": {"grid": False, "labelLimit": 260},
    }  # fmt: skip
    net_at = {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}}
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "fillOpacity": 0.45, "cornerRadiusEnd": 2},
            "encoding": {
                "y": y, "x": {**x, "field": "share", "stack": None},
                "color": {
                    "field": "what", "type": "nominal", "legend": None,
                    "scale": {"domain": ["", LESS, MORE], "range": "category"},
                },
                "tooltip": [
                    {"field": "line", "title": "Flaw and rater"},
                    {"field": "shown", "title": "Texts"},
                    {"field": "range", "title": "Net, interval"},
                ],
            },
        },
        {"mark": {"type": "rule", "style": "connector"}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
        {"mark": {"type": "rule", "style": "net", "strokeWidth": 2}, "encoding": net_at},
        {
            "mark": {"type": "point", "filled": True, "shape": "diamond", "size": 70, "opacity": 1, "style": "net"},
            "encoding": {"y": y, "x": {**x, "field": "net"}},
        },
    ]  # fmt: skip
    title = f"Flaws of long texts, after against before · {label}"
    said = f"{title}. " + "; ".join(
        f"{v['prompt']}, {v['line']}: {v['shown']}" for v in values[:48] if v["what"] == MORE
    )
    prompts = list(dict.fromkeys(v["prompt"] for v in values))
    spec: Spec = {
        "$schema": SCHEMA, "description": f"{said}.", "title": {"text": title, "frame": "bounds"},
        "data": {"values": values}, "columns": 2, "spacing": 30,
        "facet": {"field": "prompt", "type": "nominal", "sort": prompts, "title": None},
        "spec": {"width": 260 if len(prompts) > 1 else 420, "height": BAR * len(order), "layer": layers},
    }  # fmt: skip
    headers = ("Prompt", "Flaw", "Rater", "More", "As much", "Less", "Not said", "Net", "Interval", "p, corrected")  # fmt: skip
    note = (
        "Diamonds: share of more minus share of less, with its interval over cases. Who finds neither in "
        "any text is in the numbers alone."
    )
    return Figure(
        _id("flaws", key), title, f"{said}.", spec, headers, tuple(rows), broad=True, note=note
    )


def _share(v: Value, mean: float) -> Spec:
    return {
        "mean": mean, "low": mean if v.low is None else v.low, "high": mean if v.high is None else v.high,
        "shown": words.percent(mean), "range": words.interval(v, share=True) or "none",
    }  # fmt: skip


def _named(label: str, one: Named) -> tuple[str, ...]:
    naming = one.naming
    published = (
        "·" if naming.published is None else " → ".join(map(words.percent, naming.published))
    )
    p = naming.change.p
    return (
        label, one.wording or OPEN, one.sought, str(naming.after.n), _told(naming.before), _told(naming.after),
        "·" if naming.change.delta is None else signed_points(naming.change.delta),
        "·" if p is None else words.p_text(p), str(naming.unknown), published,
    )  # fmt: skip


def _told(v: Value) -> str:
    if v.mean is None:
        return "·"
    span = words.interval(v, share=True)
    return words.percent(v.mean) + (f" ({span})" if span else "")


def _signed_span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{signed_points(low)} to {signed_points(high)}"


def _id(kind: str, key: Sequence[str]) -> str:
    return "-".join("".join(ch if ch.isalnum() else "_" for ch in part) for part in (kind, *key))
