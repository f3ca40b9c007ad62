"""What people think of texts that a model wrote: a sheet for any spreadsheet, and their decisions.

A row stands for one item, known by the hash of its texts. ``decision`` is ``accept``, ``reject``,
``edit`` or empty; edited wording goes into the ``edited ...`` columns, and what is shown is never
read back.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from truing.benchmarks import files
from truing.errors import BadInput
from truing.runs.lines import write_atomically

Choice = Literal["accept", "reject", "edit"]
CHOICES: Mapping[str, Choice] = {
    "accept": "accept",
    "accepted": "accept",
    "reject": "reject",
    "rejected": "reject",
    "edit": "edit",
    "edited": "edit",
}
FORMULA = ("=", "+", "-", "@", "'")


@dataclass(frozen=True, slots=True)
class Item:
    """What is looked at: texts by column, and which of them may be edited."""

    id: str
    shown: Mapping[str, str]
    editable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided; ``edited`` holds the new wording of the columns that were changed."""

    choice: Choice
    reviewer: str = ""
    edited: Mapping[str, str] = field(default_factory=dict)


def write_sheet(path: Path, items: Sequence[Item]) -> None:
    """Write the sheet of ``items``, all with the same columns. Raises ``BadInput`` where ``path``
    holds decisions, which would be lost, and ``StoreError``."""
    shown = list(items[0].shown) if items else []
    edited = [_edited(name) for name in items[0].editable] if items else []
    columns = ["id", *shown, "decision", *edited, "reviewer"]
    rows = [
        [item.id, *map(guarded, item.shown.values()), "", *("" for _ in edited), ""]
        for item in items
    ]
    write_rows(path, columns, rows, ("decision",))


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]], answers: Sequence[str]
) -> None:
    """Write a sheet. Raises ``BadInput`` where ``path`` has something in a column of ``answers``, which
    would be lost, and ``StoreError``."""
    if path.exists() and _answered(path, answers):
        raise BadInput(
            f"{path} holds decisions, which a new sheet would overwrite",
            f"Apply them with --reviewed {path}, or move the file away.",
        )
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(columns)
    sheet.writerows(rows)
    write_atomically(path, out.getvalue())


def read_sheet(path: Path, items: Sequence[Item]) -> dict[str, Decision]:
    """Decisions by the id of their item. Rows without a decision are not in it.

    Raises ``BadInput`` naming the line: a decision that is none, an item that is not among ``items``
    or comes twice, an edit without new wording, or new wording beside another decision.
    """
    known = {item.id: item for item in items}
    found: dict[str, Decision] = {}
    for record in files.read(path).records:
        if record.trouble:
            raise BadInput(f"{path}: {record.where}: {record.trouble}", "Mend the row.")
        said = cell(record.fields, "decision").casefold()
        item = known.get(cell(record.fields, "id"))
        if item is None and said:
            raise BadInput(
                f"{path}: {record.where} decides on '{cell(record.fields, 'id')}', which is not here",
                "The sheet is of another build, or the set was built with other settings since.",
            )
        decision = None if item is None else _decision(path, record, said, item)
        if item is None or decision is None:
            continue
        if item.id in found:
            raise BadInput(f"{path}: {record.where} decides on '{item.id}' again", "Keep one row.")
        found[item.id] = decision
    return found


def _decision(path: Path, record: files.Record, said: str, item: Item) -> Decision | None:
    where = f"{path}: {record.where}"
    wording = {name: _unguarded(cell(record.fields, _edited(name))) for name in item.editable}
    edited = {name: text for name, text in wording.items() if text}
    if said and said not in CHOICES:
        raise BadInput(
            f"{where}: '{said}' is no decision", "Write accept, reject, edit or nothing."
        )
    choice = CHOICES.get(said)
    if edited and choice != "edit":
        raise BadInput(f"{where} has edited wording beside '{said}'", "Write edit there.")
    if choice == "edit" and not edited:
        raise BadInput(f"{where} has no edited wording", f"Fill {_edited(item.editable[0])}.")
    return None if choice is None else Decision(choice, cell(record.fields, "reviewer"), edited)


def _answered(path: Path, answers: Sequence[str]) -> bool:
    records = files.read(path).records
    return any(cell(record.fields, name) for record in records for name in answers)


def _edited(name: str) -> str:
    return f"edited {name}"


def cell(fields: Mapping[str, Any], name: str) -> str:
    """What a row has in a column, ``""`` for nothing."""
    return str(fields.get(name, "")).strip()


def guarded(text: str) -> str:
    """A spreadsheet must not take a text for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
