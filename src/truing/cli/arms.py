"""What arms did, in lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from truing.cli.output import note

if TYPE_CHECKING:
    from truing.interventions.intervention import Intervention
    from truing.models.subject import Subject
    from truing.types import Prompt

LOOKED_AT = 16
"""Prompts on which an effect is seen."""


def note_effect(name: str, model: Subject, iv: Intervention, prompts: Sequence[Prompt]) -> None:
    """Tell what an intervention with activation ops does when ``prompts`` are answered."""
    from truing.methods.steering.effect import effect
    from truing.models.handle import Model

    if not (iv.ops or iv.conditional) or not isinstance(model, Model):
        return
    seen = effect(model, iv, prompts[:LOOKED_AT])
    note(f"{name}: {seen}")
    for warning in seen.warnings:
        note(f"warning: {name}: {warning}")


def arm_lines(meta: Mapping[str, Any], cells: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """From a run's summary: what every arm but the controls did to the model, then which of them beat
    their controls."""
    names = {
        ident: f"{cell.get('benchmark')}: {cell.get('method')}"
        for ident, cell in cells.items()
        if not cell.get("control_of")
    }
    effects = {k: seen for k, seen in meta.get("effects", {}).items() if k in names}
    return [
        *(f"{names[ident]}: {seen['told']}" for ident, seen in effects.items()),
        *(
            f"warning: {names[ident]}: {warning}"
            for ident, seen in effects.items()
            for warning in seen["warnings"]
        ),
        *(f"{cells[arm['cell']].get('benchmark')}: {arm['told']}" for arm in meta.get("arms", ())),
    ]
