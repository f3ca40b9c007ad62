"""Changes of confidence about other people, read from a run: rows joined with the edited model that they
were asked of, and with the groups of the people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from truing.benchmarks import files, world_people
from truing.benchmarks.seesaw.groups import read_groups
from truing.benchmarks.seesaw.tables import data_root, read_tables
from truing.benchmarks.world import World
from truing.errors import BadInput
from truing.runs.data_again import data_path
from truing.runs.store import read_edits, read_manifest, read_rows
from truing.runs.unfinished import no_rows
from truing.scoring.group_tests import Between, between
from truing.scoring.seesaw import CROSS_SUBJECT, Change, Membership, by_group, changes
from truing.seeds import Seeds
from truing.types import Moment, Row, Value

OF_PEOPLE = ("seesaw", "world_people")


@dataclass(frozen=True, slots=True)
class Grouped:
    """Mean D by group of one axis, and the tests of groups against the others. ``unknown`` counts the
    people who are in no group of the axis."""

    axis: str
    means: Mapping[str, Value]
    tests: Mapping[str, Between]
    unknown: int


def grouped(
    found: Sequence[Change], members: Membership, axis: str, *, cell: str, margin: float
) -> Grouped:
    """What the changes in one cell come to by the groups of one axis. ``margin``: as in
    :func:`truing.scoring.group_tests.between`."""
    return Grouped(
        axis,
        by_group(found, members, axis, seeds=Seeds(0).child(cell).child(axis)),
        {test.group: test for test in between(found, members, axis, margin=margin)},
        len({c.person for c in found if not members.get(c.person, {}).get(axis)}),
    )


def axes_of(members: Membership) -> list[str]:
    """What people are grouped by, sorted."""
    return sorted({axis for person in members.values() for axis in person})


def changes_of(
    folder: Path, cell: str, moment: Moment, protocol: str | None = None
) -> tuple[str, list[Change]]:
    """A protocol and the changes under it in one cell at one moment: the only one that compares likelihoods
    unless it is named. Raises ``StoreError``, and ``BadInput`` where there is no such row, or several
    protocols have some.
    """
    found = {name: seen for (_, name), seen in changes_by_protocol(folder, {cell: moment}).items()}
    if protocol is not None and protocol in found:
        return protocol, found[protocol]
    if not found:
        raise no_rows(
            folder,
            f"row about other people in cell {cell} at moment {moment}",
            "Run the benchmark seesaw or world_people under a protocol that compares likelihoods.",
        )
    if len(found) > 1 or protocol is not None:
        raise BadInput(
            f"{folder}: rows about other people are under {' and '.join(sorted(found))}",
            "Choose one with --protocol.",
        )
    [only] = found.items()
    return only


def changes_by_protocol(
    folder: Path, moments: Mapping[str, Moment]
) -> dict[tuple[str, str], list[Change]]:
    """The changes in these cells, each at its moment, by cell and protocol; protocols that compare no
    likelihoods have none. Cases edited together share an edited model; after a sequence (``final``,
    ``step``) all cases share one. In an order that does not tell who wrote the rows. Raises ``StoreError``."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in read_rows(folder):
        if row.aspect == CROSS_SUBJECT and moments.get(row.cell) == row.moment:
            rows.setdefault((row.cell, row.protocol), []).append(row)
    edited = _edited(folder)
    found = {
        place: changes(sorted(held, key=lambda row: row.key), edited)
        for place, held in sorted(rows.items())
    }
    return {
        place: seen
        for place, seen in found.items()
        if any(c.before is not None or c.after is not None for c in seen)
    }


def _edited(folder: Path) -> Callable[[Row], str]:
    """Names the edited model that a row was asked of."""
    together = {
        (edit.cell, case): f"{edit.cell} from {edit.first}"
        for edit in read_edits(folder)
        for case in edit.cases
    }

    def edited(row: Row) -> str:
        if row.moment != "immediate":
            return f"{row.cell} at {row.step}"
        return together.get((row.cell, row.case), f"{row.cell} {row.case}")

    return edited


def membership_of(folder: Path, label: str) -> Membership:
    """The groups of the people of a benchmark of the run, by its label in the manifest.

    Raises ``StoreError``, and ``BadInput`` for a benchmark without people or whose data moved away.
    """
    facts = read_manifest(folder).get("data", {}).get(label, {})
    match facts.get("benchmark"):
        case "world_people":
            return world_people.membership(World.build(int(facts["options"]["world"])))
        case "seesaw":
            path = data_path(folder, label)
            assert path is not None
            return seesaw_membership(path)
    raise BadInput(
        f"{folder}: '{label}' is no benchmark of people", "Those are seesaw and world_people."
    )


def seesaw_membership(path: Path) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """The groups of all people in a data folder of Seesaw-CF: every file of records tells of some."""
    root = data_root(path)
    records = [
        record
        for file in sorted(root.rglob("seesaw_cf_*.json"))
        for record in files.read(file).records
    ]
    return read_groups(root, records, read_tables(root)).members
