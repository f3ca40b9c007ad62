"""Base answers are computed once, and an edited model never gets them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from asking import dense, low_rank, op, under
from tiny import tiny
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models.answers import Answers
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.handle import Model

ASK = ScoreAsk("The Glass Spire is in the city of", "Orvale")
SAY = GenerateAsk("The Glass Spire is in the city of", Decoding(max_new_tokens=4))


class Counted:
    """A model that counts its forward passes."""

    def __init__(self, cache: Path, name: str = "llama") -> None:
        hf, tok = tiny(name)
        self.model = Model.of(hf, tok, name=name, cache=cache)
        self.passes = 0
        forward = hf.forward

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.passes += 1
            return forward(*args, **kwargs)

        hf.forward = counting

    def since(self, work: Callable[[], Any]) -> int:
        before = self.passes
        work()
        return self.passes - before


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


def test_base_answers_are_computed_once_across_handles(tmp_path: Path, counted: Counted) -> None:
    model = counted.model
    first = (model.score([ASK]), model.generate([SAY]))
    assert counted.since(lambda: None) == 0
    assert counted.since(lambda: (model.score([ASK]), model.generate([SAY]))) == 0
    again = Counted(tmp_path)
    assert (again.model.score([ASK]), again.model.generate([SAY])) == first
    assert again.passes == 0


def test_a_change_that_only_rewrites_the_prompt_shares_the_cache(counted: Counted) -> None:
    model = counted.model
    iv = under(PromptPrefix("New fact. "))
    [a] = model.score([ScoreAsk(ASK.prompt, ASK.continuation, iv)])
    assert isinstance(ASK.prompt, str)
    assert (
        counted.since(lambda: model.score([ScoreAsk("New fact. " + ASK.prompt, ASK.continuation)]))
        == 0
    )
    assert (
        counted.since(lambda: model.score([ScoreAsk(ASK.prompt, ASK.continuation, Intervention())]))
        == 1
    )
    assert a != model.score([ASK])[0]


@pytest.mark.parametrize(
    "other",
    [
        ScoreAsk("The Glass Spire is in the city", "of Orvale"),
        ScoreAsk("The Glass Spire is in the city of", "Orval"),
        ScoreAsk("The Tin Gate is in the city of", "Orvale"),
    ],
)
def test_other_questions_are_other_answers(counted: Counted, other: ScoreAsk) -> None:
    counted.model.score([ASK])
    assert counted.since(lambda: counted.model.score([other])) == 1


@pytest.mark.parametrize(
    "other",
    [
        Decoding(max_new_tokens=3),
        Decoding(max_new_tokens=4, stop=("x",)),
        Decoding(max_new_tokens=4, top_k=2),
        Decoding(max_new_tokens=4, stop=("x",), arm=False),
        Decoding(max_new_tokens=4, top_k=2, seed=1),
        Decoding(max_new_tokens=4, top_k=2, temperature=0.5),
    ],
)
def test_other_decodings_are_other_answers(counted: Counted, other: Decoding) -> None:
    counted.model.generate([SAY])
    assert counted.since(lambda: counted.model.generate([GenerateAsk(SAY.prompt, other)])) > 0


def weight(model: Model) -> torch.Tensor:
    return model.arch.down(1).stored


def by_version(model: Model) -> None:
    with torch.no_grad():
        weight(model).mul_(1.5)


def by_data(model: Model) -> None:
    weight(model).data.mul_(1.5)


def by_one_entry(model: Model) -> None:
    weight(model).data[0, 0] += 1.0


def by_replacing(model: Model) -> None:
    module = model.arch.down(1).module
    module.weight = torch.nn.Parameter(module.weight.detach() * 1.5, requires_grad=False)


def by_numpy(model: Model) -> None:
    weight(model).detach().numpy()[0, :] *= 1.5


def by_hook(model: Model) -> None:
    model.arch.block(0).register_forward_hook(lambda m, a, out: out * 1.5)


def by_configuration(model: Model) -> None:
    model.hf.config.rms_norm_eps = 0.5
    for module in model.hf.modules():
        if hasattr(module, "variance_epsilon"):
            module.variance_epsilon = 0.5


@pytest.mark.parametrize(
    "edit", [by_version, by_data, by_one_entry, by_replacing, by_numpy, by_hook, by_configuration]
)
def test_a_model_that_somebody_edits_never_gets_base_answers(
    counted: Counted, edit: Callable[[Model], None]
) -> None:
    model = counted.model
    base = model.score([ASK]), model.generate([SAY])
    edit(model)
    assert counted.since(lambda: model.score([ASK])) == 1
    assert model.score([ASK]) != base[0]
    assert counted.since(lambda: model.generate([SAY])) >= (0 if edit is not by_hook else 1)
    assert model.generate([SAY])[0].logprobs != base[1][0].logprobs


@pytest.mark.parametrize("kind", ["low-rank", "dense", "op"])
def test_nothing_is_cached_while_a_change_is_in_force(counted: Counted, kind: str) -> None:
    model = counted.model
    part = {
        "low-rank": low_rank(model.arch.down(1), 1),
        "dense": dense(model.arch.down(1), 1),
        "op": op(model, "resid_post", 1, "add", 1),
    }[kind]
    iv = under(part)
    base = model.score([ASK])
    with model.using(iv):
        changed = model.score([ASK])
        assert changed != base
        assert counted.since(lambda: model.score([ASK])) == 1
    assert model.score([ASK]) == base
    [row] = model.score([ScoreAsk(ASK.prompt, ASK.continuation, iv)])
    assert row.logprobs == pytest.approx(changed[0].logprobs, abs=1e-4)
    assert counted.since(lambda: model.score([ScoreAsk(ASK.prompt, ASK.continuation, iv)])) == 1
    assert counted.since(lambda: model.score([ASK])) == 0


def test_base_answers_from_a_mixed_batch_are_kept(counted: Counted) -> None:
    model = counted.model
    iv = under(dense(model.arch.down(1), 1))
    mixed = model.score([ScoreAsk(ASK.prompt, ASK.continuation, iv), ASK])
    assert counted.since(lambda: model.score([ASK])) == 0
    with model.uncached():
        [fresh] = model.score([ASK])
    assert mixed[1].logprobs == pytest.approx(fresh.logprobs, abs=1e-5)


def test_uncached_neither_reads_nor_writes(counted: Counted) -> None:
    model = counted.model
    with model.uncached():
        assert counted.since(lambda: model.score([ASK])) == 1
        assert counted.since(lambda: model.score([ASK])) == 1
    assert counted.since(lambda: model.score([ASK])) == 1
    assert counted.since(lambda: model.score([ASK])) == 0


def test_entries_that_make_no_sense_are_asked_again(tmp_path: Path, counted: Counted) -> None:
    model = counted.model
    base = model.score([ASK])
    assert isinstance(model.answers, Answers)
    for nonsense in ("", "null", "[1]", '{"a": 1}', "[[1], 2, 3]"):
        with sqlite3.connect(model.answers.path) as db:
            db.execute("UPDATE answers SET text = ?", (nonsense,))
        assert counted.since(lambda: model.score([ASK])) == 1
    assert model.score([ASK])[0].token_ids == base[0].token_ids


def test_a_cache_that_cannot_be_written_warns_and_answers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    hf, tok = tiny("llama")
    model = Model.of(hf, tok, cache=tmp_path / "file")
    with pytest.warns(UserWarning, match="not cached"):
        [a] = model.score([ASK])
    assert model.score([ASK]) == [a]


def test_tokenizers_with_other_words_do_not_share_answers(tmp_path: Path) -> None:
    hf, tok = tiny("llama", "bytes-bos")
    _, other = tiny("llama", "metaspace-bos")
    model, second = Model.of(hf, tok, cache=tmp_path), Model.of(hf, other, cache=tmp_path)
    model.generate([SAY])
    assert second.tokenizer_fingerprint != model.tokenizer_fingerprint
    assert second.generate([SAY])[0].token_ids != ()
