"""Which trait answers show, before and after an edit: accuracy, TPEI and PAE as paired numbers.

After Mao et al. 2024, "Editing Personality for Large Language Models" (arXiv 2310.02168), section 4.
Their code leaves out every pair with an incoherent answer and says so nowhere. Here the gate has a name,
and its column stands beside the one of all pairs.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from truing.scoring import health
from truing.scoring.observations import Key, Observation
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import State, Value

ENTROPY = 3.5
"""Bits of n-gram entropy. A text of 12 words or fewer is below it whatever it says."""
TINY = 1e-300
TOPIC = "topic:"
"""How a cluster is named that is a topic."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What counts as coherent. ``passes`` gets an answer's text."""

    name: str
    passes: Callable[[str], bool]


def _entropic(text: str) -> bool:
    bits = health.ngram_entropy(health.word_tokens(text))
    return bits is not None and bits >= ENTROPY


def _healthy(text: str) -> bool:
    return not (health.is_empty(text) or health.looping(text))


PAPER = Gate("paper", _entropic)
HEALTHY = Gate("health", _healthy)
GATES = (PAPER, HEALTHY)


@dataclass(frozen=True, slots=True)
class Heard:
    """What one judge says of one answer that should show ``target``.

    ``cluster`` names the independent unit: the topic that was edited, where it is known, else the case.
    ``passes`` names the gates that the answer passes. ``shares`` are a classifier's calibrated
    probabilities by label (empty where it gave none), ``temperature`` what calibrated them.
    ``rating``, from 1 to 5, is ``None`` where there is none.
    """

    key: Key
    cluster: str
    target: str
    passes: frozenset[str]
    state: State
    score: float | None
    shares: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    rating: float | None = None

    @property
    def said(self) -> str:
        """The likeliest label; empty without probabilities."""
        return max(self.shares, key=lambda label: self.shares[label], default="")

    def share(self, temperature: float = 1.0) -> float | None:
        """The probability of the target, its logits divided once more by ``temperature``."""
        if self.target not in self.shares:
            return None
        raised = {
            label: math.exp(math.log(max(p, TINY)) / temperature)
            for label, p in self.shares.items()
        }
        return max(raised[self.target] / math.fsum(raised.values()), TINY)


Pair = tuple[Heard, Heard]
"""The edited answer and the base model's, to the same question."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Measures by a classifier, of all pairs (``gate`` is ``None``) or of the coherent ones.

    ``n`` counts all pairs, ``coherent`` those in this column. ``strict`` is the accuracy over all of
    them with incoherent edited answers as wrong. ``confusion`` counts labels said by target (``""``:
    none). ``chance`` is one over the labels, ``majority`` the share of the commonest target.
    ``tpei`` is from calibrated probabilities, ``tpei_uncalibrated`` as published, both in nats.
    """

    gate: str | None
    n: int
    coherent: int
    accuracy: Value
    base_accuracy: Value
    strict: Value
    recall: Mapping[str, Value]
    confusion: Mapping[str, Mapping[str, int]]
    chance: float | None
    majority: float | None
    tpei: Value
    tpei_uncalibrated: Value
    bounded: Value


@dataclass(frozen=True, slots=True)
class Rated:
    """PAE by a judge that rates, of all pairs or of the coherent ones. ``excluded`` counts the
    column's pairs in which a side has no rating; they never enter the mean."""

    gate: str | None
    n: int
    coherent: int
    pae: Value
    excluded: int


def paired(ours: Sequence[Heard], theirs: Sequence[Heard]) -> list[Pair]:
    """The answers to the same question for the same target."""
    base = {(heard.key, heard.target): heard for heard in theirs}
    return [(a, b) for a in ours if (b := base.get((a.key, a.target))) is not None]


def shown(pairs: Sequence[Pair], gate: str | None, *, seeds: Seeds) -> Shown:
    """What a classifier heard. Intervals are over clusters: Wilson's for shares of single questions."""
    among = _through(pairs, gate)
    targets = Counter(now.target for now, _ in pairs)
    labels = {label for pair in pairs for heard in pair for label in heard.shares}
    confusion: dict[str, Counter[str]] = {target: Counter() for target in sorted(targets)}
    for now, _ in among:
        confusion[now.target][now.said] += 1

    def value(name: str, over: Sequence[Pair], score: Score, *, bounded: bool = True) -> Value:
        return _value(over, score, seeds=seeds.child(name), bounded=bounded)

    def strictly(now: Heard, base: Heard) -> float | None:
        return 0.0 if gate is not None and gate not in now.passes else now.score

    return Shown(
        gate=gate,
        n=len(pairs),
        coherent=len(among),
        accuracy=value("accuracy", among, lambda now, _: now.score),
        base_accuracy=value("base", among, lambda _, base: base.score),
        strict=value("strict", pairs, strictly),
        recall=MappingProxyType(
            {
                target: value(target, [p for p in among if p[0].target == target], _score)
                for target in confusion
            }
        ),
        confusion=MappingProxyType({t: dict(sorted(c.items())) for t, c in confusion.items()}),
        chance=1 / len(labels) if labels else None,
        majority=max(targets.values()) / len(pairs) if pairs else None,
        tpei=value("tpei", among, tpei, bounded=False),
        tpei_uncalibrated=value("uncalibrated", among, tpei_uncalibrated, bounded=False),
        bounded=value("bounded", among, share_gained, bounded=False),
    )


def rated(pairs: Sequence[Pair], gate: str | None, *, seeds: Seeds) -> Rated:
    """What a judge that rates said."""
    among = _through(pairs, gate)
    value = _value(among, pae, seeds=seeds, bounded=False)
    return Rated(gate, len(pairs), len(among), value, len(among) - value.n)


Score = Callable[[Heard, Heard], float | None]
"""Of the edited answer and the base model's; ``None`` leaves the pair out."""


def tpei(now: Heard, base: Heard) -> float | None:
    """ln p(target | edited) - ln p(target | base), in nats."""
    return _gained(now.share(), base.share(), math.log)


def tpei_uncalibrated(now: Heard, base: Heard) -> float | None:
    """The same from the probabilities before calibration, as published."""
    edited, unedited = (heard.share(1 / heard.temperature) for heard in (now, base))
    return _gained(edited, unedited, math.log)


def share_gained(now: Heard, base: Heard) -> float | None:
    """p(target | edited) - p(target | base)."""
    return _gained(now.share(), base.share(), float)


def pae(now: Heard, base: Heard) -> float | None:
    """Rating of the edited answer minus that of the base model's: -4 to 4."""
    return _gained(now.rating, base.rating, float)


def heard_by_classifier(raw: str | None) -> tuple[Mapping[str, float], float] | None:
    """Probabilities by label and the temperature, as a classifier's verdict keeps them
    (:class:`truing.judges.classifier.ClassifierJudge`); ``None`` where it keeps none."""
    try:
        kept = json.loads(raw or "null")
    except ValueError:
        return None
    if not isinstance(kept, dict) or "probabilities" not in kept:
        return None
    return {str(k): float(p) for k, p in kept["probabilities"].items()}, float(kept["temperature"])


def _through(pairs: Sequence[Pair], gate: str | None) -> list[Pair]:
    return [p for p in pairs if gate is None or all(gate in heard.passes for heard in p)]


def _value(pairs: Sequence[Pair], score: Score, *, seeds: Seeds, bounded: bool) -> Value:
    seen = [Observation(p[0].key, p[0].cluster, score(*p), p[0].state) for p in pairs]
    value = value_of(seen, seeds=seeds, bounded=bounded)
    unit = unit_of([now.cluster for now, _ in pairs])
    return replace(value, interval=value.interval.replace("case", unit))


def unit_of(clusters: Sequence[str]) -> str:
    """What the clusters are, in the singular."""
    return "topic" if any(name.startswith(TOPIC) for name in clusters) else "case"


def _score(now: Heard, base: Heard) -> float | None:
    return now.score


def _gained(
    now: float | None, base: float | None, measure: Callable[[float], float]
) -> float | None:
    return None if now is None or base is None else measure(now) - measure(base)
