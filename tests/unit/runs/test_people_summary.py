"""What a summary keeps of other people and of long texts, from a run's files alone."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.benchmarks import world_people
from truing.benchmarks.world import World
from truing.runs.group_changes import changes_of, grouped, membership_of
from truing.runs.moments import moment_of
from truing.runs.people_summary import MARGIN, long_texts, people, points
from truing.runs.store import Store
from truing.runs.summary import summarise
from truing.runs.tally import Place
from truing.scoring.seesaw import Change
from truing.types import Choice, Response, Row

LIKELY = "bare/teacher-forced/gold-length/likelihood-per-token"
FREE = "bare/greedy/natural/contains"
PEOPLE = sorted(world_people.membership(World.build(0)))[:24]
Made = tuple[Path, dict[str, Mapping[str, Any]]]


def answered(first: float, second: float = 0.1) -> Response:
    return Response("", choices=(Choice("A", math.log(first), 1), Choice("B", math.log(second), 1)))


def row(cell: str, person: str, protocol: str, after: Response) -> Row:
    case = f"case {PEOPLE.index(person) % 3}"
    return Row(
        key=f"{cell}{person}{protocol}", cell=cell, case=case, probe=f"{case}/{person}",
        aspect="locality/cross-subject", protocol=protocol, moment="final", step=3, prompt="?",
        accepted=(), response=after, base=answered(0.8) if protocol == LIKELY else Response("A"),
        group=person,
    )  # fmt: skip


def rows() -> list[Row]:
    found = []
    for cell, drop in (("none", 0.0), ("ft", 0.4)):
        for i, person in enumerate(PEOPLE):
            found.append(row(cell, person, LIKELY, answered(0.8 - drop * (i % 5) / 5)))
            found.append(row(cell, person, FREE, Response("A")))
    return found


def written(folder: Path, held: Sequence[Row], **facts: Any) -> Made:
    cells = {
        ident: {
            "id": ident, "model": "m", "method": ident, "registered": ident, "config": {},
            "benchmark": "b", "regime": "batch-all", "moments": ["final"], "seed": 0,
        }
        for ident in ("none", "ft")
    }  # fmt: skip
    data = {"b": facts or {"benchmark": "world_people", "options": {"world": 0}}}
    with Store(folder) as store:
        store.write_manifest({"cells": list(cells.values()), "data": data})
        store.add_rows(held)
    return folder, dict(cells)


def test_one_record_per_edited_cell_and_protocol_that_compares_likelihoods(tmp_path: Path) -> None:
    [record] = people(*written(tmp_path / "run", rows()))
    assert (record["cell"], record["protocol"], record["moment"]) == ("ft", LIKELY, "final")
    assert (record["edited"], record["cases"], record["people"]) == (1, 3, len(PEOPLE))
    assert record["mean"]["n"] == len(PEOPLE)
    assert record["mean"]["missing"] == 0
    assert len(record["points"]) == len(PEOPLE)
    assert record["lacking"] is None


def test_groups_are_told_as_the_command_tells_them(tmp_path: Path) -> None:
    folder, cells = written(tmp_path / "run", [r for r in rows() if r.protocol == LIKELY])
    [record] = people(folder, cells)
    assert [of["axis"] for of in record["axes"]] == ["origin", "voice"]
    (_, found), members = changes_of(folder, "ft", "final"), membership_of(folder, "b")
    for of in record["axes"]:
        told = grouped(found, members, of["axis"], cell="ft", margin=MARGIN)
        assert {each["group"]: each["change"]["mean"] for each in of["groups"]} == pytest.approx(
            {group: value.mean for group, value in told.means.items()}
        )
        deltas = {
            each["group"]: each["test"]["comparison"]["delta"]
            for each in of["groups"]
            if each["test"] is not None
        }
        assert deltas == {g: pytest.approx(t.comparison.delta) for g, t in told.tests.items()}


def test_the_order_in_which_rows_were_written_does_not_tell(tmp_path: Path) -> None:
    mixed = rows()
    random.Random(0).shuffle(mixed)
    assert people(*written(tmp_path / "a", rows())) == people(*written(tmp_path / "b", mixed))


def test_data_that_moved_away_cost_the_groups_and_nothing_else(tmp_path: Path) -> None:
    folder, cells = written(tmp_path / "run", rows(), benchmark="seesaw", path="gone", options={})
    (folder / "plan.toml").write_text(
        'model = "m"\nprotocols = ["wild"]\nmethods = ["ft_m"]\n'
        '[[benchmarks]]\nname = "seesaw"\nlabel = "b"\ndata = "gone"\noptions = { set = "a_b" }\n'
    )
    [record] = people(folder, cells)
    assert "gone" in record["lacking"]
    assert record["axes"] == []
    assert record["mean"]["n"] == len(PEOPLE)


def test_other_benchmarks_have_no_record(tmp_path: Path) -> None:
    folder, cells = written(tmp_path / "run", rows(), benchmark="counterfact", options={})
    assert people(folder, cells) == []
    assert long_texts(folder, cells, [Place("ft", FREE, "fluency", "final", 3)]) == {}


def test_the_summary_keeps_both(tmp_path: Path) -> None:
    folder, _ = written(tmp_path / "run", rows())
    meta = json.loads(json.dumps(summarise(folder).meta))
    assert [record["cell"] for record in meta["people"]] == ["ft"]
    assert meta["long_texts"] == {}


def test_long_texts_without_their_data_say_what_is_lacking(tmp_path: Path) -> None:
    folder, cells = written(tmp_path / "run", rows())
    told = long_texts(folder, cells, [Place("ft", FREE, "fluency/free", "final", 3)])
    assert "no long texts" in told["lacking"]
    assert told["named"] == told["flawed"] == []


@pytest.mark.parametrize(
    ("regime", "moments", "moment"),
    [
        ("single", ["immediate"], "immediate"),
        ("batch-10-restored", ["immediate"], "immediate"),
        ("sequential", ["immediate", "final"], "final"),
        ("batch-all", ["final"], "final"),
    ],
)
def test_a_cell_is_summed_up_after_all_its_edits_where_they_pile_up(
    regime: str, moments: list[str], moment: str
) -> None:
    assert moment_of({"regime": regime, "moments": moments}) == moment


@given(n=st.integers(0, 60), most=st.integers(1, 40), missing=st.integers(0, 5))
def test_points_are_thinned_evenly_and_only_numbers_are_points(
    n: int, most: int, missing: int
) -> None:
    scored = [Change("m", "v", f"c{i:02}", f"p{i:02}", 0.5, 0.1) for i in range(n)]
    unknown = [Change("m", "v", "c", f"q{i}", 0.5, None) for i in range(missing)]
    kept = [
        int(p["person"][1:]) for p in points([*unknown, *scored], {"p00": {"axis": ("g",)}}, most)
    ]
    assert len(kept) == min(n, most)
    assert kept == sorted(set(kept))
    gaps = {b - a for a, b in pairwise(kept)}
    assert len(gaps) <= 2
