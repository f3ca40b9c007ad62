"""How edits moved the model's confidence about other people, by their groups: means with intervals, and
every person before and after. One panel per arm.

After the pictures of Seesaw-CF (Halevy et al. 2024, arXiv 2403.00180), with intervals over people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from truing.report import words
from truing.report.arms import signed
from truing.report.figures import Figure
from truing.report.marks import SCHEMA
from truing.report.people import Axis, Group, PeopleArm
from truing.report.people_words import small
from truing.report.theme import Spec

LINE = 27
"""Pixels: the height of a group."""
FOREST = {1: 230, 2: 280, 3: 170}
SCATTER = {1: 330, 2: 330, 3: 240}
"""Pixels: the width of a panel, by how many stand beside one another."""
LEAST = 0.02
"""A picture reaches at least so far from its middle, so that rounding does not look like an effect."""
SIGNED = "datum.value === 0 ? '0' : format(datum.value, '+.2~g')"
NAMED = 7
"""So many groups have a colour of their own in the picture of people."""
MANY = 150
"""From so many points in a panel on they are small."""
REST = "others"
SHAPES = (
    "circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "triangle-right", "triangle-left",
)  # fmt: skip
HEADERS = (
    "Arm", "Group", "D", "Interval", "n", "To others", "Interval of it", "p, corrected", "p, alike",
    "Would be found",
)  # fmt: skip
PLAIN, DIFFERS = "", "differs"
SEEN = ("Arm", "Group", "Points", "Became surer", "Became less sure")
NONE = "·"


def forest(key: Sequence[str], axis: str, arms: Sequence[PeopleArm]) -> Figure | None:
    """Mean D by group with intervals, the mean of all people as a dashed line; groups that differ from the
    others after correction are diamonds and say so. ``None`` where nobody is grouped by ``axis``."""
    values: list[Spec] = []
    rows = []
    for arm, of in _on(axis, arms):
        mean = arm.record.mean.mean
        for group in of.groups:
            row = (arm.label, group.group, *told(group))
            rows.append(row)
            v = group.change
            if v.mean is not None:
                values.append(
                    {
                        "arm": _title(arm), "group": group.group, "mean": v.mean, "all": mean,
                        "low": v.mean if v.low is None else v.low, "high": v.mean if v.high is None else v.high,
                        "verdict": DIFFERS if group.differs else PLAIN, "n": v.n,
                        "shown": row[2], "range": row[3] or "none", "others": row[5],
                        "others_range": row[6] or "none", "p": row[7],
                    }
                )  # fmt: skip
    if not values:
        return None
    ends = [x for v in values for x in (v["low"], v["high"], v["all"])]
    low, high = min(-LEAST, *ends), max(LEAST, *ends)
    room = 0.06 * (high - low)
    x: Spec = {
        "field": "mean", "type": "quantitative", "title": "D",
        "scale": {"domain": [low - room, high + room], "nice": False},
        "axis": {"labelExpr": SIGNED, "tickCount": 4, "labelFlush": False, "labelOverlap": True},
    }  # fmt: skip
    names = sorted({v["group"] for v in values})
    y: Spec = {
        "field": "group", "type": "nominal", "title": None, "sort": names, "scale": {"domain": names},
        "axis": {"grid": False, "labelLimit": 150},
    }  # fmt: skip
    verdict: Spec = {"field": "verdict", "type": "nominal", "legend": None}
    kinds = ["baseline", PLAIN, DIFFERS]
    colour = {**verdict, "scale": {"domain": kinds, "range": "category"}}
    shape = {**verdict, "scale": {"domain": kinds, "range": ["circle", "circle", "diamond"]}}
    panel = FOREST[_columns(values)]
    plane: Spec = {
        "width": panel, "height": LINE * len(names),
        "layer": [
            {"mark": {"type": "rule", "style": "connector"}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}},
            {
                "mark": {"type": "rule", "style": "connector", "strokeDash": [4, 4], "strokeWidth": 1.5},
                "encoding": {"x": {**x, "field": "all", "aggregate": "min"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 8, "opacity": 0.3, "strokeCap": "round"},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 100, "opacity": 1},
                "encoding": {
                    "y": y, "x": x, "color": colour, "shape": shape,
                    "tooltip": [
                        {"field": "arm", "title": "Arm"},
                        {"field": "group", "title": "Group"},
                        {"field": "shown", "title": "D"},
                        {"field": "range", "title": "Interval"},
                        {"field": "n", "title": "n"},
                        {"field": "others", "title": "To others"},
                        {"field": "others_range", "title": "Interval of it"},
                        {"field": "p", "title": "p, corrected"},
                    ],
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 4, "fontWeight": 600},
                "encoding": {"y": y, "x": {"value": panel}, "text": {"field": "verdict"}},
            },
        ],
    }  # fmt: skip
    order = list(dict.fromkeys(v["arm"] for v in values))
    title = f"Change of confidence, D, by {axis}"
    said = f"{title}. " + "; ".join(
        f"{v['arm']}, {v['group']} {v['shown']}" + (" (differs)" if v["verdict"] else "")
        for v in values[:24]
    )
    note = "Dashed: the mean of all people." + (
        " Diamonds differ from the others after correction." if any(v["verdict"] for v in values) else ""
    )  # fmt: skip
    return _figure("forest", (*key, axis), title, said, plane, values, order, HEADERS, rows, note)


def scatter(key: Sequence[str], axis: str, arms: Sequence[PeopleArm]) -> Figure | None:
    """d of every person and case before the edit, across, and after it, upward: on the diagonal nothing
    changed, below it the model is less sure. Colours and shapes tell :data:`NAMED` groups apart, those
    that differ from the others first, then the largest. ``None`` without points."""
    seen = [(arm, p) for arm, _ in _on(axis, arms) for p in arm.record.points]
    if not seen:
        return None
    differ = {group.group for _, of in _on(axis, arms) for group in of.groups if group.differs}
    sizes = Counter(p.groups[axis][0] for _, p in seen if p.groups.get(axis))
    kept = sorted(sorted(sizes, key=lambda g: (g not in differ, -sizes[g], g))[:NAMED])
    values: list[Spec] = []
    for arm, p in seen:
        own = p.groups.get(axis, ())
        values.append(
            {
                "arm": _title(arm), "group": own[0] if own and own[0] in kept else REST,
                "groups": words.join(own) or "none", "person": p.person, "case": p.case,
                "before": p.before, "after": p.after,
            }
        )  # fmt: skip
    values.sort(key=lambda v: v["group"] != REST)
    ends = [v[when] for v in values for when in ("before", "after")]
    room = max(0.04 * (max(ends) - min(ends)), LEAST)
    domain = [min(ends) - room, max(ends) + room]
    plain: Spec = {
        "type": "quantitative", "scale": {"domain": domain, "nice": False},
        "axis": {"format": ".2~g", "tickCount": 5, "labelFlush": False, "labelOverlap": True},
    }  # fmt: skip
    x = {**plain, "field": "before", "title": "d before"}
    y = {**plain, "field": "after", "title": "d after"}
    labels = [REST, *kept]
    series: Spec = {
        "field": "group", "type": "nominal",
        "legend": {
            "title": None, "symbolOpacity": 1, "columns": 4,
            "values": [g for g in (*kept, REST) if any(v["group"] == g for v in values)],
        },
    }  # fmt: skip
    side = SCATTER[_columns(values)]
    plane: Spec = {
        "width": side, "height": side,
        "layer": [
            {
                "data": {"values": [{"from": domain[0], "to": domain[1]}]},
                "mark": {"type": "rule", "style": "connector", "strokeDash": [4, 4]},
                "encoding": {
                    "x": {**x, "field": "from"}, "x2": {"field": "to"},
                    "y": {**y, "field": "from"}, "y2": {"field": "to"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 46 if len(seen) < MANY * len(arms) else 26, "opacity": 0.75},
                "encoding": {
                    "x": x, "y": y,
                    "color": {**series, "scale": {"domain": labels, "range": "category"}},
                    "shape": {**series, "scale": {"domain": labels, "range": list(SHAPES)}},
                    "tooltip": [
                        {"field": "person", "title": "Person"},
                        {"field": "groups", "title": "Groups"},
                        {"field": "case", "title": "Case"},
                        {"field": "before", "title": "d before"},
                        {"field": "after", "title": "d after"},
                    ],
                },
            },
        ],
    }  # fmt: skip
    order = [_title(arm) for arm, _ in _on(axis, arms)]
    title = f"People before and after, by {axis}"
    rows = list(_sides(values, order, (*kept, REST)))
    said = f"{title}. " + "; ".join(
        f"{arm}, {group}: {n} points, {up} surer, {down} less sure" for arm, group, n, up, down in rows[:24]
    )  # fmt: skip
    note = "Dashed: as before. Below it the model is less sure of what is true of somebody."
    return _figure(
        "before-after", (*key, axis), title, said, plane, values, order, SEEN, rows, note
    )


def told(group: Group) -> tuple[str, ...]:
    """The cells of :data:`HEADERS` after the arm and the group."""
    v, test = group.change, group.test
    own = (NONE if v.mean is None else signed(v.mean), _span(v.low, v.high), str(v.n))
    if test is None or test.comparison.delta is None:
        return (*own, NONE, "", NONE, NONE, NONE)
    c = test.comparison
    return (
        *own,
        signed(test.comparison.delta),
        _span(c.low, c.high),
        NONE if c.p_adjusted is None else words.p_text(c.p_adjusted),
        NONE if test.equivalence is None else words.p_text(test.equivalence),
        NONE if c.detectable is None else small(c.detectable),
    )


def _span(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def _on(axis: str, arms: Sequence[PeopleArm]) -> Iterator[tuple[PeopleArm, Axis]]:
    for arm in arms:
        for of in arm.record.axes:
            if of.axis == axis:
                yield arm, of


def _title(arm: PeopleArm) -> str:
    return f"{arm.label} ⚑ degenerate" if arm.degenerate else arm.label


def _columns(values: Sequence[Spec]) -> int:
    panels = len({v["arm"] for v in values})
    return 2 if panels == 4 else min(3, panels)


def _sides(
    values: Sequence[Spec], arms: Sequence[str], groups: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    for arm in arms:
        for group in groups:
            ours = [v for v in values if (v["arm"], v["group"]) == (arm, group)]
            if ours:
                up = sum(v["after"] > v["before"] for v in ours)
                down = sum(v["after"] < v["before"] for v in ours)
                yield arm, group, str(len(ours)), str(up), str(down)


def _figure(
    kind: str,
    key: Sequence[str],
    title: str,
    said: str,
    plane: Spec,
    values: Sequence[Spec],
    names: Sequence[str],
    headers: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    note: str,
) -> Figure:
    spec: Spec = {
        "$schema": SCHEMA, "description": f"{said}.", "title": {"text": title, "frame": "bounds"},
        "data": {"values": list(values)}, "columns": _columns(values), "spacing": 56,
        "facet": {"field": "arm", "type": "nominal", "sort": list(names), "title": None},
        "spec": plane,
    }  # fmt: skip
    ident = "-".join("".join(ch if ch.isalnum() else "_" for ch in part) for part in (kind, *key))
    broad = _columns(values) > 1
    return Figure(ident, title, f"{said}.", spec, headers, tuple(rows), broad=broad, note=note)
