"""BoolQ (Clark et al. 2019): natural yes/no questions, each with a passage that answers it."""

from __future__ import annotations

from pydantic import BaseModel, StrictBool

from truing.benchmarks.capability.sets import CapabilitySet, Item
from truing.benchmarks.capability.wording import PAPER, TRUE_OR_FALSE, published
from truing.benchmarks.draft import Rejected
from truing.benchmarks.forms import Fields

BOOLQ_PAPER = (
    "Clark et al. 2019, BoolQ: Exploring the Surprising Difficulty of Natural Yes/No Questions"
)
FREE = "bare/greedy/natural/word-label-strict"


class _Record(BaseModel):
    question: str
    answer: StrictBool
    passage: str = ""


def _read(fields: Fields) -> tuple[_Record, str]:
    """The record, and its question with a capital and a question mark."""
    record = _Record.model_validate(fields)
    asked = record.question.strip().rstrip("?").strip()
    if not asked:
        raise Rejected("question", "the question is empty")
    return record, f"{asked[0].upper()}{asked[1:]}?"


def _with_passage(fields: Fields) -> Item:
    record, asked = _read(fields)
    if not record.passage.strip():
        raise Rejected("passage", "the passage is empty")
    said = f"Passage: {record.passage.strip()}"
    return _item(f"Read the passage and answer with yes or no.\n\n{said}\n\n", asked, record.answer)


def _closed(fields: Fields) -> Item:
    record, asked = _read(fields)
    return _item("Answer the question with yes or no.\n\n", asked, record.answer)


def _item(before: str, asked: str, answer: bool) -> Item:
    right, wrong = ("Yes", "No") if answer else ("No", "Yes")
    return Item(f"{before}Question: {asked}\nAnswer:", (right,), (right, wrong))


def _published(fields: Fields) -> Item:
    record, _ = _read(fields)
    right, wrong = str(record.answer), str(not record.answer)
    asked = f"Question: {record.question}. Answer:"
    return Item(published(TRUE_OR_FALSE, asked), (right,), (right, wrong))


BOOLQ = CapabilitySet(
    "boolq", "yes/no questions with their passage", FREE, BOOLQ_PAPER,
    ("question", "answer", "passage"), _with_passage,
)  # fmt: skip
BOOLQ_CLOSED = CapabilitySet(
    "boolq-closed", "yes/no questions from memory", FREE, BOOLQ_PAPER, ("question", "answer"), _closed
)  # fmt: skip
BOOLQ_PUBLISHED = CapabilitySet(
    "boolq-published", "true or false, as published", FREE, PAPER, ("question", "answer"), _published
)  # fmt: skip
