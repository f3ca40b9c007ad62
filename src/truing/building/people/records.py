"""The files of a set: records as Seesaw-CF publishes them, which say themselves what is true, what to
choose from, and the groups of people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from truing.benchmarks.seesaw.tables import CANDIDATES
from truing.building.people.choose import Edit
from truing.building.people.spec import Spec, in_the_past
from truing.building.people.table import Person
from truing.runs.lines import write_atomically

FREE = "{} is"


def files_of(spec: Spec) -> dict[str, Path]:
    """The files of records, of people and of what to choose from, below the folder of the set."""
    return {
        "records": Path(f"seesaw_cf_{spec.set_name}.json"),
        "people": Path("people") / f"{spec.set_name}.json",
        "candidates": Path(CANDIDATES),
    }


def record(number: int, edit: Edit, spec: Spec) -> dict[str, Any]:
    """One edit and what is asked around it."""
    subject = edit.subject
    prompt, *others = spec.edited.wordings(subject.dead)
    guided = spec.asked.wordings(subject.dead)[0]
    free = in_the_past(FREE) if subject.dead else FREE
    return {
        "case_id": number,
        "subject_id": subject.id,
        "requested_rewrite": {
            "prompt": prompt,
            "relation_id": spec.edits,
            "target_new": {"str": edit.new, "id": edit.new},
            "target_true": {"str": edit.old, "id": edit.old},
            "subject": subject.name,
        },
        "paraphrase_prompts": [filled(other, subject) for other in others],
        "generation_prompts": [filled(guided, subject), filled(free, subject)],
        "attribute_prompts": [
            filled(spec.edited.wordings(person.dead)[0], person) for person in edit.people
        ],
        "attribute_aux_info": [person.id for person in edit.people],
        "attribute_aux_ent": [person.name for person in edit.people],
        "asked": {"property": spec.asks, "answers": list(subject.properties[spec.asks])},
    }


def people(edits: Iterable[Edit]) -> dict[str, dict[str, Any]]:
    """Name and groups of everybody in the edits, by id."""
    there = {person.id: person for edit in edits for person in (edit.subject, *edit.people)}
    return {
        id: {
            "name": there[id].name,
            "groups": {axis: list(g) for axis, g in there[id].groups.items() if g},
        }
        for id in sorted(there)
    }


def filled(template: str, person: Person) -> str:
    """The template with the name; nothing else of it changes."""
    return template.replace("{}", person.name)


def write(path: Path, value: list[Any] | Mapping[str, Any]) -> None:
    """Raises ``StoreError``."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(path, text + "\n")
