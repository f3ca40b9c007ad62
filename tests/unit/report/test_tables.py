from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console

from truing.report.load import Run
from truing.report.tables import comparison, records
from truing.types import Value


def shown(run: Run, width: int = 150, **more: object) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(comparison(run.measures, run.cells, width=width, **more))  # type: ignore[arg-type]
    return console.export_text()


def test_the_table_shows_mean_interval_n_and_stars(run: Run) -> None:
    m = next(
        m for m in run.measures
        if m.method == "ft_m" and m.aspect == "efficacy" and m.moment == "immediate"
        and m.regime == "single" and m.judge == "token-match"
    )  # fmt: skip
    text = shown(run)
    assert m.value.mean == 1.0
    assert "100 **" in text
    assert f"n{m.value.n}" in text
    assert "95% bootstrap over cases" in text


def test_flags_and_unscored_states_are_seen(run: Run) -> None:
    text = shown(run)
    assert "⚑" in text
    assert "nothing-changed" in text
    assert "1 invalid" in text


def test_published_columns_stand_apart_and_what_is_not_shown_is_said(run: Run) -> None:
    short = shown(run)
    assert "exact-match" not in short
    assert "compatibility columns; the page and --json have them" in short
    head, _, tail = shown(run, kinds=("score", "compatibility")).partition(
        "Compatibility: published"
    )
    assert "exact-match" not in head
    assert "exact-match" in tail


def test_a_narrow_terminal_gets_more_tables_and_no_cut_numbers(run: Run) -> None:
    wide, narrow = shown(run, 200), shown(run, 60)
    assert narrow.count("┏") > wide.count("┏")
    assert max(map(len, narrow.split("\n"))) <= 60
    assert "…" not in narrow


def test_records_are_json_and_keep_missing_numbers_missing(run: Run) -> None:
    empty = replace(run.measures[0], value=Value(0, None, missing=3), versus=None)
    found = records([empty, *run.measures[1:]], run.cells)
    again = json.loads(json.dumps(found))
    assert again[0]["mean"] is None
    assert again[0]["missing"] == 3
    assert len(again) == len(run.measures)
    assert {"method", "protocol", "judge", "n", "p_adjusted", "flags"} <= set(again[0])


def test_what_an_edit_costs_stands_below(run: Run) -> None:
    cell = next(m.cell for m in run.measures if m.method == "ft_m" and m.regime == "single")
    cost = {"edits": 7, "failed": 1, "seconds_per_edit": 0.1234, "peak_bytes": 3 * 2**20}
    text = shown(run, costs={cell: cost})
    assert "seconds per edit" in text
    assert "0.123" in text
    assert "3 MiB" in text
    assert "seconds per edit" not in shown(run)
    unknown = shown(run, costs={cell: {**cost, "seconds_per_edit": None, "peak_bytes": None}})
    assert "MiB" not in unknown
