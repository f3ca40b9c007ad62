"""Reading a model and its tokenizer. The only place that knows device, dtype and placement.

Weights come from safetensors only, and code that a repository brings runs only on request. What
the transformers library would only log (tensors that are missing from a checkpoint) is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from truing.errors import BadInput, CannotLoad, UnknownName
from truing.models.sources import Source, find, one_line, pickled_only

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(
    name: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Model (evaluation mode, no gradients) and tokenizer of a hub id, folder or ``truing/pocket``.

    ``dtype`` ``auto``: float32 on CPU, the checkpoint's own on accelerators. ``device`` ``auto``:
    CUDA, else MPS, else CPU. ``device_map`` (``"auto"`` or module -> device) spreads the model
    over several devices through accelerate, instead of ``device``.
    Raises ``CannotLoad`` and, for a setting that makes no sense, ``BadInput``.
    """
    home = device_of(device, device_map)
    wanted = _dtype(dtype, home)
    source = find(name, revision)
    with _quiet():
        tok = _tokenizer(source, trust_remote_code)
        hf = _weights(
            source, wanted, {"": home} if device_map is None else device_map, trust_remote_code
        )
    hf.eval()
    hf.requires_grad_(False)
    _check_finite(source, hf)
    _check_vocabulary(source, hf, tok)
    return hf, tok


def device_of(device: str, device_map: str | dict[str, Any] | None = None) -> torch.device:
    """The device that a name (``auto``: the best there is) stands for.

    Raises ``BadInput`` for one that cannot be used here, or that a ``device_map`` contradicts.
    """
    if device_map is not None and device != "auto":
        raise BadInput("device and device_map are both given", "Give one of them.")
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadInput(
            f"device '{device}' cannot be used: {one_line(error, 100)}", "Give cpu, cuda or cuda:N."
        ) from None
    if found.type == "meta":
        raise BadInput("device 'meta' holds no numbers", "Give cpu, cuda or cuda:N.")
    return found


def _dtype(dtype: str, home: torch.device) -> torch.dtype | str:
    if dtype != "auto":
        if dtype not in DTYPES:
            raise UnknownName("dtype", dtype, ["auto", *DTYPES])
        return DTYPES[dtype]
    return torch.float32 if home.type == "cpu" else "auto"


def _tokenizer(source: Source, trust: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            source.place,
            revision=source.revision,
            trust_remote_code=trust,
            local_files_only=source.local,
        )
    except Exception as error:  # that library raises many kinds here
        raise _why(source, "tokenizer", error) from None


def _weights(source: Source, dtype: torch.dtype | str, device_map: Any, trust: bool) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        hf, report = AutoModelForCausalLM.from_pretrained(
            source.place,
            revision=source.revision,
            dtype=dtype,
            device_map=device_map,
            trust_remote_code=trust,
            local_files_only=source.local,
            use_safetensors=True,
            output_loading_info=True,
        )
    except torch.OutOfMemoryError:
        raise CannotLoad(
            f"{source} does not fit into the device's memory",
            "Use a smaller dtype (bfloat16), device_map='auto', or another device.",
        ) from None
    except Exception as error:  # that library raises many kinds here
        raise _why(source, "model", error) from None
    missing = sorted(report["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CannotLoad(
            f"{source} lacks the weights '{missing[0]}'{more}, which would be random numbers",
            "The checkpoint is incomplete or not a causal language model; get a complete one.",
        )
    return hf


def _why(source: Source, what: str, error: Exception) -> CannotLoad:
    """The library's error as two lines."""
    text = one_line(error)
    low = " ".join(str(error).split()).lower()
    if "trust_remote_code" in low:
        return CannotLoad(
            f"{source} brings its own code, which is not run by default",
            "If you trust its authors, load it with trust_remote_code=True.",
        )
    if "pytorch_model.bin" in low or ("safetensors" in low and "does not appear" in low):
        return pickled_only(str(source), ["no *.safetensors"])
    if "unrecognized" in low or "does not recognize this architecture" in low:
        return CannotLoad(
            f"{source} is of a kind that the installed transformers does not know: {text}",
            "It may need a newer transformers, or is not a causal language model.",
        )
    if source.local and not source.folder and "couldn't" in low:
        return CannotLoad(
            f"{source} is only partly in the local hub cache, and the hub cannot be asked",
            "Go online once to complete it, or give a folder with all of its files.",
        )
    return CannotLoad(
        f"the {what} of {source} cannot be read ({type(error).__name__}): {text}",
        "Check its files, or copy them again.",
    )


def _check_finite(source: Source, hf: nn.Module) -> None:
    for name, tensor in hf.state_dict().items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.is_meta:
            continue
        if tensor.itemsize < 2 or bool(torch.isfinite(tensor.sum())):
            continue
        if not bool(torch.isfinite(tensor).all()):  # a sum may overflow where no value does
            raise CannotLoad(
                f"{source} has values that are not finite in '{name}'",
                "The checkpoint is damaged; copy or convert it again.",
            )


def _check_vocabulary(source: Source, hf: Any, tok: Any) -> None:
    rows = int(hf.get_input_embeddings().weight.shape[0])
    most = max(tok.get_vocab().values(), default=0)
    if most >= rows:
        raise CannotLoad(
            f"the tokenizer of {source} has ids up to {most}; the model has embeddings for {rows}",
            "They do not belong together: copy the tokenizer of this model's base model.",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the transformers library's log and progress bars, which go to the terminal."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
