"""Judges of free text that need no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from truing.scoring import health, normalise
from truing.scoring.judge import answer_of, no_response, verdict
from truing.types import Row, State, Verdict

Ruling = tuple[State, float | None, str]
Rule = Callable[[str, Row], Ruling]


@dataclass(frozen=True, slots=True)
class TextRule:
    """A judge that reads the answer's text. ``rule`` gets the answer and the row."""

    name: str
    rule: Rule

    def judge(self, row: Row) -> Verdict:
        if row.response is None:
            return no_response(row, self.name)
        state, score, why = self.rule(answer_of(row, row.response), row)
        return verdict(row, self.name, state, score, why)


def usable(accepted: tuple[str, ...]) -> tuple[str, ...]:
    """The accepted answers that are not empty after normalisation: an empty one is in any text."""
    return tuple(a for a in accepted if normalise.normalise(a))


def _exact(answer: str, row: Row) -> Ruling:
    return _with_gold(answer, row, lambda golds: _equal(answer, golds))


def _contains(answer: str, row: Row) -> Ruling:
    def ruling(golds: tuple[str, ...]) -> Ruling | None:
        found = _equal(answer, golds)
        if found is not None or health.looping(answer):
            return found
        return _held(answer, golds)

    return _with_gold(answer, row, ruling)


def _contains_any(answer: str, row: Row) -> Ruling:
    return _with_gold(answer, row, lambda golds: _held(answer, golds))


def _with_gold(answer: str, row: Row, ruling: Callable[[tuple[str, ...]], Ruling | None]) -> Ruling:
    golds = usable(row.accepted)
    if not golds:
        why = (
            "accepted answers are empty after normalisation"
            if row.accepted
            else "no accepted answer"
        )
        return "invalid", None, why
    if health.is_empty(answer):
        return "degenerate", 0.0, "empty answer"
    found = ruling(golds)
    if found is not None:
        return found
    if health.looping(answer):
        return "degenerate", 0.0, "the answer repeats itself"
    if row.base is not None and normalise.equal(answer, answer_of(row, row.base)):
        return "wrong", 0.0, "the base model's own answer"
    return "wrong", 0.0, "another answer"


def _equal(answer: str, golds: tuple[str, ...]) -> Ruling | None:
    hit = next((g for g in golds if normalise.equal(answer, g)), None)
    return None if hit is None else ("correct", 1.0, f"equals '{hit}'")


def _held(answer: str, golds: tuple[str, ...]) -> Ruling | None:
    hit = next((g for g in golds if normalise.contains(answer, g)), None)
    return None if hit is None else ("correct", 1.0, f"holds '{hit}'")


def _healthy(answer: str, row: Row) -> Ruling:
    assert row.response is not None
    whole = row.response.text
    if health.is_empty(whole):
        return "degenerate", 0.0, "empty text"
    if health.looping(whole):
        return "degenerate", 0.0, "the text repeats itself"
    return "correct", 1.0, "neither empty nor a loop"


EXACT_MATCH = TextRule("exact-match", _exact)
CONTAINS = TextRule("contains", _contains)
CONTAINS_ANY = TextRule("contains-any", _contains_any)
HEALTH = TextRule("health", _healthy)
