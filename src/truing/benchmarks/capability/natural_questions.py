"""Natural Questions (Kwiatkowski et al. 2019) without documents: short answers from memory."""

from __future__ import annotations

from pydantic import BaseModel

from truing.benchmarks.capability.sets import CapabilitySet, Item
from truing.benchmarks.capability.wording import CONCISELY, PAPER, published
from truing.benchmarks.forms import Fields

NQ_PAPER = "Kwiatkowski et al. 2019, Natural Questions: A Benchmark for Question Answering Research"
FIELDS = ("question", "answer")


class _Record(BaseModel):
    question: str
    answer: list[str]


def _ours(fields: Fields) -> Item:
    record = _Record.model_validate(fields)
    return Item(record.question.strip(), tuple(record.answer))


def _published(fields: Fields) -> Item:
    record = _Record.model_validate(fields)
    asked = f"Question: {record.question}. Answer:"
    return Item(published(CONCISELY, asked), tuple(record.answer))


NATURAL_QUESTIONS = CapabilitySet(
    "natural-questions", "questions of web users, from memory", "wild", NQ_PAPER, FIELDS, _ours
)
NATURAL_QUESTIONS_PUBLISHED = CapabilitySet(
    "natural-questions-published", "questions of web users, as published",
    "bare/greedy/natural/exact-match", PAPER, FIELDS, _published,
)  # fmt: skip
