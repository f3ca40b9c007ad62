"""Which numbers may be averaged or compared."""

from __future__ import annotations

from collections.abc import Iterable

from truing.errors import BadInput
from truing.types import Measure

SAME = ("protocol", "judge", "metric", "moment", "step", "compatibility")
"""The facts of a measure that must be equal before a mean over measures means anything. Models,
methods, benchmarks, aspects and regimes may differ: they are what one averages over or compares."""

_ADVICE = {
    "protocol": "Show them in separate columns, or select one with --protocol.",
    "judge": "Show them in separate columns, or select one scorer.",
    "moment": "Immediate and final scores answer different questions; select one moment.",
    "step": "Scores after different numbers of edits make a curve, not a mean; select one step.",
}


def refuse_mixed(measures: Iterable[Measure]) -> None:
    """Raise ``BadInput`` when averaging these would mix protocols, scorers, metrics or moments.

    Flagged measures are refused as well: they are shown, never averaged.
    """
    found = list(measures)
    for fact in SAME:
        values = sorted({str(getattr(m, fact)) for m in found})
        if len(values) > 1:
            raise BadInput(
                f"these numbers differ in {fact} and have no common mean: {', '.join(values)}",
                _ADVICE.get(fact, "Show them in separate columns."),
            )
    for m in found:
        if m.flags:
            raise BadInput(
                f"{m.method} on {m.benchmark} ({m.aspect}) is flagged {', '.join(m.flags)} and is not averaged",
                "Leave it out of the mean and show it beside.",
            )
