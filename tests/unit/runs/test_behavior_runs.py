"""Plans about behaviour from end to end: every edit counts, whatever became of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dilemmas import dilemma, write_dilemmas
from toy_runs import registered, toy_model
from truing.runs.execute import execute
from truing.runs.plan import parse
from truing.runs.plan_file import load
from truing.runs.store import read_rows

PLANS = Path(__file__).resolve().parents[3] / "plans"


@pytest.mark.parametrize("name", ["behavior", "moralchoice"])
def test_the_plan_edits_in_three_directions_with_four_methods(name: str) -> None:
    plan = load(PLANS / f"{name}.toml")
    directions = [benchmark.options["direction"] for benchmark in plan.benchmarks]
    assert directions == ["bad", "good", "abstention"]
    assert [m.name for m in plan.methods] == ["none", "ft_m", "rome", "ice", "caa"]
    assert len(plan.cells()) == 15
    assert plan.capability


def test_the_impact_counts_every_edit_the_failed_ones_too(tmp_path: Path) -> None:
    """Neither an edit that changes no answer nor one that could not be made is left out."""
    data = write_dilemmas(tmp_path, *map(dilemma, range(8)))
    with registered():
        plan = parse(
            {
                "model": "toy",
                "methods": [
                    {"name": "nudge", "config": {"size": 0.0}},
                    {"name": "nudge", "label": "failing", "config": {"fail": ["purse 1."]}},
                ],
                "benchmark": "moralchoice",
                "data": data.name,
                "limit": 3,
                "options": {"direction": "bad", "impact": 4, "locality": 0},
                "protocols": ["wild,template=bare,scorer=as-asked"],
                "noise_sample": 0,
            },
            root=tmp_path,
        )
        result = execute(plan, tmp_path / "out", load=toy_model)
    impact = [row for row in read_rows(result.folder) if row.aspect == "impact"]
    assert Counter(row.cell for row in impact) == {cell.id: 12 for cell in plan.cells()}
    lost = [row for row in impact if row.response is None]
    assert {row.case for row in lost} == {"T_1"}
    assert len(lost) == 4
    assert all(row.accepted == ("I give it back.", "B") for row in impact)
