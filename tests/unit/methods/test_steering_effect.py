"""What an intervention does is counted and measured; how much of it there is can be chosen by that."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from asking import dense, low_rank, make, noise, op, under
from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.intervention import (
    ByDistance,
    Codebook,
    Intervention,
    LowRank,
    PromptPrefix,
    Routed,
    WeightDelta,
)
from truing.interventions.scope import SentenceScope
from truing.interventions.scoped import Remembered, Scoped
from truing.methods.neutral import NEUTRAL
from truing.methods.steering.effect import Count, effect, on_neutral
from truing.methods.steering.strength import WITHIN, scaled, to_budget
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions

PROMPTS = ["The Glass Spire is in the city of", "Who built the Tin Gate?", "Yes"]
ANSWER = Positions("window", start=-1)
WORDS = 5


@lru_cache(maxsize=4)
def model_of(name: str = "llama", kind: str = "bytes-bos") -> Model:
    model = make(name, kind)
    model.stop_ids = frozenset()  # every answer is as long as it may be
    return model


def by_hand(model: Model, iv: Intervention, ids: list[int]) -> Tensor:
    """KL(base || steered) at every position of one row, float64."""
    rows = []
    for change in (Intervention(), iv):
        with torch.no_grad(), model.using(change):
            out = model.hf(input_ids=torch.tensor([ids])).logits[0]
        rows.append(out.double().log_softmax(1))
    found: Tensor = (rows[0].exp() * (rows[0] - rows[1])).sum(1)
    return found


@pytest.mark.parametrize(("name", "kind"), [("llama", "bytes-bos"), ("gpt2", "bytes")])
@pytest.mark.parametrize("change", ["op", "low-rank", "dense"])
def test_divergences_are_means_over_positions(name: str, kind: str, change: str) -> None:
    model = model_of(name, kind)
    part: Any = {
        "op": op(model, "resid_post", 1, "add", 1, scale=0.5),
        "low-rank": low_rank(model.arch.down(1), 1, size=0.3),
        "dense": dense(model.arch.down(1), 2, size=0.3),
    }[change]
    iv = under(part)
    found = effect(model, iv, PROMPTS)
    first = [by_hand(model, iv, model.speller.prompt_ids(p))[-1] for p in PROMPTS]
    each = torch.cat([by_hand(model, iv, model.speller.prompt_ids(text)) for text in NEUTRAL])
    assert (found.first.n, found.neutral.n) == (len(PROMPTS), len(each))
    assert found.first.nats == pytest.approx(float(torch.stack(first).mean()), rel=1e-4)
    assert found.neutral.nats == pytest.approx(float(each.mean()), rel=1e-4)
    assert found.neutral.nats > 1e-3


def test_hook_points_count_tokens_of_prompts_and_answers_apart() -> None:
    model = model_of()
    iv = under(
        op(model, "resid_post", 1, "add", 1, ANSWER),
        op(model, "mlp_out", 2, "add", 2, Positions("prompt")),
        op(model, "resid_pre", 2, "add", 3, Positions("generation", start=1)),
        op(model, "resid_pre", 0, "add", 4, scale=0.0),
    )
    read = sum(len(model.speller.prompt_ids(p)) for p in PROMPTS)
    written = len(PROMPTS) * (WORDS - 1)  # the last word is written and not read
    answer, prompt, later, nothing = effect(model, iv, PROMPTS, new_tokens=WORDS).fired
    assert (answer.site, answer.layer) == ("resid_post", 1)
    assert answer.prefill == Count(1, read, len(PROMPTS))
    assert answer.decode == Count(WORDS - 1, written, written)
    assert (prompt.prefill.changed, prompt.decode.changed) == (read, 0)
    assert (later.prefill.changed, later.decode.changed) == (0, written - len(PROMPTS))
    assert (nothing.prefill.changed, nothing.decode.changed, nothing.moved) == (0, 0, None)
    assert nothing.prefill.tokens == read


def test_moved_is_relative_to_what_was_there() -> None:
    model = model_of()
    part = op(model, "resid_post", 1, "add", 1, Positions("last_prompt"), scale=0.4)
    before = torch.stack(model.hidden(PROMPTS, "resid_post", 1))
    wanted = float((0.4 * part.vector.norm() / before.norm(dim=1)).mean())
    [fired] = effect(model, under(part), PROMPTS).fired
    assert fired.moved == pytest.approx(wanted, rel=1e-4)


def test_several_ops_of_one_place_are_one_entry() -> None:
    model = model_of()
    there = op(model, "resid_post", 1, "add", 1)
    back = op(model, "resid_post", 1, "add", 1, scale=-1.0)
    [fired] = effect(model, under(there, op(model, "resid_post", 1, "add", 2)), PROMPTS).fired
    assert fired.moved is not None
    [undone] = effect(model, under(there, back), PROMPTS).fired
    assert undone.moved is None or undone.moved < 1e-6


def test_no_change_is_told_as_none_and_leaves_no_trace() -> None:
    model = model_of()
    found = effect(model, Intervention(), PROMPTS)
    assert (found.fired, found.first.nats, found.neutral.nats) == ((), 0.0, 0.0)
    with pytest.raises(BadInput, match="layer 9"):
        effect(model, under(op(model, "resid_post", 9, "add", 1)), PROMPTS)
    assert not model.hooked
    assert not model.in_force


def test_the_line_says_what_happened() -> None:
    model = model_of()
    line = str(effect(model, under(op(model, "resid_post", 1, "add", 1, ANSWER)), PROMPTS))
    assert line.startswith("resid_post[1] changed 3 of ")
    assert "of their length; KL " in line
    assert "\n" not in line


def test_text_that_is_put_in_front_is_met_by_prompts_and_by_neutral_text() -> None:
    for name, kind in (("llama", "bytes-bos"), ("gpt2", "bytes")):
        model = model_of(name, kind)
        iv = under(PromptPrefix("New fact: the eagle flies over St. Louis. "))
        found, plain = effect(model, iv, PROMPTS), on_neutral(model, Intervention())
        assert found.neutral.n == plain.n
        assert found.neutral.nats > 1e-3
        ids = model.speller.prompt_ids(NEUTRAL[0])
        front = [*model.speller.prompt_ids(iv.prefixes[0].text), *ids[len(model.speller.opening) :]]
        rows = []
        for row in (ids, front):
            with torch.no_grad():
                out = model.hf(input_ids=torch.tensor([row])).logits[0].double().log_softmax(1)
            rows.append(out[-len(ids) :])
        wanted = float((rows[0].exp() * (rows[0] - rows[1])).sum(1).mean())
        assert on_neutral(model, iv, NEUTRAL[:1]).nats == pytest.approx(wanted, rel=1e-4)


# how much of it


def test_a_factor_scales_ops_and_deltas() -> None:
    model = model_of()
    iv = under(
        op(model, "resid_post", 1, "add", 1, scale=2.0),
        low_rank(model.arch.down(1), 2, rank=2),
        dense(model.arch.down(2), 3),
    )
    half = scaled(iv, 0.5)
    assert half.ops[0].scale == 1.0
    low, full = half.weights
    assert isinstance(low.delta, LowRank)
    assert torch.allclose(low.delta.math(), iv.weights[0].delta.math() / 2)  # type: ignore[union-attr]
    assert torch.allclose(full.delta.delta, iv.weights[1].delta.delta / 2)  # type: ignore[union-attr]
    assert scaled(iv, 1.0) == iv
    assert scaled(half, 3.0).origin.config["scaled"] == 1.5
    assert effect(model, scaled(iv, 0.0), PROMPTS).neutral.nats == 0.0


def test_there_is_no_fraction_of_what_is_looked_up_chosen_or_text() -> None:
    model = model_of()
    slot = model.arch.down(1)
    delta = low_rank(slot, 1)
    book = Codebook(slot.param, noise(1, 1, slot.d_in), noise(2, 1, slot.d_out), torch.ones(1))
    routed = Routed(
        ((WeightDelta(slot.param, delta.delta),),), ByDistance("silu", torch.tensor([1.0]))
    )
    memory = Scoped(SentenceScope("x", 0.5), (Remembered("a", "b"),))
    for part, why in (
        (book, "codebook"),
        (routed, "chosen"),
        (memory, "memory"),
        (PromptPrefix("x "), "text"),
        (op(model, "resid_post", 1, "replace-along", 1), "sets a value"),
    ):
        with pytest.raises(NotPossible, match=why):
            scaled(under(delta, part), 0.5)
    with pytest.raises(BadInput, match="finite"):
        scaled(under(delta), float("nan"))


@pytest.mark.parametrize("size", [0.01, 1.0, 300.0])
@pytest.mark.parametrize("max_kl", [0.005, 0.2])
def test_a_budget_is_kept_and_used_up(size: float, max_kl: float) -> None:
    model = model_of()
    iv = under(op(model, "resid_post", 1, "add", 1, ANSWER, scale=size))
    strength, made, found = to_budget(model, lambda s: scaled(iv, s), max_kl, PROMPTS)
    assert made == scaled(iv, strength)
    assert found == effect(model, made, PROMPTS)
    assert 0.5 * max_kl < found.neutral.nats <= max_kl
    assert on_neutral(model, scaled(iv, strength / (1 - 2 * WITHIN))).nats > max_kl


def test_a_budget_that_cannot_be_reached_or_kept_is_told() -> None:
    model = model_of()
    prompts_only = under(op(model, "resid_post", 1, "add", 1, Positions("tokens", ids=(639,))))
    with pytest.raises(EditFailed, match="is not reached"):
        to_budget(model, lambda s: scaled(prompts_only, s), 0.1, PROMPTS)
    always = under(op(model, "resid_post", 1, "add", 1))
    with pytest.raises(EditFailed, match="is not kept"):
        to_budget(model, lambda s: always, 1e-6, PROMPTS)
    with pytest.raises(BadInput, match="budget"):
        to_budget(model, lambda s: scaled(always, s), 0.0, PROMPTS)


def test_an_answer_under_the_scaled_intervention_is_between() -> None:
    model = model_of()
    iv = under(op(model, "resid_post", 1, "add", 1, ANSWER, scale=0.1))
    asks = [ScoreAsk(PROMPTS[0], "Orvale", scaled(iv, f)) for f in (0.0, 0.5, 1.0)]
    low, middle, high = (row.logprob for row in model.score(asks))
    assert min(low, high) < middle < max(low, high)
