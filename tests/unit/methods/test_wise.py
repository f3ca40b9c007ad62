"""WISE: losses and merging by hand, masks, what chains carry, which prompts are routed."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from asking import make
from truing.interventions.intervention import ByDistance, Dense, Intervention
from truing.methods import ft, wise
from truing.methods.ft import FtConfig
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kernels.sides import (
    Margins,
    SideTraining,
    drawn_mask,
    margin_loss,
    ties,
    train_side,
)
from truing.methods.wise import WiseConfig
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow")
B = EditRequest("b", "Mara Velt's mother tongue is", "French")
C = EditRequest("c", "The Tin Gate was built by", "Ola Finch")
CONFIG = WiseConfig(
    layer=2,
    steps=8,
    lr=0.3,
    margins=(0.1, 0.5, 0.2),
    ratio=0.5,
    contexts=("It was so. ",),
    against=2,
)


def test_the_margin_loss_by_hand() -> None:
    """Terms 9 (mean of 13 and 5), 2 and 12 (mean of 16 and 8)."""
    inside, outside = torch.tensor([4.0, 12.0, 25.0]), torch.tensor([7.0])
    assert float(margin_loss(inside, outside, Margins(5, 20, 10))) == pytest.approx(23)
    assert float(margin_loss(inside + 50, outside - 7, Margins(5, 20, 10))) == 0


def test_merging_by_hand() -> None:
    one, other = torch.tensor([[3.0, -1.0, 0.5, 0.0]]), torch.tensor([[-2.0, -3.0, 0.1, 4.0]])
    assert ties([one, other], 0.5).tolist() == [[3, -2, 0, 4]]
    assert ties([one, one], 1.0).tolist() == one.tolist()


def test_a_mask_is_a_share_of_the_entries_and_its_seed_decides_it() -> None:
    slot = make("llama").arch.down(1)
    one = drawn_mask(slot, 0.2, Seeds(0).child("x"))
    assert float(one.float().mean()) == pytest.approx(0.2, abs=0.03)
    assert torch.equal(one, drawn_mask(slot, 0.2, Seeds(0).child("x")))
    assert not torch.equal(one, drawn_mask(slot, 0.2, Seeds(1).child("x")))


def deltas(iv: Intervention) -> list[Tensor]:
    found = []
    for [part] in iv.routed[0].alternatives:
        assert isinstance(part.delta, Dense)
        found.append(part.delta.delta)
    return found


def thresholds(iv: Intervention) -> Tensor:
    router = iv.routed[0].router
    assert isinstance(router, ByDistance)
    return router.thresholds


def nll(model: Model, request: EditRequest, iv: Intervention | None) -> float:
    [scored] = model.score([ScoreAsk(request.prompt, request.target_new, iv)])
    return -scored.logprob


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
def test_an_edit_moves_masked_entries_only_and_its_prompt_meets_them(family: str) -> None:
    model = make(family)
    iv = wise.make(model, [A], CONFIG)
    [delta] = deltas(iv)
    slot = model.arch.down(2)
    mask = drawn_mask(slot, 0.2, Seeds(0).child("wise").child("mask-1"))
    assert not bool(delta[~mask].any())
    assert bool(delta[mask].any())
    assert nll(model, A, iv) < nll(model, A, None) - 0.1


def test_the_loss_is_the_mean_over_the_answers_tokens() -> None:
    """Before any update, without margins to violate: the NLL of the answer under each prefix."""
    model = make("llama")
    slot = model.arch.down(2)
    long = EditRequest("long", A.prompt, "the city of Paris, France")
    lines = [answer_line(model.speller, long, prefix) for prefix in ("", "It was so. ")]
    other = Line(tuple(model.speller.prompt_ids("A much longer line than any of the edit. " * 4)))
    training = SideTraining(1, 0.1, 1.0, Margins(1e9, -1e9, -1e9), "silu")
    empty = torch.zeros(slot.d_out, slot.d_in)
    side = train_side(model, slot, 2, "x", lines, [other], empty, empty.bool(), training)
    want = model.score([ScoreAsk(p + long.prompt, long.target_new) for p in ("", "It was so. ")])
    mean = sum(-s.logprob / len(s.token_ids) for s in want) / 2
    assert side.losses[0] == pytest.approx(mean, abs=1e-4)


def test_thresholds_are_a_share_of_the_least_distance() -> None:
    model = make("llama")
    first = wise.make(model, [A], CONFIG)
    both = wise.make(model, [B], CONFIG, first)
    told = [iv.origin.config["distances"][-1][0] for iv in (first, both)]
    assert thresholds(first).tolist() == pytest.approx([0.5 * told[0]], rel=1e-5)
    assert thresholds(both).tolist() == pytest.approx([0.5 * min(told)], rel=1e-5)


def test_a_distance_out_of_reach_leaves_the_model_as_it_is() -> None:
    model = make("llama")
    iv = wise.make(model, [A], CONFIG.model_copy(update={"ratio": 1e6}))
    assert nll(model, A, iv) == nll(model, A, None)


@pytest.mark.parametrize("save_every", [1, 2, 500])
def test_a_chain_is_the_same_however_it_is_cut(save_every: int) -> None:
    model = make("llama")
    merge = 2 * save_every
    config = CONFIG.model_copy(update={"save_every": save_every, "merge_every": merge})
    whole = wise.make(model, [A, B, C], config)
    cut = wise.make(
        model, [C], config, wise.make(model, [B], config, wise.make(model, [A], config))
    )
    assert len(whole.routed) == len(cut.routed) == 1
    assert len(deltas(whole)) == {1: 2, 2: 2, 500: 1}[save_every]
    for one, other in zip(deltas(whole), deltas(cut), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(thresholds(whole), thresholds(cut))
    assert {k: v.tolist() for k, v in whole.memo.items()} == {
        k: v.tolist() for k, v in cut.memo.items()
    }


def test_side_weights_are_saved_and_merged_when_it_is_time() -> None:
    model = make("llama")
    apart = CONFIG.model_copy(update={"save_every": 1, "merge_every": "never"})
    one, other = deltas(wise.make(model, [A, B], apart))
    alone = deltas(wise.make(model, [B], apart))[0]
    assert not torch.equal(other, alone), "the second side weight has a mask of its own"
    merging = apart.model_copy(update={"merge_every": 2})
    together = wise.make(model, [A, B], merging)
    assert torch.equal(deltas(together)[0], ties([one, other], 0.53))
    least = float(thresholds(wise.make(model, [A, B], apart)).min())
    assert thresholds(together).tolist() == pytest.approx([least])


def test_edits_on_their_own_share_nothing() -> None:
    model = make("llama")
    first = wise.make(model, [B], CONFIG)
    wise.make(model, [A], CONFIG)
    again = wise.make(model, [B], CONFIG)
    assert first.id == again.id
    moved = wise.make(model, [B], CONFIG.model_copy(update={"seed": 1}))
    assert moved.id != first.id


def test_other_changes_of_a_chain_stay_in_force() -> None:
    model = make("llama")
    before = ft.make_ft_m(model, [A], FtConfig(layer=1, steps=2, lr=0.01))
    both = wise.make(model, [B], CONFIG, before)
    assert [part.digest for part in both.weights] == [part.digest for part in before.weights]
    with model.applied(before):
        on_it = wise.make(model, [B], CONFIG)
    assert torch.allclose(deltas(both)[0], deltas(on_it)[0], atol=1e-6)


def test_generation_goes_on_under_what_the_prompt_chose() -> None:
    model = make("llama")
    iv = wise.make(model, [A], CONFIG)
    decoding = Decoding(max_new_tokens=6)
    [said] = model.generate([GenerateAsk(A.prompt, decoding, iv)])
    whole = Intervention(iv.routed[0].alternatives[0])
    with model.using(whole):
        [want] = model.generate([GenerateAsk(A.prompt, decoding)])
    assert said.token_ids == want.token_ids


def test_own_text_is_taken_as_irrelevant_and_recorded() -> None:
    model = make("llama")
    built_in = wise.make(model, [A], CONFIG)
    own = wise.make(model, [A], CONFIG.model_copy(update={"irrelevant": ("Rain fell all day.",)}))
    assert own.origin.config["irrelevant"] == ["Rain fell all day."]
    assert built_in.origin.config["irrelevant"] == list(wise.NEUTRAL)
    assert own.id != built_in.id


def test_merges_happen_at_whole_side_weights() -> None:
    with pytest.raises(ValidationError, match="multiple of save_every"):
        WiseConfig(save_every=2, merge_every=3)
