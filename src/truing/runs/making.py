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
from truing.methods.variants import make, make_each
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


@dataclass(frozen=True)
class Maker:
    """A method with its config on a model."""

    model: Model
    method: Method
    config: MethodConfig

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
            if self.method.batch or len(requests) == 1:
                return make(self.method, self.model, requests, self.config, so_far)
            total = so_far
            for request in requests:
                total = make(self.method, self.model, [request], self.config, total)
            return total if total is not None else Intervention()
        except FAILURES as error:
            return Failed(reason(error))


def reason(error: BaseException) -> str:
    """One line that says what happened."""
    if isinstance(error, TruingError):
        return f"edit failed: {error.what}"
    kind = "out of memory" if isinstance(error, torch.OutOfMemoryError) else "numerical failure"
    told = str(error).splitlines()
    return f"edit failed: {kind}{f': {told[0]}' if told else ''}"
