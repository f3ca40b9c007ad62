"""One run from end to end, looked at from many sides."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from toy_runs import toy_model, toy_plan
from truing.errors import BadInput, StoreError
from truing.interventions.artifact import load as load_intervention
from truing.models.handle import Model
from truing.runs import manifest as manifests
from truing.runs.cells import ModelSpec
from truing.runs.estimate import estimate
from truing.runs.events import CellStarted, Event, RowsWritten, RunFinished, RunStarted
from truing.runs.execute import RunResult, execute
from truing.runs.judging import judge
from truing.runs.plan import Plan
from truing.runs.store import (
    read_edits,
    read_manifest,
    read_rows,
    read_summary,
    read_verdicts,
)
from truing.runs.summary import load_or_summarise
from truing.runs.table import export_table
from truing.types import Measure, Row


@dataclass(frozen=True)
class Done:
    """A finished run and what it told."""

    plan: Plan
    folder: Path
    cache: Path
    result: RunResult
    events: list[Event]

    @property
    def rows(self) -> list[Row]:
        return list(read_rows(self.folder))

    @property
    def cells(self) -> dict[str, dict[str, Any]]:
        return {c["id"]: c for c in read_manifest(self.folder)["cells"]}

    def cell(self, method: str, regime: str) -> str:
        return next(
            i for i, c in self.cells.items() if (c["method"], c["regime"]) == (method, regime)
        )

    def load(self, spec: ModelSpec) -> Model:
        return toy_model(spec, cache=self.cache)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("run")
    plan = toy_plan(
        folder,
        count=4,
        methods=["nudge", {"name": "nudge", "label": "whole", "config": {"kind": "dense"}},
                 {"name": "nudge", "label": "idle", "config": {"size": 0.0}}],
        regimes=["single", "sequential,every=2"],
    )  # fmt: skip
    events: list[Event] = []
    cache = folder / "cache"
    result = execute(
        plan, folder / "out", on_event=events.append, load=lambda spec: toy_model(spec, cache=cache)
    )
    return Done(plan, folder / "out", cache, result, events)


def test_every_planned_row_is_there_once(done: Done) -> None:
    keys = [row.key for row in done.rows]
    assert len(keys) == len(set(keys)) == done.result.rows
    started = next(e for e in done.events if isinstance(e, RunStarted))
    assert started.rows == done.result.rows


def test_rows_say_what_was_asked_and_answered(done: Done) -> None:
    for row in done.rows:
        assert row.error is None
        assert row.response is not None
        assert row.base is not None
        assert "Gate" in row.prompt or "Spire" in row.prompt
    forced = [r for r in done.rows if "teacher-forced" in r.protocol]
    assert all(r.response and r.response.stop == "forced" and r.response.logprobs for r in forced)
    greedy = [r for r in done.rows if "greedy" in r.protocol]
    assert all(r.response and r.response.token_ids for r in greedy)


def test_the_baseline_is_the_base_model_through_the_same_code(done: Done) -> None:
    rows = [
        r
        for r in done.rows
        if r.cell in (done.cell("none", "single"), done.cell("none", "sequential"))
    ]
    assert {r.moment for r in rows} == {"immediate", "final", "step", "base"}
    assert all(r.response == r.base for r in rows if r.moment != "base")


def test_edits_change_answers(done: Done) -> None:
    for method in ("nudge", "whole"):
        rows = [r for r in done.rows if r.cell == done.cell(method, "single")]
        assert any(r.response != r.base for r in rows)


def test_single_edits_do_not_see_each_other(done: Done) -> None:
    """Asked alone, on the intervention made for its own request, a probe gets the same answer."""
    model = done.load(done.plan.models[0])
    from truing.methods.method import METHODS
    from truing.models.asks import ScoreAsk

    cell = next(c for c in done.plan.cells() if c.method.label == "nudge")
    from truing.runs.prepare import prepare

    case = prepare(done.plan).cases(cell)[2]
    iv = METHODS.get("nudge").make(model, list(case.requests), cell.method.settings(0))
    probe = case.probes[0]
    assert isinstance(probe.prompt, str)
    [alone] = model.score([ScoreAsk(probe.prompt, case.requests[0].target_new, iv)])
    row = next(
        r for r in done.rows
        if (r.cell, r.case, r.probe) == (cell.id, case.id, probe.id) and "forced" in r.protocol
    )  # fmt: skip
    assert row.response is not None
    assert row.response.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_a_chain_is_measured_at_its_moments(done: Done) -> None:
    rows = [r for r in done.rows if r.cell == done.cell("nudge", "sequential")]
    told = {(r.moment, r.step, r.case) for r in rows}
    cases = [f"fact-{i}" for i in range(4)]
    assert told == {
        *(("immediate", i + 1, case) for i, case in enumerate(cases)),
        *(("step", 2, case) for case in cases[:2]),
        *(("final", 4, case) for case in cases),
    }


def test_the_total_of_a_chain_is_kept_and_can_be_used(done: Done) -> None:
    folder = done.folder / "interventions" / done.cell("nudge", "sequential")
    assert [p.name for p in folder.iterdir()] == ["after-4"]
    model = done.load(done.plan.models[0])
    total = load_intervention(folder / "after-4", model)
    assert total.origin.requests == tuple(f"fact-{i}" for i in range(4))
    assert int(total.memo["count"]) == 4


def test_verdicts_are_there_for_every_row(done: Done) -> None:
    judged = {v.row for v in read_verdicts(done.folder)}
    assert judged == {r.key for r in done.rows}


def test_judging_again_adds_only_what_is_new(done: Done) -> None:
    assert judge(done.folder) == 0
    added = judge(done.folder, ["contains-any"])
    assert added == len(done.rows)
    assert judge(done.folder, ["contains-any"]) == 0


def test_the_manifest_names_what_decided_the_run(done: Done) -> None:
    found = read_manifest(done.folder)
    model = found["models"]["toy"]
    assert model["fingerprint"]
    assert model["dtype"] == "float32"
    assert model["tokenizer_class"]
    assert found["data"]["custom"]["sha256"]
    assert found["data"]["custom"]["sampling"]["ids"] == [f"fact-{i}" for i in range(4)]
    assert found["versions"]["torch"]
    assert found["hardware"]["cpus"]
    assert found["finished"]
    text = json.dumps(found)
    assert str(done.folder.parent) not in text
    assert str(Path.home()) not in text


def test_the_plan_is_kept_as_resolved(done: Done) -> None:
    plan = tomllib.loads((done.folder / "plan.toml").read_text())
    assert [m["label"] for m in plan["methods"]] == ["none", "nudge", "whole", "idle"]
    assert plan["methods"][1]["config"]["size"] == 0.5
    assert plan["benchmarks"][0]["data"] == "../facts.jsonl"


def measures(done: Done, **facts: object) -> list[Measure]:
    return [
        m for m in done.result.summary.measures
        if all(getattr(m, name) == value for name, value in facts.items())
    ]  # fmt: skip


def test_measures_have_values_and_are_compared_with_the_baseline(done: Done) -> None:
    found = measures(done, method="nudge", regime="single", aspect="efficacy", metric="efficacy")
    assert {m.judge for m in found if not m.compatibility} == {"token-match"}
    for m in found:
        assert m.value.n == 4
        assert m.versus is not None
        assert m.versus.against == "none"
        assert m.versus.n_pairs == 4
    assert all(m.versus is None for m in measures(done, method="none"))


def test_right_after_its_edit_is_one_measure_also_in_a_chain(done: Done) -> None:
    found = measures(
        done,
        method="nudge",
        regime="sequential",
        moment="immediate",
        aspect="efficacy",
        judge="token-match",
    )
    assert {m.value.n for m in found} == {4}
    assert len(found) == 2


def test_curves_and_retention(done: Done) -> None:
    steps = measures(done, method="nudge", regime="sequential", moment="step", judge="token-match")
    assert {m.step for m in steps} == {2}
    kept = measures(done, method="nudge", metric="retention")
    assert {m.moment for m in kept} == {"final"}


def test_a_method_that_changes_nothing_is_flagged(done: Done) -> None:
    assert {m.flags for m in measures(done, method="idle")} == {("nothing-changed",)}
    assert {m.flags for m in measures(done, method="nudge")} == {()}
    assert {m.flags for m in measures(done, method="none")} == {()}


def test_the_noise_floor_is_measured_once(done: Done) -> None:
    floor = measures(done, metric="noise-floor")
    assert floor
    assert {(m.method, m.moment, m.regime) for m in floor} == {("none", "base", "single")}
    assert all(m.value.n > 0 for m in floor)
    noisy = [r for r in done.rows if r.moment == "base"]
    assert all(not r.accepted for r in noisy)


def test_p_values_are_corrected_over_the_table(done: Done) -> None:
    tested = [m for m in done.result.summary.measures if m.versus and m.versus.p is not None]
    assert tested
    for m in tested:
        assert m.versus is not None
        assert m.versus.p_adjusted is not None
        assert m.versus.p_adjusted >= (m.versus.p or 0)
    assert done.result.summary.meta["correction"] == "holm"


def test_edits_cost_time_and_memory(done: Done) -> None:
    costs = done.result.summary.meta["edits"][done.cell("nudge", "single")]
    assert costs["edits"] == 4
    assert costs["failed"] == 0
    assert costs["seconds_per_edit"] > 0
    assert {
        e.step for e in read_edits(done.folder) if e.cell == done.cell("nudge", "sequential")
    } == {1, 2, 3, 4}


def test_the_summary_can_be_made_again_from_the_rows(done: Done) -> None:
    stored = read_summary(done.folder)
    assert stored is not None
    assert stored.measures == done.result.summary.measures
    (done.folder / "summary.json").unlink()
    again = load_or_summarise(done.folder)
    own = [m for m in again.measures if m.judge != "contains-any"]
    assert [dataclasses.replace(m, versus=None) for m in own] == [
        dataclasses.replace(m, versus=None) for m in stored.measures
    ]
    assert (done.folder / "summary.json").exists()


def test_progress_is_told(done: Done) -> None:
    written = [e for e in done.events if isinstance(e, RowsWritten)]
    assert [e.done for e in written] == sorted(e.done for e in written)
    assert written[-1].done == written[-1].of
    assert written[-1].eta == 0
    cells = [e for e in done.events if isinstance(e, CellStarted)]
    assert [e.number for e in cells] == list(range(1, 9))
    assert isinstance(done.events[-1], RunFinished)


def test_a_finished_run_is_not_run_again(done: Done) -> None:
    with pytest.raises(StoreError, match="already holds a run") as caught:
        execute(done.plan, done.folder, load=done.load)
    assert "--resume" in str(caught.value)
    before = (done.folder / "rows-0.jsonl").read_bytes()
    result = execute(done.plan, done.folder, resume=True, load=done.load)
    assert (done.folder / "rows-0.jsonl").read_bytes() == before
    assert result.rows == done.result.rows
    assert len(read_manifest(done.folder)["resumed"]) == 1


def test_a_run_does_not_go_on_with_another_plan_model_or_data(done: Done) -> None:
    other = done.plan.model_copy(update={"seeds": (1,)})
    with pytest.raises(BadInput, match=r"plan: seeds\.0"):
        execute(other, done.folder, resume=True, load=done.load)
    with pytest.raises(BadInput, match="toy: fingerprint"):
        execute(
            done.plan,
            done.folder,
            resume=True,
            load=lambda spec: toy_model(spec, cache=done.cache, seed=1),
        )
    facts = done.folder.parent / "facts.jsonl"
    text = facts.read_text()
    facts.write_text(text.replace("Orvale", "Ostria"))
    with pytest.raises(BadInput, match="custom: the data file"):
        execute(done.plan, done.folder, resume=True, load=done.load)
    facts.write_text(text)


def test_other_versions_are_noted(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    here = manifests.versions()
    monkeypatch.setattr(manifests, "versions", lambda: {**here, "torch": "9.9"})
    found = manifests.resume(read_manifest(done.folder))
    assert "9.9" in found["warnings"][0]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_rows_can_be_taken_elsewhere(done: Done, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"it's{suffix}"
    count = export_table(done.folder, path)
    reader = {".parquet": "read_parquet", ".csv": "read_csv", ".jsonl": "read_json"}[suffix]
    quoted = str(path).replace("'", "''")
    with duckdb.connect() as db:
        [(lines, rows, methods)] = db.execute(
            f"SELECT count(*), count(DISTINCT key), count(DISTINCT method) FROM {reader}('{quoted}')"
        ).fetchall()
    assert lines == count
    assert rows == done.result.rows
    assert methods == 4


def test_unknown_formats_are_refused(done: Done, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="xlsx"):
        export_table(done.folder, tmp_path / "x.xlsx")


def test_what_it_will_take_is_told_without_writing(done: Done) -> None:
    found = estimate(done.plan, load=done.load)
    noise = sum(r.moment == "base" for r in done.rows)
    assert found.rows == done.result.rows - noise
    assert found.edits == 4 * 8
    assert found.tokens > found.asks >= found.rows
    assert found.seconds > 0
    assert all(c.seconds is not None for c in found.cells)
