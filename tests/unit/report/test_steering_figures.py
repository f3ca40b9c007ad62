"""Figures of promotion and suppression, from rows to the page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from truing.report.arms import arms_of
from truing.report.figures import Figure
from truing.report.grid import Grid, grids
from truing.report.load import Run, read_run
from truing.report.page import write
from truing.report.pair_figures import pair_by_pair
from truing.report.steering_figures import figures
from truing.report.theme import THEMES
from truing.types import Choice, Response, Row

PROTOCOL = "bare/teacher-forced/gold-length/likelihood-per-token"
PAIRS = 6
EFFECTS = {
    # cell: method, strength, what is added per token to the wanted and to the other text
    "base": ("none", None, 0.0, 0.0),
    "weak": ("caa", 0.5, 0.2, -0.1),
    "strong": ("caa", 2.0, -1.5, -3.0),
    "tuned": ("ft_m", None, 3.0, -2.0),
}


def compared(wanted: float, other: float) -> Response:
    choices = (Choice("yes", 2 * wanted, 2), Choice("no", 4 * other, 4))
    return Response("", stop="forced", choices=choices)


def rows_of(cell: str) -> Iterator[Row]:
    _, _, up, down = EFFECTS[cell]
    for i in range(PAIRS):
        wanted, other = -3 - 0.3 * i, -1 - 0.1 * i
        yield Row(
            key=f"{cell}{i}",
            cell=cell,
            case=f"pair-{i}",
            probe="0",
            aspect="efficacy",
            protocol=PROTOCOL,
            moment="final",
            step=PAIRS,
            prompt="Shall I?",
            accepted=("yes",),
            response=compared(wanted + up * (1 + 0.1 * i), other + down * (1 + 0.1 * i)),
            base=compared(wanted, other),
        )


@pytest.fixture(scope="module")
def steered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two methods, one of them at two strengths: rows and a manifest."""
    folder = tmp_path_factory.mktemp("steered")
    cells = [
        {
            "id": cell, "model": "m", "method": method, "registered": method, "benchmark": "b",
            "regime": "batch-all", "seed": 0, "protocols": [PROTOCOL],
            "config": {} if strength is None else {"strength": strength, "layers": None},
        }
        for cell, (method, strength, _, _) in EFFECTS.items()
    ]  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "name": "s", "cells": cells}))
    lines = [json.dumps(dataclasses.asdict(row)) for cell in EFFECTS for row in rows_of(cell)]
    (folder / "rows-0.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def read(steered: Path) -> Run:
    return read_run(steered)


def grid_of(run: Run) -> Grid:
    (grid,) = grids(run.measures, run.cells)
    return grid


def drawn(run: Run) -> list[Figure]:
    return figures(grid_of(run), "final", run.rows, run.cells)


def values_in(spec: Any) -> Iterator[dict[str, Any]]:
    if isinstance(spec, dict):
        if isinstance(spec.get("data"), dict):
            yield from spec["data"]["values"]
        for inner in spec.values():
            yield from values_in(inner)
    elif isinstance(spec, list):
        for inner in spec:
            yield from values_in(inner)


def test_the_plane_the_doses_and_every_arm_but_the_baseline(read: Run) -> None:
    assert [f.title.partition(" · ")[0] for f in drawn(read)] == [
        "Promotion and suppression",
        "caa by strength",
        "caa (strength 0.5)",
        "caa (strength 2.0)",
        "ft_m",
    ]


def test_figures_are_plain_json_with_ids_of_their_own_and_the_themes_colours(read: Run) -> None:
    found = drawn(read)
    assert len({f.id for f in found}) == len(found)
    colours = {c for t in THEMES.values() for c in (*t.methods, *t.protocols)}
    for figure in found:
        text = json.dumps(figure.spec, allow_nan=False)
        assert not any(c in text for c in colours)
        assert figure.spec["description"] == figure.description
        assert figure.rows
        assert all(len(line) == len(figure.headers) for line in figure.rows)


def test_a_model_that_became_worse_at_both_stands_at_the_lower_right(read: Run) -> None:
    plane = drawn(read)[0]
    strong = next(v for v in values_in(plane.spec) if v.get("arm") == "caa (strength 2.0)")
    assert strong["x"] == pytest.approx(3.0 * 1.25)
    assert strong["y"] == pytest.approx(-1.5 * 1.25)
    assert strong["x_low"] < strong["x"] < strong["x_high"]
    assert [cell.partition(" ")[0] for cell in plane.rows[1]][-4:-1] == ["−1.88", "+3.75", "+1.88"]


def test_zero_is_inside_the_plane_and_every_interval_too(read: Run) -> None:
    plane = drawn(read)[0]
    dots = [v for v in values_in(plane.spec) if "x_low" in v]
    domains = {
        axis: layer["encoding"][axis]["scale"]["domain"]
        for layer in plane.spec["layer"]
        for axis in ("x", "y")
        if "scale" in layer["encoding"].get(axis, {})
    }
    for axis, (low, high) in domains.items():
        assert low < 0 < high
        assert all(low < v[f"{axis}_low"] and v[f"{axis}_high"] < high for v in dots)


def test_a_dose_needs_two_strengths(read: Run) -> None:
    dose = drawn(read)[1]
    series = {
        (v["strength"], v["series"]): v["mean"] for v in values_in(dose.spec) if "series" in v
    }
    assert len(series) == 6
    assert series[2.0, "promotion"] + series[2.0, "suppression"] == pytest.approx(
        series[2.0, "margin shift"]
    )
    weak = [m for m in read.measures if m.cell != "strong"]
    (alone,) = grids(weak, read.cells)
    assert not any("by strength" in f.title for f in figures(alone, "final", read.rows, read.cells))


def test_pairs_are_ranked_by_the_base_model_and_the_sides_stand_apart(read: Run) -> None:
    arm = arms_of(grid_of(read), "efficacy", PROTOCOL, "final", read.cells)[1]
    figure = pair_by_pair(grid_of(read), arm, [r for r in read.rows if r.cell == arm.cell])
    assert figure is not None
    texts = [v for v in values_in(figure.spec) if "side" in v]
    wanted = [v for v in texts if v["side"] == "wanted"]
    other = [v for v in texts if v["side"] == "unwanted"]
    for side in (wanted, other):
        assert [v["base"] for v in side] == sorted(v["base"] for v in side)
    assert max(v["at"] for v in wanted) + 1 < min(v["at"] for v in other)
    assert {v["moved"] for v in wanted} == {"the other way"}
    assert {v["moved"] for v in other} == {"as wanted"}
    assert f"Of the wanted texts 0 became likelier, of the others {PAIRS} less likely" in (
        figure.description
    )


def test_without_two_choices_there_is_no_figure(run: Run, read: Run) -> None:
    assert figures(grids(run.measures, run.cells)[0], "immediate", run.rows, run.cells) == []
    grid = grid_of(read)
    arm = arms_of(grid, "efficacy", PROTOCOL, "final", read.cells)[0]
    bare = [dataclasses.replace(r, base=None) for r in read.rows]
    assert pair_by_pair(grid, arm, bare) is None


def test_the_page_has_the_section_and_the_numbers_apart(steered: Path, tmp_path: Path) -> None:
    page = write([steered], tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="steering"' in page
    assert "Promotion, nats per token" in page
    assert "Suppression, nats per token" in page


def test_a_page_without_them_has_no_such_section(folder: Path, tmp_path: Path) -> None:
    assert 'id="steering"' not in write([folder], tmp_path / "page.html").read_text("utf-8")


def test_controls_share_a_colour_and_are_not_joined(read: Run) -> None:
    cells = {
        cell: {
            **facts,
            "registered": "random_direction"
            if facts["registered"] == "caa"
            else facts["registered"],
            "config": {"strength": 0.5, "seed": number},
        }
        for number, (cell, facts) in enumerate(read.cells.items())
    }
    plane = figures(grid_of(read), "final", read.rows, cells)[0]
    dots = [v for v in values_in(plane.spec) if "promotion" in v]
    controls = [v for v in dots if v["method"] == "control"]
    assert len(controls) == 2
    assert len({v["rest"] for v in controls}) == 2
    assert all(v["label"] == "" for v in controls)
    assert [v["label"] for v in dots if v["method"] != "control"] == ["ft_m"]
