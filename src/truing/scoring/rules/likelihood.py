"""Judges that compare how likely given texts are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from truing.scoring.judge import no_response, verdict
from truing.types import Choice, Row, Verdict


@dataclass(frozen=True, slots=True)
class MoreLikely:
    """The first choice must be strictly more likely than every other (P(new) > P(old)).

    Efficacy, paraphrase and neighbourhood success of Meng et al. 2022 (ROME).
    ``per_token`` compares mean log-probability per token, which their code does; without it the
    probabilities of the whole texts are compared, so a longer choice is less likely.
    """

    name: str
    per_token: bool

    def judge(self, row: Row) -> Verdict:
        if row.response is None:
            return no_response(row, self.name)
        choices = row.response.choices
        if len(choices) < 2 or any(c.n_tokens == 0 for c in choices):
            return verdict(row, self.name, "invalid", None, "fewer than two choices were scored")
        gap = margin(choices, per_token=self.per_token)
        if gap != gap:
            return verdict(row, self.name, "invalid", None, "a likelihood is not a number")
        right = gap > 0
        why = f"'{choices[0].text}' by {gap:+.2f} nats{' per token' if self.per_token else ''}"
        return verdict(row, self.name, "correct" if right else "wrong", float(right), why)


@dataclass(frozen=True, slots=True)
class InsideLikeliest:
    """The first choice stands in the likeliest one as characters, as Halevy et al. 2024 (Seesaw-CF)
    count: "male" is right wherever "female" is likeliest. Whole texts are compared."""

    name: str

    def judge(self, row: Row) -> Verdict:
        if row.response is None:
            return no_response(row, self.name)
        choices = row.response.choices
        if len(choices) < 2 or any(not math.isfinite(c.logprob) for c in choices):
            return verdict(row, self.name, "invalid", None, "fewer than two choices were scored")
        likeliest = max(choices, key=lambda choice: choice.logprob).text
        right = choices[0].text in likeliest
        why = f"'{likeliest}' is the likeliest"
        return verdict(row, self.name, "correct" if right else "wrong", float(right), why)


def margin(choices: tuple[Choice, ...], *, per_token: bool) -> float:
    """Log-probability of the first choice minus that of the likeliest other, in nats."""
    first, *others = (c.logprob / c.n_tokens if per_token else c.logprob for c in choices)
    return first - max(others)


LIKELIHOOD = MoreLikely("likelihood", per_token=False)
LIKELIHOOD_SUBSTRING = InsideLikeliest("likelihood-substring")
LIKELIHOOD_PER_TOKEN = MoreLikely("likelihood-per-token", per_token=True)
