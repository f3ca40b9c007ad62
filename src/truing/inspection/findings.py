"""Does an edit show in a model, and where? Weights, activations and answers, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from truing.inspection import activations, answers, weights
from truing.inspection.activations import Activations, Reads
from truing.inspection.answers import Answers, Claims
from truing.inspection.weights import Weights
from truing.interventions import artifact
from truing.interventions.intervention import Intervention
from truing.methods.checkpoint import CheckpointConfig, change
from truing.methods.neutral import NEUTRAL
from truing.models.handle import Model
from truing.models.sources import POCKET, find
from truing.protocols.protocol import WILD, Protocol
from truing.seeds import Seeds
from truing.types import Probe, Response


@dataclass(frozen=True, slots=True)
class Task:
    """What is looked at: ``texts`` that no edit is about, questions ``probes``, and ``claims`` of what was
    edited (:func:`truing.inspection.answers.claims_of`), each asked under its protocol."""

    probes: tuple[Probe, ...]
    protocol: Protocol
    texts: tuple[str, ...] = NEUTRAL
    claims: tuple[Probe, ...] = ()
    claims_protocol: Protocol = WILD
    seed: int = 0


@dataclass(frozen=True)
class Observed:
    """What one model showed: how it read, and what it said to probes and claims, by their ids."""

    reads: Reads
    answers: Mapping[str, Response]
    claims: Mapping[str, Response]


@dataclass(frozen=True, slots=True)
class Findings:
    """What an inspection found, as data. ``claims``: ``None`` where none were given."""

    base: str
    edited: str
    weights: Weights
    activations: Activations
    answers: Answers
    claims: Claims | None = None

    def __str__(self) -> str:
        found = [self.weights, self.activations, self.answers, self.claims]
        return "\n".join(str(each) for each in found if each is not None)


def edit_of(model: Model, edited: str) -> Intervention:
    """How ``edited`` differs from ``model``: a folder with a saved intervention, a LoRA adapter or a tuned
    checkpoint, or the hub id of one of the last two.

    Raises ``CannotLoad`` where it cannot be read and ``WrongBase`` for another network, other shapes or
    another tokenizer.
    """
    folder = Path(edited).expanduser()
    if (folder / artifact.HEADER).is_file():
        return artifact.load(folder, model)
    if edited == POCKET:
        folder = Path(find(POCKET, None).place)
    return change(model, CheckpointConfig.model_validate({"path": folder}))


def inspect(model: Model, edited: str, iv: Intervention, task: Task) -> Findings:
    """``model`` with and without ``iv``, which is called ``edited``, one after the other."""
    before = observe(model, task)
    with model.using(iv):
        after = observe(model, task)
    found = weights.compare(model.arch, iv)
    return together(model.name, edited, found, before, after, task)


def observe(model: Model, task: Task) -> Observed:
    """What ``model`` shows of ``task``, with what is in force."""
    asks = answers.asks_of(model, task.probes, task.protocol)
    prompts = {id: each.prompt for id, each in asks.items()}
    claims = answers.asks_of(model, task.claims, task.claims_protocol)
    return Observed(
        activations.read(model, task.texts, prompts),
        answers.ask(model, asks),
        answers.ask(model, claims),
    )


def together(
    base: str, edited: str, found: Weights, before: Observed, after: Observed, task: Task
) -> Findings:
    """The three kinds of evidence as one."""
    seeds = Seeds(task.seed, ("inspect",))
    claims = None
    if task.claims:
        claims = answers.claimed(
            task.claims,
            before.claims,
            after.claims,
            task.claims_protocol,
            seeds=seeds.child("claims"),
        )
    return Findings(
        base,
        edited,
        found,
        activations.compare(before.reads, after.reads, seeds=seeds.child("activations")),
        answers.compare(
            task.probes, before.answers, after.answers, task.protocol, seeds=seeds.child("answers")
        ),
        claims,
    )
