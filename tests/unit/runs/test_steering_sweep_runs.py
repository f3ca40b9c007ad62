"""A sweep resumes, chooses on one half of the pairs and judges on the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import truing.runs.steering_sweep as sweeping
from asking import make
from truing.benchmarks.loading import load
from truing.errors import BadInput, EditFailed
from truing.methods.steering.sweep import Pair, Sweep, grid, sweep
from truing.methods.steering.vectors import CAA, VectorConfig
from truing.runs.steering_sweep import Task, choose, judged, pairs_of, random_like, run
from truing.seeds import Seeds
from truing.types import EditRequest

REQUESTS = (
    EditRequest("a", "The Glass Spire is in the city of", "Marrow Fell", "Orvale"),
    EditRequest("b", "Who built the Tin Gate?", "I do not know", "Mara Velt, I believe"),
)
PAIRS = tuple(
    Pair(f"{prompt} {n}", prompt, wanted, "No", prompt)
    for prompt in ("Is it so?", "Do you know?", "Who built it?", "What is the capital?")
    for n, wanted in enumerate(("Yes", "Paris, the city"))
)
TASK = Task(CAA, VectorConfig(), REQUESTS, PAIRS, (0, 2), (-0.5, 0.5, 1.0))


def made_up(moved_L_S: Sequence[Sequence[float]], nats_L_S: Sequence[Sequence[float]]) -> Sweep:
    """All of every change is promotion, the same in all pairs."""
    now = np.zeros((len(moved_L_S), len(moved_L_S[0]), len(PAIRS), 2))
    now[..., 0] = np.array(moved_L_S)[:, :, None]
    columns = tuple(f"{s}" for s in range(now.shape[1]))
    layers = tuple(range(now.shape[0]))
    return Sweep(layers, columns, PAIRS, np.zeros((len(PAIRS), 2)), now, np.array(nats_L_S))


def test_the_best_setting_within_the_budget_is_chosen() -> None:
    swept = made_up([[1.0, 3.0], [2.0, -5.0]], [[0.1, 0.9], [0.4, 0.1]])
    assert choose(swept, 0.5, Seeds(0))[:2] == (1, 0)
    assert choose(swept, 1.0, Seeds(0))[:2] == (0, 1)
    assert choose(swept, 0.3, Seeds(0))[:2] == (0, 0)
    with pytest.raises(EditFailed, match=r"more than 0\.05 nats"):
        choose(swept, 0.05, Seeds(0))


@given(st.integers(0, 10_000))
def test_halves_share_no_prompt(seed: int) -> None:
    *_, held_out = choose(made_up([[1.0]], [[0.1]]), 0.5, Seeds(seed))
    there = {PAIRS[n].prompt for n in held_out}
    others = {pair.prompt for n, pair in enumerate(PAIRS) if n not in held_out}
    assert len(there) == len(others) == 2
    assert not there & others


def test_what_is_held_out_does_not_choose() -> None:
    swept = made_up([[1.0, 0.9]], [[0.1, 0.1]])
    *_, held_out = choose(swept, 0.5, Seeds(0))
    swept.now_L_S_N_2[0, 1, list(held_out), 0] = 100.0
    assert choose(swept, 0.5, Seeds(0))[:2] == (0, 0)


def test_pairs_of_one_prompt_have_no_halves() -> None:
    swept = made_up([[1.0]], [[0.1]])
    one = Sweep(
        swept.layers,
        swept.columns,
        swept.pairs[:2],
        swept.base_N_2[:2],
        swept.now_L_S_N_2[:, :, :2],
        swept.nats_L_S,
    )
    with pytest.raises(BadInput, match="one prompt"):
        choose(one, 0.5, Seeds(0))


def test_controls_are_as_long_and_in_the_same_place() -> None:
    model = make("llama")
    chosen = grid(model, CAA, REQUESTS, config=VectorConfig(), strengths=(0.5, 1.0))
    op = chosen.ops[2][1]
    others = random_like(chosen, 2, 1, 3, Seeds(1))
    vectors = [other.vector for other in others.ops[0]]
    assert others.layers == (2,)
    for other in others.ops[0]:
        assert float(other.vector.norm()) == pytest.approx(float(op.vector.norm()), rel=1e-5)
        assert (other.scale, other.site, other.positions) == (op.scale, op.site, op.positions)
    assert not np.allclose(vectors[0], vectors[1])
    again = random_like(chosen, 2, 1, 3, Seeds(1)).ops[0][0].vector
    assert np.array_equal(vectors[0], again)


def test_the_outcome_is_about_held_out_pairs() -> None:
    model = make("llama")
    chosen = grid(model, CAA, REQUESTS, config=VectorConfig(), strengths=(0.5, 1.0))
    swept = sweep(model, chosen, PAIRS)
    found = judged(model, chosen, swept, 100.0, controls=4, seeds=Seeds(3))
    here = [n for n, pair in enumerate(PAIRS) if pair.id in found.held_out]
    at = swept.layers.index(found.layer), swept.columns.index(found.strength)
    moved_N = (swept.promotion_L_S_N + swept.suppression_L_S_N)[at]
    assert found.found.margin.difference.delta == pytest.approx(float(moved_N[here].mean()))
    assert found.chosen_by == pytest.approx(float(np.delete(moved_N, here).mean()))
    assert set(found.searched) | set(found.held_out) == {pair.id for pair in PAIRS}
    assert found.beaten == sum(c.margin < moved_N[here].mean() for c in found.controls)
    assert found.against is not None
    strongest = max(control.margin for control in found.controls)
    assert found.against.delta == pytest.approx(float(moved_N[here].mean()) - strongest)
    alone = judged(model, chosen, swept, 100.0, controls=0, seeds=Seeds(3))
    assert (alone.controls, alone.against, alone.found) == ((), None, found.found)


def test_a_sweep_goes_on_where_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make("llama")
    model.budget.tokens = 16
    _, whole = run(model, TASK, tmp_path / "whole")
    asked: list[int] = []
    read = sweeping.read_pairs

    def watched(model: Any, chosen: Any, pairs: Sequence[Pair]) -> Any:
        asked.append(len(pairs))
        for number, each in enumerate(read(model, chosen, pairs)):
            if len(asked) == 1 and number == 3:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(sweeping, "read_pairs", watched)
    with pytest.raises(KeyboardInterrupt):
        run(model, TASK, tmp_path / "cut")
    done: list[int] = []
    _, found = run(model, TASK, tmp_path / "cut", done.append)
    assert asked == [8, 5]
    assert sum(done) == 8
    assert np.allclose(found.now_L_S_N_2, whole.now_L_S_N_2, atol=1e-5)
    assert np.array_equal(found.nats_L_S, whole.nats_L_S)
    other = Task(CAA, VectorConfig(), REQUESTS, PAIRS, (0, 2), (0.5,))
    with pytest.raises(BadInput, match="another sweep"):
        run(model, other, tmp_path / "cut")


def test_pairs_come_from_cases_of_both_kinds() -> None:
    cases = load("world_contrast", options={"behavior": "formal", "train": 5, "test": 4}).cases
    requests, pairs = pairs_of(cases)
    assert (len(requests), len(pairs)) == (5, 4)
    assert all(pair.wanted and pair.unwanted and pair.cluster for pair in pairs)
    with pytest.raises(BadInput, match="0 to sweep on"):
        pairs_of([case for case in cases if case.requests])


def test_the_command_writes_a_page_and_the_choice(tmp_path: Path) -> None:
    import typer

    from truing.cli.steer_sweep import sweep as command

    app = typer.Typer()
    app.command()(command)
    given = ["truing/pocket", "--option", "behavior=formal", "--option", "train=6"]
    given += ["--option", "test=6", "--strengths=-0.25,0.25", "--layers", "1,3", "--controls", "2"]
    out = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "s"), "--json"])
    assert out.exit_code == 0, out.output
    choice = json.loads((tmp_path / "s" / "choice.json").read_text())
    assert choice["layer"] in (1, 3)
    assert len(choice["controls"]) == 2
    page = (tmp_path / "s" / "sweep.html").read_text()
    assert page.count("<svg") == 1
    assert "strength 0.25, layer 3:" in page
    assert "random directions of the same length" in page
    assert "<script" not in page
