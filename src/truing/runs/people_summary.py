"""What a run's edits did to other people, and to long texts about the edited ones; kept in the summary's
``meta``. Reads rows once more, since it needs likelihoods and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from truing.errors import TruingError
from truing.protocols.questions import is_fluency
from truing.runs.group_changes import (
    OF_PEOPLE,
    Grouped,
    axes_of,
    changes_by_protocol,
    grouped,
    membership_of,
)
from truing.runs.longform import flawed, named
from truing.runs.moments import moment_of
from truing.runs.store import read_manifest
from truing.runs.tally import Place
from truing.scoring.flaws import own_lists
from truing.scoring.seesaw import Change, Membership, groups_of, mean_change
from truing.seeds import Seeds
from truing.types import Moment

MARGIN = 0.05
"""Differences of D below this count as alike in the equivalence test."""
POINTS = 500
"""So many points are kept for a picture."""
DIGITS = 4
Cells = Mapping[str, Mapping[str, Any]]


def people(folder: Path, cells: Cells) -> list[dict[str, Any]]:
    """One record per edited cell and protocol with rows about other people: the ``mean`` change of
    confidence (D) of all of them, the same by group on every axis with its test, and ``points``, D before
    and after of at most :data:`POINTS` people and cases.

    ``lacking`` says why nobody's groups are known (the benchmark's data moved away), else ``None``.
    Empty for other benchmarks. ``cells`` is the manifest's account of them, by id.
    """
    ours = _of_people(folder, cells)
    found = changes_by_protocol(folder, {ident: moment_of(cells[ident]) for ident in ours})
    labels = dict.fromkeys(str(cells[cell]["benchmark"]) for cell, _ in found)
    known = {label: _members(folder, label) for label in labels}
    records = []
    for (cell, protocol), seen in found.items():
        members, lacking = known[str(cells[cell]["benchmark"])]
        axes = [
            grouped(seen, members, axis, cell=cell, margin=MARGIN)
            for axis in axes_of(members)
            if groups_of(seen, members, axis)
        ]
        told = record(cell, protocol, moment_of(cells[cell]), seen, axes)
        records.append({**told, "lacking": lacking, "points": points(seen, members)})
    return records


def record(
    cell: str, protocol: str, moment: Moment, found: Sequence[Change], axes: Sequence[Grouped]
) -> dict[str, Any]:
    """What one edited cell did to other people under one protocol: all of them, and by group."""
    return {
        "cell": cell, "protocol": protocol, "moment": moment,
        "edited": len({c.edited for c in found}), "cases": len({c.case for c in found}),
        "people": len({c.person for c in found}),
        "mean": asdict(mean_change(found, seeds=Seeds(0, ("people", cell, protocol)))),
        "axes": [_axis(axis) for axis in axes],
    }  # fmt: skip


def long_texts(folder: Path, cells: Cells, places: Sequence[Place]) -> dict[str, Any]:
    """What the continuations of a benchmark of people name, and what raters say of their flaws: ``named``
    and ``flawed`` (:mod:`truing.runs.longform`), each list by edited cell, protocol and wording.

    ``lacking`` says why there is none (the benchmark's data moved away), else ``None``. Empty for runs
    without such texts. ``places`` are where the run has rows.
    """
    ours = _of_people(folder, cells)
    if not any(place.cell in ours and is_fluency(place.aspect) for place in places):
        return {}
    try:
        names, flaws = named(folder), flawed(folder, own_lists())
    except TruingError as error:
        return {"lacking": error.what, "named": [], "flawed": []}
    return {
        "lacking": None,
        "named": [asdict(one) for one in names if one.cell in ours],
        "flawed": [asdict(one) for one in flaws if one.cell in ours],
    }


def points(
    found: Sequence[Change], members: Membership, most: int = POINTS
) -> list[dict[str, Any]]:
    """Changes that are numbers, evenly thinned over cases and people to at most ``most``."""
    scored = [
        {
            "person": c.person, "case": c.case, "groups": dict(members.get(c.person, {})),
            "before": round(c.before, DIGITS), "after": round(c.after, DIGITS),
        }
        for c in sorted(found, key=lambda c: (c.edited, c.case, c.person))
        if c.before is not None and c.after is not None
    ]  # fmt: skip
    n = len(scored)
    return scored if n <= most else [scored[i * n // most] for i in range(most)]


def _of_people(folder: Path, cells: Cells) -> set[str]:
    """The edited cells of benchmarks of people."""
    data = read_manifest(folder).get("data", {})
    return {
        ident
        for ident, cell in cells.items()
        if cell.get("registered") != "none"
        and data.get(cell.get("benchmark"), {}).get("benchmark") in OF_PEOPLE
    }


def _members(folder: Path, label: str) -> tuple[Membership, str | None]:
    """Who is in which group, and why nobody's groups are known."""
    try:
        return membership_of(folder, label), None
    except TruingError as error:
        return {}, error.what


def _axis(axis: Grouped) -> dict[str, Any]:
    """One axis as the summary keeps it."""
    groups = [
        {
            "group": group,
            "change": asdict(value),
            "test": asdict(axis.tests[group]) if group in axis.tests else None,
        }
        for group, value in axis.means.items()
    ]
    return {"axis": axis.axis, "unknown": axis.unknown, "groups": groups}
