"""Which traits can be told apart: what judges rate in texts of each, on a pilot.

Mao et al. 2024 (arXiv:2310.02168, figure 5) dropped two of five traits so: texts of one were rated
higher for another trait, or the ratings for two traits went together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from pydantic import TypeAdapter

from truing.building.personality.records import DRAFTS
from truing.errors import BadInput, NotPossible
from truing.runs.lines import read

TOGETHER = 0.6


@dataclass(frozen=True, slots=True)
class _Line:
    trait: str
    ratings: dict[str, float | None]


@dataclass(frozen=True)
class Profile:
    """``means``: a row for the texts of each trait, a column for each rated trait, in the order of
    ``traits``; ``None`` where no rating could be read. ``together``: Pearson's r of two traits' ratings
    over all texts that have both; ``None`` where one does not vary. ``warnings``: what speaks against a
    trait."""

    traits: tuple[str, ...]
    texts: tuple[int, ...]
    means: tuple[tuple[float | None, ...], ...]
    together: tuple[tuple[float | None, ...], ...]
    warnings: tuple[str, ...]


def profile_of(folder: Path) -> Profile:
    """Of the rated texts of a build, those included that the ratings dropped. Raises ``BadInput`` where
    there is no build, ``NotPossible`` without ratings, ``StoreError``."""
    path = folder / DRAFTS
    if not path.exists():
        raise BadInput(f"{folder} holds no {DRAFTS}", "Build a pilot there first.")
    lines = [line for line in read(path, TypeAdapter(_Line)) if line.ratings]
    if not lines:
        raise NotPossible(
            "no text of this build was rated", "Build it with --judge; what is written stays."
        )
    names = tuple(lines[0].ratings)
    own = {name: [line.ratings for line in lines if line.trait == name] for name in names}
    means = tuple(
        tuple(_mean([ratings[rated] for ratings in own[name]]) for rated in names) for name in names
    )
    columns = [[line.ratings[name] for line in lines] for name in names]
    together = tuple(tuple(_pearson(one, two) for two in columns) for one in columns)
    counts = tuple(len(own[name]) for name in names)
    return Profile(names, counts, means, together, _warnings(names, means, together))


def _warnings(
    names: Sequence[str],
    means: Sequence[Sequence[float | None]],
    together: Sequence[Sequence[float | None]],
) -> tuple[str, ...]:
    found = []
    for i, name in enumerate(names):
        for j, other in enumerate(names):
            own, theirs, r = means[i][i], means[i][j], together[i][j]
            if i != j and own is not None and theirs is not None and theirs > own:
                found.append(
                    f"texts of {name} are rated higher for {other} ({theirs:.2f}) than for {name} ({own:.2f})"
                )
            if i < j and r is not None and r > TOGETHER:
                found.append(f"ratings for {name} and {other} go together (r = {r:.2f})")
    return tuple(found)


def _mean(ratings: Sequence[float | None]) -> float | None:
    said = [rating for rating in ratings if rating is not None]
    return fmean(said) if said else None


def _pearson(one: Sequence[float | None], two: Sequence[float | None]) -> float | None:
    both = [(a, b) for a, b in zip(one, two, strict=True) if a is not None and b is not None]
    if len(both) < 2:
        return None
    x_N, y_N = np.array(both, np.float64).T
    if np.ptp(x_N) == 0 or np.ptp(y_N) == 0:
        return None
    return float(np.corrcoef(x_N, y_N)[0, 1])
