"""The baseline of every table: nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence

from truing.interventions.intervention import Intervention, Origin
from truing.methods.method import Method, MethodConfig
from truing.models.subject import Subject
from truing.types import EditRequest


class NoneConfig(MethodConfig):
    """Nothing to set."""


def make(
    model: Subject,
    requests: Sequence[EditRequest],
    config: NoneConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """``so_far`` as it is, or an intervention without parts."""
    before = so_far if so_far is not None else Intervention()
    origin = Origin.of(model, "none", config.model_dump(mode="json"), requests, so_far=so_far)
    return before.then((), origin=origin)


def each(
    model: Subject, groups: Sequence[Sequence[EditRequest]], config: NoneConfig
) -> list[Intervention]:
    return [make(model, group, config) for group in groups]


NONE = Method(
    name="none",
    make=make,
    config=NoneConfig,
    summary="the unedited model: the baseline of every table",
    paper="no edit",
    acts_on="nothing",
    by_text=True,
    each=each,
)
