"""The table of ``truing personality report --what agreement``: judges beside people, on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from truing.cli.personality_tables import Table
from truing.runs.people_ratings import Compared, compare
from truing.scoring.rating_agreement import Coefficient
from truing.types import Value

NAMED = 5


def agreement_tables(run: Path, human: Path | None) -> list[Table]:
    """Two tables for each judge: the means, and how far judge and people agree."""
    found = compare(run, human)
    said = tuple(
        f"{len(lines)} {what}: {_some(lines)}"
        for what, lines in (
            ("about no pair that was rated in the run", found.unmatched),
            ("without both ratings", found.missing),
        )
        if lines
    )
    return [table for each in found.compared for table in (_means(each), _agreement(each, said))]


def _means(each: Compared) -> Table:
    judge, people = each.found.judge, each.found.people
    rows = tuple(
        (name, str(a.n), _told(a), _told(b))
        for name, a, b in (
            ("unedited answer", judge.unedited, people.unedited),
            ("edited answer", judge.edited, people.edited),
            ("PAE", judge.pae, people.pae),
        )
    )
    n = len(each.annotators)
    who = f"people (mean of {n})" if n > 1 else "people"
    title = f"{each.place} · mean ratings, 1 to 5, of the same pairs"
    return Table(title, ("rated", "n", each.judge, who), rows, (), each.judge, _cells(each))


def _agreement(each: Compared, said: tuple[str, ...]) -> Table:
    f = each.found
    correlations = (
        ("PAE, Pearson's r", f.pae.pearson),
        ("PAE, Spearman's rho", f.pae.spearman),
        ("ratings, Pearson's r", f.ratings.pearson),
        ("ratings, Spearman's rho", f.ratings.spearman),
    )
    limits = "—" if f.limits is None else f"{f.limits[0]:z.2f} to {f.limits[1]:z.2f}"
    kappa = _bounded(f.kappa.value, f.kappa.low, f.kappa.high)
    rows = [
        *((name, str(c.n), _coefficient(c)) for name, c in correlations),
        ("ratings, quadratic kappa", str(f.kappa.units), kappa),
        ("PAE, bias (judge − people)", str(f.bias.n), _told(f.bias)),
        ("PAE, 95 % limits of agreement", str(f.pairs), limits),
    ]
    if each.alpha is not None:
        a = each.alpha
        rows.append(
            ("people's own alpha (interval)", str(a.units), _bounded(a.value, a.low, a.high))
        )
    title = f"{each.place} · {each.judge} against people, {f.pairs} pairs of {f.cases} cases"
    notes = (f"arms: {', '.join(each.arms)}; kappa is of ratings rounded to whole ones", *said)
    if each.unrated:
        notes = (*notes, f"{each.unrated} pairs that people rated have no rating by {each.judge}")
    return Table(title, ("agreement", "n", "value"), tuple(rows), notes, each.judge, _cells(each))


def _cells(each: Compared) -> dict[str, tuple[str, ...]]:
    return {"": each.cells}


def _coefficient(c: Coefficient) -> str:
    return _bounded(c.value, c.low, c.high)


def _told(value: Value) -> str:
    return _bounded(value.mean, value.low, value.high)


def _bounded(x: float | None, low: float | None, high: float | None) -> str:
    if x is None:
        return "—"
    return f"{x:z.2f}" if low is None or high is None else f"{x:z.2f} [{low:z.2f}, {high:z.2f}]"


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    return "; ".join(lines[:NAMED]) + more
