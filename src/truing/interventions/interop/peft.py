"""Weight deltas as a PEFT LoRA adapter, exactly.

PEFT adds ``scaling * B @ A`` to a module's math-orientation weight, with ``A: (r, d_in)`` and
``B: (d_out, r)``; the factors of a low-rank delta are written as they are, with scaling 1
(``lora_alpha = r`` for every module). A range of fused rows becomes a ``B`` with zeros elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from truing.errors import NotPossible
from truing.interventions.fit import Fit, transposed
from truing.interventions.interop.folder import agree, fresh_folder, only_weights
from truing.interventions.intervention import Intervention
from truing.interventions.parts import LowRank, WeightDelta
from truing.types import Prompt

if TYPE_CHECKING:
    from truing.models.handle import Model

EXACT = 1e-5
"""A dense delta counts as low-rank when this share of its Frobenius norm is left over at most."""


def export(iv: Intervention, model: Model, folder: str | Path, *, rank: int | None = None) -> Path:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors``.

    ``rank``: dense deltas are factored by SVD to this rank, and refused if that is not exact.
    """
    only_weights(iv, "a PEFT adapter")
    Fit(model.arch).targets(iv.weights)
    factors: dict[str, list[tuple[Tensor, Tensor]]] = {}
    flips: set[bool] = set()
    for part in iv.weights:
        path, _, leaf = part.param.rpartition(".")
        module = model.hf.get_submodule(path)
        flip = transposed(model.arch, part.param)
        if leaf != "weight" or not (flip or isinstance(module, nn.Linear)):
            raise NotPossible(
                f"'{part.param}' of a {type(module).__name__} cannot be a LoRA factor",
                "Export 'merged' instead.",
            )
        flips.add(flip)
        d_out = module.weight.shape[1 if flip else 0]
        left, right = _low_rank(part, flip, rank)
        factors.setdefault(path, []).append((_padded(left, part.rows, d_out), right))
    if len(flips) > 1:
        raise NotPossible(
            "a PEFT adapter cannot mix Conv1D and Linear modules", "Export 'merged' instead."
        )
    tensors: dict[str, Tensor] = {}
    ranks: dict[str, int] = {}
    for path, pairs in factors.items():
        left = torch.cat([pair[0] for pair in pairs], dim=1)
        right = torch.cat([pair[1] for pair in pairs], dim=1)
        ranks[path] = left.shape[1]
        tensors[f"base_model.model.{path}.lora_A.weight"] = right.T.contiguous()
        tensors[f"base_model.model.{path}.lora_B.weight"] = left.contiguous()
    with fresh_folder(folder) as work:
        save_file(tensors, work / "adapter_model.safetensors", metadata={"format": "pt"})
        config = _config(model, ranks, fan_in_fan_out=flips == {True})
        (work / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        origin = json.dumps(asdict(iv.origin), indent=1, default=str)
        (work / "truing_origin.json").write_text(origin + "\n")
    return Path(folder)


def check(iv: Intervention, model: Model, folder: str | Path, prompts: Sequence[Prompt]) -> float:
    """Load the adapter with ``peft`` onto a copy of the base and compare next-token log-probs.

    Returns the largest absolute difference (nats) to ``model.using(iv)`` over ``prompts``.
    """
    try:
        from peft import PeftModel
    except ImportError:
        raise NotPossible(
            "checking a PEFT adapter needs peft, which is not installed",
            "pip install 'truing[lora]'",
        ) from None
    import copy

    loaded = PeftModel.from_pretrained(copy.deepcopy(model.hf), str(folder))
    return agree(iv, model, loaded, prompts)


def _low_rank(part: WeightDelta, flip: bool, rank: int | None) -> tuple[Tensor, Tensor]:
    """Float32 factors ``left (d_out, r)``, ``right (d_in, r)`` in math orientation."""
    delta = part.delta
    if isinstance(delta, LowRank):
        return delta.left.detach().float().cpu(), delta.right.detach().float().cpu()
    full = delta.delta.detach().double().cpu()
    full = full.T if flip and delta.orientation == "stored" else full
    if rank is None:
        raise NotPossible(
            f"the delta of '{part.param}' is dense; a PEFT adapter holds low-rank factors",
            f"Give a rank (its numerical rank is {_numerical_rank(full)}), or export 'merged'.",
        )
    u, s, vh = torch.linalg.svd(full, full_matrices=False)
    lost = float(s[rank:].norm() / s.norm()) if s.norm() > 0 else 0.0
    if lost > EXACT:
        raise NotPossible(
            f"rank {rank} loses {lost:.2%} of the delta of '{part.param}'",
            f"Its numerical rank is {_numerical_rank(full)}; give that, or export 'merged'.",
        )
    root = s[:rank].sqrt()
    return (u[:, :rank] * root).float(), (vh[:rank].T * root).float()


def _numerical_rank(full: Tensor) -> int:
    s = torch.linalg.svdvals(full)
    tail = s.square().flip(0).cumsum(0).flip(0).sqrt()
    return int((tail > EXACT * s.norm()).sum())


def _padded(left: Tensor, rows: tuple[int, int] | None, d_out: int) -> Tensor:
    if rows is None:
        return left
    whole = left.new_zeros(d_out, left.shape[1])
    whole[rows[0] : rows[1]] = left
    return whole


def _config(model: Model, ranks: dict[str, int], fan_in_fan_out: bool) -> dict[str, Any]:
    most = max(ranks.values())
    pattern = {path: rank for path, rank in ranks.items() if rank != most}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.name,
        "revision": model.revision,
        "inference_mode": True,
        "r": most,
        "lora_alpha": most,
        "rank_pattern": pattern,
        "alpha_pattern": pattern,
        "target_modules": sorted(ranks),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": fan_in_fan_out,
        "use_rslora": False,
    }
