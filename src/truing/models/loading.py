"""Reading models from disk or hub. The only place that knows device, dtype and placement.

Weights come from safetensors only, code from the hub runs only on request, and everything that can
be wrong with a folder is said in two lines.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from truing.errors import BadInput, CannotLoad, UnknownName

POCKET = "truing/pocket"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")


def load(
    name: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Model and tokenizer of a hub id, a folder or ``truing/pocket``.

    ``dtype`` ``auto``: float32 on CPU, the checkpoint's on accelerators. ``device`` ``auto``: CUDA,
    else MPS, else CPU; ``device_map`` spreads a model over several devices (accelerate).
    Raises ``CannotLoad`` and, for a bad setting, ``BadInput``.
    """
    _check_settings(dtype, device)
    source = _source(name)
    local = source.is_dir() if isinstance(source, Path) else False
    if local:
        _check_folder(Path(source))
    home = _device(device)
    wanted = _dtype(dtype, home, device_map)
    tok = _tokenizer(name, source, revision, trust_remote_code)
    hf = _model(name, source, revision, wanted, device_map, trust_remote_code)
    if device_map is None:
        hf.to(home)
    hf.eval()
    hf.requires_grad_(False)
    _check_finite(name, hf)
    return hf, tok


def _check_settings(dtype: str, device: str) -> None:
    if dtype != "auto" and dtype not in DTYPES:
        raise UnknownName("dtype", dtype, ["auto", *DTYPES])
    if device != "auto":
        try:
            torch.device(device)
        except RuntimeError:
            raise BadInput(f"no such device: '{device}'", "For example cpu, cuda or cuda:1.") from None


def _source(name: str) -> Path | str:
    """A folder, or the hub id itself."""
    if name == POCKET:
        from truing.pocket import pocket_path

        return pocket_path()
    if name.startswith("truing/"):
        raise UnknownName("embedded model", name, [POCKET])
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise CannotLoad(f"'{name}' is a file", "Give the folder that holds config.json.")
    looks_local = path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1
    if looks_local and "/" in name:
        raise CannotLoad(f"no such model folder: {name}", "Give a folder, a hub id (owner/name), or truing/pocket.")
    return name


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise CannotLoad(
            f"{folder} has no config.json", "Give the folder that save_pretrained wrote."
        )
    try:
        json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CannotLoad(f"{folder / 'config.json'} cannot be read: {error}", "Mend or replace it.") from None
    if not any((folder / t).is_file() for t in TOKENIZERS):
        raise CannotLoad(
            f"{folder} has no tokenizer (looked for {', '.join(TOKENIZERS)})",
            "Save it there with tokenizer.save_pretrained.",
        )
    if not list(folder.glob("*.safetensors")):
        pickled = sorted(p.name for pattern in PICKLES for p in folder.glob(pattern))
        if pickled:
            raise CannotLoad(
                f"{folder} has pickled weights only ({', '.join(pickled[:3])}), which can run code",
                "Convert it where you trust it: model.save_pretrained(folder) writes safetensors.",
            )
        raise CannotLoad(f"{folder} has no *.safetensors weights", "Save them with save_pretrained.")


def _tokenizer(name: str, source: Path | str, revision: str | None, trust: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        tok = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=trust)
    except Exception as error:  # transformers raises many kinds here
        raise _why(name, "tokenizer", error, revision) from None
    if tok.eos_token_id is None and tok.pad_token_id is None:
        raise CannotLoad(
            f"the tokenizer of '{name}' has neither an EOS nor a padding token",
            "Set eos_token in its tokenizer_config.json.",
        )
    return tok


def _model(
    name: str,
    source: Path | str,
    revision: str | None,
    dtype: torch.dtype | str,
    device_map: Any,
    trust: bool,
) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            source,
            revision=revision,
            dtype=dtype,
            device_map=device_map,
            trust_remote_code=trust,
            use_safetensors=True,
        )
    except Exception as error:  # transformers raises many kinds here
        raise _why(name, "model", error, revision) from None


def _why(name: str, what: str, error: Exception, revision: str | None) -> CannotLoad:
    """The library's error as two lines."""
    text = " ".join(str(error).split())
    low = text.lower()
    at = f"'{name}'" + (f" at revision '{revision}'" if revision else "")
    if "trust_remote_code" in low:
        return CannotLoad(
            f"{at} brings its own code, which is not run by default",
            "If you trust its authors, load it with trust_remote_code=True.",
        )
    if "gated" in low or "401" in low or "403" in low or ("token" in low and "access" in low):
        return CannotLoad(
            f"{at} is gated or private: the hub refused its {what}",
            "Accept its licence on the hub and set HF_TOKEN, or give a folder with a copy.",
        )
    offline = ("connect", "offline", "resolve", "timed out", "max retries", "couldn't", "can't load", "network")
    if not Path(name).is_dir() and any(word in low for word in offline):
        cached = " (offline mode is on)" if os.environ.get("HF_HUB_OFFLINE") else ""
        return CannotLoad(
            f"{at} is not a folder and could not be had from the hub{cached}",
            "Check the id and network, set HF_TOKEN if it is gated, or give a local folder; "
            "truing/pocket needs neither.",
        )
    if "safetensors" in low and ("no file" in low or "does not appear" in low):
        return CannotLoad(f"{at} has no safetensors weights", "Convert it with save_pretrained, or pick a revision that has them.")
    return CannotLoad(f"the {what} of {at} cannot be read: {type(error).__name__}: {text[:300]}", "Check the files, or download them again.")


def _device(device: str) -> torch.device:
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _dtype(dtype: str, home: torch.device, device_map: Any) -> torch.dtype | str:
    if dtype != "auto":
        return DTYPES[dtype]
    return torch.float32 if home.type == "cpu" and device_map is None else "auto"


def _check_finite(name: str, hf: nn.Module) -> None:
    for key, tensor in hf.state_dict().items():
        if tensor.is_floating_point() and tensor.device.type != "meta":
            if not bool(torch.isfinite(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
                raise CannotLoad(
                    f"'{name}' has values that are not finite in '{key}'",
                    "The checkpoint is damaged; download or convert it again.",
                )
