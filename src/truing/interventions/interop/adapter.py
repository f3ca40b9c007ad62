"""A PEFT LoRA adapter read as weight deltas, exactly: the inverse of :mod:`.peft`.

PEFT adds ``scaling * B @ A`` to a module's math-orientation weight, ``A: (r, d_in)``,
``B: (d_out, r)``, with ``scaling = lora_alpha / r``, or ``/ sqrt(r)`` for rank-stabilised LoRA
(Kalajdzievski 2023). What is not a sum of such products (DoRA, trained biases or whole modules,
adapters that start from a changed base) is refused, not approximated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from truing.errors import CannotLoad, NotPossible
from truing.interventions.fit import Fit
from truing.interventions.parts import LowRank, WeightDelta
from truing.models.sources import pickled_only

if TYPE_CHECKING:
    from truing.models.handle import Model

HEADER = "adapter_config.json"
TENSORS = "adapter_model.safetensors"
FACTOR = re.compile(r"base_model\.model\.(?P<path>.+)\.lora_(?P<side>[AB])\.weight")
BASE_KEPT = (None, True, False, "gaussian", "eva", "orthogonal")
"""Values of ``init_lora_weights`` under which the base model stays what it is."""


def read(folder: Path, model: Model, *, scale: float = 1.0) -> list[WeightDelta]:
    """The adapter's deltas, times ``scale``, float32; factors that do nothing are left out.

    Raises ``CannotLoad`` for files that cannot be read, ``NotPossible`` for an adapter of another
    kind, and ``BadInput`` for one of another architecture.
    """
    settings = _settings(folder)
    factors = _factors(folder)
    deltas = []
    for path, (right_R_F, left_D_R) in factors.items():
        strength = scale * _scaling(settings, path, rank=len(right_R_F))
        left = left_D_R.float() * strength
        if bool(left.any()) and bool(right_R_F.any()):
            delta = LowRank(left, right_R_F.float().T.contiguous())
            deltas.append(WeightDelta(f"{path}.weight", delta))
    Fit(model.arch).targets(deltas)
    return deltas


def _settings(folder: Path) -> Mapping[str, Any]:
    try:
        settings = json.loads((folder / HEADER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotLoad(
            f"'{folder / HEADER}' cannot be read: {error}", "Copy the adapter again."
        ) from None
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA":
        kind = settings.get("peft_type") if isinstance(settings, dict) else None
        raise NotPossible(
            f"the adapter '{folder}' is of type {kind}, not LORA",
            "Merge it into its model (merge_and_unload, save_pretrained) and give that folder.",
        )
    start = settings.get("init_lora_weights")
    if start not in BASE_KEPT:
        raise NotPossible(
            f"the adapter '{folder}' was started with '{start}', which changes the base model too",
            "Merge it into its model (merge_and_unload, save_pretrained) and give that folder.",
        )
    special = next(
        (name for name in ("alora_invocation_tokens", "layer_replication") if settings.get(name)),
        None,
    )
    if special is not None:
        raise NotPossible(
            f"the adapter '{folder}' sets {special}: it is more than a change of weights",
            "Only plain LoRA adapters are weight deltas.",
        )
    return settings


def _factors(folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """By module: ``A (r, d_in)`` and ``B (d_out, r)``."""
    file = folder / TENSORS
    if not file.is_file():
        pickled = sorted(path.name for path in folder.glob("adapter_model.*"))
        if pickled:
            raise pickled_only(f"'{folder}'", pickled)
        raise CannotLoad(f"'{folder}' has no {TENSORS}", "Copy the adapter again.")
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise CannotLoad(f"'{file}' is damaged: {error}", "Copy the adapter again.") from None
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise CannotLoad(
                f"the adapter '{folder}' is not finite: '{name}' holds NaN or infinity",
                "Copy it again, or train it anew.",
            )
        found = FACTOR.fullmatch(name)
        if found is None:
            raise NotPossible(
                f"the adapter '{folder}' holds '{name}', which is no LoRA factor of a matrix",
                "Merge it into its model (merge_and_unload, save_pretrained) and give that folder.",
            )
        sides.setdefault(found["path"], {})[found["side"]] = tensor
    lone = next((path for path, pair in sides.items() if len(pair) < 2), None)
    if lone is not None:
        raise CannotLoad(
            f"the adapter '{folder}' has one factor only for '{lone}'", "Copy the adapter again."
        )
    return {path: (pair["A"], pair["B"]) for path, pair in sides.items()}


def _scaling(settings: Mapping[str, Any], path: str, *, rank: int) -> float:
    """What PEFT multiplies the product of a module's factors with."""
    pattern: Mapping[str, float] = settings.get("alpha_pattern") or {}
    matching = (key for key in pattern if re.match(rf"(.*\.)?({key})$", path))
    key = next(matching, None)
    alpha = float(settings["lora_alpha"] if key is None else pattern[key])
    return alpha / (rank**0.5 if settings.get("use_rslora") else rank)
