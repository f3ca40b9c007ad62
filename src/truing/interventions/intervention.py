"""The Intervention: a change of a model as data. Making one touches nothing.

``parts`` are always the TOTAL relative to the base model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from torch import Tensor

from truing.errors import NotPossible
from truing.interventions.conditional import Condition, Conditional
from truing.interventions.latents import Latents
from truing.interventions.parts import (
    ActivationOp,
    Codebook,
    Dense,
    LowRank,
    Part,
    PromptPrefix,
    WeightDelta,
    digest,
    total,
)
from truing.interventions.routed import ByDistance, ByKey, Routed
from truing.interventions.scoped import Scoped
from truing.types import EditRequest, Message, Prompt

if TYPE_CHECKING:
    from truing.models.arch import Arch
    from truing.models.asks import Change, Rows
    from truing.models.subject import Subject

__all__ = [
    "ActivationOp",
    "Base",
    "ByDistance",
    "ByKey",
    "Codebook",
    "Condition",
    "Conditional",
    "Dense",
    "Intervention",
    "Latents",
    "LowRank",
    "Origin",
    "Part",
    "PromptPrefix",
    "Routed",
    "Scoped",
    "WeightDelta",
]

LIBRARIES = ("truing", "torch", "transformers")


@dataclass(frozen=True)
class Base:
    """The model that an intervention was made for. Empty fields mean: not known."""

    name: str = ""
    revision: str | None = None
    weights: str = ""
    tokenizer: str = ""
    model_type: str = ""
    dtype: str = ""


@dataclass(frozen=True)
class Origin:
    """Where an intervention came from.

    ``requests`` holds the ids of all requests of the total, in order; ``requests_hash`` a hash of
    their contents, chained over the steps.
    """

    method: str = "by-hand"
    config: Mapping[str, Any] = field(default_factory=dict)
    requests: tuple[str, ...] = ()
    requests_hash: str = ""
    base: Base = Base()
    seeds: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Subject,
        method: str,
        config: Mapping[str, Any],
        requests: Sequence[EditRequest],
        *,
        seeds: Mapping[str, int] | None = None,
        so_far: Intervention | None = None,
    ) -> Origin:
        """The origin of a total that ``method`` made on ``model``, going on from ``so_far``.

        ``config`` is JSON-like. The base of a chain is that of its first step.
        """
        before = so_far.origin if so_far is not None else None
        chained = hashlib.sha256((before.requests_hash if before else "").encode())
        for request in requests:
            chained.update(json.dumps(_facts(request), sort_keys=True).encode())
        steps = [] if before is None or not before.requests else before.method.split("+")
        return cls(
            method="+".join(steps if method in steps else [*steps, method]),
            config=dict(config),
            requests=(*(before.requests if before else ()), *(r.id for r in requests)),
            requests_hash=chained.hexdigest(),
            base=before.base if before and before.base.weights else base_of(model),
            seeds=dict(seeds or {}),
            versions=versions(),
        )


def base_of(model: Subject) -> Base:
    """What identifies ``model`` (hashes its weights: seconds for large models, then remembered)."""
    facts = model.facts
    return Base(
        name=model.name,
        revision=facts["revision"],
        weights=facts["fingerprint"],
        tokenizer=facts["tokenizer"],
        model_type=facts["model_type"],
        dtype=facts["dtype"],
    )


def versions() -> dict[str, str]:
    """Installed versions of the libraries that decide numbers."""
    return dict(zip(LIBRARIES, map(_version, LIBRARIES), strict=True))


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "source"


def _facts(request: EditRequest) -> list[Any]:
    return [
        request.id,
        request.prompt,
        request.target_new,
        request.target_old,
        request.subject,
        list(request.tags),
    ]


@dataclass(frozen=True, eq=False)
class Intervention:
    """A change of a model: weight deltas, activation ops, codebooks, prompt prefixes and memories.

    Implements :class:`truing.models.asks.Change`. ``memo`` holds tensors that a method needs to go
    on from here (moments, projections); they change no answer and are not part of ``id``.
    Two interventions are equal when their ids are.
    """

    parts: tuple[Part, ...] = ()
    memo: Mapping[str, Tensor] = field(default_factory=dict)
    origin: Origin = Origin()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervention) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __add__(self, other: Intervention) -> Intervention:
        """Both changes at once: deltas add up, ops and prefixes follow in order."""
        if not isinstance(other, Intervention):
            return NotImplemented
        known = self.origin if self.parts else other.origin
        origin = replace(
            known,
            method=" + ".join(i.origin.method for i in (self, other) if i.parts) or known.method,
            config={"left": dict(self.origin.config), "right": dict(other.origin.config)}
            if self.parts and other.parts
            else known.config,
            requests=self.origin.requests + other.origin.requests,
            requests_hash=hashlib.sha256(
                (self.origin.requests_hash + other.origin.requests_hash).encode()
            ).hexdigest(),
        )
        return self.then(other.parts, memo={**self.memo, **other.memo}, origin=origin)

    def then(
        self,
        parts: Sequence[Part],
        *,
        memo: Mapping[str, Tensor] | None = None,
        origin: Origin | None = None,
    ) -> Intervention:
        """The total of this and further ``parts``; ``memo``/``origin`` replace the old ones."""
        return Intervention(
            total((*self.parts, *parts)),
            self.memo if memo is None else memo,
            self.origin if origin is None else origin,
        )

    @cached_property
    def id(self) -> str:
        """Content hash of the parts: equal ids give equal answers."""
        return digest(self.parts)

    @property
    def weights(self) -> tuple[WeightDelta, ...]:
        return tuple(part for part in self.parts if isinstance(part, WeightDelta))

    @property
    def ops(self) -> tuple[ActivationOp, ...]:
        return tuple(part for part in self.parts if isinstance(part, ActivationOp))

    @property
    def conditional(self) -> tuple[Conditional, ...]:
        return tuple(part for part in self.parts if isinstance(part, Conditional))

    @property
    def codebooks(self) -> tuple[Codebook, ...]:
        return tuple(part for part in self.parts if isinstance(part, Codebook))

    @property
    def routed(self) -> tuple[Routed, ...]:
        return tuple(part for part in self.parts if isinstance(part, Routed))

    @property
    def prefixes(self) -> tuple[PromptPrefix, ...]:
        """Those of the user's turn."""
        return tuple(p for p in self.parts if isinstance(p, PromptPrefix) and p.role == "user")

    @property
    def system(self) -> str:
        """The system message that it gives to a chat; empty: none."""
        told = [p.text for p in self.parts if isinstance(p, PromptPrefix) and p.role == "system"]
        return "\n".join(told)

    @property
    def scoped(self) -> tuple[Scoped, ...]:
        return tuple(part for part in self.parts if isinstance(part, Scoped))

    @property
    def per_row(self) -> bool:
        """Whether it can be one row of a mixed batch: no dense weight delta."""
        return not any(isinstance(part.delta, Dense) for part in self.weights)

    @property
    def prompt_only(self) -> bool:
        """Whether the model itself stays the base model."""
        return all(
            isinstance(part, PromptPrefix) or (isinstance(part, Scoped) and not part.inside)
            for part in self.parts
        )

    def for_prompt(self, prompt: Prompt) -> Intervention:
        """What of this a row that asks ``prompt`` carries: every memory gives the text and the
        deltas of the edit that the prompt is about, or nothing. The rest is as it is."""
        if not self.scoped:
            return self
        hits = tuple(part.find(prompt) for part in self.scoped)
        if hits not in self._rows:
            found = iter(hits)
            parts: list[Part] = []
            for part in self.parts:
                if not isinstance(part, Scoped):
                    parts.append(part)
                elif (at := next(found)) is not None:
                    parts += [PromptPrefix(part.edits[at].told), *part.inside]
            self._rows[hits] = Intervention(tuple(parts), self.memo, self.origin)
        return self._rows[hits]

    @cached_property
    def _rows(self) -> dict[tuple[int | None, ...], Intervention]:
        """What :meth:`for_prompt` gave, so that rows that hit the same edit share one object."""
        return {}

    @cached_property
    def _memories(self) -> Intervention:
        return Intervention(self.scoped)

    def recall(self, prompt: Prompt, row: Change | None) -> Change | None:
        """``row`` (``None``: the base model) with what the memories of this, in force for the whole
        model, add for ``prompt`` to a row's deltas. All else of this acts on the whole model."""
        found = self._memories.for_prompt(prompt).weights
        if not found:
            return row
        if row is not None and not isinstance(row, Intervention):
            raise NotPossible(
                f"a memory of edits cannot act on a row under a {type(row).__name__}",
                "Ask for it outside of `using`.",
            )
        return Intervention(found if row is None else (*row.parts, *found))

    def rewrite(self, prompt: Prompt) -> Prompt:
        """``prompt`` with this intervention's prefixes in front of its (first) user text, those of
        the edits that it is about among them: a conversation begins with what the model is told."""
        prefix = "".join(part.text for part in self.for_prompt(prompt).prefixes)
        if self.system and not isinstance(prompt, str):
            rest = tuple(message for message in prompt if message.role != "system")
            prompt = (Message("system", self.system), *rest)
        if isinstance(prompt, str):
            return (f"{self.system}\n\n" if self.system else "") + prefix + prompt
        if not prefix:
            return prompt
        users = [i for i, message in enumerate(prompt) if message.role == "user"]
        if not users:
            raise NotPossible(
                "a prompt prefix needs a user message; this chat has none",
                "Add one, or ask with a plain string prompt.",
            )
        first = users[0]
        message = Message("user", prefix + prompt[first].content)
        return (*prompt[:first], message, *prompt[first + 1 :])

    def whole(self, arch: Arch) -> Rows:
        """A context manager inside which the whole model carries this change."""
        from truing.interventions.apply import Applied

        return Applied(arch, self.parts)

    def stack(self, arch: Arch, rows: Sequence[Change | None]) -> Rows:
        """Hooks that give row i of a batch the change ``rows[i]`` (``None``: the base model)."""
        from truing.interventions.bank import Bank

        parts: list[tuple[Part, ...]] = []
        for row in rows:
            if row is None:
                parts.append(())
            elif isinstance(row, Intervention):
                parts.append(row.parts)
            else:
                raise NotPossible(
                    f"a {type(row).__name__} and an Intervention cannot share a batch",
                    "Ask for them in separate calls.",
                )
        return Bank(arch, parts)

    def save(self, folder: str) -> None:
        """Write ``intervention.json`` and ``tensors.safetensors`` into ``folder``."""
        from truing.interventions.artifact import save

        save(self, folder)
