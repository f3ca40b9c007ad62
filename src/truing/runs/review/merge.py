"""What people decided: checked, compared with one another, and added to the run as verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from truing.errors import BadInput, UnknownName
from truing.runs.judging import complete, extra_judges
from truing.runs.lines import read_json
from truing.runs.review.rubric import CANNOT_TELL, EVERYONE, SAME, Label, Parsed, Rubric
from truing.runs.review.sheet import FOLDER, Item, Sheet, read_key
from truing.runs.store import Store, read_verdicts, write_summary
from truing.runs.summary import summarise
from truing.scoring.agreement import (
    Agreement,
    Ratings,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    percent_of_pairs,
    percent_unanimous,
)
from truing.seeds import Seeds
from truing.types import Verdict

AGREEMENT = f"{FOLDER}/agreement.json"
TIED = "a tie: the base model's own answer"
FIRST, SECOND = "first", "second"
"""What the page calls the two answers of a comparison."""
_Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=r"^[^/:\x00-\x1f]+$")
]  # fmt: skip


class Decisions(Parsed):
    """The file that a page hands out: one person's labels by the id of an answer, or of a pair."""

    format: Literal[1] = 1
    sheet: str
    annotator: _Name
    date: str = Field(max_length=40)
    decisions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unit:
    """What gets one label of each person: ``rows`` are those it is a verdict on."""

    id: str
    cluster: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """``verdicts`` counts those of each new column; ``labels`` what each person said."""

    sheet: str
    rubric: str
    annotators: tuple[str, ...]
    units: int
    labels: Mapping[str, Mapping[str, int]]
    verdicts: Mapping[str, int]
    agreement: tuple[Agreement, ...]


def merge(folder: Path, files: Sequence[Path]) -> Merged:
    """Add people's decisions on one sheet to its run, and make its summary again.

    Each person becomes a judge, and so do all together: the commonest label decides, a tie abstains.
    What nobody decided has no verdict. Agreement goes to ``review/agreement.json``. Merging again,
    with the same files or more, changes only what changed.

    Raises ``BadInput`` for files that are no decisions, are of another sheet or run, decide on
    unknown ids, or come twice from one person; ``Locked`` while the run is being written.
    """
    found = [_read(path) for path in files]
    sheet = _common_sheet(folder, files, found)
    table = _table(sheet, files, found)
    units = [unit for item in sheet.items for unit in _units_of(sheet.rubric, item)]
    agreement = tuple(_agreement(sheet.rubric, units, table)) if len(found) > 1 else ()
    columns = _columns(sheet, units, table)
    with Store(folder) as store:
        complete(store, extra_judges(folder))
        known = {(v.row, v.judge): v for v in read_verdicts(folder)}
        store.add_verdicts(
            verdict
            for verdicts in columns.values()
            for verdict in verdicts
            if known.get((verdict.row, verdict.judge)) != verdict
        )
        merged = Merged(
            sheet=sheet.id,
            rubric=sheet.rubric.name,
            annotators=tuple(table),
            units=len(units),
            labels={name: dict(Counter(said.text for said in given.values())) for name, given in table.items()},
            verdicts={judge: len(verdicts) for judge, verdicts in columns.items()},
            agreement=agreement,
        )  # fmt: skip
        _note(store, merged)
        write_summary(folder, summarise(folder))
    return merged


def _read(path: Path) -> Decisions:
    try:
        return Decisions.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", "Give files that pages handed out."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"{path} holds no decisions: {where} {first['msg']}".replace("\n", " "),
            "Give the files that the page's Download button made.",
        ) from None


def _common_sheet(folder: Path, files: Sequence[Path], found: Sequence[Decisions]) -> Sheet:
    taken = {EVERYONE: "all people together"}
    for path, one in zip(files, found, strict=True):
        if one.sheet != found[0].sheet:
            raise BadInput(
                f"{path} is of sheet {one.sheet}, {files[0]} of sheet {found[0].sheet}",
                "Merge the decisions on one sheet at a time.",
            )
        name = one.annotator.casefold()
        if name in taken:
            raise BadInput(
                f"{path}: the name '{one.annotator}' stands for {taken[name]}",
                "Every person has one file and a name of their own.",
            )
        taken[name] = str(path)
    return read_key(folder, found[0].sheet)


def _table(
    sheet: Sheet, files: Sequence[Path], found: Sequence[Decisions]
) -> dict[str, dict[str, Label]]:
    """Each person's label of each unit, by name and id."""
    items = {unit.id: item for item in sheet.items for unit in _units_of(sheet.rubric, item)}
    table: dict[str, dict[str, Label]] = {}
    for path, one in zip(files, found, strict=True):
        given = table.setdefault(one.annotator, {})
        for ident, text in one.decisions.items():
            if ident not in items:
                raise BadInput(
                    f"{path} decides on '{ident}', which sheet {sheet.id} does not have",
                    "Give the file as the page made it.",
                )
            given[ident] = _label(sheet.rubric, items[ident], text)
    return table


def _label(rubric: Rubric, item: Item, text: str) -> Label:
    """What a reply says of the edited answer. Raises ``UnknownName`` for a reply that is none."""
    if not rubric.compares:
        return rubric.label(text)
    edited, neither, base, unsaid = rubric.labels
    if text in (FIRST, SECOND):
        return base if item.answers[(FIRST, SECOND).index(text)].base else edited
    undecided = {SAME.text: neither, CANNOT_TELL.text: unsaid}
    if text not in undecided:
        raise UnknownName("label", text, [FIRST, SECOND, *undecided])
    return undecided[text]


def _units_of(rubric: Rubric, item: Item) -> list[Unit]:
    if not rubric.compares:
        return [Unit(answer.id, item.cluster, answer.rows) for answer in item.answers]
    return [Unit(item.id, item.cluster, tuple(row for a in item.answers for row in a.rows))]


def _agreement(
    rubric: Rubric, units: Sequence[Unit], table: Mapping[str, Mapping[str, Label]]
) -> Iterator[Agreement]:
    """Every label is a category; for ordinal alpha labels are in the order of their scores, and
    those without one are missing."""
    seeds = Seeds(0, ("review",))
    people, clusters = list(table), [unit.cluster for unit in units]
    said = [[table[name].get(unit.id) for name in people] for unit in units]
    ratings = Ratings.of(said, rubric.labels, raters=people, clusters=clusters)
    yield percent_of_pairs(ratings, seeds=seeds)
    yield percent_unanimous(ratings, seeds=seeds)
    for two in combinations(people, 2):
        yield cohen_kappa(ratings.only(*two), seeds=seeds)
    yield fleiss_kappa(ratings, seeds=seeds)
    yield krippendorff_alpha(ratings, "nominal", seeds=seeds)
    scores = [[None if label is None else label.score for label in unit] for unit in said]
    order = sorted({label.score for label in rubric.labels if label.score is not None})
    graded = Ratings.of(scores, order, raters=people, clusters=clusters)
    yield krippendorff_alpha(graded, "ordinal", seeds=seeds)


def _columns(
    sheet: Sheet, units: Sequence[Unit], table: Mapping[str, Mapping[str, Label]]
) -> dict[str, list[Verdict]]:
    """Verdicts by judge: all people's first, then each person's."""
    columns: dict[str, list[Verdict]] = {}
    for name in (None, *table):
        judge = sheet.rubric.column(name)
        voters = table.values() if name is None else [table[name]]
        verdicts = [Verdict(row, judge, SAME.state, SAME.score, TIED) for row in sheet.ties]
        for unit in units:
            said = [given[unit.id] for given in voters if unit.id in given]
            if said:
                label, why = _majority(said)
                verdicts += [
                    Verdict(row, judge, label.state, label.score, why) for row in unit.rows
                ]
        columns[judge] = verdicts
    return columns


def _majority(labels: Sequence[Label]) -> tuple[Label, str]:
    """The commonest of one label or more, and why; a tie decides nothing."""
    (label, most), *others = Counter(labels).most_common()
    if others and others[0][1] == most:
        counts = sorted((given.text, n) for given, n in Counter(labels).items())
        return CANNOT_TELL, "a tie: " + ", ".join(f"{n} {text}" for text, n in counts)
    return label, f"{most} of {len(labels)}: {label.text}"


def _note(store: Store, merged: Merged) -> None:
    """Keep the agreement of every sheet of the run in one file."""
    path = store.folder / AGREEMENT
    sheets = read_json(path)["sheets"] if path.is_file() else {}
    text = json.dumps({"format": 1, "sheets": {**sheets, merged.sheet: asdict(merged)}}, indent=1)
    store.write_text(AGREEMENT, text + "\n")
