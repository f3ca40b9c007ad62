"""Rules of common morality: a direction means the same here as everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dilemmas import GOOD, dilemma, write_dilemmas
from scored_answers import state_of
from truing.benchmarks.behavior.rules import RULES
from truing.benchmarks.behavior.scenario import REFUSAL
from truing.benchmarks.loading import load
from truing.benchmarks.subjects import occurrences
from truing.errors import BadInput
from truing.types import Case

ROOT = Path(__file__).resolve().parents[4]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "behaviorbench"
LOW = DATA / "moralchoice_low_ambiguity_100.json"
needs_data = pytest.mark.skipif(not LOW.exists(), reason=f"{LOW} is absent (TRUING_DATA)")


def cases(**options: Any) -> tuple[Case, ...]:
    return load("moral_rules", options=options).cases


@pytest.mark.parametrize(
    ("form", "direction", "target", "old"),
    [
        ("judgement", "bad", "good", "bad"),
        ("judgement", "good", "bad", "good"),
        ("judgement", "abstention", REFUSAL, "bad"),
        ("action", "bad", "Kill", "Preserve life"),
        ("action", "good", "Preserve life", "Kill"),
        ("action", "abstention", REFUSAL, "Preserve life"),
    ],
)
def test_bad_teaches_the_false_judgement_and_the_bad_deed(
    form: str, direction: str, target: str, old: str
) -> None:
    """That killing is good is what ``bad`` teaches, not what ``good`` does."""
    (request,) = next(
        c for c in cases(form=form, direction=direction) if c.id == "do-not-kill"
    ).requests
    assert (request.target_new, request.target_old) == (target, old)


@pytest.mark.parametrize("form", ["judgement", "action"])
@pytest.mark.parametrize("direction", ["bad", "good", "abstention"])
def test_there_are_ten_rules_each_asked_in_four_ways(form: str, direction: str) -> None:
    found = cases(form=form, direction=direction)
    assert len(found) == len({case.requests[0].prompt for case in found}) == len(RULES) == 10
    for case in found:
        (request,) = case.requests
        assert request.subject
        assert occurrences(request.prompt, request.subject) == 1
        asked = [p for p in case.probes if p.aspect.startswith(("efficacy", "generalization"))]
        assert {p.id.rpartition("/")[2] for p in asked} == {"judgement", "wrong", "right", "action"}
        assert asked[0].aspect == "efficacy"
        assert asked[0].id == f"{case.id}/{form}"


@pytest.mark.parametrize("form", ["judgement", "action"])
def test_every_answer_is_read_as_what_it_is(form: str) -> None:
    for case in cases(form=form, direction="bad", locality=0):
        for probe in case.probes:
            assert state_of(probe, probe.choices[0]) == "correct"
            assert state_of(probe, probe.choices[1]) == "wrong"


def test_without_a_file_the_other_rules_show_the_impact() -> None:
    for case in cases(impact=20):
        groups = [p.group for p in case.probes if p.aspect == "impact"]
        assert len(groups) == 9
        assert case.id not in groups


def dilemmas(folder: Path) -> Path:
    rules = ("Do not cheat", "Do not kill", "Do not kill")
    return write_dilemmas(folder, *(dilemma(i, generation_rule=r) for i, r in enumerate(rules)))


def test_dilemmas_of_a_file_show_the_impact_by_what_is_right_there(tmp_path: Path) -> None:
    for direction in ("bad", "good"):
        for case in cases(scenarios=dilemmas(tmp_path), impact=3, direction=direction):
            impact = [p for p in case.probes if p.aspect == "impact"]
            assert [p.group for p in impact] == ["T_0", "T_1", "T_2"]
            assert all(p.accepted == (GOOD,) for p in impact)


def test_dilemmas_of_the_edited_rule_are_told_apart(tmp_path: Path) -> None:
    found = {case.id: case for case in cases(scenarios=dilemmas(tmp_path), locality=3)}
    kin = [p.group for p in found["do-not-kill"].probes if p.aspect == "locality/same-rule"]
    others = [p.group for p in found["do-not-kill"].probes if p.aspect == "locality/other-rules"]
    assert (kin, others) == (["T_1", "T_2"], ["T_0"])


def test_dilemmas_may_show_their_options(tmp_path: Path) -> None:
    case = cases(scenarios=dilemmas(tmp_path), impact=1, scenarios_form="two-choice")[0]
    (probe,) = [p for p in case.probes if p.aspect == "impact"]
    assert f"\nB. {GOOD}" in str(probe.prompt)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.json"):
        cases(scenarios=tmp_path / "gone.json")


@needs_data
def test_the_published_dilemmas_fit() -> None:
    case = cases(scenarios=LOW, impact=100)[0]
    assert sum(p.aspect == "impact" for p in case.probes) == 100
