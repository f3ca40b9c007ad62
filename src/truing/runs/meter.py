"""Wall time and peak memory of a piece of work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Meter:
    """``seconds`` and ``peak_bytes`` of the block that :func:`metered` wraps.

    Peak memory is that of the accelerators where there are any, else of this process (Linux);
    elsewhere it is ``None``. It counts everything that is held, the model included.
    """

    seconds: float = 0.0
    peak_bytes: int | None = None


@contextmanager
def metered() -> Iterator[Meter]:
    """Measure the block."""
    meter = Meter()
    _start()
    begun = time.perf_counter()
    try:
        yield meter
    finally:
        meter.peak_bytes = _peak()
        meter.seconds = time.perf_counter() - begun


def _start() -> None:
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(number)
        return
    try:
        _RESET.write_text("5")
    except OSError:
        return


def _peak() -> int | None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return sum(torch.cuda.max_memory_allocated(n) for n in range(torch.cuda.device_count()))
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None
