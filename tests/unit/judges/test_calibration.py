"""Judges against labelled answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from truing.benchmarks.world import World
from truing.errors import BadInput
from truing.judges.calibration import Item, calibrate, compared, read_items, shipped
from truing.judges.panel import RuleJudge
from truing.report.reliability import Diagram, Point, svg
from truing.types import Row, State, Verdict


@dataclass(frozen=True)
class Oracle:
    """Says the label of an item, or ``otherwise`` where that is set."""

    items: Sequence[Item]
    otherwise: State | None = None
    name: str = "oracle"

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        for row in reversed(rows):
            state = self.otherwise or self.items[int(row.key)].label
            score = {"correct": 1.0, "wrong": 0.0, "degenerate": 0.0}.get(state)
            done(Verdict(row.key, self.name, state, score))


def quiet() -> None:
    return None


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return read_items(shipped())


def test_the_shipped_answers_are_varied_and_each_is_there_once(items: list[Item]) -> None:
    assert len(items) >= 120
    assert len({(i.question, i.answer, i.accepted) for i in items}) == len(items)
    assert Counter(i.label for i in items).keys() == {"correct", "wrong", "abstain", "degenerate"}
    assert len({i.kind for i in items}) >= 12
    assert min(Counter(i.kind for i in items).values()) >= 3


def test_what_they_say_of_the_embedded_world_is_so(items: list[Item]) -> None:
    world = World.build(0)
    objects = {q: fact.object for fact in world.facts for q in fact.questions()}
    objects |= {q: fact.object for fact in world.facts for q in fact.questions(held_out=True)}
    told = [i for i in items if i.question in objects and i.kind != "edited"]
    assert len(told) >= 25
    for item in told:
        assert objects[item.question] in item.accepted, item.question


def test_a_judge_that_is_always_right_agrees_fully(items: list[Item]) -> None:
    found = calibrate(Oracle(items), items, quiet)
    assert (found.accuracy.mean, found.accuracy.n, found.accuracy.invalid) == (1.0, len(items), 0)
    assert (found.kappa.value, found.alpha.value) == (1.0, 1.0)
    assert all(label == state for label, state in found.confusion)


def test_a_judge_that_always_says_correct_agrees_no_better_than_chance(items: list[Item]) -> None:
    found = calibrate(Oracle(items, "correct"), items, quiet)
    share = sum(i.label == "correct" for i in items) / len(items)
    assert found.accuracy.mean == pytest.approx(share)
    assert found.kappa.value == pytest.approx(0.0)
    [only] = found.reliability
    assert (only.n, only.score) == (len(items), 1.0)
    assert only.correct == pytest.approx(share)


def test_invalid_verdicts_are_counted_and_not_wrong(items: list[Item]) -> None:
    said = [Verdict("", "j", "invalid", None)] * 4 + [
        Verdict("", "j", i.label, None) for i in items[4:]
    ]
    found = compared("j", items, said)
    assert (found.accuracy.mean, found.accuracy.n, found.accuracy.invalid) == (
        1.0,
        len(items) - 4,
        4,
    )
    nothing = compared("j", items, [Verdict("", "j", "invalid", None)] * len(items))
    assert (nothing.accuracy.mean, nothing.accuracy.low, nothing.kappa.value) == (None, None, None)


def test_answers_are_judged_whole() -> None:
    item = Item(
        question="?", answer="Madrid. No, Barcelona.", accepted=("Barcelona",), label="wrong"
    )
    found = calibrate(RuleJudge("contains"), [item], quiet)
    assert found.confusion == {("wrong", "correct"): 1}


def test_rules_see_loops_and_not_meaning(items: list[Item]) -> None:
    found = calibrate(RuleJudge("contains"), items, quiet)
    assert found.kinds["loop"][0] == found.kinds["loop"][1] > 0
    assert found.kinds["reworded"][0] == 0
    assert found.kinds["negated"][0] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no labelled"), ("{", "line 1: no JSON"), ('{"question": "q"}', "line 1: 'answer'"),
     (json.dumps({"question": "q", "answer": "a", "accepted": [], "label": "wrong"}), "'accepted'"),
     (json.dumps({"question": "q", "answer": "a", "accepted": ["a"], "label": "good"}), "'label'")],
)  # fmt: skip
def test_what_is_no_labelled_answer_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_items(path)
    with pytest.raises(BadInput, match="cannot read"):
        read_items(tmp_path / "gone.jsonl")


def test_the_diagram_is_one_picture_with_a_dot_for_each_bin() -> None:
    points = [Point(0.0, 0.1, 0.0, 0.3, 10), Point(1.0, 0.9, 0.7, 1.0, 20)]
    text = svg([Diagram("a & b", points), Diagram("none", [])])
    assert text.count("<circle") == 2
    assert "a &amp; b" in text
    assert text.startswith("<svg")
