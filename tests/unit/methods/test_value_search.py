"""The optimisation of v*: what it must do at its edges, and that requests do not meet."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from asking import make
from truing.errors import EditFailed
from truing.methods.kernels import values
from truing.methods.kernels.capture import Place, capture
from truing.methods.kernels.lines import essence_line, subject_line, target_line
from truing.methods.kernels.upward import Upward
from truing.methods.kernels.values import Objective, Wish, optimise
from truing.models.handle import Model
from truing.types import EditRequest

OBJECTIVE = Objective(steps=6, lr=0.5, weight_decay=1e-3, clamp=4.0, kl=0.0625)
REQUESTS = (
    EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire"),
    EditRequest("b", "Mara Velt's mother tongue is", "French, no", subject="Mara Velt"),
    EditRequest("c", "Who built the Tin Gate? It was", "Danielle", subject="Tin Gate"),
)
PLACES = (Place("mlp_out", 1), Place("resid_post", 1), Place("resid_post", 2))


def wishes(model: Model, prefixes: tuple[str, ...] = ("", "It was so. ")) -> list[Wish]:
    return [
        Wish(
            request.id,
            tuple(target_line(model.speller, request, prefix) for prefix in prefixes),
            essence_line(model.speller, request),
        )
        for request in REQUESTS
    ]


@pytest.mark.parametrize("place", PLACES[:2])
def test_the_loss_falls_and_the_start_is_what_the_place_puts_out(place: Place) -> None:
    model = make("llama")
    found = optimise(model, place, wishes(model), OBJECTIVE)
    acts = capture(model, [subject_line(model.speller, r) for r in REQUESTS], [place])[place]
    for each, act in zip(found, acts, strict=True):
        assert torch.allclose(each.start_D, act, atol=1e-5)
        assert each.losses[-1] < each.losses[0]
        assert each.losses[0] == pytest.approx(each.nlls[0], abs=1e-5), "KL and decay start at 0"
        assert len(each.losses) == OBJECTIVE.steps


def test_the_last_block_cannot_reach_later_tokens() -> None:
    model = make("llama")
    for each in optimise(model, PLACES[2], wishes(model), OBJECTIVE):
        assert each.nlls[-1] == pytest.approx(each.nlls[0], abs=1e-5)


def test_one_pass_makes_no_update() -> None:
    model = make("llama")
    for each in optimise(model, PLACES[0], wishes(model), replace(OBJECTIVE, steps=1)):
        assert not bool(each.delta_D.any())


def test_the_clamp_bounds_the_change() -> None:
    model = make("llama")
    for clamp in (0.0, 0.1):
        for each in optimise(model, PLACES[0], wishes(model), replace(OBJECTIVE, clamp=clamp)):
            assert float(each.delta_D.norm()) <= clamp * float(each.start_D.norm()) * (1 + 1e-5)


def test_a_request_that_is_done_stops_and_the_others_go_on_as_alone() -> None:
    model = make("llama")
    asked = wishes(model)
    objective = replace(OBJECTIVE, steps=12)
    alone = [optimise(model, PLACES[0], [wish], objective)[0] for wish in asked]
    threshold = sorted(min(each.losses) for each in alone)[1] + 1e-4
    stopping = replace(objective, stop_below=threshold)
    alone = [optimise(model, PLACES[0], [wish], stopping)[0] for wish in asked]
    together = optimise(model, PLACES[0], asked, stopping)
    assert len({len(each.losses) for each in alone}) > 1, "the test wants unequal endings"
    for one, all_three in zip(alone, together, strict=True):
        assert len(one.losses) == len(all_three.losses)
        assert torch.allclose(one.delta_D, all_three.delta_D, rtol=1e-3, atol=1e-4)


def test_small_batches_change_nothing() -> None:
    model = make("gpt2")
    whole = optimise(model, PLACES[0], wishes(model), OBJECTIVE)
    model.budget.tokens = 1
    for one, other in zip(whole, optimise(model, PLACES[0], wishes(model), OBJECTIVE), strict=True):
        assert torch.allclose(one.delta_D, other.delta_D, rtol=1e-3, atol=1e-4)


def test_the_search_takes_the_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    model, taken = make("llama"), []
    right = Upward.logits
    monkeypatch.setattr(Upward, "logits", lambda self: taken.append(self) or right(self))
    optimise(model, PLACES[0], wishes(model), OBJECTIVE)
    assert len(taken) > OBJECTIVE.steps


def test_whole_passes_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("qwen2")
    short = optimise(model, PLACES[1], wishes(model), OBJECTIVE)
    monkeypatch.setattr(Model, "hooked", property(lambda self: True))
    for one, other in zip(short, optimise(model, PLACES[1], wishes(model), OBJECTIVE), strict=True):
        assert torch.allclose(one.delta_D, other.delta_D, rtol=1e-3, atol=1e-4)


def test_memory_that_runs_out_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("llama")
    want = optimise(model, PLACES[0], wishes(model), OBJECTIVE)
    run, sizes = values._Search.run, []

    def short_of_memory(self: values._Search) -> list[values.Wanted]:
        sizes.append(len(self._wishes))
        if len(self._wishes) > 1:
            raise torch.OutOfMemoryError("no room")
        return run(self)

    monkeypatch.setattr(values._Search, "run", short_of_memory)
    got = optimise(model, PLACES[0], wishes(model), OBJECTIVE)
    assert sizes[0] == 3
    assert sizes.count(1) == 3
    for one, other in zip(want, got, strict=True):
        assert torch.allclose(one.delta_D, other.delta_D, rtol=1e-3, atol=1e-4)


def test_a_loss_that_is_not_finite_names_the_request() -> None:
    model = make("llama")
    [first, second, third] = wishes(model)
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[first.rewrites[1].ids[2]] = float("nan")
    broken = {
        w.name
        for w in (first, second, third)
        if any(first.rewrites[1].ids[2] in x.ids for x in w.lines)
    }
    with pytest.raises(EditFailed) as caught:
        optimise(model, PLACES[0], [first, second, third], OBJECTIVE)
    assert all(f"'{name}'" in caught.value.what for name in broken)
