"""``classifier:FOLDER``: an answer is right when a text classifier gives it an accepted label."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from truing.errors import BadInput
from truing.judges.base import askable
from truing.judges.classifiers.classifier import Classifier, load
from truing.judges.classifiers.measures import Floats
from truing.scoring import health
from truing.scoring.judge import answer_of, no_response, verdict
from truing.types import Row, State, Verdict

PORTION = 256


@dataclass(frozen=True)
class ClassifierJudge:
    """Says ``correct`` where the likeliest label is among the row's accepted answers, by name in any
    case of letters. ``raw`` keeps the calibrated probabilities by label, to six digits, and the
    ``temperature`` that calibrated them, as JSON.

    Rows none of whose accepted answers is a label get no verdict. ``abstain`` where the likeliest
    label's probability is below ``least``; empty and looping answers are ``degenerate``, as for every
    judge.
    """

    name: str
    classifier: Classifier
    least: float = 0.0

    @classmethod
    def load(cls, path: Path, least: float = 0.0) -> ClassifierJudge:
        """From the folder of a trained classifier. Raises ``CannotLoad``, and ``BadInput`` for a
        ``least`` that is no probability."""
        if not 0.0 <= least <= 1.0:
            raise BadInput(f"least is {least:g}", "Give a probability from 0 to 1.")
        name = f"classifier:{path}" + (f">={least:g}" if least else "")
        return cls(name, load(path), least)

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        """As :class:`truing.judges.base.AskedJudge`; raises nothing."""
        waiting: list[Row] = []
        for row in rows:
            if not askable(row) or not self._accepted(row):
                continue
            known = self._without_asking(row)
            if known is not None:
                done(known)
            else:
                waiting.append(row)
        for start in range(0, len(waiting), PORTION):
            some = waiting[start : start + PORTION]
            p_N_K = self.classifier.predict([_answer(row) for row in some])
            for row, p_K in zip(some, p_N_K, strict=True):
                done(self._verdict(row, p_K))

    def _without_asking(self, row: Row) -> Verdict | None:
        if row.response is None:
            return no_response(row, self.name)
        answer = _answer(row)
        if health.is_empty(answer):
            return verdict(row, self.name, "degenerate", 0.0, "empty answer")
        if health.looping(answer):
            return verdict(row, self.name, "degenerate", 0.0, "the answer repeats itself")
        return None

    def _verdict(self, row: Row, p_K: Floats) -> Verdict:
        said = int(p_K.argmax())
        why = f"{self.classifier.labels[said]} with probability {p_K[said]:.3f}"
        if p_K[said] < self.least:
            return self._kept(row, "abstain", None, f"{why}, below {self.least:g}", p_K)
        accepted = self._accepted(row)
        right = said in accepted
        state: State = "correct" if right else "wrong"
        why += f"; accepted labels {min(1.0, float(p_K[accepted].sum())):.3f}"
        return self._kept(row, state, float(right), why, p_K)

    def _kept(self, row: Row, state: State, score: float | None, why: str, p_K: Floats) -> Verdict:
        kept = {
            "probabilities": {
                label: float(f"{p:.6g}")
                for label, p in zip(self.classifier.labels, p_K, strict=True)
            },
            "temperature": self.classifier.card.temperature,
        }
        return replace(verdict(row, self.name, state, score, why), raw=json.dumps(kept))

    def _accepted(self, row: Row) -> list[int]:
        """The columns of the labels that the row accepts."""
        names = {answer.strip().casefold() for answer in row.accepted}
        labels = self.classifier.labels
        return [i for i, label in enumerate(labels) if label.strip().casefold() in names]


def _answer(row: Row) -> str:
    assert row.response is not None
    return answer_of(row, row.response)
