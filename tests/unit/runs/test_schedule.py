from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from truing.runs.keys import Keys
from truing.runs.regime import parse
from truing.runs.schedule import count, own_sheets, portions, stages
from truing.types import Case, EditRequest, Probe

REGIMES = st.sampled_from(
    ["single", "batch-3-restored", "sequential", "sequential,every=2", "sequential,at=1+4", "batch-3", "batch,moments=final",
     "sequential,every=3,moments=immediate", "batch-2,every=1,moments="]
)  # fmt: skip


def cases(n: int, requests: int = 1) -> list[Case]:
    return [
        Case(
            f"c{i}",
            tuple(EditRequest(f"r{i}-{j}", f"The gate {i} is", f"t{j}") for j in range(requests)),
            (Probe("p", "efficacy", "Where?"),),
        )
        for i in range(n)
    ]


@given(REGIMES, st.integers(1, 12), st.integers(1, 4))
def test_the_count_is_the_number_of_sheets(text: str, n: int, at_once: int) -> None:
    regime, all_cases = parse(text), cases(n)
    course = stages(regime, all_cases)
    if regime.independent:
        sheets = [s for stage in course for s in own_sheets(all_cases, stage)]
    else:
        found = [
            portion
            for stage in course
            for portion in portions(regime, all_cases, stage, stage is course[-1], at_once)
        ]
        assert all(0 < len(portion) <= at_once for portion in found)
        sheets = [sheet for portion in found for sheet in portion]
    assert count(regime, all_cases, [1] * n) == len(sheets)
    assert len({(s.case.id, s.moment, s.step) for s in sheets}) == len(sheets)


def test_a_chain_is_measured_at_its_moments() -> None:
    regime, all_cases = parse("sequential,every=2"), cases(5)
    course = stages(regime, all_cases)
    told = [
        [
            (s.case.id, s.moment, s.step)
            for p in portions(regime, all_cases, stage, stage.number == 5, 9)
            for s in p
        ]
        for stage in course
    ]
    assert told[0] == [("c0", "immediate", 1)]
    assert told[1] == [("c1", "immediate", 2), ("c0", "step", 2), ("c1", "step", 2)]
    assert told[4][0] == ("c4", "immediate", 5)
    assert {(m, s) for _, m, s in told[4][1:]} == {("final", 5)}
    assert len(told[4]) == 6


def test_steps_count_requests() -> None:
    assert [s.step for s in stages(parse("batch-2"), cases(5, requests=3))] == [6, 12, 15]
    assert [s.step for s in stages(parse("batch-2-restored"), cases(5, requests=3))] == [6, 6, 3]


def test_what_is_in_force_is_part_of_the_key() -> None:
    all_cases = cases(4)
    chain = stages(parse("sequential"), all_cases)
    other = stages(parse("sequential"), [all_cases[1], all_cases[0], *all_cases[2:]])
    assert chain[0].made_from != other[0].made_from
    assert chain[3].made_from != other[3].made_from
    alone = stages(parse("single"), all_cases)
    assert alone[2].made_from == stages(parse("single"), all_cases[2:])[0].made_from


def keys(**values: object) -> Keys:
    facts: dict[str, object] = {
        "model": "m", "tokenizer": "t", "method": "rome", "config": {"layer": 1}, "benchmark": "b",
        "source": "s", "regime": "single", "seed": 0,
    }  # fmt: skip
    return Keys.of(**{**facts, **values})  # type: ignore[arg-type]


def test_everything_that_decides_a_row_is_in_its_key() -> None:
    case = cases(1)[0]
    probe = case.probes[0]
    base = keys().row("x", case, probe, "wild", "immediate", 1)
    assert base == keys().row("x", case, probe, "wild", "immediate", 1)
    changes: list[dict[str, object]] = [
        {"model": "n"},
        {"tokenizer": "u"},
        {"method": "memit"},
        {"config": {"layer": 2}},
        {"benchmark": "c"},
        {"source": "r"},
        {"regime": "batch-2"},
        {"seed": 1},
    ]
    others = [
        *(keys(**change).row("x", case, probe, "wild", "immediate", 1) for change in changes),
        keys().row("y", case, probe, "wild", "immediate", 1),
        keys().row("x", replace(case, id="c9"), probe, "wild", "immediate", 1),
        keys().row("x", case, replace(probe, accepted=("a",)), "wild", "immediate", 1),
        keys().row("x", case, probe, "synthetic", "immediate", 1),
        keys().row("x", case, probe, "wild", "final", 1),
        keys().row("x", case, probe, "wild", "immediate", 2),
    ]
    assert len({base, *others}) == len(others) + 1
    assert keys().row("x", replace(case, tags=("t",)), probe, "wild", "immediate", 1) == base
