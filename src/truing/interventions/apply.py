"""Applying an intervention to a whole live model, and taking it back.

The only place that writes into a model's parameters. An applied weight is
``(float32(base) + delta)`` cast to the parameter's dtype once; restoring copies the saved tensor
back, it never subtracts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from truing.errors import NotPossible
from truing.interventions.bank import Bank
from truing.interventions.conditional import Conditional
from truing.interventions.fit import Fit, transposed
from truing.interventions.parts import (
    ActivationOp,
    Codebook,
    Dense,
    LowRank,
    Part,
    WeightDelta,
)
from truing.interventions.routed import Routed
from truing.models.positions import Layout

if TYPE_CHECKING:
    from truing.models.arch import Arch


class Applied:
    """The whole model under ``parts``. A context manager; implements ``asks.Rows``.

    Weights are changed in place on entry and restored bit for bit on exit, also when entering
    fails half-way. Everything else acts on every row of every forward pass.
    """

    def __init__(self, arch: Arch, parts: Sequence[Part]) -> None:
        self._arch = arch
        self._weights = [part for part in parts if isinstance(part, WeightDelta)]
        acting = tuple(
            p for p in parts if isinstance(p, ActivationOp | Codebook | Conditional | Routed)
        )
        self._bank = Bank(arch, [acting], every_row=True)
        self._undo = ExitStack()

    def __enter__(self) -> Applied:
        plan = Fit(self._arch).targets(self._weights)
        with ExitStack() as undo:
            for parameter, deltas in plan:
                saved = parameter.detach().clone()
                undo.callback(_restore, parameter, saved)
                _write(
                    parameter, _edited(parameter, deltas, transposed(self._arch, deltas[0].param))
                )
            undo.enter_context(self._bank)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._undo.close()

    def at(self, layout: Layout) -> None:
        self._bank.at(layout)

    def keep(self, index: Sequence[int]) -> None:
        self._bank.keep(index)

    @property
    def whole_logits(self) -> bool:
        return self._bank.whole_logits

    @property
    def whole_prompt(self) -> bool:
        return self._bank.whole_prompt

    @property
    def rereads(self) -> bool:
        return self._bank.rereads


def edited(arch: Arch, parts: Sequence[Part]) -> dict[str, Tensor]:
    """New values of the parameters that ``parts`` change, by name, in the parameters' dtypes."""
    weights = [part for part in parts if isinstance(part, WeightDelta)]
    return {
        deltas[0].param: _edited(parameter, deltas, transposed(arch, deltas[0].param))
        for parameter, deltas in Fit(arch).targets(weights)
    }


def _edited(parameter: Tensor, deltas: Sequence[WeightDelta], flip: bool) -> Tensor:
    """``(wide(parameter) + deltas)`` cast to the parameter's dtype once."""
    name = deltas[0].param
    if not parameter.is_floating_point() or parameter.itemsize < 2:
        raise NotPossible(
            f"'{name}' is stored as {parameter.dtype}: a quantised weight cannot be edited in place",
            "Low-rank changes work per row (score, generate); or load the model unquantised.",
        )
    if parameter.is_meta:
        raise NotPossible(
            f"'{name}' is offloaded and not in memory", "Load the model without offloading."
        )
    wide = torch.promote_types(parameter.dtype, torch.float32)
    master = parameter.detach().to(wide, copy=True)
    for part in deltas:
        delta = part.delta
        rows = slice(None) if part.rows is None else slice(*part.rows)
        if isinstance(delta, Dense) and delta.orientation == "stored":
            view = master[:, rows] if flip else master[rows]
            view += delta.delta.to(master.device, wide)
        else:
            full = delta.math() if isinstance(delta, LowRank) else delta.delta
            view = master.T[rows] if flip else master[rows]
            view += full.to(master.device, wide)
    return master.to(parameter.dtype)


def _write(parameter: nn.Parameter, value: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(value)


def _restore(parameter: nn.Parameter, saved: Tensor) -> None:
    _write(parameter, saved)
