"""Grades of steered texts: by a judge who is asked, or by the base model alone.

Each text gets three numbers in [0, 1], concept, instruction and fluency, whose harmonic mean is its
score (:func:`truing.judges.rubrics.grades.overall`). ``None`` is a grade that could not be had.

Without a judge (:func:`by_proxy`), all under the base model:

- concept: the share of the texts with the concept that the concept's detector scores below the text;
- instruction: 2r - 1, at least 0, where r is the share of other instructions after which the text is
  less likely per token than after its own;
- fluency: 2q, at most 1, where q is the share of the model's own answers that are less likely per token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.benchmarks.axbench import Text
from truing.judges.base import AskedJudge
from truing.judges.rubrics.grades import overall
from truing.methods.steering.readout import readout
from truing.models.asks import ScoreAsk, Scored
from truing.models.handle import Model, Progress
from truing.protocols.protocol import WILD_QUESTION
from truing.runs.axbench_detection import Key, Scores, Setting, pooled, spans_of
from truing.scoring import health
from truing.scoring.axbench import ease, fit, standing
from truing.types import Response, Row, Verdict

RUBRICS = ("concept", "instruction", "fluency")
OTHERS = 4
"""With how many other instructions of its concept a text's own is compared."""


@dataclass(frozen=True, slots=True)
class Written:
    """A text that answers ``question``, instruction number ``instruction`` of a concept, under an
    arm's factor."""

    arm: str
    concept: int
    concept_text: str
    instruction: int
    factor: float
    question: str
    text: str

    @property
    def key(self) -> tuple[str, int, int, float]:
        return self.arm, self.concept, self.instruction, self.factor


@dataclass(frozen=True, slots=True)
class Grades:
    """What a text is worth, in [0, 1]; ``None`` where that is not known."""

    concept: float | None
    instruction: float | None
    fluency: float | None

    @property
    def overall(self) -> float | None:
        return overall((self.concept, self.instruction, self.fluency))


NOTHING = Grades(0.0, 0.0, 0.0)
"""Of a text without a word."""


def by_judges(
    written: Sequence[Written],
    judges: Sequence[AskedJudge],
    progress: Progress | None = None,
) -> list[Grades]:
    """What three judges say, one for each of :data:`RUBRICS` in that order. Replies that cannot be
    read after a second question are ``None``. ``progress`` counts verdicts."""
    rows = [_row(each) for each in written]
    scores: dict[tuple[str, str], float | None] = {}
    for rubric, judge in zip(RUBRICS, judges, strict=True):

        def done(verdict: Verdict, rubric: str = rubric) -> None:
            scores[verdict.row, rubric] = verdict.score
            if progress is not None:
                progress(1)

        judge.judge_all(rows, done)
    return [Grades(*(scores.get((row.key, rubric)) for rubric in RUBRICS)) for row in rows]


def _row(written: Written) -> Row:
    """The text as a judge reads it: a free answer, whole."""
    return Row(
        key="/".join(map(str, written.key)),
        cell=written.arm,
        case=str(written.concept),
        probe=str(written.instruction),
        aspect="concept",
        protocol=WILD_QUESTION.id,
        moment="immediate",
        step=1,
        prompt=written.question,
        accepted=(written.concept_text,),
        response=Response(written.text),
        base=None,
        question=written.question,
    )


def by_proxy(
    model: Model,
    written: Sequence[Written],
    setting: Setting,
    detector: str,
    found: Mapping[Key, Tensor],
    scores: Mapping[Key, Scores],
    questions: Mapping[int, Sequence[str]],
    unsteered: str,
    progress: Progress | None = None,
) -> list[Grades]:
    """What the base model makes of the texts. ``detector`` is the method whose directions detect,
    ``unsteered`` the arm of the model's own answers. ``progress`` counts texts read and
    likelihoods, :func:`steps_of` at most."""
    said = [i for i, each in enumerate(written) if not health.is_empty(each.text)]
    seen = _seen(model, [written[i] for i in said], setting, detector, found, progress)
    told = _likelihoods(model, [written[i] for i in said], setting, questions, progress)
    usual = [
        own
        for i, (own, _) in zip(said, told, strict=True)
        if written[i].arm == unsteered and own is not None
    ]
    grades = [NOTHING] * len(written)
    for i, score, (own, others) in zip(said, seen, told, strict=True):
        like = scores[Key(detector, written[i].concept)].positive_P.tolist()
        fluency = None if own is None or not usual else ease(own, usual)
        grades[i] = Grades(
            standing(score, like),
            None if own is None or not others else fit(own, others),
            0.0 if health.looping(written[i].text) else fluency,
        )
    return grades


def steps_of(texts: int, per_concept: int) -> int:
    """How often :func:`by_proxy` reads ``texts`` of concepts with that many instructions, at most."""
    return texts * (1 + min(OTHERS + 1, per_concept))


def _seen(
    model: Model,
    written: Sequence[Written],
    setting: Setting,
    detector: str,
    found: Mapping[Key, Tensor],
    progress: Progress | None,
) -> list[float]:
    """What the texts score on their concept's direction, read without steering."""

    def project(number: int, acts_T_D: Tensor) -> Tensor:
        direction_D = found[Key(detector, written[number].concept)].to(acts_T_D.device)
        return pooled((acts_T_D @ direction_D)[:, None], setting.pool)[0].cpu()

    spans = spans_of(model, setting, [Text(each.question, each.text) for each in written])
    read = readout(model, spans, setting.place(model), project, progress)
    return torch.stack(read).tolist() if read else []


def _likelihoods(
    model: Model,
    written: Sequence[Written],
    setting: Setting,
    questions: Mapping[int, Sequence[str]],
    progress: Progress | None,
) -> list[tuple[float | None, list[float]]]:
    """Nats per token of each text after its own instruction and after the next :data:`OTHERS`; what
    does not fit into the model's positions is not known."""
    asks: list[list[ScoreAsk]] = []
    for each in written:
        mine = questions[each.concept]
        after = [
            mine[(each.instruction + i) % len(mine)] for i in range(min(OTHERS + 1, len(mine)))
        ]
        asks.append([ScoreAsk(setting.prompt(question), each.text) for question in after])
    fitting = [ask for some in asks for ask in some if model.fits(ask) is None]
    told = dict(zip(map(id, fitting), model.score(fitting, progress=progress), strict=True))
    found: list[tuple[float | None, list[float]]] = []
    for some in asks:
        own, *others = (_per_token(told.get(id(ask))) for ask in some)
        found.append((own, [x for x in others if x is not None]))
    return found


def _per_token(scored: Scored | None) -> float | None:
    return None if scored is None else scored.logprob / len(scored.logprobs)
