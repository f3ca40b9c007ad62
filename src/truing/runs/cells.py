"""What a plan is made of: which model, method and cases, and the cells that they make together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from truing.methods.method import METHODS, MethodConfig
from truing.runs.regime import Regime
from truing.servers.settings import OpenAISettings

BASELINE = "none"
SERVED = "openai:"
USUAL = OpenAISettings()
REACHED_BY = (
    "key_variable", "concurrency", "timeout_s", "attempts", "longest_wait_s", "budget_usd",
    "usd_per_million_in", "usd_per_million_out",
)  # fmt: skip
"""Keys of a served model that decide no answer: a run goes on under others."""


class Parsed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSpec(Parsed):
    """Which model to load, as :func:`truing.models.loading.load` takes it."""

    name: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    trust_remote_code: bool = False

    @property
    def label(self) -> str:
        """The name, with revision and dtype where the plan sets them."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.name}{revision}" + (f" {self.dtype}" if self.dtype != "auto" else "")

    @property
    def identity(self) -> list[Any]:
        """What decides its answers."""
        return [self.name, self.revision, self.dtype]


class ServedSpec(Parsed):
    """A model behind a server: ``openai:NAME`` at ``base_url``.

    ``system`` and ``max_tokens`` as in :class:`truing.models.served.ServedModel`, the other keys as in
    :class:`truing.servers.settings.OpenAISettings`; the budget is the run's.
    """

    name: str
    base_url: str = USUAL.base_url
    key_variable: str | None = USUAL.key_variable
    system: str | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    concurrency: int = USUAL.concurrency
    timeout_s: float = USUAL.timeout_s
    attempts: int = USUAL.attempts
    longest_wait_s: float = USUAL.longest_wait_s
    budget_usd: float | None = None
    usd_per_million_in: float | None = None
    usd_per_million_out: float | None = None

    @field_validator("name")
    @classmethod
    def _names_a_model(cls, name: str) -> str:
        if not name.removeprefix(SERVED).strip():
            raise ValueError(f"it names no model; for example {SERVED}gpt-4o-mini")
        return name

    @property
    def label(self) -> str:
        return self.name

    @property
    def identity(self) -> list[Any]:
        return [self.name, self.base_url.rstrip("/"), self.system, self.max_tokens]

    @property
    def access(self) -> OpenAISettings:
        """How the server is asked: greedily. Raises ``BadInput`` for values that do not fit."""
        names = {f.name for f in fields(OpenAISettings)} & set(type(self).model_fields)
        given = {name: getattr(self, name) for name in names - {"max_tokens"}}
        return OpenAISettings(**given, seed=None, dispensable=("temperature",))


AnyModelSpec = ModelSpec | ServedSpec


class MethodSpec(Parsed):
    """A method and its settings. ``label`` names it in tables."""

    name: str
    label: str
    config: dict[str, Any] = Field(default_factory=dict)

    def settings(self, seed: int) -> MethodConfig:
        """The method's config; the cell's ``seed`` unless the plan sets one for this method."""
        return METHODS.get(self.name).config.model_validate({"seed": seed, **self.config})


class BenchmarkSpec(Parsed):
    """A benchmark, which of its cases to take, and which aspects to ask about (``None``: all)."""

    name: str
    label: str
    data: str | None = None
    limit: int | None = Field(default=None, ge=1)
    sample: Literal["prefix", "seeded"] = "prefix"
    seed: int = 0
    skip: int = Field(default=0, ge=0)
    aspects: tuple[str, ...] | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One line of a result table: everything but the protocol, which all are asked together.

    ``control_of`` are the ids of the cells that this one is a control of."""

    model: AnyModelSpec
    method: MethodSpec
    benchmark: BenchmarkSpec
    regime: Regime
    seed: int
    control_of: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """12 hex digits that the cell's settings decide (data paths and moments do not)."""
        facts = [
            *self.model.identity, self.method.name, self.method.label,
            self.method.settings(self.seed).model_dump(mode="json"),
            self.benchmark.model_dump(mode="json", exclude={"data"}), self.regime.id, self.seed,
        ]  # fmt: skip
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def is_baseline(self) -> bool:
        return self.method.name == BASELINE

    def __str__(self) -> str:
        seed = f" · seed {self.seed}" if self.seed else ""
        return (
            f"{self.model.label} · {self.method.label} · {self.benchmark.label} · "
            f"{self.regime.id}{seed}"
        )
