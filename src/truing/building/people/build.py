"""Build a set of edits of people from a table: read, choose, write, and say in a card how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from truing.building.card import FORMAT, Card
from truing.building.people import records
from truing.building.people.card import card_of, warnings
from truing.building.people.choose import Chosen, Size, choose
from truing.building.people.spec import Spec, read_categories, read_spec
from truing.building.people.table import Table, read_table
from truing.errors import BadInput, NotPossible
from truing.runs.lines import cannot, write_atomically

CARD, PAGE = "card.json", "DATASET.md"


@dataclass(frozen=True, slots=True)
class Built:
    """What came out: the set's name as ``seesaw`` takes it, its edits, and what to know of it."""

    name: str
    table: Table
    chosen: Chosen
    warnings: tuple[str, ...]


def build(table: Path, spec: Path, out: Path, size: Size, seed: int) -> Built:
    """Write the set of a table and a specification to the folder ``out``.

    The same people, specification and seed give the same records, byte by byte, in whatever order the
    rows are. Raises ``BadInput`` for what cannot be used and for a folder that holds something else,
    ``NotPossible`` where nothing is left to edit or to ask, ``StoreError``.
    """
    wanted = read_spec(spec)
    _check_folder(out, wanted)
    people = read_table(table, wanted)
    inputs = {"table": table, "specification": spec}
    categories: Mapping[str, str] = {}
    if wanted.edited.categories:
        inputs["categories"] = spec.parent / wanted.edited.categories
        categories = read_categories(inputs["categories"])
    candidates = _candidates(people, wanted)
    chosen = choose(people, wanted, categories, size, seed)
    files = {name: out / path for name, path in records.files_of(wanted).items()}
    made = [records.record(i, edit, wanted) for i, edit in enumerate(chosen.edits)]
    try:
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot("make", out, error) from None
    records.write(files["records"], made)
    records.write(files["people"], records.people(chosen.edits))
    records.write(files["candidates"], {wanted.asks: candidates})
    _write_card(card_of(chosen, people, wanted, size, seed, inputs, files), out)
    return Built(wanted.set_name, people, chosen, tuple(warnings(chosen, people, wanted, size)))


def _check_folder(out: Path, spec: Spec) -> None:
    ours = {*(out / path for path in records.files_of(spec).values()), out / CARD, out / PAGE}
    others = sorted(path for path in out.rglob("*") if path.is_file() and path not in ours)
    if others:
        raise BadInput(
            f"{out} holds {others[0].relative_to(out)}, which is not of the set {spec.set_name}",
            "Give a new folder with --out.",
        )


def _candidates(table: Table, spec: Spec) -> tuple[str, ...]:
    """The answers to choose from. Raises ``NotPossible`` for fewer than two."""
    there = {value for person in table.people for value in person.properties[spec.asks]}
    found = tuple(dict.fromkeys(spec.asked.candidates)) or tuple(sorted(there))
    if len({*found, *there}) < 2:
        raise NotPossible(
            f"'{spec.asks}' has fewer than two answers to choose from: {', '.join(found) or 'none'}",
            "Name candidates, or ask for another property.",
        )
    return found


def _write_card(card: Card, out: Path) -> None:
    whole = {"format": FORMAT, "title": card.title, "summary": card.summary, **card.sections}
    text = json.dumps(whole, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(out / CARD, text + "\n")
    write_atomically(out / PAGE, card.markdown)
