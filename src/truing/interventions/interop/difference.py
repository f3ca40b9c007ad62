"""A fine-tuned checkpoint read as its difference from the base model, one tensor at a time.

``W_checkpoint - W_base`` in float32 for every parameter that differs ("task vectors", Ilharco et al.
2023); what is equal costs nothing. The checkpoint must be the same network: configuration, names,
shapes and the tokenizer's rules are compared before a number is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer

from truing.errors import CannotLoad, NotPossible, WrongBase
from truing.interventions.parts import Dense, WeightDelta
from truing.models.sources import PICKLES, TOKENIZERS, pickled_only

if TYPE_CHECKING:
    from truing.models.handle import Model

IDLE = {
    "architectures", "auto_map", "bos_token_id", "dtype", "eos_token_id", "pad_token_id",
    "torch_dtype", "transformers_version", "use_cache",
}  # fmt: skip
"""Settings of a configuration that no forward pass depends on, nor on dropout and private ones."""

HEADS = {"embed_out.weight": "lm_head.weight", "lm_head.weight": "embed_out.weight"}
"""GPT-NeoX's head is called one way in files and another in memory, by version of transformers."""


def read(folder: Path, model: Model, *, scale: float = 1.0) -> list[WeightDelta]:
    """The deltas, times ``scale``, of the parameters that differ, float32 as they are stored.

    Raises ``WrongBase`` for another architecture, shape or tokenizer, ``CannotLoad`` for files that
    cannot be read or are pickled, and ``NotPossible`` where a model's weights are not numbers.
    """
    _check_config(folder, model)
    _check_tokenizer(folder, model)
    deltas: list[WeightDelta] = []
    missing = dict(_parameters(model))
    for name, tensor in _tensors(folder):
        own = _own_name(model, name)
        if own is None:
            raise _other(folder, model, f"it holds '{name}', which the model does not have")
        if own not in missing:
            continue  # a buffer, or a tied parameter under its second name
        names, parameter = missing[own]
        if tensor.shape != parameter.shape:
            shapes = f"{tuple(tensor.shape)}, in the model {tuple(parameter.shape)}"
            raise _other(folder, model, f"'{name}' has shape {shapes}")
        for each in names:
            del missing[each]
        change = tensor.float() - _numbers(own, parameter).cpu().float()
        if not bool(change.isfinite().all()):
            raise CannotLoad(
                f"the checkpoint '{folder}' is not finite: '{name}' holds NaN or infinity",
                "Copy it again, or train it anew.",
            )
        if bool(change.any()):
            deltas += [WeightDelta(each, Dense(scale * change)) for each in names]
    if missing:
        raise _other(folder, model, f"it lacks '{next(iter(missing))}'")
    return deltas


def _parameters(model: Model) -> Iterator[tuple[str, tuple[list[str], Tensor]]]:
    """Every name of every parameter, with all names that the parameter has."""
    named = list(model.hf.named_parameters(remove_duplicate=False))
    together: dict[int, list[str]] = {}
    for name, parameter in named:
        together.setdefault(id(parameter), []).append(name)
    for name, parameter in named:
        yield name, (together[id(parameter)], parameter)


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickled = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if pickled:
            raise pickled_only(f"'{folder}'", pickled)
        raise CannotLoad(
            f"'{folder}' has no *.safetensors weights",
            "Give the folder that save_pretrained wrote.",
        )
    for file in files:
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (it is not a mapping)
                    yield name, tensors.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise CannotLoad(f"'{file}' cannot be read: {error}", "Copy it again.") from None


def _own_name(model: Model, name: str) -> str | None:
    """What the model calls the tensor; checkpoints may leave the network's prefix out. ``None``: it
    has no such tensor, nor expects to be given it."""
    known = model.hf.state_dict().keys()
    prefix = f"{model.hf.base_model_prefix}."
    for own in (name, prefix + name, name.removeprefix(prefix), HEADS.get(name, name)):
        if own in known:
            return own
    ignored = getattr(model.hf, "_keys_to_ignore_on_load_unexpected", None) or ()
    buffers = dict(model.hf.named_buffers())
    idle = any(re.search(pattern, name) for pattern in (*ignored, r"rotary_emb\.inv_freq$"))
    return name if idle or name in buffers else None


def _numbers(name: str, parameter: Tensor) -> Tensor:
    if not parameter.is_floating_point() or parameter.itemsize < 2 or parameter.is_meta:
        raise NotPossible(
            f"'{name}' is quantised or offloaded: there is nothing to subtract from",
            "Load the model unquantised and in memory.",
        )
    return parameter.detach()


def _check_config(folder: Path, model: Model) -> None:
    try:
        theirs = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CannotLoad(
            f"'{folder / 'config.json'}' cannot be read: {' '.join(str(error).split())[:200]}",
            "Give the folder that save_pretrained wrote.",
        ) from None
    one, other = (
        _facts(json.loads(config.to_json_string(use_diff=False)))
        for config in (theirs, model.hf.config)
    )
    differ = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    if differ:
        first = "model_type" if "model_type" in differ else min(differ)
        raise _other(
            folder, model, f"its {first} is {one.get(first)!r}, the model's {other.get(first)!r}"
        )


def _facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a forward pass."""
    return {
        key: _facts(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in IDLE and not key.startswith("_") and not key.endswith(("dropout", "pdrop"))
    }


def _check_tokenizer(folder: Path, model: Model) -> None:
    """A folder without a tokenizer says nothing about it. A chat template is no part of the rules."""
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZERS):
        return
    try:
        theirs = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CannotLoad(
            f"the tokenizer of '{folder}' cannot be read: {' '.join(str(error).split())[:200]}",
            "Copy its files again.",
        ) from None
    if _rules(theirs) != _rules(model.tok):
        raise _other(folder, model, "its tokenizer makes other tokens")


def _rules(tok: Any) -> dict[str, Any]:
    """What decides the ids of a text."""
    backend = getattr(tok, "backend_tokenizer", None)
    if backend is None:
        return dict(tok.get_vocab())
    facts: dict[str, Any] = json.loads(backend.to_str())
    return {key: value for key, value in facts.items() if key not in ("padding", "truncation")}


def _other(folder: Path, model: Model, why: str) -> WrongBase:
    return WrongBase(
        f"the checkpoint '{folder}' is not a tuned '{model.name}': {why}",
        "Load the model that it was tuned from, or the checkpoint as a model of its own.",
    )
