"""Steering after AxBench (Wu et al. 2025, section 4): texts under every factor, and what they come to.

A vector is added to the output of one layer at every token, the prompt's too: the factor times the
concept's largest activation on the detection set times the direction of length one. A random direction
is as long as the vectors of the first other method, so that it controls for length. Beside the vectors
stand two arms without a factor: ``none``, the model as it is, and ``prompt``, which is told the concept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from truing.benchmarks.axbench import PER_CONCEPT, AxBench, Concept, drawn
from truing.errors import UnknownName
from truing.interventions.intervention import ActivationOp, Intervention, PromptPrefix
from truing.models.asks import Decoding, GenerateAsk
from truing.models.handle import Model, Progress
from truing.models.positions import Positions
from truing.runs.axbench_detection import CONTROL, Key, Scores, Setting
from truing.runs.axbench_grading import Grades, Written
from truing.scoring.axbench import FACTORS, Chosen, Graded, choose, mean_score, strength, win_rate
from truing.scoring.observations import Observation
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import State, Value

BASE, PROMPT = "none", "prompt"
ALONE = 1.0
"""The factor of an arm that has none."""
TOLD = "Make this a part of your answer: {concept}.\n\n"
"""What the arm ``prompt`` puts before an instruction."""


@dataclass(frozen=True, slots=True)
class Steering:
    """How texts are written; the defaults are the paper's. ``per_concept`` counts instructions."""

    factors: tuple[float, ...] = FACTORS
    per_concept: int = PER_CONCEPT
    max_new_tokens: int = 128
    temperature: float = 1.0


@dataclass(frozen=True, slots=True)
class Arm:
    """What one way of steering came to. ``overall`` and its three parts are over the texts that are
    reported; ``wins`` is against the baseline, ``None`` for the baseline itself."""

    name: str
    chosen: tuple[Chosen, ...]
    overall: Value
    concept: Value
    instruction: Value
    fluency: Value
    wins: Value | None


Arms = Mapping[tuple[str, float], Intervention | None]
"""A concept's interventions by arm and factor."""


def arms_of(
    concept: Concept,
    setting: Setting,
    steering: Steering,
    found: Mapping[Key, Tensor],
    scores: Mapping[Key, Scores],
) -> Arms:
    """Everything that a concept is steered with. Raises ``BadInput`` for a direction along which no
    text of the detection set lies."""
    told = Intervention((PromptPrefix(TOLD.format(concept=concept.text)),))
    arms: dict[tuple[str, float], Intervention | None] = {
        (BASE, ALONE): None,
        (PROMPT, ALONE): told,
    }
    measured = next((m for m in setting.methods if m != CONTROL), CONTROL)
    for method in setting.methods:
        unit_of = Key(measured if method == CONTROL else method, concept.id)
        whose = f"{unit_of.method} for concept {concept.id}"
        vector_D = found[Key(method, concept.id)]
        for factor in steering.factors:
            scale = strength(factor, scores[unit_of].highest, whose)
            op = ActivationOp("resid_post", setting.layer, "add", vector_D, Positions(), scale)
            arms[method, factor] = Intervention((op,))
    return arms


def questions_of(
    bench: AxBench, instructions: Sequence[str], steering: Steering, seed: int
) -> dict[int, tuple[str, ...]]:
    """The instructions of every concept, by its id."""
    return {c.id: drawn(instructions, c.id, steering.per_concept, seed) for c in bench.concepts}


def write(
    model: Model,
    bench: AxBench,
    setting: Setting,
    steering: Steering,
    arms: Mapping[int, Arms],
    questions: Mapping[int, Sequence[str]],
    progress: Progress | None = None,
) -> list[Written]:
    """The text of every arm, factor and instruction, concept by concept. Texts of one instruction
    share their random numbers, whatever steers them."""
    any_token = int(model.hf.config.get_text_config().vocab_size)
    written: list[Written] = []
    for concept in bench.concepts:
        asked: list[tuple[str, float, int, str]] = []
        asks: list[GenerateAsk] = []
        for (arm, factor), iv in arms[concept.id].items():
            for number, question in enumerate(questions[concept.id]):
                seed = Seeds(setting.seed).child("text").child(f"{concept.id}/{number}").number
                decoding = Decoding(
                    steering.max_new_tokens,
                    top_k=any_token,
                    temperature=steering.temperature,
                    seed=seed,
                )
                asked.append((arm, factor, number, question))
                asks.append(GenerateAsk(setting.prompt(question), decoding, iv))
        for (arm, factor, number, question), said in zip(
            asked, model.generate(asks, progress=progress), strict=True
        ):
            text = said.text.strip()
            written.append(Written(arm, concept.id, concept.text, number, factor, question, text))
    return written


def results(
    written: Sequence[Written], grades: Sequence[Grades], baseline: str, seeds: Seeds
) -> tuple[Arm, ...]:
    """Every arm with the factors that its first half selects, on the other half.

    Raises ``UnknownName`` for a baseline that is not among the arms.
    """
    names = list(dict.fromkeys(each.arm for each in written))
    if baseline not in names:
        raise UnknownName("baseline", baseline, names)
    grades_of = dict(zip((each.key for each in written), grades, strict=True))
    instructions = 1 + max(each.instruction for each in written)
    chosen = {
        name: choose(
            [
                Graded(w.concept, w.instruction, w.factor, g.overall)
                for w, g in zip(written, grades, strict=True)
                if w.arm == name
            ],
            instructions,
        )
        for name in names
    }
    found = []
    for name in names:
        drawn_by = seeds.child(name)

        def part(of: str, name: str = name, drawn_by: Seeds = drawn_by) -> Value:
            seen = [
                _observed(
                    text, getattr(grades_of[name, text.concept, text.instruction, text.factor], of)
                )
                for each in chosen[name]
                for text in each.reported
            ]
            return value_of(seen, seeds=drawn_by.child(of))

        wins = None
        if name != baseline:
            wins = win_rate(chosen[name], chosen[baseline], seeds=drawn_by.child("wins"))
        found.append(
            Arm(
                name,
                chosen[name],
                mean_score(chosen[name], seeds=drawn_by.child("overall")),
                part("concept"),
                part("instruction"),
                part("fluency"),
                wins,
            )
        )
    return tuple(found)


def _observed(text: Graded, score: float | None) -> Observation:
    cluster = str(text.concept)
    state: State = "invalid" if score is None else "correct"
    return Observation((cluster, str(text.instruction)), cluster, score, state)
