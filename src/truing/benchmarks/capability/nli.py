"""RTE (Dagan et al. 2006; GLUE): whether one text follows from another."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from truing.benchmarks.capability.sets import CapabilitySet, Item
from truing.benchmarks.capability.wording import PAPER, TRUE_OR_FALSE, published
from truing.benchmarks.forms import Fields

RTE_PAPER = (
    "Dagan et al. 2006, The PASCAL Recognising Textual Entailment Challenge; Wang et al. 2019, GLUE"
)
FREE = "bare/greedy/natural/word-label-strict"
FIELDS = ("sentence1", "sentence2", "label")


class _Record(BaseModel):
    sentence1: str
    sentence2: str
    label: Literal["entailment", "not_entailment"]

    @property
    def entails(self) -> bool:
        return self.label == "entailment"


def _ours(fields: Fields) -> Item:
    record = _Record.model_validate(fields)
    right, wrong = ("Yes", "No") if record.entails else ("No", "Yes")
    asked = (
        "Does the statement follow from the text? Answer with yes or no.\n\n"
        f"Text: {record.sentence1.strip()}\nStatement: {record.sentence2.strip()}\nAnswer:"
    )
    return Item(asked, (right,), (right, wrong))


def _published(fields: Fields) -> Item:
    record = _Record.model_validate(fields)
    asked = f"'{record.sentence1}' entails the '{record.sentence2}'. True or False? answer:"
    right, wrong = str(record.entails), str(not record.entails)
    return Item(published(TRUE_OR_FALSE, asked), (right,), (right, wrong))


NLI = CapabilitySet("nli", "does one text entail the other", FREE, RTE_PAPER, FIELDS, _ours)
NLI_PUBLISHED = CapabilitySet(
    "nli-published", "entailment, as published", FREE, PAPER, FIELDS, _published
)
