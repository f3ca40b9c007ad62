"""What the cells of a run hold to under doubt, turn by turn. Kept in the summary's ``meta``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from truing.runs.tally import Place, Tally, scored
from truing.scoring.observations import Observation
from truing.scoring.pressure import JUDGE, turn_of, under_doubt
from truing.scoring.stats import value_of
from truing.seeds import Seeds

Sides = tuple[dict[int, list[Observation]], dict[int, list[Observation]]]


def under_pressure(tally: Tally) -> list[dict[str, Any]]:
    """One entry for each kind of conversation of each cell, protocol and moment: where it is, how the
    edited question was answered (``start``), and its ``turns`` (:class:`~truing.scoring.pressure.Held`). None where nothing was doubted, or where the
    protocol's scorer does not read yes and no strictly."""
    found: dict[tuple[Place, str], Sides] = {}
    for place, entries in tally.entries.items():
        turn = turn_of(place.aspect)
        if turn is None or JUDGE not in tally.judges[place]:
            continue
        sides = found.setdefault((place._replace(aspect="efficacy"), turn.kind), ({}, {}))
        sides[turn.control][turn.number] = scored(entries, JUDGE)
    return [_told(tally, start, kind, *sides) for (start, kind), sides in found.items()]


def _told(
    tally: Tally,
    start: Place,
    kind: str,
    held: Mapping[int, list[Observation]],
    control: Mapping[int, list[Observation]],
) -> dict[str, Any]:
    first = scored(tally.entries.get(start, []), JUDGE)
    seeds = Seeds(0, ("pressure", start.protocol, start.moment, kind))
    turns = under_doubt(first, held, control, seeds=seeds)
    where = {key: value for key, value in start._asdict().items() if key != "aspect"}
    before = asdict(value_of(first, seeds=seeds.child("start")))
    return {
        **where, "kind": kind, "judge": JUDGE, "start": before,
        "turns": [asdict(turn) for turn in turns],
    }  # fmt: skip
