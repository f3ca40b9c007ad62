"""Making the edits of a cell. A request that a method cannot take, and an edit that fails, become
a :class:`Failed` and change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from truing.errors import BadRequest, EditFailed, TruingError
from truing.interventions.intervention import Intervention
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.steering.effect import effect
from truing.methods.steering.touched import Effect
from truing.methods.variants import make, make_each
from truing.models.asks import Decoding, GenerateAsk
from truing.runs.totals import Totals
from truing.types import Case, EditRequest

if TYPE_CHECKING:
    from truing.models.handle import Model

FAILURES = (
    BadRequest,
    EditFailed,
    torch.OutOfMemoryError,
    torch.linalg.LinAlgError,  # type: ignore[attr-defined]
)


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no edit."""

    reason: str


Made = Intervention | Failed
LOOKED_AT = 16
"""Prompts on which the effect of an intervention is seen."""


@dataclass(frozen=True)
class Maker:
    """A method with its config on a model. ``copied`` is where a control finds the total that it
    copies, once that was made."""

    model: Model
    method: Method
    config: MethodConfig
    copied: Totals | None = None

    def refused(self, cases: Sequence[Case]) -> dict[str, str]:
        """Cases whose requests the method cannot take, with why. Nothing is computed."""
        found: dict[str, str] = {}
        if self.method.acts_on == "nothing":
            return found
        for case in cases:
            try:
                check(
                    self.model,
                    case.requests,
                    self.method.name,
                    needs_subject=self.method.needs_subject,
                    needs_old=self.method.needs_old,
                )
            except BadRequest as error:
                found[case.id] = str(error)
        return found

    def independent(self, groups: Sequence[Sequence[EditRequest]]) -> list[Made]:
        """One intervention per group, each from the untouched model; together where the method
        can. Groups that cannot be made together are halved, so that a bad one is found alone and
        takes no other with it."""
        if self.method.each is None or len(groups) < 2:
            return [self.next(group, None) for group in groups]
        try:
            return list(make_each(self.method, self.model, groups, self.config))
        except FAILURES:
            half = len(groups) // 2
        return [*self.independent(groups[:half]), *self.independent(groups[half:])]

    def next(self, requests: Sequence[EditRequest], so_far: Intervention | None) -> Made:
        """The total after ``requests``; methods that take one request at a time are chained."""
        try:
            if (liked := self._to_copy(so_far)) is not None and self.method.copy is not None:
                return self.method.copy(self.model, requests, self.config, liked)
            if self.method.batch or len(requests) == 1:
                return make(self.method, self.model, requests, self.config, so_far)
            total = so_far
            for request in requests:
                total = make(self.method, self.model, [request], self.config, total)
            return total if total is not None else Intervention()
        except FAILURES as error:
            return Failed(reason(error))

    def _to_copy(self, so_far: Intervention | None) -> Intervention | None:
        """The total of the first edit that this one copies; ``None`` where there is none yet."""
        if self.copied is None or (so_far is not None and so_far.parts):
            return None
        made, total = self.copied.newest(up_to=1)
        return total if made == 1 else None

    def seen(self, made: Intervention, cases: Sequence[Case]) -> Effect | None:
        """What ``made`` does when the first prompts of ``cases`` that fit are answered; ``None`` where
        nobody can look inside the model."""
        if not self.model.has_weights:
            return None
        prompts = [probe.prompt for case in cases for probe in case.probes]
        prompts = prompts or [request.prompt for case in cases for request in case.requests]
        one = Decoding(max_new_tokens=8)
        fitting = [p for p in prompts if self.model.fits(GenerateAsk(p, one, made)) is None]
        return effect(self.model, made, fitting[:LOOKED_AT])


def reason(error: BaseException) -> str:
    """One line that says what happened."""
    if isinstance(error, TruingError):
        return f"edit failed: {error.what}"
    kind = "out of memory" if isinstance(error, torch.OutOfMemoryError) else "numerical failure"
    told = str(error).splitlines()
    return f"edit failed: {kind}{f': {told[0]}' if told else ''}"
