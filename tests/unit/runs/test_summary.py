"""Measures from rows that are written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from truing.protocols.protocol import SYNTHETIC, WILD
from truing.runs.store import EditRecord, Store, read_summary
from truing.runs.summary import costs, load_or_summarise, summarise
from truing.runs.tally import differs
from truing.types import Choice, Measure, Moment, Response, Row

BASE = Response("Paris", (5,), (), (-0.1,), "eos")
EDITED = Response("Orvale", (9,), (), (-0.1,), "eos")


def row(
    cell: str, case: int, aspect: str = "efficacy", response: Response | None = EDITED, *,
    moment: Moment = "immediate", step: int = 1, probe: str = "p", protocol: str = WILD.id,
) -> Row:  # fmt: skip
    accepted = () if aspect.startswith("locality") else ("Orvale",)
    return Row(
        key=f"{cell}/{case}/{aspect}/{probe}/{moment}/{step}/{protocol}", cell=cell, case=f"c{case}",
        probe=f"{aspect}-{probe}", aspect=aspect, protocol=protocol, moment=moment, step=step, prompt="?",
        accepted=accepted, response=response, base=BASE, error=None if response else "edit failed: x",
    )  # fmt: skip


def written(folder: Path, rows: Sequence[Row], edits: Sequence[EditRecord] = ()) -> Path:
    cells = [
        {"id": ident, "model": "m", "method": ident, "registered": ident, "config": {}, "benchmark": "b",
         "regime": "single", "seed": 0}
        for ident in ("none", "rome")
    ]  # fmt: skip
    with Store(folder) as store:
        store.write_manifest({"cells": cells})
        store.add_rows(rows)
        for edit in edits:
            store.add_edit(edit)
    return folder


def pick(measures: Sequence[Measure], **facts: Any) -> list[Measure]:
    return [m for m in measures if all(getattr(m, k) == v for k, v in facts.items())]


def test_scores_come_from_the_protocols_judge_and_are_paired_with_the_baseline(
    tmp_path: Path,
) -> None:
    rows = [row("none", i, response=BASE) for i in range(8)]
    rows += [row("rome", i, response=EDITED if i < 6 else BASE) for i in range(8)]
    found = summarise(written(tmp_path, rows)).measures
    [main] = pick(found, method="rome", metric="efficacy", judge="contains")
    assert (main.value.mean, main.value.n) == (0.75, 8)
    assert main.versus is not None
    assert (main.versus.delta, main.versus.n_pairs) == (0.75, 8)
    assert main.versus.p is not None
    assert not main.compatibility
    assert {m.judge for m in pick(found, method="rome", metric="efficacy", compatibility=True)} == {
        "exact-match", "contains-any",
    }  # fmt: skip


def test_failed_rows_are_counted_and_not_averaged(tmp_path: Path) -> None:
    rows = [row("rome", i, response=None if i == 0 else EDITED) for i in range(4)]
    found = summarise(written(tmp_path, rows)).measures
    for m in pick(found, metric="efficacy"):
        assert (m.value.n, m.value.mean, m.value.invalid) == (3, 1.0, 1)


def test_a_place_where_everything_failed_has_no_mean(tmp_path: Path) -> None:
    found = summarise(written(tmp_path, [row("rome", i, response=None) for i in range(3)])).measures
    assert found
    for m in found:
        assert m.value.mean is None
        assert m.value.n == 0
    assert pick(found, metric="efficacy", judge="contains")[0].value.invalid == 3


def test_parts_of_an_aspect_are_also_counted_together(tmp_path: Path) -> None:
    rows = [row("rome", i, "portability/two-hop") for i in range(3)]
    rows += [row("rome", i, "portability/alias", BASE) for i in range(3)]
    rows += [row("rome", i, "locality/near", BASE) for i in range(3)]
    found = summarise(written(tmp_path, rows)).measures
    means = {m.aspect: m.value.mean for m in pick(found, judge="contains")}
    assert means == {"portability/two-hop": 1.0, "portability/alias": 0.0, "portability": 0.5}
    assert {m.aspect for m in pick(found, judge="same-as-base")} == {"locality/near"}


def test_nothing_changed_is_judged_on_the_edit_prompts(tmp_path: Path) -> None:
    rows = [row("none", i, response=BASE) for i in range(2)]
    rows += [row("rome", i, response=BASE) for i in range(2)]
    rows += [row("rome", i, "locality", EDITED) for i in range(2)]
    found = summarise(written(tmp_path, rows)).measures
    assert {m.flags for m in pick(found, method="rome")} == {("nothing-changed",)}
    assert {m.flags for m in pick(found, method="none")} == {()}


def test_retention_asks_what_held_whether_it_still_does(tmp_path: Path) -> None:
    rows = [row("rome", i, step=i + 1, response=EDITED if i < 4 else BASE) for i in range(6)]
    rows += [
        row("rome", i, moment="final", step=6, response=EDITED if i < 1 else BASE) for i in range(6)
    ]
    found = summarise(written(tmp_path, rows)).measures
    [kept] = pick(found, metric="retention")
    assert (kept.value.n, kept.value.mean, kept.moment, kept.step) == (4, 0.25, "final", 6)
    [fresh] = pick(found, moment="immediate", judge="contains")
    assert (fresh.value.n, fresh.step) == (6, 1)


def test_the_noise_floor_is_the_share_of_flips(tmp_path: Path) -> None:
    rows = [
        row("none", i, "locality", EDITED if i == 0 else BASE, moment="base", step=0)
        for i in range(4)
    ]
    found = summarise(written(tmp_path, rows)).measures
    [floor] = found
    assert (floor.metric, floor.value.mean, floor.value.n) == ("noise-floor", 0.25, 4)


def test_protocols_stay_apart(tmp_path: Path) -> None:
    forced = Response("Orvale", (9,), (9,), (-0.1,), "forced")
    rows = [row("rome", 0, response=forced, protocol=SYNTHETIC.id), row("rome", 0)]
    found = summarise(written(tmp_path, rows)).measures
    assert {m.protocol for m in pick(found, metric="efficacy")} == {SYNTHETIC.id, WILD.id}
    assert {m.judge for m in pick(found, protocol=SYNTHETIC.id)} == {
        "token-match",
        "token-match-strict",
    }


def test_a_missing_summary_is_made_and_measures_do_not_depend_on_the_order_of_rows(
    tmp_path: Path,
) -> None:
    rows = [row("none", i, response=BASE) for i in range(5)] + [row("rome", i) for i in range(5)]
    folder = written(tmp_path / "a", rows)
    (folder / "plan.toml").write_text("")
    first = load_or_summarise(folder)
    assert read_summary(folder) == first
    other = summarise(written(tmp_path / "b", rows[::-1]))
    assert sorted(map(repr, other.measures)) == sorted(map(repr, first.measures))


def test_what_edits_cost(tmp_path: Path) -> None:
    edits = [
        EditRecord(
            "rome", 0, ("c0", "c1"), 2, 2, 3.0, 100, 1, {"c1": "edit failed: x\nnext"}, {"layer": 4}
        ),
        EditRecord("rome", 2, ("c2",), 1, 3, 3.0, 400, 1),
    ]
    found = costs(written(tmp_path, [row("rome", 0)], edits))["rome"]
    assert (found["edits"], found["cases"], found["failed"]) == (3, 3, 1)
    assert found["seconds_per_edit"] == 2.0
    assert found["peak_bytes"] == 400
    assert found["reasons"] == {"edit failed: x": 1}
    assert found["config"] == {"layer": 4}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (BASE, False),
        (replace(BASE, logprobs=(-0.10001,)), False),
        (replace(BASE, logprobs=(-0.2,)), True),
        (replace(BASE, text="paris"), True),
        (replace(BASE, choices=(Choice("a", -1.0, 1),)), True),
        (None, False),
    ],
)
def test_what_counts_as_another_answer(response: Response | None, expected: bool) -> None:
    assert differs(response, BASE) is expected
