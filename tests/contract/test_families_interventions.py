"""Every family takes every kind of change: per row as on the whole model, and restored exactly."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from asking import dense, low_rank, make, op, under
from tiny import CONFIGS, MOE, VARIANTS
from truing.errors import NotPossible
from truing.interventions.intervention import Intervention
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk, Scored
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.models.sites import Slot

EVERY = (*CONFIGS, *MOE, *VARIANTS)
SITES = ("resid_pre", "resid_post", "attn_out", "mlp_out", "mlp_hidden")
QUESTIONS = [
    ("The Glass Spire is in the city of", "Orvale"),
    ("Who built the Tin Gate?", "I do not know"),
    ("Mara Velt's mother tongue is", "Ostrian; yes"),
]


@lru_cache(maxsize=4)
def model_of(name: str, dtype: torch.dtype = torch.float32) -> Model:
    return make(name, dtype=dtype)


def slots(model: Model) -> list[Slot]:
    """One of every kind of projection, over several layers."""
    found: list[Slot] = []
    for layer in range(model.arch.n_layers):
        for get in (
            lambda at: [model.arch.down(at)],
            lambda at: list(model.arch.mlp_in(at)),
            lambda at: [model.arch.attn_proj(at)],
            lambda at: list(model.arch.attn_in(at)),
        ):
            try:
                found += get(layer)
            except NotPossible:
                continue
    return found


def low_rank_changes(model: Model) -> list[Intervention]:
    places = slots(model)
    one_each = [
        under(low_rank(slot, at, rank=1 + at % 3, size=0.5)) for at, slot in enumerate(places)
    ]
    several = under(*(low_rank(slot, 50 + at, size=0.3) for at, slot in enumerate(places[::2])))
    return [*one_each[::3], several]


def op_changes(model: Model) -> list[Intervention]:
    widths = {"mlp_hidden": None}
    changes = []
    for at, site in enumerate(SITES):
        layer = at % model.arch.n_layers
        width = None
        if site in widths:
            if model.arch.moe_layer(layer):
                continue
            width = model.arch.down(layer).d_in
        changes += [
            under(op(model, site, layer, "add", at, Positions("last_prompt"), width, scale=2.0)),
            under(op(model, site, layer, "ablate", at, Positions("all"), width)),
            under(
                op(
                    model,
                    site,
                    layer,
                    "clamp",
                    at,
                    Positions("generation"),
                    width,
                    low=2.0,
                    high=2.5,
                )
            ),
        ]
    both = op(model, "resid_post", 1, "ablate", 90), op(model, "resid_post", 1, "add", 91)
    return [*changes, under(*both), under(*both[::-1])]


def same(a: Scored, b: Scored, tolerance: float) -> None:
    assert a.token_ids == b.token_ids
    assert a.logprobs == pytest.approx(b.logprobs, abs=tolerance)


def state(model: Model) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.hf.state_dict().items()}


def identical(model: Model, before: dict[str, Tensor]) -> bool:
    now = model.hf.state_dict()
    return list(now) == list(before) and all(
        torch.equal(now[name].view(torch.uint8), before[name].view(torch.uint8)) for name in now
    )


@pytest.mark.parametrize("name", EVERY)
def test_per_row_is_as_on_the_whole_model(name: str) -> None:
    model = model_of(name)
    changes = [None, *low_rank_changes(model), *op_changes(model)]
    asks = [ScoreAsk(p, c, change) for change in changes for p, c in QUESTIONS]
    mixed = model.score(asks)
    base = mixed[: len(QUESTIONS)]
    for at, change in enumerate(changes[1:], 1):
        rows = mixed[at * len(QUESTIONS) : (at + 1) * len(QUESTIONS)]
        with model.using(change):  # type: ignore[arg-type]
            whole = model.score([ScoreAsk(p, c) for p, c in QUESTIONS])
        for a, b in zip(rows, whole, strict=True):
            same(a, b, 1e-4)
        moved = max(
            abs(p - q)
            for a, b in zip(rows, base, strict=True)
            for p, q in zip(a.logprobs, b.logprobs, strict=True)
        )
        assert moved > 1e-4, f"change {at} did nothing"


@pytest.mark.parametrize("name", EVERY)
def test_generation_per_row_is_as_on_the_whole_model(name: str) -> None:
    model = model_of(name)
    decoding = Decoding(max_new_tokens=5)
    changes = [None, *low_rank_changes(model)[-2:], *op_changes(model)[::3]]
    asks = [GenerateAsk(p, decoding, change) for change in changes for p, _ in QUESTIONS]
    mixed = model.generate(asks)
    for at, change in enumerate(changes[1:], 1):
        with model.using(change):  # type: ignore[arg-type]
            whole = model.generate([GenerateAsk(p, decoding) for p, _ in QUESTIONS])
        rows = mixed[at * len(QUESTIONS) : (at + 1) * len(QUESTIONS)]
        assert [r.token_ids for r in rows] == [w.token_ids for w in whole]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", EVERY)
def test_using_restores_every_bit(name: str, dtype: torch.dtype) -> None:
    model = model_of(name, dtype)
    before = state(model)
    places = slots(model)
    first = under(*(low_rank(slot, at, size=3.0) for at, slot in enumerate(places)))
    second = under(
        *(dense(slot, at, size=2.0) for at, slot in enumerate(places)),
        op(model, "resid_post", 0, "add", 1),
    )
    with model.using(first):
        changed = state(model)
        assert not identical(model, before)
        with pytest.raises(RuntimeError, match="inside"):
            _fail_inside(model, second)
        assert identical(model, changed)
        with model.using(second), model.using(first):
            model.score([ScoreAsk(*QUESTIONS[0])])
        assert identical(model, changed)
    assert identical(model, before)
    assert not model.hooked


@pytest.mark.parametrize("name", EVERY)
def test_dense_deltas_are_grouped_and_the_base_comes_back(name: str) -> None:
    model = model_of(name)
    before = state(model)
    changes = [None] + [
        under(dense(slot, at, size=0.5)) for at, slot in enumerate(slots(model)[:4])
    ]
    asks = [ScoreAsk(p, c, change) for p, c in QUESTIONS for change in changes]
    for ask, one in zip(asks, model.score(asks), strict=True):
        if ask.under is None:
            [wanted] = model.score([ask])
        else:
            with model.using(ask.under):
                [wanted] = model.score([ScoreAsk(ask.prompt, ask.continuation)])
        same(one, wanted, 1e-4)
    assert identical(model, before)


@pytest.mark.parametrize("name", ["llama", "gpt2", "phi3"])
def test_half_precision_rows_stay_close_to_the_whole_model(name: str) -> None:
    """The side branch adds in float32; the whole model rounds the edited weight once."""
    model = model_of(name, torch.bfloat16)
    change = under(low_rank(model.arch.down(1), 3, size=0.5))
    rows = model.score([ScoreAsk(p, c, change) for p, c in QUESTIONS])
    with model.using(change):
        whole = model.score([ScoreAsk(p, c) for p, c in QUESTIONS])
    for a, b in zip(rows, whole, strict=True):
        same(a, b, 0.15)


@pytest.mark.parametrize("name", ["phi3", "falcon", "gpt2"])
def test_a_slice_of_a_fused_projection_leaves_the_rest_alone(name: str) -> None:
    model = model_of(name)
    try:
        slot = model.arch.mlp_in(1)[0] if name == "phi3" else model.arch.attn_in(1)[1]
    except NotPossible:
        pytest.skip(f"{name} interleaves its projections")
    if slot.bounds is None:
        pytest.skip(f"{name} has separate projections")
    low, high = slot.bounds
    before = _math(slot)
    with model.using(
        under(
            low_rank(slot, 1),
        )
    ):
        after = _math(slot)
    moved = (after - before).abs().sum(1) > 0
    assert moved[low:high].all()
    assert not moved[:low].any()
    assert not moved[high:].any()


def _fail_inside(model: Model, change: Intervention) -> None:
    before = state(model)
    with model.using(change):
        assert not identical(model, before)
        raise RuntimeError("inside")


def _math(slot: Slot) -> Any:
    weight = slot.stored.detach().clone()
    return weight.T if slot.transposed else weight
