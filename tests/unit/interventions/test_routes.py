"""Routed changes: a row's prompt chooses once, whatever its batch, padding or cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asking import dense, low_rank, make
from truing.errors import BadInput, CannotLoad, NotPossible
from truing.interventions.artifact import load
from truing.interventions.intervention import (
    ByDistance,
    ByKey,
    Dense,
    Intervention,
    Routed,
    WeightDelta,
)
from truing.interventions.routes import distances
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.engine import Job, job_of
from truing.models.generate import generate_batch
from truing.models.handle import Model
from truing.models.passes import PAD, forward
from truing.models.positions import pack
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
FAMILIES = ["llama", "gpt2", "opt", "phi3"]


def last(model: Model, layer: int, prompt: str) -> Tensor:
    return model.hidden([prompt], "resid_post", layer)[0]


def keyed(model: Model, prompts: tuple[str, ...], radius: float = 1e-2) -> Intervention:
    """A change of its own (of two matrices above) for each prompt."""
    alternatives = tuple(
        (
            low_rank(model.arch.down(1), 10 * n, rank=2),
            low_rank(model.arch.attn_proj(2), 10 * n + 5),
        )
        for n in range(len(prompts))
    )
    keys = torch.stack([last(model, 0, prompt) for prompt in prompts])
    radii, numbers = torch.full((len(prompts),), radius), torch.arange(len(prompts))
    return Intervention((Routed(alternatives, ByKey("resid_post", 0, keys, radii, numbers)),))


def measured(model: Model, *thresholds: float, seed: int = 0, size: float = 1.0) -> Intervention:
    """Dense alternatives at one matrix, chosen by how far they move its output."""
    slot = model.arch.down(1)
    alternatives = tuple((dense(slot, seed + n, size * (1 + n)),) for n in range(len(thresholds)))
    return Intervention((Routed(alternatives, ByDistance("silu", torch.tensor(thresholds))),))


def moved(model: Model, iv: Intervention, prompt: str) -> list[float]:
    """The distances of a prompt, computed from the definition."""
    slot, found = model.arch.down(1), []
    seen: list[tuple[Tensor, Tensor]] = []
    handle = slot.module.register_forward_hook(
        lambda module, args, output: seen.append((args[0].detach(), output.detach()))
    )
    with torch.no_grad():
        model.hf(input_ids=torch.tensor([model.speller.prompt_ids(prompt)]))
    handle.remove()
    x, y = (each.reshape(-1, each.shape[-1]).float() for each in seen[0])
    for [part] in iv.routed[0].alternatives:
        assert isinstance(part.delta, Dense)
        stored = part.delta.delta.float()
        changed = y + x @ (stored if slot.transposed else stored.T)
        silu = torch.nn.functional.silu
        found.append(float((silu(changed) - silu(y)).norm(dim=1).mean()))
    return found


def logprobs(model: Model, prompts: tuple[str, ...], iv: Intervention | None) -> list[float]:
    return [s.logprob for s in model.score([ScoreAsk(p, TARGET, iv) for p in prompts])]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_key_leads_its_prompt_to_its_alternative_and_no_other(family: str) -> None:
    model = make(family)
    iv = keyed(model, PROMPTS[:2])
    routed = logprobs(model, PROMPTS, iv)
    want = []
    for n in range(2):
        alone = Intervention(iv.routed[0].alternatives[n])
        want += logprobs(model, (PROMPTS[n],), alone)
    want += logprobs(model, PROMPTS[2:], None)
    assert routed == pytest.approx(want, abs=1e-4)
    plain = logprobs(model, PROMPTS, None)
    assert abs(plain[0] - routed[0]) > 1e-3
    assert abs(plain[1] - routed[1]) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_the_largest_distance_above_its_threshold_wins(family: str) -> None:
    model = make(family)
    iv = measured(model, 0.0, 0.0)
    near, far = moved(model, iv, PROMPTS[0])
    assert near < far
    one, other = (Intervention(deltas) for deltas in iv.routed[0].alternatives)
    for thresholds, want in (
        ((0.0, 0.0), other),
        ((0.0, far + 1e-3), one),
        ((near - 1e-3, far + 1e-3), one),
        ((near + 1e-3, far - 1e-3), other),
        ((near + 1e-3, far + 1e-3), None),
    ):
        got = logprobs(model, PROMPTS[:1], measured(model, *thresholds))
        assert got == pytest.approx(logprobs(model, PROMPTS[:1], want), abs=1e-4)


def test_the_distance_is_a_mean_over_tokens_that_count() -> None:
    y = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [9.0, 9.0]]])
    by = torch.tensor([[[3.0, 4.0], [6.0, 8.0], [50.0, 50.0]]])
    mask = torch.tensor([[True, True, False]])
    assert distances(y, by, lambda a: a, mask).tolist() == pytest.approx([7.5])
    assert distances(y, by, torch.relu, mask).tolist() == pytest.approx([7.5])
    assert distances(y, -by, torch.relu, mask).tolist() == pytest.approx([0.5])


def between(model: Model, iv: Intervention) -> Intervention:
    """Thresholds that let some of PROMPTS through and others not."""
    found = sorted(moved(model, iv, prompt)[0] for prompt in PROMPTS)
    return measured(model, (found[1] + found[2]) / 2)


def changes(model: Model) -> list[Intervention]:
    return [between(model, measured(model, 0.0)), keyed(model, PROMPTS[::2])]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_cached_uncached_and_teacher_forced_answers_agree(family: str, which: int) -> None:
    """What is generated does not choose again: only the prompt does."""
    model = make(family)
    iv = changes(model)[which]
    jobs: list[Job] = [job_of(model, GenerateAsk(p, DECODING, iv)) for p in PROMPTS]
    with torch.no_grad():
        cached = generate_batch(model, jobs, [iv] * len(jobs))
        uncached = generate_batch(model, jobs, [iv] * len(jobs), cached=False)
        alone = [generate_batch(model, [job], [iv])[0] for job in jobs]
    for job, one, two, three in zip(jobs, cached, uncached, alone, strict=True):
        assert one.token_ids == two.token_ids == three.token_ids
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)
        assert one.logprobs == pytest.approx(three.logprobs, abs=1e-4)
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


@pytest.mark.parametrize("which", [0, 1])
def test_rows_do_not_depend_on_their_batch_or_its_padding(which: int) -> None:
    model = make("llama")
    iv, other = changes(model)[which], measured(model, 0.0, seed=7)
    asks = [ScoreAsk(p, TARGET, each) for p in PROMPTS for each in (iv, None, other)]
    mixed = model.score(asks)
    for ask, got in zip(asks, mixed, strict=True):
        [alone] = model.score([ask])
        assert got.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    jobs = [job_of(model, ask) for ask in asks]
    under = [job.change for job in jobs]
    with torch.no_grad():
        left = score_padded(model, jobs, under, side="left")
        right = score_padded(model, jobs, under, side="right")
    for one, two, three in zip(left, right, mixed, strict=True):
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)
        assert one.logprobs == pytest.approx(three.logprobs, abs=1e-4)


@pytest.mark.parametrize("which", [0, 1])
def test_continuations_that_share_a_prompt_are_scored_alike(which: int) -> None:
    """A shared prompt is read in one pass with its last token, which the choice needs."""
    model = make("llama")
    iv = changes(model)[which]
    words = ("Marrow", "Paris and London", "x")
    together = model.score([ScoreAsk(PROMPTS[3], word, iv) for word in words])
    for word, got in zip(words, together, strict=True):
        [alone] = model.score([ScoreAsk(PROMPTS[3], word, iv)])
        assert got.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


@pytest.mark.parametrize("which", [0, 1])
def test_the_whole_model_answers_as_a_row_does(which: int) -> None:
    model = make("llama")
    iv = changes(model)[which]
    before = {name: tensor.clone() for name, tensor in model.hf.state_dict().items()}
    rows = logprobs(model, PROMPTS, iv)
    said = model.generate([GenerateAsk(p, DECODING, iv) for p in PROMPTS])
    with model.using(iv):
        assert logprobs(model, PROMPTS, None) == pytest.approx(rows, abs=1e-4)
        whole = model.generate([GenerateAsk(p, DECODING) for p in PROMPTS])
    assert [g.token_ids for g in whole] == [g.token_ids for g in said]
    assert all(torch.equal(before[n], t) for n, t in model.hf.state_dict().items())
    assert logprobs(model, PROMPTS, None) != pytest.approx(rows, abs=1e-3)


def test_rows_that_leave_the_batch_take_their_choice_along() -> None:
    """Answers end at different times; what stays keeps what its own prompt chose."""
    model = make("llama")
    iv = keyed(model, PROMPTS[1:2])
    asks = [
        GenerateAsk(p, Decoding(max_new_tokens=n), iv)
        for p, n in zip(PROMPTS, (2, 9, 3, 9), strict=True)
    ]
    for ask, got in zip(asks, model.generate(asks), strict=True):
        assert got.token_ids == model.generate([ask])[0].token_ids


def test_transformers_own_generation_meets_the_choice() -> None:
    model = make("llama")
    iv = keyed(model, PROMPTS[:1], radius=1e6)
    [ours] = model.generate([GenerateAsk(PROMPTS[0], DECODING, iv)])
    ids = torch.tensor([model.speller.prompt_ids(PROMPTS[0])])
    with model.using(iv):
        theirs = model.hf.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
    said = theirs[0, ids.shape[1] :].tolist()
    assert said[: len(ours.token_ids)] == list(ours.token_ids)


def test_a_cache_read_without_the_change_is_refused() -> None:
    model = make("llama")
    iv = keyed(model, PROMPTS[:1])
    ids = torch.tensor([model.speller.prompt_ids(PROMPTS[0])])
    with torch.no_grad():
        past = model.hf(input_ids=ids, use_cache=True).past_key_values
        with model.using(iv), pytest.raises(NotPossible, match="without the routed change"):
            model.hf(input_ids=ids[:, -1:], past_key_values=past)


@pytest.mark.parametrize("which", [0, 1])
def test_it_survives_saving_and_is_refused_elsewhere(which: int, tmp_path: Path) -> None:
    model = make("llama")
    iv = changes(model)[which]
    iv.save(str(tmp_path / "iv"))
    again = load(tmp_path / "iv", model)
    assert again.id == iv.id
    assert logprobs(model, PROMPTS, again) == logprobs(model, PROMPTS, iv)
    with pytest.raises(CannotLoad):
        load(tmp_path / "iv", make("gpt2"), allow_other_base=True)


def test_what_does_not_belong_together_is_refused() -> None:
    model = make("llama")
    one, other = low_rank(model.arch.down(1), 0), low_rank(model.arch.down(2), 1)
    keys, radii, lead = torch.zeros(1, 4), torch.ones(1), torch.zeros(1, dtype=torch.long)
    with pytest.raises(BadInput, match="no alternatives"):
        Routed((), ByDistance("silu", torch.zeros(0)))
    with pytest.raises(BadInput, match="do not belong together"):
        Routed(((one,), (other,)), ByDistance("silu", torch.zeros(2)))
    with pytest.raises(BadInput, match="do not belong together"):
        Routed(((one,),), ByKey("resid_post", 0, keys, radii, lead + 1))
    with pytest.raises(BadInput, match="not finite"):
        Routed(((one,),), ByDistance("silu", torch.tensor([torch.nan])))


def refused(model: Model, part: Routed) -> pytest.ExceptionInfo[Exception]:
    with pytest.raises((BadInput, NotPossible)) as caught:
        logprobs(model, PROMPTS[:1], Intervention((part,)))
    return caught


def test_what_does_not_fit_the_model_is_refused() -> None:
    model = make("llama")
    low = low_rank(model.arch.down(1), 0)
    radii, lead = torch.ones(1), torch.zeros(1, dtype=torch.long)
    key = torch.zeros(1, model.arch.d_model)
    assert "Was the" in str(refused(model, Routed(((low,),), ByKey("resid_post", 0, key[:, 1:], radii, lead))))  # fmt: skip
    for late in (("resid_post", 1), ("head_in", 0)):
        assert "before" in str(refused(model, Routed(((low,),), ByKey(*late, key, radii, lead))))
    assert "no activation" in str(refused(model, Routed(((low,),), ByDistance("sillu", radii))))
    norm = next(n for n, p in model.hf.named_parameters() if p.ndim == 1)
    size = model.hf.get_parameter(norm).shape
    flat = WeightDelta(norm, Dense(torch.ones(size)))
    assert "linear" in str(refused(model, Routed(((flat,),), ByDistance("silu", radii))))


def test_as_published_every_token_so_far_decides_anew() -> None:
    """Scores and answers are those of a row that asks, at each step, about everything so far: the
    distance of the text up to there, taken as a prompt, picks for all of its tokens."""
    model = make("llama")
    thresholds = sorted(moved(model, measured(model, 0.0), prompt)[0] for prompt in PROMPTS)
    once = measured(model, thresholds[1])
    [part] = once.routed
    assert isinstance(part.router, ByDistance)
    again = Intervention((replace(part, router=replace(part.router, decides="each-pass")),))
    flips = 0
    for prompt in PROMPTS:
        told = model.generate([GenerateAsk(prompt, DECODING, again)])[0]
        ids, said = list(model.speller.prompt_ids(prompt)), []
        for _ in told.token_ids:
            layout = pack([Span(tuple(ids), len(ids))], side="right", pad_id=PAD)
            with torch.no_grad(), once.stack(model.arch, [once]) as rows:
                at = torch.tensor([0]), torch.tensor([len(ids) - 1])
                logits, _ = forward(model, layout, [rows], *at)
            said.append(int(logits[0].argmax()))
            ids.append(said[-1])
        assert said == list(told.token_ids)
        [free] = model.generate([GenerateAsk(prompt, DECODING, once)])
        flips += free.token_ids != told.token_ids
    assert flips, "the rule made no difference: the test shows nothing"


def test_the_rule_is_part_of_a_saved_route(tmp_path: Path) -> None:
    model = make("llama")
    [part] = measured(model, 1.0).routed
    assert isinstance(part.router, ByDistance)
    again = Intervention((replace(part, router=replace(part.router, decides="each-pass")),))
    assert again.id != measured(model, 1.0).id
    again.save(str(tmp_path / "iv"))
    [found] = load(tmp_path / "iv", model).routed
    assert isinstance(found.router, ByDistance)
    assert found.router.decides == "each-pass"
