from __future__ import annotations

from dataclasses import replace

import pytest

from truing.errors import BadInput
from truing.report.grid import grids, setting_title, variants
from truing.report.load import Run
from truing.types import Measure


def test_every_measure_but_curves_has_its_own_place(run: Run) -> None:
    laid_out = grids(run.measures, run.cells)
    placed = [m for g in laid_out for m in g.places.values()]
    assert len(placed) == len([m for m in run.measures if m.moment != "step"])


def test_protocols_scorers_and_moments_never_share_a_column(run: Run) -> None:
    for grid in grids(run.measures, run.cells):
        for column in grid.columns:
            held = [m for line in grid.lines if (m := grid.at(line, column))]
            assert (
                len({(m.protocol, m.judge, m.metric, m.moment, m.compatibility) for m in held}) == 1
            )


def test_two_results_for_one_place_are_refused_and_not_averaged(run: Run) -> None:
    first = next(m for m in run.measures if m.moment == "immediate")
    with pytest.raises(BadInput, match="cannot share one place"):
        grids([first, replace(first, cell="another")])


def test_settings_that_differ_tell_cells_of_one_method_apart(run: Run) -> None:
    first = next(m for m in run.measures if m.method == "rome" and m.moment == "immediate")
    other = replace(first, cell="another")
    cells = {**run.cells, "another": {**run.cells[first.cell], "config": {"layer": 5}}}
    lines = variants([first, other], cells)
    assert "layer 5" in lines["another"].label
    assert "layer 2" in lines[first.cell].label
    assert len(grids([first, other], cells)[0].lines) == 2


def test_the_baseline_stands_first_and_forced_protocols_before_free_ones(run: Run) -> None:
    backwards = list(reversed(run.measures))
    for grid in grids(backwards, run.cells):
        assert grid.lines[0].method == "none"
        assert grid.protocols[0].startswith("bare/teacher-forced")


def test_readings_and_published_columns_are_kinds_of_their_own(run: Run) -> None:
    grid = grids(run.measures, run.cells)[0]
    assert {c.metric for c in grid.select("reading", "immediate")} >= {
        "repetition-rate",
        "ngram-entropy",
    }
    assert {c.judge for c in grid.select("compatibility", "immediate")} == {
        "token-match-strict",
        "exact-match",
    }
    assert all(not c.compatibility for c in grid.select("score", "immediate"))


def test_titles_name_models_only_where_there_are_several(run: Run) -> None:
    one, two = grids(run.measures, run.cells)
    assert setting_title(one, (one, two)) == "Single edits"
    elsewhere = replace(two, model="other/model")
    assert setting_title(elsewhere, (one, elsewhere)) == "Sequential edits · other/model"


def test_an_empty_run_has_no_grids() -> None:
    nothing: list[Measure] = []
    assert grids(nothing) == ()


def test_parts_of_an_aspect_stand_apart_where_the_whole_was_measured(run: Run) -> None:
    locality = [m for m in run.measures if m.aspect == "locality" and m.moment == "immediate"]
    parts = [replace(m, aspect="locality/near") for m in locality]
    with_whole, without = grids([*locality, *parts])[0], grids(parts)[0]
    assert {c.aspect for c in with_whole.select("score", "immediate")} == {"locality"}
    assert {c.aspect for c in with_whole.select("part", "immediate")} == {"locality/near"}
    assert {c.aspect for c in without.select("score", "immediate")} == {"locality/near"}
    assert without.select("part", "immediate") == ()
