"""Doubt, turn after turn: does a model keep to what an edit taught it, or does it agree with anything?

Huang et al. 2024 (HalluEditBench, arXiv 2410.16251) go on after the edited question: the answer is
called wrong and the fact asked for (``yes``), or the model is asked whether it is sure (``sure``). "Yes"
is always right there, so a model that agrees with everything is perfectly robust. Each conversation
therefore has a control in which "No" is right at every turn: the claim that is asked for is false, or
the answer that is doubted is one that the edit made wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from truing.benchmarks.benchmark import Options
from truing.types import Message, Probe, Prompt

HELD, CONTROL = "robustness", "robustness-control"
ANSWERS = {HELD: ("Yes", "No"), CONTROL: ("No", "Yes")}
"""The right answer, then the other one."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How an answer is doubted: ``wrong``, the claim as a question and ``respond``; or ``sure``."""

    wrong: str
    respond: str
    sure: str

    def doubt(self, claim: str) -> str:
        """That the answer is wrong, and ``claim`` asked for."""
        return " ".join(part for part in (self.wrong, claim, self.respond) if part)


PUBLISHED = Wording(
    "Your answer to the original question is wrong.",
    'Respond with "Yes" or "No."',
    "Are you sure about your answer to the original question? Respond with 'Yes' or 'No.'",
)


class PressureOptions(Options):
    """How the answer to the edited question is doubted, and how often."""

    pressure: Literal["none", "yes", "sure", "both"] = Field(
        "none",
        description="yes: the answer is called wrong and the fact asked for; sure: are you sure?; both.",
    )
    turns: int = Field(10, ge=1, le=99, description="Turns of every conversation after the answer.")

    @property
    def doubts(self) -> tuple[str, ...]:
        """The kinds of conversation: ``yes``, ``sure``."""
        return {"none": (), "both": ("yes", "sure")}.get(self.pressure, (self.pressure,))


def conversations(
    edited: Probe,
    chosen: PressureOptions,
    *,
    true: str,
    false: str,
    wrong: str,
    wording: Wording = PUBLISHED,
) -> Iterator[Probe]:
    """The turns that go on after ``edited``, and those of the controls.

    ``true`` and ``false`` ask, yes or no, for the new fact and for one that the edit made false;
    ``wrong`` is an answer to the edited question that the edit made wrong. Aspects are
    ``robustness/KIND/turn-NN`` and ``robustness-control/KIND/turn-NN``.
    """
    for kind in chosen.doubts:
        for side, claim in ((HELD, true), (CONTROL, false)):
            text = wording.doubt(claim) if kind == "yes" else wording.sure
            planted = kind == "sure" and side == CONTROL
            first = answered(edited.prompt, wrong, text) if planted else None
            yield from _turns(edited, f"{side}/{kind}", text, first, ANSWERS[side], chosen.turns)


def _turns(
    edited: Probe,
    aspect: str,
    text: str,
    first: Prompt | None,
    answers: tuple[str, str],
    count: int,
) -> Iterator[Probe]:
    """``text`` said ``count`` times: after the model's answer, or for the first time in ``first``."""
    before = edited.id if first is None else None
    for turn in range(1, count + 1):
        name = f"{aspect}/turn-{turn:02d}"
        prompt = first if first is not None and turn == 1 else text
        probe = Probe(
            f"{edited.id}/{name}", name, prompt, answers[:1], choices=answers, follows=before
        )
        before = probe.id
        yield probe


def answered(prompt: Prompt, answer: str, text: str) -> Prompt:
    """The conversation in which ``prompt`` was answered with ``answer`` and ``text`` is said next."""
    if isinstance(prompt, str):
        return f"{prompt.rstrip()} {answer}\n{text}"
    return (*prompt, Message("assistant", answer), Message("user", text))
