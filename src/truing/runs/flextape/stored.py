"""The cross-property results of Seesaw-CF as its repository holds them.

Two kinds of file: for every model, method and pair of properties, who was answered rightly (one flag
per edited person); and for five pairs of Llama-2-7b the likelihood of every candidate answer after both
prompts, before and after the edit, of all or of the first people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel

from truing.runs.flextape.line import folder_in, read_json
from truing.scoring.observations import Observation

PAIRS = (
    "P101_P21", "P21_P101", "P27_P21", "P27_P101", "P27_P19", "P101_P27", "P19_P21", "P19_P101",
)  # fmt: skip
"""Edited property, then the property that is asked of the same person."""
METHODS: Mapping[str, tuple[str, ...]] = {
    "gptj": ("NONE", "FT", "MEND", "MEMIT"),
    "llama": ("NONE", "MEMIT"),
}
GENDER = "P21"
When = Literal["pre", "post"]
Wording = Literal["guided", "free"]
UNCHANGED = 1e-3
"""Nats. No stored likelihood moves by as much where no edit was made (they are rounded to 1e-4)."""


class Flags(BaseModel):
    """Who was answered rightly: 0 or 1 by person."""

    by_case: dict[str, bool]

    def observations(self) -> list[Observation]:
        """One per person; every person is a cluster."""
        return [observed(name, right) for name, right in self.by_case.items()]


class Scores(BaseModel):
    """Summed log-probabilities (nats) of every candidate after each prompt."""

    guided: list[float]
    free: list[float]

    def of(self, wording: Wording) -> list[float]:
        return self.guided if wording == "guided" else self.free


class Scored(BaseModel):
    """One person: the right answers, and the scores before and after the edit."""

    class First(BaseModel):
        pre: Wording
        post: Wording

    subject: str
    answers: list[str]
    first_half_prompt: First
    pre: Scores
    post: Scores

    def scores(self, when: When, wording: Wording) -> list[float]:
        return (self.pre if when == "pre" else self.post).of(wording)

    def drawn(self, when: When) -> Wording:
        """The prompt that the published rule took: whichever a set gave first."""
        return self.first_half_prompt.pre if when == "pre" else self.first_half_prompt.post


class Likelihoods(BaseModel):
    """The candidates of one pair of properties, and what they scored."""

    candidates: list[str]
    cases: list[Scored]

    def winner(self, case: Scored, when: When, wording: Wording) -> str:
        return self.candidates[int(np.argmax(case.scores(when, wording)))]

    def published(self, when: When) -> list[Observation]:
        """By the published rule: right if an answer is anywhere in the winner, after the prompt drawn."""
        return [
            observed(c.subject, any(a in self.winner(c, when, c.drawn(when)) for a in c.answers))
            for c in self.cases
        ]

    def exact(self, when: When, wording: Wording) -> list[Observation]:
        """Right if the winner is an answer, after the same prompt for everybody."""
        return [observed(c.subject, self.winner(c, when, wording) in c.answers) for c in self.cases]

    @property
    def mixed(self) -> int:
        """How many people were asked with another prompt after the edit than before it."""
        return sum(c.drawn("pre") != c.drawn("post") for c in self.cases)

    @property
    def largest_move(self) -> float:
        """The largest change of a log-probability, in nats."""
        return max(
            float(np.abs(np.subtract(c.pre.of(wording), c.post.of(wording))).max())
            for c in self.cases
            for wording in ("guided", "free")
        )

    @property
    def edited(self) -> bool:
        return self.largest_move >= UNCHANGED

    def commonest(self, when: When, wording: Wording) -> tuple[str, int]:
        """The answer given most often, and to how many."""
        winners = [self.winner(c, when, wording) for c in self.cases]
        most = max(sorted(set(winners)), key=winners.count)
        return most, winners.count(most)


def flags(data: Path, model: str, method: str, pair: str) -> Flags:
    """Raises ``BadInput`` where the file is absent or has another shape."""
    folder = folder_in(data, "results/pair_correctness", "pair_correctness")
    return read_json(Flags, folder / model / f"{method}_{pair}.json")


def likelihoods(data: Path, model: str, method: str, pair: str) -> Likelihoods | None:
    """``None`` where the likelihoods of this pair are not there (most are not)."""
    folder = folder_in(data, "results/pair_logprobs", "pair_logprobs")
    path = folder / f"{model}_{method}_{pair}.json"
    return read_json(Likelihoods, path) if path.is_file() else None


def observed(name: str, right: bool) -> Observation:
    """One person's right or wrong answer; every person is a cluster."""
    return Observation((name, ""), name, float(right), "correct" if right else "wrong")


def share(observations: Sequence[Observation]) -> float:
    """The share that is right; every observation has a score."""
    return float(np.mean([o.score for o in observations if o.score is not None]))
