"""``truing ls``: what there is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from truing.cli.output import AsJson, Plugin, emit, rows_table
from truing.registry import Registry


class Kind(StrEnum):
    methods = "methods"
    benchmarks = "benchmarks"
    protocols = "protocols"
    judges = "judges"
    rubrics = "rubrics"
    capability = "capability"
    models = "models"


def ls(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    name: Annotated[str | None, typer.Argument(help="Show one in full.")] = None,
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """List methods, benchmarks, protocols, judges, rubrics, capability sets or model families."""
    from truing.cli.plugins import use

    use(plugin)
    if kind is Kind.models:
        _models(as_json)
        return
    if kind is Kind.methods and name is not None:
        _method(name, as_json)
        return
    registry = _registry(kind)
    names = [name] if name is not None else list(registry)
    rows = [(n, registry.summary(n)) for n in names]
    emit(
        [{"name": n, "summary": s} for n, s in rows],
        rows_table("", ("name", "what it is"), rows),
        as_json,
    )


def _registry(kind: Kind) -> Registry[Any]:
    if kind is Kind.methods:
        from truing.methods.method import METHODS

        return METHODS
    if kind is Kind.benchmarks:
        from truing.benchmarks.benchmark import BENCHMARKS

        return BENCHMARKS
    if kind is Kind.protocols:
        from truing.protocols.protocol import PROTOCOLS

        return PROTOCOLS
    if kind is Kind.capability:
        from truing.benchmarks.capability.sets import CAPABILITIES

        return CAPABILITIES
    if kind is Kind.rubrics:
        from truing.judges.rubrics import RUBRICS

        return RUBRICS
    from truing.scoring.judge import JUDGES

    return JUDGES


def _models(as_json: bool) -> None:
    from truing.models.families import FAMILIES

    rows = [("truing/pocket", "embedded: works offline")] + [
        (name, "any Hugging Face id or folder of this model_type") for name in sorted(FAMILIES)
    ]
    emit(
        [{"model_type": n, "note": s} for n, s in rows],
        rows_table("", ("model or model_type", "note"), rows),
        as_json,
    )


def _method(name: str, as_json: bool) -> None:
    from truing.methods.method import METHODS

    method = METHODS.get(name)
    fields = method.config.model_fields
    rows = [
        (key, str(field.default), (field.description or "").strip())
        for key, field in fields.items()
    ]
    data = {
        "name": method.name,
        "summary": method.summary,
        "paper": method.paper,
        "acts_on": method.acts_on,
        "needs_subject": method.needs_subject,
        "needs_old": method.needs_old,
        "needs_stats": method.needs_stats,
        "batch": method.batch,
        "sequential": method.sequential,
        "settings": [{"name": k, "default": d, "what": w} for k, d, w in rows],
    }
    title = f"{method.name}: {method.summary} ({method.paper})"
    emit(data, rows_table(title, ("setting", "default", "what"), rows), as_json)
