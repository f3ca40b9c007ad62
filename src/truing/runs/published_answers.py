"""Published answers read again: what the paper counted, and what the answers say, side by side.

Some papers release every answer of every edited model. Judging those again needs no model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from truing.benchmarks.files import Record
from truing.errors import BadInput, UnknownName
from truing.scoring.judge import JUDGES
from truing.scoring.observations import Observation, observe
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Row, Value


@dataclass(frozen=True, slots=True)
class Answer:
    """One released answer as a row, and the score that the paper gave it: ``None`` where the paper
    left it out of its mean."""

    row: Row
    published: float | None


@dataclass(frozen=True, slots=True)
class AnswerCell:
    """The released answers of one model under one method. Method ``none`` is before the edit.

    ``judge`` names the rule that reads them again. Answers to the same question under several edits
    share ``row.case``.
    """

    dataset: str
    model: str
    method: str
    judge: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was counted in the released answers before, as shares: by the paper's scores, and
    strictly (``None`` where nobody did)."""

    published: float
    strict: float | None = None


class AnswerTable(BaseModel):
    """A published table whose answers are released: dataset -> model -> method -> numbers.

    ``reader`` (``module:function``) turns the released folder into cells; ``source`` says where the
    folder comes from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str
    source: str
    reader: str
    numbers: dict[str, dict[str, dict[str, Earlier]]]


@dataclass(frozen=True, slots=True)
class Rescored:
    """One cell judged twice.

    ``published``: mean of the paper's own scores over the answers that it scored. ``strict``: share
    of *all* answers that are right when read by ``judge``; the counts say how many of the others
    abstain, are invalid or are loops. ``earlier`` stands beside for checking.
    """

    dataset: str
    model: str
    method: str
    judge: str
    published: Value
    strict: Value
    earlier: Earlier | None


Reader = Callable[[Path], Iterable[AnswerCell]]
Shape = TypeVar("Shape", bound=BaseModel)


@cache
def answer_tables() -> Mapping[str, AnswerTable]:
    """All published tables with released answers, by name."""
    text = resources.files("truing.runs").joinpath("published_answers.toml").read_text("utf-8")
    return {name: AnswerTable.model_validate(t) for name, t in tomllib.loads(text).items()}


def answer_table(name: str) -> AnswerTable:
    """One of them. Raises ``UnknownName``."""
    if name not in answer_tables():
        raise UnknownName("table of released answers", name, answer_tables())
    return answer_tables()[name]


def rescore(wanted: AnswerTable, data: Path) -> list[Rescored]:
    """Every cell of the table whose answers are in ``data``, judged again.

    Raises ``BadInput`` where none is there.
    """
    module, _, function = wanted.reader.partition(":")
    read = cast(Reader, getattr(import_module(module), function))
    found = [_rescored(cell, wanted) for cell in read(data)]
    if not found:
        raise BadInput(f"{data} holds none of the released answers", f"Get them: {wanted.source}")
    return sorted(found, key=lambda r: (r.dataset, r.model, r.method != "none", r.method))


def absent(wanted: AnswerTable, found: Iterable[Rescored]) -> Iterator[tuple[str, str, str]]:
    """Dataset, model and method of the table's numbers whose answers were not found."""
    there = {(r.dataset, r.model, r.method) for r in found}
    for dataset, models in wanted.numbers.items():
        for model, methods in models.items():
            for method in methods:
                if (dataset, model, method) not in there:
                    yield dataset, model, method


def checked(shape: type[Shape], record: Record) -> Shape:
    """A record of a released file as ``shape``. Raises ``BadInput`` where it has another one."""
    try:
        return shape.model_validate(record.fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(
            f"{record.where}: {where}: {first['msg']}",
            "Pass the folder with the released results as they are.",
        ) from error


def once(seen: dict[tuple[str, ...], Path], key: tuple[str, ...], path: Path) -> None:
    """Note that ``path`` holds ``key``. Raises ``BadInput`` where another file already does."""
    if key in seen:
        raise BadInput(
            f"{path} and {seen[key]} hold the same answers",
            "Pass the folder of one of them with --data.",
        )
    seen[key] = path


def _rescored(cell: AnswerCell, wanted: AnswerTable) -> Rescored:
    rows = [answer.row for answer in cell.answers]
    judge = JUDGES.get(cell.judge)
    seen = observe(rows, map(judge.judge, rows), cell.judge)
    published = [
        _as_published(o, answer.published) for o, answer in zip(seen, cell.answers, strict=True)
    ]
    strict = [replace(o, score=float(o.state == "correct")) for o in seen]
    seeds = Seeds(0).child(cell.dataset).child(cell.model).child(cell.method)
    earlier = wanted.numbers.get(cell.dataset, {}).get(cell.model, {}).get(cell.method)
    return Rescored(
        cell.dataset,
        cell.model,
        cell.method,
        cell.judge,
        value_of(published, seeds=seeds),
        value_of(strict, seeds=seeds),
        earlier,
    )


def _as_published(seen: Observation, score: float | None) -> Observation:
    if score is None:
        return replace(seen, score=None, state="invalid")
    return replace(seen, score=score, state="correct" if score == 1 else "wrong")
