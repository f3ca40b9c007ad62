"""Activation ops in a batch, and the conditions that some of them wait for.

A condition is asked in the pass that reads the prompts, and its answer kept for the passes that go on
from the KV cache. A pass without a cache asks anew, of the prompt's tokens alone, so that cached,
uncached and teacher-forced answers are the same.

Shape letters: B batch rows, R rows that carry a part here, E distinct entries here, C conditions of a
change, P distinct positions, T tokens, M directions, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from truing.errors import NotPossible
from truing.interventions.conditional import Condition, Conditional, Rule, similarities
from truing.interventions.fit import check_conditional
from truing.interventions.latents import read
from truing.interventions.ops import OPS
from truing.interventions.parts import ActivationOp, Part
from truing.interventions.routes import reads_prompt
from truing.interventions.seats import Seats
from truing.models.positions import Layout, Positions

if TYPE_CHECKING:
    from truing.models.arch import Arch

Place = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Ask:
    """A condition and its number in its change."""

    part: Condition
    number: int

    @property
    def kind(self) -> tuple[str, int]:
        return self.part.similarity, 0


@dataclass(frozen=True, eq=False)
class Act:
    """An op and the conditions of its change that it waits for; without any, it always acts."""

    part: ActivationOp
    rule: Rule = "all"
    waits: tuple[int, ...] = ()

    @property
    def kind(self) -> tuple[str, int]:
        vector = self.part.vector
        return self.part.op, vector.shape[0] if vector.ndim == 2 else 1


class Met:
    """Which conditions of its change each row's prompt meets. A change numbers its conditions."""

    def __init__(self, n_conditions: int) -> None:
        self.n_conditions = n_conditions
        self._met_B_C = torch.zeros(0, n_conditions, dtype=torch.bool)

    def keep(self, index: Sequence[int]) -> None:
        """Row i of the next pass is the old row ``index[i]``."""
        if len(self._met_B_C):
            self._met_B_C = self._met_B_C[torch.as_tensor(index, dtype=torch.long)]

    def note(self, rows_R: Tensor, numbers_R: Tensor, met_R: Tensor, n_rows: int) -> None:
        """The answers to conditions ``numbers_R`` of ``rows_R`` of ``n_rows``."""
        if len(self._met_B_C) != n_rows:
            self._met_B_C = torch.zeros(n_rows, self.n_conditions, dtype=torch.bool)
        self._met_B_C[rows_R, numbers_R] = met_R.cpu()

    def of(self, rows_R: Tensor, n_rows: int) -> Tensor:
        """Bool ``(R, C)``."""
        if len(self._met_B_C) != n_rows:
            raise NotPossible(
                "a pass goes on from a prompt that was read without the conditional op",
                "Read the prompt under it: whether it acts is decided there.",
            )
        return self._met_B_C[rows_R]


class _Masks:
    """Where the entries of a stage look or act."""

    def __init__(self, positions: Sequence[Positions]) -> None:
        self._distinct = list(dict.fromkeys(positions))
        self._place_E = torch.tensor([self._distinct.index(p) for p in positions])

    def __call__(self, layout: Layout, which_R: Tensor, rows_R: Tensor) -> Tensor:
        """Bool ``(R, T)``."""
        masks_P_B_T = torch.stack([p.mask(layout) for p in self._distinct])
        return masks_P_B_T[self._place_E[which_R], rows_R]


class Asked:
    """The k-th part of every row at one hook point, for conditions of one kind of similarity."""

    def __init__(self, members: Sequence[int], asks: Sequence[Ask], met: Met) -> None:
        conditions = [ask.part for ask in asks]
        self.seats = Seats(members)
        self._met = met
        self._kind = conditions[0].similarity
        self._numbers_E = torch.tensor([ask.number for ask in asks])
        self._vectors_E_D = torch.stack([c.vector.detach().cpu().float() for c in conditions])
        self._threshold_E = torch.tensor([c.threshold for c in conditions])
        self._sign_E = torch.tensor([1.0 if c.meets == "above" else -1.0 for c in conditions])
        self._masks = _Masks([c.positions for c in conditions])

    def __call__(self, acts_B_T_D: Tensor, layout: Layout) -> Tensor:
        if self.seats.empty or not reads_prompt(layout):
            return acts_B_T_D
        n_rows, home = len(acts_B_T_D), acts_B_T_D.device
        which_R, rows_R = self.seats.of(n_rows)
        mask_R_T = self._masks(layout, which_R, rows_R).to(home)
        acts_R_T_D = acts_B_T_D[rows_R.to(home)].float()
        summed_R_D = acts_R_T_D.masked_fill(~mask_R_T[:, :, None], 0.0).sum(1)
        asked_R_D = summed_R_D / mask_R_T.sum(1, keepdim=True)  # no such token: nan, meets nothing
        found_R = similarities(self._kind, asked_R_D, self._vectors_E_D[which_R].to(home)).cpu()
        over_R = self._sign_E[which_R] * (found_R - self._threshold_E[which_R])
        self._met.note(rows_R, self._numbers_E[which_R], over_R > 0, n_rows)
        return acts_B_T_D


class Acting:
    """The k-th part of every row at one hook point, for one kind of op."""

    def __init__(self, members: Sequence[int], acts: Sequence[Act], met: Met) -> None:
        ops = [act.part for act in acts]
        op = OPS.get(ops[0].op)
        inf = float("inf")
        self.seats = Seats(members)
        self._met = met
        self._run = op.run
        self._vectors_E_M_D = torch.stack([op.prepare(o.vector.detach().cpu()) for o in ops])
        self._latents = _latents(ops)
        self._numbers_3_E = torch.tensor(
            [
                [o.scale for o in ops],
                [-inf if o.low is None else o.low for o in ops],
                [inf if o.high is None else o.high for o in ops],
            ],
            dtype=torch.float32,
        )
        self._masks = _Masks([o.positions for o in ops])
        self._waiting = any(act.waits for act in acts)
        self._all_E = torch.tensor([act.rule == "all" for act in acts])
        self._for_E_C = torch.zeros(len(ops), met.n_conditions, dtype=torch.bool)
        for entry, act in enumerate(acts):
            self._for_E_C[entry, list(act.waits)] = True

    def __call__(self, acts_B_T_D: Tensor, layout: Layout) -> Tensor:
        if self.seats.empty:
            return acts_B_T_D
        n_rows, home = len(acts_B_T_D), acts_B_T_D.device
        which_R, rows_R = self.seats.of(n_rows)
        mask_R_T = self._masks(layout, which_R, rows_R)
        if self._waiting:
            mask_R_T = mask_R_T & self._open(which_R, rows_R, n_rows)[:, None]
        whole = self.seats.rows_R is None
        acts_R_T_D = acts_B_T_D if whole else acts_B_T_D[rows_R.to(home)]
        vectors_R_M_D = _rows(self._vectors_E_M_D.to(home), which_R)
        numbers_3_R = self._numbers_3_E[:, which_R].to(home)
        wide_R_T_D = acts_R_T_D.float()
        if self._latents:
            read_R_T_M = read(wide_R_T_D, *(_rows(t.to(home), which_R) for t in self._latents))
            new = wide_R_T_D + self._run(read_R_T_M, vectors_R_M_D, *numbers_3_R)
        else:
            new = self._run(wide_R_T_D, vectors_R_M_D, *numbers_3_R)
        new = torch.where(mask_R_T.to(home)[:, :, None], new.to(acts_R_T_D.dtype), acts_R_T_D)
        return new if whole else acts_B_T_D.index_copy(0, rows_R.to(home), new)

    def _open(self, which_R: Tensor, rows_R: Tensor, n_rows: int) -> Tensor:
        """Bool ``(R,)``: whose conditions are met."""
        met_R_C, for_R_C = self._met.of(rows_R, n_rows), self._for_E_C[which_R]
        every_R, some_R = (met_R_C | ~for_R_C).all(1), (met_R_C & for_R_C).any(1)
        return torch.where(self._all_E[which_R], every_R, some_R)


def _latents(ops: Sequence[ActivationOp]) -> tuple[Tensor, ...]:
    """Weights ``(E, M, D)``, biases and thresholds ``(E, M)`` of ops that read latents, float32."""
    found = [tuple(op.latents.tensors.values()) for op in ops if op.latents is not None]
    return tuple(
        torch.stack([t.detach().cpu().float() for t in each]) for each in zip(*found, strict=True)
    )


def _rows(entries: Tensor, which_R: Tensor) -> Tensor:
    """Every row's entry; a lone entry is shared, not copied."""
    if len(entries) == 1:
        return entries.expand(len(which_R), *entries.shape[1:])
    return entries[which_R.to(entries.device)]


Stage = Asked | Acting


def stages(arch: Arch, parts: Sequence[Sequence[Part]]) -> tuple[dict[Place, list[Stage]], Met]:
    """Per hook point its stages in order, and where they keep what prompts meet. Rows with a part of
    another kind, or of another number of directions, follow."""
    found: dict[Place, dict[tuple[int, str, int], dict[int, Ask | Act]]] = {}
    most = 0
    for change, row in enumerate(parts):
        depth: dict[Place, int] = {}
        steps = _steps(arch, row)
        most = max(most, sum(isinstance(step, Ask) for step in steps))
        for step in steps:
            place = (step.part.site, step.part.layer)
            at = depth[place] = depth.get(place, -1) + 1
            found.setdefault(place, {}).setdefault((at, *step.kind), {})[change] = step
    met = Met(most)
    return {
        place: [_stage(members, met) for _, members in sorted(kinds.items(), key=lambda k: k[0])]
        for place, kinds in found.items()
    }, met


def _steps(arch: Arch, row: Sequence[Part]) -> list[Ask | Act]:
    """A change's conditions and ops in order; a part's conditions before its ops."""
    steps: list[Ask | Act] = []
    asked = 0
    for part in row:
        if isinstance(part, ActivationOp):
            steps.append(Act(part))
        elif isinstance(part, Conditional):
            check_conditional(arch, part)
            numbers = tuple(range(asked, asked + len(part.conditions)))
            asked += len(numbers)
            steps += [Ask(each, n) for n, each in zip(numbers, part.conditions, strict=True)]
            steps += [Act(op, part.rule, numbers) for op in part.ops]
    return steps


def _stage(members: Mapping[int, Ask | Act], met: Met) -> Stage:
    asks = [step for step in members.values() if isinstance(step, Ask)]
    if asks:
        return Asked(list(members), asks, met)
    return Acting(list(members), [s for s in members.values() if isinstance(s, Act)], met)
