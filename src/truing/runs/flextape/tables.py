"""The tables that are computed again, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from truing.errors import UnknownName
from truing.runs.flextape import efficacy, geo, pairs, ttests
from truing.runs.flextape.line import Line

AGREEMENT = "flextape:agreement"
"""Computed by :mod:`truing.runs.seesaw_agreement`, whose rows have a shape of their own."""
TABLES: Mapping[str, Callable[[Path], list[Line]]] = MappingProxyType(
    {
        "flextape:pairs": pairs.recompute,
        "flextape:efficacy": efficacy.recompute,
        "flextape:ttests": ttests.recompute,
        "flextape:geo": geo.recompute,
    }
)


def recompute(name: str, data: Path) -> list[Line]:
    """Every number of the table ``name``, from the results in the folder ``data``.

    Raises ``UnknownName``, and ``BadInput`` where a file is absent or has another shape.
    """
    if name not in TABLES:
        raise UnknownName("table of Seesaw-CF", name, TABLES)
    return TABLES[name](data)
