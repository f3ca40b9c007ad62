"""Applying to a live model: once-cast sums, refused misfits, and no trace afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asking import dense, low_rank, make, noise, op, under
from truing.errors import BadInput, NotPossible
from truing.interventions.apply import edited
from truing.interventions.intervention import Dense, Intervention, LowRank, WeightDelta
from truing.models.asks import ScoreAsk
from truing.models.positions import Positions

QUESTION = ScoreAsk("The Glass Spire is in the city of", "Orvale")


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt2-square"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_sum_is_made_in_float32_and_cast_once(name: str, dtype: torch.dtype) -> None:
    model = make(name, dtype=dtype)
    slot = model.arch.down(1)
    parts = [low_rank(slot, 1, size=1e-3), dense(slot, 2, size=1e-3), low_rank(slot, 3, rank=2)]
    base = slot.weight().clone()
    total = base.clone()
    for part in parts:
        if isinstance(part.delta, LowRank):
            total += part.delta.math()
        else:
            total += part.delta.delta.T if slot.transposed else part.delta.delta
    with model.using(Intervention(tuple(parts))):
        now = slot.stored.detach().clone()
    math = now.T if slot.transposed else now
    torch.testing.assert_close(math.float(), total.to(dtype).float(), atol=1e-6, rtol=1e-2)
    assert (math.float() - total).abs().max() <= (
        total.to(dtype).float() - total
    ).abs().max() * 1.01 + 1e-6


def test_math_and_stored_dense_deltas_mean_the_same() -> None:
    for name in ("llama", "gpt2", "gpt2-square"):
        model = make(name)
        slot = model.arch.down(0)
        delta = noise(1, slot.d_out, slot.d_in)
        a = under(WeightDelta(slot.param, Dense(delta, "math")))
        b = under(WeightDelta(slot.param, Dense(slot.to_stored(delta))))
        assert torch.equal(
            edited(model.arch, a.parts)[slot.param], edited(model.arch, b.parts)[slot.param]
        )


def test_biases_and_norms_take_dense_deltas() -> None:
    model = make("llama")
    name = "model.norm.weight"
    iv = under(WeightDelta(name, Dense(torch.full((32,), 0.5))))
    before = model.arch.parameter(name).detach().clone()
    with model.using(iv):
        assert torch.equal(model.arch.parameter(name), before + 0.5)
    assert torch.equal(model.arch.parameter(name), before)
    assert not iv.per_row


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (WeightDelta("nope.weight", Dense(torch.ones(1))), "no parameter"),
        (WeightDelta("model.norm.weight", Dense(torch.ones(3))), "the weight needs"),
        (
            WeightDelta(
                "model.layers.0.mlp.down_proj.weight", LowRank(torch.ones(48, 1), torch.ones(32, 1))
            ),
            "the weight needs",
        ),
        (
            WeightDelta(
                "model.layers.0.mlp.down_proj.weight",
                LowRank(torch.ones(8, 1), torch.ones(48, 1)),
                rows=(30, 38),
            ),
            "outside",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(part: WeightDelta, why: str) -> None:
    model = make("llama")
    good = low_rank(model.arch.down(0), 1)
    before = model.arch.down(0).weight().clone()
    with pytest.raises(BadInput, match=why), model.using(under(good, part)):
        pass
    assert torch.equal(model.arch.down(0).weight(), before)
    if isinstance(part.delta, LowRank):
        with pytest.raises(BadInput, match=why):
            model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, under(part))])


def test_an_error_half_way_in_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    before = {k: v.clone() for k, v in model.hf.state_dict().items()}
    iv = under(
        low_rank(model.arch.down(0), 1),
        op(model, "resid_post", 0, "add", 1),
        op(model, "resid_post", 99, "add", 1),
    )
    with pytest.raises(BadInput, match="layer 99"), model.using(iv):
        pass
    assert all(torch.equal(v, before[k]) for k, v in model.hf.state_dict().items())
    assert not model.hooked
    assert not model.in_force


def test_a_tied_matrix_is_changed_only_when_both_ends_are_meant() -> None:
    model = make("llama-tied")
    head, embed = "lm_head.weight", "model.embed_tokens.weight"
    shape = model.hf.lm_head.weight.shape
    delta = LowRank(noise(1, shape[0], 1) * 0.3, noise(2, shape[1], 1))
    for name in (head, embed):
        one = under(WeightDelta(name, delta))
        with pytest.raises(NotPossible, match="is tied to"), model.using(one):
            pass
        with pytest.raises(NotPossible, match="is tied to"):
            model.score([ScoreAsk("The", "Spire", one)])
    both = under(WeightDelta(head, delta), WeightDelta(embed, delta))
    before = model.hf.lm_head.weight.detach().clone()
    [row] = model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, both)])
    with model.using(both):
        assert torch.allclose(model.hf.lm_head.weight, before + delta.math())
        [whole] = model.score([QUESTION])
    assert torch.equal(model.hf.lm_head.weight, before)
    assert row.logprobs == pytest.approx(whole.logprobs, abs=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_an_untied_or_plain_embedding_is_edited_per_row_too(name: str) -> None:
    model = make(name)
    param = "model.embed_tokens.weight" if name == "llama" else "transformer.wpe.weight"
    shape = model.arch.parameter(param).shape
    iv = under(WeightDelta(param, LowRank(noise(1, shape[0], 2), noise(2, shape[1], 2))))
    asks = [ScoreAsk("Who built the Tin", "Gate"), QUESTION]
    rows = model.score([ScoreAsk(a.prompt, a.continuation, c) for a in asks for c in (None, iv)])
    with model.using(iv):
        whole = model.score(asks)
    for row, wanted in zip(rows[1::2], whole, strict=True):
        assert row.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)


def test_a_quantised_weight_is_refused_whole_and_works_per_row() -> None:
    model = make("llama")
    slot = model.arch.down(1)
    iv = under(low_rank(slot, 1))
    [wanted] = model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, iv)])

    class Packed(nn.Module):
        in_features, out_features = slot.d_in, slot.d_out

        def __init__(self, weight: torch.Tensor) -> None:
            super().__init__()
            self.full = weight
            self.weight = nn.Parameter(
                torch.zeros(weight.numel() // 2, 1, dtype=torch.uint8), False
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.full.T

    model.hf.model.layers[1].mlp.down_proj = Packed(slot.weight().clone())
    [row] = model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, iv)])
    assert row.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)
    with pytest.raises(NotPossible, match="quantised"), model.using(iv):
        pass


def test_ops_inside_using_act_on_calls_of_the_raw_model_too() -> None:
    model = make("llama")
    iv = under(op(model, "resid_post", 1, "add", 1, Positions("last_prompt"), scale=3.0))
    ids = [model.speller.prompt_ids(p) for p in ("The Glass Spire", "Who")]
    singles = []
    with torch.no_grad(), model.using(iv):
        for row in ids:
            singles.append(model.hf(input_ids=torch.tensor([row])).logits[0, -1])
        width = max(map(len, ids))
        padded = torch.zeros(2, width, dtype=torch.long)
        mask = torch.zeros(2, width, dtype=torch.long)
        for at, row in enumerate(ids):
            padded[at, width - len(row) :] = torch.tensor(row)
            mask[at, width - len(row) :] = 1
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        together = model.hf(input_ids=padded, attention_mask=mask, position_ids=positions).logits[
            :, -1
        ]
    torch.testing.assert_close(together, torch.stack(singles), atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        plain = model.hf(input_ids=torch.tensor([ids[0]])).logits[0, -1]
    assert (plain - singles[0]).abs().max() > 1e-3


def test_a_row_under_using_is_on_top_of_it() -> None:
    model = make("llama")
    slot = model.arch.down(1)
    a, b = under(low_rank(slot, 1)), under(low_rank(slot, 3))
    with model.using(a):
        [row] = model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, b)])
    [both] = model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, a + b)])
    assert row.logprobs == pytest.approx(both.logprobs, abs=1e-4)


@pytest.mark.parametrize("name", ["llama", "opt"])
def test_weights_come_before_ops_on_the_same_module(name: str) -> None:
    model = make(name)
    weights = under(low_rank(model.arch.down(1), 1))
    ops = under(
        op(model, "mlp_out", 1, "ablate", 1), op(model, "mlp_hidden", 1, "add", 2, width=48)
    )
    [both] = model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, weights + ops)])
    with model.using(ops):
        [row] = model.score([ScoreAsk(QUESTION.prompt, QUESTION.continuation, weights)])
    with model.using(weights), model.using(ops):
        [whole] = model.score([QUESTION])
    assert row.logprobs == pytest.approx(both.logprobs, abs=1e-4)
    assert whole.logprobs == pytest.approx(both.logprobs, abs=1e-4)


def test_gradients_flow_through_a_model_in_use() -> None:
    model = make("llama")
    iv = under(low_rank(model.arch.down(1), 1), op(model, "resid_post", 1, "add", 1))
    weight = model.hf.model.layers[0].mlp.down_proj.weight.requires_grad_(True)
    with model.using(iv):
        loss = model.hf(input_ids=torch.tensor([[1, 5, 9]])).logits.float().logsumexp(-1).sum()
        loss.backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_large_ranks_share_factors_between_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    changes = [under(low_rank(model.arch.down(1), n, rank=3)) for n in (1, 9)]
    asks = [ScoreAsk(p, "Orvale", c) for p in ("The Glass", "Who built") for c in (*changes, None)]
    stacked = model.score(asks)
    monkeypatch.setattr("truing.interventions.bank.STACK_BYTES", 0)
    shared = model.score(asks)
    for a, b in zip(stacked, shared, strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)
