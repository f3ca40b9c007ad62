"""How a question is asked and its answer is scored: four axes, one id.

The axes are those of Yang et al. 2025 ("The Mirage of Model Editing"): the input's
template, the decoding, where the answer is cut, and the scorer. The id spells them out, for example
``bare/teacher-forced/gold-length/token-match``. Two numbers are comparable only under equal ids;
nothing in Truing averages over different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, cast

from truing.errors import BadInput, UnknownName
from truing.protocols import templates
from truing.protocols.stopping import TRUNCATIONS
from truing.registry import Entry, Registry

Decoding = Literal["teacher-forced", "greedy"]
DECODINGS: Mapping[str, str] = MappingProxyType(
    {
        "teacher-forced": "the gold answer is fed in; each of its tokens is predicted from the ones before",
        "greedy": "the model writes its own answer, most likely token first",
    }
)
AXES = ("template", "decoding", "truncation", "scorer")
GOLD_LENGTH_SCORERS = frozenset({"token-match", "token-match-strict"})
LIKELIHOOD_SCORERS = frozenset({"likelihood", "likelihood-per-token"})
KL = "kl"
"""The scorer that compares what the edited and the base model expect in a given text."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One point of the four axes. Combinations that mean nothing raise ``BadInput`` and say why.

    ``scorer`` is the name of a judge (:data:`truing.scoring.judge.JUDGES`); whether it exists is
    checked there, so that a judge from a plugin is as good as a built-in one.
    """

    template: str
    decoding: Decoding
    truncation: str
    scorer: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", templates.canonical(self.template))
        if self.decoding not in DECODINGS:
            raise UnknownName("decoding", self.decoding, DECODINGS)
        if self.truncation not in TRUNCATIONS:
            raise UnknownName("truncation", self.truncation, TRUNCATIONS)
        if not self.scorer:
            raise BadInput(
                "a protocol has no scorer", "Name a judge; 'truing ls judges' lists them."
            )
        if problem := _problem(self):
            raise BadInput(f"protocol {self.id}: {problem[0]}", problem[1])

    @property
    def id(self) -> str:
        """``template/decoding/truncation/scorer``. What makes two numbers comparable."""
        return "/".join((self.template, self.decoding, self.truncation, self.scorer))

    @property
    def name(self) -> str:
        """The preset with this id, or the id. For people; rows and results hold the id."""
        return _NAMES.get(self.id, self.id)

    @property
    def forced(self) -> bool:
        """Whether the gold answer is fed to the model."""
        return self.decoding == "teacher-forced"

    def swap(self, axis: str, value: str) -> Protocol:
        """The same protocol with one axis changed. Raises ``UnknownName`` or ``BadInput``."""
        if axis not in AXES:
            raise UnknownName("protocol axis", axis, AXES)
        return _swapped(self, {axis: value})


def parse(text: str) -> Protocol:
    """A protocol from a preset's name or an id, with swaps: ``wild,template=bare``.

    All swaps are made at once, so ``synthetic,decoding=greedy,truncation=natural,scorer=contains``
    is fine although a single one of its steps would not be. Raises ``UnknownName`` for an unknown
    name, axis or value and ``BadInput`` for a combination that means nothing.
    """
    start, *swaps = (part.strip() for part in text.split(","))
    protocol = _from_id(start) if "/" in start else PROTOCOLS.get(start)
    changes: dict[str, str] = {}
    for swap in swaps:
        axis, equals, value = (part.strip() for part in swap.partition("="))
        if not equals or not value:
            raise BadInput(
                f"protocol '{text}': '{swap}' is not axis=value", f"Axes: {', '.join(AXES)}."
            )
        if axis not in AXES:
            raise UnknownName("protocol axis", axis, AXES)
        if axis in changes:
            raise BadInput(f"protocol '{text}' sets {axis} twice", "Keep one of them.")
        changes[axis] = value
    return _swapped(protocol, changes)


def differences(a: Protocol, b: Protocol) -> tuple[str, ...]:
    """The axes on which two protocols differ; empty means that their numbers are comparable."""
    return tuple(axis for axis in AXES if getattr(a, axis) != getattr(b, axis))


def ladder(protocol: Protocol) -> list[Protocol]:
    """From ``synthetic`` to ``protocol``, one axis changed at each step.

    This is the ablation that shows where an inflated score comes from (Yang et al. 2025).
    Order: decoding, scorer, truncation, template. The scorer changes before the truncation because
    token matching has no meaning once answers end where they like. Axes that do not differ give
    no step.
    """
    steps = [SYNTHETIC]
    for axis in ("decoding", "scorer", "truncation", "template"):
        if getattr(steps[-1], axis) != getattr(protocol, axis):
            steps.append(steps[-1].swap(axis, getattr(protocol, axis)))
    return steps


def _from_id(text: str) -> Protocol:
    parts = text.split("/", 3)
    if len(parts) != 4:
        raise BadInput(
            f"'{text}' is not a protocol id",
            f"An id is {'/'.join(AXES)}; 'truing ls protocols' lists presets.",
        )
    return Protocol(parts[0], cast(Decoding, parts[1]), parts[2], parts[3])


def _swapped(protocol: Protocol, changes: Mapping[str, str]) -> Protocol:
    return Protocol(**({axis: getattr(protocol, axis) for axis in AXES} | dict(changes)))


def _problem(p: Protocol) -> tuple[str, str] | None:
    if p.decoding == "teacher-forced" and p.truncation != "gold-length":
        return (
            "teacher forcing feeds the gold answer, so no answer of the model's own can end early or late",
            "Use truncation=gold-length, or decoding=greedy.",
        )
    if p.scorer in GOLD_LENGTH_SCORERS and p.truncation != "gold-length":
        return (
            f"{p.scorer} compares token by token with the gold answer, and a free answer has no token for each",
            "Use truncation=gold-length, or scorer=contains or exact-match.",
        )
    if p.scorer in LIKELIHOOD_SCORERS and p.decoding != "teacher-forced":
        return (
            f"{p.scorer} compares the likelihoods of given texts, and nothing is written",
            "Use decoding=teacher-forced with truncation=gold-length, or another scorer.",
        )
    if p.scorer == KL and p.decoding != "teacher-forced":
        return (
            f"{KL} compares what two models expect in a given text, and nothing is written",
            "Use decoding=teacher-forced with truncation=gold-length, or another scorer.",
        )
    return None


SYNTHETIC = Protocol("bare", "teacher-forced", "gold-length", "token-match")
LIKELIHOOD = replace(SYNTHETIC, scorer="likelihood")
DRAWDOWN = replace(SYNTHETIC, scorer=KL)
WILD = Protocol("qa-instruction", "greedy", "natural", "contains")
WILD_QUESTION = replace(WILD, template="bare")
WILD_CHAT = replace(WILD, template="chat")
WILD_PUBLISHED = Protocol("qa-instruction", "greedy", "published", "exact-match")
WILD_PUBLISHED_QUESTION = replace(WILD_PUBLISHED, template="bare")
WILD_PUBLISHED_CHAT = replace(WILD_PUBLISHED, template="llama2")

_HERE = "truing.protocols.protocol"
_PRESETS: tuple[tuple[str, str, Protocol, str], ...] = (
    (
        "synthetic",
        "SYNTHETIC",
        SYNTHETIC,
        "the usual one: gold answer fed in, share of its tokens predicted",
    ),
    (
        "likelihood",
        "LIKELIHOOD",
        LIKELIHOOD,
        "is the first choice more likely than the others (Meng et al. 2022)",
    ),
    (
        "drawdown",
        "DRAWDOWN",
        DRAWDOWN,
        "how far what is expected in texts on other topics has moved (Mao et al. 2024)",
    ),
    ("wild", "WILD", WILD, "a free answer to a QA instruction, naturally ended, holds the target"),
    ("wild-question", "WILD_QUESTION", WILD_QUESTION, "wild with the bare question"),
    ("wild-chat", "WILD_CHAT", WILD_CHAT, "wild through the tokenizer's own chat template"),
    (
        "wild-published",
        "WILD_PUBLISHED",
        WILD_PUBLISHED,
        "as published: stops at '.', exact match (Yang et al. 2025)",
    ),
    (
        "wild-published-question",
        "WILD_PUBLISHED_QUESTION",
        WILD_PUBLISHED_QUESTION,
        "wild-published with the bare question (its default)",
    ),
    (
        "wild-published-chat",
        "WILD_PUBLISHED_CHAT",
        WILD_PUBLISHED_CHAT,
        "wild-published with hand-written Llama-2 markup for every model",
    ),
)
PROTOCOLS: Registry[Protocol] = Registry(
    "protocol",
    {name: Entry(f"{_HERE}:{where}", f"{what}: {p.id}") for name, where, p, what in _PRESETS},
)
_NAMES: Mapping[str, str] = MappingProxyType({p.id: name for name, _, p, _ in _PRESETS})
