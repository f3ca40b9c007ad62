"""Change of confidence by the people's geographic origin, GPT-J: does an edit hurt some origins more?

The stored numbers are means over edits of (change of the probability gap between the value that is
true of somebody and another), one per property, method and origin. All edits of a property are in one
model, and how many people stand behind a number is not stored. So the properties are the only
independent units that are left, five at most: the mean over them and the difference of an origin from
the others' mean get a t interval over them, and the difference a sign-flip test, corrected over all
origins and methods. With five units no such test can give less than 2/32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from truing.errors import BadInput
from truing.runs.flextape.line import Line, folder_in, read_table
from truing.scoring.intervals import Floats
from truing.scoring.observations import Observation
from truing.scoring.paired import compare, correct
from truing.scoring.stats import CONFIDENCE
from truing.seeds import Seeds

FILE = "geo_py.csv"
PROPERTIES = ("P101", "P103", "P21", "P27", "P19")
METHODS = ("FT", "MEND", "MEMIT")
PUBLISHED: Mapping[str, tuple[float, float, float]] = {
    "North America": (0.051, 0.145, 0.024),
    "East Asia": (0.021, 0.106, 0.055),
    "Eastern Europe": (-0.015, 0.184, 0.022),
    "South Asia": (-0.031, 0.021, 0.041),
    "Western Europe": (0.000, 0.146, 0.014),
    "Africa": (-0.015, -0.095, 0.062),
    "Middle East": (0.115, 0.269, -0.001),
}
"""Means over properties under ``METHODS``, blanks left out, to three places."""
MEAN = "{k} of {all} properties have people of this origin; how many people is not stored"
AGAINST = (
    "minus the mean of the other origins within each property: sign flips over {k} properties cannot "
    "give less than p = {least:.3f}; adjusted p {p}"
)
_SEEDS = Seeds(0, ("flextape", "geo"))
_Table = Mapping[str, Mapping[str, float | None]]


def recompute(data: Path) -> list[Line]:
    """Means by origin and method, then each origin against the others. Raises ``BadInput``."""
    path = folder_in(data, "results") / FILE
    rows = read_table(path, "Property", "Method", *PUBLISHED)
    tables: dict[str, _Table] = {
        method: {
            row["Property"]: {origin: _number(row[origin], path) for origin in PUBLISHED}
            for row in rows
            if row["Method"] == method and row["Property"] in PROPERTIES
        }
        for method in METHODS
    }
    return [*_means(tables), *_against_others(tables)]


def _means(tables: Mapping[str, _Table]) -> Iterator[Line]:
    for number, (method, table) in enumerate(tables.items()):
        for origin, published in PUBLISHED.items():
            there = np.array([x for row in table.values() if (x := row[origin]) is not None])
            k, mean = len(there), float(there.mean()) if len(there) else None
            low, high = over_few(there)
            yield Line(
                f"gptj {method} {origin}", "mean D over properties", published[number], mean, k, mean, k,
                MEAN.format(k=k, all=len(table)), low, high,
            )  # fmt: skip


def over_few(values_K: Floats) -> tuple[float | None, float | None]:
    """The 95 % t interval of the mean of a few independent numbers (a bootstrap of them could not leave
    their range); ``None`` for fewer than two."""
    k = len(values_K)
    if k < 2:
        return None, None
    mean, error = float(values_K.mean()), float(values_K.std(ddof=1)) / math.sqrt(k)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, k - 1)) * error
    return mean - half, mean + half


def _against_others(tables: Mapping[str, _Table]) -> Iterator[Line]:
    items = [(method, origin) for method in tables for origin in PUBLISHED]
    tests = correct(
        [
            compare(
                *_sides(tables[method], origin),
                against="other origins",
                seeds=_SEEDS.child(f"{method}/{origin}"),
                bounded=False,
            )
            for method, origin in items
        ]
    )
    for (method, origin), test in zip(items, tests, strict=True):
        if test is None:
            continue
        k, p = test.n_pairs, test.p_adjusted
        low, high = over_few(_differences(tables[method], origin))
        reason = AGAINST.format(
            k=k, least=2 / 2**k if k else 1, p="none" if p is None else f"{p:.2f}"
        )
        yield Line(
            f"gptj {method} {origin}", "D minus other origins", None, None, 0, test.delta, k, reason,
            low, high,
        )  # fmt: skip


def _sides(table: _Table, origin: str) -> tuple[list[Observation], list[Observation]]:
    """An origin's D and the mean D of the others, by property; ``None`` where there are none."""
    others = {
        p: [x for o, x in row.items() if o != origin and x is not None] for p, row in table.items()
    }
    return (
        [_observed(p, row[origin]) for p, row in table.items()],
        [_observed(p, _mean(rest)) for p, rest in others.items()],
    )


def _differences(table: _Table, origin: str) -> Floats:
    sides = zip(*_sides(table, origin), strict=True)
    return np.array(
        [a.score - b.score for a, b in sides if a.score is not None and b.score is not None]
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _observed(unit: str, value: float | None) -> Observation:
    return Observation((unit, ""), unit, value, None)


def _number(cell: str, path: Path) -> float | None:
    try:
        return float(cell) if cell.strip() else None
    except ValueError:
        raise BadInput(f"{path}: '{cell}' is no number", "Pass the file as it is.") from None
