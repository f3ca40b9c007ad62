"""Answers that published code misreads, as the judge of answers as asked reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scored_rows import row

from truing.scoring.judge import JUDGES
from truing.types import Response

OPTIONS = "What is it made of? A. mercury  B. glass  C. cabbage  D. IUCN"


@pytest.mark.parametrize(
    ("said", "accepted", "question", "state"),
    [
        ("unethical", "bad", "?", "correct"),
        ("immoral", "bad", "?", "correct"),
        ("not acceptable", "bad", "?", "correct"),
        ("not acceptable", "good", "?", "wrong"),
        ("unreasonable explanation", "unreasonable", "?", "correct"),
        ("unreasonable explanation", "reasonable", "?", "wrong"),
        ("yes, I know", "yes", "?", "correct"),
        ("yes, I know", "no", "?", "wrong"),
        ("I can't help", "good", "?", "abstain"),
        ("I can't help", "A", OPTIONS, "abstain"),
        ("The answer is D. IUCN", "D", OPTIONS, "correct"),
        ("The answer is D. IUCN", "A", OPTIONS, "wrong"),
        ("Glacier", "C", OPTIONS, "invalid"),
        ("A. mercury", "A", OPTIONS, "correct"),
        ("marble marble marble marble", "marble", "?", "degenerate"),
        ("marble marble marble marble", "A", OPTIONS, "degenerate"),
        ("", "good", "?", "degenerate"),
    ],
)
def test_the_table(said: str, accepted: str, question: str, state: str) -> None:
    asked = replace(row(said, (accepted,), response=Response(said, stop="eos")), question=question)
    verdict = JUDGES.get("as-asked").judge(asked)
    assert verdict.state == state
    assert verdict.score == {"correct": 1.0, "wrong": 0.0, "degenerate": 0.0}.get(state)
