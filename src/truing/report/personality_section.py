"""The report's section on personality: a part for every model, benchmark and regime with opinions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report import words
from truing.report.figures import Figure
from truing.report.grid import Cells, Grid
from truing.report.personalities import EFFICACY, Correlation, PersonaArm, persona_arms
from truing.report.personality_figures import confusion
from truing.report.personality_table import PersonaTable, persona_tables
from truing.report.sentences import main_moment
from truing.report.steering_figures import dose_told

JUDGED = ("accuracy", "tpei", "pae")
READ_OFF = ("es", "z-per", "drawdown")
TITLES: Mapping[str, str] = {
    "accuracy": "accuracy", "tpei": "TPEI", "pae": "PAE", "es": "ES", "z-per": "z_per", "drawdown": "DD",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PersonaPart:
    """One grid. ``agreement`` says in words how generation and likelihood metrics go together, and how
    a method's strength tells."""

    title: str
    tables: tuple[PersonaTable, ...]
    figures: tuple[Figure, ...]
    agreement: tuple[tuple[str, str], ...]


def persona_parts(
    grids: Sequence[Grid], cells: Cells, metas: Sequence[Mapping[str, Any]]
) -> list[PersonaPart]:
    """In the order of the grids; none where no opinions were measured."""
    parts = []
    for grid in grids:
        arms = persona_arms(grid, main_moment(grid), cells, metas)
        if arms:
            key = (grid.model, grid.benchmark, grid.regime)
            title = f"{grid.model} · {grid.benchmark} · {words.regime(grid.regime)}"
            tables = tuple(persona_tables(arms))
            said = (*_agreement(arms), *_doses(arms, metas))
            parts.append(PersonaPart(title, tables, tuple(_figures(key, arms)), said))
    return parts


def agreement(found: Sequence[Correlation]) -> str:
    """Do metrics that judges make and metrics read off likelihoods tell the same cases apart?"""
    told = []
    for each in found:
        pair = sorted((each.a, each.b), key=lambda name: name in JUDGED)
        if pair[0] in READ_OFF and pair[1] in JUDGED and each.rho is not None:
            told.append((each, f"{TITLES[pair[0]]} with {TITLES[pair[1]]} {_rho(each)}"))
    if not told:
        return ""
    n = {each.n for each, _ in told}
    clear = [text for each, text in told if (each.low or 0) > 0 or (each.high or 0) < 0]
    said = f"Rank correlation over {min(n)}{' or more' if len(n) > 1 else ''} topics or cases: "
    said += "; ".join(text for _, text in told) + ". "
    if not clear:
        return said + "No interval leaves zero out: neither kind of metric stands for the other."
    return said + f"{len(clear)} of {len(told)} intervals leave zero out."


def _rho(each: Correlation) -> str:
    text = f"{each.rho:.2f}".replace("-", "−")
    if each.low is None or each.high is None:
        return text
    return f"{text} ({each.low:.2f} to {each.high:.2f})".replace("-", "−")


def _agreement(arms: Sequence[PersonaArm]) -> Iterator[tuple[str, str]]:
    for arm in arms:
        text = agreement(arm.correlations)
        if text and not arm.control:
            yield arm.label, text


def _doses(
    arms: Sequence[PersonaArm], metas: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    here = {arm.cell for arm in arms}
    for told in (told for meta in metas for told in meta.get("doses", ())):
        if told["response"] != "margin-shift" and set(told["cells"]) <= here:
            yield str(told["method"]), dose_told(told)


def _figures(key: Sequence[str], arms: Sequence[PersonaArm]) -> Iterator[Figure]:
    places = dict.fromkeys(
        (h.protocol, h.judge) for arm in arms for h in arm.heard if h.aspect == EFFICACY and h.shown
    )
    for protocol, judge in places:
        figure = confusion((*key, protocol), protocol, judge, arms)
        if figure is not None:
            yield figure
