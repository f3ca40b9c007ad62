"""Everything that can be checked before a model is loaded or a file is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.benchmarks.capability.sets import load as load_capability
from truing.benchmarks.loading import Loaded
from truing.errors import BadInput, NotPossible, StoreError
from truing.methods.method import METHODS, refuse_without_weights
from truing.protocols.protocol import PROTOCOLS, Protocol
from truing.runs import manifest as manifests
from truing.runs import plan_file
from truing.runs.capability import (
    Protocols,
    changed_items,
    dealt,
    items_for,
    power_lines,
    refuse_unmeasured,
)
from truing.runs.cells import Cell, ServedSpec
from truing.runs.data_again import load_spec
from truing.runs.judging import protocol_of
from truing.runs.plan import Plan
from truing.runs.regime import check_cases, check_method
from truing.runs.schedule import count
from truing.runs.store import is_run, read_manifest, read_rows
from truing.scoring.judge import check_scorer
from truing.seeds import Seeds
from truing.types import Case


@dataclass(frozen=True)
class Prepared:
    """A plan with its data. ``data`` is by the benchmarks' labels, ``capability`` by the sets' names;
    ``items`` are the capability items that no edit is about, by benchmark label and aspect."""

    plan: Plan
    data: Mapping[str, Loaded]
    protocols: Protocols
    capability: Mapping[str, Loaded]
    items: Mapping[str, Mapping[str, tuple[Case, ...]]]

    def cases(self, cell: Cell) -> tuple[Case, ...]:
        """The cell's cases with requests; where each edit stands alone, with the capability items
        dealt to them."""
        every, *sets = self.apart(cell)
        cases = tuple(case for case in every if case.requests)
        if not cell.regime.independent:
            return cases
        for items in sets:
            cases = dealt(cases, items, Seeds(cell.seed))
        return cases

    def beside(self, cell: Cell) -> tuple[Case, ...]:
        """What a chain is asked as it goes on: cases without requests, and the capability items."""
        if cell.regime.independent:
            return ()
        every = (case for cases in self.apart(cell) for case in cases)
        return tuple(case for case in every if not case.requests)

    def apart(self, cell: Cell) -> list[tuple[Case, ...]]:
        """The benchmark's cases, then the items of each capability set, which controls are not asked."""
        label = cell.benchmark.label
        if cell.control_of:
            return [self.data[label].cases]
        return [self.data[label].cases, *self.items[label].values()]

    def rows_of(self, case: Case) -> int:
        """How many rows one case gives at one moment."""
        return sum(1 for _ in self.protocols.of(case.probes))

    def rows(self, cell: Cell) -> int:
        """How many rows a cell has."""
        cases = self.cases(cell)
        beside = sum(map(self.rows_of, self.beside(cell)))
        return count(cell.regime, cases, [self.rows_of(case) for case in cases], beside)

    def power(self) -> list[str]:
        """What loss of each capability the plan can find."""
        return power_lines(self.items)

    def facts(self) -> dict[str, Any]:
        """The manifest's account of the data."""
        return {
            spec.label: manifests.data_facts(spec, self.data[spec.label])
            for spec in self.plan.benchmarks
        }

    def capability_facts(self) -> dict[str, Any]:
        """The manifest's account of the capability sets."""
        return {
            spec.name: spec.facts(self.capability[spec.name], self.items)
            for spec in self.plan.capability
        }

    def quarantined(self) -> list[dict[str, str]]:
        """Records that cannot be used."""
        return [
            {
                "benchmark": label,
                "record": bad.record,
                "where": bad.where,
                "field": bad.field,
                "reason": bad.reason,
            }
            for label, loaded in (*self.data.items(), *self.capability.items())
            for bad in loaded.quarantined
        ]


def prepare(plan: Plan) -> Prepared:
    """Load the data and check that the plan's parts fit each other.

    Raises ``BadInput`` for data (bad records included, where the plan does not skip them) and scorers,
    ``NotPossible`` for a method or a benchmark that cannot be used in a regime, and for a method or a
    protocol that cannot be used on a model behind a server.
    """
    protocols = Protocols(
        tuple(protocol_of(ident) for ident in plan.protocols),
        {spec.aspect: protocol_of(spec.protocol) for spec in plan.capability},
    )
    for protocol in (*protocols.of_plan, *protocols.own.values()):
        check_scorer(protocol)
        if any(isinstance(spec, ServedSpec) for spec in plan.models):
            _check_free(protocol)
    if plan.capability:
        refuse_unmeasured(plan.regimes)
    data: dict[str, Loaded] = {}
    for spec in plan.benchmarks:
        loaded = load_spec(plan, spec)
        if not plan.skips(spec):
            loaded.refuse_quarantined()
        data[spec.label] = loaded
    capability = {
        spec.name: load_capability(spec.name, plan.data_path(spec), seed=spec.seed)
        for spec in plan.capability
    }
    items = {
        label: items_for(plan.capability, capability, loaded.cases)
        for label, loaded in data.items()
    }
    prepared = Prepared(plan, data, protocols, capability, items)
    for cell in plan.cells():
        method = METHODS.get(cell.method.name)
        if isinstance(cell.model, ServedSpec):
            refuse_without_weights(method, cell.model.label)
        check_cases(cell.regime, cell.benchmark.label, data[cell.benchmark.label].cases)
        check_method(
            cell.regime, method, len(prepared.cases(cell)), (METHODS.get(name) for name in METHODS)
        )
    return prepared


def _check_free(protocol: Protocol) -> None:
    """Raise ``NotPossible`` for a protocol that needs likelihoods or tokens, which servers do not tell."""
    if _free(protocol):
        return
    able = [name for name in PROTOCOLS if _free(PROTOCOLS.get(name))]
    raise NotPossible(
        f"{protocol.id} needs likelihoods or tokens of the gold answer, which no server tells",
        f"Protocols for models behind servers: {', '.join(able)}.",
    )


def _free(protocol: Protocol) -> bool:
    return not protocol.forced and protocol.truncation != "gold-length"


def manifest_for(prepared: Prepared, folder: Path, resume: bool) -> dict[str, Any]:
    """The manifest to begin or to go on with.

    Raises ``StoreError`` where ``folder`` holds a run and ``resume`` is false, ``BadInput`` where
    what it holds was made from another plan or other data (both are named).
    """
    facts = prepared.facts()
    before = _manifest_of(folder)
    if not is_run(folder) or before is None or not (resume or _has_rows(folder)):
        manifest = manifests.begin(prepared.plan)
        return {
            **manifest,
            "data": facts,
            "capability": prepared.capability_facts(),
            "quarantined": prepared.quarantined(),
        }
    if not resume:
        raise StoreError(
            f"{folder} already holds a run", "Go on with it by --resume, or choose another --out."
        )
    changed = [f"plan: {name}" for name in plan_file.load(folder).differences(prepared.plan)]
    for spec in prepared.plan.benchmarks:
        changed += manifests.changed_data(before, spec, facts[spec.label])
    changed += changed_items(before, prepared.capability_facts())
    refuse_changed(folder, changed)
    return manifests.resume(before)


def refuse_changed(folder: Path, changed: list[str]) -> None:
    """Raise ``BadInput`` when anything ``changed`` since the run began."""
    if changed:
        shown = ", ".join(changed[:8]) + (", ..." if len(changed) > 8 else "")
        raise BadInput(
            f"{folder} was begun differently and cannot go on: {shown}",
            "Put that back, or choose another --out for the changed run.",
        )


def _manifest_of(folder: Path) -> dict[str, Any] | None:
    return read_manifest(folder) if (folder / "manifest.json").is_file() else None


def _has_rows(folder: Path) -> bool:
    return next(read_rows(folder), None) is not None
