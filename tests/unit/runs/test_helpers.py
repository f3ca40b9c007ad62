"""Several processes at one run: the same rows as from one, and nothing left behind when one dies."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import toy_runs
from toy_runs import registered, toy_model, toy_plan
from truing.errors import NotPossible, StoreError
from truing.models.handle import Model
from truing.runs.cells import ModelSpec
from truing.runs.events import CellStarted, Event, RowsWritten
from truing.runs.execute import execute
from truing.runs.helpers import Claims, Workers, counter
from truing.runs.plan import Plan
from truing.runs.store import Store, read_edits, read_manifest, read_rows

TWO = Workers(2, toy_runs.register)


@pytest.fixture(autouse=True)
def _toys() -> Any:
    with registered():
        yield


def plan(folder: Path, **values: Any) -> Plan:
    return toy_plan(
        folder,
        count=4,
        methods=["nudge", "ice"],
        regimes=["single", "sequential,every=2"],
        **values,
    )


def rows(folder: Path) -> dict[str, Any]:
    return {row.key: dataclasses.replace(row, seconds=None) for row in read_rows(folder)}


def dies(spec: ModelSpec) -> Model:
    """Loads in the owner, and ends a helper as the kernel does when memory runs out."""
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return toy_model(spec)


def refuses(spec: ModelSpec) -> Model:
    if multiprocessing.parent_process() is not None:
        raise NotPossible("no room for a second model", "Use one worker.")
    return toy_model(spec)


def test_two_workers_write_what_one_writes(tmp_path: Path) -> None:
    events: list[Event] = []
    todo = plan(tmp_path)
    alone = execute(todo, tmp_path / "one", load=partial(toy_model, cache=tmp_path / "c1"))
    shared = execute(
        todo, tmp_path / "two", load=partial(toy_model, cache=tmp_path / "c2"), workers=TWO,
        on_event=events.append,
    )  # fmt: skip
    assert rows(tmp_path / "two") == rows(tmp_path / "one")
    assert shared.summary.measures == alone.summary.measures
    assert len(list(read_edits(tmp_path / "two"))) == len(list(read_edits(tmp_path / "one")))
    assert sorted(p.name for p in (tmp_path / "two").glob("lock*")) == []
    started = [e.number for e in events if isinstance(e, CellStarted)]
    assert sorted(started) == [1, 2, 3, 4, 5, 6]
    written = [e for e in events if isinstance(e, RowsWritten)]
    assert sum(e.new for e in written) == written[-1].done == written[-1].of == shared.rows


def test_a_cell_that_cannot_be_run_is_told_whoever_took_it(tmp_path: Path) -> None:
    """Chains go first, so the two cells of mend are taken by both workers or by either."""
    todo = toy_plan(tmp_path, count=3, methods=["nudge", "mend"], regimes=["single", "sequential"])
    result = execute(todo, tmp_path / "out", load=toy_model, workers=TWO)
    assert sorted(result.failed) == sorted(str(c) for c in todo.cells() if c.method.name == "mend")
    assert len(result.failed) == 2
    told = read_manifest(tmp_path / "out")["warnings"]
    for label, reason in result.failed.items():
        assert f"{label} could not be run: {reason}" in told


def test_a_dead_helper_ends_the_run_with_advice(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"worker 1 .* died") as caught:
        execute(plan(tmp_path), tmp_path / "out", load=dies, workers=TWO)
    assert "--workers" in str(caught.value)
    execute(plan(tmp_path), tmp_path / "out", load=toy_model, resume=True)


def test_an_error_of_a_helper_is_the_runs(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="no room for a second model"):
        execute(plan(tmp_path), tmp_path / "out", load=refuses, workers=TWO)


def test_helpers_end_with_an_owner_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, toy_runs\n"
        "from functools import partial\n"
        "from truing.runs.execute import execute\n"
        "from truing.runs.helpers import Workers\n"
        "if __name__ == '__main__':\n"
        "    toy_runs.register()\n"
        "    folder = pathlib.Path(sys.argv[1])\n"
        "    todo = toy_runs.toy_plan(folder, count=40, methods=['nudge', 'ice'],\n"
        "                             regimes=['single', 'sequential,every=5'])\n"
        "    execute(todo, folder / 'out', load=toy_runs.toy_model,\n"
        "            workers=Workers(2, toy_runs.register))\n"
    )
    (tmp_path / "go.py").write_text(script, "utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.Popen([sys.executable, str(tmp_path / "go.py"), str(tmp_path)], env=env)
    helped = tmp_path / "out" / "rows-1.jsonl"
    until = time.monotonic() + 60
    while not (helped.exists() and helped.stat().st_size):
        assert time.monotonic() < until, "no helper has written a row"
        assert owner.poll() is None, "the run ended too soon"
        time.sleep(0.02)
    owner.kill()
    owner.wait()
    with Store(tmp_path / "out"):  # waits for the helper, who is ending
        before = helped.stat().st_size
        time.sleep(0.5)
        assert helped.stat().st_size == before


def test_every_cell_is_claimed_once() -> None:
    claims = Claims(("a", "b", "c"), counter())  # type: ignore[arg-type]
    first, second = iter(claims), iter(claims)
    assert [next(first), next(second), next(second)] == ["a", "b", "c"]
    assert list(first) == list(second) == []
