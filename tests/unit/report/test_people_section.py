"""People in the report: what edits did to others, by group, and to long texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from truing.report import page
from truing.report.grid import grids
from truing.report.load import Run
from truing.report.long_text_figures import flaws, names
from truing.report.people import (
    Axis,
    Flawed,
    Group,
    Named,
    Naming,
    PeopleArm,
    Point,
    Record,
    Shift,
    Versus,
)
from truing.report.people_figures import DIFFERS, HEADERS, NAMED, REST, forest, scatter
from truing.report.people_section import people_parts
from truing.report.people_words import of_axis, told
from truing.types import Comparison, Value

LIKELY = "bare/teacher-forced/gold-length/likelihood-per-token"
MANY = tuple("abcdefghijklmn")


def value(mean: float | None, half: float | None = 0.05, n: int = 20) -> Value:
    if mean is None or half is None:
        return Value(n, mean)
    return Value(n, mean, mean - half, mean + half)


def compared(delta: float | None, p: float | None, detectable: float | None = 0.1) -> Versus:
    low, high = (None, None) if delta is None or p is None else (delta - 0.05, delta + 0.05)
    comparison = Comparison(
        "others", delta, low, high, p, p, "t", 40, detectable=None if p is None else detectable
    )
    return Versus(comparison, 10, 0, 0.05, None if p is None else 0.4)


def axis(name: str, *, differ: Sequence[str] = (), groups: Sequence[str] = ("x", "y")) -> Axis:
    made = [
        Group(g, value(-0.2), compared(-0.3, 0.01 if g in differ else 0.6, 0.1 + i / 10))
        for i, g in enumerate(groups)
    ]
    return Axis(name, 0, tuple(made))


def arm(label: str = "ft_m", *, axes: Sequence[Axis] = (), **changed: Any) -> PeopleArm:
    points = tuple(
        Point(f"p{i}", "c", 0.5, 0.5 - 0.1 * (i % 3), {"origin": (g,)})
        for i, g in enumerate(MANY + MANY[:8] + MANY[:3])
    )
    record = Record(
        label, LIKELY, "final", 1, 3, 40, None, value(-0.09), tuple(axes), points
    )  # fmt: skip
    return PeopleArm(label, replace(record, **changed), 10, False)


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        (value(-0.09), "After 10 edits the model became less sure of what is true of 40 other people"),
        (value(0.09), "became surer of what"),
        (value(0.02), "did not clearly become surer or less sure"),
        (value(0.001, 0.0005), "is as sure as before"),
        (value(0.3, None, 1), "did not clearly become surer or less sure"),
        (Value(0, None, missing=9), "has no number"),
    ],
)  # fmt: skip
def test_all_people_come_first_in_words(mean: Value, said: str) -> None:
    assert said in told(arm(mean=mean))


def test_what_one_edit_says_is_about_this_edit() -> None:
    assert told(arm()).endswith("One edited model: a finding about this edit.")
    several = told(arm(edited=5))
    assert several.startswith("Over 5 edited models (10 edits) the model")
    assert "this edit" not in several


def test_what_would_have_been_found_is_told_where_nothing_was() -> None:
    text = " ".join(of_axis(axis("voice")))
    assert text == (
        "By voice no group differs from the others; the smallest difference that would have been found "
        "is 0.10 to 0.20."
    )


def test_groups_that_differ_are_named_with_how_far_and_how_surely() -> None:
    text = " ".join(of_axis(axis("voice", differ="y")))
    assert text == "By voice y (−0.30, −0.35 to −0.25, p = .010 corrected) differs from the others."


def test_nobody_to_compare_is_no_finding_that_groups_are_alike() -> None:
    lonely = Group("x", value(-0.2, None, 1), compared(None, None))
    text = " ".join(of_axis(Axis("voice", 7, (lonely,))))
    assert "no group can be compared" in text
    assert "differs" not in text
    assert "In no group of voice: 7." in text
    both = replace(axis("voice"), groups=(*axis("voice").groups, replace(lonely, group="z")))
    assert "Not compared (no case asks about two of them and two others): z." in " ".join(
        of_axis(both)
    )


def test_groups_that_are_not_known_are_said_not_to_be() -> None:
    assert "Groups are not known: the data moved." in told(arm(lacking="the data moved"))


def test_the_forest_marks_groups_that_differ_by_shape_and_word() -> None:
    arms = [arm("a", axes=[axis("voice", differ="x")]), arm("b", axes=[axis("voice")])]
    figure = forest(("k",), "voice", arms)
    assert figure is not None
    values = figure.spec["data"]["values"]
    marked = [(v["arm"], v["group"]) for v in values if v["verdict"] == DIFFERS]
    assert marked == [("a", "x")]
    shape = figure.spec["spec"]["layer"][3]["encoding"]["shape"]["scale"]
    assert dict(zip(shape["domain"], shape["range"], strict=True))[DIFFERS] == "diamond"
    assert {v["all"] for v in values} == {-0.09}
    assert all(len(row) == len(HEADERS) for row in figure.rows)
    assert len(figure.rows) == 4
    assert "(differs)" in figure.description
    assert forest(("k",), "origin", arms) is None


def test_a_group_without_a_test_keeps_its_mean() -> None:
    of = Axis("voice", 0, (Group("x", value(-0.2), None), Group("y", value(None, n=0), None)))
    figure = forest(("k",), "voice", [arm(axes=[of])])
    assert figure is not None
    assert [v["group"] for v in figure.spec["data"]["values"]] == ["x"]
    assert [row[2] for row in figure.rows] == ["−0.20", "·"]


def test_of_many_groups_those_that_differ_and_the_largest_have_a_colour() -> None:
    figure = scatter(
        ("k",), "origin", [arm(axes=[axis("origin", differ="n", groups=MANY)], edited=1)]
    )
    assert figure is not None
    values = figure.spec["data"]["values"]
    named = {v["group"] for v in values} - {REST}
    assert len(named) == NAMED
    assert {"n", "a", "b", "c"} <= named
    assert sum(int(row[2]) for row in figure.rows) == len(values) == 25


def test_a_broken_model_is_marked_in_its_panel() -> None:
    broken = replace(arm(axes=[axis("voice")]), degenerate=True)
    figure = forest(("k",), "voice", [broken])
    assert figure is not None
    assert "degenerate" in figure.spec["data"]["values"][0]["arm"]


def shift(rater: str, more: int, less: int, unsaid: int = 0) -> Shift:
    same = 10 - more - less
    net = Comparison("the text before", (more - less) / 10, -0.5, 0.5, 0.4, 0.8, "t", 10)
    return Shift("sexism", rater, more, same, less, unsaid, net)


def test_what_nobody_said_of_a_text_is_in_no_share() -> None:
    ours = Flawed("ft_m", LIKELY, "free", (shift("Ada", 4, 1, 90), shift("words", 0, 0)), 0)
    figure = flaws(("k",), "ft_m", [ours])
    assert figure is not None
    values = figure.spec["data"]["values"]
    assert {v["share"] for v in values} == {0.4, -0.1}
    assert {v["line"] for v in values} == {"sexism · Ada"}
    assert [row[2] for row in figure.rows] == ["Ada", "words"]
    assert figure.rows[0][6] == "90"
    assert flaws(("k",), "ft_m", [replace(ours, shifts=(shift("words", 0, 0),))]) is None


def test_texts_name_answers_before_and_after() -> None:
    change = Comparison("the text before", -0.5, -0.8, -0.1, 0.03, None, "t", 8)
    naming = Naming(value(0.25), value(0.75), change, 2, None)
    figure = names(("k",), [Named("c", LIKELY, "guided", "right answer", naming)], {"c": "ft_m"})
    assert figure is not None
    means = {v["when"]: v["mean"] for v in figure.spec["data"]["values"]}
    assert means == {"before": 0.75, "after": 0.25}
    assert figure.rows[0][-3:] == ("p = .030", "2", "·")
    nothing = replace(naming, before=Value(0, None), after=Value(0, None))
    assert names(("k",), [Named("c", LIKELY, "", "edit", nothing)], {"c": "ft_m"}) is None


def with_people(run: Run, **facts: Any) -> Run:
    single = next(m for m in run.measures if m.moment == "immediate" and m.regime == "single"
                  and m.method != "none")  # fmt: skip
    record = arm(axes=[axis("origin", groups=("a", "b"))]).record
    kept = asdict(replace(record, cell=single.cell, moment="immediate"))
    meta = {"people": [kept], **facts}
    return replace(run, meta={**run.meta, **json.loads(json.dumps(meta))})


def test_runs_without_people_and_summaries_from_before_have_no_section(run: Run) -> None:
    for meta in (run.meta, {**run.meta, "people": [], "long_texts": {}}):
        assert people_parts(grids(run.measures, run.cells), run.cells, [meta]) == []
    assert 'id="people"' not in page.render([run])


def test_the_page_shows_the_section_and_its_figures(run: Run) -> None:
    found = with_people(run)
    html = page.render([found])
    assert 'id="people"' in html
    assert 'href="#people"' in html
    assert "the smallest difference that would have been found" in html
    [part] = people_parts(grids(found.measures, found.cells), found.cells, [found.meta])
    assert [f.id.partition("-")[0] for f in part.figures] == ["forest", "before_after"]
    assert all(f'data-figure="{f.id}"' in html for f in part.figures)


def test_long_texts_that_cannot_be_told_say_why(run: Run) -> None:
    lacking = {"lacking": "the data moved", "named": [], "flawed": []}
    found = with_people(run, long_texts=lacking)
    assert "Long texts: the data moved." in page.render([found])
