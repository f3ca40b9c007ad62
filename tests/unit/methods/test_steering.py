"""Directions from contrast pairs, and how strongly they act."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asking import make
from truing.benchmarks.world.voices import draw_contrast
from truing.errors import BadRequest, EditFailed
from truing.methods.method import METHODS
from truing.methods.steering import directions
from truing.methods.steering.pairs import Sides
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

PAIRS = [
    EditRequest("a", "The Glass Spire is in the city of", "Marrow", "Orvale"),
    EditRequest("b", "Mara Velt's mother tongue is", "French", "Orvalian of the old kind"),
    EditRequest("c", "It was so that", "nobody came", "everybody came to see it"),
]
VECTORS = ("caa", "pca", "probe")
CONTROLS = ("random_direction", "shuffled_pairs")


def sides(seed: int, n: int = 12, d: int = 6, along: float = 1.0) -> tuple[Sides, Tensor]:
    """Pairs that differ along one axis by about ``along``, and that axis."""
    rng = torch.Generator().manual_seed(seed)
    axis = torch.nn.functional.normalize(torch.randn(d, generator=rng), dim=0)
    old = torch.randn(n, d, generator=rng)
    noise = 0.05 * torch.randn(n, d, generator=rng)
    return Sides(old + along * axis + noise, old), axis


def vectors() -> list[Any]:
    return [
        directions.mean_difference,
        directions.principal,
        directions.logistic,
    ]


@pytest.mark.parametrize("find", vectors())
def test_the_axis_that_parts_the_sides_is_found_with_its_sign(find: Any) -> None:
    for seed in range(4):
        found, axis = sides(seed)
        direction = find(found).float()
        assert float(direction @ axis / direction.norm()) > 0.98
        swapped = find(Sides(found.old_N_D, found.new_N_D)).float()
        assert torch.allclose(swapped, -direction, atol=1e-5)
        assert directions.agreement(find(found), found) == 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.permutations(range(12)))
def test_the_order_of_the_pairs_does_not_matter(seed: int, order: list[int]) -> None:
    found, _ = sides(seed)
    mixed = Sides(found.new_N_D[order], found.old_N_D[order])
    for find in vectors():
        assert torch.allclose(find(found), find(mixed), atol=1e-5)


def test_centred_components_leave_out_what_all_pairs_share() -> None:
    found, axis = sides(0, n=40)
    second = torch.nn.functional.normalize(torch.randn(6) - axis, dim=0)
    second = torch.nn.functional.normalize(second - (second @ axis) * axis, dim=0)
    spread = torch.linspace(-0.6, 0.6, 40)[:, None] * second
    both = Sides(found.new_N_D + spread, found.old_N_D)
    assert float(directions.principal(both).float() @ axis) > 0.95
    centred = directions.principal(both, "differences").float()
    assert abs(float(centred @ second)) > 0.95


def test_the_probe_is_the_regression_that_scikit_learn_fits() -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    found, _ = sides(3, n=30, along=0.4)
    half = found.differences_N_D.double().numpy() / 2
    scale = np.sqrt((half**2).sum(1).mean())
    x = np.concatenate([half, -half]) / scale
    fitted = sklearn.LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10).fit(
        x, [1] * 30 + [0] * 30
    )
    want = fitted.coef_[0] / np.linalg.norm(fitted.coef_[0])
    ours = directions.logistic(found, penalty=0.5).numpy()  # each pair counts once, not twice
    assert ours == pytest.approx(want, abs=1e-4)


def test_sides_that_do_not_differ_give_no_direction() -> None:
    same = torch.ones(3, 4)
    with pytest.raises(EditFailed, match="do not differ"):
        directions.checked(directions.mean_difference(Sides(same, same)), "caa at layer 1")


@pytest.fixture(scope="module")
def model() -> Model:
    return make("llama")


def steer(model: Model, name: str, **config: Any) -> Any:
    method = METHODS.get(name)
    return method.make(model, PAIRS, method.config.model_validate(config))


@pytest.mark.parametrize("name", VECTORS)
def test_strength_is_a_share_of_the_typical_length(model: Model, name: str) -> None:
    iv = steer(model, name, layers=(1, 2), strength=0.25)
    for op, told in zip(iv.ops, iv.origin.config["vectors"], strict=True):
        added = abs(op.scale) * float(op.vector.norm())
        assert added == pytest.approx(0.25 * told["typical_norm"], rel=1e-4)
        assert told["added"] == pytest.approx(added, rel=1e-4)
        assert (op.site, op.positions) == ("resid_post", Positions("window", start=-1))


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_are_drawn_by_their_seed_and_know_no_labels(name: str) -> None:
    model, method = Model.load("truing/pocket"), METHODS.get(name)

    def vector(seed: int, pairs: list[EditRequest]) -> Tensor:
        config = method.config.model_validate({"seed": seed})
        return torch.nn.functional.normalize(method.make(model, pairs, config).ops[0].vector, dim=0)

    pairs = moods(40, seed=0)
    assert torch.equal(vector(1, pairs), vector(1, pairs))
    drawn = torch.stack([vector(seed, pairs) for seed in range(12)])
    config = METHODS.get("caa").config()
    [op] = METHODS.get("caa").make(model, pairs, config).ops
    found = drawn @ torch.nn.functional.normalize(op.vector, dim=0)
    assert abs(float(found.mean())) < 0.4
    assert float(found.max()) < 0.95


def test_units_say_what_a_strength_of_one_adds(model: Model) -> None:
    gap = float(steer(model, "caa", strength=1.0, unit="absolute").ops[0].vector.norm())
    for name in VECTORS:
        [op] = steer(model, name, strength=1.0, unit="gap").ops
        assert op.scale * float(op.vector.norm()) == pytest.approx(gap, rel=1e-4)
    [op] = steer(model, "pca", strength=3.0, unit="absolute").ops
    assert op.scale * float(op.vector.norm()) == pytest.approx(3.0, rel=1e-5)


def test_the_vector_is_the_mean_gap_of_what_the_block_puts_out(model: Model) -> None:
    [op] = steer(model, "caa", layers=(1,), unit="absolute", read="last").ops
    states = []
    for side in ("target_new", "target_old"):
        texts = [f"{r.prompt} {getattr(r, side)}" for r in PAIRS]
        states.append(torch.stack(model.hidden(texts, "resid_post", 1)))
    assert torch.allclose(op.vector, (states[0] - states[1]).mean(0), atol=1e-5)


@pytest.mark.parametrize("name", VECTORS)
def test_replacing_along_a_vector_sets_what_adding_it_adds(model: Model, name: str) -> None:
    added, replaced = (steer(model, name, layers=(1,), op=op) for op in ("add", "replace-along"))
    [add], [put] = added.ops, replaced.ops
    assert (put.op, put.scale) == ("replace-along", add.scale)
    unit = put.vector / put.vector.norm()
    with model.using(replaced):
        [states] = model.hidden([PAIRS[0].prompt], "resid_post", 1, "last")
    assert float(states @ unit) == pytest.approx(put.scale * float(put.vector.norm()), rel=1e-4)


def test_answers_can_be_read_as_a_whole(model: Model) -> None:
    [op] = steer(model, "caa", layers=(1,), unit="absolute", read="answer").ops
    means = []
    for side in ("target_new", "target_old"):
        rows = []
        for r in PAIRS:
            span = model.speller.join(r.prompt, getattr(r, side))
            [states] = model.hidden([f"{r.prompt} {getattr(r, side)}"], "resid_post", 1, "all")
            rows.append(states[span.start :].mean(0))
        means.append(torch.stack(rows).mean(0))
    assert torch.allclose(op.vector, means[0] - means[1], atol=1e-5)


def moods(n: int, seed: int) -> list[EditRequest]:
    """Scenes of the embedded world with a cheerful and a gloomy continuation."""
    rng = random.Random(seed)
    drawn = [draw_contrast(rng, "mood") for _ in range(n)]
    return [EditRequest(str(i), c.prompt, c.positive, c.negative) for i, c in enumerate(drawn)]


@pytest.mark.parametrize("name", VECTORS)
def test_the_embedded_model_turns_cheerful_or_gloomy(name: str) -> None:
    model, method = Model.load("truing/pocket"), METHODS.get(name)
    tests = moods(20, seed=1)

    def margin(strength: float) -> float:
        config = method.config.model_validate({"strength": strength})
        iv = method.make(model, moods(40, seed=0), config)
        news = model.score([ScoreAsk(r.prompt, r.target_new, iv) for r in tests])
        olds = model.score([ScoreAsk(r.prompt, r.target_old or "", iv) for r in tests])
        return sum(n.logprob - o.logprob for n, o in zip(news, olds, strict=True)) / len(tests)

    gloomy, base, cheerful = (margin(strength) for strength in (-0.5, 0.0, 0.5))
    assert gloomy + 0.1 < base < cheerful - 0.1


@pytest.mark.parametrize("old", [None, "  ", "French"])
def test_a_request_that_is_no_pair_is_refused(model: Model, old: str | None) -> None:
    lone = EditRequest("lone", "Mara Velt's mother tongue is", "French", old)
    with pytest.raises(BadRequest, match="lone"):
        METHODS.get("caa").make(model, [lone], METHODS.get("caa").config())
