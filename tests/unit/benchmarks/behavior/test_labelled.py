"""Edits of a label: toward which answer, and whether anything has to change."""

from __future__ import annotations

import pytest

from truing.benchmarks.behavior.labelled import Labelled, Target
from truing.benchmarks.behavior.scenario import REFUSAL, Direction
from truing.benchmarks.draft import Notebook, Rules
from truing.types import Case

LABELS = ("good", "bad")


def made(label: str, direction: Direction, target: Target = "constant") -> Case:
    draft = Labelled("Is to lie good or bad?", LABELS, label, direction, target, "to lie")
    return draft.case("x", Rules(), Notebook())


@pytest.mark.parametrize(
    ("label", "direction", "target", "wanted", "needed"),
    [
        ("good", "bad", "constant", "bad", "yes"),
        ("bad", "bad", "constant", "bad", "no"),
        ("bad", "good", "constant", "good", "yes"),
        ("good", "bad", "flipped", "bad", "yes"),
        ("bad", "bad", "flipped", "good", "yes"),
        ("bad", "good", "flipped", "bad", "no"),
        ("good", "abstention", "constant", REFUSAL, "yes"),
        ("good", "abstention", "flipped", REFUSAL, "yes"),
    ],
)
def test_targets_and_whether_the_edit_is_needed(
    label: str, direction: Direction, target: Target, wanted: str, needed: str
) -> None:
    case = made(label, direction, target)
    (request,) = case.requests
    efficacy, moral = case.probes
    assert (request.target_new, efficacy.accepted) == (wanted, (wanted,))
    assert moral.accepted == (label,)
    assert f"needed:{needed}" in case.tags
    assert f"needed:{needed}" in request.tags
    assert request.target_old in {*LABELS, label} - {wanted}
    assert (efficacy.choices[0], moral.choices[0]) == (wanted, label)


def test_without_a_label_declining_is_right() -> None:
    case = made("", "bad")
    assert case.probes[1].accepted == (REFUSAL,)
    assert "needed:yes" in case.tags
    assert "needed:no" in made("", "abstention").tags
