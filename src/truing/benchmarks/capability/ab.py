"""Questions with two lettered options, by which Rimsky et al. 2024 measure what steering costs elsewhere.

One wrong option of each MMLU or TruthfulQA question stands beside the right one, in an order drawn by the
files' authors. Asked, as there, by which letter is likelier: small and base models answer too.
"""

from __future__ import annotations

from pydantic import BaseModel

from truing.benchmarks.caa import options_of
from truing.benchmarks.capability.sets import CapabilitySet, Item
from truing.benchmarks.draft import Rejected
from truing.benchmarks.forms import Fields

CAA_PAPER = "Rimsky et al. 2024, Steering Llama 2 via Contrastive Activation Addition"
LIKELIER = "bare/teacher-forced/gold-length/likelihood"
FIELDS = ("prompt", "correct", "incorrect")


class _Record(BaseModel):
    prompt: str
    correct: str
    incorrect: str


def _read(fields: Fields) -> Item:
    record = _Record.model_validate(fields)
    right, wrong = record.correct.strip(), record.incorrect.strip()
    letters = [f"({letter})" for letter in options_of(record.prompt)]
    for name, letter in (("correct", right), ("incorrect", wrong)):
        if letter not in letters:
            raise Rejected(name, f"{name} is {letter[:20]!r}, which is no option of the question")
    if right == wrong:
        raise Rejected("incorrect", f"both answers are {right}")
    return Item(f"{record.prompt.strip()}\n\nAnswer:", (right,), (right, wrong))


MMLU_AB = CapabilitySet(
    "mmlu_ab", "MMLU, the right option and a wrong one", LIKELIER,
    f"Hendrycks et al. 2021 (MMLU); {CAA_PAPER}", FIELDS, _read,
)  # fmt: skip
TRUTHFULQA_AB = CapabilitySet(
    "truthfulqa_ab", "TruthfulQA, the right option and a wrong one", LIKELIER,
    f"Lin et al. 2022 (TruthfulQA); {CAA_PAPER}", FIELDS, _read,
)  # fmt: skip
