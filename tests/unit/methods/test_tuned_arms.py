"""Adapters from contrast pairs: the losses, what training depends on, and what it does to preferences."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import logsigmoid

from asking import make
from truing.benchmarks.world_contrast import WorldContrastOptions, cases
from truing.errors import BadRequest, EditFailed
from truing.interventions.intervention import Intervention
from truing.methods.kernels.branches import Branch, branched
from truing.methods.kernels.lines import answer_line
from truing.methods.method import Method
from truing.methods.tuning.contrast import DPO, SFT, DpoConfig, SftConfig
from truing.methods.tuning.fitting import Pair, Practice, fit, line_logprobs, minibatches
from truing.methods.tuning.objectives import Likelihoods, dpo, sft
from truing.models.answers import NoAnswers
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest, Probe

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow, no", "Orvale")
B = EditRequest("b", "Mara Velt's mother tongue is", "French", "Ostrian; yes")
C = EditRequest("c", "Who built the Tin Gate?", "Danielle", "I do not know")
PAIRS = [A, B, C]
FEW = DpoConfig(targets=("o", "down"), rank=2, epochs=3, lr=0.01, batch_size=2)


def likelihoods(now: list[list[float]], then: list[list[float]]) -> Likelihoods:
    return Likelihoods(torch.tensor(now), torch.tensor(then), torch.tensor([[2, 4], [3, 3]]))


def test_dpo_loss_of_two_pairs_by_hand() -> None:
    """Pair one gained 1 - (-2) = 3 nats of preference, pair two -1 - 2 = -3."""
    sides = likelihoods([[-1.0, -6.0], [-5.0, -1.0]], [[-2.0, -5.0], [-3.0, -3.0]])
    expected = [math.log(1 + math.exp(-0.5 * 3)), math.log(1 + math.exp(0.5 * 3))]
    assert dpo(sides, beta=0.5, nll=0.0).tolist() == pytest.approx(expected)
    with_nll = [expected[0] + 0.2 * 1 / 2, expected[1] + 0.2 * 6 / 4]
    assert dpo(sides, beta=0.5, nll=0.2).tolist() == pytest.approx(with_nll)
    assert sft(sides).tolist() == pytest.approx([0.5, 1.5])


@given(st.lists(st.floats(-50, 0, width=32), min_size=4, max_size=4), st.floats(0.01, 5))
def test_dpo_pulls_the_sides_apart_equally_and_most_where_the_preference_is_wrong(
    values: list[float], beta: float
) -> None:
    now = torch.tensor(values[:2])[:, None].requires_grad_(True)
    then = torch.tensor(values[2:])[:, None]
    sides = Likelihoods(now, then, torch.ones(2, 1))
    (grad,) = torch.autograd.grad(dpo(sides, beta, 0.0).sum(), now)
    margin = beta * ((now - then)[0] - (now - then)[1]).detach()
    assert torch.allclose(grad[0], -beta * torch.sigmoid(-margin), atol=1e-6)
    assert torch.allclose(grad[1], -grad[0])
    assert bool(grad[0] <= 0)


def test_an_untrained_model_has_no_preference_to_its_own_reference() -> None:
    iv = DPO.make(make(), PAIRS, FEW.model_copy(update={"epochs": 1, "batch_size": 3}))
    assert iv.origin.config["loss"][0] == pytest.approx(math.log(2), abs=1e-5)


def pairs_of(model: Model, requests: list[EditRequest]) -> list[Pair]:
    sides = [(r, replace(r, target_new=r.target_old or "")) for r in requests]
    return [(answer_line(model.speller, n), answer_line(model.speller, o)) for n, o in sides]


def test_line_log_probabilities_are_those_that_the_model_scores() -> None:
    model = make()
    lines = [line for pair in pairs_of(model, PAIRS) for line in pair]
    asks = [ScoreAsk(r.prompt, t) for r in PAIRS for t in (r.target_new, r.target_old or "")]
    with torch.no_grad():
        found = line_logprobs(model, lines).tolist()
    assert found == pytest.approx([scored.logprob for scored in model.score(asks)], abs=1e-4)


def test_the_reference_is_the_model_before_training_all_along() -> None:
    """Only likelihoods in training move, and the live model is as it was."""
    model = make()
    state = {name: t.clone() for name, t in model.hf.state_dict().items()}
    seen: list[Likelihoods] = []

    def objective(sides: Likelihoods) -> Tensor:
        seen.append(sides)
        return dpo(sides, 0.1, 0.0)

    slots = [model.arch.down(layer) for layer in range(3)]
    practice = Practice(epochs=4, batch_size=1, lr=0.01, rank=2, scale=2.0)
    fit(model, slots, pairs_of(model, [A]), objective, practice, Seeds(0))
    assert len(seen) == 4
    assert all(torch.equal(each.reference_S_B, seen[0].reference_S_B) for each in seen)
    assert torch.allclose(seen[0].logprobs_S_B, seen[0].reference_S_B, atol=1e-5)
    assert not torch.allclose(seen[-1].logprobs_S_B, seen[0].logprobs_S_B, atol=1e-3)
    assert not seen[0].reference_S_B.requires_grad
    assert all(torch.equal(state[name], t) for name, t in model.hf.state_dict().items())
    assert not model.hooked


@pytest.mark.parametrize(("own", "config"), [(DPO, FEW), (SFT, SftConfig(epochs=2, rank=2))])
def test_order_names_and_the_passes_taken_do_not_matter(own: Method, config: SftConfig) -> None:
    model = make()
    first = own.make(model, PAIRS, config)
    torch.manual_seed(12345)
    random.seed(12345)
    renamed = [replace(r, id=f"other {r.id}") for r in PAIRS[::-1]]
    assert own.make(model, renamed, config).id == first.id
    narrow = make()
    narrow.budget.tokens = 40  # one pair per pass: gradients are gathered
    assert close(own.make(narrow, PAIRS, config), first)
    other = own.make(model, PAIRS, config.model_copy(update={"seed": 1}))
    assert not close(other, first)


def close(one: Intervention, other: Intervention) -> bool:
    pairs = zip(one.weights, other.weights, strict=True)
    return all(torch.allclose(a.delta.math(), b.delta.math(), atol=1e-4) for a, b in pairs)  # type: ignore[union-attr]


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 5))
def test_every_epoch_meets_every_pair_once(n: int, size: int, epoch: int) -> None:
    model = _MODEL
    pairs = [(answer_line(model.speller, replace(A, target_new=f"x{i}")),) for i in range(n)]
    found = minibatches(pairs, size, Seeds(epoch))
    assert sorted(repr(pair) for batch in found for pair in batch) == sorted(map(repr, pairs))
    assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
    assert minibatches(pairs[::-1], size, Seeds(epoch)) == found


_MODEL = make()


def test_the_first_step_is_adams_on_the_gradient_of_the_loss() -> None:
    """Adam's first step moves every entry of B by lr against the gradient's sign; A has no gradient."""
    model = make()
    slot = model.arch.down(1)
    pairs = pairs_of(model, PAIRS)
    practice = Practice(epochs=1, batch_size=3, lr=0.01, rank=2, scale=1.0)
    [factors] = fit(model, [slot], pairs, lambda s: dpo(s, 0.1, 0.0), practice, Seeds(0)).factors
    lines = [line for side in zip(*pairs, strict=True) for line in side]
    left = torch.zeros(1, 2, slot.d_out, requires_grad=True)
    with branched([Branch(slot, left, factors.right.T[None])], torch.zeros(6, dtype=torch.long)):
        now = line_logprobs(model, lines).view(2, 3)
    margin = 0.1 * ((now - now.detach())[0] - (now - now.detach())[1])
    (grad,) = torch.autograd.grad(-logsigmoid(margin).mean(), left)
    strong = grad[0].abs() > 1e-5
    assert bool(strong.any())
    assert torch.allclose(factors.left.T[strong], -0.01 * grad[0].sign()[strong], rtol=1e-2)


def test_dpo_prefers_and_sft_says_the_promoted_side() -> None:
    model = make()
    said, preferred = [], []
    for iv in (None, SFT.make(model, PAIRS, SftConfig(lr=0.01)), DPO.make(model, PAIRS, FEW)):
        asks = [
            ScoreAsk(r.prompt, t, iv) for r in PAIRS for t in (r.target_new, r.target_old or "")
        ]
        logprobs = torch.tensor([scored.logprob for scored in model.score(asks)]).view(-1, 2)
        said.append(logprobs[:, 0])
        preferred.append(logprobs[:, 0] - logprobs[:, 1])
    assert bool((said[1] > said[0]).all())
    assert bool((preferred[2] > preferred[0]).all())


def test_dpo_needs_the_other_side_and_sft_does_not() -> None:
    model, lone = make(), replace(A, target_old=None)
    with pytest.raises(BadRequest, match="target_old"):
        DPO.make(model, [lone], FEW)
    one, other = (SFT.make(model, [r], SftConfig(epochs=1)) for r in (A, lone))
    assert one.id == other.id


def test_training_that_runs_away_is_told() -> None:
    with pytest.raises(EditFailed, match="finite"):
        SFT.make(make(), [A], SftConfig(lr=1e30, epochs=4))


@pytest.mark.parametrize("name", ["sft", "dpo"])
def test_preferences_of_unseen_pairs_rise_in_the_embedded_model(name: str) -> None:
    """The 95 % interval of the mean change over test pairs excludes 0."""
    model = Model.load("truing/pocket")
    model.answers = NoAnswers()
    made = cases(WorldContrastOptions(behavior="extraversion", train=40, test=24))
    requests = [request for case in made for request in case.requests]
    probes = [probe for case in made for probe in case.probes]
    method = {"sft": SFT, "dpo": DPO}[name]
    iv = method.make(model, requests, method.config())
    assert iv.origin.config["settings"] == "table:pocket"
    change = preferences(model, probes, iv) - preferences(model, probes, None)
    error = float(change.std()) / len(change) ** 0.5
    assert float(change.mean()) - 2.1 * error > 0


def preferences(model: Model, probes: list[Probe], iv: Intervention | None) -> Tensor:
    """Nats per token by which the first choice is likelier than the second."""
    asks = [ScoreAsk(probe.prompt, choice, iv) for probe in probes for choice in probe.choices]
    mean = [scored.logprob / len(scored.token_ids) for scored in model.score(asks)]
    both = torch.tensor(mean).view(-1, 2)
    return both[:, 0] - both[:, 1]
