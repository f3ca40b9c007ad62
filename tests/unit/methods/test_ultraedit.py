"""UltraEdit: its statistics, its solve, and what goes from one call to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asking import make, noise
from truing.errors import BadInput, TruingWarning
from truing.interventions.artifact import load
from truing.interventions.intervention import Intervention
from truing.methods import ultraedit
from truing.methods.kernels.lines import answer_line
from truing.methods.kernels.normaliser import Normaliser
from truing.methods.ultraedit import ULTRAEDIT, UltraEditConfig, learned, normalisers_of, shift
from truing.models.answers import NoAnswers
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow")
B = EditRequest("b", "Mara Velt's mother tongue is", "French, no")
C = EditRequest("c", "Who built the Tin Gate? It was", "Danielle")
CONFIG = UltraEditConfig(down=(0, 1), lr=1e-2)


def matrix(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def normaliser(*blocks: Tensor) -> Normaliser:
    found = Normaliser.empty(blocks[0].shape[1], like=blocks[0])
    for block in blocks:
        found = found.seen(block)
    return found


def deltas(iv: Intervention) -> dict[str, Tensor]:
    return {part.param: part.delta.math() for part in iv.weights}  # type: ignore[union-attr]


# the normaliser


def test_blocks_give_the_statistics_of_the_whole() -> None:
    found = normaliser(matrix([1, 2], [3, 6]), matrix([5, 1], [7, 1], [9, 4]))
    assert found.mean_W.tolist() == pytest.approx([5, 2.8])
    assert found.deviation_W.tolist() == pytest.approx([3.162278, 2.167948], abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 2**20))
def test_any_cut_into_blocks_gives_the_same(sizes: list[int], seed: int) -> None:
    rows = noise(seed, sum(sizes), 3).double() * 10 + 4
    found = normaliser(*rows.split(sizes))
    assert found.count == len(rows)
    assert torch.allclose(found.mean_W, rows.mean(0))
    if len(rows) > 1:
        assert torch.allclose(found.deviation_W, rows.std(0))
        assert torch.allclose(
            found.normalised(rows), (rows - rows.mean(0)) / rows.std(0), atol=1e-4
        )


def test_one_row_is_finite_and_nothing_out_of_the_ordinary() -> None:
    row = matrix([3, -2, 0])
    found = normaliser(row)
    assert found.normalised(row).tolist() == [[0, 0, 0]]
    assert bool(found.seen(matrix([4, 4, 4])).normalised(row).isfinite().all())


def test_no_rows_change_nothing() -> None:
    found = normaliser(matrix([1, 2], [3, 6]))
    assert found.seen(matrix([0, 0])[:0]) is found


# gradients and the solve


@pytest.mark.parametrize("tokens", [2, 3, 7])
def test_the_small_solve_is_the_large_one(tokens: int) -> None:
    inputs, values = noise(1, tokens, 5).double(), noise(2, tokens, 4).double()
    factors = shift(inputs, values)
    large = torch.linalg.solve(inputs.T @ inputs + torch.eye(5), inputs.T @ values)
    assert torch.allclose(factors.left @ factors.right.T, large.T)
    assert factors.left.shape[1] <= 5


def test_the_worked_example_comes_out() -> None:
    factors = shift(matrix([1, 0, 1], [0, 1, 1]), matrix([1, 0], [0, 2]))
    want = matrix([0.375, -0.25], [-0.125, 0.75], [0.25, 0.5])
    assert torch.allclose(factors.left @ factors.right.T, want.T)


def test_an_update_is_the_regression_on_normalised_gradients() -> None:
    inputs, grads = noise(3, 6, 5), noise(4, 6, 4)
    both = torch.cat([inputs, grads], 1).double()
    unit = (both - both.mean(0)) / (both.std(0) + 1.1920929e-07)
    values = -0.1 * unit[:, :5].square().sum(1, keepdim=True) * unit[:, 5:]
    factors = learned(normaliser(torch.cat([inputs, grads], 1)), inputs, grads, 0.1)
    want = torch.linalg.solve(both[:, :5].T @ both[:, :5] + torch.eye(5), both[:, :5].T @ values)
    assert torch.allclose(factors.left @ factors.right.T, want.T, atol=1e-6)


# the method


def test_the_size_of_a_loss_is_normalised_away() -> None:
    """A minibatch's mean divides all its gradients by one number, which does not matter."""
    inputs, grads = noise(3, 6, 5), noise(4, 6, 4)
    updates = []
    for factor in (1.0, 0.1):
        both = torch.cat([inputs, factor * grads], 1)
        factors = learned(normaliser(both), inputs, factor * grads, 0.1)
        updates.append(factors.left @ factors.right.T)
    assert torch.allclose(updates[0], updates[1], rtol=1e-4)


def test_requests_of_one_minibatch_weigh_by_their_tokens() -> None:
    model = make()
    together, apart = (
        ULTRAEDIT.make(model, [A, B, C], UltraEditConfig(down=(1,), lr=1e-2, minibatch=n))
        for n in (3, 1)
    )
    assert together.id != apart.id


def test_small_passes_change_nothing() -> None:
    model = make()
    want = deltas(ULTRAEDIT.make(model, [A, B, C], CONFIG))
    model.budget.tokens = 1
    got = deltas(ULTRAEDIT.make(model, [A, B, C], CONFIG))
    for name, delta in want.items():
        assert torch.allclose(delta, got[name], rtol=1e-3, atol=1e-5)


def test_a_chain_that_was_saved_goes_on_as_one_that_was_not(tmp_path: Path) -> None:
    model = make()
    first = ULTRAEDIT.make(model, [A, B], CONFIG)
    first.save(str(tmp_path / "first"))
    straight = ULTRAEDIT.make(model, [C], CONFIG, first)
    resumed = ULTRAEDIT.make(model, [C], CONFIG, load(tmp_path / "first", model))
    assert resumed.id == straight.id
    assert all(torch.equal(resumed.memo[name], straight.memo[name]) for name in straight.memo)
    width = model.arch.down(0).d_in, model.arch.down(0).d_out
    known = normalisers_of(straight)[f"ultraedit.{width[0]}x{width[1]}"]
    lines = [answer_line(model.speller, request) for request in (A, B, C)]
    assert known.count == 2 * sum(len(line.reads) for line in lines), "two matrices of one shape"


def test_independent_edits_share_nothing() -> None:
    model = make()
    assert ULTRAEDIT.each is not None
    [one, other] = ULTRAEDIT.each(model, [[A, B], [C]], CONFIG)
    alone = ULTRAEDIT.make(model, [C], CONFIG)
    for name in alone.memo:
        assert torch.allclose(other.memo[name], alone.memo[name], rtol=1e-3, atol=1e-6)
    assert not torch.equal(one.memo[next(iter(one.memo))], other.memo[next(iter(other.memo))])


def test_memos_of_other_methods_are_kept() -> None:
    before = Intervention(memo={"protected.1": torch.ones(2)})
    iv = ULTRAEDIT.make(make(), [A, B], CONFIG, before)
    assert torch.equal(iv.memo["protected.1"], torch.ones(2))


def test_a_single_token_moves_nothing_says_so_and_is_remembered() -> None:
    model = make()
    word = model.tok.decode(model.tok(" the", add_special_tokens=False)["input_ids"][:1]).strip()
    short = EditRequest("short", "The Tin Gate is in", word)
    assert len(model.speller.join(short.prompt, short.target_new).continuation) == 1
    config = UltraEditConfig(down=(1,), lr=1e-2)
    with pytest.warns(TruingWarning, match="single token"):
        iv = ULTRAEDIT.make(model, [short], config)
    assert iv.parts == ()
    assert [each.count for each in normalisers_of(iv).values()] == [1]
    then = ULTRAEDIT.make(model, [short, A], config, iv)
    assert all(
        bool(delta.isfinite().all()) and bool(delta.any()) for delta in deltas(then).values()
    )


def test_gates_and_halves_of_fused_projections_can_be_edited() -> None:
    config = UltraEditConfig(gate=(0,), up=(1,), lr=1e-2)
    for family in ("llama", "phi3"):
        model = make(family)
        iv = ULTRAEDIT.make(model, [A, B], config)
        want = {model.arch.mlp_in(0)[0].param, model.arch.mlp_in(1)[1].param}
        assert {part.param for part in iv.weights} == want
    with pytest.raises(BadInput, match="no gate"):
        ULTRAEDIT.make(make("gpt2"), [A], config)


def test_naming_no_layer_is_refused() -> None:
    with pytest.raises(BadInput, match="no matrix"):
        ULTRAEDIT.make(make(), [A], UltraEditConfig(down=()))


@pytest.mark.parametrize("n_layers", [1, 2, 3, 12, 32])
def test_guesses_exist(n_layers: int) -> None:
    down = ultraedit.guess(n_layers).down
    assert down
    assert all(0 <= layer < n_layers for layer in down)


POCKET = (
    EditRequest("temple", "The Silver Temple can be found in", "Brackton", "Redclay"),
    EditRequest("river", "Ashmere lies on the river", "Teal", "Ouse"),
    EditRequest("home", "Quentin Wick lives in", "Orvale", "Redclay"),
    EditRequest("wick", "Wystan Ivory lives in", "Marrow", "Redclay"),
)


def test_facts_of_the_embedded_model_are_changed() -> None:
    model = Model.load("truing/pocket", device="cpu")
    model.answers = NoAnswers()
    iv = ULTRAEDIT.make(model, POCKET, UltraEditConfig())
    asks = [ScoreAsk(r.prompt, r.target_new, under) for under in (None, iv) for r in POCKET]
    before, after = torch.tensor([s.logprob for s in model.score(asks)]).view(2, len(POCKET))
    assert bool((after > before).all())
    assert iv.origin.config["settings"] == "table:pocket"
