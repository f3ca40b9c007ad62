"""Causal tracing: what restoring must and cannot do, and that batches do not matter."""

from __future__ import annotations

import pytest
import torch

from asking import make
from truing.errors import BadInput, BadRequest
from truing.methods.tracing import ROLES, Noise, Question, averaged, rows_of, trace
from truing.models.handle import Model

QUESTION = Question("The Glass Spire is in the city of", "Glass Spire")
FEW = Noise(samples=3)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "gemma2", "opt"])
def test_the_last_state_of_the_last_token_decides(family: str) -> None:
    """Put back there, the answer is as it was; anywhere else at the top, nothing comes back."""
    found = trace(make(family), QUESTION, kinds=["state"], noise=FEW)
    top = found.restored["state"][:, -1]
    assert float(top[-1]) == pytest.approx(found.clean, rel=1e-4)
    assert torch.allclose(top[:-1], torch.full_like(top[:-1], found.corrupted), rtol=1e-4)
    assert found.corrupted != pytest.approx(found.clean, rel=1e-6)


def test_tokens_before_the_subject_carry_nothing() -> None:
    found = trace(make("llama"), QUESTION, noise=FEW)
    start, stop = found.subject
    assert "".join(found.tokens[start:stop]).strip() == "Glass Spire"
    for kind in found.restored:
        effects = found.effects(kind)[:start]
        assert torch.allclose(effects, torch.zeros_like(effects), atol=1e-6)


def test_batches_do_not_matter() -> None:
    model = make("llama")
    whole = trace(model, QUESTION, noise=FEW)
    model.budget.tokens = 1
    small = trace(model, QUESTION, noise=FEW)
    for kind, values in whole.restored.items():
        assert torch.allclose(values, small.restored[kind], rtol=1e-4, atol=1e-7)


def test_the_same_seed_is_the_same_noise() -> None:
    model = make("llama")
    one, again, other = (
        trace(model, QUESTION, kinds=["mlp"], noise=Noise(samples=2, seed=seed))
        for seed in (0, 0, 1)
    )
    assert one.corrupted == again.corrupted
    assert one.corrupted != other.corrupted


def test_a_window_over_all_layers_restores_more_than_one_layer() -> None:
    model = make("llama")
    narrow = trace(model, QUESTION, kinds=["mlp"], window=1, noise=FEW).restored["mlp"]
    wide = trace(model, QUESTION, kinds=["mlp"], window=2 * model.arch.n_layers, noise=FEW)
    values = wide.restored["mlp"]
    assert torch.allclose(values, values[:, :1].expand_as(values), rtol=1e-4)
    assert not torch.allclose(narrow, values, rtol=1e-4)


def test_progress_counts_the_rows_that_were_announced() -> None:
    model, seen = make("llama"), []
    trace(model, QUESTION, noise=FEW, progress=seen.append)
    assert sum(seen) == rows_of(model, QUESTION, kinds=3, samples=3)


def test_roles_share_out_the_tokens_and_are_averaged_per_prompt() -> None:
    model = make("llama")
    traces = [trace(model, QUESTION, kinds=["state"], noise=FEW)]
    traces.append(
        trace(model, Question("Mara Velt's tongue is", "Mara Velt"), kinds=["state"], noise=FEW)
    )
    means = averaged(traces, "state")
    assert list(means) == [role for role in ROLES if role in means]
    last = torch.stack([each.effects("state")[-1] for each in traces]).mean(0)
    assert torch.allclose(means["last"], last)
    for each in traces:
        roles = [each.role(token) for token in range(len(each.tokens))]
        assert roles[-1] == "last"
        assert roles.count("last subject") == 1


def test_an_answer_can_be_given() -> None:
    model: Model = make("llama")
    given = trace(
        model, Question(QUESTION.prompt, QUESTION.subject, "Marrow"), kinds=["mlp"], noise=FEW
    )
    assert given.answer
    assert "Marrow".startswith(given.answer)


def test_what_cannot_be_traced_is_told() -> None:
    with pytest.raises(BadRequest, match="is not in"):
        trace(make("llama"), Question("It is in", "Glass Spire"))
    with pytest.raises(BadRequest, match="is 2 times"):
        trace(make("llama"), Question("Spire and Spire are in", "Spire"))
    with pytest.raises(BadInput, match="noise"):
        trace(make("llama"), QUESTION, noise=Noise(samples=0))
