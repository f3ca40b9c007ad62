"""What an entry of the glossary says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "bits", "tokens", "nats", "nats per token", "points", "ratio", "ratings"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry. ``denominator`` says what is counted, ``missing`` what is left out and why.

    ``better`` says which way is good: ``neither`` for descriptions.
    """

    name: str
    title: str
    definition: str
    formula: str
    denominator: str
    missing: str
    source: str
    unit: Unit
    better: Literal["higher", "lower", "neither"]


NOT_SCORED = (
    "Rows that abstain, are invalid or have no verdict are left out and counted beside the number. "
    "Empty and looping answers (degenerate) stay in and count 0."
)
NO_RESPONSE = "Rows without a response, and texts too short for the number, are left out."
MIRAGE = "Yang et al. 2025, The Mirage of Model Editing"
ROME = "Meng et al. 2022, Locating and Editing Factual Associations in GPT"
