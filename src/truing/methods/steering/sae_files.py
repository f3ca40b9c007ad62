"""Sparse autoencoders as others publish them: safetensors and numpy archives. Never pickle.

Two layouts. SAELens: a folder of ``cfg.json`` and ``sae_weights.safetensors``; the configuration names the
hook point. Gemma Scope (Lieberum et al. 2024): ``params.npz``, which names none. Both hold ``W_enc`` (d, f),
``W_dec`` (f, d), ``b_enc`` (f,), ``b_dec`` (d,) and, for JumpReLU, ``threshold`` (f,). Shape letters: F features,
D width.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from truing.errors import BadInput, CannotLoad, NotPossible
from truing.interventions.latents import Latents
from truing.methods.kernels.capture import Place
from truing.models.arch import Site

CONFIG = "cfg.json"
WEIGHTS = ("sae_weights.safetensors", "params.npz")
NAMES = ("W_enc", "W_dec", "b_enc", "b_dec")
HOOK = re.compile(r"blocks\.(\d+)\.hook_(resid_pre|resid_post|attn_out|mlp_out)")
SITES: dict[str, Site] = {
    "resid_pre": "resid_pre",
    "resid_post": "resid_post",
    "attn_out": "attn_out",
    "mlp_out": "mlp_out",
}
ARCHITECTURES = ("standard", "jumprelu")


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Features of an activation, float32: latents ``z`` over all F features and, row by row, what each
    writes, ``decoder_F_D``. ``place``: where it was trained, if the file says so."""

    latents: Latents
    decoder_F_D: Tensor
    place: Place | None

    def feature(self, number: int) -> tuple[Latents, Tensor]:
        """One feature's latent and what it writes ``(D,)``."""
        own = (tensor[number : number + 1].clone() for tensor in self.latents.tensors.values())
        return Latents(*own), self.decoder_F_D[number].clone()


def load(path: Path) -> Dictionary:
    """The autoencoder in a folder, a ``.safetensors`` (with ``cfg.json`` beside it, if there is one) or a
    ``.npz``.

    Raises ``CannotLoad`` for what cannot be read, ``BadInput`` for tensors that do not belong together
    or are not finite, ``NotPossible`` for kinds whose features do not stand alone.
    """
    file = _file(path.expanduser())
    tensors = _npz(file) if file.suffix == ".npz" else _safetensors(file)
    missing = [name for name in NAMES if name not in tensors]
    if missing:
        raise CannotLoad(
            f"the autoencoder '{file}' has no {', '.join(missing)}",
            f"It holds {', '.join(sorted(tensors)) or 'nothing'}; {', '.join(NAMES)} are needed.",
        )
    beside = file.with_name(CONFIG)
    config = _config(beside) if file.suffix != ".npz" and beside.is_file() else {}
    return _dictionary(file, tensors, config)


def _dictionary(file: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> Dictionary:
    _check_kind(file, tensors, config)
    encoder_F_D, decoder_F_D = tensors["W_enc"].float().T.contiguous(), tensors["W_dec"].float()
    bias_F, shift_D = tensors["b_enc"].float(), tensors["b_dec"].float()
    threshold_F = tensors.get("threshold", torch.zeros_like(bias_F)).float()
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    fits = decoder_F_D.ndim == 2 and (
        encoder_F_D.shape == decoder_F_D.shape
        and bias_F.shape == threshold_F.shape == decoder_F_D.shape[:1]
        and shift_D.shape == decoder_F_D.shape[1:]
    )
    if not fits:
        raise BadInput(
            f"the autoencoder '{file}' has tensors that do not belong together: {shapes}",
            "W_enc is (d, f), W_dec (f, d), b_enc and threshold (f,), b_dec (d,).",
        )
    numbers = (encoder_F_D, decoder_F_D, bias_F, shift_D, threshold_F)
    if not all(bool(each.isfinite().all()) for each in numbers):
        raise BadInput(
            f"the autoencoder '{file}' holds numbers that are not finite", "Fetch it again."
        )
    if config and config.get("apply_b_dec_to_input", True):
        bias_F = bias_F - encoder_F_D @ shift_D
    latents = Latents(encoder_F_D, bias_F, threshold_F.clamp(min=0.0))
    return Dictionary(latents, decoder_F_D, _place(file, config))


def _check_kind(file: Path, tensors: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Features must be ReLU or JumpReLU of the activation as it is."""
    default = "jumprelu" if "threshold" in tensors else "standard"
    activation = config.get("activation_fn_str", config.get("activation_fn", "relu"))
    normalise = config.get("normalize_activations", "none")
    odd = {
        "architecture": config.get("architecture", default) not in ARCHITECTURES,
        "activation": activation not in ("relu", "jumprelu"),
        "normalize_activations": normalise not in ("none", None),
        "finetuning_scaling_factor": bool(config.get("finetuning_scaling_factor")),
        "reshape_activations": config.get("reshape_activations", "none") not in ("none", None),
    }
    found = [name for name, wrong in odd.items() if wrong]
    if found:
        raise NotPossible(
            f"the autoencoder '{file}' is of another kind ({CONFIG}: {', '.join(found)})",
            "Features of a plain ReLU or JumpReLU autoencoder can be clamped.",
        )


def _place(file: Path, config: dict[str, Any]) -> Place | None:
    """SAELens writes ``hook_name`` at the top or, later, under ``metadata``."""
    inner = config.get("metadata")
    told = {**config, **(inner if isinstance(inner, dict) else {})}
    name = told.get("hook_name", told.get("hook_point"))
    if name is None:
        return None
    match = HOOK.fullmatch(str(name))
    if match is None:
        raise NotPossible(
            f"the autoencoder '{file}' reads '{name}', which is no hook point here",
            f"Known: blocks.N.hook_X with X in {', '.join(SITES)}.",
        )
    return Place(SITES[match[2]], int(match[1]))


def _file(path: Path) -> Path:
    if path.is_dir():
        found = [path / name for name in WEIGHTS if (path / name).is_file()]
        if not found:
            raise CannotLoad(
                f"'{path}' holds no autoencoder ({' or '.join(WEIGHTS)})",
                "Give the folder of one hook point.",
            )
        return found[0]
    if not path.is_file():
        raise CannotLoad(f"there is no file '{path}'", "Give a folder or a file.")
    if path.suffix not in (".safetensors", ".npz"):
        raise CannotLoad(
            f"'{path}' is neither .safetensors nor .npz; nothing else is read",
            "Convert it: a pickled file could run code.",
        )
    return path


def _safetensors(file: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (SafetensorError, OSError) as error:
        raise CannotLoad(f"cannot read '{file}': {error}", "Fetch it again.") from None
    return tensors


def _npz(file: Path) -> dict[str, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {
                name: torch.from_numpy(archive[name])
                for name in (*NAMES, "threshold")
                if name in archive
            }
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise CannotLoad(
            f"cannot read '{file}' as plain numbers: {error}",
            "Fetch it again; pickled arrays are not read.",
        ) from None


def _config(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise CannotLoad(f"'{file}' is no JSON object", "Fetch it again.")
    return found
