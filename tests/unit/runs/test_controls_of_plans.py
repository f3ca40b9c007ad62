"""Which controls a plan gets by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from truing.runs.plan import Plan, parse
from truing.runs.plan_file import load


def plan(*methods: Any, **values: Any) -> Plan:
    raw = {"model": "m", "benchmark": "world_contrast", "regime": "batch", "methods": list(methods)}
    return parse({**raw, **values})


def controls(of: Plan) -> list[str]:
    return [cell.method.label for cell in of.cells() if cell.control_of]


def test_a_plan_with_a_vector_gets_ten_directions_and_shuffled_pairs() -> None:
    assert controls(plan("caa")) == [f"random {n} · caa" for n in range(1, 11)] + ["shuffled · caa"]


@pytest.mark.parametrize("given", [0, False])
def test_a_plan_can_say_none(given: Any) -> None:
    assert controls(plan("caa", "instruct", controls=given)) == []


@pytest.mark.parametrize("method", ["ft_m", "instruct", "random_direction"])
def test_plans_without_a_vector_get_none(method: str) -> None:
    assert controls(plan(method)) == []


def test_an_instruction_gets_neutral_text() -> None:
    told = plan("caa", {"name": "instruct", "config": {"text": "Be glad. "}}, controls=1)
    cell = told.cells()[-1]
    assert (cell.method.label, cell.method.config) == ("neutral · instruct", {"text": "Be glad. "})
    assert cell.control_of == (told.cells()[2].id,)


def test_arms_of_one_length_share_their_random_directions() -> None:
    shared = plan("caa", "pca", {"name": "caa", "config": {"strength": 1.0}}, controls=1)
    by_label = {cell.method.label: cell for cell in shared.cells()}
    arms = [cell.id for cell in shared.cells()[1:4]]
    assert by_label["random 1 · caa strength 0.5, pca"].control_of == (arms[0], arms[1])
    assert by_label["random 1 · caa strength 1.0"].control_of == (arms[2],)


@pytest.mark.parametrize("config", [{"max_kl": 0.5}, {"unit": "absolute"}])
def test_lengths_that_only_the_result_tells_are_not_shared(config: dict[str, Any]) -> None:
    apart = plan({"name": "caa", "config": config}, {"name": "pca", "config": config}, controls=1)
    assert all(len(cell.control_of) == 1 for cell in apart.cells() if cell.control_of)


def test_a_control_copies_its_arm_as_the_cells_seed_makes_it() -> None:
    seeded = plan("iti", controls=2, seeds=[4, 5])
    cells = [cell for cell in seeded.cells() if cell.control_of]
    copied = [cell.method.config["like"]["config"]["seed"] for cell in cells]
    assert [(cell.seed, cell.method.config["seed"]) for cell in cells] == [
        (4, 1),
        (4, 2),
        (5, 1),
        (5, 2),
    ]
    assert copied == [4, 4, 5, 5]


def test_a_written_plan_has_the_same_cells(tmp_path: Path) -> None:
    first = plan("caa", "cast", "actadd", "instruct")
    (tmp_path / "plan.toml").write_text(first.text(tmp_path), "utf-8")
    again = load(tmp_path / "plan.toml")
    assert again.cells() == first.cells()
    assert len({cell.id for cell in again.cells()}) == len(again.cells())
