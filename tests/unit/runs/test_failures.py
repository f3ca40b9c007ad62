"""Edits that fail, requests that do not fit, folders that cannot be written, runs that are stopped."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toy_runs import facts, registered, toy_model, toy_plan
from truing.errors import BadInput, Locked, NotPossible, StoreError
from truing.interventions.intervention import Intervention
from truing.methods.method import Method, MethodConfig
from truing.runs.events import CellFailed, Event, Interrupted, RowsWritten
from truing.runs.execute import execute
from truing.runs.interrupts import Interrupts
from truing.runs.plan import Plan, parse
from truing.runs.store import Store, read_edits, read_manifest, read_rows, read_summary
from truing.types import Row


class NoConfig(MethodConfig):
    pass


def _never(model: Any, requests: Any, config: Any, so_far: Any = None) -> Intervention:
    raise NotPossible("toy-never needs a moon", "Go there.")


def _nothing(model: Any, requests: Any, config: Any, so_far: Any = None) -> Intervention:
    return so_far or Intervention()


NEVER = Method("toy-never", _never, NoConfig, "never works", "none", "weights")
PICKY = Method(
    "toy-subject", _nothing, NoConfig, "needs a subject", "none", "weights", needs_subject=True
)


@pytest.fixture(scope="module", autouse=True)
def _more_toys() -> Iterator[None]:
    with registered(NEVER, PICKY):
        yield


def nudge(**config: Any) -> dict[str, Any]:
    return {"name": "nudge", "config": config}


def short(folder: Path, **values: Any) -> Plan:
    return toy_plan(folder, **{"count": 3, "protocols": ["synthetic"], "noise_sample": 0, **values})


def rows_of(folder: Path, method: str) -> list[Row]:
    cell = next(c["id"] for c in read_manifest(folder)["cells"] if c["method"] == method)
    return [row for row in read_rows(folder) if row.cell == cell]


@pytest.mark.parametrize("mistake", ["fail", "refuse"])
def test_a_failed_single_edit_is_counted_and_takes_no_other_with_it(
    tmp_path: Path, mistake: str
) -> None:
    plan = short(tmp_path, methods=[nudge(**{mistake: ["number 1"]})])
    result = execute(plan, tmp_path / "out", load=toy_model)
    rows = rows_of(tmp_path / "out", "nudge")
    failed = {r.case for r in rows if r.error}
    assert failed == {"fact-1"}
    assert all((r.response is None) == (r.case == "fact-1") for r in rows)
    assert all("edit failed" in (r.error or "edit failed") for r in rows)
    measure = next(
        m for m in result.summary.measures
        if (m.method, m.metric, m.judge) == ("nudge", "efficacy", "token-match")
    )  # fmt: skip
    assert (measure.value.n, measure.value.invalid) == (2, 1)
    [costs] = [c for c in result.summary.meta["edits"].values() if c["failed"]]
    assert costs["failed"] == 1


def test_a_failed_edit_in_a_chain_leaves_the_total_as_it_was(tmp_path: Path) -> None:
    with_failure = short(tmp_path, methods=[nudge(fail=["number 1"])], regimes=["sequential"])
    execute(with_failure, tmp_path / "a", load=toy_model)
    rows = rows_of(tmp_path / "a", "nudge")
    assert {(r.moment, r.case) for r in rows if r.error} == {("immediate", "fact-1")}
    assert {r.case for r in rows if r.moment == "final"} == {"fact-0", "fact-1", "fact-2"}
    folder = tmp_path / "a" / "interventions"
    kept = [json.loads(p.read_text()) for p in folder.glob("*/after-3/intervention.json")]
    assert sorted(len(k["origin"]["requests"]) for k in kept) == [2, 3]
    assert [e.failed for e in read_edits(tmp_path / "a") if e.failed] == [
        {"fact-1": "edit failed: request fact-1: the update is not finite"}
    ]


def test_requests_that_a_method_cannot_take_stop_the_run_or_are_counted(tmp_path: Path) -> None:
    records = facts(3)
    records[1]["subject"] = None
    records[1]["prompt"] = "It is in the city of"
    records[1]["rephrases"] = []
    plan = short(tmp_path, methods=["toy-subject"], options={"infer_subject": False})
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    with pytest.raises(BadInput, match="toy-subject: 1 of 3 cases") as caught:
        execute(plan, tmp_path / "a", load=toy_model)
    assert "--skip-invalid" in str(caught.value)
    assert not list(read_rows(tmp_path / "a"))
    execute(plan.model_copy(update={"skip_invalid": True}), tmp_path / "a", load=toy_model)
    rows = rows_of(tmp_path / "a", "toy-subject")
    assert {r.case for r in rows if r.error} == {"fact-1"}
    assert {r.case for r in rows_of(tmp_path / "a", "none") if r.response} == {
        "fact-0",
        "fact-1",
        "fact-2",
    }


def test_bad_records_stop_the_run_or_are_named_in_the_manifest(tmp_path: Path) -> None:
    records = facts(2)
    records[1]["target_new"] = " "
    plan = short(tmp_path, methods=[])
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    with pytest.raises(BadInput, match="1 of 2 records"):
        execute(plan, tmp_path / "a", load=toy_model)
    assert not (tmp_path / "a").exists()
    execute(plan.model_copy(update={"skip_invalid": True}), tmp_path / "a", load=toy_model)
    assert [q["record"] for q in read_manifest(tmp_path / "a")["quarantined"]] == ["fact-1"]


def test_a_question_that_does_not_fit_is_a_row_with_an_error(tmp_path: Path) -> None:
    records = facts(2)
    records[0]["locality"] = [{"prompt": "very " * 3000 + "long", "answer": "Velt"}]
    plan = short(tmp_path, methods=["nudge"], options={"max_chars": 100_000})
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    execute(plan, tmp_path / "a", load=toy_model)
    failed = [r for r in read_rows(tmp_path / "a") if r.error]
    assert {(r.case, r.aspect) for r in failed} == {("fact-0", "locality")}
    assert all("tokens" in (r.error or "") for r in failed)


def test_a_method_that_cannot_work_here_does_not_stop_the_others(tmp_path: Path) -> None:
    events: list[Event] = []
    plan = short(tmp_path, methods=["toy-never", "nudge"])
    result = execute(plan, tmp_path / "a", load=toy_model, on_event=events.append)
    assert [e.reason for e in events if isinstance(e, CellFailed)] == ["toy-never needs a moon"]
    assert rows_of(tmp_path / "a", "nudge")
    assert list(result.failed.values()) == ["toy-never needs a moon"]
    assert any("needs a moon" in w for w in read_manifest(tmp_path / "a")["warnings"])
    with pytest.raises(NotPossible, match="needs a moon"):
        execute(short(tmp_path, methods=["toy-never"]), tmp_path / "b", load=toy_model)
    assert rows_of(tmp_path / "b", "none")


def test_an_editor_that_cannot_be_loaded_does_not_stop_the_others(tmp_path: Path) -> None:
    missing = {"name": "mend", "config": {"checkpoint": str(tmp_path / "nowhere")}}
    plan = short(tmp_path, methods=[missing, "nudge"])
    result = execute(plan, tmp_path / "a", load=toy_model)
    assert [str(tmp_path / "nowhere") in reason for reason in result.failed.values()] == [True]
    assert rows_of(tmp_path / "a", "nudge")


def test_a_regime_that_a_method_cannot_follow_is_refused_first(tmp_path: Path) -> None:
    plan = short(tmp_path, methods=["loner"], regimes=["batch-2"])
    with pytest.raises(NotPossible, match=r"loner cannot .*batch-2") as caught:
        execute(plan, tmp_path / "a", load=toy_model)
    assert "nudge" in str(caught.value)
    assert "loner" not in str(caught.value).split("Methods that can")[1].split(".")[0]
    assert not (tmp_path / "a").exists()


def test_a_full_disk_stops_the_run_and_it_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = short(tmp_path, methods=["nudge"])
    sync, count = os.fsync, iter(range(1000))

    def full(fd: int) -> None:
        if next(count) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(fd)

    monkeypatch.setattr("truing.runs.lines.os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        execute(plan, tmp_path / "a", load=toy_model)
    monkeypatch.undo()
    kept = [r.key for r in read_rows(tmp_path / "a")]
    assert kept
    execute(plan, tmp_path / "a", resume=True, load=toy_model)
    whole = execute(plan, tmp_path / "b", load=toy_model)
    rows = [r.key for r in read_rows(tmp_path / "a")]
    assert rows[: len(kept)] == kept
    assert rows == [r.key for r in read_rows(tmp_path / "b")]
    assert whole.rows == len(rows)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with Store(tmp_path / "a"), pytest.raises(Locked, match=str(os.getpid())):
        execute(short(tmp_path, methods=[]), tmp_path / "a", load=toy_model)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_tells_how_to_go_on(tmp_path: Path, number: int) -> None:
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        if isinstance(event, RowsWritten):
            os.kill(os.getpid(), number)

    plan = short(tmp_path, methods=["nudge"])
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        execute(plan, tmp_path / "a b", load=toy_model, on_event=stop)
    assert signal.getsignal(number) is before
    [told] = [e for e in events if isinstance(e, Interrupted)]
    assert told.how == f"truing run '{tmp_path}/a b' --resume"
    assert 0 < told.done < told.of
    assert len(list(read_rows(tmp_path / "a b"))) == told.done
    assert not (tmp_path / "a b" / "lock").exists()
    result = execute(plan, tmp_path / "a b", resume=True, load=toy_model)
    assert result.rows == told.of


def test_what_is_held_is_finished_first() -> None:
    done: list[str] = []

    def work() -> None:
        with Interrupts() as interrupts:
            with interrupts.held():
                os.kill(os.getpid(), signal.SIGINT)
                done.append("inner")
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner"]


def test_a_run_that_never_wrote_a_row_may_be_begun_again(tmp_path: Path) -> None:
    plan = short(tmp_path, methods=[])

    def gone(_: object) -> Any:
        raise NotPossible("no such model", "Choose another.")

    with pytest.raises(NotPossible):
        execute(plan, tmp_path / "a", load=gone)
    other = parse(
        {
            "model": "toy",
            "benchmark": "custom",
            "data": "facts.jsonl",
            "limit": 1,
            "noise_sample": 0,
        },
        root=tmp_path,
    )
    assert execute(other, tmp_path / "a", load=toy_model).rows
    assert read_summary(tmp_path / "a") is not None
