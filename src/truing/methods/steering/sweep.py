"""Every layer and every strength of a steering vector, on contrast pairs, at the price of a few passes.

Everything that a vector at one layer and strength has in common with the same prompts at another is
computed once (:mod:`truing.methods.kernels.shared`); the numbers are those of an ordinary pass under one
intervention each. Shape letters: L layers, S columns (strengths), N pairs, D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from truing.errors import BadInput, NotPossible
from truing.interventions.intervention import ActivationOp, Intervention
from truing.methods.kernels.shared import Shared
from truing.methods.kernels.upward import Unsuitable
from truing.methods.method import Method
from truing.methods.neutral import NEUTRAL
from truing.methods.steering.vectors import VectorConfig
from truing.models.asks import ScoreAsk
from truing.models.engine import LOGIT_FLOATS, Job, check
from truing.models.handle import Model
from truing.models.passes import CHUNK
from truing.models.positions import Positions
from truing.models.spans import Span
from truing.types import EditRequest, Prompt

STRENGTHS = (-1.0, -0.5, -0.25, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
"""Shares of a layer's typical activation length."""
KEPT = 2**27
"""At most this many numbers of activations are kept at once, pairs permitting."""
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and two continuations. ``cluster`` names the independent unit that it belongs to."""

    id: str
    prompt: Prompt
    wanted: str
    unwanted: str
    cluster: str


@dataclass(frozen=True)
class Grid:
    """``ops[l][s]``: what column ``s`` does at ``layers[l]``, and nothing beside it."""

    layers: tuple[int, ...]
    columns: tuple[str, ...]
    ops: tuple[tuple[ActivationOp, ...], ...]

    @property
    def reaches_prompts(self) -> bool:
        """Whether it must be taken that ops act before the last token of a prompt."""
        return any(_reaches(op.positions) for row in self.ops for op in row)


@dataclass(frozen=True)
class Read:
    """Log-probabilities per token (nats) of one pair's wanted and unwanted side: under the base model
    ``(2,)`` and under every setting ``(L, S, 2)``."""

    pair: str
    base_2: Floats
    now_L_S_2: Floats


@dataclass(frozen=True)
class Sweep:
    """What every setting did. ``nats_L_S``: KL(base || steered) per token of neutral text."""

    layers: tuple[int, ...]
    columns: tuple[str, ...]
    pairs: tuple[Pair, ...]
    base_N_2: Floats
    now_L_S_N_2: Floats
    nats_L_S: Floats

    @property
    def promotion_L_S_N(self) -> Floats:
        """How much likelier the wanted side became, nats per token."""
        return self.now_L_S_N_2[..., 0] - self.base_N_2[:, 0]

    @property
    def suppression_L_S_N(self) -> Floats:
        """How much less likely the unwanted side became, nats per token."""
        return self.base_N_2[:, 1] - self.now_L_S_N_2[..., 1]

    @property
    def margin_L_S_N(self) -> Floats:
        """Wanted less unwanted side, nats per token."""
        margin: Floats = self.now_L_S_N_2[..., 0] - self.now_L_S_N_2[..., 1]
        return margin


def grid(
    model: Model,
    method: Method,
    requests: Sequence[EditRequest],
    *,
    config: VectorConfig,
    layers: Sequence[int] | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> Grid:
    """One vector of ``method`` per layer (all unless given) times every strength, in ``config``'s unit.

    Raises ``BadInput`` without strengths and ``NotPossible`` for a method whose result is not one
    graded activation op per layer.
    """
    wanted = tuple(layers if layers is not None else range(model.arch.n_layers))
    if not strengths or not all(math.isfinite(s) for s in strengths):
        raise BadInput(
            "there are no strengths to try", "Give finite numbers, for example 0.25,0.5."
        )
    if config.op == "replace-along":
        raise NotPossible(
            "op 'replace-along' sets a value, of which there is no fraction", "Use 'add'."
        )
    one = config.model_copy(update={"layers": wanted, "strength": 1.0, "max_kl": None})
    made = method.make(model, requests, one)
    if len(made.ops) != len(made.parts) or tuple(op.layer for op in made.ops) != wanted:
        raise NotPossible(
            f"'{method.name}' does not make one vector per layer",
            "Sweep caa, pca, probe, trained_vector or another method of that kind.",
        )
    return Grid(
        wanted,
        tuple(f"{strength:g}" for strength in strengths),
        tuple(tuple(replace(op, scale=op.scale * s) for s in strengths) for op in made.ops),
    )


def sweep(
    model: Model, chosen: Grid, pairs: Sequence[Pair], *, neutral: Sequence[str] = NEUTRAL
) -> Sweep:
    """:func:`read_pairs` and :func:`side_effects` together."""
    return together(
        chosen, pairs, read_pairs(model, chosen, pairs), side_effects(model, chosen, neutral)
    )


def together(chosen: Grid, pairs: Sequence[Pair], reads: Iterator[Read], nats_L_S: Floats) -> Sweep:
    """What was read, in the order of ``pairs``."""
    found = {read.pair: read for read in reads}
    rows = [found[pair.id] for pair in pairs]
    return Sweep(
        chosen.layers,
        chosen.columns,
        tuple(pairs),
        np.stack([row.base_2 for row in rows]),
        np.stack([row.now_L_S_2 for row in rows], axis=2),
        nats_L_S,
    )


def read_pairs(model: Model, chosen: Grid, pairs: Sequence[Pair]) -> Iterator[Read]:
    """Every pair under every setting, in an order of its own.

    Before the first, one pair is asked in the ordinary way too. Raises ``NotPossible`` for a model on
    which the two ways do not agree, or with other interventions in force.
    """
    _alone(model)
    spans = [[_span(model, pair, side) for side in (pair.wanted, pair.unwanted)] for pair in pairs]
    trusted = False
    for lot in _lots(model, spans):
        rows = [span for number in lot for span in spans[number]]
        labels = torch.tensor([label for span in rows for label in span.continuation])
        counts = [len(span.continuation) for span in rows]
        shared = _shared(model, [Span(s.ids[:-1], s.start) for s in rows], chosen)
        look = partial(_per_token, labels, counts)
        base_R = shared.read(model.arch.n_layers, [None], look)[0]
        now_L_S_R = np.stack([np.stack(shared.read(*_under(each), look)) for each in chosen.ops])
        if not trusted:
            _check(model, chosen, pairs[lot[0]], now_L_S_R[..., :2])
            trusted = True
        for place, number in enumerate(lot):
            here = slice(2 * place, 2 * place + 2)
            yield Read(pairs[number].id, base_R[here], now_L_S_R[..., here])


def side_effects(model: Model, chosen: Grid, neutral: Sequence[str] = NEUTRAL) -> Floats:
    """Nats per token of neutral text ``(L, S)``, as :func:`truing.methods.steering.effect.on_neutral`."""
    _alone(model)
    opening = max(len(model.speller.opening), 1)
    spans = [[Span(tuple(model.speller.prompt_ids(text)), opening)] for text in neutral]
    total_L_S, n = np.zeros((len(chosen.layers), len(chosen.columns))), 0
    for lot in _lots(model, spans):
        shared = _shared(model, [spans[number][0] for number in lot], chosen)
        base_N_V = shared.read(model.arch.n_layers, [None], _expected)[0]
        look = partial(_divergence, base_N_V)
        total_L_S += [shared.read(*_under(each), look) for each in chosen.ops]
        n += len(base_N_V)
    return total_L_S / n


def _reaches(positions: Positions) -> bool:
    if positions.kind == "generation":
        return positions.start < -1
    return positions.kind != "last_prompt" and (positions.kind, positions.start) != ("window", -1)


def _alone(model: Model) -> None:
    if model.in_force or model.hooked:
        raise NotPossible(
            "other interventions or hooks are in force",
            "Sweep the model as it is: outside `using`.",
        )


def _span(model: Model, pair: Pair, side: str) -> Span:
    span = model.speller.join(pair.prompt, side)
    check(model, Job(span, None))
    return span


def _shared(model: Model, spans: Sequence[Span], chosen: Grid) -> Shared:
    try:
        return Shared(model, spans, reach_prompts=chosen.reaches_prompts)
    except Unsuitable:
        raise _not_possible(model, "its cache cannot be handed from pass to pass") from None


def _under(ops: Sequence[ActivationOp]) -> tuple[int, list[Intervention]]:
    """The first block that must run under ``ops`` of one layer, and an intervention of each."""
    after = ops[0].site == "resid_post"
    return ops[0].layer + after, [Intervention((op,)) for op in ops]


def _per_token(labels_N: Tensor, counts: Sequence[int], logits_N_V: Tensor) -> Floats:
    """Mean log-probability of every row's labels, float64 ``(R,)``."""
    picked: list[Tensor] = []
    for logits, labels in zip(
        torch.split(logits_N_V, CHUNK), torch.split(labels_N, CHUNK), strict=True
    ):
        wide = logits.float()
        of = labels.to(wide.device)[:, None]
        picked.append((wide.gather(1, of)[:, 0] - wide.logsumexp(1)).double().cpu())
    rows = torch.split(torch.cat(picked), list(counts))
    return np.array([float(row.mean()) for row in rows])


def _expected(logits_N_V: Tensor) -> Tensor:
    return logits_N_V.float().log_softmax(1)


def _divergence(base_N_V: Tensor, logits_N_V: Tensor) -> float:
    """KL(base || changed), summed over the reads."""
    each_N_V = base_N_V.exp() * (base_N_V - _expected(logits_N_V))
    return float(each_N_V.where(base_N_V > -torch.inf, 0.0).sum())


def _lots(model: Model, items: Sequence[Sequence[Span]]) -> Iterator[list[int]]:
    """Items whose rows share a pass, the longest first: within the token budget, ``LOGIT_FLOATS`` and
    ``KEPT``."""
    vocabulary = int(model.hf.config.get_text_config().vocab_size)
    kept = KEPT // (model.arch.n_layers * model.arch.d_model)
    most = min(model.budget.tokens, LOGIT_FLOATS // vocabulary, kept)
    widths = [max(len(s.ids) - s.start + 1 for s in item) for item in items]
    lot: list[int] = []
    rows = width = 0
    for number in sorted(range(len(items)), key=lambda i: -widths[i]):
        more = rows + len(items[number])
        if lot and more * max(width, widths[number]) > most:
            yield lot
            lot, more, width = [], len(items[number]), 0
        lot.append(number)
        rows, width = more, max(width, widths[number])
    if lot:
        yield lot


def _check(model: Model, chosen: Grid, pair: Pair, found_L_S_2: Floats) -> None:
    """Ask one pair in the ordinary way, in the last column of every layer."""
    asks = [
        ScoreAsk(pair.prompt, side, Intervention((ops[-1],)))
        for ops in chosen.ops
        for side in (pair.wanted, pair.unwanted)
    ]
    want = np.array([scored.logprob / len(scored.token_ids) for scored in model.score(asks)])
    off = np.abs(found_L_S_2[:, -1].ravel() - want)
    close = float(torch.finfo(model.hf.dtype).eps ** 0.5) * np.maximum(1, np.abs(want))
    if not bool((off <= close).all()):
        raise _not_possible(model, f"passes cut short are off by {off.max():.2g} nats per token")


def _not_possible(model: Model, why: str) -> NotPossible:
    return NotPossible(
        f"settings of '{model.name}' cannot share passes: {why}",
        "Measure the settings one by one, as methods of a plan.",
    )
