"""What an intervention adds to the residual stream at every token: all that some formats can say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from truing.errors import BadInput, NotPossible
from truing.interventions.intervention import ActivationOp, Intervention
from truing.models.positions import Positions

if TYPE_CHECKING:
    from truing.models.handle import Model

EVERYWHERE = Positions()


def only_ops(iv: Intervention, target: str) -> None:
    """Raise NotPossible unless ``iv`` consists of activation ops and has some."""
    if not iv.ops or len(iv.ops) < len(iv.parts):
        what = "it has other parts" if iv.ops else "it has no activation ops"
        raise NotPossible(
            f"{target} holds vectors that act on activations; {what}",
            "Export weight deltas as 'peft' or 'merged'; save everything else as it is.",
        )


def block_of(op: ActivationOp, target: str) -> int:
    """The block whose output ``op`` acts on (the input of a block is the output of the one before).

    Raises NotPossible for every other hook point.
    """
    block = {"resid_post": op.layer, "resid_pre": op.layer - 1}.get(op.site, -1)
    if block < 0:
        raise NotPossible(
            f"{target} acts on the output of a block, the '{op.op}' of this on {op.site}[{op.layer}]",
            "Make the vector at resid_post.",
        )
    return block


def added(ops: Sequence[ActivationOp], target: str) -> dict[int, Tensor]:
    """By block, in order: the float32 sum of what ``ops`` add to its output at every token.

    Raises NotPossible for an op that is no addition, or not at every token, or elsewhere.
    """
    sums: dict[int, Tensor] = {}
    for op in ops:
        where = f"{op.site}[{op.layer}]"
        if op.op != "add":
            raise NotPossible(
                f"{target} can only add vectors; this has '{op.op}' at {where}",
                "Save the intervention itself (save) and answer through Truing.",
            )
        if op.positions != EVERYWHERE:
            first = " without the first token" if op.positions.skip_first else ""
            raise NotPossible(
                f"{target} acts on every token; this acts on '{op.positions.kind}'{first} at {where}",
                "Make it with positions = {kind = 'all'}.",
            )
        block = block_of(op, target)
        vector = op.scale * op.vector.detach().cpu().double()
        sums[block] = sums[block] + vector if block in sums else vector
    return {block: sums[block].to(torch.float32) for block in sorted(sums)}


def check_width(model: Model, layer: int, vector: Tensor, what: str) -> None:
    """Raise BadInput where the model has no such block, or another width."""
    model.arch.block(layer)
    if tuple(vector.shape) != (model.arch.d_model,):
        raise BadInput(
            f"{what}: the vector of layer {layer} has shape {tuple(vector.shape)}; the residual "
            f"stream of '{model.name}' is {model.arch.d_model} wide",
            "Was it made for another model?",
        )
