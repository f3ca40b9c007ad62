"""The numbers of Pres et al. 2024 (arXiv 2410.17245) recomputed from the scores behind them.

The paper's Table 4 and the notebook of its working repository rescale the same scores in two ways,
which agree with the paper and with the notebook respectively, and not with each other. Two files are
read: ``reference_likelihoods.json`` (for each run the scores of all texts under the base and the
intervened model, the length to which each half was padded, the tokens of every continuation) and
``reference_metrics.json`` (the published numbers).

A stored score is the sum of a continuation's log-probabilities divided by one less than the padded
length of its half, so that the two halves have different units. ``per token`` undoes this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from truing.errors import BadInput, UnknownName
from truing.scoring.intervals import Floats
from truing.scoring.steering import (
    Hardest,
    Shift,
    Sides,
    Steering,
    pres_max,
    pres_table4,
    steering,
)
from truing.seeds import Seeds

PAPER = (
    "Pres et al. 2024, Towards Reliable Evaluation of Behavior Steering Interventions in LLMs "
    "(arXiv 2410.17245)"
)
SOURCE = "https://github.com/Itam67/steer_wrk (results/steeredness)"
SWAPPED = (
    "published with its sides swapped: the numbers come out only if the {positive} texts are called "
    "positive, although the vector is for the {other} ones. Inferred from the scores; the authors "
    "have not said so. The run is shown both ways"
)
LIKELIHOODS, METRICS = "reference_likelihoods.json", "reference_metrics.json"
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PresTable:
    """One published set of numbers: how it was computed, and to how many places it was printed."""

    name: str
    normalise: Callable[[Shift], tuple[Hardest, ...]]
    field: Literal["paper_table4", "notebook_output"]
    places: int


TABLES: Mapping[str, PresTable] = MappingProxyType(
    {
        t.name: t
        for t in (
            PresTable("pres2024:table4", pres_table4, "paper_table4", 2),
            PresTable("pres2024:notebook", pres_max, "notebook_output", 4),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """One run with one side called positive.

    ``published`` holds (promote, suppress) per share of hardest texts, ``()`` where nothing was
    published for these sides; ``ours`` the same numbers from the scores, to all shares.
    ``agreeing`` counts published numbers that ours round to. ``per_token`` are the measures of
    :mod:`truing.scoring.steering`. ``note`` says what is wrong with what was published.
    """

    run: str
    dataset: str
    positive: str
    published: tuple[Pair, ...]
    ours: tuple[Hardest, ...]
    agreeing: int
    per_token: Steering
    note: str = ""


class _Dataset(BaseModel):
    half_labels: tuple[str, str]
    padded_len: tuple[int, int]
    n_cont_tokens: tuple[list[int], list[int]]


class _Run(BaseModel):
    id: str
    dataset: str
    target_half: Annotated[int, Field(ge=0, le=1)]
    control: list[float]
    intervened: list[float]


class _Likelihoods(BaseModel):
    datasets: dict[str, _Dataset]
    runs: list[_Run]


class _Published(BaseModel):
    id: str
    paper_table4: tuple[Pair, ...] | None = None
    notebook_output: tuple[Pair, ...] | None = None
    published_with_swapped_labels: bool = False


class _Metrics(BaseModel):
    runs: list[_Published]


Shape = TypeVar("Shape", bound=BaseModel)


def recompute(name: str, data: Path) -> list[Recomputed]:
    """Every run of the table ``name``, from the files found in ``data``.

    A run that was published with its sides swapped is there twice: as published, then with its sides
    right. Raises ``UnknownName``, and ``BadInput`` where a file is absent or has another shape.
    """
    if name not in TABLES:
        raise UnknownName("table of Pres et al. 2024", name, TABLES)
    table = TABLES[name]
    stored = _read(_Likelihoods, data, LIKELIHOODS)
    published = {p.id: p for p in _read(_Metrics, data, METRICS).runs}
    found: list[Recomputed] = []
    for run in stored.runs:
        told = published.get(run.id)
        numbers = None if told is None else getattr(told, table.field)
        if told is None or numbers is None:
            continue
        dataset = stored.datasets[run.dataset]
        right = run.target_half
        if told.published_with_swapped_labels:
            labels = dataset.half_labels
            note = SWAPPED.format(positive=labels[1 - right], other=labels[right])
            found.append(_recomputed(table, run, dataset, 1 - right, numbers, note))
            found.append(_recomputed(table, run, dataset, right, ()))
        else:
            found.append(_recomputed(table, run, dataset, right, numbers))
    return found


def _recomputed(
    table: PresTable,
    run: _Run,
    dataset: _Dataset,
    positive: int,
    published: tuple[Pair, ...],
    note: str = "",
) -> Recomputed:
    stored = _shift(run, positive, (np.ones(1), np.ones(1)))
    ours = table.normalise(stored)
    per_token = tuple(
        (length - 1) / np.array(tokens, dtype=np.float64)
        for length, tokens in zip(dataset.padded_len, dataset.n_cont_tokens, strict=True)
    )
    seeds = Seeds(0, ("pres2024", run.id, str(positive)))
    return Recomputed(
        run.id,
        run.dataset,
        dataset.half_labels[positive],
        published,
        ours,
        sum(
            _rounds_to(mine, theirs, table.places)
            for hardest, pair in zip(ours, published, strict=False)
            for mine, theirs in zip((hardest.promote, hardest.suppress), pair, strict=True)
        ),
        steering(_shift(run, positive, (per_token[0], per_token[1])), seeds=seeds),
        note,
    )


def _shift(run: _Run, positive: int, factors: tuple[Floats, Floats]) -> Shift:
    """The run's scores, each half times its factors, float64 ``(N,)`` or ``(1,)``."""

    def sides(scores: list[float]) -> Sides:
        halves_2_N = np.array(scores, dtype=np.float64).reshape(2, -1)
        scaled = [half_N * factor for half_N, factor in zip(halves_2_N, factors, strict=True)]
        return Sides(scaled[positive], scaled[1 - positive])

    control, now = sides(run.control), sides(run.intervened)
    return Shift(control, now, tuple(str(i) for i in range(len(control.wanted_N))))


def _rounds_to(mine: float, theirs: float, places: int) -> bool:
    """Whether ``mine``, known to four places, could have been printed as ``theirs``, which has
    ``places`` decimals or the more that it shows."""
    shown = max(places, len(f"{theirs:.4f}".rstrip("0").partition(".")[2]))
    return abs(mine - theirs) <= 0.5 * 10.0**-shown + 0.5e-4 + 1e-9


def _read(shape: type[Shape], data: Path, name: str) -> Shape:
    path = next(iter(sorted(data.rglob(name))), None)
    if path is None:
        raise BadInput(f"{data} does not hold {name}", f"It is derived from {SOURCE}.")
    try:
        return shape.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: {where}: {first['msg']}", "Pass the file as it is.") from error
