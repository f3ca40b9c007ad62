"""The released multiple-choice answers of HalluEditBench (Huang et al. 2024, arXiv 2410.16251).

Files are ``results/<folder>/<model>/<topic>_<METHOD>.json``: a list of records with ``pre``,
``post`` and ``requested_edit``. Only the multiple-choice part is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from truing.benchmarks import files
from truing.protocols.protocol import parse as parse_protocol
from truing.runs.published_answers import Answer, AnswerCell, checked, once
from truing.types import Moment, Response, Row

DATASET = "multiple-choice"
JUDGE = "option"
PROTOCOL = parse_protocol(f"wild-chat,truncation=published,scorer={JUDGE}").id
METHODS = {"ICL": "ICE"}
_FILE = re.compile(r"(?P<topic>\w+)_(?P<method>FT-L|FT-M|MEMIT|ROME|LoRA|ICL|ICE|GRACE)\.json")


class _Asked(BaseModel):
    prompt: str
    ground_truth: str


class _Question(BaseModel):
    multiple_choice: _Asked


class _Edit(BaseModel):
    multiple_choice_questions: _Question


class _Answers(BaseModel):
    multiple_choice_acc: tuple[float, ...]
    multiple_choice_output: tuple[str, ...]


class _Side(BaseModel):
    multiple_choice_questions: _Answers


class _Record(BaseModel):
    case_id: int
    requested_edit: _Edit
    pre: _Side
    post: _Side


def read(data: Path) -> Iterator[AnswerCell]:
    """One cell per model and method, and one per model before any edit.

    Topics are pooled. ``data`` may be the repository or any folder in it; files without
    multiple-choice questions are passed over. Raises ``BadInput`` for a record of another shape and
    for a file that is there twice.
    """
    seen: dict[tuple[str, ...], Path] = {}
    pooled: dict[tuple[str, str], list[Answer]] = {}
    before: dict[tuple[str, str], list[Answer]] = {}
    for path in sorted(data.rglob("*.json")):
        name = _FILE.fullmatch(path.name)
        records = _records(path) if name else []
        if name is None or not records:
            continue
        model, topic = path.parent.name, name["topic"]
        method = METHODS.get(name["method"], name["method"])
        once(seen, (model, topic, method), path)
        pooled.setdefault((model, method), []).extend(
            _answer(r, r.post, topic, "immediate") for r in records
        )
        before.setdefault((model, topic), [_answer(r, r.pre, topic, "base") for r in records])
    for (model, method), answers in pooled.items():
        yield AnswerCell(DATASET, model, method, JUDGE, tuple(answers))
    for model in dict.fromkeys(model for model, _ in before):
        answers = [
            a for (m, _), topic_answers in before.items() if m == model for a in topic_answers
        ]
        yield AnswerCell(DATASET, model, "none", JUDGE, tuple(answers))


def _records(path: Path) -> list[_Record]:
    """The file's records; none where it holds no multiple-choice answers."""
    return [
        checked(_Record, record)
        for record in files.read(path).records
        if "multiple_choice_questions" in record.fields.get("post", {})
    ]


def _answer(record: _Record, side: _Side, topic: str, moment: Moment) -> Answer:
    asked = record.requested_edit.multiple_choice_questions.multiple_choice
    given = side.multiple_choice_questions
    case = f"{topic}/{record.case_id}"
    row = Row(
        key=f"{case}/{moment}",
        cell=DATASET,
        case=case,
        probe=DATASET,
        aspect="generalization/multiple-choice",
        protocol=PROTOCOL,
        moment=moment,
        step=int(moment != "base"),
        prompt=asked.prompt,
        accepted=(asked.ground_truth,),
        response=Response(given.multiple_choice_output[0], stop="eos"),
        base=None,
        question=asked.prompt,
    )
    return Answer(row, given.multiple_choice_acc[0])
