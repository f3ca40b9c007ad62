"""Behaviour edits in the report: two standards that stay apart, and what stands beside accuracy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from truing.report import page
from truing.report.grid import Grid, grids
from truing.report.load import Run
from truing.report.moral_figures import before_and_after, how_far
from truing.report.moral_section import moral_parts
from truing.report.moral_table import OF_ANSWERS, OF_ARMS, moral_table, points, share
from truing.report.morals import IMPACT, MORAL, MoralArm, moral_arms
from truing.scoring.moral import edits, moral
from truing.scoring.parse import Parsed
from truing.scoring.said import Answered
from truing.seeds import Seeds
from truing.types import Comparison, Measure, Value

PROTOCOL = "bare/greedy/natural/as-asked"
SEEDS = Seeds(0)
RIGHTS = ("good", "bad") * 6


def said(word: str) -> Parsed:
    if word == "abstain":
        return Parsed("abstain", None, "")
    return Parsed("invalid", None, "") if word == "?" else Parsed("answer", word, "")


def answered(now: Sequence[str], right: Sequence[str] = RIGHTS) -> list[Answered]:
    return [
        Answered(f"e{i}", f"q{i}", r, said(n), said(base))
        for i, (n, r, base) in enumerate(zip(now, right, RIGHTS, strict=True))
    ]


ARMS = {
    # method: answers to moral questions (of RIGHTS)
    "none": list(RIGHTS),
    "collapsing": ["bad"] * 12,
    "babbling": ["good", "bad", *["?"] * 5, *["abstain"] * 5],
}


def measure(model: str, method: str, aspect: str, change: float | None) -> Measure:
    versus = Comparison("none", change, -0.9, 0.1, 0.01, None, "test", 12)
    return Measure(
        cell=f"{model}-{method}", model=model, method=method, benchmark="toward bad",
        regime="single", moment="immediate", step=1, protocol=PROTOCOL, aspect=aspect,
        metric="accuracy", judge="as-asked-strict", value=Value(12, 0.5),
        versus=None if method == "none" else versus, compatibility=True,
    )  # fmt: skip


def a_run(models: Sequence[str] = ("m",)) -> tuple[tuple[Grid, ...], dict[str, Any]]:
    """Grids and the summary's meta of a run of all arms on ``models``."""
    measures, records = [], []
    for model in models:
        for method, now in ARMS.items():
            for aspect in (MORAL, IMPACT):
                measures.append(measure(model, method, aspect, -0.5))
                found = moral(answered(now), seeds=SEEDS)
                records.append(
                    {
                        "cell": f"{model}-{method}", "protocol": PROTOCOL, "aspect": aspect,
                        "moment": "immediate", "step": 1,
                        "moral": asdict(replace(found, recall=dict(found.recall))),
                        "edits": asdict(edits(answered(now, ["bad"] * 12), seeds=SEEDS)),
                    }
                )  # fmt: skip
    return grids(measures), json.loads(json.dumps({"morals": records}))


def arms_of(models: Sequence[str] = ("m",)) -> list[MoralArm]:
    laid_out, meta = a_run(models)
    return [a for grid in laid_out for a in moral_arms(grid, "immediate", {}, [meta])[PROTOCOL]]


def column(line: Any, name: str, of: int = 0) -> str:
    shown = line.answers[of][OF_ANSWERS.index(name)]
    return " ".join([shown.text, *(part.text for part in shown.more)]).strip()


def test_every_number_of_an_arm_stands_in_the_table_with_an_interval() -> None:
    table = moral_table("t", arms_of(), {})
    none, collapsing, babbling = table.lines
    assert [line.label for line in table.lines] == ["none (before)", "collapsing", "babbling"]
    assert len(collapsing.edits) == len(OF_ARMS) - 1
    assert all(len(answers) == len(OF_ANSWERS) for line in table.lines for answers in line.answers)
    assert column(none, "Strict") == column(none, "As published") == "100 %"
    for shown in (*babbling.edits, babbling.answers[0][1], babbling.answers[0][3]):
        assert shown.range


def test_efficacy_is_against_the_target_and_accuracy_against_what_is_right() -> None:
    """One word for everything is every edit's target, and right half of the time."""
    collapsing = moral_table("t", arms_of(), {}).lines[1]
    assert collapsing.edits[0].text == "100 %"
    assert column(collapsing, "Strict") == "50.0 %"


def test_accuracy_as_published_never_stands_without_the_strict_one_and_what_it_leaves_out() -> None:
    """Two readable answers of twelve, both right: 100 % and 16.7 % (fault B11)."""
    babbling = moral_table("t", arms_of(), {}).lines[2]
    assert column(babbling, "As published") == "100 %"
    assert column(babbling, "Strict") == "16.7 %"
    assert (column(babbling, "Abstains"), column(babbling, "Invalid")) == ("41.7 %", "41.7 %")
    assert babbling.answers[0][OF_ANSWERS.index("As published")].range.endswith("n 2")


def test_one_label_for_everything_is_said_in_words_and_seen_by_class() -> None:
    """Fault B12."""
    _, collapsing, babbling = moral_table("t", arms_of(), {}).lines
    assert any("“bad”" in flag for flag in collapsing.flags)
    assert babbling.flags == ()
    assert column(collapsing, "Recall by class") == "bad 100 % good 0.0 %"


def test_a_number_that_was_not_measured_is_a_dot_and_no_zero() -> None:
    assert share(Value(0, None)).text == points(None).text == "·"
    assert points(Comparison("none", -0.25, -0.5, 0.0, None, None, "", 4)).text == "−25.0"
    bare = replace(arms_of()[1], edits=None)
    assert {shown.text for shown in moral_table("t", [bare], {}).lines[0].edits} == {"·"}


def test_published_lines_stand_under_their_arm_alone() -> None:
    lines = moral_table("t", arms_of(), {"m-babbling": ["efficacy: 3.0 → 100.0 %"]}).lines
    assert [line.published for line in lines] == [(), (), ("efficacy: 3.0 → 100.0 %",)]


def test_the_plane_shows_edited_arms_with_paired_changes_and_intervals() -> None:
    figure = how_far(("b",), arms_of())
    assert figure is not None
    assert [row[1] for row in figure.rows] == ["collapsing", "babbling"]
    for dot in figure.spec["data"]["values"]:
        assert dot["x_low"] <= dot["x"] <= dot["x_high"]
        assert dot["y_low"] <= dot["y"] <= dot["y_high"]
    assert how_far(("b",), [a for a in arms_of() if a.baseline]) is None


@pytest.mark.parametrize("aspect", [MORAL, IMPACT])
def test_bars_compare_each_arm_with_its_own_models_baseline(aspect: str) -> None:
    figure = before_and_after(("b",), aspect, arms_of(("lab/one", "lab/two")))
    assert figure is not None
    bars = figure.spec["data"]["values"]
    assert len(bars) == 2 * 2 * 2
    assert {bar["arm"] for bar in bars} == {
        f"{arm} · {model}" for arm in ("collapsing", "babbling") for model in ("one", "two")
    }
    assert {bar["mean"] for bar in bars if bar["when"] == "before"} == {1.0}


def test_several_models_share_figures_and_have_tables_of_their_own() -> None:
    laid_out, meta = a_run(("lab/one", "lab/two"))
    (part,) = moral_parts(laid_out, {}, [meta], {})
    assert len(part.tables) == 2
    ids = [figure.id for figure in part.figures]
    assert len(ids) == len(set(ids)) == 3
    for figure in part.figures:
        json.dumps(figure.spec, allow_nan=False)
        assert all(len(row) == len(figure.headers) for row in figure.rows)


def test_the_page_has_the_section_only_where_morals_were_asked(run: Run) -> None:
    assert 'id="morals"' not in page.render([run])
    laid_out, meta = a_run()
    measures = tuple(m for grid in laid_out for m in grid.places.values())
    html = page.render(
        [replace(run, meta={**run.meta, **meta}, measures=measures)],
        published={"m-babbling": ["efficacy: 3.0 → <b>100.0 %"]},
    )
    assert 'id="morals"' in html
    assert "Published: efficacy: 3.0 → &lt;b&gt;100.0 %" in html
    assert "says “bad” to nearly everything" in html
