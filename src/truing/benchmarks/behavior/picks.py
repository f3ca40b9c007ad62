"""The rows that Huang et al. 2025 (BehaviorBench, arXiv 2506.20606) evaluate on.

Their samples are ``DataFrame.sample(size, random_state=42)``, which draws positions with NumPy's
legacy generator; that generator's stream is frozen by NumPy's own promise (NEP 19).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from truing.benchmarks.files import Contents

SEED = 42


def positions(total: int, size: int) -> tuple[int, ...]:
    """Which of ``total`` rows are drawn, in the order drawn; all of them where there are fewer than
    ``size``."""
    drawn = np.random.RandomState(SEED).choice(total, min(size, total), replace=False)
    return tuple(int(position) for position in drawn)


def picked(contents: Contents, size: int | None) -> Contents:
    """``contents`` with the drawn records only, in the order drawn; ``None`` leaves all as they are."""
    if size is None:
        return contents
    records = contents.records
    remark = f"{min(size, len(records))} of {len(records)} records are the published sample"
    return replace(
        contents,
        records=tuple(records[position] for position in positions(len(records), size)),
        remarks=(*contents.remarks, remark),
    )
