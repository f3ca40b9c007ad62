"""A merged checkpoint: the edited weights as an ordinary ``transformers`` folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from truing.errors import NotPossible
from truing.interventions.apply import Applied
from truing.interventions.interop.folder import agree, fresh_folder, only_weights
from truing.interventions.intervention import Intervention
from truing.types import Prompt

if TYPE_CHECKING:
    from truing.models.handle import Model


def export(iv: Intervention, model: Model, folder: str | Path) -> Path:
    """Write model and tokenizer with ``iv`` merged in; the live model is as before afterwards."""
    only_weights(iv, "a merged checkpoint")
    if model.in_force:
        raise NotPossible(
            "another change is in force and would be merged too", "Export outside of `using`."
        )
    with fresh_folder(folder) as work:
        with Applied(model.arch, iv.parts):
            model.hf.save_pretrained(work)
        model.tok.save_pretrained(work)
        origin = json.dumps(asdict(iv.origin), indent=1, default=str)
        (work / "truing_origin.json").write_text(origin + "\n")
    return Path(folder)


def check(iv: Intervention, model: Model, folder: str | Path, prompts: Sequence[Prompt]) -> float:
    """Load the checkpoint and compare next-token log-probs.

    Returns the largest absolute difference (nats) to ``model.using(iv)`` over ``prompts``.
    """
    loaded = type(model.hf).from_pretrained(folder, dtype=model.hf.dtype).to(model.device)
    loaded.config._attn_implementation = model.hf.config._attn_implementation
    return agree(iv, model, loaded, prompts)
