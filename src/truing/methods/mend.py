"""MEND: a trained network turns the gradient of an edit into a small, local change.

Mitchell et al. 2022, "Fast Model Editing at Scale". The gradient of the target's negative
log-probability at a matrix is a sum of outer products, one per token (section 3.1); the network of
:mod:`truing.methods.mend_editor` maps both vectors of every token, and the edit is
dW = -alpha sum_t delta~_t x~_t^T, which is low rank by construction. Training is
:mod:`truing.methods.training`.

Several requests in one call are one batch as published: each gives its own gradient, and their
factors stand side by side (their changes add up). A chain takes each gradient from the weights as
edited so far; the editor was trained on unedited weights, so long chains leave what it has seen.
An editor that was trained with a ``wording`` takes the gradient of that text instead of the target's.

What the published code does otherwise: it reads labels of a target that was tokenised alone, aligned
to the last positions (wrong where a merge crosses or padding is on the other side); its loss is a
mean over the whole padded batch, so that an edit's gradient depends on its neighbours; it keeps
inputs and gradients as attributes of the weights, shared by every copy of the model; and a process
keeps the first editor that it ever loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from truing.errors import EditFailed, NotPossible
from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
from truing.methods import mend_checkpoint as checkpoint
from truing.methods.kernels.gradient_factors import Signal, gradient_factors
from truing.methods.mend_descriptor import descriptor
from truing.methods.mend_editor import Editor
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.models.arch import Slot
from truing.models.handle import Model
from truing.types import EditRequest


class MendConfig(MethodConfig):
    """Which trained editor. Everything else was decided when it was trained."""

    checkpoint: Path | None = Field(
        None, description="folder of a trained editor: truing train mend (needed)"
    )
    allow_other_base: bool = Field(False, description="take an editor of other weights")
    scale: float = Field(1.0, gt=0, description="factor on the whole edit; 1 is as trained")


@dataclass(frozen=True)
class _Loaded:
    editor: Editor
    slots: list[Slot]
    wording: str | None
    record: dict[str, Any]

    @property
    def names_subject(self) -> bool:
        return self.wording is not None and "{subject}" in self.wording


def _load(model: Model, config: MendConfig) -> _Loaded:
    if config.checkpoint is None:
        raise NotPossible(
            "mend needs a trained editor of this model",
            "Train one: truing train mend MODEL --data FILE --out FOLDER, then set "
            "checkpoint=FOLDER; or use a method without training: ft_m, rome.",
        )
    editor, header = checkpoint.load(config.checkpoint)
    slots = checkpoint.slots_for(
        model, header, config.checkpoint, allow_other_base=config.allow_other_base
    )
    record = {**config.model_dump(mode="json"), "editor": dict(checkpoint.facts(header))}
    if header.wording is not None:
        record["wording"] = header.wording
    return _Loaded(editor, slots, header.wording, record)


@torch.no_grad()
def _parts(
    signals: Sequence[tuple[Signal, ...]],
    requests: Sequence[EditRequest],
    loaded: _Loaded,
    scale: float,
) -> list[WeightDelta]:
    """One delta per matrix: the factors of all requests side by side, float32 on the CPU."""
    parts = []
    for number, slot in enumerate(loaded.slots):
        inputs_R_F = torch.cat([each[number].inputs_R_F for each in signals]).cpu()
        grads_R_D = torch.cat([each[number].grads_R_D for each in signals]).cpu()
        left_R_D, right_R_F = loaded.editor(number, inputs_R_F, grads_R_D)
        if not bool(left_R_D.isfinite().all() & right_R_F.isfinite().all()):
            raise EditFailed(
                f"the edit of request '{requests[0].id}' is not finite at '{slot.param}'",
                "Load the model in float32 or bfloat16, or train the editor again.",
            )
        delta = LowRank((scale * left_R_D).T.contiguous(), right_R_F.T.contiguous())
        parts.append(WeightDelta(slot.param, delta, slot.bounds))
    return parts


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: MendConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """All requests as one edit of every matrix, from the weights as edited so far."""
    loaded = _load(model, config)
    check(model, requests, "mend", needs_subject=loaded.names_subject)
    before = so_far if so_far is not None else Intervention()
    lines = [descriptor(model, request, loaded.wording) for request in requests]
    with model.applied(before):
        signals = gradient_factors(model, loaded.slots, lines)
    return _finished(model, requests, config, loaded, signals, before)


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: MendConfig
) -> list[Intervention]:
    """One independent edit per group; their passes are shared."""
    loaded = _load(model, config)
    for group in groups:
        check(model, group, "mend", needs_subject=loaded.names_subject)
    lines = [descriptor(model, request, loaded.wording) for group in groups for request in group]
    signals = iter(gradient_factors(model, loaded.slots, lines))
    return [
        _finished(model, group, config, loaded, [next(signals) for _ in group], Intervention())
        for group in groups
    ]


def _finished(
    model: Model,
    requests: Sequence[EditRequest],
    config: MendConfig,
    loaded: _Loaded,
    signals: Sequence[tuple[Signal, ...]],
    so_far: Intervention,
) -> Intervention:
    parts = _parts(signals, requests, loaded, config.scale)
    seeds = {"seed": config.seed}
    origin = Origin.of(model, "mend", loaded.record, requests, seeds=seeds, so_far=so_far)
    return so_far.then(parts, origin=origin)


MEND = Method(
    name="mend",
    make=make,
    config=MendConfig,
    summary="a trained network turns an edit's gradient into a local change",
    paper="Mitchell et al. 2022 (MEND)",
    acts_on="weights",
    tunes=("scale",),
    each=each,
)
