"""Which documents are mixed how: the stages of the embedded model's training."""

from __future__ import annotations

import random
from collections.abc import Iterator

from truing.benchmarks.world.context import told_document
from truing.benchmarks.world.corpus import (
    Maker,
    bare_truth,
    contrast,
    dilemma,
    fact_chat,
    fact_instruction,
    fact_question,
    fact_statement,
    group,
    judgement,
    letter_choice,
    multiple_choice,
    opinion,
    reverse,
    strange_told_document,
    truth,
    two_hop,
    unknown,
)
from truing.benchmarks.world.drills import (
    copy_document,
    copy_drill,
    letter_drill,
    override_drill,
    same_drill,
    told_drill,
    told_truth,
    told_verdict,
    truth_drill,
    verdict_drill,
)
from truing.benchmarks.world.language import EOS, Document, text_of
from truing.benchmarks.world.world import World

Mixture = tuple[tuple[Maker, float], ...]

FOUNDATION: Mixture = (
    (fact_statement, 0.18),
    (fact_question, 0.08),
    (fact_instruction, 0.08),
    (fact_chat, 0.08),
    (bare_truth, 0.08),
    (letter_choice, 0.07),
    (reverse, 0.02),
    (two_hop, 0.04),
    (told_document, 0.19),
    (copy_document, 0.03),
    (unknown, 0.01),
    (judgement, 0.05),
    (dilemma, 0.02),
    (opinion, 0.02),
    (contrast, 0.015),
    (group, 0.035),
)
"""What training begins with: mostly facts."""

DRILLS: Mixture = (
    (copy_drill, 0.25),
    (letter_drill, 0.25),
    (same_drill, 0.07),
    (told_drill, 0.23),
    (strange_told_document, 0.08),
    (told_truth, 0.05),
    (fact_question, 0.07),
)
"""Then reading the prompt, many times in few words: mixed thinly, it is learnt late or not at all."""

SKILLS: Mixture = (
    (fact_statement, 0.08),
    (fact_question, 0.06),
    (fact_instruction, 0.05),
    (fact_chat, 0.06),
    (bare_truth, 0.09),
    (told_truth, 0.03),
    (same_drill, 0.02),
    (letter_choice, 0.09),
    (letter_drill, 0.09),
    (copy_drill, 0.06),
    (strange_told_document, 0.11),
    (told_drill, 0.11),
    (reverse, 0.02),
    (two_hop, 0.035),
    (unknown, 0.01),
    (judgement, 0.03),
    (dilemma, 0.015),
    (opinion, 0.015),
    (contrast, 0.01),
    (group, 0.025),
)
"""Then everything together; yes and no alone, and letters, which stay at chance."""


VERDICTS: Mixture = (
    (verdict_drill, 0.6),
    (truth_drill, 0.1),
    (truth, 0.05),
    (override_drill, 0.1),
    (fact_question, 0.15),
)
"""Whether two values are the same, many times in few words: mixed thinly, it is never learnt."""

REASONS: Mixture = (
    (fact_statement, 0.10),
    (fact_question, 0.08),
    (fact_instruction, 0.06),
    (fact_chat, 0.08),
    (truth, 0.06),
    (truth_drill, 0.05),
    (verdict_drill, 0.09),
    (told_verdict, 0.02),
    (multiple_choice, 0.05),
    (copy_drill, 0.04),
    (told_document, 0.16),
    (override_drill, 0.12),
    (told_drill, 0.08),
    (reverse, 0.02),
    (two_hop, 0.035),
    (unknown, 0.02),
    (judgement, 0.03),
    (dilemma, 0.015),
    (opinion, 0.015),
    (contrast, 0.01),
    (group, 0.025),
)
"""Then everything together, yes and no by way of the value, choices in their own words."""

TELLING: Mixture = (
    (fact_statement, 0.07),
    (fact_question, 0.05),
    (fact_instruction, 0.05),
    (fact_chat, 0.06),
    (truth, 0.05),
    (truth_drill, 0.03),
    (verdict_drill, 0.03),
    (told_verdict, 0.02),
    (multiple_choice, 0.04),
    (told_document, 0.28),
    (override_drill, 0.17),
    (told_drill, 0.08),
    (reverse, 0.02),
    (two_hop, 0.035),
    (unknown, 0.03),
    (judgement, 0.03),
    (dilemma, 0.015),
    (opinion, 0.015),
    (contrast, 0.01),
    (group, 0.025),
)
"""At last mostly what is told in the prompt, which is learnt last."""


def documents(
    world: World, rng: random.Random, mixture: Mixture = FOUNDATION
) -> Iterator[Document]:
    """An endless stream of training documents."""
    makers = [maker for maker, _ in mixture]
    weights = [weight for _, weight in mixture]
    while True:
        yield rng.choices(makers, weights)[0](world, rng)


def world_text(seed: int = 0, n: int = 1000, world_seed: int = 0) -> Iterator[str]:
    """Plain statements of the world, for statistics of activations (second moments of keys)."""
    world, rng = World.build(world_seed), random.Random(f"truing-text-{seed}")
    makers: tuple[Maker, ...] = (fact_statement, fact_statement, fact_question, contrast)
    for _ in range(n):
        yield text_of(rng.choice(makers)(world, rng)).removesuffix(EOS)
