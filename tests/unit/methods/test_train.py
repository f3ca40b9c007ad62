"""Fine-tuning one matrix: the losses as they are defined, bounds, and copies side by side."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from asking import make
from truing.errors import EditFailed
from truing.methods.ft import FT_L, FT_M, FtConfig, FtLConfig, last_line
from truing.methods.kernels.lines import answer_line
from truing.methods.kernels.train import Lesson, Schedule, train
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow, no")
B = EditRequest("b", "Mara Velt's mother tongue is", "French")
C = EditRequest("c", "Who built the Tin Gate?", "Danielle")
SCHEDULE = Schedule(epochs=3, lr=0.01)


def logprobs(model: Model, ids: list[int]) -> Tensor:
    with torch.no_grad():
        out: Tensor = model.hf(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return out


def test_ft_m_is_the_nll_of_the_target_given_the_prompt() -> None:
    model = make("llama")
    span = model.speller.join(A.prompt, A.target_new)
    table = logprobs(model, list(span.ids))
    each = [table[at - 1, span.ids[at]] for at in range(span.start, len(span.ids))]
    iv = FT_M.make(model, [A], FtConfig(layer=1, steps=1))
    assert iv.origin.config["nll"][0] == pytest.approx(-float(torch.stack(each).mean()), abs=1e-4)


@pytest.mark.parametrize(("ids", "extra"), [("joint", 0), ("reference", 1)])
def test_ft_l_reads_every_target_token_at_the_last_prompt_token(ids: str, extra: int) -> None:
    model = make("llama", "bytes-bos")
    config = FtLConfig(layer=1, steps=1, target_ids=ids)  # type: ignore[arg-type]
    span = model.speller.join(A.prompt, A.target_new)
    labels = [model.speller.bos_id] * extra + list(span.continuation)
    assert list(last_line(model, A, config).labels) == labels
    last = logprobs(model, model.speller.prompt_ids(A.prompt))[-1]
    want = -float(torch.stack([last[label] for label in labels]).mean())
    iv = FT_L.make(model, [A], config)
    assert iv.origin.config["nll"][0] == pytest.approx(want, abs=1e-4)


def test_no_entry_moves_further_than_the_limit() -> None:
    model = make("gpt2")
    config = FtConfig(layer=1, steps=5, lr=0.05, limit=0.02, bias=True)
    iv = FT_M.make(model, [A], config)
    assert [part.param.rpartition(".")[2] for part in iv.weights] == ["weight", "bias"]
    for part in iv.weights:
        moved = part.delta.delta.abs()  # type: ignore[union-attr]
        assert 0.0199 < float(moved.max()) <= 0.02 + 1e-6


def test_training_lowers_the_loss_and_stops_when_it_is_low() -> None:
    model = make("llama")
    line = answer_line(model.speller, B)
    schedule = Schedule(epochs=60, lr=0.02, stop_below=3.0)
    [learned] = train(model, 2, [Lesson("b", ((line,),))], schedule)
    assert len(learned.losses) < 60
    assert learned.losses[-1] < 3.0
    assert all(loss >= 3.0 for loss in learned.losses[:-1])


def test_side_by_side_is_as_alone() -> None:
    model = make("llama")
    lessons = [
        Lesson("a", ((answer_line(model.speller, A),),)),
        Lesson("bc", ((answer_line(model.speller, B), answer_line(model.speller, C)),)),
        Lesson("b c", ((answer_line(model.speller, B),), (answer_line(model.speller, C),))),
    ]
    together = train(model, 1, lessons, SCHEDULE)
    for lesson, learned in zip(lessons, together, strict=True):
        [alone] = train(model, 1, [lesson], SCHEDULE)
        assert learned.losses == pytest.approx(alone.losses, abs=1e-4)
        assert torch.allclose(learned.weight_D_F, alone.weight_D_F, atol=2e-4)
    assert not torch.allclose(together[1].weight_D_F, together[2].weight_D_F, atol=1e-3)


def test_several_requests_share_minibatches() -> None:
    model = make("llama")
    one = FT_M.make(model, [A, B, C], FtConfig(layer=1, steps=2, lr=0.01, batch_size=3))
    three = FT_M.make(model, [A, B, C], FtConfig(layer=1, steps=2, lr=0.01, batch_size=1))
    assert one.id != three.id
    norms = [float(iv.weights[0].delta.delta.norm()) for iv in (one, three)]  # type: ignore[union-attr]
    assert norms[1] > norms[0], "three updates an epoch go further than one"


def test_a_loss_that_does_not_stay_finite_names_the_request() -> None:
    model = make("llama")
    with torch.no_grad():
        model.arch.final_norm.weight.fill_(float("nan"))  # type: ignore[union-attr, operator]
    with pytest.raises(EditFailed, match="'a'"):
        train(model, 1, [Lesson("a", ((answer_line(model.speller, A),),))], SCHEDULE)


def test_the_default_schedule_has_no_limit() -> None:
    assert math.isinf(SCHEDULE.limit)
