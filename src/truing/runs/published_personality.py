"""Edit success as the released code of PersonalityEdit computes it, beside the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from truing.interventions.intervention import Intervention
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.unshifted import unshifted_means
from truing.protocols.questions import shown
from truing.scoring.personality import ASPECT, EditSuccess
from truing.types import Case, Probe

Parts = tuple[float, float, float]
"""ES, z_per and z_topic: means over topics."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Both kinds of :data:`Parts` over the same opinions of ``topics`` topics, every token weighing
    the same in both."""

    topics: int
    real: Parts
    published: Parts


def compared(model: Model, cases: Sequence[Case], under: Intervention | None) -> Compared:
    """Over the ``preference/es`` probes of ``cases``, ``under`` an intervention against the base."""
    probes = [probe for case in cases for probe in case.probes if probe.aspect == ASPECT]
    sides = [_published(model, probe) for probe in probes]
    real = [_real(model, probe, None) for probe in probes]
    changed, really = sides, real
    if under is not None:
        really = [_real(model, probe, under) for probe in probes]
        with model.using(under):
            changed = [_published(model, probe) for probe in probes]
    return Compared(
        len(probes),
        _parts([EditSuccess(*now, *base) for now, base in zip(really, real, strict=True)]),
        _parts([EditSuccess(*now, *base) for now, base in zip(changed, sides, strict=True)]),
    )


Sides = tuple[float, float]


def _published(model: Model, probe: Probe) -> Sides:
    means = unshifted_means(model, shown(probe.prompt), probe.choices)
    return _sides(probe, [(mean, 1) for mean in means])


def _real(model: Model, probe: Probe, under: Intervention | None) -> Sides:
    scored = model.score([ScoreAsk(probe.prompt, text, under) for text in probe.choices])
    return _sides(probe, [(each.logprob, len(each.token_ids)) for each in scored])


def _sides(probe: Probe, scores: Sequence[tuple[float, int]]) -> Sides:
    """Mean log-probability per token of the accepted choices and of the others."""
    plus, minus = (
        [
            s
            for s, text in zip(scores, probe.choices, strict=True)
            if (text in probe.accepted) is side
        ]
        for side in (True, False)
    )
    return _per_token(plus), _per_token(minus)


def _per_token(scores: Sequence[tuple[float, int]]) -> float:
    return sum(logprob for logprob, _ in scores) / sum(n for _, n in scores)


def _parts(found: Sequence[EditSuccess]) -> Parts:
    return (
        fmean(s.es for s in found),
        fmean(s.z_per for s in found),
        fmean(s.z_topic for s in found),
    )
