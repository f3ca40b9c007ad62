"""Reading a plan's file, with what flags say instead."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from truing.errors import BadInput
from truing.runs.plan import (
    OF_EVERY_BENCHMARK,
    OF_SERVED_MODELS,
    OF_THE_BENCHMARK,
    PLURAL,
    Plan,
    parse,
)
from truing.runs.problems import listed


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Read a plan file, or the one inside a run folder, which then is where results go.

    ``overrides`` are keys from flags, with data paths relative to the working directory. Where several
    benchmarks name data, ``data`` is the folder that holds each file or folder under the name that it
    has in the plan. Raises ``BadInput`` that lists every problem.
    """
    file = path / "plan.toml" if path.is_dir() else path
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadInput(
            f"cannot read the plan {file}: {error.strerror}", "Give a TOML file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is not TOML: {error}", "Mend that line.") from None
    changed = {PLURAL.get(k, k): v for k, v in (overrides or {}).items()}
    data = changed.get("data")
    if data is not None and not Path(data).expanduser().is_absolute():
        data = changed["data"] = os.path.relpath(data, file.resolve().parent)
    if path.is_dir():
        changed.setdefault("out", str(path))
    kept = {k: v for k, v in raw.items() if PLURAL.get(k, k) not in changed}
    with_data = [
        e for e in listed(_of(kept, "benchmarks")) if isinstance(e, Mapping) and "data" in e
    ]
    if data is not None and len(with_data) > 1:
        del changed["data"]
        kept = {
            k: _moved(v, data) if PLURAL.get(k, k) == "benchmarks" else v for k, v in kept.items()
        }
    for key in ("benchmark", "benchmarks", "model", "models"):
        if key in kept:
            kept[key] = [_without(entry, changed) for entry in listed(kept[key])]
    return parse({**kept, **changed}, root=file.resolve().parent, source=str(file), stem=file.stem)


def _of(raw: Mapping[str, Any], name: str) -> Any:
    return next((v for k, v in raw.items() if PLURAL.get(k, k) == name), None)


def _moved(benchmarks: Any, folder: str) -> list[Any]:
    """Benchmarks with their data in ``folder``, under the names that it has in the plan."""
    return [
        {**entry, "data": str(Path(folder, Path(str(entry["data"])).name))}
        if isinstance(entry, Mapping) and "data" in entry
        else entry
        for entry in listed(benchmarks)
    ]


def _without(entry: Any, changed: Mapping[str, Any]) -> Any:
    """A benchmark's or a model's table without its own values of what a flag gives for all."""
    if not isinstance(entry, Mapping):
        return entry
    ours = (*OF_EVERY_BENCHMARK, *OF_THE_BENCHMARK, *OF_SERVED_MODELS)
    return {k: v for k, v in entry.items() if k not in ours or k not in changed}
