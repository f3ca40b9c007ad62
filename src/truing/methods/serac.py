"""SERAC: edits are remembered as text, and asked of a counterfactual model only where they apply.

Mitchell et al. 2022, "Memory-Based Model Editing at Scale", section 3: f(x) is the base model unless the
scope function puts the most probable edit z* at 1/2 or above; then a counterfactual model answers from
[z*; x]. ``serac`` takes both from a checkpoint (``truing train serac``), its counterfactual model being
the base with a low-rank adapter. ``serac_in_context`` has the base itself read the edit, which needs no
training: the scope is then a built-in one that tells subjects apart, not relations.

A question that is in no edit's scope is answered by the base model as if there were no edits, exactly.

What the published code does otherwise: one variant mixes the probabilities of both models softly when it
scores and switches hard when it generates, so that likelihoods and answers are of different models (here:
one hard rule); the text that scope is judged by is the edit cut at its last space, so that all but
the last word of an answer is part of it (here: the prompt without the target); a chain of edits loses
all but the last call, because the memory that a call returns replaces nothing (here: it grows, and an edit
of the same prompt takes the place of the earlier one); edits are encoded anew for every question, and one
question at a time is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from truing.errors import BadInput, BadRequest, NotPossible
from truing.interventions.intervention import Intervention, Origin, WeightDelta
from truing.interventions.scope import SHARE, Scope, SentenceScope, WordScope, untrained
from truing.interventions.scoped import Remembered, Scoped
from truing.methods import serac_checkpoint as checkpoint
from truing.methods.context import ROOM, ContextConfig, tell, telling
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.models.handle import Model
from truing.models.subject import Subject
from truing.types import EditRequest

WORDING: str = ContextConfig.model_fields["wording"].default
ALIKE = 0.7
"""Cosine of sentence vectors that decides where nobody chose."""


class SeracConfig(MethodConfig):
    """Which trained scope and counterfactual model."""

    checkpoint: Path | None = Field(
        None, description="folder of a trained editor: truing train serac (needed)"
    )
    allow_other_base: bool = Field(False, description="take an editor of other weights")
    threshold: float | None = Field(
        None, gt=0, lt=1, description="probability that puts a question in scope; None: as trained"
    )


class InContextConfig(MethodConfig):
    """How scope is judged and an edit is told; the model itself stays as it is."""

    checkpoint: Path | None = Field(
        None, description="folder of a trained editor whose scope is taken; None: the built-in one"
    )
    scope: Literal["words", "sentences"] = Field(
        "words", description="words, or sentences (needs sentence-transformers)"
    )
    encoder: str = Field("all-MiniLM-L6-v2", description="the sentence encoder")
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=f"what puts a question in scope: a trained scope's probability, else the "
        f"share of the edit's words by weight ({SHARE}) or the sentences' cosine ({ALIKE})",
    )
    wording: str = Field(
        WORDING,
        description="how an edit is told; {prompt}, {target}, {subject} are its fields, {trait}, "
        "{person}, {behavior} what its tags say",
    )

    @field_validator("wording")
    @classmethod
    def _names_what_is_wanted(cls, wording: str) -> str:
        return telling(wording)


def _cut(scope: WordScope, threshold: float | None) -> WordScope:
    """``scope`` with another threshold."""
    if threshold is None or threshold == scope.threshold:
        return scope
    return WordScope(
        scope.words,
        scope.weights,
        scope.vectors,
        scope.unlisted,
        scope.capital,
        scope.slopes,
        scope.bias,
        threshold,
    )


def _total(
    model: Subject,
    requests: Sequence[EditRequest],
    name: str,
    wording: str,
    scope: Scope,
    inside: Sequence[WeightDelta],
    record: dict[str, Any],
    so_far: Intervention | None,
) -> Intervention:
    check(model, requests, name, needs_subject="{subject}" in wording)
    edits = [Remembered(request.prompt, tell(request, wording)) for request in requests]
    _check_room(model, name, requests, edits)
    memory = Scoped(scope, tuple(edits[:1]), tuple(inside)).joined(edits[1:])
    before = so_far if so_far is not None else Intervention()
    return before.then([memory], origin=Origin.of(model, name, record, requests, so_far=so_far))


def _check_room(
    model: Subject, name: str, requests: Sequence[EditRequest], edits: Sequence[Remembered]
) -> None:
    limit = model.positions
    if limit is None:
        return
    for request, edit in zip(requests, edits, strict=True):
        needed = len(model.speller.prompt_ids(edit.told + edit.asked))
        if needed + ROOM > limit:
            raise BadRequest(
                f"{name}: request '{request.id}' told before its own prompt takes {needed} tokens; "
                f"'{model.name}' has {limit} positions, {ROOM} of them kept for the answer",
                "Shorten the prompt, or change weights instead: ft_m.",
            )


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: SeracConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """The memory of ``so_far`` and the requests; a later edit of the same prompt replaces one."""
    check(model, requests, "serac", needs_subject=False)
    if config.checkpoint is None:
        raise NotPossible(
            "serac needs a trained editor of this model",
            "Train one: truing train serac MODEL --data FILE --out FOLDER, then set "
            "checkpoint=FOLDER; serac_in_context needs none.",
        )
    trained = checkpoint.load(config.checkpoint)
    checkpoint.check_base(
        model, trained, config.checkpoint, allow_other_base=config.allow_other_base
    )
    scope = _cut(trained.scope, config.threshold)
    record = {
        **config.model_dump(mode="json"),
        "threshold": scope.threshold,
        "wording": trained.header.wording,
        "editor": trained.facts,
    }
    wording = trained.header.wording
    return _total(model, requests, "serac", wording, scope, trained.inside, record, so_far)


def make_in_context(
    model: Subject,
    requests: Sequence[EditRequest],
    config: InContextConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """As :func:`make`, with the base model reading the edit that a question is about."""
    record = config.model_dump(mode="json")
    scope: Scope
    if config.checkpoint is not None:
        if config.scope != "words":
            raise BadInput(
                "serac_in_context got a trained scope and scope='sentences'", "Give one of the two."
            )
        trained = checkpoint.load(config.checkpoint)
        scope = _cut(trained.scope, config.threshold)
        record |= {"settings": "trained", "threshold": scope.threshold, "editor": trained.facts}
    elif config.scope == "sentences":
        scope = SentenceScope(config.encoder, config.threshold or ALIKE)
        scope.over([request.prompt for request in requests])  # at once where there is no encoder
        record |= {"settings": "untrained", "threshold": scope.threshold}
    else:
        share = config.threshold or SHARE
        scope = untrained(share)
        record |= {"settings": "untrained", "threshold": share}
    return _total(model, requests, "serac_in_context", config.wording, scope, (), record, so_far)


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: SeracConfig
) -> list[Intervention]:
    """A memory of its own for every group."""
    return [make(model, group, config) for group in groups]


def each_in_context(
    model: Subject, groups: Sequence[Sequence[EditRequest]], config: InContextConfig
) -> list[Intervention]:
    return [make_in_context(model, group, config) for group in groups]


SERAC = Method(
    name="serac",
    make=make,
    config=SeracConfig,
    summary="a memory of edits, asked of a trained counterfactual model where they apply",
    paper="Mitchell et al. 2022 (SERAC)",
    acts_on="prompt",
    tunes=("threshold",),
    each=each,
)

SERAC_IN_CONTEXT = Method(
    name="serac_in_context",
    make=make_in_context,
    config=InContextConfig,
    summary="a memory of edits, told to the model itself only where they apply",
    paper="Mitchell et al. 2022 (SERAC), the base model as counterfactual model",
    acts_on="prompt",
    tunes=("threshold",),
    by_text=True,
    each=each_in_context,
)
