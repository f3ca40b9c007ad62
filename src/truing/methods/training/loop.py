"""The training of a learned editor: updates, validations, the best kept, going on after a stop.

What is trained is a :class:`Course`: it knows its network and its losses, this module knows Adam,
clipping, patience and files. A training that was cut off and goes on gives exactly the weights and
metrics of an unbroken one (on the same machine and number of threads).

Published code for MEND differs in two ways that this loop is built against: alpha is in the main
optimiser too, whose ``zero_grad`` runs before alpha's own optimiser steps, so that alpha's learning
rate never acts (here: one Adam with groups); early stopping is never told of a result and the last
checkpoint, not the best, is kept (here: the best by validation loss).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from truing.errors import BadInput, EditFailed, NotPossible
from truing.methods.training import health
from truing.methods.training.record import (
    METRICS,
    RESUME,
    Line,
    Metrics,
    Stand,
    load_stand,
    save_stand,
)

Values = dict[str, float]
Watch = Callable[[Line], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """``accumulate`` passes make an update; a validation every ``validate_every`` updates, every
    ``keep_every`` and at the end; an end after ``patience`` updates without a lower validation loss.
    Every ``keep_every`` updates the editor is kept as it is then (:func:`kept`)."""

    steps: int
    accumulate: int
    clip: float
    validate_every: int
    patience: int
    keep_every: int | None = None

    def validates(self, step: int) -> bool:
        return step % self.validate_every == 0 or self.keeps(step)

    def keeps(self, step: int) -> bool:
        return bool(self.keep_every and step and step % self.keep_every == 0)


def kept(folder: Path, step: int) -> Path:
    """Where a training into ``folder`` leaves the editor as it was after ``step`` updates."""
    return folder / "steps" / f"{step:06d}"


class Course(Protocol):
    """What is trained."""

    @property
    def module(self) -> nn.Module:
        """What is trained: its state is saved and restored."""

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups of Adam, each with its ``lr``."""

    def loss(self, pass_number: int) -> tuple[Tensor, Values]:
        """The loss of one pass, drawn from the seed and ``pass_number`` alone, and its terms."""

    def validate(self) -> Values:
        """Means over the validation cases; ``loss`` decides which step is best."""

    def publish(self, folder: Path, step: int, metrics: Mapping[str, float]) -> None:
        """Write the editor as it is now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training came to. ``best`` are the metrics of the published step."""

    step: int
    best_step: int
    best: Mapping[str, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training would take at most; ``bytes`` counts weights, gradients and both moments of
    Adam, not the model."""

    seconds: float
    seconds_per_step: float
    bytes: int
    parameters: int


def estimate(course: Course, schedule: Schedule) -> Estimate:
    """Measured on two passes and one validation, which change nothing."""
    before = {name: t.clone() for name, t in course.module.state_dict().items()}
    took = []
    for number in range(2):  # the first warms up
        start = time.perf_counter()
        course.loss(number)[0].backward()  # type: ignore[no-untyped-call]
        took.append(time.perf_counter() - start)
    start = time.perf_counter()
    course.validate()
    validation = time.perf_counter() - start
    course.module.zero_grad(set_to_none=True)
    course.module.load_state_dict(before)
    step = took[-1] * schedule.accumulate
    parameters = sum(p.numel() for p in course.module.parameters())
    count = 2 + sum(map(schedule.validates, range(1, schedule.steps + 1)))
    return Estimate(
        schedule.steps * step + count * validation, step, parameters * 4 * 4, parameters
    )


def train(
    course: Course,
    schedule: Schedule,
    folder: Path,
    *,
    config: Mapping[str, Any],
    resume: bool = False,
    watch: Watch = lambda line: None,
) -> Outcome:
    """Train and leave the best editor in ``folder``, with ``metrics.jsonl`` and kept steps beside it.

    ``config`` must be equal where a training goes on (leave out what may change). ``watch`` meets
    every line of the metrics. Raises ``BadInput`` for a folder that holds another training,
    ``EditFailed`` when gradients stay infinite.
    """
    run = _Run(course, schedule, folder, dict(config), resume, watch)
    return run.go()


class _Run:
    def __init__(
        self,
        course: Course,
        schedule: Schedule,
        folder: Path,
        config: dict[str, Any],
        resume: bool,
        watch: Watch,
    ) -> None:
        self._course, self._schedule, self._folder = course, schedule, folder
        self._config, self._watch = config, watch
        self._adam = torch.optim.Adam(course.groups(), betas=(0.9, 0.999), eps=1e-8)
        self._step, self._best, self._best_step = 0, math.inf, 0
        self._skipped = 0
        there = folder / RESUME
        if there.exists() and not resume:
            raise BadInput(
                f"'{folder}' already holds a training",
                "Go on with it (--resume), or train into another folder.",
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if there.exists():
                self._restore(there)
            self._metrics = Metrics(folder / METRICS, self._step if there.exists() else -1)
        except OSError as error:
            raise BadInput(
                f"cannot write into '{folder}': {error.strerror}",
                "Choose a folder that can be written.",
            ) from None

    def go(self) -> Outcome:
        if not self._metrics.of("validation"):
            self._validate()
        while self._step < self._schedule.steps and not self._patience_is_over():
            self._update()
            if self._schedule.validates(self._step):
                self._validate()
        if self._metrics.of("validation")[-1].step != self._step:
            self._validate()
        best = next(c.values for c in self._metrics.of("validation") if c.step == self._best_step)
        texts = tuple(dict.fromkeys(line.text for line in self._metrics.of("health")))
        return Outcome(self._step, self._best_step, best, texts)

    def _patience_is_over(self) -> bool:
        return self._step - self._best_step >= self._schedule.patience

    def _update(self) -> None:
        self._adam.zero_grad(set_to_none=True)
        n = self._schedule.accumulate
        total: Values = {}
        for number in range(self._step * n, (self._step + 1) * n):
            try:
                loss, values = self._course.loss(number)
                (loss / n).backward()  # type: ignore[no-untyped-call]
            except torch.OutOfMemoryError as error:
                raise NotPossible(
                    f"one pass of the training does not fit in memory ({error})",
                    "Lower batch and raise accumulate by the same factor: the result stays the same.",
                ) from None
            total = {name: total.get(name, 0.0) + value / n for name, value in values.items()}
        norm = float(
            torch.nn.utils.clip_grad_norm_(self._course.module.parameters(), self._schedule.clip)
        )
        finite = math.isfinite(norm) and all(math.isfinite(v) for v in total.values())
        self._step += 1
        if finite:
            self._adam.step()
            self._skipped = 0
            self._note(Line("step", self._step, {**total, "gradient": norm}))
        else:
            self._skipped += 1
            self._note(Line("step", self._step, {"skipped": 1.0}))
            if self._skipped > health.MOST_SKIPPED:
                raise EditFailed(
                    f"gradients are not finite for {self._skipped} updates in a row",
                    "Lower lr and alpha_lr, or load the model in float32 or bfloat16.",
                )
        self._look()

    def _validate(self) -> None:
        values = self._course.validate()
        self._note(Line("validation", self._step, values))
        if values["loss"] < self._best or not self._metrics.of("validation")[1:]:
            self._best, self._best_step = values["loss"], self._step
            self._course.publish(self._folder, self._step, values)
        if self._schedule.keeps(self._step):
            self._course.publish(kept(self._folder, self._step), self._step, values)
        self._look()
        self._save()

    def _look(self) -> None:
        said = {line.text.split(":")[0] for line in self._metrics.of("health")}
        for text in health.troubles(self._metrics.lines):
            if text.split(":")[0] not in said:
                self._note(Line("health", self._step, text=text))

    def _note(self, line: Line) -> None:
        self._metrics.add(line)
        self._watch(line)

    def _save(self) -> None:
        tensors = {f"module.{k}": t for k, t in self._course.module.state_dict().items()}
        for number, state in self._adam.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{key}": value for key, value in state.items()}
        best = self._best if math.isfinite(self._best) else None
        stand = Stand(self._step, best, self._best_step, self._config)
        save_stand(self._folder / RESUME, stand, tensors)

    def _restore(self, path: Path) -> None:
        stand, tensors = load_stand(path, self._config)
        self._step, self._best_step = stand.step, stand.best_step
        self._best = math.inf if stand.best is None else stand.best
        parts: dict[str, dict[str, Tensor]] = {"module": {}}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "module":
                parts["module"][rest] = tensor
            else:
                number, _, key = rest.partition(".")
                parts.setdefault(number, {})[key] = tensor
        try:
            self._course.module.load_state_dict(parts.pop("module"))
        except RuntimeError:
            raise BadInput(
                f"'{path}' is of another network", "Train into another folder."
            ) from None
        state = {int(number): values for number, values in parts.items()}
        self._adam.load_state_dict({**self._adam.state_dict(), "state": state})
