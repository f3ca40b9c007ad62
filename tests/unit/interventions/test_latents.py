"""Ops that read latents: their formulas, row by row, inside a model and on disk."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import pad

from asking import make, noise, under
from truing.errors import BadInput, CannotLoad
from truing.interventions.artifact import load, save
from truing.interventions.conditional import Condition, Conditional
from truing.interventions.intervention import ActivationOp, Intervention, Latents
from truing.interventions.latents import read
from truing.interventions.ops import OPS
from truing.methods.steering.strength import scaled
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.engine import Job, job_of
from truing.models.generate import generate_batch
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.models.score import score_padded
from truing.models.spans import Span

PROMPTS = ["The Glass Spire is in the city of", "Who", "Yes. No. Yes."]
D = 32


@lru_cache(maxsize=4)
def model_of(name: str = "llama", dtype: torch.dtype = torch.float32) -> Model:
    return make(name, dtype=dtype)


def low_rank(seed: int, m: int, scale: float = 0.2, **where: Any) -> ActivationOp:
    latents = Latents.linear(noise(seed, m, D), noise(seed + 1, m))
    facts = {"site": "resid_post", "layer": 1, "positions": Positions(), **where}
    return ActivationOp(
        op="low-rank", vector=noise(seed + 2, m, D), scale=scale, latents=latents, **facts
    )


def feature(seed: int, low: float | None = 2.0, high: float | None = 2.0, **facts: Any) -> Any:
    latents = Latents(noise(seed, 1, D), noise(seed + 1, 1), noise(seed + 2, 1).abs())
    facts = {"site": "resid_post", "layer": 1, "positions": Positions(), **facts}
    return ActivationOp(
        op="feature-clamp", vector=noise(seed + 3, D), low=low, high=high, latents=latents, **facts
    )


def by_hand(part: ActivationOp, acts: Tensor) -> Tensor:
    """The formulas, one token after another."""
    assert part.latents is not None
    out = acts.clone()
    for at in torch.cartesian_prod(*(torch.arange(n) for n in acts.shape[:-1])):
        h = acts[tuple(at)]
        z = part.latents.weight @ h + part.latents.bias
        z = torch.stack([u if u > t else u * 0 for u, t in zip(z, part.latents.threshold)])  # noqa: B905
        if part.op == "feature-clamp":
            low = -9e9 if part.low is None else part.low
            high = 9e9 if part.high is None else part.high
            z = z.clamp(low, high) - z
        out[tuple(at)] = h + part.scale * part.vector.reshape(len(z), -1).T @ z
    return out


def logits(model: Model, iv: Intervention | None = None) -> Tensor:
    """Of every token of a prompt, ``(T, V)``."""
    ids = torch.tensor([model.speller.prompt_ids(PROMPTS[0])])
    with torch.no_grad(), model.using(iv or Intervention()):
        found: Tensor = model.hf(input_ids=ids).logits[0]
    return found


@given(st.floats(-3, 3), st.floats(-1, 2))
def test_a_gate_lets_through_what_is_above_its_threshold(u: float, threshold: float) -> None:
    weight, bias = torch.tensor([[1.0]]), torch.tensor([0.0])
    z = read(torch.tensor([[u]]), weight, bias, torch.tensor([threshold]))
    acts = torch.tensor([[u]])
    assert torch.equal(z, acts if float(acts) > float(torch.tensor(threshold)) else 0 * acts)
    assert torch.equal(read(acts, *Latents.linear(weight).tensors.values()), acts)


@pytest.mark.parametrize("site", ["resid_pre", "mlp_out", "resid_post", "head_in"])
@pytest.mark.parametrize("kind", ["low-rank", "feature-clamp", "at least"])
def test_inside_a_model_it_is_the_formula(site: str, kind: str) -> None:
    """Checked with a hook of our own."""
    model = model_of()
    part = {
        "low-rank": low_rank(5, 3, site=site),
        "feature-clamp": feature(5, site=site),
        "at least": feature(5, 1.0, None, site=site, scale=0.7),
    }[kind]
    with model.arch.site(site, 1).register(lambda acts: by_hand(part, acts)):
        wanted = logits(model)
    torch.testing.assert_close(logits(model, under(part)), wanted, atol=1e-4, rtol=1e-4)
    assert (wanted - logits(model)).abs().max() > 1e-2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(0, 4))
def test_a_clamped_feature_of_its_own_direction_has_the_value(seed: int, value: float) -> None:
    """Where the decoder row is the encoder's dual, reading again gives what was set."""
    weight = noise(seed, 1, D)
    latents = Latents.linear(weight)
    part = feature(seed, value, value)
    part = replace(part, vector=weight[0] / weight.square().sum(), latents=latents)
    new = by_hand(part, noise(seed + 9, 1, 4, D))
    found = read(new, *latents.tensors.values())
    torch.testing.assert_close(found, torch.full_like(found, value), atol=1e-4, rtol=1e-4)


def test_a_feature_that_is_high_enough_is_left_alone() -> None:
    """``low`` alone raises; equal bounds lower as well."""
    model, silent = model_of(), Latents.linear(torch.zeros(1, D), torch.tensor([3.0]))
    high = replace(feature(1, low=2.0, high=None), latents=silent)
    assert torch.equal(logits(model, under(high)), logits(model))
    assert not torch.equal(logits(model, under(replace(high, high=2.0))), logits(model))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_of_different_ranks_and_kinds_answer_as_alone(dtype: torch.dtype) -> None:
    model = model_of("llama", dtype)
    ivs = [
        under(low_rank(1, 1)),
        under(low_rank(2, 4)),
        None,
        under(low_rank(3, 4, scale=-0.1, positions=Positions("last_prompt"))),
        under(feature(4), low_rank(6, 2)),
        under(feature(5, layer=2)),
        under(low_rank(7, 2), feature(8)),
    ]
    asks = [ScoreAsk(PROMPTS[0], "Orvale", iv) for iv in ivs]
    together = [row.logprob for row in model.score(asks)]
    alone = [model.score([ask])[0].logprob for ask in asks]
    assert together == pytest.approx(alone, abs=1e-4 if dtype == torch.float32 else 0.1)
    assert len({round(each, 4) for each in together}) == len(ivs)
    whole = []
    for iv in ivs:
        with model.using(iv or Intervention()):
            whole += [row.logprob for row in model.score([ScoreAsk(PROMPTS[0], "Orvale")])]
    assert whole == pytest.approx(alone, abs=1e-4 if dtype == torch.float32 else 0.1)


@pytest.mark.parametrize(
    "positions", [Positions("window", start=-1), Positions("prompt"), Positions("generation")]
)
def test_cached_uncached_and_teacher_forced_answers_are_one(positions: Positions) -> None:
    model = model_of()
    changes = [
        under(low_rank(1, 3, positions=positions), low_rank(9, 2, site="head_in", layer=0)),
        under(feature(2, positions=positions)),
        under(low_rank(3, 1, positions=positions)),
    ]
    asks = zip(PROMPTS, changes, strict=True)
    jobs = [job_of(model, GenerateAsk(p, Decoding(max_new_tokens=6), iv)) for p, iv in asks]
    with torch.no_grad():
        cached = generate_batch(model, jobs, changes)
        uncached = generate_batch(model, jobs, changes, cached=False)
        forced = [
            Job(Span(job.span.ids + row.token_ids, len(job.span.ids)), change)
            for job, row, change in zip(jobs, cached, changes, strict=True)
        ]
        scored = score_padded(model, forced, changes, side="left")
    for a, b, c in zip(cached, uncached, scored, strict=True):
        assert a.token_ids == b.token_ids == c.predicted
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-3)
        assert a.logprobs == pytest.approx(c.logprobs, abs=1e-3)


def test_half_of_an_op_adds_half_as_much() -> None:
    for part in (low_rank(1, 2, scale=1.0), feature(2)):
        acts = noise(3, 1, 2, D)
        half = scaled(under(part), 0.5).ops[0]
        assert half.scale == 0.5
        torch.testing.assert_close(by_hand(half, acts) - acts, (by_hand(part, acts) - acts) / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("waiting", [False, True])
def test_what_is_loaded_is_what_was_saved(
    dtype: torch.dtype, waiting: bool, tmp_path: Path
) -> None:
    ops = (low_rank(1, 3), feature(2, None, 1.5), low_rank(4, 1))
    ops = tuple(
        replace(
            op,
            vector=op.vector.to(dtype),
            latents=Latents(*(t.to(dtype) for t in op.latents.tensors.values())),  # type: ignore[union-attr]
        )
        for op in ops
    )
    asked = Condition("resid_post", 0, noise(1, D), 0.1)
    iv = Intervention((Conditional(ops, (asked,)),) if waiting else ops)
    back = load(save(iv, tmp_path / "iv"), model_of())
    assert back.id == iv.id
    found = back.conditional[0].ops if waiting else back.ops
    for one, other in zip(found, ops, strict=True):
        assert one.tensors.keys() == other.tensors.keys()
        assert all(torch.equal(one.tensors[n], other.tensors[n]) for n in other.tensors)


def test_a_file_without_an_ops_latents_is_refused(tmp_path: Path) -> None:
    folder = save(under(ActivationOp("resid_post", 1, "add", noise(1, D), Positions())), tmp_path)
    header = folder / "intervention.json"
    header.write_text(header.read_text().replace('"add"', '"low-rank"'))
    with pytest.raises(CannotLoad, match=r"latents\.weight.* is missing"):
        load(folder)


def test_every_number_of_the_latents_is_part_of_the_id() -> None:
    part = low_rank(1, 2)
    assert part.latents is not None
    ids = {part.digest}
    for name, tensor in part.latents.tensors.items():
        moved = Latents(**{**part.latents.tensors, name: tensor.clamp(min=-9.0) + 1.0})
        ids.add(replace(part, latents=moved).digest)
    assert len(ids) == 4


def test_ops_without_latents_keep_their_ids() -> None:
    """Rows of earlier runs are known by them."""
    vector = torch.arange(1, 7, dtype=torch.float32)
    answer = Positions("window", start=-1)
    bounded = ActivationOp("resid_post", 2, "clamp", vector, answer, 0.5, -1.0, 2.0)
    assert bounded.digest.startswith("1904ee608e6655a3")


@pytest.mark.parametrize("name", [name for name in OPS if OPS.get(name).reads])
def test_an_op_that_reads_needs_latents_that_fit(name: str) -> None:
    bounds = {"low": 0.0} if OPS.get(name).bounded else {}

    def made(latents: Latents | None) -> ActivationOp:
        return ActivationOp("mlp_out", 0, name, noise(1, D), Positions(), latents=latents, **bounds)

    made(Latents.linear(noise(2, 1, D)))
    for wrong in (None, Latents.linear(noise(2, 2, D)), Latents.linear(noise(2, 1, D + 1))):
        with pytest.raises(BadInput, match=r"mlp_out\[0\]"):
            made(wrong)


def test_latents_that_nobody_reads_are_refused() -> None:
    latents = Latents.linear(noise(2, 1, D))
    with pytest.raises(BadInput, match="reads no latents"):
        ActivationOp("mlp_out", 0, "add", noise(1, D), Positions(), latents=latents)


def test_latents_that_do_not_belong_together_or_are_no_numbers_are_refused() -> None:
    weight, bias = noise(1, 2, D), noise(2, 2)
    for wrong in (
        (weight, bias[:1], bias),
        (weight[0], bias, bias),
        (weight, bias, pad(bias, [1, 0])),
    ):
        with pytest.raises(BadInput, match="do not belong together"):
            Latents(*wrong)
    nan = torch.full_like(bias, torch.nan)
    for broken in ((weight * nan[:, None], bias, bias), (weight, nan, bias), (weight, bias, nan)):
        with pytest.raises(BadInput, match="not finite"):
            Latents(*broken)
