"""Changes of confidence about other people, read from a run: rows joined with the edited model that they
were asked of, and with the groups of the people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from truing.benchmarks import files, world_people
from truing.benchmarks.seesaw.groups import read_groups
from truing.benchmarks.seesaw.tables import data_root, read_tables
from truing.benchmarks.world import World
from truing.errors import BadInput
from truing.runs.data_again import data_path
from truing.runs.store import read_edits, read_manifest, read_rows
from truing.scoring.seesaw import Change, Membership, changes
from truing.types import Moment, Row


def changes_of(folder: Path, cell: str, moment: Moment) -> list[Change]:
    """The changes in one cell at one moment. Cases edited together share an edited model; after a
    sequence (``final``, ``step``) all cases share one. Raises ``StoreError``, and ``BadInput`` where the
    cell has no row about other people at that moment.
    """
    together = {
        case: f"{edit.cell} from {edit.first}"
        for edit in read_edits(folder)
        if edit.cell == cell
        for case in edit.cases
    }

    def edited(row: Row) -> str:
        if row.moment != "immediate":
            return f"{row.cell} at {row.step}"
        return together.get(row.case, f"{row.cell} {row.case}")

    rows = [row for row in read_rows(folder) if (row.cell, row.moment) == (cell, moment)]
    found = changes(rows, edited)
    if not found:
        raise BadInput(
            f"{folder}: no row about other people in cell {cell} at moment {moment}",
            "Run the benchmark seesaw or world_people under a protocol that compares likelihoods.",
        )
    return found


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
