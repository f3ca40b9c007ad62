"""Which trait was asked for, and which one a classifier hears: one square of counts per arm.

After figure 3 of Mao et al. 2024 (arXiv 2310.02168).
"""

from __future__ import annotations

from collections.abc import Sequence

from truing.report import words
from truing.report.figures import Figure
from truing.report.marks import SCHEMA
from truing.report.personalities import EFFICACY, PersonaArm
from truing.report.theme import Spec

STEP = 46
NOTHING = "nothing"
"""What is said of an answer without probabilities."""


def confusion(
    key: Sequence[str], protocol: str, judge: str, arms: Sequence[PersonaArm]
) -> Figure | None:
    """Targets downward, what the classifier heard across, as shares of the target's answers with
    counts in the cells; a square per arm. ``None`` where no arm was heard."""
    values: list[Spec] = []
    rows = []
    names = []
    for arm in arms:
        heard = arm.at(EFFICACY, protocol, judge)
        if heard is None or arm.control:
            continue
        names.append(arm.label)
        counts = heard.shown[None].confusion
        said = sorted({label for by in counts.values() for label in by} | set(counts))
        for target, by in counts.items():
            total = sum(by.values())
            for label in said:
                count = by.get(label, 0)
                part = count / total if total else 0.0
                values.append(
                    {
                        "arm": arm.label, "target": target, "said": label or NOTHING, "n": count,
                        "share": part, "shown": f"{count} of {total} ({words.percent(part)})",
                    }
                )  # fmt: skip
                rows.append((arm.label, target, label or NOTHING, str(count), str(total)))
    if not values:
        return None
    labels = list(dict.fromkeys([v["target"] for v in values] + [v["said"] for v in values]))
    plane: Spec = {
        "width": STEP * len(labels), "height": STEP * len({v["target"] for v in values}),
        "layer": [
            {
                "mark": {"type": "rect", "stroke": None},
                "encoding": {
                    "color": {
                        "field": "share", "type": "quantitative", "legend": None,
                        "scale": {"domain": [0, 1], "scheme": "purples"},
                    },
                    "tooltip": [
                        {"field": "arm", "title": "Arm"},
                        {"field": "target", "title": "Target"},
                        {"field": "said", "title": "Heard"},
                        {"field": "shown", "title": "Answers"},
                    ],
                },
            },
            {
                "mark": {"type": "text", "fontWeight": 600},
                "encoding": {
                    "text": {"field": "n"},
                    "color": {"condition": {"test": "datum.share > 0.55", "value": "#ffffff"}, "value": "#1c1f26"},
                },
            },
        ],
        "encoding": {
            "x": {"field": "said", "type": "nominal", "sort": labels, "title": "heard",
                  "scale": {"domain": labels}, "axis": {"grid": False, "labelAngle": -40}},
            "y": {"field": "target", "type": "nominal", "sort": labels, "title": "target",
                  "axis": {"grid": False}},
        },
    }  # fmt: skip
    title = f"Target and what {judge} hears"
    told = f"{title}, counts by arm. " + "; ".join(
        f"{v['arm']}: {v['target']} heard as {v['said']} {v['shown']}" for v in values if v["n"]
    )
    spec: Spec = {
        "$schema": SCHEMA, "description": f"{told}.", "title": {"text": title, "frame": "bounds"},
        "data": {"values": values}, "columns": 4, "spacing": 26,
        "facet": {"field": "arm", "type": "nominal", "sort": names, "title": None},
        "spec": plane, "resolve": {"axis": {"x": "independent"}},
    }  # fmt: skip
    ident = "-".join(
        "".join(ch if ch.isalnum() else "_" for ch in part) for part in ("traits", *key, judge)
    )
    headers = ("Arm", "Target", "Heard", "Answers", "Of")
    return Figure(ident, title, f"{told}.", spec, headers, tuple(rows), broad=True)
