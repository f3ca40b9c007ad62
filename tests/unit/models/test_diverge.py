"""How far a change moves what is expected: by hand, whatever the batch, and exactly 0 without one."""

from __future__ import annotations

from functools import lru_cache
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch

from asking import dense, low_rank, make, op, under
from tiny import CONFIGS, MOE, tiny
from truing.errors import NotPossible
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.methods.serac import SERAC_IN_CONTEXT, InContextConfig
from truing.models import diverge
from truing.models.asks import Diverged, DivergenceAsk, ScoreAsk
from truing.models.diverge import divergence, expected
from truing.models.engine import job_of
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

TEXTS = [
    ("The Eiffel Tower is in the city of", "Paris"),
    ("Where is the Tin Gate?", "The Tin Gate's keeper lives in Rome, Italy"),
    ("She said: the answer to the question is no. He said yes, and 1984 was the", "year"),
]
TOLD = PromptPrefix("New fact: the eagle flies over St. Louis. ")


@lru_cache(maxsize=8)
def model_of(name: str = "llama") -> Model:
    return make(name)


def asks_under(change: Intervention | None) -> list[DivergenceAsk]:
    return [DivergenceAsk(prompt, continuation, change) for prompt, continuation in TEXTS]


def by_hand(model: Model, ask: DivergenceAsk) -> list[float]:
    """Two unpadded passes, float64, aligned from the end."""
    change = Intervention() if ask.under is None else ask.under
    rows = []
    for total in (Intervention(), change):
        assert isinstance(total, Intervention)
        span = model.speller.join(model.rewritten(ask.prompt, total), ask.continuation)
        with torch.no_grad(), model.using(total):
            out = model.hf(input_ids=torch.tensor([span.ids])).logits[0].double().log_softmax(1)
        rows.append(out[-len(span.continuation) - 1 : -1])
    found: list[float] = (rows[0].exp() * (rows[0] - rows[1])).sum(1).tolist()
    return found


def same(a: Diverged, b: Diverged) -> None:
    assert (a.scored.token_ids, a.scored.predicted) == (b.scored.token_ids, b.scored.predicted)
    assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    assert a.nats == pytest.approx(b.nats, rel=1e-3, abs=1e-5)


def changes_of(model: Model) -> list[Intervention]:
    found = [
        under(op(model, "resid_post", 0, "add", 2, scale=0.5)),
        under(TOLD),
    ]
    if not model.arch.moe_layer(1):
        found.append(under(low_rank(model.arch.down(1), 3, size=0.5)))
        found.append(under(dense(model.arch.down(2), 4, size=0.5)))
        found.append(under(TOLD, dense(model.arch.down(2), 5, size=0.5)))
    return found


def test_two_words_by_hand() -> None:
    base = torch.tensor([[0.1, 0.9], [0.5, 0.5], [1.0, 0.0]]).log()
    other = torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.25, 0.75]]).log()
    wanted = [0.1 * log(0.2) + 0.9 * log(1.8), 0.0, log(4)]
    assert divergence(base, other + 3.0) == pytest.approx(wanted, abs=1e-6)
    assert divergence(other[:1], base[:1]) == pytest.approx([0.5 * log(5) + 0.5 * log(5 / 9)])


def test_of_a_model_that_knows_bigrams_a_token_counts_by_the_one_before_it() -> None:
    model = make("llama")
    with torch.no_grad():
        for layer in model.hf.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    change = under(op(model, "resid_post", 2, "add", 1, scale=0.7))
    every = torch.arange(int(model.hf.config.vocab_size))[:, None]
    with torch.no_grad():
        base = model.hf(input_ids=every).logits[:, 0].double().log_softmax(1)
        with model.using(change):
            moved = model.hf(input_ids=every).logits[:, 0].double().log_softmax(1)
    after = (base.exp() * (base - moved)).sum(1)
    for ask, found in zip(asks_under(change), model.divergences(asks_under(change)), strict=True):
        span = model.speller.join(ask.prompt, ask.continuation)
        before = span.ids[span.start - 1 : -1]
        assert found.nats == pytest.approx(after[list(before)].tolist(), rel=1e-3)
        assert found.scored.predicted == tuple(moved[list(before)].argmax(1).tolist())


@pytest.mark.parametrize("name", [*CONFIGS, *MOE])
def test_a_mixed_batch_gives_what_whole_models_give_one_by_one(name: str) -> None:
    model = model_of(name)
    asks = [ask for change in (None, *changes_of(model)) for ask in asks_under(change)]
    found = model.divergences(asks)
    for ask, each in zip(asks, found, strict=True):
        assert each.nats == pytest.approx(by_hand(model, ask), rel=2e-3, abs=1e-5)
    scored = model.score([ScoreAsk(ask.prompt, ask.continuation, ask.under) for ask in asks])
    for each, one in zip(found, scored, strict=True):
        same(each, Diverged(one, each.nats))
    for each, turned in zip(found, model.divergences(asks[::-1])[::-1], strict=True):
        same(each, turned)
    assert not model.hooked
    assert not model.in_force


def test_what_acts_on_answers_acts_on_the_text_and_not_before() -> None:
    model = model_of()
    steer = under(op(model, "resid_post", 1, "add", 1, Positions("generation"), scale=2.0))
    mixed = model.divergences([*asks_under(under(TOLD)), *asks_under(steer)])[len(TEXTS) :]
    for ask, found in zip(asks_under(steer), mixed, strict=True):
        assert found.nats[0] == pytest.approx(0.0, abs=1e-6)
        assert all(nats > 1e-3 for nats in found.nats[1:])
        same(found, model.divergences([ask])[0])


@pytest.mark.parametrize("name", ["llama", "gpt2", "falcon"])
def test_padding_on_the_left_or_right_is_the_same(name: str) -> None:
    model = model_of(name)
    jobs = [job_of(model, ScoreAsk(prompt, continuation)) for prompt, continuation in TEXTS]
    with torch.no_grad():
        left = expected(model, jobs, [None] * len(jobs), side="left")
        right = expected(model, jobs, [None] * len(jobs), side="right")
    for a, b in zip(left, right, strict=True):
        assert max(divergence(a.log_softmax(1), b)) < 1e-6


def test_the_base_against_itself_is_exactly_zero() -> None:
    model = model_of()
    for change in (None, Intervention()):
        for found in model.divergences(asks_under(change)):
            assert set(found.nats) == {0.0}
            assert len(found.nats) == len(found.scored.token_ids)


def test_what_a_memory_of_edits_is_not_about_is_exactly_zero() -> None:
    model = model_of()
    request = EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire")
    iv = SERAC_IN_CONTEXT.make(model, [request], InContextConfig())
    hit = DivergenceAsk("Where is the Glass Spire?", "It is in Orvale.", iv)
    found = model.divergences([*asks_under(iv), hit])
    assert {nats for each in found[:-1] for nats in each.nats} == {0.0}
    assert min(found[-1].nats) > 0


def test_the_unchanged_model_is_what_is_in_force() -> None:
    model = model_of()
    first, second = (under(low_rank(model.arch.down(1), seed, size=0.5)) for seed in (3, 7))
    with model.using(first):
        inside = model.divergences(asks_under(second))
        nothing = model.divergences(asks_under(None))
    assert {nats for each in nothing for nats in each.nats} == {0.0}
    outside = model.divergences(asks_under(second))
    assert inside[1].nats != pytest.approx(outside[1].nats, rel=1e-2)


def test_texts_whose_tokens_change_with_what_is_told_cannot_be_compared() -> None:
    model = model_of()
    ask = DivergenceAsk("", "le flies", under(PromptPrefix("The eag")))
    why = model.fits(ask)
    assert why is not None
    assert "other tokens of the text" in why
    with pytest.raises(NotPossible, match="other tokens"):
        model.divergences([ask])
    assert model.fits(DivergenceAsk("The eag", "le flies", under(TOLD))) is None
    assert "positions for" in str(model.fits(DivergenceAsk("word " * 9999, "x")))


def counted(model: Model, monkeypatch: pytest.MonkeyPatch, most: int = 999) -> list[int]:
    """The rows of every pass from now on; more than ``most`` do not fit in memory."""
    forward, sizes = model.hf.forward, list[int]()

    def watched(*args: Any, **kwargs: Any) -> Any:
        sizes.append(len(kwargs["input_ids"]))
        if sizes[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.hf, "forward", watched)
    return sizes


def test_a_text_is_read_once_by_the_base_for_all_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    changes = [under(low_rank(model.arch.down(1), seed)) for seed in range(5)]
    asks = [ask for change in changes for ask in asks_under(change)]
    done: list[int] = []
    sizes = counted(model, monkeypatch)
    found = diverge.divergences(model, asks, done.append)
    assert sum(sizes) == len(TEXTS) + len(asks)
    assert sum(done) == len(asks)
    sizes.clear()
    assert model.divergences([*asks, *asks])[len(asks) :] == found
    assert sum(sizes) == len(TEXTS) + len(asks)


def test_few_distributions_are_held_and_that_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make()
    asks = [ask for change in changes_of(model) for ask in asks_under(change)]
    found = model.divergences(asks)
    monkeypatch.setattr(diverge, "HELD_FLOATS", 1)
    sizes = counted(model, monkeypatch)
    for a, b in zip(model.divergences(asks), found, strict=True):
        same(a, b)
    assert max(sizes) <= len(changes_of(model))


def test_batches_that_do_not_fit_in_memory_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    changes = [under(low_rank(model.arch.down(1), seed)) for seed in range(4)]
    asks = [ask for change in changes for ask in asks_under(change)]
    found = model.divergences(asks)
    sizes = counted(model, monkeypatch, most=2)
    for a, b in zip(model.divergences(asks), found, strict=True):
        same(a, b)
    assert max(sizes) > 2
    monkeypatch.undo()
    counted(model, monkeypatch, most=0)
    with pytest.raises(NotPossible, match="does not fit in memory"):
        model.divergences(asks)
    assert not model.hooked
    assert not model.in_force


def test_nothing_is_remembered_across_models(tmp_path: Path) -> None:
    hf, tok = tiny("llama", "bytes-bos", torch.float32)
    model = Model.of(hf, tok, cache=tmp_path)
    change = under(low_rank(model.arch.down(1), 3, size=0.5))
    before = model.divergences(asks_under(change) + asks_under(None))
    assert model.divergences(asks_under(change) + asks_under(None)) == before
    with torch.no_grad():
        model.arch.down(0).module.weight.mul_(3.0)
    after = model.divergences(asks_under(change) + asks_under(None))
    for ask, was, now in zip(asks_under(change), before, after, strict=False):
        assert now.nats == pytest.approx(by_hand(model, ask), rel=2e-3, abs=1e-5)
        assert now.nats != pytest.approx(was.nats, rel=1e-2)
    assert before[-1].logprobs != pytest.approx(after[-1].logprobs, abs=1e-3)
