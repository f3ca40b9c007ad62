"""Concept detection after AxBench (Wu et al. 2025, section 3): directions, token scores, ranks.

Every text is read once, whatever the number of methods: training texts as means over their answer's
tokens, of which all directions are found; evaluation texts as projections on them. A text is read as
the answer to its question, and only the answer's tokens count.

Shape letters: T tokens, D width, M methods, P/N/H texts with, without, nearly with the concept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from truing.benchmarks.axbench import AxBench, Concept, Text
from truing.errors import BadInput, UnknownName
from truing.methods.kernels.capture import Place
from truing.methods.steering import directions
from truing.methods.steering.pairs import Sides
from truing.methods.steering.readout import answer_span, readout
from truing.models.handle import Model, Progress
from truing.models.spans import Span
from truing.scoring.detection import Detection, detection
from truing.scoring.intervals import Floats
from truing.scoring.observations import Observation
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Message, Prompt, State, Value


def anywhere(sides: Sides, seed: int) -> Tensor:
    """A direction drawn evenly over the sphere: the control."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(sides.new_N_D.shape[1], generator=draw, dtype=torch.float64)


CONTROL = "random_direction"
FINDERS: Mapping[str, Callable[[Sides, int], Tensor]] = MappingProxyType(
    {
        "caa": lambda sides, seed: directions.mean_difference(sides),
        "pca": lambda sides, seed: directions.principal(sides),
        "probe": lambda sides, seed: directions.logistic(sides),
        CONTROL: anywhere,
    }
)
"""By the steering method of that name: from both sides and a seed to a direction ``(D,)``. ``caa`` is
the paper's DiffMean."""

Pool = Literal["max", "mean"]
Asked = Literal["plain", "chat"]


class Key(NamedTuple):
    """Whose direction: a method's for a concept."""

    method: str
    concept: int


@dataclass(frozen=True, slots=True)
class Setting:
    """How concepts are read. ``layer``: block whose output is read. ``pool``: what a text scores of
    its tokens' scores (the paper: the largest). ``asked``: questions as plain text, or as a user's
    turn of the chat template. Raises ``BadInput`` for no method, one twice, or an unknown one."""

    layer: int
    methods: tuple[str, ...] = ("caa", "pca", "probe", CONTROL)
    pool: Pool = "max"
    asked: Asked = "plain"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in FINDERS:
                raise UnknownName("method of detection", name, FINDERS)
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise BadInput("methods are missing or named twice", "Name each method once.")

    def prompt(self, question: str) -> Prompt:
        return question if self.asked == "plain" else (Message("user", question),)

    def place(self, model: Model) -> Place:
        """Raises ``BadInput`` for a layer that the model does not have."""
        if not 0 <= self.layer < model.arch.n_layers:
            raise BadInput(
                f"layer {self.layer} is not in '{model.name}'",
                f"Its layers are 0 to {model.arch.n_layers - 1}.",
            )
        return Place("resid_post", self.layer)


@dataclass(frozen=True, slots=True)
class Scores:
    """Pooled projections of a concept's evaluation texts on a direction of length one. ``highest`` is
    the largest of any token: the unit of steering strengths."""

    positive_P: Floats
    negative_N: Floats
    hard_H: Floats
    highest: float


@dataclass(frozen=True, slots=True)
class Detected:
    """How well one method's direction detects one concept."""

    method: str
    concept: int
    text: str
    found: Detection
    highest: float


@dataclass(frozen=True, slots=True)
class Average:
    """A method over concepts, each with an interval over them. Concepts without hard negatives are
    missing in ``hard``."""

    method: str
    auroc: Value
    hard: Value
    f1: Value
    f1_rare: Value


def texts_of(bench: AxBench) -> int:
    """How many texts are read, for a progress bar."""
    genres = {concept.genre for concept in bench.concepts}
    own = sum(len(c.train) + len(_evaluation(c)) for c in bench.concepts)
    return own + sum(len(bench.without[genre]) for genre in genres)


def find_directions(
    model: Model, bench: AxBench, setting: Setting, progress: Progress | None = None
) -> dict[Key, Tensor]:
    """For every method and concept a direction of length one, float32 ``(D,)`` on the CPU.

    Sides are means over each answer's tokens; the texts without a concept are read behind their own
    questions, once for all concepts of a genre. Raises ``EditFailed`` for sides that do not differ.
    """
    place = setting.place(model)
    texts = dict.fromkeys(
        text
        for concept in bench.concepts
        for text in (*concept.train, *bench.without[concept.genre])
    )
    spans = spans_of(model, setting, texts)
    means = readout(model, spans, place, lambda number, acts_T_D: acts_T_D.mean(0).cpu(), progress)
    mean_of = dict(zip(texts, means, strict=True))
    found = {}
    for concept in bench.concepts:
        against = bench.against(concept, setting.seed)
        new, old = (torch.stack([mean_of[t] for t in side]) for side in (concept.train, against))
        for method in setting.methods:
            seed = Seeds(setting.seed).child(method).child(str(concept.id)).number
            direction_D = directions.checked(
                FINDERS[method](Sides(new, old), seed), f"{method} for concept {concept.id}"
            )
            found[Key(method, concept.id)] = (direction_D / direction_D.norm()).float()
    return found


def read_scores(
    model: Model,
    bench: AxBench,
    setting: Setting,
    found: Mapping[Key, Tensor],
    progress: Progress | None = None,
) -> dict[Key, Scores]:
    """What the evaluation's texts score on the directions of their concept."""
    owners = [concept for concept in bench.concepts for _ in _evaluation(concept)]
    texts = [text for concept in bench.concepts for text in _evaluation(concept)]
    axes = {
        concept.id: torch.stack([found[Key(m, concept.id)] for m in setting.methods])
        for concept in bench.concepts
    }

    def project(number: int, acts_T_D: Tensor) -> Tensor:
        scores_T_M = acts_T_D @ axes[owners[number].id].to(acts_T_D.device).T
        return torch.stack([pooled(scores_T_M, setting.pool), scores_T_M.max(0).values]).cpu()

    spans = spans_of(model, setting, texts)
    read = readout(model, spans, setting.place(model), project, progress)
    made, at = {}, 0
    for concept in bench.concepts:
        sizes = len(concept.positive), len(concept.negative), len(concept.hard)
        here = torch.stack(read[at : at + sum(sizes)]).double()
        at += sum(sizes)
        for number, method in enumerate(setting.methods):
            positive, negative, hard = np.split(here[:, 0, number].numpy(), np.cumsum(sizes)[:2])
            highest = float(here[:, 1, number].max())
            made[Key(method, concept.id)] = Scores(positive, negative, hard, highest)
    return made


def pooled(scores_T_M: Tensor, pool: Pool) -> Tensor:
    """A text's scores ``(M,)`` from its tokens'."""
    return scores_T_M.max(0).values if pool == "max" else scores_T_M.mean(0)


def spans_of(model: Model, setting: Setting, texts: Iterable[Text]) -> list[Span]:
    """Texts as ids, each the answer to its question."""
    return [answer_span(model, setting.prompt(text.question), text.answer) for text in texts]


def detect(bench: AxBench, scores: Mapping[Key, Scores]) -> tuple[Detected, ...]:
    """Every method on every concept, in the order of ``scores``."""
    text_of = {concept.id: concept.text for concept in bench.concepts}
    return tuple(
        Detected(
            key.method,
            key.concept,
            text_of[key.concept],
            detection(each.positive_P, each.negative_N, each.hard_H),
            each.highest,
        )
        for key, each in scores.items()
    )


def averages(rows: Sequence[Detected], seeds: Seeds) -> tuple[Average, ...]:
    """Each method's means over concepts, with bootstrap intervals over them."""
    found = []
    for method in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == method]

        def mean(name: str, mine: Sequence[Detected] = mine, method: str = method) -> Value:
            observed = [_observed(row, getattr(row.found, name)) for row in mine]
            return value_of(observed, seeds=seeds.child(method).child(name))

        found.append(Average(method, mean("auroc"), mean("hard"), mean("f1"), mean("f1_rare")))
    return tuple(found)


def _observed(row: Detected, score: float | None) -> Observation:
    state: State | None = None if score is None else "correct"
    return Observation((str(row.concept), ""), str(row.concept), score, state)


def _evaluation(concept: Concept) -> tuple[Text, ...]:
    return (*concept.positive, *concept.negative, *concept.hard)
