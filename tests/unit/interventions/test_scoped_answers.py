"""A memory of edits in generation: every row for itself, whatever is kept between tokens."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from test_scoped import HITS, MARA, MISSES, SPIRE, memory

from asking import make
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.interventions.scope import WordScope
from truing.interventions.scoped import Remembered, Scoped
from truing.models.asks import Decoding, DivergenceAsk, GenerateAsk
from truing.models.engine import Job, job_of
from truing.models.generate import generate_batch
from truing.models.handle import Model

DECODING = Decoding(max_new_tokens=8)
ABOUT = {HITS[0]: SPIRE, MISSES[0]: None, HITS[1]: MARA, MISSES[2]: None, MISSES[1]: None}
MIXED = tuple(ABOUT)


def by_hand(model: Model, text: str, edit: Remembered | None) -> tuple[int, ...]:
    """Greedy ids of the whole model, edited for this question alone, read anew for every token."""
    own = Intervention()
    if edit is not None:
        own = Intervention((PromptPrefix(edit.told), *memory(model).scoped[0].inside))
    ids = list(model.speller.prompt_ids(model.rewritten(text, own)))
    said: list[int] = []
    with torch.no_grad(), model.using(Intervention(own.weights)):
        while len(said) < DECODING.max_new_tokens and not {*said[-1:]} & set(model.stop_ids):
            logits = model.hf(input_ids=torch.tensor([ids + said])).logits[0, -1]
            said.append(int(logits.argmax()))
    return tuple(said)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_cached_uncached_and_whole_read_answers_agree(family: str) -> None:
    model = make(family)
    iv = memory(model)
    jobs: list[Job] = [job_of(model, GenerateAsk(text, DECODING, iv)) for text in MIXED]
    changes = [job.change for job in jobs]
    with torch.no_grad():
        cached = generate_batch(model, jobs, changes)
        uncached = generate_batch(model, jobs, changes, cached=False)
    for text, one, two in zip(MIXED, cached, uncached, strict=True):
        assert one.token_ids == two.token_ids
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)
        assert one.token_ids == by_hand(model, text, ABOUT[text])


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_rows_of_one_batch_are_routed_one_by_one(family: str) -> None:
    """Inside and outside the scope, side by side, some of them done earlier: each row answers as it
    does alone, and as a model that was edited, or not, for it."""
    model = make(family)
    iv = memory(model)
    asks = [
        GenerateAsk(text, replace(DECODING, max_new_tokens=most), iv)
        for text, most in zip(MIXED, (2, 3, 8, 4, 8), strict=True)
    ]
    for ask, got in zip(asks, model.generate(asks), strict=True):
        [alone] = model.generate([ask])
        wanted = by_hand(model, str(ask.prompt), ABOUT[str(ask.prompt)])
        assert got.token_ids == alone.token_ids == wanted[: ask.decoding.max_new_tokens]
    changed = [
        by_hand(model, text, edit) != by_hand(model, text, None) for text, edit in ABOUT.items()
    ]
    assert changed == [edit is not None for edit in ABOUT.values()], "the edits make no difference"


def test_drawdown_is_exactly_zero_on_misses_beside_hits() -> None:
    """With deltas that rows in scope carry, in one call."""
    model = make("llama")
    iv = memory(model)
    found = model.divergences([DivergenceAsk(text, " It is in Marrow.", iv) for text in MIXED])
    for text, each in zip(MIXED, found, strict=True):
        assert (set(each.nats) == {0.0}) is (ABOUT[text] is None)


@pytest.mark.parametrize(("logit", "inside"), [(1e-9, True), (0.0, True), (-1e-9, False)])
def test_in_scope_is_a_probability_of_one_half_or_more(logit: float, inside: bool) -> None:
    """The published rule of distances d, exp(-d) above 1/2, or d below ln 2, for any similarity p."""
    slope = 4.0
    scope = WordScope(
        (), torch.zeros(0), torch.zeros(0, 1), slopes=(slope, 0.0), bias=logit - slope
    )
    [p] = scope.over([SPIRE.asked])(SPIRE.asked)
    own = Scoped(scope, (SPIRE,))
    assert (own.find(SPIRE.asked) == 0) is inside
    assert (-math.log(p) <= math.log(2)) is inside


def test_a_memory_without_an_edit_is_one_that_never_had_it() -> None:
    """Edits are told apart by their prompts; the rest of them make the memory without one."""
    whole = memory(make("llama")).scoped[0]
    rest = Scoped(whole.scope, tuple(e for e in whole.edits if e != SPIRE), whole.inside)
    assert [rest.find(text) for text in HITS] == [None, 0]
    assert rest.joined([SPIRE]).find(HITS[0]) == 1
