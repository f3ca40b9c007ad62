"""Steering by AxBench's protocol: what is added where, and what texts are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch

import axbench_folder as folders
from truing.benchmarks.axbench import AxBench, instructions_of, read
from truing.errors import BadInput, UnknownName
from truing.judges.base import AskedJudge
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.runs.axbench_detection import (
    CONTROL,
    Key,
    Scores,
    Setting,
    find_directions,
    read_scores,
)
from truing.runs.axbench_grading import NOTHING, Grades, Written, by_judges, by_proxy
from truing.runs.axbench_steering import (
    BASE,
    PROMPT,
    Steering,
    arms_of,
    questions_of,
    results,
    write,
)
from truing.seeds import Seeds
from truing.types import Row, Verdict

SETTING = Setting(2, ("caa", CONTROL))
STEERING = Steering(factors=(0.5, 2.0), per_concept=4, max_new_tokens=8)


@dataclass(frozen=True)
class Ready:
    """Everything up to the writing, on the embedded model."""

    model: Model
    bench: AxBench
    found: dict[Key, torch.Tensor]
    scores: dict[Key, Scores]
    questions: dict[int, tuple[str, ...]]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    root = tmp_path_factory.mktemp("axbench")
    model = Model.load("truing/pocket", cache=root)
    bench = read(folders.write(root / "moods", *folders.moods(8)))
    asked = instructions_of(folders.instructions(root / "asked.jsonl", 6))
    found = find_directions(model, bench, SETTING)
    scores = read_scores(model, bench, SETTING, found)
    return Ready(model, bench, found, scores, questions_of(bench, asked, STEERING, 0))


def a_text(text: str, instruction: int = 0, arm: str = "caa", concept: int = 0) -> Written:
    return Written(arm, concept, folders.CONCEPTS[concept], instruction, 1.0, "q", text)


def test_a_vector_is_the_factor_times_the_largest_activation_at_every_token(ready: Ready) -> None:
    arms = arms_of(ready.bench.concepts[0], SETTING, STEERING, ready.found, ready.scores)
    assert list(arms) == [
        (BASE, 1.0), (PROMPT, 1.0), ("caa", 0.5), ("caa", 2.0), (CONTROL, 0.5), (CONTROL, 2.0),
    ]  # fmt: skip
    steered, control = arms["caa", 2.0], arms[CONTROL, 2.0]
    assert steered is not None
    assert control is not None
    (op,) = steered.ops
    assert (op.site, op.layer, op.op, op.positions) == ("resid_post", 2, "add", Positions())
    highest = ready.scores[Key("caa", 0)].highest
    assert op.scale * float(op.vector.norm()) == pytest.approx(2 * highest, rel=1e-5)
    (random,) = control.ops
    assert random.scale * float(random.vector.norm()) == pytest.approx(2 * highest, rel=1e-5)
    assert not torch.equal(random.vector, op.vector)


def test_a_direction_without_a_positive_activation_is_an_error(ready: Ready) -> None:
    key = Key("caa", 0)
    scores = {**ready.scores, key: replace(ready.scores[key], highest=-1.0)}
    with pytest.raises(BadInput, match=r"caa for concept 0 is -1\.0"):
        arms_of(ready.bench.concepts[0], SETTING, STEERING, ready.found, scores)


def test_every_arm_writes_for_every_instruction_and_again_the_same(ready: Ready) -> None:
    arms = {
        c.id: arms_of(c, SETTING, STEERING, ready.found, ready.scores) for c in ready.bench.concepts
    }
    steps: list[int] = []
    run = (ready.model, ready.bench, SETTING, STEERING, arms, ready.questions)
    written = write(*run, steps.append)
    assert len(written) == sum(steps) == 2 * 6 * 4
    assert len({w.key for w in written}) == len(written)
    assert [w.text for w in write(*run)] == [w.text for w in written]
    assert all(w.question == ready.questions[w.concept][w.instruction] for w in written)
    grades = by_proxy(
        ready.model, written, SETTING, "caa", ready.found, ready.scores, ready.questions, BASE
    )
    parts = [x for g in grades for x in (g.concept, g.instruction, g.fluency)]
    assert all(x is not None and 0 <= x <= 1 for x in parts)
    arms_told = results(written, grades, PROMPT, Seeds(0))
    assert [arm.name for arm in arms_told] == [BASE, PROMPT, "caa", CONTROL]
    assert [arm.wins is None for arm in arms_told] == [False, True, False, False]
    for arm in arms_told:
        assert (arm.overall.n, arm.overall.clusters) == (4, 2)
        assert all(text.instruction >= 2 for each in arm.chosen for text in each.reported)
    with pytest.raises(UnknownName, match="'sae'"):
        results(written, grades, "sae", Seeds(0))


def test_the_proxy_sees_the_concept_the_instruction_and_broken_text(ready: Ready) -> None:
    concept = ready.bench.concepts[0]
    asked = tuple(t.question for t in concept.positive[:4])
    written = [
        Written(BASE, 0, concept.text, 0, 1.0, asked[0], concept.positive[0].answer),
        Written("caa", 0, concept.text, 0, 1.0, asked[0], concept.positive[0].answer),
        Written("caa", 0, concept.text, 1, 1.0, asked[1], concept.negative[1].answer),
        Written("caa", 0, concept.text, 2, 1.0, asked[2], "the the the " * 12),
        Written("caa", 0, concept.text, 3, 1.0, asked[3], " ... "),
    ]
    same, cheerful, gloomy, loop, empty = by_proxy(
        ready.model, written, SETTING, "caa", ready.found, ready.scores, {0: asked}, BASE
    )
    assert cheerful == same
    assert cheerful.concept is not None
    assert gloomy.concept is not None
    assert cheerful.concept > gloomy.concept
    assert cheerful.fluency == 1.0
    assert (loop.fluency, loop.overall) == (0.0, 0.0)
    assert empty == NOTHING
    assert NOTHING.overall == 0


def test_a_text_that_does_not_fit_has_no_likelihood_and_no_score(ready: Ready) -> None:
    long = " ".join(
        f"{c} {t.answer}" for t in ready.bench.concepts[0].train for c in "abcdefghijklm"
    )
    asked = ready.questions[0]
    written = [Written(BASE, 0, "c", 0, 1.0, asked[0], long)]
    (grades,) = by_proxy(
        ready.model, written, SETTING, "caa", ready.found, ready.scores, {0: asked}, BASE
    )
    assert grades.instruction is None
    assert grades.overall is None


@dataclass(frozen=True)
class Says:
    """A judge with a score for every text; ``None`` is a reply that it could not read."""

    name: str
    scores: dict[str, float | None]

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        for row in rows:
            assert row.response is not None
            score = self.scores[row.response.text]
            done(Verdict(row.key, self.name, "invalid" if score is None else "correct", score))


def test_three_judges_grade_and_what_they_cannot_read_stays_missing() -> None:
    judges: list[AskedJudge] = [
        Says("concept", {"good": 1.0, "half": 0.5, "odd": 1.0}),
        Says("instruction", {"good": 1.0, "half": 1.0, "odd": None}),
        Says("fluency", {"good": 1.0, "half": 1.0, "odd": 1.0}),
    ]
    steps: list[int] = []
    written = [a_text("good"), a_text("half", 1), a_text("odd", 2)]
    grades = by_judges(written, judges, steps.append)
    assert grades == [Grades(1.0, 1.0, 1.0), Grades(0.5, 1.0, 1.0), Grades(1.0, None, 1.0)]
    assert [g.overall for g in grades] == [1.0, pytest.approx(0.75), None]
    assert sum(steps) == 9
    (arm,) = results(written, grades, "caa", Seeds(0))
    assert (arm.overall.n, arm.overall.invalid, arm.overall.mean) == (1, 1, pytest.approx(0.75))
    assert (arm.concept.n, arm.instruction.n, arm.instruction.invalid) == (2, 1, 1)
