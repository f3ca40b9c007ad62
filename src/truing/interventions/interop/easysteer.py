"""Vectors for EasySteer (a vLLM server): a steering spec as JSON and the GGUF files it names.

The spec is what the server reads as ``--steering-config`` or in a request's field ``steering``
(EasySteer's steering guide): vectors in order, each with a file, an algorithm and a where-clause.
Unlike a control vector it says strengths, positions, block 0 and some ops that are no additions. What
is projected out has length one in its file: projecting is quadratic in the length.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from truing.errors import NotPossible
from truing.interventions.interop import control_vector
from truing.interventions.interop.additive import block_of, only_ops
from truing.interventions.interop.folder import fresh_folder
from truing.interventions.intervention import ActivationOp, Intervention
from truing.models.positions import Positions

if TYPE_CHECKING:
    from truing.models.handle import Model

TARGET = "an EasySteer spec"
ALGORITHMS: dict[str, dict[str, Any]] = {
    "add": {"algorithm": "direct", "normalize": False},
    "add-keep-norm": {"algorithm": "direct", "normalize": True},
    "ablate": {"algorithm": "erase", "normalize": False},
}


@dataclass
class _Entry:
    """One entry of ``vectors``: the same thing done at several blocks."""

    op: str
    facts: dict[str, Any]
    directions: dict[int, Tensor]


def export(iv: Intervention, model: Model, folder: str | Path) -> Path:
    """Write ``spec.json`` and one ``vector-<i>.gguf`` per entry; sources are paths as given here.

    Ops of one block keep their order (``conflict`` is ``sequential``). Raises NotPossible, naming
    the part, for everything that a spec cannot say.
    """
    only_ops(iv, TARGET)
    entries: list[_Entry] = []
    for op in iv.ops:
        facts, block = _facts(op), block_of(op, TARGET)
        if not entries or entries[-1].facts != facts or block in entries[-1].directions:
            entries.append(_Entry(op.op, facts, {}))
        vector = op.vector.detach().cpu().float().reshape(-1)
        entries[-1].directions[block] = vector / vector.norm() if op.op == "ablate" else vector
    vectors = []
    with fresh_folder(folder) as work:
        for number, entry in enumerate(entries):
            name = f"vector-{number}.gguf"
            mode = "project" if entry.op == "ablate" else entry.op
            control_vector.write(work / name, mode, entry.directions, iv, model)
            vectors.append(
                {
                    "source": str(Path(folder) / name),
                    "layers": sorted(entry.directions),
                    **entry.facts,
                    "params": {},
                }
            )
        spec = {"vectors": vectors, "conflict": "sequential"}
        (work / "spec.json").write_text(json.dumps(spec, indent=2) + "\n")
    return Path(folder)


def _facts(op: ActivationOp) -> dict[str, Any]:
    several = op.vector.ndim == 2 and len(op.vector) > 1
    if op.op not in ALGORITHMS or (op.op == "ablate" and (several or op.scale != 1)):
        how = " of several directions, or in part," if op.op == "ablate" else ""
        raise NotPossible(
            f"{TARGET} has nothing like '{op.op}'{how} at {op.site}[{op.layer}]",
            "Save the intervention itself (save) and answer through Truing.",
        )
    return {**ALGORITHMS[op.op], "scale": op.scale, "apply": where(op.positions)}


def where(positions: Positions) -> dict[str, Any]:
    """The where-clause that selects the same tokens. Raises NotPossible where there is none.

    Prompt and generated tokens are selected apart; a generated token's number counts from 0.
    """
    start, stop = positions.start, positions.stop
    clause: dict[str, Any]
    if positions.kind == "all" or (positions.kind == "window" and (start, stop) == (0, None)):
        clause = {"prompt": "all", "generation": "all"}
    elif positions.kind == "prompt":
        clause = {"prompt": "all"}
    elif positions.kind == "last_prompt":
        clause = {"prompt_positions": [-1]}
    elif positions.kind == "tokens":
        ids = list(positions.ids)
        clause = {"prompt_tokens": ids, "generation_tokens": ids}
    elif positions.kind == "generation" and start >= 0:
        whole = (start, stop) == (0, None)
        return {"generation": "all"} if whole else {"generation_window": [start, stop]}
    elif positions.kind == "window" and stop is not None and stop < 0:
        clause = {"prompt_window": [start, stop]}
    elif positions.kind == "window" and stop is None and start < 0:
        clause = {"prompt_window": [start, None], "generation": "all"}
    else:
        raise NotPossible(
            f"{TARGET} counts prompt and generated tokens apart; this acts on "
            f"'{positions.kind}' {start}..{'' if stop is None else stop}",
            "Count from the end of the prompt (start = -1), or take 'prompt' or 'generation'.",
        )
    return {**clause, "exclude_prompt_positions": [0]} if positions.skip_first else clause
