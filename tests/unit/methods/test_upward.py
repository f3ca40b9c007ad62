"""Passes that are cut short give what whole passes give, and leave no trace."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from asking import make
from tiny import CONFIGS, MOE, TOKENIZERS
from truing.methods.kernels.capture import Place
from truing.methods.kernels.lines import Line, essence_line, target_line
from truing.methods.kernels.upward import Upward, Whole, best_passes, frozen
from truing.models.handle import Model
from truing.models.passes import evaluating
from truing.types import EditRequest

REQUESTS = (
    EditRequest("a", "The Glass Spire is in the city of", "Marrow Fell", subject="Glass Spire"),
    EditRequest("b", "Orvale lies by", "Paris", subject="Orvale"),
)


def lines_of(model: Model) -> list[Line]:
    """Rows of unequal length; for tokenizers without BOS some subjects are the first token."""
    return [
        line
        for request in REQUESTS
        for line in (
            target_line(model.speller, request),
            target_line(model.speller, request, "Yes, it was so. "),
            essence_line(model.speller, request),
        )
    ]


def firsts(lines: Sequence[Line]) -> list[int]:
    return [line.at for line in lines]


@pytest.mark.parametrize("family", [*CONFIGS, *MOE])
@pytest.mark.parametrize("start", [0, 1, 3])
def test_every_family_can_be_cut_short(family: str, start: int) -> None:
    model = make(family)
    lines = lines_of(model)
    with evaluating(model.hf):
        want = Whole(model, lines).logits()
        got = Upward(model, lines, firsts(lines), start).logits()
    assert torch.allclose(got, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))
    assert isinstance(best_passes(model, lines, firsts(lines), start)[0], Upward)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_subjects_at_the_very_start(kind: str) -> None:
    model = make("llama", kind)
    lines = lines_of(model)
    with evaluating(model.hf):
        want = Whole(model, lines).logits()
        got = Upward(model, lines, firsts(lines), 1).logits()
    assert torch.allclose(got, want, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "gptj"])
@pytest.mark.parametrize(("site", "start"), [("mlp_out", 1), ("resid_post", 2)])
def test_gradients_at_the_subject_are_the_same(family: str, site: str, start: int) -> None:
    model = make(family)
    lines = lines_of(model)
    grads = []
    for passes in (Whole(model, lines), Upward(model, lines, firsts(lines), start)):
        push = torch.zeros(len(lines), model.arch.d_model, requires_grad=True)

        def add(
            acts: torch.Tensor, passes: Whole | Upward = passes, push: torch.Tensor = push
        ) -> torch.Tensor:
            return acts.index_put((torch.arange(len(lines)), passes.at_B), push, accumulate=True)

        with frozen(model.hf), Place(site, 1).hook(model).register(add):  # type: ignore[arg-type]
            loss = passes.logits().log_softmax(-1)[:, 7].sum()
        grads.append(torch.autograd.grad(loss, push)[0])
    assert grads[0].abs().max() > 0
    assert torch.allclose(grads[0], grads[1], rtol=1e-3, atol=1e-4 * float(grads[0].abs().max()))


def test_rows_can_leave() -> None:
    model = make("llama")
    lines = lines_of(model)
    for passes in (Whole(model, lines), Upward(model, lines, firsts(lines), 1)):
        rows = [1, 4, 5]
        passes.keep(rows)
        with evaluating(model.hf):
            want = Whole(model, [lines[row] for row in rows]).logits()
            assert torch.allclose(passes.logits(), want, rtol=1e-4, atol=1e-3)


def test_the_model_is_left_as_it_was() -> None:
    model = make("llama")
    lines = lines_of(model)
    trainable = [p.requires_grad_(True) for p in model.hf.parameters()]
    before = [dict(vars(model.arch.block(layer))) for layer in range(3)]
    passes, _ = best_passes(model, lines, firsts(lines), 2)
    with frozen(model.hf):
        passes.logits()
        assert not any(p.requires_grad for p in trainable)
    assert all(p.requires_grad for p in trainable)
    assert [dict(vars(model.arch.block(layer))).keys() for layer in range(3)] == [
        each.keys() for each in before
    ]
    with pytest.raises(ZeroDivisionError), frozen(model.hf):
        _ = 1 / 0
    assert all(p.requires_grad for p in trainable)


def test_somebody_elses_hooks_mean_whole_passes() -> None:
    model = make("llama")
    lines = lines_of(model)
    handle = model.arch.block(0).register_forward_hook(lambda module, args, out: out * 1.5)
    passes, want = best_passes(model, lines, firsts(lines), 1)
    assert isinstance(passes, Whole)
    with evaluating(model.hf):
        assert torch.equal(passes.logits(), want)
    handle.remove()
    assert isinstance(best_passes(model, lines, firsts(lines), 1)[0], Upward)


def test_a_shortcut_that_is_off_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    lines = lines_of(model)
    right = Upward.logits
    monkeypatch.setattr(Upward, "logits", lambda self: right(self) * 1.01)
    assert isinstance(best_passes(model, lines, firsts(lines), 1)[0], Whole)
    monkeypatch.setattr(Upward, "logits", lambda self: 1 / 0)
    assert isinstance(best_passes(model, lines, firsts(lines), 1)[0], Whole)
