"""GSM8K (Cobbe et al. 2021): sums in words, with a worked solution whose last line is ``#### N``."""

from __future__ import annotations

import re

from pydantic import BaseModel

from truing.benchmarks.capability.sets import CapabilitySet, Item
from truing.benchmarks.capability.wording import IN_NUMERALS, PAPER, published
from truing.benchmarks.draft import Rejected
from truing.benchmarks.forms import Fields

GSM8K_PAPER = "Cobbe et al. 2021, Training Verifiers to Solve Math Word Problems, arXiv 2110.14168"
_CALCULATION = re.compile(r"<<[^<>]*>>")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class _Record(BaseModel):
    question: str
    answer: str


def _read(fields: Fields) -> tuple[str, str, str]:
    """Question, worked solution without calculator marks, and the number, without commas."""
    record = _Record.model_validate(fields)
    solution, marked, number = record.answer.rpartition("####")
    number = number.strip()
    if not marked or not _NUMBER.fullmatch(number):
        raise Rejected("answer", "the answer does not end with '#### ' and a number")
    return record.question.strip(), _CALCULATION.sub("", solution).strip(), number.replace(",", "")


def _ours(fields: Fields) -> Item:
    question, _, number = _read(fields)
    asked = (
        'Solve the problem step by step. End with "The answer is" and the number.\n\n'
        f"Problem: {question}\nSolution:"
    )
    return Item(asked, (number,))


def _published(fields: Fields) -> Item:
    question, solution, number = _read(fields)
    asked = (
        f"Q: {question} A: Let's think step by step. {solution} "
        "Therefore, the answer (arabic numerals) is:"
    )
    return Item(published(IN_NUMERALS, asked), (number,))


GSM8K = CapabilitySet(
    "gsm8k", "sums in words, worked out freely", "bare/greedy/worked/final-number", GSM8K_PAPER,
    ("question", "answer"), _ours,
)  # fmt: skip
GSM8K_PUBLISHED = CapabilitySet(
    "gsm8k-published", "sums whose worked solution is shown, as published",
    "bare/greedy/natural/final-number", PAPER, ("question", "answer"), _published,
)  # fmt: skip
