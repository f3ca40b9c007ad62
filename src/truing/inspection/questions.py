"""Named sets of questions, and what both models answer to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from truing.benchmarks.capability.sets import load as load_capability
from truing.inspection.answers import Answered, ask, asks_of, claimed, probes_of
from truing.interventions.intervention import Intervention
from truing.models.handle import Model
from truing.models.sources import POCKET
from truing.protocols.protocol import WILD, Protocol, parse
from truing.seeds import Seeds
from truing.types import Case, Probe, Response

JUDGED = parse("wild,scorer=as-asked-strict")
"""For moral questions: an answer that declines or cannot be read is not the right one."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions that are counted together as ``name``, asked of a model under ``protocol``. ``part`` says
    what they are evidence for. A probe's ``group`` is the independent unit it belongs to."""

    part: str
    name: str
    probes: tuple[Probe, ...]
    protocol: Protocol = WILD


@dataclass(frozen=True, slots=True)
class Compared:
    """Both models' answers to the questions that both could take."""

    questions: Questions
    each: tuple[Answered, ...]

    @property
    def units(self) -> Mapping[str, str]:
        """The independent unit of each probe."""
        return {probe.id: probe.group or probe.id for probe in self.questions.probes}


def asked(model: Model, sets: Iterable[Questions]) -> list[dict[str, Response]]:
    """What ``model`` answers to each set, with what is in force, by probe."""
    return [ask(model, asks_of(model, each.probes, each.protocol)) for each in sets]


def compared(
    questions: Questions, base: Mapping[str, Response], edited: Mapping[str, Response]
) -> Compared:
    """Both models' answers side by side."""
    told = claimed(questions.probes, base, edited, questions.protocol, seeds=Seeds(0))
    return Compared(questions, told.each)


def with_and_without(
    model: Model, iv: Intervention, sets: Sequence[Questions]
) -> tuple[Compared, ...]:
    """``sets`` asked of ``model``, and of ``model`` under ``iv``."""
    before = asked(model, sets)
    with model.using(iv):
        after = asked(model, sets)
    return tuple(compared(*each) for each in zip(sets, before, after, strict=True))


def capability_of(base: str, limit: int) -> Questions:
    """Easy questions that no edit is about: of the embedded model's world, or in English."""
    name = "micro" if base == POCKET else "micro-english"
    probes = probes_of(load_capability(name).cases, WILD, limit)
    return Questions("capability", name, tuple(replace(p, group=p.id) for p in probes))


def of_aspect(cases: Iterable[Case], aspect: str) -> tuple[Probe, ...]:
    """The questions of one aspect (``locality`` has all of its parts), each asked by itself."""
    return tuple(
        replace(probe, group=case.id)
        for case in cases
        for probe in case.probes
        if probe.aspect.partition("/")[0] == aspect and probe.follows is None
    )
