"""The arms of a grid side by side: what each did to the two texts, to the model, and to its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report import words
from truing.report.arms import CONTROL, MARGIN, MEASURED, PROMOTION, SUPPRESSION, Arm, arms_of
from truing.report.arms import with_interval as told
from truing.report.grid import Cells, Column, Grid
from truing.types import Measure, Moment

HEADERS = (
    "Arm",
    "Margin shift",
    "Promotion",
    "Suppression",
    "KL, first token",
    "KL, neutral text",
    "Capability",
    "Fluency",
    "What it touched",
)
NOT_MEASURED = "·"


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One row of the table: texts in the order of ``HEADERS``. ``warnings`` in words; ``degenerate``:
    its numbers count for nothing."""

    cells: tuple[str, ...]
    control: bool
    degenerate: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArmTable:
    """The arms of one aspect and protocol, best margin shift first, and the controls apart, unranked.
    ``verdicts`` are an arm's name, what it comes to, and whether that is a success."""

    title: str
    arms: tuple[ArmLine, ...]
    controls: tuple[ArmLine, ...]
    verdicts: tuple[tuple[str, str, bool], ...]


def arm_tables(
    grid: Grid, moment: Moment, cells: Cells, metas: Sequence[Mapping[str, Any]]
) -> list[ArmTable]:
    """One per aspect and protocol with two choices."""
    asked = sorted(
        {(c.aspect, c.protocol) for c in grid.columns if c.metric == PROMOTION},
        key=lambda place: (words.aspect_order(place[0]), place[1]),
    )
    effects = {k: v for meta in metas for k, v in meta.get("effects", {}).items()}
    judged = [arm for meta in metas for arm in meta.get("arms", ())]
    tables = []
    for aspect, protocol in asked:
        arms = arms_of(grid, aspect, protocol, moment, cells)
        arms.sort(key=lambda arm: -arm.mean(MARGIN))
        lines = [(arm, _line(grid, arm, moment, effects.get(arm.cell))) for arm in arms]
        here = {arm.cell for arm in arms}
        tables.append(
            ArmTable(
                f"{words.aspect_title(aspect)} · {words.protocol(protocol)}",
                tuple(line for arm, line in lines if arm.series != CONTROL),
                tuple(line for arm, line in lines if arm.series == CONTROL),
                tuple(
                    (
                        str(verdict["arm"]),
                        str(verdict["told"]).removeprefix(f"{verdict['arm']}: "),
                        bool(verdict["success"]),
                    )
                    for verdict in judged
                    if verdict["cell"] in here
                    and (verdict["aspect"], verdict["protocol"]) == (aspect, protocol)
                ),
            )
        )
    return [table for table in tables if table.arms]


def _line(grid: Grid, arm: Arm, moment: Moment, effect: Mapping[str, Any] | None) -> ArmLine:
    found = {
        c: m
        for line in grid.lines
        for c in grid.columns
        if c.moment == moment and (m := grid.at(line, c)) is not None and m.cell == arm.cell
    }
    capability = [
        _share(m, c.aspect.partition("/")[2])
        for c, m in found.items()
        if c.aspect.startswith("capability/") and c.kind() == "score"
    ]
    fluent = [m for c, m in found.items() if c.metric == "fluent-rate" and _free(c)]
    seen = effect or {}
    return ArmLine(
        (
            arm.label,
            *(told(arm.values[metric]) for metric in (MARGIN, PROMOTION, SUPPRESSION)),
            *(_nats(seen.get(name)) for name in ("first", "neutral")),
            "; ".join(capability) or NOT_MEASURED,
            _share(fluent[0]) if fluent else NOT_MEASURED,
            _touched(seen),
        ),
        arm.series == CONTROL,
        any("degenerate" in m.flags for c, m in found.items() if c.metric in MEASURED),
        tuple(seen.get("warnings", ())),
    )


def _free(column: Column) -> bool:
    return not column.aspect.startswith("capability/")


def _share(m: Measure, name: str = "") -> str:
    """``micro 62 % (−3)``: a share and, in percentage points, how it differs from the base model."""
    if m.value.mean is None:
        return NOT_MEASURED
    delta = m.versus.delta if m.versus is not None else None
    change = "" if delta is None else f" ({round(100 * delta):+d})".replace("-", "−")
    return f"{name} {words.percent(m.value.mean)}{change}".strip()


def _nats(divergence: Mapping[str, Any] | None) -> str:
    return NOT_MEASURED if not divergence else f"{divergence['nats']:.2g}"


def _touched(effect: Mapping[str, Any]) -> str:
    """``resid_post[2]: 12 of 127 tokens read, 84 of 84 written, by 0.29 of their length``."""
    places = []
    for f in effect.get("fired", ()):
        read, written = f["prefill"], f["decode"]
        moved = "" if f["moved"] is None else f", by {f['moved']:.2g} of their length"
        places.append(
            f"{f['site']}[{f['layer']}]: {read['changed']} of {read['tokens']} tokens read, "
            f"{written['changed']} of {written['tokens']} written{moved}"
        )
    return "; ".join(places) or NOT_MEASURED
