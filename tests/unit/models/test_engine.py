"""Scoring: answers depend on the question, never on the batch, the padding or the budget."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import low_rank, make, op, under
from tiny import CONFIGS, MOE, tiny
from truing.errors import BadInput, NoMemory, NotPossible
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models import engine
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk, Scored
from truing.models.engine import job_of
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.models.score import score_padded, score_shared

QUESTIONS = [
    ("The Eiffel Tower is in the city of", "Paris"),
    ("Where is the Tin Gate?", "The Tin Gate's keeper lives in Rome, Italy"),
    ("東京は", "日本の首都です"),
    ("The", "mother tongue of O'Brien"),
    ("She said: the answer to the question is no. He said yes, twice, and 1984 was the", "year"),
]


EVERY = (*CONFIGS, *MOE)


@lru_cache(maxsize=8)
def model_of(name: str, kind: str = "bytes-bos") -> Model:
    return make(name, kind)


def naive(model: Model, prompt: str, continuation: str) -> Scored:
    """One unpadded forward pass and a float32 log-softmax."""
    span = model.speller.join(prompt, continuation)
    with torch.no_grad():
        logits_T_V = model.hf(input_ids=torch.tensor([span.ids])).logits[0].float()
    logprobs_T_V = logits_T_V.log_softmax(1)
    at = range(span.start, len(span.ids))
    return Scored(
        span.continuation,
        tuple(float(logprobs_T_V[i - 1, span.ids[i]]) for i in at),
        tuple(int(logits_T_V[i - 1].argmax()) for i in at),
    )


def same(a: Scored, b: Scored, tolerance: float = 1e-4) -> None:
    assert a.token_ids == b.token_ids
    assert a.predicted == b.predicted
    assert a.logprobs == pytest.approx(b.logprobs, abs=tolerance)


@pytest.mark.parametrize("name", EVERY)
def test_a_batch_gives_what_single_unpadded_passes_give(name: str) -> None:
    model = model_of(name)
    scored = model.score([ScoreAsk(p, c) for p, c in QUESTIONS])
    for (prompt, continuation), one in zip(QUESTIONS, scored, strict=True):
        same(one, naive(model, prompt, continuation))


@pytest.mark.parametrize("name", EVERY)
def test_padding_on_the_left_or_right_is_the_same(name: str) -> None:
    model = model_of(name)
    jobs = [job_of(model, ScoreAsk(p, c)) for p, c in QUESTIONS]
    with torch.no_grad():
        left = score_padded(model, jobs, [None] * len(jobs), side="left")
        right = score_padded(model, jobs, [None] * len(jobs), side="right")
    for a, b in zip(left, right, strict=True):
        same(a, b)


CHOICES = ("Orvale", "the city of Marrow", "yes", "Paris, France", "I do not know")


@pytest.mark.parametrize("name", EVERY)
def test_continuations_that_share_a_prompt_read_from_one_cache(name: str) -> None:
    model = model_of(name)
    changes = [
        None,
        under(op(model, "resid_post", 0, "add", 1, Positions("last_prompt"), scale=2.0)),
        under(op(model, "resid_post", 1, "ablate", 2, Positions("prompt"))),
        under(op(model, "mlp_out", 1, "add", 3, Positions("generation"), scale=2.0)),
        under(op(model, "attn_out", 1, "add", 3, Positions("window", start=-3, stop=8))),
    ]
    if not model.arch.moe_layer(1):
        changes.append(under(low_rank(model.arch.down(1), 4)))
    asks = [
        ScoreAsk(prompt, choice, change)
        for prompt, _ in QUESTIONS
        for change in changes
        for choice in CHOICES
    ]
    jobs = [job_of(model, ask) for ask in asks]
    with torch.no_grad():
        padded = score_padded(model, jobs, [job.change for job in jobs])
        shared = score_shared(model, jobs, [job.change for job in jobs])
    assert shared is not None
    for a, b in zip(shared, padded, strict=True):
        same(a, b)


def test_sharing_reads_prompts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    shapes: list[tuple[int, int]] = []
    forward = model.hf.forward

    def watched(*args: object, **kwargs: object) -> object:
        shapes.append(tuple(kwargs["input_ids"].shape))  # type: ignore[attr-defined]
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.hf, "forward", watched)
    prompt = QUESTIONS[-1][0]
    scored = model.score([ScoreAsk(prompt, choice) for choice in CHOICES])
    assert [rows for rows, _ in shapes] == [1, len(CHOICES)]
    assert shapes[0][1] == len(model.speller.prompt_ids(prompt)) - 1
    for choice, one in zip(CHOICES, scored, strict=True):
        same(one, naive(model, prompt, choice))


WORDS = st.lists(
    st.sampled_from(["The", "Eiffel", "Tower", "is", "in", "Paris.", "Rome's", "東京", "1984"]),
    min_size=1,
    max_size=9,
).map(" ".join)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "opt"])
@settings(max_examples=12, deadline=None)
@given(
    asks=st.lists(st.tuples(WORDS, WORDS, st.integers(0, 3)), min_size=1, max_size=8),
    budget=st.sampled_from([1, 40, 200, 4096]),
    side=st.sampled_from(["left", "right"]),
)
def test_rows_do_not_see_each_other(
    name: str, asks: list[tuple[str, str, int]], budget: int, side: str
) -> None:
    model = model_of(name)
    slot = model.arch.down(1)
    changes = [
        None,
        under(low_rank(slot, 1)),
        under(low_rank(slot, 3, rank=3), low_rank(model.arch.down(0), 5)),
        under(op(model, "resid_post", 0, "add", 7, Positions("last_prompt"), scale=2.0)),
    ]
    full = [ScoreAsk(p, c, changes[n]) for p, c, n in asks]
    before, model.budget.tokens = model.budget.tokens, budget
    try:
        together = model.score(full)
    finally:
        model.budget.tokens = before
    jobs = [job_of(model, ask) for ask in full]
    with torch.no_grad():
        mixed = score_padded(model, jobs, [job.change for job in jobs], side=side)  # type: ignore[arg-type]
    for ask, a, b in zip(full, together, mixed, strict=True):
        [alone] = model.score([ask])
        same(a, alone)
        same(b, alone)


def test_equal_questions_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    widths: list[int] = []
    forward = model.hf.forward

    def counting(*args: object, **kwargs: object) -> object:
        widths.append(kwargs["input_ids"].shape[0])  # type: ignore[attr-defined]
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.hf, "forward", counting)
    iv = under(low_rank(model.arch.down(1), 1))
    nothing = Intervention()
    asks = [ScoreAsk("The", "Tower", c) for c in (None, iv, None, nothing, iv)]
    scored = model.score(asks)
    assert widths == [2]
    assert scored[0] == scored[2] == scored[3]
    assert scored[1] == scored[4] != scored[0]


def test_the_head_sees_only_the_positions_that_are_needed() -> None:
    model = make()
    shapes: list[tuple[int, ...]] = []
    handle = model.arch.head.register_forward_hook(
        lambda m, a, out: shapes.append(tuple(out.shape))
    )
    scored = model.score([ScoreAsk(p, c) for p, c in QUESTIONS])
    handle.remove()
    assert [n for n, *_ in shapes] == [1]
    assert shapes[0][1] == sum(len(one.token_ids) for one in scored)


def test_a_change_at_the_head_is_still_per_row() -> None:
    model = make()
    head = under(op(model, "head_in", 0, "add", 3, Positions("prompt"), scale=1.0))
    asks = [ScoreAsk(p, c, iv) for p, c in QUESTIONS for iv in (None, head)]
    for ask, one in zip(asks, model.score(asks), strict=True):
        if ask.under is None:
            assert isinstance(ask.prompt, str)
            same(one, naive(model, ask.prompt, ask.continuation))
        else:
            same(one, model.score([ask])[0])
    with model.using(head):
        whole = model.score([ScoreAsk(p, c) for p, c in QUESTIONS])
    for a, b in zip(whole, model.score([ScoreAsk(p, c, head) for p, c in QUESTIONS]), strict=True):
        same(a, b)


def test_memory_that_runs_out_halves_the_batch_and_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make()
    asks = [ScoreAsk(f"{p} {n}", c) for p, c in QUESTIONS for n in range(4)]
    expected = model.score(asks)
    forward, sizes = model.hf.forward, []

    def small(*args: object, **kwargs: object) -> object:
        ids = kwargs["input_ids"]
        sizes.append(ids.shape[0])  # type: ignore[attr-defined]
        if ids.shape[0] > 6:  # type: ignore[attr-defined]
            raise RuntimeError(
                "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"
            )
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.hf, "forward", small)
    budget = model.budget.tokens
    for a, b in zip(model.score(asks), expected, strict=True):
        same(a, b)
    assert model.budget.tokens < budget
    failed = sum(size > 6 for size in sizes)
    assert failed >= 1
    model.score(asks)
    assert sum(size > 6 for size in sizes) <= failed + 1

    def never(*args: object, **kwargs: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model.hf, "forward", never)
    with pytest.raises(NoMemory, match="does not fit in memory"):
        model.score(asks)


def test_other_failures_are_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()

    def broken(*args: object, **kwargs: object) -> object:
        raise RuntimeError("a bug")

    monkeypatch.setattr(model.hf, "forward", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        model.score([ScoreAsk("The", "Tower")])


def test_batches_keep_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    model.budget.tokens = 100
    shapes: list[tuple[int, int]] = []
    forward = model.hf.forward

    def watched(*args: object, **kwargs: object) -> object:
        shapes.append(tuple(kwargs["input_ids"].shape))  # type: ignore[attr-defined]
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.hf, "forward", watched)
    done: list[int] = []
    asks = [ScoreAsk(f"{p} {n}", c) for p, c in QUESTIONS for n in range(6)]
    model.score(asks, progress=done.append)
    assert len(shapes) > 1
    assert all(rows * width <= 100 or rows == 1 for rows, width in shapes)
    assert sum(done) == len(asks)


def test_questions_that_do_not_fit_are_named_before_and_refused() -> None:
    model = make("gpt2")
    long = "word " * 600
    cases = [
        (ScoreAsk(long, "x"), "positions for 512"),
        (GenerateAsk("The", Decoding(max_new_tokens=600)), "positions for 512"),
        (ScoreAsk("The", "x", under(PromptPrefix(long))), "positions for 512"),
        (ScoreAsk("The", " "), "adds no tokens"),
        (GenerateAsk("The", Decoding(max_new_tokens=0)), "max_new_tokens"),
        (GenerateAsk("The", Decoding(top_k=5, temperature=0.0)), "temperature"),
    ]
    for ask, why in cases:
        found = model.fits(ask)
        assert found is not None
        assert why in found
        verb = model.score if isinstance(ask, ScoreAsk) else model.generate
        with pytest.raises((BadInput, NotPossible), match=why):
            verb([ask])  # type: ignore[operator, list-item]
    assert model.fits(ScoreAsk("The", "Tower")) is None
    assert model.score([]) == []


def test_a_prompt_without_tokens_is_refused() -> None:
    model = make(kind="bytes")
    assert model.fits(ScoreAsk("", "x")) is not None


def test_prefixes_are_part_of_the_prompt() -> None:
    model = make()
    iv = under(PromptPrefix("New fact: Paris. "))
    [a, b] = model.score(
        [
            ScoreAsk("The Tower is in", "Rome", iv),
            ScoreAsk("New fact: Paris. The Tower is in", "Rome"),
        ]
    )
    assert a == b
    with model.using(iv):
        [c] = model.score([ScoreAsk("The Tower is in", "Rome")])
        assert "New fact" in model.render("The Tower is in")
    same(a, c)


def test_dropout_is_off_while_asking_and_the_mode_comes_back() -> None:
    model = make("gpt2")
    [calm] = model.score([ScoreAsk(*QUESTIONS[0])])
    model.hf.train()
    [training] = model.score([ScoreAsk(*QUESTIONS[0])])
    assert model.hf.training
    assert training == calm


def test_long_continuations_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    ask = ScoreAsk("The", " ".join(c for _, c in QUESTIONS))
    [whole] = model.score([ask])
    monkeypatch.setattr("truing.models.passes.CHUNK", 3)
    [chunked] = model.score([ask])
    same(whole, chunked)


@pytest.mark.parametrize(
    "site", ["resid_pre", "attn_out", "mlp_hidden", "mlp_out", "resid_post", "head_in"]
)
def test_hidden_reads_the_same_with_and_without_company(site: str) -> None:
    for name in ("llama", "gpt2", "opt"):
        model = model_of(name)
        prompts = [p for p, _ in QUESTIONS]
        together = model.hidden(prompts, site, 1, "all")  # type: ignore[arg-type]
        last = model.hidden(prompts, site, 1)  # type: ignore[arg-type]
        for prompt, acts_T_D, acts_D in zip(prompts, together, last, strict=True):
            [alone] = model.hidden([prompt], site, 1, "all")  # type: ignore[arg-type]
            assert alone.shape[0] == len(model.speller.prompt_ids(prompt))
            torch.testing.assert_close(acts_T_D, alone, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(acts_D, alone[-1], atol=1e-4, rtol=1e-4)


def test_hidden_of_the_last_block_gives_the_logits() -> None:
    model = model_of("llama")
    [acts] = model.hidden(["The Eiffel Tower"], "head_in", 0)
    ids = torch.tensor([model.speller.prompt_ids("The Eiffel Tower")])
    with torch.no_grad():
        torch.testing.assert_close(model.hf.lm_head(acts), model.hf(input_ids=ids).logits[0, -1])


def test_a_negative_budget_is_refused() -> None:
    hf, tok = tiny()
    with pytest.raises(BadInput, match="token_budget"):
        Model.of(hf, tok, token_budget=0)


def test_the_limit_comes_from_the_configuration() -> None:
    assert engine.max_positions(model_of("llama").hf) == 2048
    assert engine.max_positions(model_of("gpt2").hf) == 512
