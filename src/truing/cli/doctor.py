"""``truing doctor``: is everything here, and does the main path work?"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from truing.cli.output import AsJson, emit, rows_table

LIBRARIES = ("torch", "transformers", "safetensors", "accelerate", "pydantic", "duckdb")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: ``ok``, ``warning`` or ``failed``, and what was seen."""

    name: str
    state: str
    seen: str


def doctor(as_json: AsJson = False) -> None:
    """Check the installation, the cache folder, and one edit of the embedded model."""
    checks = [
        _machine(),
        *(_library(name) for name in LIBRARIES),
        _try("accelerators", _accelerators),
        _try("cache folder", _cache),
        _try("embedded model", _embedded),
    ]
    rows = [(c.name, c.state, c.seen) for c in checks]
    emit(checks, rows_table("", ("check", "state", "seen"), rows), as_json)
    if any(c.state == "failed" for c in checks):
        raise typer.Exit(1)


def _machine() -> Check:
    return Check(
        "machine",
        "ok",
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores",
    )


def _library(name: str) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        return Check(name, "failed", "not installed; run `make install` or `pip install truing`")


def _try(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Exception as error:  # a doctor reports every failure, whatever it is
        return Check(name, "failed", f"{type(error).__name__}: {error}")


def _accelerators() -> Check:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Check("accelerators", "ok", names)
    if torch.backends.mps.is_available():
        return Check("accelerators", "ok", "Apple MPS")
    return Check("accelerators", "ok", f"none; CPU with {torch.get_num_threads()} threads")


def _cache() -> Check:
    from truing.models.handle import default_cache

    folder = default_cache()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder):
        pass
    free = shutil.disk_usage(folder).free / 1e9
    state = "ok" if free > 1 else "warning"
    return Check("cache folder", state, f"{_short(folder)}, {free:.1f} GB free")


def _short(path: Path) -> str:
    try:
        return "~/" + str(path.relative_to(Path.home()))
    except ValueError:
        return str(path)


def _embedded() -> Check:
    from truing import EditRequest, Model, compare, edit

    start = time.perf_counter()
    model = Model.load("truing/pocket")
    loaded = time.perf_counter() - start
    prompt = "The Glass Spire is in the city of"
    iv = edit(model, [EditRequest("doctor", prompt, "Orvale", subject="The Glass Spire")], "ft_m")
    result = compare(model, iv, [prompt])[0]
    state = "ok" if result.changed else "failed"
    return Check(
        "embedded model",
        state,
        f"loaded in {loaded:.1f} s; one edit turned '{result.base.strip()}' into "
        f"'{result.edited.strip()}'",
    )
