"""What exports share: a folder that appears whole or not at all, and the round-trip check."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from truing.errors import BadInput, NotPossible
from truing.interventions.intervention import Intervention
from truing.types import Prompt

if TYPE_CHECKING:
    from truing.models.handle import Model


def only_weights(iv: Intervention, target: str) -> None:
    """Raise NotPossible unless ``iv`` consists of weight deltas and has some."""
    others = (
        ("activation ops", iv.ops),
        ("conditional ops", iv.conditional),
        ("codebooks", iv.codebooks),
        ("routed changes", iv.routed),
        ("prompt prefixes", iv.prefixes),
        ("memories of edits", iv.scoped),
    )
    if any(parts for _, parts in others):
        what = " and ".join(name for name, parts in others if parts)
        raise NotPossible(
            f"{what} are not weights; {target} cannot hold them",
            "Save the intervention itself (save) and answer through Truing.",
        )
    if not iv.weights:
        raise NotPossible(
            f"the intervention changes nothing; {target} would be empty",
            "Export one that holds weight deltas.",
        )


@contextmanager
def fresh_folder(folder: str | Path) -> Iterator[Path]:
    """A work folder that becomes ``folder`` when the block ends well; refuses one that is in use."""
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadInput(f"'{target}' exists and is not empty", "Give a new folder.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise BadInput(
            f"cannot write into '{target.parent}': {error.strerror}",
            "Choose a folder that can be written.",
        ) from None
    try:
        yield work
        work.chmod(0o755)
        work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def agree(iv: Intervention, model: Model, other: Any, prompts: Sequence[Prompt]) -> float:
    """Largest difference (nats) of next-token log-probs: ``other`` against ``model.using(iv)``."""
    other.eval()
    worst = 0.0
    with torch.no_grad():
        for prompt in prompts:
            ids = torch.tensor([model.speller.prompt_ids(prompt)], device=model.device)
            with model.using(iv):
                ours_T_V = _logprobs(model.hf(input_ids=ids).logits[0])
            theirs_T_V = _logprobs(other(input_ids=ids).logits[0])
            worst = max(worst, float((ours_T_V - theirs_T_V).abs().max()))
    return worst


def _logprobs(logits_T_V: Tensor) -> Tensor:
    return logits_T_V.float().log_softmax(1)
