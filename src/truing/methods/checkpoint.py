"""A fine-tuned model as an arm: what training elsewhere changed, as an intervention on its base.

Takes a PEFT LoRA adapter (its factors, exactly) or a full checkpoint of the same network (the
difference of every parameter that differs). What requests ask for is ignored: the change is what it is.
``scale`` multiplies it, as Ilharco et al. 2023, "Editing Models with Task Arithmetic", do: 0.5 is half
way, a negative number goes the other way (for an adapter, of the product of its factors).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from truing.errors import CannotLoad, NotPossible
from truing.interventions.interop import adapter, difference
from truing.interventions.intervention import Intervention, Origin, WeightDelta
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.models.handle import Model
from truing.models.sources import one_line
from truing.types import EditRequest

FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.tiktoken")
"""What is fetched from the hub: no code and nothing pickled."""


class CheckpointConfig(MethodConfig):
    """Where the tuned model is."""

    path: Path | None = Field(
        None, description="folder or hub id of a LoRA adapter or a full checkpoint (needed)"
    )
    revision: str | None = Field(None, description="of a hub id: branch, tag or commit")
    scale: float = Field(1.0, description="factor on the whole change; 1 is as it was tuned")


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: CheckpointConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """The change of the checkpoint, added to ``so_far``."""
    check(model, requests, "checkpoint", needs_subject=False)
    return change(model, config, requests, so_far)


def change(
    model: Model,
    config: CheckpointConfig,
    requests: Sequence[EditRequest] = (),
    so_far: Intervention | None = None,
) -> Intervention:
    """The change of the checkpoint, added to ``so_far``. ``requests`` are named in its origin, no more.

    Raises ``CannotLoad`` where there are no files or none that can be read, ``WrongBase`` for another
    network and ``NotPossible`` for an adapter that is no sum of low-rank products.
    """
    before = so_far if so_far is not None else Intervention()
    folder = _folder(config)
    is_adapter = (folder / adapter.HEADER).is_file()
    read = adapter.read if is_adapter else difference.read
    parts: list[WeightDelta] = read(folder, model, scale=config.scale)
    record = {
        **config.model_dump(mode="json"),
        "kind": "adapter" if is_adapter else "full",
        "sha256": _content(folder),
        "changed": len(parts),
    }
    origin = Origin.of(model, "checkpoint", record, requests, so_far=before)
    return before.then(parts, origin=origin)


def _folder(config: CheckpointConfig) -> Path:
    """The folder of the files, fetched from the hub where ``path`` names none."""
    if config.path is None:
        raise NotPossible(
            "checkpoint needs a tuned model", "Set path to the folder of an adapter or checkpoint."
        )
    folder = config.path.expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise CannotLoad(
            f"{folder} is a file", "Give the folder of an adapter or checkpoint, or a hub id."
        )
    name = config.path.as_posix()
    if name.startswith((".", "~", "/")) or name.count("/") != 1:
        raise CannotLoad(f"there is no folder '{name}'", "Give a folder, or a hub id (owner/name).")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=config.revision, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:  # the hub's own errors are kinds of these
        raise CannotLoad(
            f"'{name}' is no folder and cannot be had from the hub: {one_line(error)}",
            "Check the id, go online (set HF_TOKEN if it is gated or private), or give a folder.",
        ) from None


def _content(folder: Path) -> str:
    """SHA-256 over the weights' files and the header, with their names."""
    digest = hashlib.sha256()
    headers = (folder / name for name in (adapter.HEADER, "config.json"))
    for path in (*headers, *sorted(folder.glob("*.safetensors"))):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(
                    f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
    return digest.hexdigest()


CHECKPOINT = Method(
    name="checkpoint",
    make=make,
    config=CheckpointConfig,
    summary="a fine-tuned model or adapter, as its change of the base model",
    paper="Ilharco et al. 2023 (task vectors)",
    acts_on="weights",
    tunes=("scale",),
)
