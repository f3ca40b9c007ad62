"""Codebooks: decided at the last prompt token, row by row, the same with and without a cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asking import make
from truing.errors import BadInput, CannotLoad
from truing.interventions.artifact import load
from truing.interventions.intervention import Codebook, Intervention
from truing.interventions.lookups import find
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.handle import Model

PROMPTS = ("The Glass Spire is in the city of", "Mara Velt's mother tongue is", "It was so that")
TARGET = "Marrow"


def last_inputs(model: Model, layer: int, prompt: str) -> Tensor:
    """What meets the down projection at the last prompt token."""
    seen: list[Tensor] = []
    handle = model.arch.down(layer).module.register_forward_hook(
        lambda module, args, output: seen.append(args[0].reshape(-1, args[0].shape[-1])[-1])
    )
    with torch.no_grad():
        model.hf(input_ids=torch.tensor([model.speller.prompt_ids(prompt)]))
    handle.remove()
    return seen[0].float()


def book(model: Model, prompt: str, radius: float = 1e-2, seed: int = 0) -> Intervention:
    slot = model.arch.down(1)
    generator = torch.Generator().manual_seed(seed)
    value = 3 * torch.randn(1, slot.d_out, generator=generator)
    key = last_inputs(model, 1, prompt)[None]
    return Intervention((Codebook(slot.param, key, value, torch.tensor([radius])),))


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "phi3"])
def test_only_the_prompt_that_hits_is_answered_otherwise(family: str) -> None:
    model = make(family)
    iv = book(model, PROMPTS[0])
    plain = model.score([ScoreAsk(p, TARGET) for p in PROMPTS])
    under = model.score([ScoreAsk(p, TARGET, iv) for p in PROMPTS])
    assert plain[0].logprob != pytest.approx(under[0].logprob, abs=1e-3)
    for one, other in zip(plain[1:], under[1:], strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_rows_with_books_of_their_own_share_a_batch() -> None:
    model = make("llama")
    books = [book(model, prompt, seed=number) for number, prompt in enumerate(PROMPTS)]
    asks = [ScoreAsk(p, TARGET, iv) for p, iv in zip(PROMPTS, books, strict=True)]
    mixed = model.score([*asks, *(ScoreAsk(p, TARGET) for p in PROMPTS)])
    alone = []
    for prompt, iv in zip(PROMPTS, books, strict=True):
        with model.using(iv):
            alone += model.score([ScoreAsk(prompt, TARGET)])
    for one, other in zip(mixed, alone, strict=False):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_generation_with_a_cache_is_generation_without() -> None:
    """The published rule asks again at every step; here the last prompt token decides alone."""
    model = make("llama")
    iv = book(model, PROMPTS[0], radius=1e6)  # everything hits: later tokens would, if asked
    decoding = Decoding(max_new_tokens=6)
    told = model.generate([GenerateAsk(PROMPTS[0], decoding, iv)])[0]
    greedy = uncached(model, iv, PROMPTS[0], len(told.token_ids))
    assert greedy == list(told.token_ids)


def uncached(
    model: Model, iv: Intervention, prompt: str, steps: int, *, all_new: bool = False
) -> list[int]:
    """Greedy answers by whole passes in which the output of the last prompt token is replaced (with
    ``all_new`` that of every token from there on)."""
    [part] = iv.codebooks
    ids = list(model.speller.prompt_ids(prompt))
    first, found = len(ids) - 1, []
    at = slice(first, None) if all_new else first

    def put(module: object, args: object, output: Tensor) -> Tensor:
        output = output.clone()
        output.view(-1, output.shape[-1])[at] = part.values[0].to(output.dtype)
        return output

    handle = model.arch.down(1).module.register_forward_hook(put)
    with torch.no_grad():
        for _ in range(steps):
            ids.append(int(model.hf(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
            found.append(ids[-1])
    handle.remove()
    return found


def test_the_nearest_entry_within_its_radius_answers() -> None:
    keys = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    radii = torch.tensor([1.0, 2.5])
    asked = torch.tensor([[1.0, 0.0], [1.1, 0.0], [1.6, 0.0], [9.0, 0.0]])
    at, hit = find(keys, radii, asked)
    assert at.tolist() == [0, 0, 1, 1]
    assert hit.tolist() == [True, False, True, False]


def test_a_book_survives_saving_and_is_refused_elsewhere(tmp_path: Path) -> None:
    model = make("llama")
    iv = book(model, PROMPTS[0])
    iv.save(str(tmp_path / "iv"))
    again = load(tmp_path / "iv", model)
    assert again.id == iv.id
    assert torch.equal(again.codebooks[0].values, iv.codebooks[0].values)
    with pytest.raises(CannotLoad):
        load(tmp_path / "iv", make("gpt2"), allow_other_base=True)


def test_numbers_that_do_not_belong_together_are_refused() -> None:
    keys, values = torch.zeros(2, 3), torch.zeros(2, 4)
    with pytest.raises(BadInput, match="do not belong together"):
        Codebook("w", keys, values, torch.zeros(3))
    with pytest.raises(BadInput, match="not finite"):
        Codebook("w", keys, values * float("nan"), torch.zeros(2))


def test_a_book_for_other_widths_is_told() -> None:
    model = make("llama")
    slot = model.arch.down(1)
    wrong = Intervention(
        (Codebook(slot.param, torch.zeros(1, 3), torch.zeros(1, 4), torch.ones(1)),)
    )
    with pytest.raises(BadInput, match="the codebook maps 3 to 4 features"):
        model.score([ScoreAsk(PROMPTS[0], TARGET, wrong)])


def test_as_published_every_written_token_is_looked_up_too() -> None:
    """With a cache published code asks about each new token: here everything hits, and every token's
    output is replaced, which whole passes that replace from the last prompt token on repeat."""
    model = make("llama")
    [part] = book(model, PROMPTS[0], radius=1e6).codebooks
    again = Intervention((replace(part, decides="each-pass"),))
    once = Intervention((part,))
    decoding = Decoding(max_new_tokens=6)
    told = model.generate([GenerateAsk(p, decoding, again) for p in PROMPTS])
    for prompt, each in zip(PROMPTS, told, strict=True):
        assert list(each.token_ids) == uncached(model, again, prompt, 6, all_new=True)
    assert (
        told[0].token_ids != model.generate([GenerateAsk(PROMPTS[0], decoding, once)])[0].token_ids
    )


def test_as_published_teacher_forcing_asks_about_the_prompt_alone() -> None:
    model = make("llama")
    [part] = book(model, PROMPTS[0], radius=1e6).codebooks
    again, once = (Intervention((replace(part, decides=d),)) for d in ("each-pass", "once"))
    asks = [(p, t) for p in PROMPTS[:1] for t in (TARGET, "Paris and London", "x")]
    for one, other in zip(
        model.score([ScoreAsk(p, t, again) for p, t in asks]),
        model.score([ScoreAsk(p, t, once) for p, t in asks]),
        strict=True,
    ):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_the_rule_is_part_of_what_is_saved(tmp_path: Path) -> None:
    model = make("llama")
    once = book(model, PROMPTS[0])
    again = Intervention((replace(once.codebooks[0], decides="each-pass"),))
    assert once.id != again.id
    again.save(str(tmp_path / "iv"))
    assert load(tmp_path / "iv", model).codebooks[0].decides == "each-pass"
