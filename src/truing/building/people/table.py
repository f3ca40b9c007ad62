"""Tables of people: CSV or JSON lines, one person a row, several values in a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.benchmarks import files
from truing.benchmarks.files import Record, Source
from truing.building.people.spec import Spec
from truing.errors import BadInput

ALIVE = frozenset({"", "0", "0.0", "no", "false", "none", "nan"})
Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A row. ``properties`` by property and ``groups`` by column, each sorted and without repetition;
    ``where``: the row, which makes nobody different."""

    id: str
    name: str
    properties: Mapping[str, Values]
    groups: Mapping[str, Values]
    dead: bool
    where: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Table:
    """People by id. ``repeated`` rows were there before, ``stripped`` cells had spaces at an end."""

    people: tuple[Person, ...]
    source: Source
    repeated: int
    stripped: int


def read_table(path: Path, spec: Spec) -> Table:
    """The people of a file. Raises ``BadInput`` with file and row: a column that is not there, a person
    without id or name, two rows that say different things of one person, a cell that cannot be read.
    """
    contents = files.read(path)
    _check_columns(path, spec, contents.records)
    people: dict[str, Person] = {}
    stripped = 0
    for record in contents.records:
        row = _Row(path, spec, record)
        person = row.person()
        stripped += row.stripped()
        before = people.setdefault(person.id, person)
        if before != person:
            raise BadInput(
                f"{path}: {record.where} and {before.where} say different things of '{person.id}'",
                "Keep one of the rows, or give two people two ids.",
            )
    repeated = len(contents.records) - len(people)
    ordered = tuple(people[id] for id in sorted(people))
    return Table(ordered, contents.source, repeated, stripped)


def _columns(spec: Spec) -> dict[str, None]:
    dead = [spec.dead] if spec.dead else []
    return dict.fromkeys([spec.id, spec.name, *dead, *spec.groups, *spec.columns.values()])


def _check_columns(path: Path, spec: Spec, records: tuple[Record, ...]) -> None:
    there = sorted({name for record in records for name in record.fields})
    for column in _columns(spec):
        if there and column not in there:
            raise BadInput(
                f"{path}: no row has anything in a column '{column}'",
                f"Columns there: {', '.join(there)}.",
            )


@dataclass(frozen=True, slots=True)
class _Row:
    path: Path
    spec: Spec
    record: Record

    def person(self) -> Person:
        spec = self.spec
        if self.record.trouble:
            raise self._wrong(self.record.trouble, "Mend or remove it.")
        return Person(
            id=self._one(spec.id),
            name=self._one(spec.name),
            properties={name: self._values(column) for name, column in spec.columns.items()},
            groups={column: self._values(column) for column in spec.groups},
            dead=bool(spec.dead)
            and any(value.casefold() not in ALIVE for value in self._values(spec.dead)),
            where=self.record.where,
        )

    def stripped(self) -> int:
        cells = (self.record.fields.get(column) for column in _columns(self.spec))
        return sum(
            any(isinstance(text, str) and text != text.strip() for text in _listed(cell))
            for cell in cells
        )

    def _one(self, column: str) -> str:
        text = self._text(column, self.record.fields.get(column, ""))
        if not text or not text.isprintable():
            raise self._wrong(f"there is no {column}", "Everybody needs one, on one line.")
        return text

    def _values(self, column: str) -> Values:
        cell = self.record.fields.get(column)
        texts = [self._text(column, value) for value in _listed(cell)]
        if not isinstance(cell, list):
            texts = [part.strip() for text in texts for part in text.split(self.spec.separator)]
        return tuple(sorted({text for text in texts if text and text not in self.spec.missing}))

    def _text(self, column: str, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, (str, int, float)):
            return str(value).strip()
        raise self._wrong(f"'{column}' is neither text nor a list of texts", "Give text.")

    def _wrong(self, what: str, what_next: str) -> BadInput:
        return BadInput(f"{self.path}: {self.record.where}: {what}", what_next)


def _listed(cell: Any) -> list[Any]:
    return cell if isinstance(cell, list) else [cell]
