"""What a training leaves on disk while it runs: ``metrics.jsonl`` and ``resume.safetensors``.

The resume file is one file, replaced in one step: all tensors of the training (weights, running
statistics, both moments of Adam) and, in its header, where it stood. There is no generator state
in it because there is none to save: what step n sees is drawn from the seed and n alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as dump_tensors
from torch import Tensor

from truing.errors import BadInput, CannotLoad
from truing.methods.mend_checkpoint import write

METRICS = "metrics.jsonl"
RESUME = "resume.safetensors"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of ``metrics.jsonl``. ``kind``: step, validation or health."""

    kind: str
    step: int
    values: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


class Metrics:
    """Lines so far, in memory and on disk. Opening keeps those up to ``step`` and drops the rest."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self.lines: list[Line] = [line for line in read(path) if line.step <= step]
        text = "".join(_text(line) for line in self.lines)
        write(path, text.encode())

    def add(self, line: Line) -> None:
        self.lines.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_text(line))

    def of(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line.kind == kind]


def _text(line: Line) -> str:
    return json.dumps({k: v for k, v in asdict(line).items() if v not in ("", {})}) + "\n"


def read(path: Path) -> list[Line]:
    """The whole lines of a metrics file: the last one may be torn. Raises ``BadInput``."""
    if not path.exists():
        return []
    found = []
    for text in path.read_text("utf-8").split("\n")[:-1]:
        try:
            found.append(Line(**json.loads(text)))
        except (ValueError, TypeError):
            raise BadInput(
                f"{path} holds a line that is no metric", "Remove the file, or train elsewhere."
            ) from None
    return found


@dataclass(frozen=True)
class Stand:
    """Where a training stood."""

    step: int
    best: float | None
    best_step: int
    config: Mapping[str, Any]


def save_stand(path: Path, stand: Stand, tensors: Mapping[str, Tensor]) -> None:
    blob = dump_tensors(
        {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()},
        metadata={"truing": json.dumps(asdict(stand), sort_keys=True)},
    )
    write(path, blob)


def load_stand(path: Path, config: Mapping[str, Any]) -> tuple[Stand, dict[str, Tensor]]:
    """Raises ``CannotLoad`` for a damaged file and ``BadInput`` for one of other settings."""
    try:
        with safe_open(path, framework="pt") as file:
            stand = Stand(**json.loads((file.metadata() or {})["truing"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise CannotLoad(
            f"'{path}' is damaged: the training cannot go on from it", "Train again from the start."
        ) from None
    changed = [name for name in config if stand.config.get(name) != config[name]]
    if changed:
        name = changed[0]
        raise BadInput(
            f"'{path.parent}' was trained with {name}={stand.config.get(name)!r}, not "
            f"{config[name]!r}",
            "Go on with the same settings (steps may grow), or train into another folder.",
        )
    return stand, tensors
