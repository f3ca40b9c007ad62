"""A sweep of steering settings in a folder, the setting that it recommends, and whether that holds.

``sweep.json`` says what is swept, ``pairs.jsonl`` holds a line per finished pair, ``choice.json`` what
was chosen. A sweep that was cut off goes on with the pairs that are missing.

Layer and strength are chosen on one half of the pairs and judged on the other; no prompt is in both. They
are compared with random directions added with the same length at the same place and tokens.
Shape letters: L layers, S columns, N pairs, C controls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter

from truing.errors import BadInput, EditFailed
from truing.interventions.intervention import ActivationOp
from truing.methods.method import Method
from truing.methods.neutral import NEUTRAL
from truing.methods.steering.sweep import (
    STRENGTHS,
    Floats,
    Grid,
    Pair,
    Read,
    Sweep,
    grid,
    read_pairs,
    side_effects,
    sweep,
    together,
)
from truing.methods.steering.vectors import VectorConfig
from truing.models.handle import Model
from truing.runs import lines
from truing.runs.keys import digest
from truing.scoring.observations import Observation
from truing.scoring.paired import compare
from truing.scoring.steering import Shift, Sides, Steering, steering
from truing.seeds import Seeds
from truing.types import Case, Comparison, EditRequest


@dataclass(frozen=True, slots=True)
class Task:
    """What is swept. ``layers``: all unless given."""

    method: Method
    config: VectorConfig
    requests: tuple[EditRequest, ...]
    pairs: tuple[Pair, ...]
    layers: tuple[int, ...] | None = None
    strengths: tuple[float, ...] = STRENGTHS
    neutral: tuple[str, ...] = NEUTRAL


@dataclass(frozen=True, slots=True)
class Control:
    """A random direction: its mean margin change on the held-out pairs, and its side effect (nats)."""

    margin: float
    nats: float


@dataclass(frozen=True)
class Choice:
    """The setting with the largest mean margin change on the ``searched`` pairs among those within
    ``max_kl`` nats of side effect, and what it did on the ``held_out`` ones.

    ``chosen_by``: that change. ``beaten``: controls with a smaller mean margin change on held-out pairs;
    ``against``: the paired comparison with the strongest of them.
    """

    layer: int
    strength: str
    max_kl: float
    nats: float
    searched: tuple[str, ...]
    held_out: tuple[str, ...]
    chosen_by: float
    found: Steering
    controls: tuple[Control, ...]
    beaten: int
    against: Comparison | None


def pairs_of(cases: Sequence[Case]) -> tuple[tuple[EditRequest, ...], tuple[Pair, ...]]:
    """What a vector is made from, and the probes with two choices that it is swept on. Raises
    ``BadInput`` where there is none of either."""
    requests = tuple(request for case in cases for request in case.requests)
    pairs = tuple(
        Pair(f"{case.id}/{probe.id}", probe.prompt, *probe.choices, probe.group or case.id)
        for case in cases
        for probe in case.probes
        if len(probe.choices) == 2
    )
    if not requests or not pairs:
        raise BadInput(
            f"there are {len(requests)} pairs to make a vector from and {len(pairs)} to sweep on",
            "Use a benchmark of contrast pairs that has both parts.",
        )
    return requests, pairs


def run(
    model: Model, task: Task, folder: Path, progress: Callable[[int], None] | None = None
) -> tuple[Grid, Sweep]:
    """The sweep of ``task``; ``progress`` gets numbers of finished pairs. Raises ``BadInput`` where
    ``folder`` holds another sweep."""
    chosen = grid(
        model,
        task.method,
        task.requests,
        config=task.config,
        layers=task.layers,
        strengths=task.strengths,
    )
    nats_L_S = _begun(model, task, chosen, folder)
    adapter = TypeAdapter(_Line)
    path = folder / "pairs.jsonl"
    done = [line.read() for line in lines.read(path, adapter)] if path.exists() else []
    left = {pair.id: pair for pair in task.pairs}
    for read in done:
        left.pop(read.pair)
    if progress is not None:
        progress(len(done))
    writer = lines.Appender(path)
    try:
        for read in read_pairs(model, chosen, tuple(left.values())):
            writer.append([adapter.dump_json(_Line.of(read)).decode()])
            done.append(read)
            if progress is not None:
                progress(1)
    finally:
        writer.close()
    return chosen, together(chosen, task.pairs, iter(done), nats_L_S)


def choose(swept: Sweep, max_kl: float, seeds: Seeds) -> tuple[int, int, tuple[int, ...]]:
    """Row and column of the best setting on one half of the pairs, and the numbers of the others.

    Raises ``BadInput`` where all pairs have one prompt and ``EditFailed`` where no setting keeps the
    budget.
    """
    held_out = _held_out(swept.pairs, seeds)
    searched = [number for number in range(len(swept.pairs)) if number not in held_out]
    mean_L_S = _moved(swept)[..., searched].mean(-1)
    within_L_S = np.where(swept.nats_L_S <= max_kl, mean_L_S, -np.inf)
    if not np.isfinite(within_L_S).any():
        raise EditFailed(
            f"every setting changes neutral text by more than {max_kl:g} nats per token "
            f"(the least is {swept.nats_L_S.min():.3g})",
            "Sweep smaller strengths, or allow more with --max-kl.",
        )
    row, column = np.unravel_index(int(within_L_S.argmax()), within_L_S.shape)
    return int(row), int(column), held_out


def judged(
    model: Model,
    chosen: Grid,
    swept: Sweep,
    max_kl: float,
    *,
    controls: int = 10,
    neutral: Sequence[str] = NEUTRAL,
    seeds: Seeds,
) -> Choice:
    """:func:`choose`, and its setting on the held-out pairs beside ``controls`` random directions."""
    row, column, held_out = choose(swept, max_kl, seeds)
    here = list(held_out)
    pairs = tuple(swept.pairs[number] for number in here)
    clusters = tuple(pair.cluster for pair in pairs)
    base, now = swept.base_N_2[here], swept.now_L_S_N_2[row, column][here]
    shift = Shift(Sides(base[:, 0], base[:, 1]), Sides(now[:, 0], now[:, 1]), clusters)
    moved_N = _moved(swept)[row, column]
    ours_N = moved_N[here]
    found: tuple[Control, ...] = ()
    against: Comparison | None = None
    theirs_C_N: Floats = np.empty((0, len(pairs)))
    if controls:
        others = random_like(chosen, row, column, controls, seeds)
        beside = sweep(model, others, pairs, neutral=neutral)
        theirs_C_N = _moved(beside)[0]
        found = tuple(
            Control(float(margin), float(nats))
            for margin, nats in zip(theirs_C_N.mean(1), beside.nats_L_S[0], strict=True)
        )
        best_N = theirs_C_N[int(theirs_C_N.mean(1).argmax())]
        against = compare(
            _observed(pairs, ours_N),
            _observed(pairs, best_N),
            against="the strongest random direction",
            seeds=seeds.child("controls"),
            bounded=False,
        )
    return Choice(
        layer=swept.layers[row],
        strength=swept.columns[column],
        max_kl=max_kl,
        nats=float(swept.nats_L_S[row, column]),
        searched=tuple(p.id for n, p in enumerate(swept.pairs) if n not in held_out),
        held_out=tuple(pair.id for pair in pairs),
        chosen_by=float(np.delete(moved_N, here).mean()),
        found=steering(shift, seeds=seeds.child("held-out")),
        controls=found,
        beaten=int((theirs_C_N.mean(1) < ours_N.mean()).sum()),
        against=against,
    )


def random_like(chosen: Grid, row: int, column: int, n: int, seeds: Seeds) -> Grid:
    """``n`` random directions, evenly over the sphere, as long as the vector of a setting and in its
    place."""
    op = chosen.ops[row][column]
    names = tuple(f"random {number + 1}" for number in range(n))
    ops = tuple(_turned(op, seeds.child("random-direction").child(name).number) for name in names)
    return Grid((chosen.layers[row],), names, (ops,))


def _turned(op: ActivationOp, seed: int) -> ActivationOp:
    draw = torch.Generator().manual_seed(seed)
    axis_D = torch.randn(op.vector.shape, generator=draw, dtype=torch.float64)
    vector_D = axis_D * (op.vector.double().norm() / axis_D.norm())
    return replace(op, vector=vector_D.to(op.vector.dtype))


def _moved(swept: Sweep) -> Floats:
    """Margin changes ``(L, S, N)``, nats per token."""
    moved: Floats = swept.promotion_L_S_N + swept.suppression_L_S_N
    return moved


def _held_out(pairs: Sequence[Pair], seeds: Seeds) -> tuple[int, ...]:
    """Numbers of the pairs of every second prompt, in a seeded order of prompts."""
    drawn = seeds.child("half")
    prompts = {str(pair.prompt): drawn.child(str(pair.prompt)).number for pair in pairs}
    if len(prompts) < 2:
        raise BadInput(
            "all pairs have one prompt, so that they have no halves", "Sweep pairs of more prompts."
        )
    apart = set(sorted(prompts, key=lambda prompt: prompts[prompt])[1::2])
    return tuple(number for number, pair in enumerate(pairs) if str(pair.prompt) in apart)


def _observed(pairs: Sequence[Pair], values_N: Floats) -> list[Observation]:
    return [
        Observation((pair.id, ""), pair.cluster, float(value), "correct")
        for pair, value in zip(pairs, values_N, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Line:
    """A finished pair, as stored."""

    pair: str
    base: tuple[float, float]
    now: list[list[tuple[float, float]]]

    @classmethod
    def of(cls, read: Read) -> _Line:
        wanted, unwanted = read.base_2.tolist()
        now = [[(w, u) for w, u in row] for row in read.now_L_S_2.tolist()]
        return cls(read.pair, (wanted, unwanted), now)

    def read(self) -> Read:
        return Read(self.pair, np.array(self.base), np.array(self.now))


def _begun(model: Model, task: Task, chosen: Grid, folder: Path) -> Floats:
    """The side effects; from ``folder`` where this sweep was begun there."""
    facts = {
        "model": model.name,
        "weights": model.fingerprint,
        "tokenizer": model.tokenizer_fingerprint,
        "method": task.method.name,
        "config": task.config.facts(),
        "layers": list(chosen.layers),
        "strengths": list(task.strengths),
        "requests": [asdict(request) for request in task.requests],
        "pairs": [asdict(pair) for pair in task.pairs],
        "neutral": list(task.neutral),
    }
    path = folder / "sweep.json"
    if path.exists():
        known = lines.read_json(path)
        if known.get("id") != digest(facts):
            raise BadInput(f"{folder} holds another sweep", "Choose another folder with --out.")
        return np.array(known["nats"])
    folder.mkdir(parents=True, exist_ok=True)
    nats_L_S = side_effects(model, chosen, task.neutral)
    record = {**facts, "id": digest(facts), "nats": nats_L_S.tolist()}
    lines.write_atomically(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return nats_L_S
