"""Whether a training is on its way, told from its metrics alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from truing.methods.training.record import Line

WINDOW = 20
"""Updates that are looked at together."""
MOST_SKIPPED = 10
"""Updates in a row that may be left out because a gradient is not finite."""
FEW_CHECKS = 5
"""Validations after which edit success should have risen."""

Steps = Sequence[Mapping[str, float]]


def troubles(lines: Sequence[Line]) -> Iterator[str]:
    """What looks wrong now, one sentence each; what is before the colon tells kinds apart."""
    steps = [line.values for line in lines if line.kind == "step"]
    if steps and "skipped" in steps[-1]:
        yield "not finite: a gradient was, and its update is left out; lower lr, or use float32"
    made = [values for values in steps if "skipped" not in values]
    if any(values["gradient"] == 0 for values in made[-WINDOW:]):
        yield "no gradient: the edit does not reach the answers, or all of its factors are zero"
    yield from _drift(made)
    yield from _success([line.values for line in lines if line.kind == "validation"])


def _drift(steps: Steps) -> Iterator[str]:
    if len(steps) < 2 * WINDOW:
        return
    before = median(values["kl"] for values in steps[:WINDOW])
    now = median(values["kl"] for values in steps[-WINDOW:])
    if now > 1.0 and now > 3 * before:
        yield (
            f"unrelated answers drift: KL is {now:.2f} nats and was {before:.2f}; lower lr or "
            "alpha_lr, or raise locality_weight"
        )


def _success(checks: Steps) -> Iterator[str]:
    if len(checks) < FEW_CHECKS:
        return
    before, best = checks[0]["efficacy"], max(values["efficacy"] for values in checks[1:])
    if best < min(before + 0.02, 0.99):
        yield (
            f"edit success does not rise: it was {before:.2f} before training and is {best:.2f} at "
            "best; raise lr, alpha or steps"
        )
