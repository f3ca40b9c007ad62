"""Where the numbers of a run's cell come from, in a few short facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.runs.keys import digest


def provenance(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By cell: its method with a hash of the settings, its model with the fingerprint of the weights, its
    benchmark with the SHA-256 of the data, and its seed; ``None`` for what the manifest does not hold."""
    return {str(cell["id"]): _facts(cell, manifest) for cell in manifest.get("cells", ())}


def rubric_digest(manifest: Mapping[str, Any], judge: str) -> str | None:
    """The digest of what the judge was asked with; ``None`` for rules, people and older runs."""
    noted = manifest.get("rubrics", {})
    found = noted.get(judge, noted.get(judge.rpartition("/")[2]))
    return None if found is None else str(found)


def _facts(cell: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    model, data = (
        manifest.get(room, {}).get(cell.get(name), {})
        for room, name in (("models", "model"), ("data", "benchmark"))
    )
    return {
        "cell": cell["id"],
        "method": cell.get("method"),
        "config": digest(cell.get("registered"), cell.get("config")),
        "model": cell.get("model"),
        "weights": model.get("fingerprint"),
        "benchmark": cell.get("benchmark"),
        "data": data.get("sha256"),
        "seed": cell.get("seed"),
    }
