"""Which groups the people of Seesaw-CF belong to, from files alone.

Files about people name their groups on any axis, or their properties: gender, and ethnic groups, which
tell race and origin. Gender comes from the published order too: of exactly 200 people of one edit the
first 100 are women and the others men; those of an edit of gender have the new gender. Nothing is guessed:
who is in no file has no group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from truing.benchmarks.files import Record
from truing.benchmarks.seesaw.tables import ETHNICITY, GENDER, Tables
from truing.errors import BadInput

AXES = ("gender", "origin", "race")
WOMEN, MEN = "women", "men"
GENDER_OF = {"Q6581072": WOMEN, "Q6581097": MEN, "Q1052281": WOMEN, "Q2449503": MEN}
"""Trans women are women and trans men are men."""
HALF = 100


@dataclass(frozen=True, slots=True)
class Groups:
    """Person (id) to axis to groups, every axis there is, and what was left out."""

    members: Mapping[str, Mapping[str, tuple[str, ...]]]
    axes: tuple[str, ...]
    remarks: tuple[str, ...]

    def without(self, people: Iterable[str], axis: str) -> int:
        """How many of these people have no group on an axis."""
        return sum(not self.members.get(person, {}).get(axis) for person in set(people))


class _Person(BaseModel):
    model_config = ConfigDict(extra="ignore")
    properties: dict[str, list[object]] = {}
    groups: dict[str, tuple[str, ...]] = {}

    def ids(self, name: str) -> list[str]:
        return [value for value in self.properties.get(name, []) if isinstance(value, str)]


_PEOPLE = TypeAdapter(dict[str, _Person])


def read_groups(root: Path, records: Iterable[Record], tables: Tables) -> Groups:
    """The groups of all people in the files ``subject_info/*.json`` and ``people/*.json`` of the data
    folder (id to ``{"properties": {"P21": [...], "P172": [...]}}`` or ``{"groups": {"gender": [...]}}``,
    which comes first) and in the records.

    Somebody to whom sources give different genders has none. Raises ``BadInput`` for a file of people
    that is something else.
    """
    genders: dict[str, set[str]] = {}
    named: dict[str, dict[str, tuple[str, ...]]] = {}
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for id, person in _people(root):
        genders.setdefault(id, set()).update(
            GENDER_OF[value] for value in person.ids(GENDER) if value in GENDER_OF
        )
        if person.groups:
            named.setdefault(id, {}).update(person.groups)
        sides = [tables.ethnic[value] for value in person.ids(ETHNICITY) if value in tables.ethnic]
        for axis, place in (("origin", 0), ("race", 1)):
            names = tuple(sorted({side[place] for side in sides if side[place]}))
            if names:
                found.setdefault(id, {})[axis] = names
    for record in records:
        for id, gender in _by_order(record.fields):
            genders.setdefault(id, set()).add(gender)
    unsure = sorted(id for id, said in genders.items() if len(said) > 1)
    for id, said in genders.items():
        if len(said) == 1:
            found.setdefault(id, {})["gender"] = tuple(said)
    for id, groups in named.items():
        found.setdefault(id, {}).update(groups)
    published = AXES if tables.names else ()
    axes = dict.fromkeys((*published, *sorted({axis for each in found.values() for axis in each})))
    remark = f"sources disagree about the gender of {len(unsure)} people, who have none"
    return Groups(found, tuple(axes), (remark,) if unsure else ())


def _by_order(fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What the published order tells; records of other sets, which say what is asked, have none."""
    if "asked" in fields:
        return
    people, rewrite = fields.get("attribute_aux_info"), fields.get("requested_rewrite")
    if not isinstance(people, list) or not isinstance(rewrite, dict):
        return
    if rewrite.get("relation_id") == GENDER:
        target = rewrite.get("target_new")
        gender = GENDER_OF.get(str(target.get("id"))) if isinstance(target, dict) else None
        if gender is not None:
            yield from ((str(id), gender) for id in people)
    elif len(people) == 2 * HALF:
        yield from ((str(id), WOMEN if i < HALF else MEN) for i, id in enumerate(people))


def _people(root: Path) -> Iterator[tuple[str, _Person]]:
    for folder in ("subject_info", "people"):
        for path in sorted((root / folder).glob("*.json")):
            try:
                yield from _PEOPLE.validate_json(path.read_bytes()).items()
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "the file"
                raise BadInput(
                    f"{path}: {where}: {first['msg']}",
                    'People are {"Q1": {"properties": {"P21": ["Q6581072"]}}}.',
                ) from None
