"""What shall be run: parsed once, checked whole, written back canonically.

A plan is a TOML file or the same keys from flags. Everything that has a default is filled in, so
that ``plan.toml`` in a run folder says what was run also when defaults change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from truing.benchmarks.benchmark import BENCHMARKS, parse_options
from truing.benchmarks.capability.sets import CAPABILITIES
from truing.errors import BadInput, UnknownName
from truing.judges import specs as judges
from truing.methods.method import METHODS
from truing.protocols.protocol import parse as parse_protocol
from truing.runs import regime as regimes
from truing.runs.capability import CapabilitySpec
from truing.runs.cells import (
    BASELINE,
    REACHED_BY,
    SERVED,
    AnyModelSpec,
    BenchmarkSpec,
    Cell,
    MethodSpec,
    ModelSpec,
    Parsed,
    ServedSpec,
)
from truing.runs.controls import DEFAULT_CONTROLS, controls_of, takes_controls
from truing.runs.problems import Problems, bad_value, listed
from truing.runs.regime import Regime
from truing.runs.toml import dumps

PLURAL = {
    "model": "models", "method": "methods", "benchmark": "benchmarks", "protocol": "protocols",
    "regime": "regimes", "seed": "seeds", "judge": "judges",
}  # fmt: skip
OF_EVERY_BENCHMARK = ("limit", "sample", "skip", "aspects")
OF_THE_BENCHMARK = ("data", "options")
OF_SERVED_MODELS = tuple(key for key in ServedSpec.model_fields if key != "name")
T = TypeVar("T")


class Plan(Parsed):
    """A run as resolved. Make one with :func:`load` or :func:`parse`."""

    name: str = "run"
    models: tuple[AnyModelSpec, ...]
    methods: tuple[MethodSpec, ...]
    benchmarks: tuple[BenchmarkSpec, ...]
    protocols: tuple[str, ...]
    regimes: tuple[Regime, ...]
    seeds: tuple[int, ...] = (0,)
    judges: tuple[str, ...] = ()
    capability: tuple[CapabilitySpec, ...] = ()
    controls: int = Field(default=0, ge=0)
    skip_invalid: bool | None = None
    at_once: int = Field(default=32, ge=1)
    checkpoint_every: int = Field(default=10, ge=1)
    noise_sample: int = Field(default=32, ge=0)
    out: str | None = Field(default=None, exclude=True)
    root: Path = Field(default=Path(), exclude=True)

    def cells(self) -> list[Cell]:
        """All cells; per model, benchmark, regime and seed the baseline comes first, the controls
        last."""
        return [
            cell
            for model in self.models
            for benchmark in self.benchmarks
            for regime in self.regimes
            for seed in self.seeds
            for cell in self._together(model, benchmark, regime, seed)
        ]

    def _together(
        self, model: AnyModelSpec, benchmark: BenchmarkSpec, regime: Regime, seed: int
    ) -> list[Cell]:
        arms = [Cell(model, method, benchmark, regime, seed) for method in self.methods]
        return arms + [
            Cell(
                model, control.spec, benchmark, regime, seed, tuple(arms[i].id for i in control.of)
            )
            for control in controls_of(self.methods, self.controls, seed)
        ]

    def skips(self, benchmark: BenchmarkSpec) -> bool:
        """Whether bad records are left out and counted, or stop the run.

        Unless the plan says: left out of published data, which nobody can mend; own data stop.
        """
        if self.skip_invalid is not None:
            return self.skip_invalid
        return not BENCHMARKS.get(benchmark.name).own_data

    def data_path(self, of: BenchmarkSpec | CapabilitySpec) -> Path | None:
        """Where its data lies; relative paths start at the plan's folder."""
        return None if of.data is None else self.root / Path(of.data).expanduser()

    def folder(self) -> Path:
        """Where results go unless told otherwise: ``out``, else ``runs/<name>``."""
        return Path(self.out) if self.out else Path("runs") / self.name

    def table(self, folder: Path) -> dict[str, Any]:
        """The plan as :func:`parse` reads it from a file in ``folder``."""
        table = self.model_dump(mode="json", exclude={"regimes"}, exclude_none=True)
        table["regimes"] = [regimes.to_table(regime) for regime in self.regimes]
        for entry in (*table["benchmarks"], *table["capability"]):
            data = entry.get("data")
            if data is not None and not Path(data).expanduser().is_absolute():
                entry["data"] = Path(os.path.relpath(self.root / data, folder)).as_posix()
        return {k: table[k] for k in type(self).model_fields if k in table}

    def text(self, folder: Path) -> str:
        """``plan.toml`` for ``folder``."""
        return dumps(self.table(folder))

    def differences(self, other: Plan) -> list[str]:
        """Dotted names of settings that differ; where data lies and how a server is reached are not
        settings."""
        mine, theirs = (_flat(p.table(Path())) for p in (self, other))
        names = sorted(k for k in {**mine, **theirs} if mine.get(k) != theirs.get(k))
        apart = {"benchmarks": ("data",), "capability": ("data",), "models": REACHED_BY}
        return [k for k in names if k.split(".")[-1] not in apart.get(k.split(".")[0], ())]


def parse(
    raw: Mapping[str, Any], *, root: Path | None = None, source: str = "plan", stem: str = "run"
) -> Plan:
    """A plan from TOML-like values. ``root`` is where relative data paths start (default: the
    working directory). Raises ``BadInput`` that lists every problem found."""
    problems = Problems(source)
    values = _plural(raw, problems)
    known = [
        *Plan.model_fields, *PLURAL, *OF_EVERY_BENCHMARK, *OF_THE_BENCHMARK, *OF_SERVED_MODELS,
    ]  # fmt: skip
    known.remove("root")
    for key in [k for k in values if k not in known]:
        problems.add(UnknownName("key of the plan", key, known))
        del values[key]
    shared = {k: values.pop(k) for k in (*OF_EVERY_BENCHMARK, *OF_THE_BENCHMARK) if k in values}
    access = {k: values.pop(k) for k in OF_SERVED_MODELS if k in values}
    values["models"] = problems.each(values.get("models"), lambda given: _model(given, access))
    if access and not any(isinstance(model, ServedSpec) for model in values["models"]):
        problems.add(
            BadInput(
                f"'{next(iter(access))}' is for models behind a server", f"Name one: {SERVED}NAME."
            )
        )
    values["benchmarks"] = _benchmarks(values.get("benchmarks"), shared, problems)
    wanted = values.get("methods", _usual_methods(values["models"], values["benchmarks"]))
    values["methods"] = _with_baseline(problems.each(wanted, _method))
    values["controls"] = _controls(values.get("controls"), values["methods"])
    values["protocols"] = problems.each(
        values.get("protocols", _usual_protocols(values["models"])),
        lambda given: parse_protocol(given).id,
    )
    values["regimes"] = problems.each(values.get("regimes", ["single"]), regimes.parse)
    values["capability"] = problems.each(values.get("capability"), _capability)
    if "judges" in values:
        values["judges"] = problems.each(
            values["judges"], lambda given: judges.parse(str(given)).name
        )
    for name in ("models", "benchmarks"):
        if not values[name] and not problems:
            problems.add(BadInput(f"the plan names no {name}", f'Give {name[:-1]} = "...".'))
    _no_repeats(values, problems)
    values.setdefault("name", stem if stem != "plan" else "run")
    values["root"] = Path.cwd() if root is None else root
    problems.stop()
    try:
        return Plan.model_validate(values)
    except ValidationError as error:
        problems.add_all(error, "plan")
        problems.stop()
        raise


def _plural(raw: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in raw.items():
        name = PLURAL.get(key, key)
        if name in values:
            problems.add(
                BadInput(f"both '{key}' and its other spelling are given", f"Keep {name}.")
            )
        values[name] = listed(value) if name in PLURAL.values() else value
    return values


def _entry(given: Any, kind: str, spec: type[BaseModel], **defaults: Any) -> dict[str, Any]:
    """One entry as a table: a bare string is its name."""
    if isinstance(given, str):
        given = {"name": given}
    if not isinstance(given, Mapping):
        raise BadInput(f"{kind} {given!r} is not a name or a table", f'For example {kind} = "...".')
    for key in given:
        if key not in spec.model_fields:
            raise UnknownName(
                f"key of {kind} '{given.get('name', '?')}'", str(key), spec.model_fields
            )
    if not isinstance(given.get("name"), str):
        raise BadInput(f"a {kind} has no name", 'Give name = "...".')
    return {**defaults, **given}


def _model(given: Any, access: Mapping[str, Any]) -> AnyModelSpec:
    """A model on this machine, or one behind a server, which takes ``access`` where it gives no own."""
    name = given.get("name") if isinstance(given, Mapping) else given
    if not isinstance(name, str) or not name.startswith(SERVED):
        return _validated(ModelSpec, _entry(given, "model", ModelSpec), "model")
    served = _validated(ServedSpec, _entry(given, "model", ServedSpec, **access), "model")
    _ = served.access
    return served


def _usual_protocols(models: list[AnyModelSpec]) -> list[str]:
    """Servers give free answers to chats, and nothing else."""
    served = models and all(isinstance(model, ServedSpec) for model in models)
    return ["wild-chat"] if served else ["synthetic", "wild"]


def _method(given: Any) -> MethodSpec:
    entry = _entry(given, "method", MethodSpec)
    method = METHODS.get(entry["name"])
    config = entry.get("config", {})
    for key in config:
        if key not in method.config.model_fields:
            raise UnknownName(f"setting of {method.name}", str(key), method.config.model_fields)
    try:
        resolved = method.config.model_validate(config).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        raise bad_value(method.name, error.errors()[0]) from None
    if "seed" not in config:
        resolved.pop("seed", None)
    return _validated(MethodSpec, {"label": entry["name"], **entry, "config": resolved}, "method")


def _capability(given: Any) -> CapabilitySpec:
    entry = _entry(given, "capability set", CapabilitySpec)
    asked = entry.get("protocol", CAPABILITIES.get(entry["name"]).protocol)
    values = {**entry, "protocol": parse_protocol(asked).id}
    return _validated(CapabilitySpec, values, "capability set")


def _usual_methods(
    models: Sequence[AnyModelSpec], benchmarks: Sequence[BenchmarkSpec]
) -> list[str]:
    """The methods that the benchmarks were published with, of which all models can take."""
    usual = dict.fromkeys(m for b in benchmarks for m in BENCHMARKS.get(b.name).methods)
    by_words = any(isinstance(model, ServedSpec) for model in models)
    return [name for name in usual if METHODS.get(name).by_text or not by_words]


def _with_baseline(methods: list[MethodSpec]) -> list[MethodSpec]:
    baseline = [m for m in methods if m.name == BASELINE]
    others = [m for m in methods if m.name != BASELINE]
    return [*(baseline[:1] or [_method(BASELINE)]), *others]


def _controls(given: Any, methods: list[MethodSpec]) -> Any:
    """How many random directions; unless the plan says, some where a method steers."""
    if given is None or given is True:
        return DEFAULT_CONTROLS if any(map(takes_controls, methods)) else 0
    return 0 if given is False else given


def _benchmarks(given: Any, shared: Mapping[str, Any], problems: Problems) -> list[BenchmarkSpec]:
    entries = listed(given)
    if len(entries) > 1:
        for key in OF_THE_BENCHMARK:
            if key in shared:
                problems.add(
                    BadInput(
                        f"'{key}' is given once for {len(entries)} benchmarks", "Give it to each."
                    )
                )

    def make(given: Any) -> BenchmarkSpec:
        entry = _entry(given, "benchmark", BenchmarkSpec)
        benchmark = BENCHMARKS.get(entry["name"])
        values = {"label": entry["name"], **shared, **entry}
        chosen = parse_options(benchmark, values.get("options"))
        values["options"] = chosen.model_dump(mode="json", exclude_none=True)
        if values.get("data") is not None:
            values["data"] = str(values["data"])
        return _validated(BenchmarkSpec, values, "benchmark")

    return problems.each(entries, make)


def _no_repeats(values: Mapping[str, Any], problems: Problems) -> None:
    """Twice the same thing would write every row twice."""
    seen: dict[str, list[Any]] = {
        "model": [m.label for m in values["models"]],
        "method": [(m.name, json.dumps(m.config, sort_keys=True)) for m in values["methods"]],
        "benchmark": [
            (b.name, b.data, json.dumps(b.options, sort_keys=True)) for b in values["benchmarks"]
        ],
        "protocol": values["protocols"],
        "regime": [r.id for r in values["regimes"]],
        "seed": listed(values.get("seeds")),
    }
    for kind, names in seen.items():
        for name in _twice(names):
            shown = name[0] if isinstance(name, tuple) else name
            problems.add(BadInput(f"{kind} '{shown}' is there twice", "Keep one."))
    labels = {
        "method": [m.label for m in values["methods"] if m.label != m.name],
        "benchmark": [b.label for b in values["benchmarks"]],
        "capability set": [c.name for c in values["capability"]],
    }
    for kind, found in labels.items():
        for label in _twice(found):
            problems.add(BadInput(f"two {kind}s are called '{label}'", "Give each its own label."))


def _twice(names: Iterable[Any]) -> list[Any]:
    found = list(names)
    return sorted({name for name in found if found.count(name) > 1}, key=str)


S = TypeVar("S", bound=BaseModel)


def _validated(spec: type[S], values: Mapping[str, Any], kind: str) -> S:
    try:
        return spec.model_validate(dict(values))
    except ValidationError as error:
        raise bad_value(f"{kind} '{values.get('name')}'", error.errors()[0]) from None


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves by dotted name; list entries by number."""
    if isinstance(value, Mapping):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return {path: value}
    flat: dict[str, Any] = {}
    for key, inner in pairs:
        flat |= _flat(inner, f"{path}.{key}" if path else str(key))
    return flat
