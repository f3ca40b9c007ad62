"""Which people of a table can be compared: those in one group each, told apart by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from truing.benchmarks.draft import normalised
from truing.building.people.spec import Spec
from truing.building.people.table import Person, Table
from truing.errors import BadInput

Reasons = Mapping[str, tuple[Person, ...]]
"""Why people are left out, and who."""


@dataclass(frozen=True, slots=True)
class Compared:
    """People by group, groups by name and people by id, and who is left out."""

    groups: Mapping[str, tuple[Person, ...]]
    left_out: Reasons


def comparable(table: Table, spec: Spec) -> Compared:
    """Raises ``BadInput`` for a group to compare that is not there, has nobody who can be compared or one
    person, and for fewer than two groups."""
    _check_names(table, spec)
    names = Counter(normalised(person.name) for person in table.people)
    members: dict[str, list[Person]] = {group: [] for group in spec.compare}
    left: dict[str, list[Person]] = defaultdict(list)
    for person in table.people:
        there = person.groups[spec.balance]
        if names[normalised(person.name)] > 1:
            left["somebody else has the same name"].append(person)
        elif not there:
            left[f"no {spec.balance}"].append(person)
        elif len(there) > 1:
            left[f"in several groups of {spec.balance}"].append(person)
        elif spec.compare and there[0] not in members:
            left[f"in no group of {spec.balance} that is compared"].append(person)
        else:
            members.setdefault(there[0], []).append(person)
    left_out = reasons(left)
    _check(members, left_out, table.source.path, spec)
    return Compared({name: tuple(members[name]) for name in sorted(members)}, left_out)


def reasons(found: Mapping[str, Sequence[Person]]) -> Reasons:
    """Sorted, without reasons that nobody is left out for."""
    return {why: tuple(people) for why, people in sorted(found.items()) if people}


def _check_names(table: Table, spec: Spec) -> None:
    there = sorted({group for person in table.people for group in person.groups[spec.balance]})
    for group in spec.compare:
        if group not in there:
            raise BadInput(
                f"{table.source.path}: nobody is in group '{group}' of '{spec.balance}'",
                f"Groups there: {', '.join(there) or 'none, all cells are empty or missing'}.",
            )


def _check(
    members: Mapping[str, Sequence[Person]], left_out: Reasons, path: str, spec: Spec
) -> None:
    told = "; ".join(f"{why}: {len(people)}" for why, people in left_out.items())
    lacking = f" (left out: {told})" if told else ""
    for group, people in sorted(members.items()):
        if not people:
            raise BadInput(
                f"{path}: nobody can be compared in group '{group}' of '{spec.balance}'{lacking}",
                "Compare other groups, or mend what people are left out for.",
            )
        if len(people) == 1:
            raise BadInput(
                f"{path}: {people[0].where}: nobody else is in group '{group}' of '{spec.balance}'",
                "Add people, or name the groups to compare with compare = [...].",
            )
    if len(members) < 2:
        raise BadInput(
            f"{path}: '{spec.balance}' has {len(members) or 'no'} group to compare{lacking}",
            "Compare two groups or more, or mend what people are left out for.",
        )
