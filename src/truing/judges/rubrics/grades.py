"""Three grades of a steered text, and the number that joins them (Wu et al. 2025, AxBench)."""

from __future__ import annotations

from collections.abc import Sequence

from truing.judges.rubrics.scale import Scale
from truing.judges.rubrics.wording import Wording

_LABELS = ("0", "1", "2")
_SYSTEM = "You grade a text. You reply with one digit."
_STRICT = "Your reply must be 0, 1 or 2 and nothing else."

CONCEPT = Scale(
    "concept",
    Wording(
        _SYSTEM,
        "Concept: {gold}\nText: {text}\n\n"
        "How much of the concept is in the text?\n"
        "0: none. 1: a little, or forced. 2: clearly, as a part of what is said.\n"
        "Judge nothing else. Which digit fits?",
        _LABELS,
        _STRICT,
    ),
)
INSTRUCTION = Scale(
    "instruction",
    Wording(
        _SYSTEM,
        "Instruction: {question}\nText: {text}\n\n"
        "Does the text do what the instruction asks?\n"
        "0: no, it is about something else. 1: in part. 2: yes.\n"
        "Judge nothing else. Which digit fits?",
        _LABELS,
        _STRICT,
    ),
)
FLUENCY = Scale(
    "fluency",
    Wording(
        _SYSTEM,
        "Text: {text}\n\n"
        "Is the text well-formed language?\n"
        "0: no, broken or repeating. 1: readable, but odd. 2: yes.\n"
        "Judge nothing else. Which digit fits?",
        _LABELS,
        _STRICT,
    ),
)


def overall(scores: Sequence[float | None]) -> float | None:
    """The harmonic mean of the scores of one text, 0 where one of them is 0 (AxBench, section 4).

    ``None`` where one of them is not known: a grade that could not be read is not 0. AxBench's own
    numbers, from grades of 0 to 2, are twice these.
    """
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(scores):
        return None
    return 0.0 if 0.0 in known else len(known) / sum(1 / score for score in known)
