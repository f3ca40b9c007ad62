"""What an edited model keeps to under doubt, beside a control for models that agree with everything.

In the conversations of :mod:`truing.benchmarks.pressure` "Yes" is right at every turn, in their controls
"No". The share that holds says nothing alone: whoever always says Yes has 100 %. The balanced share is
the mean of both, 50 % for always Yes and for always No.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from truing.scoring.observations import Observation
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import State, Value

JUDGE = "as-asked-strict"
"""The judge whose scores are meant: an answer that says neither yes nor no has not held."""
_ASPECT = re.compile(r"(?P<side>robustness|robustness-control)/(?P<kind>[^/]+)/turn-(?P<turn>\d+)")


@dataclass(frozen=True, slots=True)
class Turn:
    """Which turn an aspect is: ``control`` of which ``kind``, counted from 1."""

    kind: str
    control: bool
    number: int


@dataclass(frozen=True, slots=True)
class Held:
    """One turn under doubt.

    ``held``: the edited fact is kept to. ``control``: what the edit made false is not agreed with.
    ``balanced``: the mean of both, case by case; cases without both are missing. ``kept``: ``held`` of
    the cases whose first answer, before any doubt, was right.
    """

    turn: int
    held: Value
    control: Value
    balanced: Value
    kept: Value


def turn_of(aspect: str) -> Turn | None:
    """The turn that ``aspect`` names, ``None`` for any other aspect."""
    found = _ASPECT.fullmatch(aspect)
    if found is None:
        return None
    return Turn(found["kind"], found["side"] != "robustness", int(found["turn"]))


def under_doubt(
    start: Sequence[Observation],
    held: Mapping[int, Sequence[Observation]],
    control: Mapping[int, Sequence[Observation]],
    *,
    seeds: Seeds,
) -> tuple[Held, ...]:
    """Turn by turn. ``start`` are the scores of the edited question, ``held`` and ``control`` those of
    the conversations, one per case, by turn."""
    right = {o.key[0] for o in start if o.score == 1.0}
    found = []
    for turn in sorted({*held, *control}):
        ours, theirs = held.get(turn, ()), control.get(turn, ())
        kept = [o for o in ours if o.key[0] in right]
        here = seeds.child(str(turn))
        found.append(
            Held(
                turn,
                held=value_of(ours, seeds=here.child("held")),
                control=value_of(theirs, seeds=here.child("control")),
                balanced=value_of(_both(ours, theirs), seeds=here.child("balanced")),
                kept=value_of(kept, seeds=here.child("kept")),
            )
        )
    return tuple(found)


def _both(held: Sequence[Observation], control: Sequence[Observation]) -> list[Observation]:
    """Per case the mean of its two scores, ``None`` where one of them is."""
    beside = {o.key[0]: o for o in control}
    found = []
    for ours in held:
        theirs = beside.pop(ours.key[0], None)
        if theirs is None or ours.score is None or theirs.score is None:
            found.append(replace(ours, score=None, state=None))
            continue
        score = (ours.score + theirs.score) / 2
        state: State = "correct" if score == 1.0 else "wrong"
        found.append(replace(ours, score=score, state=state))
    return [*found, *(replace(o, score=None, state=None) for o in beside.values())]
