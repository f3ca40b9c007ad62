"""The definitions behind the numbers of one page."""

from __future__ import annotations

from collections.abc import Iterable

from truing.scoring.metrics import GLOSSARY, Metric
from truing.types import Measure


def entries(measures: Iterable[Measure]) -> list[Metric]:
    """The glossary's entry for every metric that occurs, in the glossary's order."""
    shown = {m.metric for m in measures}
    return [metric for name, metric in GLOSSARY.items() if name in shown]


def undefined(measures: Iterable[Measure]) -> list[str]:
    """Metrics that occur and that the glossary does not define (from plugins)."""
    return sorted({m.metric for m in measures} - set(GLOSSARY))
