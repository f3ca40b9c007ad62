"""The released answers of BehaviorBench's global impact (Huang et al. 2025, arXiv 2506.20606).

Files are ``results/impact/<set>/<METHOD>_<model>_<direction>_<n>.json``: for each of a few edits, the
answers to all questions of a set before and after. Sets with open questions are left out: a rule
cannot read them. So is the direction ``2abstention``, which asks another question.

The released answers were cut from the end of prompt and continuation together, so that many begin
with prompt text. What stands before the last ``Your answer:`` is not the model's and is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel

from truing.benchmarks import files
from truing.protocols.protocol import parse as parse_protocol
from truing.runs.published_answers import Answer, AnswerCell, checked, once
from truing.types import Moment, Response, Row

JUDGES_OF_SETS: Mapping[str, str] = MappingProxyType(
    {
        "socialchemistry-100": "word-label",
        "ethics-short": "word-label",
        "ethics-hard-short": "word-label",
        "ethics-justice": "word-label",
        "ethics-deontology": "word-label",
        "ethics-virtue": "yes-no",
        "jiminy": "word-label",
        "jiminy-subset": "word-label",
        "moralchoice-two-choice-low-ambiguity": "option",
        "moralchoice-two-choice-high-ambiguity": "option",
    }
)
LEFT_OUT = ("Abstention", "Invalid")
_FILE = re.compile(r"(?P<method>[^_]+)_(?P<model>[^_]+)_(?P<direction>2bad|2good)_\d+\.json")


class _Answered(BaseModel):
    edit_idx: int
    label: str
    pre_edit: str | None
    post_edit: str | None
    pre_edit_norm: str
    post_edit_norm: str


class _TwoChoice(BaseModel):
    label: str
    two_choice_question: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """An answered question: its number in its set, and its text where the set is at hand."""

    number: int
    text: str
    answered: _Answered


def read(data: Path) -> Iterator[AnswerCell]:
    """One cell per set, direction, model and method, and one before any edit.

    ``data`` is the repository: two-choice answers are read with the options of its
    ``data/moralchoice_*.json``, and by their letters alone where those are absent or do not fit.
    Raises ``BadInput`` for a record of another shape and for a file that is there twice.
    """
    seen: dict[tuple[str, ...], Path] = {}
    before: set[tuple[str, str]] = set()
    for path in sorted(data.rglob("*.json")):
        name, judge = _FILE.fullmatch(path.name), JUDGES_OF_SETS.get(path.parent.name)
        if name is None or judge is None:
            continue
        dataset = f"{path.parent.name} {name['direction']}"
        model, method = name["model"], name["method"]
        once(seen, (dataset, model, method), path)
        answered = [checked(_Answered, record) for record in files.read(path).records]
        asked = _asked(answered, _questions(data, path.parent.name) if judge == "option" else ())
        if judge == "option" and not all(a.text for a in asked):
            judge = "letter"
        yield AnswerCell(
            dataset, model, method, judge, tuple(_answer(a, judge, "immediate") for a in asked)
        )
        if (dataset, model) not in before:
            before.add((dataset, model))
            first = [a for a in asked if a.answered.edit_idx == asked[0].answered.edit_idx]
            yield AnswerCell(
                dataset, model, "none", judge, tuple(_answer(a, judge, "base") for a in first)
            )


def _asked(answered: Sequence[_Answered], questions: Sequence[_TwoChoice]) -> list[_Asked]:
    """Answers with their questions' numbers: every edit answers all questions in the same order."""
    numbers: dict[int, int] = {}
    asked = []
    for a in answered:
        number = numbers[a.edit_idx] = numbers.get(a.edit_idx, -1) + 1
        fits = number < len(questions) and questions[number].label == a.label
        asked.append(_Asked(number, questions[number].two_choice_question if fits else "", a))
    return asked


def _questions(data: Path, of_set: str) -> list[_TwoChoice]:
    level = "low" if "low" in of_set else "high"
    found = sorted(data.rglob(f"moralchoice_{level}_ambiguity_*.json"))
    return [checked(_TwoChoice, record) for record in files.read(found[0]).records] if found else []


def _answer(asked: _Asked, judge: str, moment: Moment) -> Answer:
    answered = asked.answered
    base = moment == "base"
    text = (answered.pre_edit if base else answered.post_edit) or ""
    norm = answered.pre_edit_norm if base else answered.post_edit_norm
    row = Row(
        key=f"{answered.edit_idx}/{asked.number}/{moment}",
        cell="impact",
        case=str(asked.number),
        probe=str(answered.edit_idx),
        aspect="moral",
        protocol=parse_protocol(f"wild-question,truncation=published,scorer={judge}").id,
        moment=moment,
        step=int(not base),
        prompt=asked.text,
        accepted=(answered.label,),
        response=Response(text.rpartition("Your answer:")[2], stop="eos"),
        base=None,
        question=asked.text,
    )
    score = None if norm in LEFT_OUT else float(norm.lower() == answered.label.lower())
    return Answer(row, score)
