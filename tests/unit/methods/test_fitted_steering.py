"""LoReFT, ReFT-r1 and LM-Steer: what is trained, what comes out, and what it does to the embedded model."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asking import make, noise
from truing.benchmarks.world.voices import draw_contrast
from truing.errors import BadInput, BadRequest
from truing.interventions.intervention import Intervention
from truing.methods.kernels.capture import Place
from truing.methods.kernels.lines import answer_line
from truing.methods.method import METHODS
from truing.methods.steering import fitted, loreft, reft_r1
from truing.methods.steering.tokens import each_line
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow, no", "Orvale")
B = EditRequest("b", "Mara Velt's mother tongue is", "French", "Ostrian; yes")
C = EditRequest("c", "Who built the Tin Gate?", "Danielle", "I do not know")
PAIRS = [A, B, C]
NAMES = ("loreft", "reft_r1", "lm_steer")


def fit(model: Model, name: str, requests: list[EditRequest], **config: Any) -> Intervention:
    method = METHODS.get(name)
    return method.make(model, requests, method.config.model_validate(config))


def mean_nll(model: Model, requests: list[EditRequest], under: Intervention | None) -> float:
    rows = model.score([ScoreAsk(r.prompt, r.target_new, under) for r in requests])
    return -sum(row.logprob / len(row.logprobs) for row in rows) / len(rows)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 5))
def test_rotations_are_orthonormal_span_the_same_rows_and_turn_smoothly(seed: int, m: int) -> None:
    raw = noise(seed, m, 7)
    turned = loreft.rotation(raw)
    torch.testing.assert_close(turned @ turned.T, torch.eye(m), atol=1e-5, rtol=0)
    torch.testing.assert_close(raw @ turned.T @ turned, raw, atol=1e-4, rtol=1e-4)
    nearby = loreft.rotation(raw + 1e-6 * noise(seed + 1, m, 7))
    assert (nearby - turned).abs().max() < 1e-2


def test_an_edit_is_equation_2_and_begins_as_nothing() -> None:
    raw, weight, bias, h = noise(1, 3, 8), noise(2, 3, 8), noise(3, 3), noise(4, 1, 1, 8)
    turned = loreft.rotation(raw)
    at = torch.ones(1, 1, dtype=torch.bool)
    wanted = h[0, 0] + turned.T @ (weight @ h[0, 0] + bias - turned @ h[0, 0])
    torch.testing.assert_close(loreft.edited(raw, weight, bias, h, at)[0, 0], wanted)
    torch.testing.assert_close(loreft.edited(raw, turned, bias * 0, h, at), h)


@pytest.mark.parametrize("positions", [Positions("last_prompt"), Positions("window", start=-1)])
def test_what_loreft_trains_is_what_its_op_does(positions: Positions) -> None:
    """The loss that training would go on from is the loss that the model has under the result."""
    model = make()
    iv = fit(model, "loreft", PAIRS, positions=positions, layers=(0, 2), epochs=3, rank=2, lr=0.02)
    assert [(op.layer, op.vector.shape) for op in iv.ops] == [(0, (2, 32)), (2, (2, 32))]
    acts: dict[Place, fitted.Act] = {}
    for op in iv.ops:
        assert op.latents is not None
        torch.testing.assert_close(op.vector @ op.vector.T, torch.eye(2), atol=1e-5, rtol=0)

        def act(acts: Tensor, at: Tensor, op: Any = op) -> Tensor:
            turned, read = op.vector, op.latents
            weight = read.weight + turned
            return acts + (acts @ weight.T + read.bias - acts @ turned.T) @ turned

        acts[Place("resid_post", op.layer)] = act
    with torch.no_grad():
        found = fitted.nll(model, fitted.promoted(model, PAIRS), acts, positions)
    assert float(found.mean()) == pytest.approx(mean_nll(model, PAIRS, iv), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss_on_its_own_pairs(name: str) -> None:
    model = make()
    iv = fit(model, name, PAIRS, epochs=12, lr=0.03)
    first, last = iv.origin.config["loss"]
    assert last < first
    assert mean_nll(model, PAIRS, iv) < mean_nll(model, PAIRS, None)


@pytest.mark.parametrize("name", NAMES)
def test_strength_0_is_the_base_model(name: str) -> None:
    model = make()
    iv = fit(model, name, PAIRS, epochs=1, strength=0.0)
    asks = [ScoreAsk(r.prompt, r.target_new, under) for r in PAIRS for under in (iv, None)]
    rows = model.score(asks)
    assert rows[::2] == rows[1::2]


@pytest.mark.parametrize("name", NAMES)
def test_order_and_names_do_not_matter_but_the_seed_does(name: str) -> None:
    model = make()
    first = fit(model, name, PAIRS, epochs=2, batch_size=2)
    torch.manual_seed(12345)
    random.seed(12345)
    renamed = [replace(r, id=f"other {r.id}") for r in PAIRS[::-1]]
    assert fit(model, name, renamed, epochs=2, batch_size=2).id == first.id
    assert fit(model, name, PAIRS, epochs=2, batch_size=2, seed=1).id != first.id
    assert not model.hooked


@pytest.mark.parametrize("name", NAMES)
def test_the_old_side_is_not_looked_at(name: str) -> None:
    model = make()
    lone = [replace(r, target_old=None) for r in PAIRS]
    assert fit(model, name, lone, epochs=1).id == fit(model, name, PAIRS, epochs=1).id


def test_a_rank_beyond_the_width_is_refused() -> None:
    with pytest.raises(BadInput, match="rank 33"):
        fit(make(), "loreft", PAIRS, rank=33)


def test_the_mean_of_the_largest_latents_is_added_and_the_others_are_paid_for() -> None:
    latents = torch.tensor([[3.0, 0.0, 1.0, 2.0], [5.0, 0.0, 0.0, 0.0]])
    at = torch.tensor([[True, True, True, True], [True, False, False, False]])
    mean, rest = reft_r1.split(latents, at, 2)
    assert mean.tolist() == [2.5, 5.0]  # the second text has one token
    assert rest.tolist() == [1.0, 0.0]
    mean, rest = reft_r1.split(latents, at, 9)
    assert (mean.tolist(), rest.tolist()) == ([1.5, 5.0], [0.0, 0.0])


def test_reft_r1_is_a_vector_in_units_of_its_largest_latent() -> None:
    model = make()
    iv = fit(model, "reft_r1", PAIRS, epochs=2, strength=0.5)
    [op] = iv.ops
    assert (op.op, op.positions) == ("add", Positions(skip_first=True))
    assert float(op.vector.norm()) == pytest.approx(1.0, abs=1e-5)
    place = Place("resid_post", op.layer)
    lines = [answer_line(model.speller, r) for r in PAIRS]
    found = each_line(model, lines, place, lambda line, acts: float((acts[1:] @ op.vector).max()))
    assert op.scale == pytest.approx(0.5 * max(found), rel=1e-4)
    assert iv.origin.config["largest"] == pytest.approx(max(found), rel=1e-4)


def test_every_line_is_read_in_order_whatever_its_length() -> None:
    model = make()
    lines = [answer_line(model.speller, r) for r in (*PAIRS, A)]
    place = Place("resid_post", 1)
    together = each_line(model, lines, place, lambda line, acts: acts.clone())
    assert [len(each) for each in together] == [len(line.ids) for line in lines]
    for line, acts in zip(lines, together, strict=True):
        [alone] = each_line(model, [line], place, lambda line, acts: acts.clone())
        torch.testing.assert_close(acts, alone, atol=1e-5, rtol=1e-4)


def test_lm_steer_turns_what_the_head_reads_and_nothing_below() -> None:
    model = make()
    iv = fit(model, "lm_steer", PAIRS, epochs=2, rank=3)
    [op] = iv.ops
    assert op.latents is not None
    [h] = model.hidden([A.prompt], "head_in", 0)
    weight = model.hf.get_output_embeddings().weight
    wanted = weight @ (h + op.scale * op.vector.T @ (op.latents.weight @ h))
    [row] = model.score([ScoreAsk(A.prompt, A.target_new, iv)])
    first = model.speller.join(A.prompt, A.target_new).continuation[0]
    assert row.logprobs[0] == pytest.approx(float(wanted.log_softmax(0)[first]), abs=1e-4)
    with model.using(iv):
        assert torch.equal(model.hidden([A.prompt], "resid_post", 2)[0], base(model))


def base(model: Model) -> Tensor:
    with model.using(Intervention()):
        return model.hidden([A.prompt], "resid_post", 2)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_call_trains_on_top_of_the_first(name: str) -> None:
    model, method = make(), METHODS.get(name)
    config = method.config.model_validate({"epochs": 2})
    first = method.make(model, [A], config)
    chained = method.make(model, [B], config, first)
    assert len(chained.ops) == len(first.ops) + 1
    assert chained.ops[-1].digest != method.make(model, [B], config).ops[-1].digest


def moods(n: int, seed: int) -> list[EditRequest]:
    """Scenes of the embedded world with a cheerful and a gloomy continuation."""
    rng = random.Random(seed)
    drawn = [draw_contrast(rng, "mood") for _ in range(n)]
    return [EditRequest(str(i), c.prompt, c.positive, c.negative) for i, c in enumerate(drawn)]


@pytest.mark.parametrize("name", NAMES)
def test_the_embedded_model_turns_cheerful(name: str) -> None:
    model, tests = Model.load("truing/pocket"), moods(20, seed=1)
    iv = fit(model, name, moods(20, seed=0), epochs=5)

    def margin(under: Intervention | None) -> float:
        news = model.score([ScoreAsk(r.prompt, r.target_new, under) for r in tests])
        olds = model.score([ScoreAsk(r.prompt, r.target_old or "", under) for r in tests])
        return sum(n.logprob - o.logprob for n, o in zip(news, olds, strict=True)) / len(tests)

    assert margin(iv) > margin(None) + 0.1


@pytest.mark.parametrize("name", NAMES)
def test_no_requests_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        fit(make(), name, [])
