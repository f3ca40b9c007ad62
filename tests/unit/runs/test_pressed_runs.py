"""From the rows of a run to what held under doubt and to the means of its topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from truing.protocols.protocol import parse
from truing.runs.by_topic import topic_means
from truing.runs.plan_file import load
from truing.runs.pressed import under_pressure
from truing.runs.tally import Tally
from truing.scoring.judge import judge_row
from truing.types import Response, Row

ROOT = Path(__file__).resolve().parents[3]
PROTOCOL = parse("wild-chat,scorer=as-asked")
CELLS = {"none": {"benchmark": "halls"}, "rome": {"benchmark": "halls"}}
DATA = {"halls": {"benchmark": "hallueditbench"}}
TOPICS = {"art_sculpture": 3, "places_city": 1, "places_country": 2}
Say = Callable[[str, str], str]


def rows(cell: str, say: Say) -> Iterator[Row]:
    """``say`` gives the answer to an aspect of a case."""
    right = {"robustness": "Yes", "robustness-control": "No"}
    aspects = [f"{s}/{k}/turn-{t:02d}" for s in right for k in ("yes", "sure") for t in (1, 2)]
    for case in (f"{topic}/{i}" for topic, count in TOPICS.items() for i in range(count)):
        for aspect in ("efficacy", *aspects):
            accepted = right.get(aspect.partition("/")[0], "Velt")
            yield Row(
                key=f"{cell}/{case}/{aspect}", cell=cell, case=case, probe=aspect, aspect=aspect,
                protocol=PROTOCOL.id, moment="immediate", step=1, prompt="?", accepted=(accepted,),
                response=Response(say(case, aspect), (1,), stop="eos"), base=None, question="Is it?",
                choices=() if aspect == "efficacy" else ("Yes", "No"),
            )  # fmt: skip


def tally(**says: Say) -> Tally:
    made = Tally()
    for cell, say in says.items():
        for row in rows(cell, say):
            made.add(row, judge_row(row, PROTOCOL))
    made.put_in_order(tuple(says))
    made.add_parents()
    return made


def agrees(case: str, aspect: str) -> str:
    return "Velt" if aspect == "efficacy" else "Yes"


def test_a_model_that_agrees_with_everything_is_worth_half_h6() -> None:
    found = under_pressure(tally(none=agrees))
    assert [(each["cell"], each["kind"]) for each in found] == [("none", "yes"), ("none", "sure")]
    for each in found:
        assert (each["moment"], each["start"]["mean"]) == ("immediate", 1.0)
        for number, turn in enumerate(each["turns"], start=1):
            means = {k: turn[k]["mean"] for k in ("held", "control", "balanced", "kept")}
            assert turn["turn"] == number
            assert means == {"held": 1.0, "control": 0.0, "balanced": 0.5, "kept": 1.0}


def test_an_answer_that_is_neither_has_not_held() -> None:
    """Else a model that answers once and babbles otherwise would hold perfectly."""

    def babbles(case: str, aspect: str) -> str:
        return "Yes" if case == "places_city/0" else "The sun over the sea"

    for each in under_pressure(tally(rome=babbles)):
        assert each["turns"][0]["held"]["mean"] == pytest.approx(1 / 6)
        assert each["turns"][0]["held"]["n"] == 6


def test_runs_without_doubt_have_none() -> None:
    made = Tally()
    for row in rows("none", agrees):
        if row.aspect == "efficacy":
            made.add(row, judge_row(row, PROTOCOL))
    assert under_pressure(made) == []


def test_topics_and_domains_count_the_same_however_many_cases_they_have() -> None:
    def knows_cities(case: str, aspect: str) -> str:
        return "Velt" if case.startswith("places_city") else "Sarn"

    found = topic_means(tally(rome=knows_cities), CELLS, DATA)
    (efficacy,) = [e for e in found if (e["aspect"], e["judge"]) == ("efficacy", "as-asked")]
    assert efficacy["macro"]["mean"] == pytest.approx(1 / 3)
    assert efficacy["domains"]["places"]["mean"] == 0.5
    assert efficacy["topics"]["places_city"]["mean"] == 1.0
    assert {e["judge"] for e in found} == {"as-asked", "as-asked-strict"}
    aspects = {e["aspect"] for e in found}
    assert aspects == {"efficacy", "robustness", "robustness-control"}


def test_other_benchmarks_have_no_topics() -> None:
    assert topic_means(tally(none=agrees), CELLS, {"halls": {"benchmark": "world"}}) == []


def test_the_shipped_plan_holds_the_seven_methods_and_both_kinds_of_doubt() -> None:
    made = load(ROOT / "plans" / "hallucination.toml", {"data": "elsewhere", "limit": 2})
    assert {m.name for m in made.methods} == {
        "none", "lora", "ft_m", "ft_l", "ice", "rome", "memit", "grace",
    }  # fmt: skip
    (benchmark,) = made.benchmarks
    assert str(made.data_path(benchmark)).endswith("elsewhere")
    assert benchmark.limit == 2
    assert (benchmark.options["pressure"], len(benchmark.options["topics"])) == ("both", 3)
