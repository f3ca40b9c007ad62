"""Behaviour edits in a table: against their target, and against what is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from truing.report import words
from truing.report.morals import SCENARIOS, Answers, Made, MoralArm
from truing.types import Comparison, Value

OF_ARMS = ("Arm", "All edits", "Needed edits", "Failed")
OF_ANSWERS = (
    "Asked about",
    "Strict",
    "Change",
    "As published",
    "Abstains",
    "Invalid",
    "Recall by class",
    "Flips",
)
NOT_MEASURED = "·"


@dataclass(frozen=True, slots=True)
class Shown:
    """A number and its interval, as written. ``more`` are further numbers of the same cell."""

    text: str
    range: str = ""
    more: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class MoralLine:
    """One arm: ``edits`` in the order of ``OF_ARMS`` after the name, then per kind of scenario one
    line in the order of ``OF_ANSWERS``. ``published`` are lines of a paper; ``flags`` in words."""

    label: str
    quiet: bool
    edits: tuple[Shown, ...]
    answers: tuple[tuple[Shown, ...], ...]
    published: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoralTable:
    """All arms of one model, benchmark and protocol."""

    title: str
    lines: tuple[MoralLine, ...]


def moral_table(
    title: str, arms: Sequence[MoralArm], published: Mapping[str, Sequence[str]]
) -> MoralTable:
    """``published`` holds lines to show by cell."""
    return MoralTable(title, tuple(_line(arm, tuple(published.get(arm.cell, ()))) for arm in arms))


def share(value: Value, beside: int | None = None) -> Shown:
    """``64.0 %`` and its interval, with n where that is not the n told ``beside``."""
    if value.mean is None:
        return Shown(NOT_MEASURED)
    told = [words.interval(value, share=True), f"n {value.n}" if value.n != beside else ""]
    return Shown(
        f"{words.number(value.mean, share=True)} %", " · ".join(part for part in told if part)
    )


def points(change: Comparison | None) -> Shown:
    """``−36.0`` percentage points and their interval."""
    if change is None or change.delta is None:
        return Shown(NOT_MEASURED)
    span = ""
    if change.low is not None and change.high is not None:
        span = f"{_signed(change.low)} to {_signed(change.high)}"
    return Shown(_signed(change.delta), span)


def _line(arm: MoralArm, published: tuple[str, ...]) -> MoralLine:
    return MoralLine(
        f"{arm.label} (before)" if arm.baseline else arm.label,
        arm.control,
        _edits(arm.edits),
        tuple(_answers(aspect, answers) for aspect, answers in arm.answers.items()),
        published,
        tuple(_flags(arm)),
    )


def _edits(made: Made | None) -> tuple[Shown, ...]:
    if made is None:
        return (Shown(NOT_MEASURED),) * (len(OF_ARMS) - 1)
    n = made.efficacy.n
    return share(made.efficacy), share(made.needed, n), share(made.failed, n)


def _answers(aspect: str, answers: Answers) -> tuple[Shown, ...]:
    n = answers.strict.n
    shares = (answers.accuracy, answers.abstention, answers.invalid)
    recall = tuple(
        Shown(f"{label} {shown.text}", shown.range)
        for label, value in answers.recall.items()
        for shown in (share(value),)
    )
    return (
        Shown(SCENARIOS[aspect], f"n {n}"),
        share(answers.strict, n),
        points(answers.change),
        *(share(value, n) for value in shares),
        Shown("", more=recall) if recall else Shown(NOT_MEASURED),
        share(answers.flips, n),
    )


def _flags(arm: MoralArm) -> Iterator[str]:
    said: dict[str | None, list[str]] = {}
    for aspect, answers in arm.answers.items():
        if answers.collapsed:
            said.setdefault(answers.commonest, []).append(SCENARIOS[aspect])
    for label, where in said.items():
        yield f"says “{label}” to nearly everything ({words.join(where)})"


def _signed(x: float) -> str:
    text = words.number(abs(x), share=True)
    return text if float(text) == 0 else f"{'−' if x < 0 else '+'}{text}"
