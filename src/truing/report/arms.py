"""Lines of a grid that moved two choices: what each did to the wanted text and to the other one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from truing.report.grid import Cells, Grid
from truing.types import Measure, Moment, Value

NATS = "nats per token"
PROMOTION, SUPPRESSION, MARGIN = "promotion", "suppression", "margin-shift"
MEASURED = (PROMOTION, SUPPRESSION, MARGIN)
CONTROL = "control"
CONTROLS = ("random_direction", "shuffled_pairs", "neutral_prefix")
"""Methods that are there to be compared with: one colour for all of them, and no names."""


def is_control(cell: Mapping[str, Any]) -> bool:
    """Whether a cell, as the manifest describes it, is there to be compared with."""
    return bool(cell.get("control_of")) or cell.get("registered") in CONTROLS


def without_controls(grid: Grid, cells: Cells) -> Grid:
    """The grid without its lines of controls."""
    of = {line: m.cell for (line, _), m in grid.places.items()}
    kept = tuple(line for line in grid.lines if not is_control(cells.get(of[line], {})))
    places = {(line, c): m for (line, c), m in grid.places.items() if line in kept}
    there = {c for _, c in places}
    return replace(
        grid, lines=kept, columns=tuple(c for c in grid.columns if c in there), places=places
    )


@dataclass(frozen=True, slots=True)
class Arm:
    """One line of a grid that moved two choices. ``strength`` is its method's setting of that name;
    ``rest`` are its other settings, which arms of one dose-response share. ``control``: it is there to be
    compared with."""

    label: str
    cell: str
    method: str
    strength: float | None
    rest: str
    values: Mapping[str, Value]
    control: bool = False

    @property
    def series(self) -> str:
        """What arms of one colour have in common."""
        return CONTROL if self.control else self.method

    def mean(self, metric: str) -> float:
        return self.values[metric].mean or 0.0

    def low(self, metric: str) -> float:
        low = self.values[metric].low
        return self.mean(metric) if low is None else low

    def high(self, metric: str) -> float:
        high = self.values[metric].high
        return self.mean(metric) if high is None else high


def arms_of(grid: Grid, aspect: str, protocol: str, moment: Moment, cells: Cells) -> list[Arm]:
    """The grid's lines with all three numbers, the baseline left out."""
    columns = {
        c.metric: c
        for c in grid.columns
        if (c.aspect, c.protocol, c.moment) == (aspect, protocol, moment) and c.metric in MEASURED
    }
    arms = []
    for line in grid.lines:
        of = {name: m for name, c in columns.items() if (m := grid.at(line, c)) is not None}
        if line.method == "none" or len(of) < len(MEASURED):
            continue
        if all(m.value.mean is not None for m in of.values()):
            arms.append(_arm(line.label, of, cells))
    return arms


def ident(kind: str, grid: Grid, *rest: str) -> str:
    parts = (kind, grid.model, grid.benchmark, grid.regime, *rest)
    return "-".join("".join(ch if ch.isalnum() else "_" for ch in part) for part in parts)


def signed(x: float) -> str:
    """``+0.17``; no sign where nothing is left of the number."""
    text = f"{abs(x):.2f}"
    return text if float(text) == 0 else f"{'−' if x < 0 else '+'}{text}"


def with_interval(value: Value) -> str:
    """``+0.17 (+0.11 to +0.24)``."""
    mean = "—" if value.mean is None else signed(value.mean)
    if value.low is None or value.high is None:
        return mean
    return f"{mean} ({signed(value.low)} to {signed(value.high)})"


def _arm(label: str, of: Mapping[str, Measure], cells: Cells) -> Arm:
    one = next(iter(of.values()))
    cell = cells.get(one.cell, {})
    settings: dict[str, Any] = {"seed": cell.get("seed"), **dict(cell.get("config") or {})}
    strength = settings.pop("strength", None)
    return Arm(
        label,
        one.cell,
        str(cell.get("registered", one.method)),
        float(strength) if isinstance(strength, (int, float)) else None,
        ", ".join(f"{k} {v}" for k, v in sorted(settings.items())),
        {name: m.value for name, m in of.items()},
        is_control(cell),
    )
