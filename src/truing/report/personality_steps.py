"""Arms of one training side by side: what its editor did after how many updates.

Mao et al. 2024 (arXiv 2310.02168), Table 11.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from truing.report.grid import Cells
from truing.report.personalities import PersonaArm
from truing.runs.store import EditRecord


def by_step(
    arms: Sequence[PersonaArm], cells: Cells, edits: Sequence[EditRecord]
) -> list[tuple[str, list[PersonaArm]]]:
    """For every method that used several checkpoints of one training with the same settings: its name,
    and the arms, labelled by their step, after the unedited ones.

    The steps are those that the editors' own headers tell, as the run's edits recorded them.
    """
    editors = {e.cell: e.config["editor"] for e in edits if e.config.get("editor")}
    groups: dict[str, dict[int, PersonaArm]] = {}
    names: dict[str, str] = {}
    for arm in arms:
        editor = editors.get(arm.cell, {})
        if "training" in editor and "step" in editor:
            cell = cells.get(arm.cell, {})
            name = str(cell.get("registered"))
            group = json.dumps([name, editor["training"], _settings(cell)], sort_keys=True)
            groups.setdefault(group, {})[int(editor["step"])] = arm
            names[group] = f"{name}, training {editor['training']}"
    before = [arm for arm in arms if arm.baseline]
    return [
        (names[group], [*before, *(replace(of[step], label=str(step)) for step in sorted(of))])
        for group, of in groups.items()
        if len(of) > 1
    ]


def _settings(cell: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal besides the training: everything but where the editor lies."""
    config = {k: v for k, v in dict(cell.get("config") or {}).items() if k != "checkpoint"}
    return {**config, "seed": cell.get("seed")}
