"""What the arms of a run come to: whether they did anything, beat their controls, or broke the model.

Made from measures and the manifest's account of the cells alone; kept in the summary's ``meta``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

import numpy as np

from truing.methods.steering.touched import Effect, together
from truing.runs.store import EditRecord
from truing.runs.tally import Tally
from truing.scoring.collapse import DEGENERATE, Signs, collapsed
from truing.scoring.dose import dose
from truing.scoring.observations import clusters_of
from truing.seeds import Seeds
from truing.types import Measure, Moment, Value

MARGIN, PROMOTION, SUPPRESSION, FLUENT = "margin-shift", "promotion", "suppression", "fluent-rate"
RESPONSES = (MARGIN, "z-per-shift")
"""What follows the strength of a method: of pairs, and of the opinions on a topic."""
Cells = Mapping[str, Mapping[str, Any]]
Reasons = dict[tuple[str, Moment, int], tuple[str, ...]]
TOGETHER = ("model", "benchmark", "regime")
"""What arms share that are compared."""


def effects_of(edits: Iterable[EditRecord]) -> dict[str, Effect]:
    """What was seen of each cell's interventions, taken together."""
    seen: dict[str, list[Effect]] = {}
    for edit in edits:
        if edit.effect is not None:
            seen.setdefault(edit.cell, []).append(edit.effect)
    return {cell: together(effects) for cell, effects in seen.items()}


def collapses(measures: Sequence[Measure], effects: Mapping[str, Effect]) -> Reasons:
    """Why each arm counts as degenerate, by (cell, moment, step). Arms are cells that moved two choices
    or acted on activations; others have no entry."""
    arms = {m.cell for m in measures if m.metric == PROMOTION}
    arms |= {cell for cell, effect in effects.items() if effect.fired}
    places: dict[tuple[str, Moment, int], dict[tuple[str, str], Signs]] = {}
    for m in measures:
        if m.cell not in arms or m.value.mean is None:
            continue
        of = places.setdefault((m.cell, m.moment, m.step), {})
        signs = of.get((m.aspect, m.protocol), Signs())
        if m.metric == PROMOTION:
            signs = replace(signs, promotion=m.value.mean)
        elif m.metric == SUPPRESSION:
            signs = replace(signs, suppression=m.value.mean)
        elif m.metric == FLUENT and m.versus is not None:
            signs = replace(signs, fluent=m.versus.delta)
        of[m.aspect, m.protocol] = signs
    found: Reasons = {}
    for where, of in places.items():
        neutral = effects[where[0]].neutral.nats if where[0] in effects else None
        reasons = [*collapsed(Signs(neutral=neutral))]
        for signs in of.values():
            reasons += collapsed(signs)
        if reasons:
            found[where] = tuple(dict.fromkeys(reasons))
    return found


def flagged(measures: Sequence[Measure], reasons: Reasons) -> list[Measure]:
    """The measures, those of degenerate arms marked as such."""
    return [
        replace(m, flags=(*m.flags, DEGENERATE)) if (m.cell, m.moment, m.step) in reasons else m
        for m in measures
    ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One arm beside its controls, by the margin shift. ``beaten`` of ``controls`` have an interval
    wholly below the arm's. ``best`` names the control that gained most. ``degenerate``: why the
    arm's numbers count for nothing."""

    cell: str
    arm: str
    aspect: str
    protocol: str
    moment: Moment
    shift: Value
    controls: int
    beaten: int
    best: str
    best_shift: Value | None
    degenerate: tuple[str, ...]

    @property
    def ahead(self) -> bool:
        """Whether its interval is wholly above that of every control."""
        return bool(self.controls) and self.beaten == self.controls

    @property
    def success(self) -> bool:
        """Whether it is ahead, its interval is wholly above zero, and the model still works."""
        return self.ahead and _low(self.shift) > 0 and not self.degenerate

    def __str__(self) -> str:
        told = f"{self.arm}: margin shift {_interval(self.shift)}"
        if self.degenerate:
            return f"{told}, but degenerate ({'; '.join(self.degenerate)}): no success"
        if self.best_shift is None:
            return f"{told}; it has no control"
        how = "beats" if self.ahead else "does not beat"
        best = f"{self.best}, {_interval(self.best_shift)}"
        rest = "" if self.success or not self.ahead else "; it is not above zero"
        if self.controls == 1:
            return f"{told} {how} its control: {best}{rest}"
        some = f"all {self.controls}" if self.ahead else f"{self.beaten} of {self.controls}"
        return f"{told} beats {some} controls; the best: {best}{rest}"


def verdicts(measures: Sequence[Measure], cells: Cells, reasons: Reasons) -> list[Verdict]:
    """One per steering arm (a cell with controls, or a degenerate one) and first place that has a
    margin shift: the aspect and the protocol that come first, at the last moment."""
    shifts = [m for m in measures if m.metric == MARGIN and m.value.mean is not None]
    first: dict[str, Measure] = {}
    for m in shifts:
        old = first.get(m.cell)
        if m.moment != "step" and (old is None or (m.moment, old.moment) == ("final", "immediate")):
            first[m.cell] = m
    at = {(m.cell, m.aspect, m.protocol, m.moment): m for m in shifts}
    of: dict[str, list[str]] = {}
    for ident, cell in cells.items():
        for arm in cell.get("control_of", ()):
            of.setdefault(arm, []).append(ident)
    found = []
    for ident, m in first.items():
        cell, why = cells.get(ident, {}), reasons.get((m.cell, m.moment, m.step), ())
        if cell.get("control_of") or cell.get("registered") == "none":
            continue
        places = [(c, m.aspect, m.protocol, m.moment) for c in of.get(ident, ())]
        controls = [at[place] for place in places if place in at]
        if not controls and not why:
            continue
        best = max(controls, key=lambda c: c.value.mean or 0.0, default=None)
        found.append(
            Verdict(
                ident, m.method, m.aspect, m.protocol, m.moment, m.value, len(controls),
                sum(_low(m.value) > _high(c.value) for c in controls),
                "" if best is None else best.method, None if best is None else best.value, why,
            )
        )  # fmt: skip
    return found


def doses(tally: Tally, cells: Cells) -> list[dict[str, Any]]:
    """Of every method that ran at several strengths with otherwise equal settings: how its response (the
    margin of pairs, the place of a trait's opinions) follows, at every place. Probes without a number at
    one of the strengths are left out."""
    groups: dict[tuple[str, ...], dict[float, str]] = {}
    for ident, cell in cells.items():
        config = dict(cell.get("config") or {})
        strength = config.pop("strength", None)
        if isinstance(strength, int | float) and not cell.get("control_of"):
            same = (*(str(cell.get(k)) for k in (*TOGETHER, "seed", "registered")), repr(config))
            groups.setdefault(same, {})[float(strength)] = ident
    found = []
    for key, of in groups.items():
        if len(of) < 2:
            continue
        start = next(iter(of.values()))
        for place in [p for p in tally.entries if p.cell == start]:
            rows = [tally.entries.get(place._replace(cell=cell), []) for cell in of.values()]
            response = next((r for r in RESPONSES if any(r in e.readings for e in rows[0])), MARGIN)
            read = [
                {(e.row.case, e.row.probe): e.readings.get(response) for e in entries}
                for entries in rows
            ]
            pairs = [pair for pair in read[0] if all(r.get(pair) is not None for r in read)]
            if not pairs:
                continue
            clusters = clusters_of([entry.row for entry in rows[0]])
            shifts_N_S = np.array([[r[pair] for r in read] for pair in pairs], dtype=np.float64)
            seeds = Seeds(0, ("dose", place.protocol, place.aspect, place.moment))
            told = dose(list(of), shifts_N_S, [clusters[case] for case, _ in pairs], seeds=seeds)
            found.append(
                {
                    "method": key[len(TOGETHER) + 1], "cells": list(of.values()),
                    "response": response, **place._asdict(), **asdict(told), "n": len(pairs),
                }
            )  # fmt: skip
    return found


def _low(value: Value) -> float:
    """The lower bound; a number without an interval could lie anywhere."""
    return -inf if value.low is None else value.low


def _high(value: Value) -> float:
    return inf if value.high is None else value.high


def _interval(value: Value) -> str:
    mean = "none" if value.mean is None else f"{value.mean:+.2f}"
    if value.low is None or value.high is None:
        return mean
    return f"{mean} ({value.low:+.2f} to {value.high:+.2f})"
