"""KN: find the neurons that hold the old answer and write the new answer's word over it.

Dai et al. 2022, "Knowledge Neurons in Pretrained Transformers". Integrated gradients
(:mod:`truing.methods.kernels.attribution`) say how much each MLP neuron adds to the probability of
the old answer, averaged over its tokens; neurons above ``threshold`` times the best one are kept
(section 3.2, without the sharing over paraphrases). What a kept neuron writes, its column of the
down projection, then loses the embeddings of the old answer's tokens and gets those of the new
answer's (section 4.4): column += add * sum E[new] - remove * sum E[old].

The published code differs: tokens of the old answer after the first are attributed at the first
one's position for GPT models (here each at its own, after those before it); targets are tokenised
with a beginning-of-text token and without their space; the attribution follows a ``ground_truth``
that defaults to "<|endoftext|>" (here: ``target_old``, else what the model itself says); with one
step it reads the gradient at zero activation. It ignores that a neuron may be negative, as those
of gated MLPs often are, and then pushes the new answer away (``signed=False`` does as it does), and
it reads neurons before the non-linearity (``site="before"``), where the paper means what the down
projection reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.intervention import Intervention, LowRank, Origin, WeightDelta
from truing.methods.kernels.attribution import Site, attributions
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import given, look_up
from truing.models.asks import Decoding, GenerateAsk
from truing.models.handle import Model
from truing.types import EditRequest


class KnConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or the published default."""

    layers: tuple[int, ...] | None = Field(
        None, min_length=1, description="layers that are searched; None: all"
    )
    steps: int | None = Field(None, ge=1, description="points of the integral")
    threshold: float | None = Field(
        None, gt=0, lt=1, description="smallest share of the best neuron's attribution"
    )
    add: float | None = Field(
        None, ge=0, description="weight of the new tokens; None: 2 for one token, 1 for several"
    )
    remove: float | None = Field(
        None, ge=0, description="weight of the old tokens; None: 2 for one token, 1 for several"
    )
    embeddings: Literal["input", "output"] | None = Field(
        None, description="a token's vector: its input embedding (published) or the head's row"
    )
    site: Site = Field(
        "hidden", description="neurons: what down reads, or before the non-linearity"
    )
    signed: bool = Field(True, description="turn the change round for neurons that are negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    steps: int = 20
    threshold: float = 0.2
    add: float | None = None
    remove: float | None = None
    embeddings: Literal["input", "output"] = "input"


TABLE = {
    "pocket": Tuned(threshold=0.3, add=1.0, remove=1.0),
    "gpt2-xl": Tuned(),
    "gpt-j-6b": Tuned(threshold=0.1),
}


def guess(n_layers: int) -> Tuned:
    """The published defaults, with as many steps as for GPT: one step is no integral."""
    return Tuned()


@dataclass(frozen=True)
class _Plan:
    """Everything that is the same for all requests. ``record`` goes into the origin."""

    layers: tuple[int, ...]
    settings: Tuned
    config: KnConfig
    record: Mapping[str, Any]


def _plan(model: Model, config: KnConfig) -> _Plan:
    tuned, source = look_up(model, TABLE, guess)
    layers = given(config.layers, tuple(range(model.arch.n_layers)))
    if list(layers) != sorted(set(layers)):
        raise BadInput(f"layers are {list(layers)}", "Give each layer once, ascending.")
    for layer in layers:
        model.arch.down(layer)
    settings = Tuned(
        steps=given(config.steps, tuned.steps),
        threshold=given(config.threshold, tuned.threshold),
        add=tuned.add if config.add is None else config.add,
        remove=tuned.remove if config.remove is None else config.remove,
        embeddings=given(config.embeddings, tuned.embeddings),
    )
    record = {
        **config.model_dump(mode="json"),
        "layers": list(layers),
        "steps": settings.steps,
        "threshold": settings.threshold,
        "add": settings.add,
        "remove": settings.remove,
        "embeddings": settings.embeddings,
        "settings": source,
    }
    return _Plan(layers, settings, config, record)


def old_answers(model: Model, requests: Sequence[EditRequest]) -> list[Line]:
    """Lines that read the answer to be overwritten: ``target_old``, else what the model as it
    stands says, as many tokens as the new answer has."""
    asks = [
        GenerateAsk(
            request.prompt,
            Decoding(
                max_new_tokens=len(
                    model.speller.join(request.prompt, request.target_new).continuation
                )
            ),
        )
        for request in requests
        if not request.target_old
    ]
    said = iter(model.generate(asks) if asks else [])
    lines = []
    for request in requests:
        if request.target_old:
            asked = replace(request, target_new=request.target_old.strip())
            lines.append(answer_line(model.speller, asked))
            continue
        ids = next(said).token_ids
        if not ids:
            raise EditFailed(
                f"'{model.name}' says nothing after the prompt of request '{request.id}'",
                "Give target_old, the answer to be overwritten.",
            )
        before = tuple(model.speller.prompt_ids(request.prompt))
        reads = tuple(range(len(before) - 1, len(before) + len(ids) - 1))
        lines.append(Line((*before, *ids[:-1]), 0, reads, tuple(ids)))
    return lines


def per_token(line: Line) -> list[Line]:
    """One line for each label, up to where it is read."""
    return [
        Line(line.ids[: at + 1], at, (at,), (label,))
        for at, label in zip(line.reads, line.labels, strict=True)
    ]


@dataclass(frozen=True)
class Neurons:
    """Of one request: by layer the kept neurons and the sign of each one's activation (N,)."""

    kept: Mapping[int, tuple[Tensor, Tensor]]
    old: tuple[int, ...]


def neurons(model: Model, requests: Sequence[EditRequest], plan: _Plan) -> list[Neurons]:
    """The neurons that hold every request's old answer, on the model as it stands."""
    old = old_answers(model, requests)
    tokens = [per_token(line) for line in old]
    flat = [line for each in tokens for line in each]
    counts = [len(each) for each in tokens]
    places = [Place("mlp_hidden", layer) for layer in plan.layers]
    acts = capture(model, flat, places)
    scores = [
        attributions(model, flat, layer, plan.settings.steps, plan.config.site)
        for layer in plan.layers
    ]
    found = []
    per_request = zip(*(torch.split(each, counts) for each in scores), strict=True)
    per_acts = zip(*(torch.split(acts[place], counts) for place in places), strict=True)
    for request, line, scored, seen in zip(requests, old, per_request, per_acts, strict=True):
        mean_L_F = [each.mean(0) for each in scored]
        best = max(float(each.max()) for each in mean_L_F)
        if not best > 0:
            raise EditFailed(
                f"no neuron adds to the old answer of request '{request.id}'",
                "Search all layers, or give the target_old that the model believes.",
            )
        kept = {}
        for layer, mean_F, acts_N_F in zip(plan.layers, mean_L_F, seen, strict=True):
            index_N = (mean_F > plan.settings.threshold * best).nonzero()[:, 0]
            if len(index_N):
                kept[layer] = (index_N, acts_N_F.mean(0).cpu()[index_N].sign())
        found.append(Neurons(kept, line.labels))
    return found


def _changes(model: Model, request: EditRequest, found: Neurons, plan: _Plan) -> list[WeightDelta]:
    """The kept columns of the down projections: what is added to them, times one-hot rows."""
    new = model.speller.join(request.prompt, request.target_new).continuation
    value_D = _word(model, new, plan.settings.add, plan)
    value_D = value_D - _word(model, found.old, plan.settings.remove, plan)
    parts = []
    for layer, (index_N, sign_N) in found.kept.items():
        slot = model.arch.down(layer)
        factor_N = sign_N if plan.config.signed else torch.ones_like(sign_N)
        right_F_N = torch.zeros(slot.d_in, len(index_N))
        right_F_N[index_N, torch.arange(len(index_N))] = 1.0
        delta = LowRank(value_D[:, None] * factor_N, right_F_N)
        parts.append(WeightDelta(slot.param, delta, slot.bounds))
    return parts


def _word(model: Model, ids: Sequence[int], weight: float | None, plan: _Plan) -> Tensor:
    """The weighted sum (D,) of the tokens' vectors, float32 on the CPU."""
    arch = model.arch
    table = (arch.embed if plan.settings.embeddings == "input" else arch.head).weight
    assert isinstance(table, Tensor)
    if table.ndim != 2 or table.shape[1] != arch.d_model or not table.is_floating_point():
        raise NotPossible(
            f"the {plan.settings.embeddings} embeddings of '{model.name}' are not {arch.d_model} "
            "wide numbers that an MLP could write",
            "Use embeddings='output' (or 'input'), or another method.",
        )
    share = (2.0 if len(ids) == 1 else 1.0) if weight is None else weight
    return share * table.detach()[list(ids)].float().sum(0).cpu()


def _finished(
    model: Model, request: EditRequest, found: Neurons, plan: _Plan, before: Intervention
) -> Intervention:
    parts = _changes(model, request, found, plan)
    if not all(bool(p.delta.left.isfinite().all()) for p in parts if isinstance(p.delta, LowRank)):
        raise EditFailed(
            f"the update of request '{request.id}' is not finite",
            "Load the model in float32 or bfloat16.",
        )
    kept = {str(layer): len(index_N) for layer, (index_N, _) in found.kept.items()}
    origin = Origin.of(
        model,
        "kn",
        {**plan.record, "neurons": kept},
        [request],
        seeds={"seed": plan.config.seed},
        so_far=before,
    )
    return before.then(parts, origin=origin)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: KnConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """Requests are edited in one after another, each on top of those before it."""
    check(model, requests, "kn", needs_subject=False)
    plan = _plan(model, config)
    total = so_far or Intervention()
    for request in requests:
        with model.applied(total):
            [found] = neurons(model, [request], plan)
        total = _finished(model, request, found, plan, total)
    return total


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: KnConfig
) -> list[Intervention]:
    """Groups of one request share their passes; longer ones are chains of their own."""
    for group in groups:
        check(model, group, "kn", needs_subject=False)
    plan = _plan(model, config)
    singles = [group[0] for group in groups if len(group) == 1]
    found = iter(neurons(model, singles, plan) if singles else [])
    return [
        _finished(model, group[0], next(found), plan, Intervention())
        if len(group) == 1
        else make(model, group, config)
        for group in groups
    ]


KN = Method(
    name="kn",
    make=make,
    config=KnConfig,
    summary="write the new answer over the old one in the neurons that hold it",
    paper="Dai et al. 2022 (KN)",
    acts_on="weights",
    tunes=("threshold", "add"),
    batch=False,
    each=each,
)
