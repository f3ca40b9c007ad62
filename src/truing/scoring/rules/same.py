"""Judges of locality: is the answer still the base model's own?

Locality is agreement with the unedited model, not correctness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from truing.protocols.protocol import KL, parse
from truing.scoring import health, normalise
from truing.scoring.judge import answer_of, no_response, verdict
from truing.types import Response, Row, State, Verdict

Ruling = tuple[State, float | None, str]
Rule = Callable[[Row, Response, Response], Ruling]


@dataclass(frozen=True, slots=True)
class SameAsBase:
    """Compares ``row.response`` with ``row.base``."""

    name: str
    rule: Rule

    def judge(self, row: Row) -> Verdict:
        if row.response is None:
            return no_response(row, self.name)
        if row.base is None:
            return verdict(
                row, self.name, "invalid", None, "no answer of the base model to compare with"
            )
        state, score, why = self.rule(row, row.response, row.base)
        return verdict(row, self.name, state, score, why)


def _same(row: Row, response: Response, base: Response) -> Ruling:
    if _gold_length(row):
        return _same_positions(response, base)
    return _texts(row, response, base, _equal, "the base model's answer")


def _same_tokens(row: Row, response: Response, base: Response) -> Ruling:
    if _gold_length(row):
        state, score, why = _same_positions(response, base)
        return state, None if score is None else float(score == 1), why
    if not base.token_ids:
        return "invalid", None, "the base model's answer has no tokens"
    same = response.token_ids == base.token_ids
    return (
        "correct" if same else "wrong",
        float(same),
        "same token ids" if same else "other token ids",
    )


def _same_loosely(row: Row, response: Response, base: Response) -> Ruling:
    def agree(answer: str, own: str) -> bool:
        return normalise.contains(answer, own) or normalise.contains(own, answer)

    return _texts(row, response, base, agree, "one answer holds the other")


def _same_positions(response: Response, base: Response) -> Ruling:
    if response.token_ids != base.token_ids:
        return "invalid", None, "edited and base model were asked over different tokens"
    positions = max(len(response.predicted), len(base.predicted))
    if not positions:
        return "invalid", None, "no tokens to compare"
    same = sum(a == b for a, b in zip(response.predicted, base.predicted, strict=False))
    why = f"{same} of {positions} tokens as the base model"
    return "correct" if same == positions else "wrong", same / positions, why


def _same_choices(row: Row, response: Response, base: Response) -> Ruling:
    if not response.divergences:
        return "invalid", None, "it was not compared with the base model"
    state, score, why = _same_positions(response, base)
    return state, score, f"{why}, {fmean(response.divergences):.3g} nats per token from it"


def _texts(
    row: Row, response: Response, base: Response, agree: Callable[[str, str], bool], why: str
) -> Ruling:
    answer, own = answer_of(row, response), answer_of(row, base)
    if health.is_empty(own):
        return "invalid", None, "the base model's own answer is empty"
    if health.is_empty(answer):
        return "degenerate", 0.0, "empty answer"
    if _equal(answer, own):
        return "correct", 1.0, why
    if health.looping(answer):
        return "degenerate", 0.0, "the answer repeats itself"
    if agree(answer, own):
        return "correct", 1.0, why
    return "wrong", 0.0, "another answer than the base model's"


def _equal(answer: str, own: str) -> bool:
    if normalise.normalise(own):
        return normalise.equal(answer, own)
    return answer.casefold() == own.casefold()


def _gold_length(row: Row) -> bool:
    return parse(row.protocol).truncation == "gold-length"


SAME_AS_BASE = SameAsBase("same-as-base", _same)
SAME_AS_BASE_TOKENS = SameAsBase("same-as-base-tokens", _same_tokens)
KL_CHOICES = SameAsBase(KL, _same_choices)
SAME_AS_BASE_LOOSE = SameAsBase("same-as-base-loose", _same_loosely)
