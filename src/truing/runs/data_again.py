"""The data of a plan's benchmarks: loaded, and for a finished run found and loaded once more."""

from __future__ import annotations

from pathlib import Path

from truing.benchmarks.loading import Loaded
from truing.benchmarks.loading import load as load_benchmark
from truing.errors import BadInput
from truing.runs import plan_file
from truing.runs.cells import BenchmarkSpec
from truing.runs.plan import Plan
from truing.runs.store import read_manifest


def load_spec(plan: Plan, spec: BenchmarkSpec) -> Loaded:
    """The cases that a plan takes of one of its benchmarks. Raises ``BadInput``."""
    return load_benchmark(
        spec.name,
        plan.data_path(spec),
        limit=spec.limit,
        sample=spec.sample,
        seed=spec.seed,
        skip=spec.skip,
        aspects=spec.aspects,
        options=spec.options,
    )


def data_path(folder: Path, label: str) -> Path | None:
    """Where the data of a benchmark of the run lies, wherever one stands now; ``None`` for a benchmark
    without a file. ``label`` is the benchmark's in the manifest. Raises ``BadInput``, ``StoreError``."""
    plan = plan_file.load(folder)
    return plan.data_path(next(spec for spec in plan.benchmarks if spec.label == label))


def load_again(folder: Path, label: str) -> Loaded:
    """The cases of a benchmark of the run, as it had them.

    Raises ``BadInput`` where the data moved away or are not what they were.
    """
    from truing.runs.manifest import changed_data, data_facts

    plan = plan_file.load(folder)
    spec = next(spec for spec in plan.benchmarks if spec.label == label)
    loaded = load_spec(plan, spec)
    for changed in changed_data(read_manifest(folder), spec, data_facts(spec, loaded)):
        raise BadInput(f"{changed} changed since {folder} was run", "Restore it.")
    return loaded
