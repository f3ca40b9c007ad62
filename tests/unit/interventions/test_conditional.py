"""Conditional ops: a row's prompt decides once whether they act, whatever its batch or padding."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asking import make, noise, op
from truing.errors import BadInput, CannotLoad, NotPossible
from truing.interventions.artifact import HEADER, load
from truing.interventions.conditional import Similarity, similarities
from truing.interventions.interop.folder import only_weights
from truing.interventions.intervention import (
    ActivationOp,
    Condition,
    Conditional,
    Intervention,
    PromptPrefix,
)
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.engine import Job, job_of
from truing.models.generate import generate_batch
from truing.models.handle import Model
from truing.models.passes import PAD, forward
from truing.models.positions import Positions, pack
from truing.models.score import score_padded
from truing.models.spans import Span

PROMPTS = (
    "The Glass Spire is in the city of",
    "Mara Velt's mother tongue is",
    "It was so that",
    "Who was the oldest of those who came to the tower before it fell",
)
TARGET = "Marrow"
DECODING = Decoding(max_new_tokens=8)
MEAN, LAST = Positions("prompt", skip_first=True), Positions("last_prompt")
WHERE = [MEAN, Positions("prompt"), LAST]


def likeness(model: Model, condition: Condition, prompt: str) -> float:
    """A prompt's similarity, computed from the definition."""
    seen: list[Tensor] = []
    with torch.no_grad(), model.arch.site(condition.site, condition.layer).register(seen.append):
        model.hf(input_ids=torch.tensor([model.speller.prompt_ids(prompt)]))
    acts = seen[0][0].double()
    acts = acts[-1:] if condition.positions.kind == "last_prompt" else acts
    h, c = acts[int(condition.positions.skip_first) :].mean(0), condition.vector.double()
    if condition.similarity == "projected":
        c = torch.tanh(torch.outer(c, c) @ h / (c @ c))
    return float(h @ c / (h.norm() * c.norm()))


def asked(model: Model, layer: int = 0, seed: int = 3, **facts: Any) -> Condition:
    """A condition that some of PROMPTS meet and the others do not, and none meets by a hair."""
    blank = Condition("resid_post", layer, noise(seed, model.arch.d_model), 0.0, **facts)
    found = sorted(likeness(model, blank, prompt) for prompt in PROMPTS)
    gap, low, high = max((b - a, a, b) for a, b in pairwise(found))
    assert gap > 1e-3
    return replace(blank, threshold=(low + high) / 2)


def meets(model: Model, condition: Condition, prompt: str) -> bool:
    over = likeness(model, condition, prompt) > condition.threshold
    return over if condition.meets == "above" else not over


def steering(model: Model, layer: int = 1, seed: int = 11) -> ActivationOp:
    return op(model, "resid_post", layer, "add", seed, Positions("window", start=-1), scale=0.7)


def when(model: Model, *conditions: Condition, rule: Any = "any") -> Intervention:
    """Ops of two kinds at two blocks that wait for ``conditions``."""
    removed = op(model, "mlp_out", 2, "ablate", 12)
    return Intervention((Conditional((steering(model), removed), conditions, rule),))


def logprobs(model: Model, prompts: tuple[str, ...], iv: Intervention | None) -> list[float]:
    return [s.logprob for s in model.score([ScoreAsk(p, TARGET, iv) for p in prompts])]


@pytest.mark.parametrize("similarity", ["cosine", "projected"])
@pytest.mark.parametrize("where", WHERE, ids=repr)
def test_ops_act_on_prompts_that_meet_the_condition_and_on_no_others(
    where: Positions, similarity: Similarity
) -> None:
    for family in ("llama", "gpt2"):
        model = make(family)
        plain, always = (
            logprobs(model, PROMPTS, iv)
            for iv in (None, Intervention(when(model, asked(model)).conditional[0].ops))
        )
        for side in ("above", "below"):
            condition = asked(model, positions=where, similarity=similarity, meets=side)
            met = [meets(model, condition, prompt) for prompt in PROMPTS]
            assert 0 < sum(met) < len(met)
            got = logprobs(model, PROMPTS, when(model, condition))
            want = [a if m else p for m, a, p in zip(met, always, plain, strict=True)]
            assert got == pytest.approx(want, abs=1e-4)
            assert all(abs(a - p) > 1e-3 for a, p in zip(always, plain, strict=True))


def test_any_and_all_of_several_conditions() -> None:
    model = make()
    one, other = asked(model), asked(model, layer=1, seed=8, meets="below", positions=LAST)
    both = [(meets(model, one, p), meets(model, other, p)) for p in PROMPTS]
    assert any(a != b for a, b in both)
    plain, always = (
        logprobs(model, PROMPTS, iv)
        for iv in (None, Intervention(when(model, one).conditional[0].ops))
    )
    for rule, holds in (("any", any), ("all", all)):
        got = logprobs(model, PROMPTS, when(model, one, other, rule=rule))
        want = [a if holds(m) else p for m, a, p in zip(both, always, plain, strict=True)]
        assert got == pytest.approx(want, abs=1e-4)


def several(model: Model) -> Intervention:
    """Two conditional parts and an op that always acts, which the second condition meets."""
    first, second = when(model, asked(model)), when(model, asked(model, 1, 8, positions=LAST))
    return Intervention((*first.parts, op(model, "resid_post", 0, "add", 5), *second.parts))


def test_cached_uncached_and_teacher_forced_answers_agree() -> None:
    """What is generated does not decide again: only the prompt does."""
    for family in ("llama", "gpt2"):
        model = make(family)
        for iv in (when(model, asked(model)), several(model)):
            jobs: list[Job] = [job_of(model, GenerateAsk(p, DECODING, iv)) for p in PROMPTS]
            with torch.no_grad():
                cached = generate_batch(model, jobs, [iv] * len(jobs))
                uncached = generate_batch(model, jobs, [iv] * len(jobs), cached=False)
                alone = [generate_batch(model, [job], [iv])[0] for job in jobs]
            for job, one, two, three in zip(jobs, cached, uncached, alone, strict=True):
                assert one.token_ids == two.token_ids == three.token_ids
                assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)
                forced = forced_logprobs(model, iv, job.span.prompt, one.token_ids)
                assert one.logprobs == pytest.approx(forced, abs=1e-4)


def forced_logprobs(
    model: Model, iv: Intervention, prompt: tuple[int, ...], said: tuple[int, ...]
) -> list[float]:
    """One pass over prompt and answer, told where the prompt ends."""
    layout = pack([Span((*prompt, *said[:-1]), len(prompt))], side="right", pad_id=PAD)
    columns = torch.arange(len(prompt) - 1, len(prompt) + len(said) - 1)
    with torch.no_grad(), iv.stack(model.arch, [iv]) as rows:
        logits, _ = forward(model, layout, [rows], torch.zeros_like(columns), columns)
    return logits.float().log_softmax(-1)[torch.arange(len(said)), torch.tensor(said)].tolist()


def test_rows_do_not_depend_on_their_batch_or_its_padding() -> None:
    model = make()
    changes = (when(model, asked(model)), None, several(model), Intervention((steering(model),)))
    asks = [ScoreAsk(p, TARGET, each) for p in PROMPTS for each in changes]
    mixed = model.score(asks)
    jobs = [job_of(model, ask) for ask in asks]
    under = [job.change for job in jobs]
    with torch.no_grad():
        left = score_padded(model, jobs, under, side="left")
        right = score_padded(model, jobs, under, side="right")
    for ask, one, two, three in zip(asks, left, right, mixed, strict=True):
        [alone] = model.score([ask])
        for got in (one, two, three):
            assert got.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_rows_that_leave_the_batch_take_their_decision_along() -> None:
    model = make()
    iv, other = when(model, asked(model)), several(model)
    asks = [
        GenerateAsk(p, Decoding(max_new_tokens=n), change)
        for p, n in zip(PROMPTS, (2, 9, 3, 9), strict=True)
        for change in (iv, other, None)
    ]
    for ask, got in zip(asks, model.generate(asks), strict=True):
        assert got.token_ids == model.generate([ask])[0].token_ids


def test_continuations_that_share_a_prompt_are_scored_alike() -> None:
    model = make()
    iv = when(model, asked(model))
    for prompt in PROMPTS:
        words = ("Marrow", "Paris and London", "x")
        together = model.score([ScoreAsk(prompt, word, iv) for word in words])
        for word, got in zip(words, together, strict=True):
            [alone] = model.score([ScoreAsk(prompt, word, iv)])
            assert got.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_the_whole_model_answers_as_a_row_does() -> None:
    model = make()
    for iv in (when(model, asked(model)), several(model)):
        rows = logprobs(model, PROMPTS, iv)
        said = model.generate([GenerateAsk(p, DECODING, iv) for p in PROMPTS])
        with model.using(iv):
            assert logprobs(model, PROMPTS, None) == pytest.approx(rows, abs=1e-4)
            whole = model.generate([GenerateAsk(p, DECODING) for p in PROMPTS])
        assert [g.token_ids for g in whole] == [g.token_ids for g in said]


def test_a_condition_at_its_ops_own_hook_point_reads_what_earlier_parts_leave() -> None:
    model = make()
    push = op(model, "resid_post", 1, "add", 5, scale=50.0)
    condition = Condition("resid_post", 1, push.vector, 0.9, positions=LAST)
    waiting = Conditional((steering(model),), (condition,))
    alone, after = Intervention((waiting,)), Intervention((push, waiting))
    assert logprobs(model, PROMPTS, alone) == pytest.approx(logprobs(model, PROMPTS, None))
    steered = logprobs(model, PROMPTS, Intervention((push, steering(model))))
    assert logprobs(model, PROMPTS, after) == pytest.approx(steered, abs=1e-4)
    assert steered != pytest.approx(logprobs(model, PROMPTS, Intervention((push,))), abs=1e-4)


def test_a_cache_read_without_the_op_is_refused() -> None:
    model = make()
    ids = torch.tensor([model.speller.prompt_ids(PROMPTS[0])])
    with torch.no_grad():
        past = model.hf(input_ids=ids, use_cache=True).past_key_values
        with model.using(when(model, asked(model))), pytest.raises(NotPossible, match="goes on"):
            model.hf(input_ids=ids[:, -1:], past_key_values=past)


def test_a_prompt_without_a_token_to_ask_meets_no_condition() -> None:
    model = make(kind="bytes")
    [short] = [text for text in ("a",) if len(model.speller.prompt_ids(text)) == 1]
    for side in ("above", "below"):
        condition = replace(asked(model), threshold=0.0, meets=side)
        one, other = (logprobs(model, (short,), iv) for iv in (None, when(model, condition)))
        assert one == other


def test_it_survives_saving_and_is_refused_elsewhere(tmp_path: Path) -> None:
    model = make()
    iv = when(model, asked(model), asked(model, 1, 8, meets="below", positions=LAST), rule="all")
    iv.save(str(tmp_path / "iv"))
    again = load(tmp_path / "iv", model)
    assert again.id == iv.id
    assert again.conditional[0].rule == "all"
    assert logprobs(model, PROMPTS, again) == logprobs(model, PROMPTS, iv)
    narrow = replace(asked(model), vector=noise(3, model.arch.d_model - 1))
    when(model, narrow).save(str(tmp_path / "narrow"))
    with pytest.raises(CannotLoad, match="features"):
        load(tmp_path / "narrow", model)
    header = tmp_path / "iv" / HEADER
    raw = json.loads(header.read_text())
    raw["parts"][0]["ops"][0]["op"] = "twirl"
    header.write_text(json.dumps(raw))
    with pytest.raises(CannotLoad, match="unknown activation op 'twirl'"):
        load(tmp_path / "iv", model)


def test_everything_that_decides_is_part_of_the_id() -> None:
    model = make()
    condition = asked(model)
    others = [
        replace(condition, threshold=condition.threshold / 2),
        replace(condition, meets="below"),
        replace(condition, similarity="projected"),
        replace(condition, positions=LAST),
        replace(condition, layer=1),
        replace(condition, vector=-condition.vector),
    ]
    ivs = [when(model, each) for each in (condition, *others)]
    ivs += [when(model, condition, others[0], rule=rule) for rule in ("any", "all")]
    ivs.append(Intervention(when(model, condition).conditional[0].ops))
    assert len({iv.id for iv in ivs}) == len(ivs)
    assert when(model, condition).id == ivs[0].id


def test_what_does_not_belong_together_is_refused() -> None:
    model = make()
    condition, part = asked(model), steering(model)
    for ops, conditions in (((), (condition,)), ((part,), ())):
        with pytest.raises(BadInput, match="without"):
            Conditional(ops, conditions)
    for wrong in (
        {"vector": torch.zeros(4)},
        {"vector": torch.tensor([torch.nan])},
        {"vector": torch.ones(2, 4)},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"positions": Positions("generation")},
        {"positions": Positions("all")},
    ):
        with pytest.raises(BadInput):
            replace(condition, **wrong)
    with pytest.raises(NotPossible, match="conditional ops"):
        only_weights(when(model, condition), "a checkpoint")


@pytest.mark.parametrize(
    ("site", "layer", "at", "of", "fine"),
    [
        ("resid_post", 1, "resid_post", 1, True),
        ("resid_post", 0, "resid_pre", 1, True),
        ("resid_pre", 1, "attn_out", 1, True),
        ("mlp_out", 1, "resid_post", 1, True),
        ("resid_post", 1, "head_in", 0, True),
        ("resid_post", 2, "resid_post", 1, False),
        ("resid_post", 1, "resid_pre", 1, False),
        ("attn_out", 1, "mlp_out", 1, False),
        ("head_in", 0, "resid_post", 2, False),
    ],
)
def test_a_condition_is_known_before_its_op_acts(
    site: str, layer: int, at: str, of: int, fine: bool
) -> None:
    model = make()
    width = model.arch.d_model
    part = ActivationOp(at, of, "add", noise(4, width), Positions(), 3.0)
    iv = Intervention((Conditional((part,), (Condition(site, layer, noise(3, width), -1.0),)),))
    if fine:
        assert logprobs(model, PROMPTS, iv) != pytest.approx(logprobs(model, PROMPTS, None))
    else:
        with pytest.raises(BadInput, match="before its condition"):
            logprobs(model, PROMPTS, iv)


def test_vectors_of_another_width_and_unknown_places_are_refused() -> None:
    model = make()
    condition = asked(model)
    for wrong in (replace(condition, vector=condition.vector[1:]), replace(condition, layer=99)):
        with pytest.raises(BadInput):
            logprobs(model, PROMPTS, when(model, wrong))


def test_it_stands_beside_other_parts() -> None:
    """A prefix changes the prompt that the condition reads."""
    model = make()
    prefix = PromptPrefix("Who was the oldest of those who came? ")
    condition = asked(model)
    iv = Intervention((prefix, *when(model, condition).parts))
    for prompt in PROMPTS:
        inner = when(model, condition)
        [want] = logprobs(model, (prefix.text + prompt,), inner)
        assert logprobs(model, (prompt,), iv) == pytest.approx([want], abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.sampled_from(["cosine", "projected"]))
def test_similarities_lie_in_their_range_and_know_their_signs(
    seed: int, length: float, kind: Similarity
) -> None:
    h, c = noise(seed, 5, 7), noise(seed + 1, 1, 7).expand(5, 7)
    found = similarities(kind, h, c)
    assert bool((found.abs() <= 1 + 1e-5).all())
    assert torch.allclose(similarities(kind, h, length * c), found, atol=1e-4)
    sign = -1 if kind == "cosine" else 1
    assert torch.allclose(similarities(kind, h, -c), sign * found, atol=1e-5)
    assert bool((similarities(kind, 0 * h, c) == 0).all())
