"""Activation ops inside a model: what is added where, in which order, and always to the same tokens."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from asking import make, noise, op, under
from truing.interventions.intervention import ActivationOp, Intervention, Latents
from truing.interventions.ops import OPS
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.engine import Job, job_of
from truing.models.generate import generate_batch
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.models.score import score_padded
from truing.models.spans import Span

PROMPTS = ["The Glass Spire is in the city of", "Who", "Yes. No. Yes."]
POLICIES = [
    Positions("all"),
    Positions("all", skip_first=True),
    Positions("prompt"),
    Positions("last_prompt"),
    Positions("generation"),
    Positions("generation", start=1, stop=3),
    Positions("window", start=-1),
    Positions("window", start=-2, stop=12),
    Positions("tokens", ids=(20, 21, 22, 50, 60)),
]


@lru_cache(maxsize=4)
def model_of(name: str, dtype: torch.dtype = torch.float32) -> Model:
    return make(name, dtype=dtype)


def facts(model: Model, kind: str) -> dict[str, Any]:
    """What an op needs besides its vector."""
    entry = OPS.get(kind)
    bounds = {"low": -0.1, "high": 0.1} if entry.bounded else {}
    return bounds | ({"latents": gated(model)} if entry.reads else {})


def gated(model: Model) -> Latents:
    weight_1_D = noise(99, 1, model.arch.d_model)
    return Latents(weight_1_D, torch.tensor([0.5]), torch.tensor([0.2]))


def logits(model: Model, iv: Intervention | None = None) -> Tensor:
    """Of every token of a prompt, ``(T, V)``."""
    ids = torch.tensor([model.speller.prompt_ids(PROMPTS[0])])
    with torch.no_grad(), model.using(iv or Intervention()):
        found: Tensor = model.hf(input_ids=ids).logits[0]
    return found


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "falcon"])
def test_additive_steering_is_adding_to_what_the_block_puts_out(name: str) -> None:
    """Checked with a hook of our own, the last block included (whose output ``hidden_states`` lacks)."""
    model = model_of(name)
    for layer in range(model.arch.n_layers):
        part = op(model, "resid_post", layer, "add", layer, scale=1.5)

        def add(module: Any, args: Any, output: Any, part: ActivationOp = part) -> Any:
            moved = part.scale * part.vector
            return (
                output + moved if isinstance(output, Tensor) else (output[0] + moved, *output[1:])
            )

        handle = model.arch.block(layer).register_forward_hook(add)
        try:
            wanted = logits(model)
        finally:
            handle.remove()
        torch.testing.assert_close(logits(model, under(part)), wanted, atol=1e-5, rtol=1e-5)
        assert (wanted - logits(model)).abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [kind for kind in OPS if OPS.get(kind).graded])
def test_strength_0_changes_no_bit_of_an_answer(kind: str, dtype: torch.dtype) -> None:
    model = model_of("llama", dtype)
    nothing = under(
        *(
            op(model, site, 1, kind, 1, scale=0.0, **facts(model, kind))
            for site in ("resid_pre", "attn_out", "mlp_out", "resid_post")
        )
    )
    assert torch.equal(logits(model, nothing), logits(model))
    [base, row] = model.score([ScoreAsk(PROMPTS[0], "Orvale", iv) for iv in (None, nothing)])
    assert row == base


def test_ops_at_one_hook_point_act_in_the_order_of_the_parts() -> None:
    model = model_of("llama")
    kinds = ["add", "ablate", "add-keep-norm", "replace-along", "clamp"]
    ops = [
        op(model, "resid_post", 1, kind, n, **facts(model, kind)) for n, kind in enumerate(kinds)
    ]
    seen: list[Tensor] = []

    def by_hand(acts: Tensor) -> Tensor:
        for part in order:
            entry = OPS.get(part.op)
            numbers = (part.scale, -0.1, 0.1)
            acts = entry.run(
                acts, entry.prepare(part.vector)[None], *(torch.tensor([n]) for n in numbers)
            )
        seen.append(acts)
        return acts

    answers = []
    for order in (ops, ops[::-1], ops[2:] + ops[:2]):
        with model.arch.site("resid_post", 1).register(by_hand):
            wanted = logits(model)
        found = logits(model, under(*order))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
        answers.append(found)
    assert (answers[0] - answers[1]).abs().max() > 1e-3
    assert (answers[0] - answers[2]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("positions", POLICIES, ids=repr)
def test_cached_uncached_and_teacher_forced_answers_are_one(
    name: str, positions: Positions
) -> None:
    """For every policy of positions, every op, and padding on either side."""
    model = model_of(name)
    change = under(
        op(model, "resid_post", 0, "add", 3, positions, scale=1.5),
        op(model, "resid_post", 1, "add-keep-norm", 4, positions, scale=3.0),
        op(model, "resid_post", 1, "replace-along", 5, positions, scale=0.5),
        op(model, "mlp_out", 2, "ablate", 6, positions),
        op(model, "resid_pre", 2, "clamp", 7, positions, low=-0.1, high=0.1),
        op(model, "resid_post", 0, "low-rank", 8, positions, scale=0.1, **facts(model, "low-rank")),
        op(model, "resid_post", 2, "feature-clamp", 9, positions, **facts(model, "feature-clamp")),
    )
    how = Decoding(max_new_tokens=6)
    jobs = [job_of(model, GenerateAsk(prompt, how, change)) for prompt in PROMPTS]
    with torch.no_grad():
        cached = generate_batch(model, jobs, [change] * 3)
        uncached = generate_batch(model, jobs, [change] * 3, cached=False)
        forced = [
            Job(Span(job.span.ids + row.token_ids, len(job.span.ids)), change)
            for job, row in zip(jobs, cached, strict=True)
        ]
        left = score_padded(model, forced, [change] * 3, side="left")
        right = score_padded(model, forced, [change] * 3, side="right")
    for a, b, *scored in zip(cached, uncached, left, right, strict=True):
        assert (a.token_ids, a.stop) == (b.token_ids, b.stop)
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-3)
        for each in scored:
            assert each.predicted == a.token_ids
            assert each.logprobs == pytest.approx(a.logprobs, abs=1e-3)
