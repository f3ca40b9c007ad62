"""The table of ROME and MEMIT from rows: which cases are independent, and what is in a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from judged_rows import row
from truing.protocols.protocol import parse
from truing.runs.rewriting import Table, tables
from truing.runs.store import Store
from truing.types import Choice, Response, Row

LIKELIHOOD = parse("synthetic,scorer=likelihood-per-token").id
PARTS = ("efficacy", "generalization")


def asked(case: int, aspect: str, group: str | None = None, success: bool = True) -> Row:
    sides = (Choice("new", -1.0, 1), Choice("old", -2.0, 1))
    made = row(
        "", key=f"{case}{aspect}{group}", case=f"c{case}", aspect=aspect, protocol=LIKELIHOOD
    )
    said = Response("", choices=sides if success else sides[::-1], stop="forced")
    return replace(made, response=said, group=group, moment="final")


def table(folder: Path, rows: Sequence[Row]) -> Table:
    cell = {"id": "rome", "model": "m", "method": "rome", "registered": "rome", "config": {},
            "benchmark": "b", "regime": "batch", "seed": 0, "protocols": [LIKELIHOOD]}  # fmt: skip
    with Store(folder) as store:
        store.write_manifest({"cells": [cell]})
        store.add_rows(rows)
    (found,) = tables(folder)
    return found


def test_a_neighbour_that_cases_share_joins_them_where_it_is_asked_about(tmp_path: Path) -> None:
    rows = [asked(case, aspect, success=case % 2 == 0) for case in range(6) for aspect in PARTS]
    rows += [asked(case, "locality/neighborhood", f"n{case // 3}") for case in range(6)]
    numbers = table(tmp_path, rows).lines[0].numbers
    assert {name: numbers[name].value.clusters for name in ("ES", "PS", "NS", "S")} == {
        "ES": 6, "PS": 6, "NS": 2, "S": 2,
    }  # fmt: skip


def test_what_is_left_out_of_n_is_not_said_to_be_in_it(tmp_path: Path) -> None:
    rows = [asked(0, aspect) for aspect in (*PARTS, "locality/near", "locality/attribute")]
    assert "N is locality/near: the benchmark marks no neighbourhood" in table(tmp_path, rows).notes


def test_other_subjects_of_the_new_object_alone_are_no_n(tmp_path: Path) -> None:
    found = table(tmp_path, [asked(0, aspect) for aspect in (*PARTS, "locality/attribute")])
    assert "NS" not in found.lines[0].numbers
    assert "no NS, NM: the benchmark asks nothing of that kind" in found.notes
