"""One step of an untrained MEND editor: it goes down, on normalised factors, however weights are stored."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_mend import A, B, fresh, nll, slots_of
from torch import Tensor, nn

from asking import NOWHERE, make
from tiny import tiny
from truing.methods.kernels.gradient_factors import gradient_factors
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.mend_editor import Editor
from truing.models.handle import Model


def seen(model: Model, lines: list[Line], alpha: float) -> Editor:
    """An untrained editor whose normalisers know the tokens of ``lines``."""
    editor = fresh(model)
    for signals in gradient_factors(model, slots_of(model), lines):
        for number, each in enumerate(signals):
            editor.observe(number, each.inputs_R_F, each.grads_R_D)
    with torch.no_grad():
        editor.alpha.fill_(alpha)
    return editor


def deltas(model: Model, editor: Editor, line: Line) -> list[Tensor]:
    [signals] = gradient_factors(model, slots_of(model), [line])
    pairs = [editor(n, each.inputs_R_F, each.grads_R_D) for n, each in enumerate(signals)]
    return [(left.T @ right).detach() for left, right in pairs]


def after(model: Model, line: Line, changes: list[Tensor]) -> float:
    """The NLL of ``line`` once ``changes`` are in the weights; the weights are put back."""
    slots = slots_of(model)
    kept = [slot.stored.clone() for slot in slots]
    with torch.no_grad():
        for slot, delta in zip(slots, changes, strict=True):
            slot.stored.add_(slot.to_stored(delta))
        found = float(nll(model, line))
        for slot, stored in zip(slots, kept, strict=True):
            slot.stored.copy_(stored)
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3", "opt"])
def test_a_step_on_normalised_factors_lowers_the_loss_and_its_opposite_raises_it(
    family: str,
) -> None:
    model = make(family)
    lines = [answer_line(model.speller, request) for request in (A, B)]
    editor = seen(model, lines, alpha=1e-5)
    for line in lines:
        step = deltas(model, editor, line)
        before = after(model, line, [torch.zeros_like(delta) for delta in step])
        assert after(model, line, step) < before - 1e-4
        assert after(model, line, [-delta for delta in step]) > before + 1e-4


def test_how_a_matrix_is_stored_does_not_matter() -> None:
    """GPT-2's own modules hold the transposed matrix; as linear ones they get the same edit."""
    hf, tok = tiny("gpt2")
    turned, _ = tiny("gpt2")
    for block in turned.transformer.h:
        block.mlp.c_fc, block.mlp.c_proj = linear(block.mlp.c_fc), linear(block.mlp.c_proj)
    own, other = (Model.of(each, tok, name="gpt2", cache=NOWHERE) for each in (hf, turned))
    assert [s.transposed for s in slots_of(own)] == [not s.transposed for s in slots_of(other)]
    line = answer_line(own.speller, A)
    one, two = (deltas(model, seen(model, [line], alpha=1e-3), line) for model in (own, other))
    for a, b in zip(one, two, strict=True):
        assert float(a.abs().max()) > 1e-3
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5)
    assert after(own, line, one) == pytest.approx(after(other, line, two), abs=1e-4)


def linear(conv: Any) -> nn.Linear:
    d_in, d_out = conv.weight.shape
    made = nn.Linear(d_in, d_out)
    with torch.no_grad():
        made.weight.copy_(conv.weight.T)
        made.bias.copy_(conv.bias)
    return made.requires_grad_(False)
