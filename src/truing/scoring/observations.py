"""From rows and verdicts to what statistics are computed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from truing.errors import BadInput
from truing.scoring.readings import Reading
from truing.types import Row, State, Verdict

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Observation:
    """One probe's score.

    ``key`` is (case, probe) and pairs it with the same probe under another method or moment.
    ``cluster`` names the independent unit it belongs to. ``score`` is ``None`` when there is none;
    ``state`` is ``None`` when there is no verdict at all.
    """

    key: Key
    cluster: str
    score: float | None
    state: State | None


def observe(rows: Iterable[Row], verdicts: Iterable[Verdict], judge: str) -> list[Observation]:
    """One observation per row, with the score that ``judge`` gave it. Other judges are ignored.

    A row without a verdict of this judge becomes a missing observation.
    """
    rows = list(rows)
    by_row: dict[str, Verdict] = {v.row: v for v in verdicts if v.judge == judge}
    clusters = clusters_of(rows)
    made = []
    for row in rows:
        verdict = by_row.get(row.key)
        score = None if verdict is None else verdict.score
        state = None if verdict is None else verdict.state
        made.append(Observation((row.case, row.probe), clusters[row.case], score, state))
    return made


def observe_reading(rows: Iterable[Row], reading: Reading) -> list[Observation]:
    """One observation per row, with the number that ``reading`` reads off it."""
    rows = list(rows)
    clusters = clusters_of(rows)
    made = []
    for row in rows:
        score = reading.of(row)
        state: State = "invalid" if score is None else "correct"
        made.append(Observation((row.case, row.probe), clusters[row.case], score, state))
    return made


def clusters_of(rows: Sequence[Row]) -> Mapping[str, str]:
    """Case id to cluster id. Cases whose rows share a ``group`` are one cluster, transitively.

    The cluster is named by its smallest case id, so it does not depend on the order of rows.
    """
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for row in rows:
        case = root(f"case {row.case}")
        if row.group is not None:
            parent[root(f"group {row.group}")] = case
    members: dict[str, list[str]] = {}
    for name in {row.case for row in rows}:
        members.setdefault(root(f"case {name}"), []).append(name)
    return {case: min(cases) for cases in members.values() for case in cases}


def by_key(observations: Iterable[Observation]) -> dict[Key, Observation]:
    """Observations by (case, probe). Raises ``BadInput`` when a probe is there twice."""
    found: dict[Key, Observation] = {}
    for o in observations:
        if o.key in found:
            raise BadInput(
                f"case {o.key[0]}, probe {o.key[1]} is scored twice",
                "Give one moment, one step and one cell at a time.",
            )
        found[o.key] = o
    return found
