"""The table of ``truing personality report --what agreement``: judges beside people, on the same pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from truing.cli.personality_tables import Cell, Table, count, estimate
from truing.runs.people_ratings import Compared, compare
from truing.scoring.agreement import Agreement
from truing.scoring.rating_agreement import FEWEST, Coefficient, RatingAgreement
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
        (name, count(a.n), estimate(a), estimate(b))
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
    fewer = f.cases < FEWEST
    why = f"fewer than {FEWEST} {each.unit}s" if fewer else "one side always says the same"
    rows = [
        *((name, count(c.n), _coefficient(c, why)) for name, c in correlations),
        ("ratings, quadratic kappa", count(f.kappa.units), _statistic(f.kappa)),
        ("PAE, bias (judge − people)", count(f.bias.n), estimate(f.bias)),
        ("PAE, 95 % limits of agreement", count(f.pairs), _limits(f)),
    ]
    if each.alpha is not None:
        a = each.alpha
        rows.append(("people's own alpha (interval)", count(a.units), _statistic(a)))
    title = f"{each.place} · {each.judge} against people, {f.pairs} pairs of {f.cases} {each.unit}s"
    notes = (f"arms: {', '.join(each.arms)}; kappa is of ratings rounded to whole ones", *said)
    if each.unrated:
        notes = (*notes, f"{each.unrated} pairs that people rated have no rating by {each.judge}")
    return Table(title, ("agreement", "n", "value"), tuple(rows), notes, each.judge, _cells(each))


def _cells(each: Compared) -> dict[str, tuple[str, ...]]:
    return {"": each.cells}


def _coefficient(c: Coefficient, why: str) -> Cell:
    """``why``: there is none."""
    if c.value is None:
        return Cell(f"— ({why})", Value(c.n, None))
    return estimate(Value(c.n, c.value, c.low, c.high))


def _statistic(a: Agreement) -> Cell:
    if a.value is None:
        return Cell(f"— ({a.why})", Value(a.units, None))
    return estimate(Value(a.units, a.value, a.low, a.high))


def _limits(found: RatingAgreement) -> Cell:
    """Without a mean: it is the bias."""
    if found.limits is None:
        return Cell("— (fewer than 2 pairs)", None)
    low, high = found.limits
    return Cell(f"{low:z.2f} to {high:z.2f}", Value(found.pairs, None, low, high))


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    return "; ".join(lines[:NAMED]) + more
