"""From a search for settings to a recipe: the settings, and the evidence for them.

Every round of a search, and the check on other cases, is an ordinary run in a folder of its own; a
search that was cut off goes on by the same call.

    METHOD/round-1, METHOD/round-2, ...   settings beside each other on the search's cases
    METHOD/check                          the chosen ones beside the default, on cases never searched
    recipe.toml                           the methods with their settings, as a plan takes them
    evidence.json                         all tries, the effects of tracing, the check
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from truing.benchmarks.loading import Loaded
from truing.benchmarks.loading import load as load_benchmark
from truing.errors import BadInput, NotPossible
from truing.methods import tracing
from truing.methods.method import METHODS, Method
from truing.models.handle import Model
from truing.runs import plan as plans
from truing.runs.cells import Cell, ModelSpec
from truing.runs.events import OnEvent, quiet
from truing.runs.execute import RunResult, execute
from truing.runs.judging import protocol_of
from truing.runs.lines import write_atomically
from truing.runs.plan import Plan
from truing.runs.store import read_rows, read_verdicts
from truing.runs.toml import dumps
from truing.runs.tuning import DEFAULT, GOALS, Config, Search, Try, best, goals, label_of
from truing.scoring.judge import scorers_for
from truing.scoring.observations import observe
from truing.scoring.paired import compare
from truing.seeds import Seeds
from truing.types import Comparison, Value

TRACED = 10
"""Requests that are traced to rank the layers."""


@dataclass(frozen=True)
class Task:
    """What to tune on. ``benchmark`` is an entry of a plan; its first ``cases`` cases are searched on
    under ``protocol``, the ``check`` cases after them judge the outcome under ``protocols``. ``fixed``
    are settings that every try shares. Contrast pairs are tuned on in one batch, all else edit by edit."""

    model: ModelSpec
    methods: tuple[str, ...]
    benchmark: Mapping[str, Any]
    cases: int = 20
    check: int = 40
    tries: int = 12
    protocol: str = "wild"
    protocols: tuple[str, ...] = ("synthetic", "wild")
    fixed: Config = field(default_factory=dict)
    seed: int = 0

    @cached_property
    def loaded(self) -> Loaded:
        """The cases of the search. Raises ``BadInput`` where none are left for the check."""
        entry = {k: v for k, v in self.benchmark.items() if k in ("data", "options")}
        load_benchmark(self.benchmark["name"], limit=self.check, skip=self.cases, **entry)
        return load_benchmark(self.benchmark["name"], limit=self.cases, **entry)

    @cached_property
    def goals(self) -> list[str]:
        """The goals that the cases ask about. Raises ``BadInput`` where that is none."""
        asked = {p.aspect.partition("/")[0] for case in self.loaded.cases for p in case.probes}
        found = [goal for goal in GOALS if goal in asked]
        if not found:
            raise BadInput(
                f"{self.benchmark['name']} asks about none of {', '.join(GOALS)}",
                "Tune on cases that do.",
            )
        return found

    @property
    def idle(self) -> tuple[str, ...]:
        """Under a budget of side effects the result is scaled to it, whatever its strength was."""
        return ("strength", "scale") if "max_kl" in self.fixed else ()

    @property
    def regime(self) -> Mapping[str, Any]:
        together = not all(case.requests for case in self.loaded.cases)
        return {"name": "batch", "moments": ["final"]} if together else {"name": "single"}

    def plan(
        self,
        method: str,
        configs: Sequence[tuple[str, Config]],
        protocols: Sequence[str],
        at: slice,
    ) -> Plan:
        """A run of one method under several names and settings, on the cases ``at``."""
        return plans.parse(
            {
                "name": f"tune-{method}",
                "models": [self.model.model_dump(exclude_none=True)],
                "methods": [
                    {"name": method, "label": label, "config": {**self.fixed, **config}}
                    for label, config in configs
                ],
                "benchmarks": [
                    {**self.benchmark, "skip": at.start, "limit": at.stop - at.start,
                     "aspects": self.goals}
                ],
                "protocols": list(protocols),
                "regimes": [dict(self.regime)],
                "seeds": [self.seed],
                "noise_sample": 0,
                "controls": 0,
                "skip_invalid": True,
            },
            source="tune",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """One goal under one protocol on cases that the search never saw."""

    goal: str
    protocol: str
    default: Value
    tuned: Value
    difference: Comparison | None


@dataclass(frozen=True)
class Tuned:
    """A method's outcome. ``effects`` are by layer, ``None`` where nothing could be traced. ``check``
    is empty where the default won: then there is nothing to compare."""

    method: str
    effects: tuple[float, ...] | None
    tries: tuple[Try, ...]
    chosen: Try
    check: tuple[Checked, ...]


def tune(task: Task, model: Model, folder: Path, on_event: OnEvent = quiet) -> list[Tuned]:
    """Search for every method of ``task`` and write the recipe into ``folder``.

    Raises ``NotPossible`` for a method that has nothing to tune or cannot work on this model, and
    what :func:`truing.runs.execute.execute` raises.
    """
    found = []
    for name in task.methods:
        method = METHODS.get(name)
        rounds = _Rounds(task, method, model, folder / name, on_event)
        effects = traced(task, method, model)
        search = Search(method, model.arch.n_layers, task.tries, effects, rounds.measure, task.idle)
        tries = search.run()
        chosen = best(tries)
        found.append(Tuned(name, effects, tuple(tries), chosen, rounds.check(chosen)))
        write_recipe(task, model, found, folder)
    return found


def traced(task: Task, method: Method, model: Model) -> tuple[float, ...] | None:
    """What putting back each layer's MLP output restores of the answers (indirect effects), where the
    method acts: at the subject's last token, else at the prompt's last. ``None`` where no request
    names a subject that can be traced."""
    asked = [r for case in task.loaded.cases for r in case.requests if r.subject is not None]
    noise = tracing.Noise(seed=task.seed)
    traces = []
    for request in asked:
        question = tracing.Question(request.prompt, request.subject or "", request.target_old)
        try:
            traces.append(tracing.trace(model, question, kinds=["mlp"], noise=noise))
        except BadInput:
            continue
        if len(traces) == TRACED:
            break
    if not traces:
        return None
    role = "last subject" if method.needs_subject else "last"
    means = tracing.averaged(traces, "mlp")
    return tuple(means[role].tolist()) if role in means else None


@dataclass
class _Rounds:
    """The runs of one method's search."""

    task: Task
    method: Method
    model: Model
    folder: Path
    on_event: OnEvent
    made: int = 0

    def measure(self, configs: Sequence[Config]) -> list[Try]:
        """One round: these settings on the cases of the search."""
        self.made += 1
        task = self.task
        named = [(label_of(config), config) for config in configs]
        plan = task.plan(self.method.name, named, [task.protocol], slice(0, task.cases))
        folder = self.folder / f"round-{self.made}"
        try:
            result = self._run(plan, folder)
        except NotPossible as error:
            return [Try(config, {}, {}, error.what) for config in configs]
        edits = result.summary.meta["edits"]
        cells = {cell.method.label: cell for cell in plan.cells()}
        found = []
        for label, config in named:
            cell = cells[label]
            values = goals(result.summary.measures, label, plan.protocols[0])
            means = {goal: value.mean for goal, value in values.items()}
            resolved = edits.get(cell.id, {}).get("config", {})
            found.append(Try(config, means, resolved, result.failed.get(str(cell), "")))
        return found

    def check(self, chosen: Try) -> tuple[Checked, ...]:
        """The chosen settings beside the default, on the cases after those of the search."""
        if not chosen.config:
            return ()
        task = self.task
        named: list[tuple[str, Config]] = [(DEFAULT, {}), (chosen.label, chosen.config)]
        cases = slice(task.cases, task.cases + task.check)
        together = task.regime["name"] == "batch"
        protocols = (task.protocol,) if together else task.protocols
        plan = task.plan(self.method.name, named, protocols, cases)
        folder = self.folder / "check"
        measures = self._run(plan, folder).summary.measures
        cells = {cell.method.label: cell for cell in plan.cells()}
        found = []
        for protocol in plan.protocols:
            default = goals(measures, DEFAULT, protocol)
            tuned = goals(measures, chosen.label, protocol)
            for goal in (g for g in GOALS if g in default and g in tuned):
                difference = _difference(
                    folder, cells[chosen.label], cells[DEFAULT], protocol, goal
                )
                found.append(Checked(goal, protocol, default[goal], tuned[goal], difference))
        return tuple(found)

    def _run(self, plan: Plan, folder: Path) -> RunResult:
        return execute(
            plan, folder, resume=True, on_event=self.on_event, load=lambda spec: self.model
        )


def _difference(folder: Path, ours: Cell, theirs: Cell, protocol: str, goal: str) -> Comparison:
    """The paired difference of two cells' scores on one goal."""
    rows = [
        row for row in read_rows(folder)
        if row.protocol == protocol and row.aspect.partition("/")[0] == goal
    ]  # fmt: skip
    judge = scorers_for(rows[0], protocol_of(protocol))[0]
    verdicts = list(read_verdicts(folder))
    sides = [
        observe([row for row in rows if row.cell == cell.id], verdicts, judge)
        for cell in (ours, theirs)
    ]
    seeds = Seeds(0, ("tune", protocol, goal))
    return compare(sides[0], sides[1], against=DEFAULT, seeds=seeds)


def write_recipe(task: Task, model: Model, found: Sequence[Tuned], folder: Path) -> None:
    """``recipe.toml`` and ``evidence.json``, each replaced whole."""
    methods = [
        {
            "name": t.method,
            "label": f"{t.method} tuned",
            "config": {**task.fixed, **t.chosen.config},
        }
        for t in found
    ]
    recipe = dumps({"model": task.model.model_dump(exclude_defaults=True), "methods": methods})
    head = (
        f"# Settings chosen on {task.cases} cases of {task.benchmark['name']} in {task.tries} tries "
        f"per method;\n# evidence.json beside this file says how. Empty: the defaults won.\n"
    )
    write_atomically(folder / "recipe.toml", head + recipe)
    evidence = {
        "task": asdict(task) | {"model": task.model.model_dump(mode="json")},
        "weights": model.fingerprint,
        "methods": [_evidence(t) for t in found],
    }
    write_atomically(folder / "evidence.json", json.dumps(evidence, indent=1) + "\n")


def _evidence(tuned: Tuned) -> dict[str, Any]:
    return {
        "method": tuned.method,
        "traced": tuned.effects,
        "chosen": dict(tuned.chosen.config),
        "tries": [
            {"config": dict(t.config), "score": t.score, "means": dict(t.means), "failed": t.failed}
            for t in tuned.tries
        ],
        "check": [asdict(each) for each in tuned.check],
    }
