"""The decode loop: what it writes depends on the row alone, and it stops where it should."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asking import low_rank, make, op, under
from tiny import CONFIGS, MOE
from truing.models.asks import Decoding, GenerateAsk, Generated, ScoreAsk
from truing.models.engine import Job, job_of
from truing.models.generate import Writer, generate_batch, stop_at
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.models.score import score_padded
from truing.models.spans import Span

EVERY = (*CONFIGS, *MOE)
PROMPTS = [
    "The Glass Spire is in the city of",
    "Who",
    "Mara Velt's mother tongue is Ostrian; the mother tongue of Danielle Darrieux is",
    "Yes. No. Yes.",
]
TEN = Decoding(max_new_tokens=10)


@lru_cache(maxsize=8)
def model_of(name: str, kind: str = "bytes-bos") -> Model:
    return make(name, kind)


def naive(model: Model, prompt: str, decoding: Decoding) -> Generated:
    """Greedy, one row, no cache, no padding."""
    ids = list(model.speller.prompt_ids(prompt))
    said: list[int] = []
    logprobs: list[float] = []
    with torch.no_grad():
        while len(said) < decoding.max_new_tokens:
            logits = model.hf(input_ids=torch.tensor([ids + said])).logits[0, -1].float()
            said.append(int(logits.argmax()))
            logprobs.append(float(logits.log_softmax(0)[said[-1]]))
            if said[-1] in model.stop_ids:
                return Generated(
                    model.speller.decode(said[:-1]), tuple(said), tuple(logprobs), "eos"
                )
    return Generated(model.speller.decode(said), tuple(said), tuple(logprobs), "length")


def same(a: Generated, b: Generated) -> None:
    assert a.token_ids == b.token_ids
    assert (a.text, a.stop) == (b.text, b.stop)
    assert a.logprobs == pytest.approx(b.logprobs, abs=1e-3)


@pytest.mark.parametrize("name", EVERY)
def test_a_padded_cached_batch_writes_what_a_single_uncached_row_writes(name: str) -> None:
    model = model_of(name)
    lengths = [10, 3, 7, 10]
    asks = [
        GenerateAsk(prompt, Decoding(max_new_tokens=n))
        for prompt, n in zip(PROMPTS, lengths, strict=True)
    ]
    for ask, written in zip(asks, model.generate(asks), strict=True):
        assert isinstance(ask.prompt, str)
        same(written, naive(model, ask.prompt, ask.decoding))


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "gemma2", "gpt_neox", "falcon"])
def test_with_and_without_a_cache(name: str) -> None:
    model = model_of(name)
    asks = [
        GenerateAsk(p, Decoding(max_new_tokens=4 + 2 * n), iv)
        for n, p in enumerate(PROMPTS)
        for iv in (
            None,
            under(low_rank(model.arch.down(1), n)),
            under(op(model, "resid_post", 1, "add", n, Positions("generation"), scale=2.0)),
            under(op(model, "mlp_hidden", 0, "ablate", n, Positions("last_prompt"), 48)),
        )
    ]
    jobs = [job_of(model, ask) for ask in asks]
    changes = [job.change for job in jobs]
    with torch.no_grad():
        cached = generate_batch(model, jobs, changes)
        uncached = generate_batch(model, jobs, changes, cached=False)
    for a, b in zip(cached, uncached, strict=True):
        same(a, b)


@pytest.mark.parametrize("kind", ["all", "prompt", "generation", "last_prompt", "window", "tokens"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_scoring_what_was_written_gives_the_log_probs_it_was_written_with(
    name: str, kind: str
) -> None:
    model = model_of(name, "bytes-bos")
    positions = {
        "window": Positions("window", start=-2, stop=12),
        "tokens": Positions("tokens", ids=(20, 21, 22, 50, 60)),
    }.get(kind, Positions(kind))  # type: ignore[arg-type]
    change = under(
        op(model, "resid_post", 0, "add", 3, positions, scale=1.5),
        op(model, "mlp_out", 1, "ablate", 4, positions),
        op(model, "resid_pre", 2, "clamp", 5, positions, low=-0.1, high=0.1),
    )
    for prompt in PROMPTS:
        [written] = model.generate([GenerateAsk(prompt, replace(TEN, max_new_tokens=6), change)])
        ids = tuple(model.speller.prompt_ids(prompt))
        job = Job(Span(ids + written.token_ids, len(ids)), change)
        with torch.no_grad():
            for side in ("left", "right"):
                [scored] = score_padded(model, [job], [change], side=side)  # type: ignore[arg-type]
                assert scored.predicted == written.token_ids
                assert scored.logprobs == pytest.approx(written.logprobs, abs=1e-3)


WORDS = st.lists(
    st.sampled_from(["The", "Glass", "Spire", "is", "in", "Orvale.", "Yes", "No?", "tongue"]),
    min_size=1,
    max_size=9,
).map(" ".join)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "opt"])
@settings(max_examples=8, deadline=None)
@given(
    asks=st.lists(
        st.tuples(WORDS, st.integers(1, 12), st.sampled_from([0, 1, 3, 20]), st.integers(0, 3)),
        min_size=1,
        max_size=7,
    ),
    budget=st.sampled_from([1, 60, 4096]),
)
def test_company_changes_nothing_sampling_included(
    name: str, asks: list[tuple[str, int, int, int]], budget: int
) -> None:
    model = model_of(name)
    changes = [
        None,
        under(low_rank(model.arch.down(1), 1, size=0.5)),
        under(low_rank(model.arch.down(1), 5, size=0.5), low_rank(model.arch.down(0), 9, rank=2)),
        under(op(model, "resid_post", 1, "add", 7, Positions("generation"))),
    ]
    full = [
        GenerateAsk(p, Decoding(max_new_tokens=n, top_k=k, seed=n, temperature=1.3), changes[c])
        for p, n, k, c in asks
    ]
    before, model.budget.tokens = model.budget.tokens, budget
    try:
        together = model.generate(full)
    finally:
        model.budget.tokens = before
    for ask, written in zip(full, together, strict=True):
        same(written, model.generate([ask])[0])


def test_seeds_decide_samples() -> None:
    model = model_of("llama")

    def say(seed: int) -> tuple[int, ...]:
        decoding = Decoding(max_new_tokens=12, top_k=50, seed=seed, temperature=2.0)
        return model.generate([GenerateAsk(PROMPTS[0], decoding)])[0].token_ids

    assert say(1) == say(1)
    assert len({say(seed) for seed in range(5)}) > 1


def test_sampling_follows_the_distribution_of_the_top_k() -> None:
    model = model_of("llama")
    prompt, k, temperature = PROMPTS[0], 4, 2.0
    ids = torch.tensor([model.speller.prompt_ids(prompt)])
    with torch.no_grad():
        values, top = (model.hf(input_ids=ids).logits[0, -1] / temperature).topk(k)
    wanted = dict(zip(top.tolist(), values.softmax(0).tolist(), strict=True))
    n = 600
    asks = [
        GenerateAsk(prompt, Decoding(max_new_tokens=1, top_k=k, temperature=temperature, seed=s))
        for s in range(n)
    ]
    first = [one.token_ids[0] for one in model.generate(asks)]
    assert set(first) <= set(wanted)
    for token, probability in wanted.items():
        spread = 4 * (probability * (1 - probability) / n) ** 0.5
        assert first.count(token) / n == pytest.approx(probability, abs=spread)


def test_rows_leave_the_batch_when_they_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    sizes: list[int] = []
    forward = model.hf.forward

    def watched(*args: object, **kwargs: object) -> object:
        sizes.append(kwargs["input_ids"].shape[0])  # type: ignore[attr-defined]
        return forward(*args, **kwargs)

    monkeypatch.setattr(model.hf, "forward", watched)
    asks = [GenerateAsk(PROMPTS[0] + " x" * n, Decoding(max_new_tokens=n)) for n in range(1, 9)]
    model.generate(asks)
    assert sizes[0] == 8
    assert sizes[-1] <= 2
    assert len(sizes) <= 8


def test_stop_strings_end_an_answer_and_are_cut_off() -> None:
    model = model_of("llama")
    [free] = model.generate([GenerateAsk(PROMPTS[0], Decoding(max_new_tokens=20))])
    text = free.text
    at = next(i for i in range(4, len(text) - 3) if not text[i : i + 2].isspace())
    stop = text[at : at + 2]
    first = text.find(stop, len(text) - len(text.lstrip()))
    [stopped] = model.generate([GenerateAsk(PROMPTS[0], Decoding(max_new_tokens=20, stop=(stop,)))])
    assert stopped.stop == "stop"
    assert stopped.text == text[:first]
    assert stopped.token_ids == free.token_ids[: len(stopped.token_ids)]
    assert len(stopped.token_ids) == len(stopped.logprobs) < len(free.token_ids)
    [other] = model.generate(
        [GenerateAsk(PROMPTS[0], Decoding(max_new_tokens=20, stop=("not in there at all",)))]
    )
    assert (other.text, other.stop) == (free.text, "length")


def test_an_end_of_turn_ends_an_answer_and_is_not_in_its_text() -> None:
    model = make("llama")
    [free] = model.generate([GenerateAsk(PROMPTS[0], TEN)])
    at = 4
    model.stop_ids = frozenset({free.token_ids[at]})
    first = free.token_ids.index(free.token_ids[at])
    [ended] = model.generate([GenerateAsk(PROMPTS[0], TEN)])
    assert ended.stop == "eos"
    assert ended.token_ids == free.token_ids[: first + 1]
    assert ended.text == model.speller.decode(free.token_ids[:first])


@pytest.mark.parametrize(
    ("text", "stop", "arm", "at"),
    [
        ("Paris\nQ:", ("\n",), True, 5),
        ("\nParis\n", ("\n",), True, 6),
        ("\nParis\n", ("\n",), False, 0),
        (" \n ", ("\n",), True, None),
        ("a. b! c", ("!", "."), True, 1),
        ("Q: x", ("Q:",), True, 0),
        ("none", ("x",), True, None),
        ("none", ("",), True, None),
        ("none", (), True, None),
    ],
)
def test_where_a_stop_string_begins(
    text: str, stop: tuple[str, ...], arm: bool, at: int | None
) -> None:
    assert stop_at(text, stop, arm) == at


def test_a_stop_string_may_spread_over_tokens_and_characters_over_several() -> None:
    model = model_of("llama")
    for wanted in ("Orvale. Yes no", "— thank — you"):
        ids = model.tok(wanted, add_special_tokens=False)["input_ids"]
        writer = Writer(model, Decoding(max_new_tokens=50, stop=(" Yes", " — you")))
        for token in ids:
            if writer.stop:
                break
            writer.add(token, -1.0)
        assert writer.stop == "stop"
        assert writer.text in ("Orvale.", "— thank")


@pytest.mark.parametrize("kind", ["bytes-bos", "metaspace-bos"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_looking_only_where_a_stop_string_may_end_finds_all(kind: str, data: st.DataObject) -> None:
    model = model_of("llama", kind)
    ids = data.draw(st.lists(st.integers(3, len(model.tok) - 1), min_size=1, max_size=12))
    text = model.speller.decode(ids)
    low = data.draw(st.integers(0, len(text)))
    stop = text[low : low + data.draw(st.integers(1, 3))] or "x"
    assume("\ufffd" not in stop)
    arm = data.draw(st.booleans())
    writer = Writer(model, Decoding(max_new_tokens=99, stop=(stop, "\n"), arm=arm))
    wanted = None
    for n, token in enumerate(ids, 1):
        so_far = model.speller.decode(ids[:n])
        at = stop_at(so_far, (stop, "\n"), arm)
        writer.add(token, -1.0)
        if at is not None:
            wanted = so_far[:at]
            break
    if wanted is None:
        assert writer.stop in ("", "eos")
    else:
        assert (writer.stop, writer.text) == ("stop", wanted)


def test_decoding_near_the_last_position_works_in_mixed_company() -> None:
    model = make("gpt2")
    long = "Yes " * 480
    n = len(model.speller.prompt_ids(long))
    asks = [
        GenerateAsk(long, Decoding(max_new_tokens=512 - n)),
        GenerateAsk("No", Decoding(max_new_tokens=60)),
    ]
    together = model.generate(asks)
    assert len(together[0].token_ids) == 512 - n or together[0].stop == "eos"
    for ask, one in zip(asks, together, strict=True):
        same(one, model.generate([ask])[0])
    model.score([ScoreAsk("No", "Yes")])
