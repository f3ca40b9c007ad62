"""Capability in a run: the same items of base and edited model, asked as the regime allows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toy_runs import toy_model, toy_plan
from truing.errors import BadInput, UnknownName
from truing.runs.capability import dealt, untouched
from truing.runs.execute import execute
from truing.runs.plan_file import load
from truing.runs.prepare import prepare
from truing.runs.store import read_rows
from truing.seeds import Seeds
from truing.types import Case, EditRequest, Probe, Row

SET: dict[str, Any] = {
    "name": "micro",
    "n": 7,
    "protocol": "bare/greedy/gold-length/token-match",
}


def item(i: int, prompt: str = "") -> Case:
    name = f"capability/x/{i}"
    return Case(name, (), (Probe(name, "capability/x", prompt or f"What is {i}?", (str(i),)),))


def edit(i: int, prompt: str, subject: str | None) -> Case:
    return Case(f"c{i}", (EditRequest(f"c{i}", prompt, "x", subject=subject),), ())


@given(st.integers(1, 9), st.integers(0, 30))
def test_every_item_is_dealt_to_one_case_and_evenly(n: int, items: int) -> None:
    cases = [edit(i, f"p{i}", None) for i in range(n)]
    hands = [case.probes for case in dealt(cases, [item(i) for i in range(items)], Seeds(0))]
    assert Counter(p.id for hand in hands for p in hand) == {f"capability/x/{i}": 1 for i in range(items)}  # fmt: skip
    assert max(map(len, hands)) - min(map(len, hands)) <= 1


def test_items_about_an_edit_are_left_out() -> None:
    items = [
        item(0, "Who built The Tin Gate?"),
        item(1, "Who built the  tin gate's roof?"),
        item(2, "Who built the Tin Gateway?"),
        item(3, "A repeated prompt"),
        item(4, "Something else"),
    ]
    cases = [edit(0, "p", "The Tin Gate"), edit(1, "a repeated prompt", None)]
    assert [c.id[-1] for c in untouched(items, cases, 9)] == ["2", "4"]
    assert [c.id[-1] for c in untouched(items, cases, 1)] == ["2"]
    with pytest.raises(BadInput, match="names a subject"):
        untouched(items[:1], cases, 9)


def rows_of(folder: Path) -> list[Row]:
    return [row for row in read_rows(folder) if row.aspect == "capability/micro"]


def test_a_run_asks_the_same_items_of_base_and_edited_model(tmp_path: Path) -> None:
    plan = toy_plan(tmp_path, 3, regimes=["single", "sequential"], capability=[SET])
    result = execute(plan, tmp_path / "run", load=toy_model)
    rows = rows_of(result.folder)
    noise = [row for row in rows if row.moment == "base"]
    assert len(noise) == 2
    assert {row.protocol for row in rows} == {"bare/greedy/gold-length/token-match"}
    by_cell: dict[str, list[Row]] = {}
    for row in rows:
        if row.moment != "base":
            by_cell.setdefault(row.cell, []).append(row)
    assert len(by_cell) == 4
    asked = [tuple(sorted(row.probe for row in found)) for found in by_cell.values()]
    assert all(len(set(probes)) == 7 for probes in asked)
    assert len(set(asked)) == 1
    for found in by_cell.values():
        moments = {row.moment for row in found}
        assert moments in ({"immediate"}, {"final"})
        cases = {row.case for row in found}
        assert len(cases) == (3 if moments == {"immediate"} else 7)
    measures = [
        m for m in result.summary.measures
        if m.aspect == "capability/micro" and m.metric == "accuracy" and not m.compatibility
    ]  # fmt: skip
    edited = [m for m in measures if m.method == "nudge"]
    assert {(m.regime, m.value.n) for m in edited} == {("single", 7), ("sequential", 7)}
    assert all(m.versus is not None and m.versus.n_pairs == 7 for m in edited)
    assert not any(m.aspect == "capability" for m in result.summary.measures)


def test_two_sets_are_never_averaged(tmp_path: Path) -> None:
    sets = [SET, {**SET, "name": "micro-english"}]
    plan = toy_plan(tmp_path, 2, regimes=["batch"], capability=sets)
    summary = execute(plan, tmp_path / "run", load=toy_model).summary
    found = {m.aspect for m in summary.measures if m.aspect.startswith("capability")}
    assert found == {"capability/micro", "capability/micro-english"}


def test_what_is_planned_is_what_is_written(tmp_path: Path) -> None:
    plan = toy_plan(
        tmp_path, 4, regimes=["sequential,every=2", "batch-2-restored"], capability=[SET]
    )
    planned = sum(prepare(plan).rows(cell) for cell in plan.cells())
    result = execute(plan, tmp_path / "run", load=toy_model)
    assert planned == sum(row.moment != "base" for row in read_rows(result.folder))
    steps = {(row.moment, row.step) for row in rows_of(result.folder) if row.moment != "base"}
    assert steps == {("step", 2), ("final", 4), ("immediate", 2)}


def test_a_resumed_run_refuses_other_items(tmp_path: Path) -> None:
    execute(toy_plan(tmp_path, 2, capability=[SET]), tmp_path / "run", load=toy_model)
    again = load(tmp_path / "run")
    assert again.capability == toy_plan(tmp_path, 2, capability=[SET]).capability
    assert execute(again, tmp_path / "run", resume=True, load=toy_model).rows > 0
    other = toy_plan(tmp_path, 2, capability=[{**SET, "n": 5}])
    with pytest.raises(BadInput, match="capability"):
        execute(other, tmp_path / "run", resume=True, load=toy_model)


def test_a_set_brings_its_own_protocol_and_path(tmp_path: Path) -> None:
    plan = toy_plan(tmp_path, 2, capability=["micro", {"name": "boolq", "data": "b.jsonl"}])
    micro, boolq = plan.capability
    assert (micro.n, micro.protocol.split("/")[-1]) == (200, "contains")
    assert plan.data_path(boolq) == tmp_path / "b.jsonl"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"capability": ["mikro"]}, "unknown capability set 'mikro'"),
        ({"capability": [{**SET, "size": 5}]}, "size"),
        ({"capability": [{**SET, "n": 0}]}, "'n' is 0"),
        ({"capability": [SET, SET]}, "two capability sets"),
    ],
)
def test_wrong_sets_are_told_with_the_plan(
    tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    with pytest.raises((BadInput, UnknownName), match=words):
        toy_plan(tmp_path, 2, **values)


def test_a_chain_that_is_never_measured_later_is_refused(tmp_path: Path) -> None:
    plan = toy_plan(tmp_path, 2, regimes=["sequential,moments=immediate"], capability=[SET])
    with pytest.raises(BadInput, match="no moment at which capability"):
        prepare(plan)
