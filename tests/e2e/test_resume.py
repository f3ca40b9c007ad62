"""A run that was killed at any moment and gone on with is the run that was never stopped."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from toy_runs import registered, toy_model, toy_plan
from truing.models.handle import Model
from truing.runs.cells import ModelSpec
from truing.runs.execute import execute
from truing.runs.plan import Plan
from truing.runs.store import read_edits, read_rows, read_summary, read_verdicts

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.fixture(scope="module", autouse=True)
def _toys() -> Iterator[None]:
    with registered():
        yield


def small(folder: Path) -> Plan:
    return toy_plan(folder, count=4, regimes=["single", "sequential,every=3"], checkpoint_every=2)


def large(folder: Path) -> Plan:
    return toy_plan(
        folder,
        count=7,
        methods=["nudge", {"name": "nudge", "label": "whole", "config": {"kind": "dense"}}, "ice"],
        regimes=["single", "sequential,every=3", "batch-2"],
        protocols=["synthetic", "wild"],
        checkpoint_every=2,
    )


def loader(cache: Path) -> Callable[[ModelSpec], Model]:
    return lambda spec: toy_model(spec, cache=cache)


def run_killed(plan: Plan, out: Path, cache: Path, growth: float, pause: float) -> bool:
    """Go on with the run in a child process; kill it ``pause`` seconds after its rows have grown by
    ``growth`` bytes. Whether it finished before that."""
    rows = out / "rows-0.jsonl"
    start = rows.stat().st_size if rows.exists() else 0
    child = os.fork()
    if not child:
        try:
            execute(plan, out, resume=True, load=loader(cache))
        finally:
            os._exit(0)
    while not rows.exists() or rows.stat().st_size < start + growth:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    time.sleep(pause)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def tear(path: Path, rng: random.Random) -> None:
    """Cut some bytes off the end of a file, as a lost write does."""
    if path.exists():
        size = path.stat().st_size
        os.truncate(path, max(0, size - rng.randrange(600)))


def facts(out: Path) -> dict[str, Any]:
    """Everything in a run folder that must not depend on interruptions."""
    edits = sorted(
        (dataclasses.replace(e, seconds=0, peak_bytes=None) for e in read_edits(out)),
        key=lambda e: (e.cell, e.first),
    )
    summary = read_summary(out)
    assert summary is not None
    return {
        "rows": [dataclasses.replace(row, seconds=None) for row in read_rows(out)],
        "verdicts": {(v.row, v.judge): v for v in read_verdicts(out)},
        "edits": edits,
        "measures": summary.measures,
    }


def killed_and_resumed(plan: Plan, tmp_path: Path, kills: int, torn: bool) -> None:
    rng = random.Random(kills)
    execute(plan, tmp_path / "whole", load=loader(tmp_path / "cache-whole"))
    step = (tmp_path / "whole" / "rows-0.jsonl").stat().st_size / kills
    out, cache, killed = tmp_path / "broken", tmp_path / "cache-broken", 0
    for _ in range(kills * 3):
        growth, pause = rng.uniform(0, 1.2 * step), rng.uniform(0, 0.1)
        if killed == kills or run_killed(plan, out, cache, growth, pause):
            break
        killed += 1
        if torn:
            tear(out / "rows-0.jsonl", rng)
            tear(out / "verdicts-0.jsonl", rng)
    assert killed >= kills / 2
    execute(plan, out, resume=True, load=loader(cache))
    whole, broken = facts(tmp_path / "whole"), facts(out)
    keys = [row.key for row in broken["rows"]]
    assert len(keys) == len(set(keys))
    for kind, expected in whole.items():
        assert broken[kind] == expected, kind


def test_four_kills(tmp_path: Path) -> None:
    killed_and_resumed(small(tmp_path), tmp_path, 4, torn=True)


@pytest.mark.slow
@pytest.mark.parametrize("torn", [False, True])
def test_twenty_kills(tmp_path: Path, torn: bool) -> None:
    killed_and_resumed(large(tmp_path), tmp_path, 20, torn)
