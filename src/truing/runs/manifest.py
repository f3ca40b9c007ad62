"""What a run was made with: enough to trust it and to repeat it. No environment, no secrets."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from truing import __version__
from truing.benchmarks.loading import Loaded
from truing.runs.cells import AnyModelSpec, BenchmarkSpec, Cell
from truing.runs.plan import Plan

LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "pydantic")


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def versions() -> dict[str, str]:
    """Python and the libraries that decide numbers."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware() -> dict[str, Any]:
    """What the run was computed on. Memory in bytes; ``None`` where it is not known."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "ram_bytes": _ram(),
        "accelerators": _accelerators(),
    }


def data_facts(spec: BenchmarkSpec, loaded: Loaded) -> dict[str, Any]:
    """Which cases were taken from where. The path is as the plan gives it."""
    return {
        "benchmark": loaded.benchmark,
        "dataset": loaded.dataset,
        "form": loaded.form,
        "path": spec.data,
        "sha256": loaded.source.sha256,
        "rows": loaded.source.rows,
        "used": len(loaded.cases),
        "options": dict(loaded.options),
        "sampling": asdict(loaded.sampling),
        "quarantined": len(loaded.quarantined),
        "notes": [str(note) for note in loaded.notes],
    }


def cell_facts(cell: Cell, protocols: tuple[str, ...]) -> dict[str, Any]:
    """One cell as the report tells it."""
    return {
        "id": cell.id,
        "model": cell.model.label,
        "method": cell.method.label,
        "registered": cell.method.name,
        "config": cell.method.settings(cell.seed).model_dump(mode="json"),
        "benchmark": cell.benchmark.label,
        "regime": cell.regime.id,
        "moments": list(cell.regime.moments),
        "every": cell.regime.every,
        "protocols": list(protocols),
        "seed": cell.seed,
        "control_of": list(cell.control_of),
    }


def begin(plan: Plan) -> dict[str, Any]:
    """A manifest before any model or data was touched."""
    return {
        "truing": __version__,
        "name": plan.name,
        "created": now(),
        "finished": None,
        "resumed": [],
        "versions": versions(),
        "hardware": hardware(),
        "models": {},
        "data": {},
        "seeds": {"runs": list(plan.seeds), "samples": [b.seed for b in plan.benchmarks]},
        "cells": [cell_facts(cell, plan.protocols) for cell in plan.cells()],
        "warnings": [],
        "quarantined": [],
    }


def resume(before: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of a run that goes on, with the time and what is not as it was."""
    manifest = {**before, "finished": None}
    here, was = versions(), before.get("versions", {})
    changed = {k: [was.get(k), v] for k, v in here.items() if was.get(k) != v}
    entry = {"at": now(), "changed_versions": changed}
    manifest["resumed"] = [*before.get("resumed", []), entry]
    if changed:
        told = ", ".join(f"{k} {a} -> {b}" for k, (a, b) in sorted(changed.items()))
        warning = f"rows were made with different versions: {told}"
        manifest["warnings"] = [*dict.fromkeys([*before.get("warnings", []), warning])]
    return manifest


def changed_data(
    before: Mapping[str, Any], spec: BenchmarkSpec, facts: Mapping[str, Any]
) -> list[str]:
    """What of a benchmark's data is not as it was when the run began."""
    was = before.get("data", {}).get(spec.label)
    if was is None:
        return []
    if was.get("sha256") != facts.get("sha256"):
        return [f"{spec.label}: the data file"]
    same = _plain(was.get("sampling")) == _plain(facts.get("sampling"))
    return [] if same else [f"{spec.label}: the cases drawn from it"]


def changed_model(
    before: Mapping[str, Any], model: AnyModelSpec, facts: Mapping[str, Any]
) -> list[str]:
    """What of ``model`` is not as it was when the run began."""
    was = before.get("models", {}).get(model.label)
    if was is None:
        return []
    names = ("fingerprint", "tokenizer", "dtype")
    return [f"{model.label}: {name}" for name in names if was.get(name) != facts.get(name)]


def heard(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What answered for a server in all sessions: those of ``before`` and this one's."""
    found = {name: dict(facts) for name, facts in before.items()}
    for name, facts in now.items():
        was = found.get(name, facts)
        found[name] = {
            "first": min(was["first"], facts["first"]),
            "last": max(was["last"], facts["last"]),
            "not_sent": sorted({*was["not_sent"], *facts["not_sent"]}),
        }
    return found


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _ram() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _accelerators() -> list[dict[str, Any]]:
    if not torch.cuda.is_available():
        kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return [] if kind is None else [{"name": str(kind), "memory_bytes": None}]
    found = []
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        found.append({"name": properties.name, "memory_bytes": properties.total_memory})
    return found
