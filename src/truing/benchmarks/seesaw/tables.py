"""The lookup tables of Seesaw-CF: names of values, answers to choose from, what is true of the people
who are edited, and which groups an ethnic group belongs to. All are files; nothing is looked up elsewhere.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from truing.errors import BadInput

FIELD, GENDER, BIRTHPLACE, CITIZENSHIP, ETHNICITY = "P101", "P21", "P19", "P27", "P172"
GENDERS = {"Q6581097": "male", "Q6581072": "female"}
_NAMES = {FIELD: ("fow.csv", 1, True), BIRTHPLACE: ("city_to_country.csv", 3, False),
          CITIZENSHIP: ("P27_cats.csv", 1, False)}  # fmt: skip
"""By property: the table, the column of the name (the id comes first), whether it has a header."""

CANDIDATES = "candidates.json"
"""Property to the answers to choose from, for all records of the folder that name none."""
_CANDIDATES = TypeAdapter(dict[str, tuple[str, ...]])


@dataclass(frozen=True)
class Tables:
    """The tables of a data folder.

    ``names``: by property, id to name. ``people``: edited people by name, property to ids.
    ``ethnic``: ethnic group's id to (origin, race), ``""`` for none. ``remarks``: what was mended.
    ``listed``: by property, the answers to choose from that a set names itself.
    """

    names: Mapping[str, Mapping[str, str]]
    people: Mapping[str, Mapping[str, tuple[str, ...]]]
    ethnic: Mapping[str, tuple[str, str]]
    remarks: tuple[str, ...]
    listed: Mapping[str, tuple[str, ...]]

    @cached_property
    def candidates(self) -> Mapping[str, tuple[str, ...]]:
        """By property, every answer to choose from: as a set lists them, else all names, sorted."""
        named = {name: tuple(sorted(set(values.values()))) for name, values in self.names.items()}
        return {**named, **self.listed}

    def answers(self, person: str, asked: str) -> tuple[str, ...]:
        """What is true of an edited person; ``()`` where the tables do not say."""
        names = self.names.get(asked, {})
        ids = self.people.get(person, {}).get(asked, ())
        return tuple(dict.fromkeys(names[id] for id in ids if id in names))


def data_root(path: Path) -> Path:
    """The data folder: ``path`` or the folder of that file, else the one above; it has the folder
    ``lookups``, or files of people alone. Raises ``BadInput`` where there is none."""
    if not path.exists():
        raise BadInput(
            f"{path} does not exist",
            "Data in a plan are read from the plan's own folder; give that path, or a whole one from /.",
        )
    inner = path if path.is_dir() else path.parent
    for folder in (inner, inner.resolve().parent):
        if (folder / "lookups").is_dir() or any(folder.glob("people/*.json")):
            return folder
    raise BadInput(
        f"{path} is not in a folder of Seesaw-CF: neither its folder nor the one above holds lookups or people",
        "Give the folder with the published lookup tables or that of a built set, or a file inside it.",
    )


def read_tables(root: Path) -> Tables:
    """The tables. A folder without ``lookups``, whose records say themselves what is true, has at most
    :data:`CANDIDATES`.

    Raises ``BadInput`` where a published table is absent or has rows that are too short, and for
    candidates that are no lists of texts."""
    listed = _listed(root / CANDIDATES)
    if not (root / "lookups").is_dir():
        return Tables({}, {}, {}, (), listed)
    remarks: list[str] = []
    names: dict[str, Mapping[str, str]] = {GENDER: GENDERS}
    for name, (file, column, header) in _NAMES.items():
        table = {row[0]: row[column] for row in _rows(root / "lookups" / file, column, header)}
        mended = [value for value in table.values() if value != value.strip()]
        if mended:
            remarks.append(f"{file}: spaces around {len(mended)} names were removed")
        names[name] = {id: value.strip() for id, value in table.items() if value.strip()}
    ethnic, more = _ethnic(root)
    return Tables(names, _people(root), ethnic, (*remarks, *more), listed)


def _listed(path: Path) -> dict[str, tuple[str, ...]]:
    if not path.is_file():
        return {}
    try:
        return _CANDIDATES.validate_json(path.read_bytes())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "the file"
        raise BadInput(
            f"{path}: {where} is no list of texts", 'Candidates are {"work": ["smith", "miner"]}.'
        ) from None


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
