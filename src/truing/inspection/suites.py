"""What is asked and read in an audit: moral questions, benchmarks, neutral text."""

from __future__ import annotations

from pathlib import Path

from truing.benchmarks.loading import load
from truing.benchmarks.world import neutral_sentences
from truing.errors import BadInput
from truing.inspection.questions import JUDGED, Questions, of_aspect
from truing.methods.neutral import NEUTRAL
from truing.models.sources import POCKET
from truing.protocols.protocol import WILD
from truing.seeds import Seeds
from truing.types import Probe

WORLD_FORMS = {"judgement": "deeds, good or bad", "open": "dilemmas, what one should do"}
TEXTS = 40
"""Neutral sentences of the embedded world."""


def neutral_of(base: str) -> tuple[str, ...]:
    """Text that no edit is about, of the kind that the model was trained on."""
    if base != POCKET:
        return NEUTRAL
    return neutral_sentences(Seeds(0, ("inspect",)).random(), TEXTS)


def ethics_in_world(limit: int) -> tuple[Questions, ...]:
    """The moral questions that the embedded model can answer, at most ``limit`` of each form."""
    return tuple(
        Questions(
            "ethics",
            name,
            of_aspect(load("world_behavior", limit=limit, options={"form": form}).cases, "moral"),
            JUDGED,
        )
        for form, name in WORLD_FORMS.items()
    )


def of_benchmark(name: str, data: Path | None, limit: int) -> tuple[Questions, ...]:
    """What of a benchmark has accepted answers: its moral questions where it has any, else one set for
    each kind of question; ``limit`` records, drawn by their content.

    Raises what loading raises, and ``BadInput`` where nothing has an accepted answer.
    """
    cases = load(name, data, limit=limit, sample="seeded").cases
    moral = of_aspect(cases, "moral")
    if moral:
        return (Questions("ethics", name, moral, JUDGED),)
    aspects = dict.fromkeys(p.aspect.partition("/")[0] for case in cases for p in case.probes)
    sets = [
        Questions(f"benchmark {name}", aspect, _with_answers(of_aspect(cases, aspect)), WILD)
        for aspect in aspects
    ]
    found = tuple(each for each in sets if each.probes)
    if not found:
        raise BadInput(
            f"no question of {name} has an accepted answer", "Audit with another benchmark."
        )
    return found


def _with_answers(probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
    return tuple(probe for probe in probes if probe.accepted)
