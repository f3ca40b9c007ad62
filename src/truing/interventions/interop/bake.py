"""Additive steering as a bias: a checkpoint that steers itself, in any program.

A vector added to the output of block l at every token is a bias of the block's down projection,
``h + mlp(h) + v = h + (W a + b + v)``, where what the MLP puts out is added to the residual stream
as it is. A norm that stands between (Gemma 2 and 3, OLMo 2) would bend it: such models are refused,
found out by trying.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from truing.errors import NotPossible
from truing.interventions.interop import merged
from truing.interventions.interop.additive import added, check_width
from truing.interventions.intervention import ActivationOp, Dense, Intervention, WeightDelta
from truing.models.handle import Model
from truing.models.positions import Positions

if TYPE_CHECKING:
    from truing.models.arch import Site

TARGET = "a bias"
SWITCHES = {"llama": "mlp_bias", "falcon": "bias"}
"""By ``model_type``: the configuration's name for biases that its modules can have. Every bias that
it brings with it starts at zero."""
BENT = 0.05
"""Largest difference between adding at the MLP's output and at the block's, relative to the effect."""


def baked(iv: Intervention, model: Model) -> Intervention:
    """``iv`` with its additive ops as deltas of the biases of ``model``; weight deltas stay.

    Raises NotPossible for ops that are no additions at every token of a block's output, and where
    a block has no bias, or none that comes out as it went in.
    """
    deltas = []
    for layer, vector in added(iv.ops, TARGET).items():
        check_width(model, layer, vector, TARGET)
        slot = model.arch.down(layer)
        if slot.bias is None:
            raise NotPossible(
                f"the down projection of block {layer} of '{model.name}' has no bias",
                "Bake into a copy that has (with_biases).",
            )
        if _bent(model, layer, vector):
            raise NotPossible(
                f"block {layer} of '{model.name}' does not add what its MLP puts out as it is (a norm "
                "or a factor stands between): no bias does what the vector does",
                "Export a control vector, or answer through Truing.",
            )
        deltas.append(WeightDelta(f"{slot.param.removesuffix('weight')}bias", Dense(vector)))
    kept = Intervention(tuple(part for part in iv.parts if not isinstance(part, ActivationOp)))
    config = {**iv.origin.config, "baked": [delta.param for delta in deltas]}
    return kept.then(deltas, origin=replace(iv.origin, config=config))


def with_biases(model: Model) -> Model:
    """A copy of ``model`` whose down projections have a bias, zero where there was none: it answers
    as ``model`` does. ``model`` itself where they have one already.

    Raises NotPossible for an architecture whose modules take no bias.
    """
    if all(model.arch.down(layer).bias is not None for layer in range(model.arch.n_layers)):
        return model
    model_type = str(model.hf.config.model_type)
    if model_type not in SWITCHES:
        raise NotPossible(
            f"the down projections of '{model_type}' have no bias and its configuration knows none: "
            "no checkpoint of it can hold the vector",
            "Export a control vector, or answer through Truing.",
        )
    config = deepcopy(model.hf.config)
    setattr(config, SWITCHES[model_type], True)
    hf: Any = AutoModelForCausalLM.from_config(config, dtype=model.hf.dtype)
    own = model.hf.state_dict()
    blank = {name: torch.zeros_like(t) for name, t in hf.state_dict().items() if name not in own}
    hf.load_state_dict({**own, **blank})
    hf.generation_config = model.hf.generation_config
    hf.to(model.device).eval()
    return Model.of(hf, model.tok, name=model.name, revision=model.revision, cache=model.cache)


def export(iv: Intervention, model: Model, folder: str | Path) -> tuple[Path, str | None]:
    """Write a merged checkpoint that holds ``iv``, its vectors as biases.

    Returns the folder and the configuration's switch that had to be turned on, or ``None``.
    ``merged.check`` compares what was written with ``model`` under ``iv``.
    """
    added(iv.ops, TARGET)
    host = with_biases(model) if iv.ops else model
    merged.export(baked(iv, host), host, folder)
    switch = None if host is model else SWITCHES[str(model.hf.config.model_type)]
    return Path(folder), switch


def _bent(model: Model, layer: int, vector: Tensor) -> bool:
    """Whether a vector added to the MLP's output is not that vector added to the block's."""
    probe = vector / vector.norm().clamp(min=1e-30) * vector.numel() ** 0.5
    ids = torch.tensor([model.speller.prompt_ids("To be")], device=model.device)

    def logits(site: Site | None) -> Tensor:
        ops = () if site is None else (ActivationOp(site, layer, "add", probe, Positions()),)
        with torch.no_grad(), model.applied(Intervention(ops)):
            return model.hf(input_ids=ids).logits.float()  # type: ignore[no-any-return]

    meant, found = logits("resid_post"), logits("mlp_out")
    return bool((found - meant).norm() > BENT * (meant - logits(None)).norm())
