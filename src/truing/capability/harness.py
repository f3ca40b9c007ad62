"""Tasks of lm-eval (EleutherAI's harness) on the live base and edited model, item by item.

The harness asks; the statistics are ours: each item is asked before and after, and the two scores are a
pair. Only task files that are given are read, unless the harness's own are asked for, which take long to
index and whose data must be in the local cache where there is no network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.capability import own_tasks
from truing.errors import BadInput, NotPossible, UnknownName
from truing.interventions.intervention import Intervention
from truing.interventions.parts import ActivationOp, WeightDelta
from truing.models.handle import Model
from truing.scoring.observations import Observation
from truing.scoring.paired import compare
from truing.scoring.stats import value_of
from truing.seeds import Seeds
from truing.types import Comparison, State, Value

Scores = dict[tuple[str, str], list[Observation]]
"""By task and metric."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One metric of one task: before, after, and the difference on the same items.

    ``edited`` and ``versus`` are ``None`` where nothing was applied.
    """

    task: str
    metric: str
    base: Value
    edited: Value | None
    versus: Comparison | None


def measure(
    model: Model,
    edits: Sequence[Intervention],
    tasks: Sequence[str],
    *,
    include_path: Path | None = None,
    stock: bool = False,
    limit: int | None = None,
    batch_size: int = 16,
) -> list[TaskResult]:
    """Every metric of ``tasks`` on the base and with all ``edits`` applied together.

    ``truing_micro`` and ``truing_micro_english`` are always known, the tasks in ``include_path`` too, the
    harness's own with ``stock``. ``limit``: the first items of each task. Metrics that are not one
    number per item (perplexities over a corpus) are left out. Raises ``NotPossible`` without lm-eval and
    for edits that do not act on bare forward passes, ``UnknownName`` for a task.
    """
    for edit in edits:
        _refuse(edit)
    with tempfile.TemporaryDirectory(prefix="truing-tasks-") as folder:
        own_tasks.write(Path(folder))
        paths = [folder, *([str(include_path)] if include_path is not None else [])]
        asking = _Asking(model, _task_manager(paths, stock), tuple(tasks), limit, batch_size)
        base = asking.scores(())
        after = asking.scores(edits) if edits else {}
    return [
        _result(task, metric, before, after.get((task, metric)))
        for (task, metric), before in base.items()
    ]


def _refuse(edit: Intervention) -> None:
    for part in edit.parts:
        everywhere = isinstance(part, ActivationOp) and part.positions.kind == "all"
        if not (isinstance(part, WeightDelta) or everywhere):
            raise NotPossible(
                f"lm-eval calls the model without saying where a prompt ends, so a {type(part).__name__} "
                "cannot act as it does elsewhere",
                "Measure it with `truing run ... --capability micro`, which asks through Truing.",
            )


def _task_manager(paths: Sequence[str], stock: bool) -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise NotPossible(
            "tasks of lm-eval need lm-eval, which is not installed",
            'pip install "truing[capability]"; `truing run ... --capability` works without it.',
        ) from None
    return TaskManager(include_path=list(paths), include_defaults=stock)


@dataclass(frozen=True)
class _Asking:
    model: Model
    manager: Any
    tasks: tuple[str, ...]
    limit: int | None
    batch_size: int

    def __post_init__(self) -> None:
        if not self.tasks:
            raise BadInput("no task is named", f"For example {own_tasks.names()[0]}.")
        for task in self.tasks:
            if task not in self.manager.all_tasks:
                raise UnknownName("task", task, self.manager.all_tasks)

    def scores(self, edits: Sequence[Intervention]) -> Scores:
        """Scores of every item with ``edits`` in force, by task and metric."""
        import lm_eval
        from lm_eval.models.huggingface import HFLM

        total = sum(edits[1:], edits[0]) if edits else None
        with nullcontext() if total is None else self.model.using(total):
            harness = HFLM(
                pretrained=self.model.hf, tokenizer=self.model.tok, batch_size=self.batch_size
            )
            found = lm_eval.simple_evaluate(
                harness,
                tasks=list(self.tasks),
                task_manager=self.manager,
                limit=self.limit,
                bootstrap_iters=0,
                log_samples=True,
                random_seed=None,
                numpy_random_seed=None,
                torch_random_seed=None,
            )
        return _observed(found["samples"])


def _observed(samples: Mapping[str, Iterable[Mapping[str, Any]]]) -> Scores:
    """One observation per item, of every metric that is a number per item."""
    scores: Scores = {}
    for task, items in samples.items():
        for item in items:
            for metric in item.get("metrics", ()):
                score = item[metric]
                if isinstance(score, (int, float)):
                    name = metric if item["filter"] == "none" else f"{metric},{item['filter']}"
                    id = str(item["doc_id"])
                    state: State = "correct" if score == 1 else "wrong"
                    seen = Observation((task, id), id, float(score), state)
                    scores.setdefault((task, name), []).append(seen)
    return scores


def _result(
    task: str, metric: str, base: list[Observation], edited: list[Observation] | None
) -> TaskResult:
    seeds = Seeds(0, ("lm-eval", task, metric))
    bounded = all(0 <= o.score <= 1 for o in (*base, *(edited or ())) if o.score is not None)
    before = value_of(base, seeds=seeds, bounded=bounded)
    if edited is None:
        return TaskResult(task, metric, before, None, None)
    after = value_of(edited, seeds=seeds, bounded=bounded)
    versus = compare(edited, base, against="base", seeds=seeds, bounded=bounded)
    return TaskResult(task, metric, before, after, versus)
