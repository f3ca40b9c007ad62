from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from truing.report.figures import Figure, amounts, beside, primary, retention, tradeoff
from truing.report.grid import Grid, grids, variants
from truing.report.load import Run
from truing.report.marks import spread
from truing.report.theme import THEMES, config


def first_grid(run: Run) -> Grid:
    return grids(run.measures, run.cells)[0]


def every_figure(run: Run) -> Iterator[Figure]:
    for grid in grids(run.measures, run.cells):
        moment = grid.moments[0]
        for aspect in ("efficacy", "locality"):
            found = beside(grid, aspect, moment)
            assert found is not None
            yield found
        for column in grid.select("reading", moment):
            found = amounts(grid, column)
            assert found is not None
            yield found
        found = tradeoff(grid, grid.protocols[-1], moment, "efficacy", "locality")
        assert found is not None
        yield found
    found = curve(run)
    assert found is not None
    yield found


def curve(run: Run) -> Figure | None:
    mine = [
        m for m in run.measures
        if m.regime == "sequential" and m.aspect == "efficacy" and m.judge == "contains"
    ]  # fmt: skip
    return retention(mine, {c: line.label for c, line in variants(mine, run.cells).items()})


def values_of(spec: Any) -> Iterator[dict[str, Any]]:
    if isinstance(spec, dict):
        if isinstance(spec.get("data"), dict):
            yield from spec["data"]["values"]
        for inner in spec.values():
            yield from values_of(inner)
    elif isinstance(spec, list):
        for inner in spec:
            yield from values_of(inner)


def test_specs_are_plain_finite_json_without_addresses(run: Run) -> None:
    for figure in every_figure(run):
        text = json.dumps(figure.spec, allow_nan=False)
        assert "http" not in text.replace(figure.spec["$schema"], "")


def test_every_figure_is_described_and_has_its_numbers_as_a_table(run: Run) -> None:
    for figure in every_figure(run):
        assert figure.spec["description"] == figure.description
        assert "rome" in figure.description
        assert all(len(row) == len(figure.headers) for row in figure.rows)
        assert {"Method", "Mean", "Interval", "n"} <= set(figure.headers)


def test_synthetic_and_wild_of_a_method_stand_on_one_row_and_are_joined(run: Run) -> None:
    grid = first_grid(run)
    figure = beside(grid, "efficacy", "immediate")
    assert figure is not None
    forced, free = primary(grid, "efficacy", "immediate")
    rome = next(line for line in grid.lines if line.method == "rome")
    ends = grid.at(rome, forced), grid.at(rome, free)
    assert ends[0] is not None
    assert ends[1] is not None
    joint = next(v for v in values_of(figure.spec) if v.get("method") == "rome" and "gap" in v)
    assert (joint["from"], joint["to"]) == (ends[0].value.mean, ends[1].value.mean)


def test_an_aspect_that_was_not_measured_gives_no_figure(run: Run) -> None:
    assert beside(first_grid(run), "nothing", "immediate") is None


def test_the_curve_has_each_step_once_per_method_and_rings_at_zero(run: Run) -> None:
    figure = curve(run)
    assert figure is not None
    steps = {v["step"] for v in values_of(figure.spec)}
    assert steps == {0, 4, 8, 12}


def test_one_point_in_time_is_no_curve(run: Run) -> None:
    mine = [
        m
        for m in run.measures
        if m.regime == "single" and m.aspect == "efficacy" and m.judge == "contains"
    ]
    assert retention(mine, {m.cell: m.method for m in mine}) is None


def test_colours_come_from_the_theme_alone(run: Run) -> None:
    colours = {c for t in THEMES.values() for c in (*t.methods, *t.protocols)}
    for figure in every_figure(run):
        assert not any(c in json.dumps(figure.spec) for c in colours)
    for colour_theme in THEMES.values():
        assert config(colour_theme)["range"]["ordinal"][1] == colour_theme.protocols[1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_keep_order_distance_and_their_frame(values: list[float]) -> None:
    placed = spread(values, 0.1, 0.0, 1.0)
    order = sorted(range(len(values)), key=lambda i: values[i])
    inside = [placed[i] for i in order]
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(inside))
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9
