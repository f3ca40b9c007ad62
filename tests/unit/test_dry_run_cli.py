"""``truing run --dry-run``: what a plan takes, in units that people read."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from truing.cli.run_plan import _pairs
from truing.runs.estimate import Estimate

FOUND = Estimate((), 30, 4408, 1224, 10758, 32.452716124156886, 0.4, 524972032, 0)


def test_numbers_have_units_and_what_is_not_known_is_left_out() -> None:
    told = dict(_pairs(FOUND))
    assert told["time"] == "32 s"
    assert told["memory"] == "501 MiB"
    assert told["rows"] == "4,408"
    assert not any("None" in value or "dollars" in name for name, value in told.items())


@pytest.mark.parametrize(("seconds", "said"), [(600.0, "10 min"), (9000.0, "2.5 h")])
def test_long_runs_are_told_in_minutes_and_hours(seconds: float, said: str) -> None:
    told = dict(_pairs(replace(FOUND, seconds=seconds, usd=1.5, peak_bytes=None)))
    assert told["time"] == said
    assert told["US dollars at most"] == "1.50"
    assert "memory" not in told
