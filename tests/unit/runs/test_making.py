from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

import toy_runs
from truing.errors import NotPossible
from truing.interventions.intervention import Intervention
from truing.models.handle import Model
from truing.runs.making import Failed, Maker
from truing.types import EditRequest

REQUESTS = [EditRequest(f"r{i}", f"The Glass Gate {i} is in", "Orvale") for i in range(8)]


@pytest.fixture(scope="module")
def model() -> Model:
    return toy_runs.toy_model()


def maker(model: Model, **config: Any) -> Maker:
    return Maker(model, toy_runs.NUDGE, toy_runs.NudgeConfig(**config))


def test_made_together_is_made_alone(model: Model) -> None:
    made = maker(model).independent([[r] for r in REQUESTS])
    alone = [maker(model).next([r], None) for r in REQUESTS]
    assert [m.id for m in made if isinstance(m, Intervention)] == [
        m.id for m in alone if isinstance(m, Intervention)
    ]
    assert len(made) == 8


def test_a_bad_one_is_found_and_the_others_stay_together(model: Model) -> None:
    sizes: list[int] = []

    def each(
        model: Model, groups: Sequence[Sequence[EditRequest]], config: Any
    ) -> list[Intervention]:
        sizes.append(len(groups))
        return toy_runs.each(model, groups, config)

    counted = Maker(
        model, replace(toy_runs.NUDGE, each=each), toy_runs.NudgeConfig(fail=("Gate 5",))
    )
    made = counted.independent([[r] for r in REQUESTS])
    assert [isinstance(m, Failed) for m in made] == [i == 5 for i in range(8)]
    assert sizes == [8, 4, 4, 2, 2]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory"),
        (torch.linalg.LinAlgError("singular"), "numerical failure: singular"),
    ],
)
def test_failures_of_the_machine_are_failures_of_the_edit(
    model: Model, error: Exception, told: str
) -> None:
    def broken(*_: Any) -> Intervention:
        raise error

    found = Maker(model, replace(toy_runs.NUDGE, make=broken), toy_runs.NudgeConfig()).next(
        REQUESTS, None
    )
    assert isinstance(found, Failed)
    assert told in found.reason


def test_what_cannot_work_at_all_is_no_failed_edit(model: Model) -> None:
    def never(*_: Any) -> Intervention:
        raise NotPossible("no", "Else.")

    with pytest.raises(NotPossible):
        Maker(model, replace(toy_runs.NUDGE, make=never), toy_runs.NudgeConfig()).next(
            REQUESTS, None
        )


def test_methods_that_take_one_request_are_chained(model: Model) -> None:
    alone = replace(toy_runs.NUDGE, batch=False)
    chained = Maker(model, alone, toy_runs.NudgeConfig()).next(REQUESTS[:3], None)
    together = maker(model).next(REQUESTS[:3], None)
    assert isinstance(chained, Intervention)
    assert isinstance(together, Intervention)
    assert chained.origin.requests == together.origin.requests
    assert int(chained.memo["count"]) == 3
