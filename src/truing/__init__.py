"""Truing: change one thing in a language model, then measure everything that moved.

The names below are the public surface; each is imported when it is first used, so that
``import truing`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from truing.interventions.artifact import load as load_intervention
    from truing.interventions.intervention import Intervention
    from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
    from truing.models.handle import Model
    from truing.types import Case, EditRequest, Message, Probe
    from truing.verbs import Comparison, compare, edit

__version__ = "0.1.0"

_HOMES = {
    "Case": "truing.types",
    "Comparison": "truing.verbs",
    "Decoding": "truing.models.asks",
    "EditRequest": "truing.types",
    "GenerateAsk": "truing.models.asks",
    "Intervention": "truing.interventions.intervention",
    "Message": "truing.types",
    "Model": "truing.models.handle",
    "Probe": "truing.types",
    "ScoreAsk": "truing.models.asks",
    "compare": "truing.verbs",
    "edit": "truing.verbs",
    "load_intervention": "truing.interventions.artifact",
}

__all__ = [
    "Case",
    "Comparison",
    "Decoding",
    "EditRequest",
    "GenerateAsk",
    "Intervention",
    "Message",
    "Model",
    "Probe",
    "ScoreAsk",
    "compare",
    "edit",
    "load_intervention",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'truing' has no attribute '{name}'")
    home = import_module(_HOMES[name])
    return getattr(home, "load" if name == "load_intervention" else name)


def __dir__() -> list[str]:
    return sorted(__all__)
