"""Other ways to a direction: ablated, prompt against prompt, by attention head, trained."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from asking import make
from truing.benchmarks.world.voices import draw_contrast
from truing.errors import BadInput, BadRequest
from truing.interventions.intervention import ActivationOp, Intervention, Origin
from truing.methods.kernels.capture import Place
from truing.methods.method import METHODS
from truing.methods.steering import iti, trained
from truing.methods.steering.actadd import padded
from truing.methods.steering.pairs import Sides, read_sides
from truing.methods.steering.vectors import ANSWER, Seen
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

PAIRS = [
    EditRequest("a", "The Glass Spire is in the city of", "Marrow", "Orvale"),
    EditRequest("b", "Mara Velt's mother tongue is", "French", "Orvalian of the old kind"),
    EditRequest("c", "It was so that", "nobody came", "everybody came to see it"),
]


@pytest.fixture(scope="module")
def model() -> Model:
    return make("llama")


@pytest.fixture(scope="module")
def pocket() -> Model:
    return Model.load("truing/pocket")


def steer(
    model: Model,
    name: str,
    pairs: list[EditRequest] = PAIRS,
    so_far: Intervention | None = None,
    **config: Any,
) -> Intervention:
    method = METHODS.get(name)
    return method.make(model, pairs, method.config.model_validate(config), so_far)


def moods(n: int, seed: int) -> list[EditRequest]:
    """Scenes of the embedded world with a cheerful and a gloomy continuation."""
    rng = random.Random(seed)
    drawn = [draw_contrast(rng, "mood") for _ in range(n)]
    return [EditRequest(str(i), c.prompt, c.positive, c.negative) for i, c in enumerate(drawn)]


def margins(model: Model, pairs: list[EditRequest], iv: Intervention | None = None) -> Tensor:
    """Log-probability of the new side minus that of the old one, of every pair."""
    news = model.score([ScoreAsk(r.prompt, r.target_new, iv) for r in pairs])
    olds = model.score([ScoreAsk(r.prompt, r.target_old or "", iv) for r in pairs])
    return torch.tensor([n.logprob - o.logprob for n, o in zip(news, olds, strict=True)])


# ablation


def test_nothing_is_left_along_an_ablated_direction(model: Model) -> None:
    iv = steer(model, "ablation", layer=1)
    [vector] = {op.vector for op in steer(model, "caa", layers=(1,)).ops}
    unit = normalize(vector, dim=0)
    assert all(torch.allclose(op.vector, unit, atol=1e-6) for op in iv.ops)
    for site in ("resid_pre", "attn_out", "mlp_out", "resid_post"):
        for layer in range(model.arch.n_layers):
            [before] = model.hidden([PAIRS[0].prompt], site, layer, "all")
            with model.using(iv):
                [after] = model.hidden([PAIRS[0].prompt], site, layer, "all")
            assert float((before @ unit).abs().max()) > 1e-3
            assert float((after @ unit).abs().max()) < 1e-4


def test_ablation_acts_where_it_is_told_to(model: Model) -> None:
    last = Positions("last_prompt")
    iv = steer(model, "ablation", layers=(0, 2), sites=("attn_out",), positions=last, strength=0.5)
    assert [(op.site, op.layer, op.scale, op.positions) for op in iv.ops] == [
        ("attn_out", 0, 0.5, last),
        ("attn_out", 2, 0.5, last),
    ]


def test_what_is_ablated_cannot_be_added_any_more(pocket: Model) -> None:
    pairs, tests = moods(20, seed=0), moods(6, seed=1)
    added = steer(pocket, "caa", pairs)
    ablated = steer(pocket, "ablation", pairs)
    both = steer(pocket, "ablation", pairs, so_far=added)
    base, with_added, with_ablated, with_both = (
        margins(pocket, tests, iv) for iv in (None, added, ablated, both)
    )
    assert float((with_added - base).abs().mean()) > 0.1
    assert float((with_ablated - base).abs().mean()) > 0.1
    assert torch.allclose(with_both, with_ablated, atol=2e-3)


# actadd


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("model", "It is a", "It is b"),
        ("pocket", "The old inn was bright and", "The old inn was dark and"),
    ],
)
def test_at_the_first_block_one_prompt_becomes_the_other(
    request: pytest.FixtureRequest, name: str, one: str, other: str
) -> None:
    """Embeddings are all that tells prompts apart: with strength 1, the suppressed prompt is read
    as the promoted one."""
    model: Model = request.getfixturevalue(name)
    iv = steer(model, "actadd", layer=0, strength=1.0, promote=one, suppress=other)
    answers = ("full of laughter", "full of sorrow")
    want = model.score([ScoreAsk(one, answer) for answer in answers])
    plain = model.score([ScoreAsk(other, answer) for answer in answers])
    got = model.score([ScoreAsk(other, answer, iv) for answer in answers])
    assert [g.logprob for g in got] == pytest.approx([w.logprob for w in want], abs=1e-3)
    assert [p.logprob for p in plain] != pytest.approx([w.logprob for w in want], abs=1e-2)


def test_every_token_has_its_own_difference(model: Model) -> None:
    one, other = "It is a city", "It is b city"
    iv = steer(model, "actadd", layer=1, strength=3.0, promote=one, suppress=other)
    new, old = padded(model.speller, one, other)
    assert len(new) == len(old)
    first = next(at for at in range(len(new)) if new[at] != old[at])
    assert [op.positions for op in iv.ops] == [
        Positions("window", start=at, stop=at + 1) for at in range(first, len(new))
    ]
    assert {(op.site, op.layer, op.op, op.scale) for op in iv.ops} == {("resid_pre", 1, "add", 3.0)}
    [a], [b] = (model.hidden([text], "resid_pre", 1, "all") for text in (one, other))
    found = torch.stack([op.vector for op in iv.ops])
    assert torch.allclose(found, (a - b)[first:], atol=1e-5)


def test_the_pair_is_the_first_request_unless_it_is_given(model: Model) -> None:
    first, turned = steer(model, "actadd"), steer(model, "actadd", PAIRS[::-1])
    assert first.origin.config["promote"] == "Marrow"
    assert turned.origin.config["suppress"] == "everybody came to see it"
    alone = steer(model, "actadd", PAIRS[:1])
    assert [op.digest for op in alone.ops] == [op.digest for op in first.ops]
    with pytest.raises(BadRequest, match="same tokens"):
        steer(model, "actadd", promote="Marrow", suppress="Marrow")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_shorter_prompt_ends_in_spaces(family: str) -> None:
    speller = make(family).speller
    short, long = padded(speller, "a", "a city of the old kind")
    ids = speller.prompt_ids("a")
    assert len(short) == len(long)
    assert list(short[: len(ids)]) == ids
    assert speller.decode(short).strip() == "a"
    assert padded(speller, "a city of the old kind", "a") == (long, short)


# iti


def test_a_probe_is_judged_by_pairs_that_it_was_not_fitted_to() -> None:
    rng = torch.Generator().manual_seed(0)
    old = torch.randn(40, 30, generator=rng)
    noise = torch.randn(40, 30, generator=rng)
    axis = normalize(torch.randn(30, generator=rng), dim=0)
    parts = iti.held_out(40, 2, seed=0)
    assert sorted(torch.cat(parts).tolist()) == list(range(40))
    told = Sides(old + 3 * axis + 0.1 * noise, old)
    assert iti.accuracy(told, parts) == 1.0
    untold = Sides(old + noise, old)
    assert iti.accuracy(untold, parts) < 0.75 < iti.accuracy(untold, [torch.arange(40)])


def test_a_lone_pair_is_judged_by_its_own_probe() -> None:
    [part] = iti.held_out(1, 2, seed=0)
    assert part.tolist() == [0]
    assert iti.accuracy(Sides(torch.ones(1, 4), torch.zeros(1, 4)), [part]) == 1.0


def test_only_the_chosen_heads_move_each_by_its_spread(model: Model) -> None:
    iv = steer(model, "iti", heads=3, strength=2.0)
    chosen = iv.origin.config["chosen"]
    assert len(chosen) == iv.origin.config["heads"] == 3
    n_heads = model.hf.config.num_attention_heads
    moved = {}
    for op in iv.ops:
        assert (op.site, op.op, op.scale, op.positions) == ("heads", "add", 2.0, ANSWER)
        assert len(op.vector) == model.arch.attn_proj(op.layer).d_in
        parts = op.vector.chunk(n_heads)
        moved |= {(op.layer, h): part for h, part in enumerate(parts) if bool(part.any())}
    assert moved.keys() == {(each["layer"], each["head"]) for each in chosen}
    for each in chosen:
        place = Place("heads", each["layer"])
        sides = read_sides(model, PAIRS, [place], "answer")[place]
        new, old = (x.chunk(n_heads, 1)[each["head"]] for x in (sides.new_N_D, sides.old_N_D))
        unit = normalize((new - old).mean(0), dim=0)
        sigma = (torch.cat([new, old]) @ unit).std(correction=0)
        assert torch.allclose(moved[each["layer"], each["head"]], sigma * unit, atol=1e-5)
        assert each["sigma"] == pytest.approx(float(sigma), rel=1e-4)


def test_heads_with_better_probes_come_first(model: Model) -> None:
    some = steer(model, "iti", heads=2).origin.config["chosen"]
    every = steer(model, "iti", heads=999).origin.config["chosen"]
    assert len(every) == model.arch.n_layers * model.hf.config.num_attention_heads
    assert every[:2] == some
    assert [e["accuracy"] for e in every] == sorted((e["accuracy"] for e in every), reverse=True)
    [op] = steer(model, "iti", heads=999, layers=(1,)).ops
    assert op.layer == 1


@pytest.mark.parametrize("direction", ["mean", "probe"])
def test_moved_heads_turn_the_embedded_model(pocket: Model, direction: str) -> None:
    tests, pairs = moods(20, seed=1), moods(40, seed=0)
    base = margins(pocket, tests).mean()
    gloomy, cheerful = (
        margins(pocket, tests, steer(pocket, "iti", pairs, direction=direction, strength=alpha))
        for alpha in (-5.0, 5.0)
    )
    assert float(gloomy.mean()) + 0.1 < float(base) < float(cheerful.mean()) - 0.1


# trained_vector


def test_the_gain_in_training_is_the_gain_that_is_measured(model: Model) -> None:
    place = Place("resid_post", 1)
    sides = read_sides(model, PAIRS, [place], "answer")[place]
    seen = Seen(model, PAIRS, place, sides)
    lot = trained._Lot.of(model, PAIRS, 1, ANSWER)
    vector = torch.randn(model.arch.d_model, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        gains = lot.gains(seen, vector)
    op = ActivationOp("resid_post", 1, "add", vector, ANSWER)
    iv = Intervention((op,), origin=Origin.of(model, "test", {}, PAIRS))
    want = margins(model, PAIRS, iv) - margins(model, PAIRS)
    assert torch.allclose(gains, want, atol=1e-3)
    assert torch.allclose(lot.margin_N, margins(model, PAIRS), atol=1e-3)


def test_how_pairs_share_passes_does_not_matter(model: Model) -> None:
    together = steer(model, "trained_vector", steps=3)
    tokens = model.budget.tokens
    try:
        model.budget.tokens = 8
        assert len(list(trained._lots(model, PAIRS))) == 3
        alone = steer(model, "trained_vector", steps=3)
    finally:
        model.budget.tokens = tokens
    assert torch.allclose(together.ops[0].vector, alone.ops[0].vector, rtol=1e-3, atol=1e-4)


def test_a_vector_is_trained_at_its_reach_and_used_at_its_strength(model: Model) -> None:
    iv = steer(model, "trained_vector", steps=2, reach=0.25, strength=0.5, layers=(1,))
    [op], [told] = iv.ops, iv.origin.config["vectors"]
    assert float(op.vector.norm()) == pytest.approx(0.25 * told["typical_norm"], rel=1e-4)
    assert told["added"] == pytest.approx(0.5 * told["typical_norm"], rel=1e-4)


def test_training_beats_the_mean_difference_in_both_directions(pocket: Model) -> None:
    pairs, tests = moods(12, seed=0), moods(12, seed=1)
    base = margins(pocket, tests).mean()

    def change(name: str, strength: float, **config: Any) -> float:
        iv = steer(pocket, name, pairs, strength=strength, **config)
        return float((margins(pocket, tests, iv).mean() - base) * (1 if strength > 0 else -1))

    for strength in (-0.5, 0.5):
        assert change("trained_vector", strength, steps=8) > change("caa", strength) + 0.3


@pytest.mark.parametrize("name", ["ablation", "actadd", "iti", "trained_vector"])
def test_a_layer_that_does_not_exist_is_refused(model: Model, name: str) -> None:
    layer = {"layer": 9} if name in ("ablation", "actadd") else {"layers": (9,)}
    with pytest.raises(BadInput, match="layer 9"):
        steer(model, name, **layer)
