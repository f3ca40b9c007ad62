"""A blind sheet: answers of a run drawn for people to judge.

What the page shows is :meth:`Sheet.shown`: texts and numbers in a shuffled order. Which model,
method and moment an answer comes from is only in the key, ``review/<sheet>.json`` in the run folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from pydantic import ValidationError

from truing.errors import BadInput, StoreError, UnknownName
from truing.judges.base import Shown
from truing.runs.asked import EVERYTHING, Selection
from truing.runs.lines import cannot, read_json, write_atomically
from truing.runs.review.rubric import Parsed, Rubric
from truing.runs.store import read_manifest, read_rows
from truing.seeds import Seeds
from truing.types import Row

FOLDER = "review"
T = TypeVar("T")


class Answer(Parsed):
    """One text under a question. ``rows`` are the rows that hold it as their answer; ``base`` says
    that it is the unedited model's."""

    id: str
    text: str
    rows: tuple[str, ...]
    base: bool


class Item(Parsed):
    """One question with its answers in the order shown. ``cluster`` names the independent case."""

    id: str
    cluster: str
    question: str
    accepted: tuple[str, ...]
    answers: tuple[Answer, ...]


class Sheet(Parsed):
    """What people are shown, and the key to it. ``ties`` are drawn rows that repeat the base model's
    answer word for word, where the rubric compares: nobody need look at them."""

    format: int = 1
    id: str
    rubric: Rubric
    seed: int
    items: tuple[Item, ...]
    ties: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows were drawn: equal answers to one question are shown once."""
        return len(self.ties) + sum(len(a.rows) for item in self.items for a in item.answers)

    def shown(self) -> dict[str, Any]:
        """All that the page may hold."""
        return {
            "sheet": self.id,
            "question": self.rubric.question,
            "compares": self.rubric.compares,
            "labels": [] if self.rubric.compares else [label.text for label in self.rubric.labels],
            "items": [
                {
                    "id": item.id,
                    "question": item.question,
                    "accepted": self.rubric.shown(item.accepted),
                    "answers": [{"id": a.id, "text": a.text} for a in item.answers],
                }
                for item in self.items
            ],
        }


def draw(
    folder: Path,
    rubric: Rubric,
    *,
    sample: int = 100,
    cells: Sequence[str] = (),
    only: Selection = EVERYTHING,
    seed: int = 0,
) -> Sheet:
    """A sheet over ``sample`` rows of a run (all, where there are fewer).

    Cells take turns, and within a cell its protocols, aspects and moments. Every cell puts its cases
    into the same random order, so that the same questions are drawn of each and can be compared.
    ``cells`` holds ids or names of methods. Equal answers to one question are shown once, and the
    base model's beside them. Raises ``BadInput`` where nothing is left, or ``sample`` is too small
    for every cell to be there, and ``UnknownName`` for a cell.
    """
    facts = {str(cell["id"]): cell for cell in read_manifest(folder).get("cells", [])}
    allowed = _chosen(facts, cells)
    if rubric.compares:
        allowed -= {ident for ident, cell in facts.items() if cell.get("registered") == "none"}
    strata: dict[str, dict[tuple[str, ...], list[tuple[int, int, str]]]] = {}
    order = Seeds(seed, ("review",))
    for row in read_rows(folder):
        if row.cell in allowed and only.holds(row) and rubric.applies(row):
            place = order.child(row.case).child(row.probe).number
            stratum = (row.protocol, row.aspect, row.moment)
            strata.setdefault(row.cell, {}).setdefault(stratum, []).append(
                (place, row.step, row.key)
            )
    if not strata:
        raise BadInput(
            "no row of the run can be reviewed so",
            "People judge answers that the model wrote itself; see --cell, --aspect, --protocol and --rubric.",
        )
    if sample < len(strata):
        raise BadInput(
            f"a sample of {sample} rows cannot hold each of {len(strata)} cells",
            "Draw more rows, or choose cells.",
        )
    turns = [
        _in_turn([sorted(strata[cell][name]) for name in sorted(strata[cell])])
        for cell in facts
        if cell in strata
    ]
    keys = {key for _, _, key in islice(_in_turn(turns), sample)}
    rows = sorted((row for row in read_rows(folder) if row.key in keys), key=lambda row: row.key)
    names = {row.cell: str(facts[row.cell].get("benchmark", "?")) for row in rows}
    return _sheet(rows, names, rubric, seed)


def key_path(folder: Path, sheet: str) -> Path:
    """Where a run keeps the key of a sheet."""
    return folder / FOLDER / f"{sheet}.json"


def write_key(folder: Path, sheet: Sheet) -> Path:
    """Keep the key in the run folder. Raises ``StoreError``."""
    path = key_path(folder, sheet.id)
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot("make", path.parent, error) from None
    write_atomically(path, json.dumps(sheet.model_dump(mode="json"), ensure_ascii=False, indent=1))
    return path


def read_key(folder: Path, ident: str) -> Sheet:
    """The sheet with this id. Raises ``BadInput`` where the run has none, ``StoreError`` for a key
    that was changed."""
    path = key_path(folder, ident)
    if not ident.isalnum() or not path.is_file():
        raise BadInput(
            f"{folder} has no key of sheet {ident}",
            "Name the run that the sheet was drawn from; its keys are in its folder review.",
        )
    try:
        found = Sheet.model_validate(read_json(path))
    except ValidationError as error:
        raise StoreError(
            f"{path} is not the key of a sheet: {error.errors()[0]['msg']}",
            "Draw the sheet again with the same settings; its id tells whether it is the same.",
        ) from None
    return found


@dataclass
class _Group:
    """One question on its way to an item: the rows of each text, and the texts of the base."""

    cluster: str
    questions: set[str] = field(default_factory=set)
    accepted: tuple[str, ...] = ()
    texts: dict[str, list[str]] = field(default_factory=dict)
    bases: set[str] = field(default_factory=set)


def _sheet(rows: Sequence[Row], benchmarks: Mapping[str, str], rubric: Rubric, seed: int) -> Sheet:
    groups: dict[tuple[str, ...], _Group] = {}
    ties = []
    for row in rows:
        shown = Shown.of(row)
        assert shown is not None
        if rubric.compares and shown.answer == shown.base:
            ties.append(row.key)
            continue
        benchmark = benchmarks[row.cell]
        pair = (shown.answer, shown.base or "") if rubric.compares else ()
        group = groups.setdefault(
            (benchmark, row.case, row.probe, *pair), _Group(f"{benchmark}/{row.case}")
        )
        group.questions.add(shown.question)
        group.accepted = group.accepted or shown.accepted
        group.texts.setdefault(shown.answer, []).append(row.key)
        if shown.base is not None:
            group.bases.add(shown.base)
            group.texts.setdefault(shown.base, [])
    shuffle = Seeds(seed, ("review", "shuffle")).random()
    ordered = [groups[name] for name in sorted(groups)]
    shuffle.shuffle(ordered)
    items = tuple(_item(number, group, shuffle) for number, group in enumerate(ordered, 1))
    made = Sheet(id="", rubric=rubric, seed=seed, items=items, ties=tuple(ties))
    digest = hashlib.sha256(made.model_dump_json().encode()).hexdigest()[:12]
    return made.model_copy(update={"id": digest})


def _item(number: int, group: _Group, shuffle: Random) -> Item:
    """The shortest wording of the question is shown: templates and prefixes only add to it."""
    texts = sorted(group.texts)
    shuffle.shuffle(texts)
    answers = tuple(
        Answer(id=f"{number}.{place}", text=t, rows=tuple(group.texts[t]), base=t in group.bases)
        for place, t in enumerate(texts, 1)
    )
    question = min(group.questions, key=lambda q: (len(q), q))
    return Item(
        id=str(number),
        cluster=group.cluster,
        question=question,
        accepted=group.accepted,
        answers=answers,
    )


def _chosen(facts: Mapping[str, Mapping[str, Any]], cells: Sequence[str]) -> set[str]:
    if not cells:
        return set(facts)
    methods = {str(cell.get("method")) for cell in facts.values()}
    for name in cells:
        if name not in facts and name not in methods:
            raise UnknownName("cell or method of the run", name, [*facts, *methods])
    return {i for i, cell in facts.items() if i in cells or str(cell.get("method")) in cells}


def _in_turn(sources: Iterable[Iterable[T]]) -> Iterator[T]:
    """One of each source, then the next of each, until all are spent."""
    waiting = [iter(source) for source in sources]
    while waiting:
        left = []
        for source in waiting:
            for thing in islice(source, 1):
                yield thing
                left.append(source)
        waiting = left
