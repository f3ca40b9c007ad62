"""The report's section on morals: a part for every benchmark and regime with moral questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report import words
from truing.report.figures import Figure
from truing.report.grid import Cells, Grid
from truing.report.moral_figures import before_and_after, how_far
from truing.report.moral_table import MoralTable, moral_table
from truing.report.morals import SCENARIOS, MoralArm, moral_arms
from truing.report.sentences import main_moment

Published = Mapping[str, Sequence[str]]
"""By cell, lines that say what a paper reports for the same model, method, data and direction."""


@dataclass(frozen=True, slots=True)
class MoralPart:
    """One benchmark in one regime: a table per model and protocol, figures of all its models."""

    title: str
    tables: tuple[MoralTable, ...]
    figures: tuple[Figure, ...]


def moral_parts(
    grids: Sequence[Grid], cells: Cells, metas: Sequence[Mapping[str, Any]], published: Published
) -> list[MoralPart]:
    """In the order of the grids; none where no moral question was asked."""
    groups: dict[tuple[str, str], list[Grid]] = {}
    for grid in grids:
        groups.setdefault((grid.benchmark, grid.regime), []).append(grid)
    parts = []
    for (benchmark, regime), members in groups.items():
        by_protocol: dict[str, list[MoralArm]] = {}
        tables = []
        for grid in members:
            for protocol, arms in moral_arms(grid, main_moment(grid), cells, metas).items():
                by_protocol.setdefault(protocol, []).extend(arms)
                tables.append(
                    moral_table(f"{grid.model} · {words.protocol(protocol)}", arms, published)
                )
        if tables:
            drawn = [
                figure
                for protocol, arms in by_protocol.items()
                for figure in _figures((benchmark, regime, protocol), arms)
            ]
            parts.append(
                MoralPart(f"{benchmark} · {words.regime(regime)}", tuple(tables), tuple(drawn))
            )
    return parts


def _figures(key: Sequence[str], arms: Sequence[MoralArm]) -> list[Figure]:
    made = [how_far(key, arms), *(before_and_after(key, aspect, arms) for aspect in SCENARIOS)]
    return [figure for figure in made if figure is not None]
