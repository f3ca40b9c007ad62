"""Personality edits in the report: what answers show beside what is likely, never mixed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from truing.report import page
from truing.report.grid import Grid, grids
from truing.report.load import Run
from truing.report.personalities import Correlation, persona_arms
from truing.report.personality_figures import confusion
from truing.report.personality_section import agreement, persona_parts
from truing.report.personality_table import OF_ANSWERS, OF_LIKELIHOODS, persona_tables
from truing.report.steering_figures import dose_told
from truing.scoring.traits import Heard, rated, shown
from truing.seeds import Seeds
from truing.types import Comparison, Measure, Value

WILD = "bare/greedy/natural/asked"
LIKELIHOOD = "bare/teacher-forced/gold-length/likelihood-per-token"
CLASSIFIER, RATER = "classifier:c", "local:m/personality"
SEEDS = Seeds(0)
CASES = "abcdef"


def heard(case: str, share: float, rating: float | None, passes: bool = True) -> Heard:
    shares = {"glad": share, "sad": 1 - share}
    gates = frozenset({"paper", "health"} if passes else {"health"})
    return Heard(
        (case, case), case, "glad", gates, "correct", float(share > 0.5), shares, 1.0, rating
    )


def measure(
    method: str, aspect: str, metric: str, mean: float, protocol: str, judge: str
) -> Measure:
    versus = None if method == "none" else Comparison("none", 0.5, 0.1, 0.9, 0.01, None, "t", 6)
    return Measure(
        cell=method, model="m", method=method, benchmark="b", regime="single", moment="immediate",
        step=1, protocol=protocol, aspect=aspect, metric=metric, judge=judge,
        value=Value(6, mean, mean - 0.1, mean + 0.1), versus=versus,
    )  # fmt: skip


def a_run() -> tuple[tuple[Grid, ...], dict[str, Any]]:
    measures = []
    for method, accuracy in (("prompt", 5 / 6), ("none", 1 / 6)):
        for aspect, metric, mean, judge in (
            ("efficacy", "efficacy", accuracy, CLASSIFIER),
            ("leakage", "leakage", 0.2, CLASSIFIER),
        ):
            measures.append(measure(method, aspect, metric, mean, WILD, judge))
        for metric in ("es", "z-per", "z-topic"):
            measures.append(measure(method, "preference/es", metric, 0.5, LIKELIHOOD, "likelihood"))
    pairs = [
        (heard(c, 0.8, 4.0, passes=c != "a"), heard(c, 0.2, None if c == "b" else 2.0))
        for c in CASES
    ]
    place = {
        "cell": "prompt", "protocol": WILD, "aspect": "efficacy", "moment": "immediate", "step": 1,
        "unpaired": 0,
    }  # fmt: skip
    gates = (None, "paper", "health")
    found = [shown(pairs, gate, seeds=SEEDS) for gate in gates]
    plain = [asdict(replace(f, recall=dict(f.recall), confusion=dict(f.confusion))) for f in found]
    records = [
        {**place, "judge": CLASSIFIER, "shown": plain},
        {**place, "judge": RATER, "rated": [asdict(rated(pairs, g, seeds=SEEDS)) for g in gates]},
        {
            "cell": "prompt", "moment": "immediate", "step": 1,
            "correlations": [asdict(Correlation("accuracy", "es", 6, -0.2, -0.7, 0.4))],
        },
    ]  # fmt: skip
    return grids(measures), json.loads(json.dumps({"personality": records}))


def tables() -> dict[str, Any]:
    (grid,), meta = a_run()
    arms = persona_arms(grid, "immediate", {}, [meta])
    return {table.headers: table for table in persona_tables(arms)}


def test_the_unedited_model_comes_first_whatever_the_order_of_the_run() -> None:
    for table in tables().values():
        assert table.lines[0][0] == "none (before)"


def test_all_answers_stand_beside_the_coherent_ones() -> None:
    table = tables()[OF_ANSWERS]
    cells = dict(zip(OF_ANSWERS[1:], table.lines[1][2], strict=True))
    assert (cells["Accuracy, all"].text, cells["Change"].text) == ("83.3 %", "+50.0")
    assert cells["Accuracy, coherent"].range.endswith("n 5")
    assert cells["Strict"].text == "83.3 %"
    assert cells["TPEI, all"].text == "1.39"
    assert cells["Bounded"].text == "+60.0"
    assert "chance 50\u202f%" in table.notes[0]


def test_pairs_without_a_rating_are_counted_beside_the_mean() -> None:
    table = next(t for t in tables().values() if t.headers[1] == "PAE, all")
    every, coherent, left_out = table.lines[1][2]
    assert (every.text, left_out.text, left_out.range) == ("2.00", "1", "of 6")
    assert every.range.endswith("n 5")
    assert coherent.range.endswith("n 4")


def test_likelihoods_have_a_table_of_their_own_with_what_was_not_measured() -> None:
    table = tables()[OF_LIKELIHOODS]
    cells = dict(zip(OF_LIKELIHOODS[1:], table.lines[1][2], strict=True))
    assert cells["ES"].text == "50.0 %"
    assert (cells["DD"].text, cells["DD"].value) == ("·", None)


def test_a_cell_holds_the_number_that_it_writes() -> None:
    cells = dict(zip(OF_ANSWERS[1:], tables()[OF_ANSWERS].lines[1][2], strict=True))
    assert cells["Accuracy, all"].value == Value(6, 5 / 6, 5 / 6 - 0.1, 5 / 6 + 0.1)
    assert cells["Change"].value == Value(6, 0.5, 0.1, 0.9)
    assert cells["Bounded"].value.mean == pytest.approx(0.6)
    before = tables()[OF_ANSWERS].lines[0][2]
    assert [cell.value for cell in before[4:7]] == [0, 0, 0], "against itself, by definition"


def test_the_confusion_figure_counts_every_answer_once() -> None:
    (grid,), meta = a_run()
    arms = persona_arms(grid, "immediate", {}, [meta])
    figure = confusion(("m", "b"), WILD, CLASSIFIER, arms)
    assert figure is not None
    assert {(row[1], row[2]): row[3] for row in figure.rows} == {("glad", "glad"): "6"}
    assert confusion(("m", "b"), WILD, "classifier:other", arms) is None


@pytest.mark.parametrize(
    ("low", "said"),
    [(-0.7, "No interval leaves zero out"), (0.1, "1 of 1 intervals leave zero out")],
)
def test_the_agreement_of_metrics_is_told_with_its_number(low: float, said: str) -> None:
    told = agreement([Correlation("accuracy", "es", 9, 0.3, low, 0.6)])
    assert "ES with accuracy 0.30" in told
    assert "over 9 topics or cases" in told
    assert said in told
    assert agreement([Correlation("es", "z-per", 9, 0.9, 0.8, 1.0)]) == ""


def test_a_run_without_opinions_has_no_section(run: Run) -> None:
    assert persona_parts(grids(run.measures, run.cells), run.cells, [run.meta]) == []
    assert 'id="personality"' not in page.render([run])


def test_the_page_shows_the_section(run: Run) -> None:
    found, meta = a_run()
    told = replace(
        run,
        measures=tuple(m for grid in found for m in grid.places.values()),
        manifest={**run.manifest, "cells": []},
        meta={**run.meta, **meta},
        rows=(),
        verdicts={},
    )
    html = page.render([told])
    assert 'id="personality"' in html
    assert "Ratings of the target trait" in html


def test_what_a_unit_of_strength_does_is_told_in_words() -> None:
    value = {"mean": 0.13, "low": 0.04, "high": 0.18}
    told = {
        "response": "z-per-shift", "slope": value, "rising": {**value, "mean": 0.8}, "spearman": value,
        "strengths": [0, 0.5, 1], "n": 5,
    }  # fmt: skip
    assert dose_told(told).startswith(
        "Each unit of strength moves z_per by +0.13 (+0.04 to +0.18); it rises"
    )
    assert "of 5 topics" in dose_told(told)
