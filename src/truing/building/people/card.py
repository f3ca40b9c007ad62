"""The data card of a set of edits of people: what every stage took in and left out, and how far the cases
depend on one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from truing import __version__
from truing.benchmarks.seesaw.tables import CANDIDATES
from truing.building.card import Card, Facts, file_facts, spread
from truing.building.people.choose import Chosen, Edit, Size
from truing.building.people.compare import Reasons
from truing.building.people.spec import Spec
from truing.building.people.table import Person, Table

LABELS = "The labels of groups are those of the table: nothing was guessed, and nobody has checked them here."


def card_of(
    chosen: Chosen, table: Table, spec: Spec, size: Size, seed: int, inputs: Mapping[str, Path],
    files: Mapping[str, Path],
) -> Card:  # fmt: skip
    """The card, ``files`` being on disk already. Nothing in it depends on when or where the set was
    built."""
    edits = chosen.edits
    sections: dict[str, Facts] = {
        "data": {
            "set": spec.set_name,
            "cases": len(edits),
            "files": {name: file_facts(path) for name, path in files.items()},
        },
        "warnings": {str(i): text for i, text in enumerate(warnings(chosen, table, spec, size), 1)},
        "source": {
            **{name: file_facts(path) for name, path in inputs.items()},
            "rows": table.source.rows,
            "repeated rows": table.repeated,
            "cells with spaces at an end, removed": table.stripped,
            "people": len(table.people),
        },
        "people left out": _counts(chosen.left_out),
        "people not edited": _counts(chosen.not_edited),
        f"values of {spec.edits}": {
            "edited to": len(chosen.values),
            "quarantined": {why: list(v) for why, v in chosen.quarantined.items()},
        },
        "cases": {
            "asked for": size.cases or "as many as are balanced",
            "made": len(edits),
            f"edited, by {spec.balance}": dict(sorted(Counter(e.group for e in edits).items())),
            "other people of each group": spread([_each(edit) for edit in edits]),
            "with fewer than asked for": len(_short(chosen, size)),
        },
        "new values": dict(Counter(edit.new for edit in edits).most_common()),
        "other people": dependence(edits),
        **{f"other people by {axis}": _members(edits, axis) for axis in spec.groups},
        "settings": {
            "truing": __version__,
            "seed": seed,
            "people per case": size.people,
            **settings(spec),
        },
    }
    summary = (
        f"{len(edits)} edits of {spec.edits}, asked of other people and of {spec.asks}; "
        f"{', '.join(chosen.groups)} ({spec.balance}) are edited and asked about alike. {LABELS} "
        f"The answers to choose from stand once, in {CANDIDATES}."
    )
    return Card(f"Edits of people: {spec.set_name}", summary, sections)


def settings(spec: Spec) -> dict[str, Any]:
    """The specification with what it leaves out said in words."""
    said = spec.model_dump(mode="json")
    said["dead"] = spec.dead or "no column: nobody is dead"
    said["compare"] = said["compare"] or f"all groups of {spec.balance}"
    for name, each in said["properties"].items():
        each["column"] = each["column"] or name
        each["past"] = each["past"] or "the prompts, their verbs in the past"
        each["candidates"] = each["candidates"] or "all values of the column"
        each["categories"] = each["categories"] or "no file: any value"
    return said


def warnings(chosen: Chosen, table: Table, spec: Spec, size: Size) -> list[str]:
    """What a user of the set has to know, one sentence each."""
    edits, found = chosen.edits, []
    if size.cases is not None and len(edits) < size.cases:
        found.append(
            f"{size.cases} cases were asked for and {len(edits)} are there: as many of each group, and "
            "at most half of a group"
        )
    short = _short(chosen, size)
    if short:
        scarce = {g for edit in short for g in edit.scarce}
        found.append(
            f"{len(short)} cases have fewer than {_wanted(chosen, size)} other people of each group, for "
            f"want of {', '.join(sorted(scarce))}"
        )
    news = Counter(edit.new for edit in edits)
    share = sum(count for _, count in news.most_common(2)) / len(edits)
    if share > 0.5:
        two = " and ".join(value for value, _ in news.most_common(2))
        found.append(f"{share:.0%} of the edits are to {two}")
    for axis in spec.groups:
        without = [person for person in table.people if not person.groups[axis]]
        if without:
            found.append(f"{len(without)} people have no {axis}, the first: {without[0].where}")
        alone = _alone(table.people, axis)
        if alone:
            found.append(f"groups of one person by {axis}: {', '.join(alone)}")
    return found


def dependence(edits: Sequence[Edit]) -> dict[str, Any]:
    """How often the same people are asked about. ``share``: of the people of a case, how many another
    case has too, on average over pairs of cases; ``None`` for a single case."""
    seen = Counter(person.id for edit in edits for person in edit.people)
    places, n = seen.total(), len(edits)
    both = sum(count * (count - 1) for count in seen.values())
    return {
        "places": places,
        "people": len(seen),
        "cases of one person": spread(list(seen.values())),
        "share that two cases have in common": round(both / (places * (n - 1)), 4)
        if n > 1
        else None,
    }


def _wanted(chosen: Chosen, size: Size) -> int:
    return size.people // len(chosen.groups)


def _each(edit: Edit) -> int:
    return min(map(len, edit.others.values()))


def _short(chosen: Chosen, size: Size) -> list[Edit]:
    """Those with fewer other people than asked for."""
    return [edit for edit in chosen.edits if _each(edit) < _wanted(chosen, size)]


def _counts(left: Reasons) -> dict[str, Any]:
    by_reason = {why: {"people": len(p), "the first": p[0].where} for why, p in left.items()}
    return {"in all": sum(map(len, left.values())), **by_reason}


def _members(edits: Sequence[Edit], axis: str) -> dict[str, int]:
    there = {person.id: person for edit in edits for person in edit.people}
    groups = chain.from_iterable(p.groups[axis] or ("in no group",) for p in there.values())
    return dict(sorted(Counter(groups).items()))


def _alone(people: Sequence[Person], axis: str) -> list[str]:
    sizes = Counter(group for person in people for group in person.groups[axis])
    return sorted(group for group, count in sizes.items() if count == 1)
