"""When a cell of a run is summed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.types import Moment


def moment_of(cell: Mapping[str, Any]) -> Moment:
    """Of a cell as the manifest describes it: after all edits, or right after each where the model is
    restored in between."""
    told = cell.get("moments") or (["immediate"] if cell["regime"] == "single" else ["final"])
    return "final" if "final" in told else "immediate"
