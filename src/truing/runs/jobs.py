"""From a cell of a plan to a job: the cell with its model, method, cases and keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from truing.errors import BadInput
from truing.methods.method import METHODS
from truing.models.handle import Model, default_cache
from truing.models.served import ServedModel
from truing.models.subject import Subject
from truing.runs.cell import Job
from truing.runs.cells import SERVED, AnyModelSpec, Cell, ModelSpec, ServedSpec
from truing.runs.keys import Keys
from truing.runs.making import Maker
from truing.runs.measuring import Measuring
from truing.runs.prepare import Prepared
from truing.runs.totals import Totals
from truing.seeds import Seeds


def load_model(spec: ModelSpec) -> Model:
    """The model that a plan names."""
    return Model.load(
        spec.name,
        revision=spec.revision,
        dtype=spec.dtype,
        device=spec.device,
        device_map=spec.device_map,
        trust_remote_code=spec.trust_remote_code,
    )


def load_subject(spec: AnyModelSpec) -> Subject:
    """The model that a plan names, on this machine or behind a server, of which nothing is asked."""
    return reach_model(spec) if isinstance(spec, ServedSpec) else load_model(spec)


def reach_model(spec: ServedSpec) -> ServedModel:
    """The model behind the server that ``spec`` names."""
    return ServedModel(
        spec.name.removeprefix(SERVED),
        spec.access,
        cache=default_cache(),
        system=spec.system,
        max_tokens=spec.max_tokens,
    )


def job_for(
    prepared: Prepared, cell: Cell, model: Subject, facts: Mapping[str, Any], folder: Path
) -> Job:
    """The job of ``cell`` on a loaded model. ``facts`` are the manifest's account of the model,
    ``folder`` is the run's."""
    method, config = METHODS.get(cell.method.name), cell.method.settings(cell.seed)
    loaded = prepared.data[cell.benchmark.label]
    keys = Keys.of(
        model=facts["fingerprint"],
        tokenizer=facts["tokenizer"],
        method=method.name,
        config=config.facts(),
        benchmark=loaded.dataset,
        source=loaded.source.sha256,
        regime=cell.regime.id,
        seed=cell.seed,
    )
    copied = cell.control_of[0] if cell.control_of and cell.regime.chunk is None else None
    maker = Maker(
        cast("Model", model),  # methods that work on no other subject are refused before
        method,
        config,
        None if copied is None else Totals(folder / "interventions" / copied, model),
    )
    cases = prepared.cases(cell)
    return Job(
        cell=cell.id,
        regime=cell.regime,
        cases=cases,
        refused=maker.refused(cases),
        maker=maker,
        measuring=Measuring(model, cell.id, keys, prepared.protocols, Seeds(cell.seed)),
        totals=Totals(folder / "interventions" / cell.id, model),
        at_once=prepared.plan.at_once,
        keep_every=prepared.plan.checkpoint_every,
        beside=prepared.beside(cell),
    )


def refuse_bad_requests(cell: Cell, job: Job) -> None:
    """Raise ``BadInput`` for requests that the cell's method cannot take."""
    if job.refused:
        first = next(iter(job.refused.values())).splitlines()[0]
        raise BadInput(
            f"{cell.method.label}: {len(job.refused)} of {len(job.cases)} cases have requests it "
            f"cannot take; first: {first}",
            "Leave them out with --skip-invalid (they are counted), or use another method.",
        )
