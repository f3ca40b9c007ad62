"""Published tables: their numbers, and the plan that measures the same on another model."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from truing.errors import BadInput, UnknownName
from truing.protocols.protocol import parse as parse_protocol
from truing.runs import plan as plans
from truing.runs.plan import Plan
from truing.types import Measure

ASPECTS = ("efficacy", "generalization")


class PublishedTable(BaseModel):
    """Numbers of one published table: model -> method -> dataset -> values.

    Values run over ``ASPECTS``, and for each over ``protocols``. ``datasets`` names for each
    benchmark the files that hold its records, best known first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paper: str
    judge: str
    regime: str
    protocols: tuple[str, ...]
    datasets: dict[str, tuple[str, ...]]
    numbers: dict[str, dict[str, dict[str, tuple[float, ...]]]]


@dataclass(frozen=True, slots=True)
class Beside:
    """One published number and ours. ``published`` is ``None`` where the paper has no such model."""

    benchmark: str
    method: str
    aspect: str
    protocol: str
    published: float | None
    ours: Measure | None


@cache
def tables() -> Mapping[str, PublishedTable]:
    """All published tables by name."""
    text = resources.files("truing.runs").joinpath("published.toml").read_text("utf-8")
    return {
        name: PublishedTable.model_validate(table) for name, table in tomllib.loads(text).items()
    }


def table(name: str) -> PublishedTable:
    """One published table. Raises ``UnknownName``."""
    if name not in tables():
        raise UnknownName("published table", name, tables())
    return tables()[name]


def plan_for(
    wanted: PublishedTable,
    model: str,
    data: Path,
    methods: Sequence[str],
    limit: int | None,
    seed: int,
) -> Plan:
    """The plan that measures the table's cells on ``model`` with the files found in ``data``.

    Raises ``BadInput`` when none of the table's data is there.
    """
    benchmarks = []
    for name, files in wanted.datasets.items():
        found = next((path for file in files for path in sorted(data.rglob(file))), None)
        if found is not None:
            benchmarks.append({"name": name, "data": str(found.resolve())})
    if not benchmarks:
        names = ", ".join(f for files in wanted.datasets.values() for f in files)
        raise BadInput(f"{data} holds none of the table's data ({names})", "See `truing data ls`.")
    raw: dict[str, Any] = {
        "models": [model],
        "methods": list(methods),
        "benchmarks": benchmarks,
        "protocols": list(wanted.protocols),
        "regimes": [wanted.regime],
        "seeds": [seed],
        "controls": 0,
        "skip_invalid": True,
        "limit": limit,
    }
    return plans.parse({k: v for k, v in raw.items() if v is not None}, source="published table")


def beside(wanted: PublishedTable, like: str, measures: Sequence[Measure]) -> Iterator[Beside]:
    """Every number of the table for the paper's model ``like`` next to ours, and ours alone where
    the paper has none."""
    protocols = [parse_protocol(p) for p in wanted.protocols]
    ours = {
        (m.benchmark, m.method, m.aspect, m.protocol): m
        for m in measures
        if not m.compatibility and m.judge in {p.scorer for p in protocols}
    }
    published = wanted.numbers.get(like, {})
    methods = dict.fromkeys([*published, *(m.method for m in measures if m.method != "none")])
    for benchmark in wanted.datasets:
        for method in methods:
            values = published.get(method, {}).get(benchmark)
            for i, aspect in enumerate(ASPECTS):
                for j, protocol in enumerate(protocols):
                    mine = ours.get((benchmark, method, aspect, protocol.id))
                    theirs = None if values is None else values[i * len(protocols) + j]
                    if mine is not None or theirs is not None:
                        yield Beside(benchmark, method, aspect, protocol.name, theirs, mine)
