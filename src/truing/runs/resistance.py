"""How much side effect must be paid before a model says what it is edited to: an ordinary run in which
every method has one arm per budget, and what its cases cost.

Cases that the unedited model answers so already have nothing to flip and are left out, counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from truing.errors import BadInput, NotPossible
from truing.methods.method import METHODS
from truing.runs import plan as plans
from truing.runs.cells import BASELINE, Cell, ModelSpec
from truing.runs.events import OnEvent, quiet
from truing.runs.execute import execute
from truing.runs.helpers import LoadModel
from truing.runs.jobs import load_model
from truing.runs.judging import protocol_of
from truing.runs.lines import write_atomically
from truing.runs.plan import Plan
from truing.runs.store import read_rows, read_verdicts
from truing.scoring.judge import scorers_for
from truing.scoring.observations import clusters_of
from truing.scoring.resistance import Difference, Resistance, Trial, check, compare, resistance
from truing.seeds import Seeds
from truing.types import Row, State, Verdict

BUDGETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
ASPECT = "efficacy"
WORST: tuple[State | None, ...] = (None, "invalid", "abstain", "degenerate", "wrong", "correct")


@dataclass(frozen=True)
class Task:
    """What is tried. ``benchmark`` is an entry of a plan; ``budgets`` are nats per token of neutral text,
    as the setting ``max_kl`` takes them; ``fixed`` are settings that all methods share."""

    models: tuple[ModelSpec, ...]
    methods: tuple[str, ...]
    benchmark: Mapping[str, Any]
    budgets: tuple[float, ...] = BUDGETS
    protocol: str = "wild"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def plan(self) -> Plan:
        """The run. Raises ``BadInput`` for budgets that do not rise or are settings as well, and
        ``NotPossible`` for a method that has no budget."""
        check(self.budgets)
        if {"max_kl", "repair"} & set(self.fixed):
            raise BadInput(
                "max_kl and repair cannot be set: the budgets are", "Leave it out, see --budgets."
            )
        for method in self.methods:
            _refuse_without_budget(method)
        return plans.parse(
            {
                "name": "resistance",
                "models": [spec.model_dump(exclude_none=True) for spec in self.models],
                "methods": [
                    {"name": name, "label": label(name, budget),
                     "config": {**self.fixed, "max_kl": budget}}
                    for name in self.methods
                    for budget in self.budgets
                ],
                "benchmarks": [{**self.benchmark, "aspects": [ASPECT]}],
                "protocols": [self.protocol],
                "regimes": ["single"],
                "seeds": [self.seed],
                "noise_sample": 0,
                "controls": 0,
                "skip_invalid": True,
            },
            source="resistance",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arm:
    """One method on one model. ``already``: cases that the unedited model answers as edited, left out.
    ``failed``: budgets at which the method could not work at all, with the reason."""

    model: str
    method: str
    found: Resistance
    already: int
    failed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Versus:
    """The first arm of a pair, called ``ours``, against the second, on the same cases."""

    ours: str
    theirs: str
    found: Difference


@dataclass(frozen=True, slots=True)
class Report:
    """All arms, and every two of them that share a model or a method, compared."""

    protocol: str
    arms: tuple[Arm, ...]
    versus: tuple[Versus, ...]


def label(method: str, budget: float) -> str:
    """How an arm at one budget is called in the run: ``rome at 0.5 nats``."""
    return f"{method} at {budget:g} nats"


def measure(
    task: Task, folder: Path, on_event: OnEvent = quiet, load: LoadModel = load_model
) -> Report:
    """Run what is missing in ``folder``, and write ``resistance.json`` there.

    Raises what :func:`truing.runs.execute.execute` and :attr:`Task.plan` raise.
    """
    plan = task.plan
    result = execute(plan, folder, resume=True, on_event=on_event, load=load)
    report = read(task, plan, folder, result.failed)
    write_atomically(folder / "resistance.json", json.dumps(asdict(report), indent=1) + "\n")
    return report


def read(task: Task, plan: Plan, folder: Path, failed: Mapping[str, str]) -> Report:
    """What the rows of a finished run say. ``failed``: labels of cells that could not be run."""
    rows: dict[str, list[Row]] = {}
    for row in read_rows(folder):
        rows.setdefault(row.cell, []).append(row)
    verdicts = {(v.row, v.judge): v for v in read_verdicts(folder)}
    cells = {(cell.model, cell.method.label): cell for cell in plan.cells()}
    arms: list[Arm] = []
    tried: list[list[Trial]] = []
    for spec in plan.models:
        before = _states(rows.get(cells[spec, BASELINE].id, []), verdicts)
        for method in task.methods:
            of = [cells[spec, label(method, budget)] for budget in task.budgets]
            trials = _trials([rows.get(cell.id, []) for cell in of], verdicts, before)
            seeds = Seeds(task.seed, ("resistance", spec.label, method))
            found = resistance(task.budgets, trials, seeds=seeds)
            arms.append(
                Arm(spec.label, method, found, sum(state == "correct" for state in before.values()),
                    _failures(of, task.budgets, failed))
            )  # fmt: skip
            tried.append(trials)
    versus = [
        _versus(task, (arms[i], tried[i]), (arms[j], tried[j]))
        for i in range(len(arms))
        for j in range(i)
        if arms[i].model == arms[j].model or arms[i].method == arms[j].method
    ]
    return Report(plan.protocols[0], tuple(arms), tuple(versus))


def _refuse_without_budget(name: str) -> None:
    if METHODS.get(name).acts_on in ("weights", "activations"):
        return
    able = [each for each in METHODS if METHODS.get(each).acts_on in ("weights", "activations")]
    raise NotPossible(
        f"{name} changes no weight and no activation: it has no budget of side effects",
        f"Methods that can: {', '.join(able)}.",
    )


def _states(
    rows: Iterable[Row], verdicts: Mapping[tuple[str, str], Verdict]
) -> dict[str, State | None]:
    """By case, the state of all its answers together: one that cannot be judged decides, then one that
    is not as edited."""
    found: dict[str, list[State | None]] = {}
    for row in rows:
        verdict = verdicts.get((row.key, scorers_for(row, protocol_of(row.protocol))[0]))
        found.setdefault(row.case, []).append(None if verdict is None else verdict.state)
    return {case: min(states, key=WORST.index) for case, states in found.items()}


def _trials(
    rows: Sequence[Sequence[Row]],
    verdicts: Mapping[tuple[str, str], Verdict],
    before: Mapping[str, State | None],
) -> list[Trial]:
    """The cases that the unedited model does not answer as edited, at all budgets in order."""
    said = [_states(each, verdicts) for each in rows]
    clusters = clusters_of([row for each in rows for row in each])
    return [
        Trial(case, clusters.get(case, case), tuple(at.get(case) for at in said))
        for case, state in before.items()
        if state != "correct"
    ]


def _failures(
    cells: Sequence[Cell], budgets: Sequence[float], failed: Mapping[str, str]
) -> dict[str, str]:
    return {
        f"{budget:g}": failed[str(cell)]
        for cell, budget in zip(cells, budgets, strict=True)
        if str(cell) in failed
    }


def _versus(task: Task, ours: tuple[Arm, list[Trial]], theirs: tuple[Arm, list[Trial]]) -> Versus:
    names = [
        arm.method if ours[0].model == theirs[0].model else f"{arm.model} · {arm.method}"
        for arm, _ in (ours, theirs)
    ]
    seeds = Seeds(task.seed, ("resistance", *names))
    found = compare(task.budgets, ours[1], theirs[1], against=names[1], seeds=seeds)
    return Versus(names[0], names[1], found)
