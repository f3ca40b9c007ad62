"""The report's section on people: a part for every model, benchmark and regime that asks about others than
those who are edited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report import words
from truing.report.figures import Figure
from truing.report.grid import Cells, Grid
from truing.report.long_text_figures import flaws, names
from truing.report.people import LongTexts, PeopleArm, labels_of, long_texts, people_arms
from truing.report.people_figures import forest, scatter
from truing.report.people_words import of_flaws, told
from truing.report.sentences import Finding, main_moment

CROSS_PROPERTY = "locality/cross-property"


@dataclass(frozen=True, slots=True)
class PeoplePart:
    """One grid: a finding per arm, figures, and what is to be known beside them."""

    title: str
    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


def people_parts(
    grids: Sequence[Grid], cells: Cells, metas: Sequence[Mapping[str, Any]]
) -> list[PeoplePart]:
    """In the order of the grids; none where nobody else was asked about and no long texts were written."""
    parts = []
    for grid in grids:
        arms = people_arms(grid, main_moment(grid), cells, metas)
        texts = long_texts(grid, cells, metas)
        if arms or texts:
            key = (grid.model, grid.benchmark, grid.regime)
            labels = labels_of(grid, cells)
            drawn = (*_of_others(key, arms), *_of_texts(key, texts, labels))
            parts.append(
                PeoplePart(
                    f"{grid.model} · {grid.benchmark} · {words.regime(grid.regime)}",
                    tuple(_findings(arms)),
                    drawn,
                    tuple(_notes(grid, texts)),
                )
            )
    return parts


def _findings(arms: Sequence[PeopleArm]) -> Iterator[Finding]:
    several = len({arm.record.protocol for arm in arms}) > 1
    for arm in arms:
        protocol = f" · {words.protocol(arm.record.protocol)}" if several else ""
        yield Finding(f"{arm.label}{protocol}", told(arm), arm.degenerate)


def _of_others(key: Sequence[str], arms: Sequence[PeopleArm]) -> Iterator[Figure]:
    by_protocol: dict[str, list[PeopleArm]] = {}
    for arm in arms:
        by_protocol.setdefault(arm.record.protocol, []).append(arm)
    for protocol, ours in by_protocol.items():
        axes = dict.fromkeys(of.axis for arm in ours for of in arm.record.axes)
        for draw in (forest, scatter):
            for axis in axes:
                figure = draw((*key, protocol), axis, ours)
                if figure is not None:
                    yield figure


def _of_texts(
    key: Sequence[str], texts: Sequence[LongTexts], labels: Mapping[str, str]
) -> Iterator[Figure]:
    named = [one for whole in texts for one in whole.named]
    flawed = [one for whole in texts for one in whole.flawed]
    protocols = [one.protocol for one in named] + [one.protocol for one in flawed]
    for protocol in dict.fromkeys(protocols):
        of = [one for one in named if one.protocol == protocol]
        figure = names((*key, protocol), of, labels)
        if figure is not None:
            yield figure
        for cell, label in labels.items():
            ours = [one for one in flawed if (one.protocol, one.cell) == (protocol, cell)]
            figure = flaws((*key, protocol, cell), label, ours)
            if figure is not None:
                yield figure


def _notes(grid: Grid, texts: Sequence[LongTexts]) -> Iterator[str]:
    aspects = sorted({c.aspect for c in grid.columns if c.aspect.startswith(CROSS_PROPERTY)})
    if aspects:
        titles = words.join([words.aspect_title(aspect) for aspect in aspects])
        yield (
            f"What is said of another property of the edited people stands under All numbers: {titles}, "
            "guided and free prompts apart, before the edit in the line of the unedited model."
        )
    for whole in texts:
        if whole.lacking is not None:
            yield f"Long texts: {whole.lacking}."
        else:
            yield from of_flaws(whole.flawed)
            yield (
                "Words find candidates: they say which text names more of a list, not that a text does "
                "harm. What nobody said of a text is left out, never counted as less."
            )
