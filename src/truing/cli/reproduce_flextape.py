"""``truing reproduce flextape:...``: published numbers of Seesaw-CF beside ours, repeated and mended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from truing.cli.output import emit, note, rows_table

if TYPE_CHECKING:
    from truing.runs.flextape.line import Line


def show(name: str, data: Path, as_json: bool) -> None:
    """All numbers of the table ``name``: as published, by the published rule, mended, and why."""
    from truing.runs.flextape.line import PAPER
    from truing.runs.flextape.tables import recompute

    found = recompute(name, data)
    without = sum(line.corrected is None for line in found)
    note(f"{PAPER}. Repeated: by the published rule, from the stored results.")
    note(f"{without} of {len(found)} numbers cannot be mended from what is stored; see why.")
    reasons = {reason: str(i) for i, reason in enumerate(dict.fromkeys(r.reason for r in found), 1)}
    rows = [
        (
            line.item, line.statistic, _number(line.published), f"{_number(line.repeated)}\nn {line.n}",
            _mended(line), reasons[line.reason],
        )
        for line in found
    ]  # fmt: skip
    columns = ("item", "statistic", "published", "repeated", "mended [95%]", "why")
    why = Text("\n".join(f"{number}. {reason}" for reason, number in reasons.items()))
    emit(found, Group(rows_table(name, columns, rows), why), as_json)


def agreement(name: str, data: Path, as_json: bool) -> None:
    """Agreement of the annotators; ``data`` is their folder, or holds it as ``annotations``."""
    from truing.runs.seesaw_agreement import seesaw_agreement

    inside = data / "annotations"
    found = seesaw_agreement(inside if inside.is_dir() else data)
    rows = [
        (
            r.question, r.statistic, f"{r.published:.3f}", _number(r.ours.value),
            "" if r.ours.low is None else f"[{r.ours.low:.3f}, {r.ours.high:.3f}]",
            str(r.ours.units),
        )
        for r in found
    ]  # fmt: skip
    columns = ("question", "statistic", "published", "ours", "[95%]", "n")
    emit(found, rows_table(name, columns, rows), as_json)


def _mended(line: Line) -> str:
    if line.corrected is None:
        return "—"
    bounds = "" if line.low is None or line.high is None else f" [{line.low:.3f}, {line.high:.3f}]"
    return f"{_number(line.corrected)}{bounds}\nn {line.n_corrected}"


def _number(x: float | None) -> str:
    return "—" if x is None else f"{x:.1e}" if 0 < abs(x) < 5e-4 else f"{x:.3f}"
