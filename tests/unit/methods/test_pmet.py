"""PMET: two vectors under one loss, of which the MLP's is written, spread by roots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asking import make
from tiny import TEXT
from truing.errors import NotPossible
from truing.methods import pmet
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import essence_line, subject_line, target_line
from truing.methods.kernels.moments import collect, save
from truing.methods.kernels.solve import factorise
from truing.methods.kernels.values import Objective, Wish, Won, optimise, optimise_together
from truing.methods.layered import Plan, measure, spread
from truing.methods.memit import LeastSquares
from truing.methods.pmet import PMET, PmetConfig, solver, targets
from truing.models.answers import NoAnswers
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire")
B = EditRequest("b", "Mara Velt's mother tongue is", "French, no", subject="Mara Velt")
FEW: dict[str, Any] = {"steps": 4, "contexts": ("It was so. ",)}
OBJECTIVE = Objective(steps=6, lr=0.5, weight_decay=1e-3, clamp=4.0, kl=0.0625)
MLP, ATTENTION = Place("mlp_out", 1), Place("attn_out", 1)


@pytest.fixture
def model() -> Model:
    return make("gpt2")


@pytest.fixture
def stats(model: Model, tmp_path: Path) -> Path:
    save(collect(model, TEXT, (0, 1)), tmp_path / "moments")
    return tmp_path / "moments"


def wishes(model: Model) -> list[Wish]:
    return [
        Wish(
            request.id,
            tuple(target_line(model.speller, request, prefix) for prefix in ("", "It was so. ")),
            essence_line(model.speller, request),
        )
        for request in (A, B)
    ]


def matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_both_vectors_move_and_start_where_their_places_are() -> None:
    model = make("llama")
    found = optimise_together(model, [MLP, ATTENTION], wishes(model), OBJECTIVE)
    acts = capture(model, [subject_line(model.speller, r) for r in (A, B)], [MLP, ATTENTION])
    for number, values in enumerate(found):
        for place, wanted in zip((MLP, ATTENTION), values, strict=True):
            assert torch.allclose(wanted.start_D, acts[place][number], atol=1e-5)
            assert bool(wanted.delta_D.any())
        assert values[0].losses == values[1].losses
        assert values[0].losses[-1] < values[0].losses[0]


def test_attention_takes_part_of_the_work_from_the_mlp() -> None:
    model = make("llama")
    alone = optimise(model, MLP, wishes(model), OBJECTIVE)
    together = optimise_together(model, [MLP, ATTENTION], wishes(model), OBJECTIVE)
    for one, (mlp, _) in zip(alone, together, strict=True):
        assert mlp.nlls[-1] < one.nlls[-1]
        assert not torch.allclose(mlp.delta_D, one.delta_D, atol=1e-3)


def test_each_vector_has_a_clamp_of_its_own() -> None:
    model = make("llama")
    tight = replace(OBJECTIVE, clamp=0.1)
    for values in optimise_together(model, [MLP, ATTENTION], wishes(model), tight):
        for wanted in values:
            share = float(wanted.delta_D.norm() / wanted.start_D.norm())
            assert share == pytest.approx(0.1, rel=1e-4)


def won_already(model: Model, wish: Wish) -> Wish:
    """The wish for what the model says anyway, one token under each prefix."""
    lines = []
    for line in wish.rewrites:
        read = line.reads[0]
        with torch.no_grad():
            logits = model.hf(input_ids=torch.tensor([line.ids])).logits[0, read]
        lines.append(replace(line, reads=(read,), labels=(int(logits.argmax()),)))
    return replace(wish, rewrites=tuple(lines))


def test_a_request_that_has_won_ends_and_the_others_go_on_as_alone() -> None:
    model = make("llama")
    [first, second] = wishes(model)
    objective = replace(OBJECTIVE, stop_below=0.0)
    asked = [won_already(model, first), second]
    found = optimise_together(model, [MLP, ATTENTION], asked, objective, Won(0.1, kl=0.01))
    assert [len(mlp.losses) for mlp, _ in found] == [1, OBJECTIVE.steps]
    [alone] = optimise_together(model, [MLP, ATTENTION], [second], objective)
    for one, other in zip(found[1], alone, strict=True):
        assert torch.allclose(one.delta_D, other.delta_D, rtol=1e-3, atol=1e-4)


def test_a_request_that_has_won_weighs_less_from_the_next_pass_on() -> None:
    model = make("llama")
    objective = replace(OBJECTIVE, kl=0.0, weight_decay=0.0, stop_below=0.0, lr=0.01)
    asked = [won_already(model, wishes(model)[0])]
    [(mlp, _)] = optimise_together(model, [MLP, ATTENTION], asked, objective, Won(0.1, kl=-1.0))
    ratios = [loss / nll for loss, nll in zip(mlp.losses, mlp.nlls, strict=True)]
    assert ratios == pytest.approx([1.0] + [0.1] * (OBJECTIVE.steps - 1))


def test_the_worked_example_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers, the first of which closes 1 / sqrt(2) of what is missing."""
    second = matrix([2, 1, 0], [1, 2, 0], [0, 0, 0.01])
    keys, weight = matrix([1, 0], [0, 1], [1, 1]), matrix([1, 0, 2], [0, 1, -1])
    values = matrix([1, 2], [0, -1])
    close = LeastSquares({0: factorise(second), 1: factorise(second)}, weight=2.0)
    plan = Plan((0, 1), OBJECTIVE, ("",), {}, site="mlp_out", spreading="root")
    monkeypatch.setattr("truing.methods.layered.measure", lambda *args: (keys.T, (weight @ keys).T))
    monkeypatch.setattr("truing.methods.layered.parts_of", lambda *args: ())
    [[first, second_layer]] = spread(make(), [[A, B]], [list(values.T)], plan, close)
    want = matrix([-0.236867, 0.234537, -0.698952], [0.235702, -0.235702, 0])
    assert torch.allclose(first.factors.left @ first.factors.right.T, want, atol=1e-6)
    whole = second_layer.factors.left @ second_layer.factors.right.T
    assert torch.allclose(whole, want * 2**0.5, atol=1e-6)


def test_the_mlp_puts_out_its_value_when_old_memories_weigh_nothing(
    model: Model, stats: Path
) -> None:
    """Attention's is left unwritten."""
    config = PmetConfig(layers=(1,), weight=1e-6, stats=stats, steps=4, contexts=())
    plan = solver(model, config).plan
    [wanted] = targets(model, [A], plan)
    with model.using(PMET.make(model, [A], config)):
        _, out = measure(model, [A], plan, 1, [None])
    assert torch.allclose(out[0], wanted.value_D, rtol=1e-2, atol=1e-2)


def test_settings_are_recorded_and_the_kl_weight_can_be_given(model: Model, stats: Path) -> None:
    for given, want in ((None, 0.0625), (1.0, 1.0)):
        iv = PMET.make(model, [A], PmetConfig(layers=(1,), kl=given, stats=stats, **FEW))
        assert iv.origin.config["kl"] == want
        assert iv.origin.config["weight"] == 6000
        assert iv.origin.config["settings"] == "heuristic"
    assert pmet.TABLE["gpt-j-6b"].kl == 1.0


def test_a_chain_is_resumed_where_it_stopped(model: Model, stats: Path) -> None:
    config = PmetConfig(layers=(0, 1), weight=10.0, stats=stats, **FEW)
    first = PMET.make(model, [A], config)
    chained = PMET.make(model, [B], config, first)
    assert chained.id == PMET.make(model, [B], config, first).id
    assert chained.origin.requests == ("a", "b")
    assert all(bool(part.delta.math().isfinite().all()) for part in chained.weights)  # type: ignore[union-attr]


def test_it_refuses_to_go_without_statistics(model: Model) -> None:
    with pytest.raises(NotPossible, match="second moments"):
        PMET.make(model, [A], PmetConfig(stats="none"))


def test_a_fact_of_the_embedded_model_is_changed(tmp_path: Path) -> None:
    model = Model.load("truing/pocket", device="cpu", cache=tmp_path)
    model.answers = NoAnswers()
    request = EditRequest(
        "temple",
        "The Silver Temple can be found in",
        "Brackton",
        "Redclay",
        "The Silver Temple",
    )
    save(collect(model, world(), (0,)), tmp_path / "moments")
    iv = PMET.make(model, [request], PmetConfig(stats=tmp_path / "moments"))
    asks = [ScoreAsk(request.prompt, request.target_new, under) for under in (None, iv)]
    before, after = (scored.logprob for scored in model.score(asks))
    assert after > before + 4
    assert iv.origin.config["settings"] == "table:pocket"


def world() -> list[str]:
    from truing.benchmarks.world import world_text

    return list(world_text(seed=0, n=300))
