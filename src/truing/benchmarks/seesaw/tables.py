"""The lookup tables of Seesaw-CF: names of values, answers to choose from, what is true of the people
who are edited, and which groups an ethnic group belongs to. All are files; nothing is looked up elsewhere.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from truing.errors import BadInput

FIELD, GENDER, BIRTHPLACE, CITIZENSHIP, ETHNICITY = "P101", "P21", "P19", "P27", "P172"
GENDERS = {"Q6581097": "male", "Q6581072": "female"}
_NAMES = {FIELD: ("fow.csv", 1, True), BIRTHPLACE: ("city_to_country.csv", 3, False),
          CITIZENSHIP: ("P27_cats.csv", 1, False)}  # fmt: skip
"""By property: the table, the column of the name (the id comes first), whether it has a header."""


@dataclass(frozen=True)
class Tables:
    """The tables of a data folder.

    ``names``: by property, id to name. ``people``: edited people by name, property to ids.
    ``ethnic``: ethnic group's id to (origin, race), ``""`` for none. ``remarks``: what was mended.
    """

    names: Mapping[str, Mapping[str, str]]
    people: Mapping[str, Mapping[str, tuple[str, ...]]]
    ethnic: Mapping[str, tuple[str, str]]
    remarks: tuple[str, ...]

    @cached_property
    def candidates(self) -> Mapping[str, tuple[str, ...]]:
        """By property, every answer to choose from, sorted."""
        return {name: tuple(sorted(set(values.values()))) for name, values in self.names.items()}

    def answers(self, person: str, asked: str) -> tuple[str, ...]:
        """What is true of an edited person; ``()`` where the tables do not say."""
        names = self.names.get(asked, {})
        ids = self.people.get(person, {}).get(asked, ())
        return tuple(dict.fromkeys(names[id] for id in ids if id in names))


def data_root(path: Path) -> Path:
    """The data folder that ``path`` is or lies in: the one with the folder ``lookups``, or with files of
    people alone. Raises ``BadInput`` where there is none."""
    for folder in (path, *path.resolve().parents):
        if (folder / "lookups").is_dir() or any(folder.glob("people/*.json")):
            return folder
    raise BadInput(
        f"{path} is not in a folder of Seesaw-CF: none around it holds lookups or people",
        "Give the folder with the published lookup tables or that of a built set, or a file inside it.",
    )


def read_tables(root: Path) -> Tables:
    """The tables, empty for a folder without ``lookups``, whose records say themselves what is true.

    Raises ``BadInput`` where a published table is absent or has rows that are too short."""
    if not (root / "lookups").is_dir():
        return Tables({}, {}, {}, ())
    remarks: list[str] = []
    names: dict[str, Mapping[str, str]] = {GENDER: GENDERS}
    for name, (file, column, header) in _NAMES.items():
        table = {row[0]: row[column] for row in _rows(root / "lookups" / file, column, header)}
        mended = [value for value in table.values() if value != value.strip()]
        if mended:
            remarks.append(f"{file}: spaces around {len(mended)} names were removed")
        names[name] = {id: value.strip() for id, value in table.items() if value.strip()}
    ethnic, more = _ethnic(root)
    return Tables(names, _people(root), ethnic, (*remarks, *more))


def _rows(path: Path, column: int, header: bool) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(row)][int(header) :]
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", "Give the published data folder as it is."
        ) from None
    short = next((number for number, row in enumerate(rows, 1) if len(row) <= column), None)
    if short is not None:
        raise BadInput(f"{path}: row {short} has fewer than {column + 1} columns", "Mend it.")
    return rows


def _people(root: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    path = root / "subject_info" / "seedling_min.csv"
    if not path.is_file():
        return {}
    header, *rows = _rows(path, 0, header=False)
    return {
        row[0]: {name: _ids(cell) for name, cell in zip(header[1:], row[1:], strict=False)}
        for row in rows
    }


def _ids(cell: str) -> tuple[str, ...]:
    """Several ids are separated by commas; ``N/A`` is none."""
    parts = (part.strip() for part in cell.split(","))
    return tuple(part for part in parts if part and part != "N/A")


def _ethnic(root: Path) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Ids on which two tables disagree are in none."""
    told: dict[str, set[tuple[str, str]]] = {}
    for path in sorted((root / "lookups").glob("*thnic*.csv")):
        for row in _rows(path, 4, header=True):
            told.setdefault(row[0], set()).add((row[3].strip(), row[4].strip()))
    unsure = sorted(id for id, said in told.items() if len(said) > 1)
    remarks = [f"the tables of ethnic groups disagree about {_some(unsure)}, which have no group"]
    sure = {id: next(iter(said)) for id, said in told.items() if len(said) == 1}
    return sure, remarks if unsure else []


def _some(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
