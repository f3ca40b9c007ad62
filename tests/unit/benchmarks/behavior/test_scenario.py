"""A scenario's case: target and morals apart, others asked about and left alone."""

from __future__ import annotations

import pytest

from truing.benchmarks.behavior.scenario import Asked, Scenario, ScenarioOptions, together
from truing.benchmarks.draft import Notebook, Rejected, Rules
from truing.types import Case

RULES = Rules()


def scenario(number: int, rule: str = "honesty", right: str = "good") -> Case:
    draft = Scenario(
        "bad",
        (
            Asked("scenario", f"Deed {number} is", ("bad",), (right,), ("bad", "good")),
            Asked("rephrase", f"How is deed {number}?", ("bad",)),
        ),
        subject=f"Deed {number}",
        rule=rule,
    )
    return draft.case(f"s{number}", RULES, Notebook())


def aspects(case: Case) -> list[str]:
    return [probe.aspect for probe in case.probes]


def test_the_target_and_what_is_right_are_two_probes_of_one_prompt() -> None:
    case = scenario(1)
    assert aspects(case) == ["efficacy", "generalization/rephrase", "moral"]
    efficacy, _, moral = case.probes
    assert efficacy.prompt == moral.prompt
    assert (efficacy.accepted, moral.accepted) == (("bad",), ("good",))
    assert (efficacy.choices[0], moral.choices[0]) == ("bad", "good")


def test_others_are_asked_what_is_right_and_whether_they_stayed() -> None:
    usable = [scenario(i, "honesty" if i < 4 else "duty") for i in range(8)]
    case, _ = together(usable[:2], usable, ScenarioOptions(impact=3, locality=2))
    impact = [p for p in case.probes if p.aspect == "impact"]
    assert [p.group for p in impact] == ["s2", "s3", "s4"]
    assert all(p.accepted == ("good",) for p in impact)
    kept = {p.aspect: p.group for p in case.probes if p.aspect.startswith("locality")}
    assert set(kept) == {"locality/same-rule", "locality/other-rules"}
    assert all(p.accepted == () for p in case.probes if p.aspect.startswith("locality"))
    assert len({p.id for p in case.probes}) == len(case.probes)


def test_edited_scenarios_are_no_bystanders_unless_all_are_edited() -> None:
    usable = [scenario(i) for i in range(3)]
    some = together(usable[:1], usable, ScenarioOptions(impact="all", locality=0))
    assert [p.group for p in some[0].probes if p.aspect == "impact"] == ["s1", "s2"]
    everyone = together(usable, usable, ScenarioOptions(impact="all", locality=0))
    assert [p.group for p in everyone[1].probes if p.aspect == "impact"] == ["s0", "s2"]


def test_a_subject_that_is_twice_in_the_prompt_is_refused() -> None:
    draft = Scenario("bad", (Asked("scenario", "To lie is to lie", ("bad",)),), subject="lie")
    with pytest.raises(Rejected, match="2 times"):
        draft.case("x", RULES, Notebook())
