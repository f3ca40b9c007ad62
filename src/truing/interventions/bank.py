"""One batch, many interventions: every row carries its own.

Low-rank deltas run as stacked side branches, ``y += (x @ right[row]) @ left[row].T``, in float32
whatever the model's dtype; activation ops run as stacked calls of their op, where the conditions that
they wait for are met; codebooks are looked up and routed changes chosen row by row. Rows without a part
at a place are not computed there.

Shape letters: B batch rows, R rows that carry a part here, E distinct entries here, T tokens,
I/O in and out features, K rank, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from truing.errors import NotPossible
from truing.interventions.fit import Fit, module_of
from truing.interventions.lookups import lookups
from truing.interventions.parts import LowRank, Part, WeightDelta, digest
from truing.interventions.routes import routes
from truing.interventions.seats import Seats
from truing.interventions.stages import Stage, stages
from truing.models.positions import Layout

if TYPE_CHECKING:
    from truing.models.arch import Arch

STACK_BYTES = 64 * 2**20
"""Above this, rows that share a change share its factors instead of holding copies."""


class Bank:
    """Hooks that give row i of a batch the parts ``rows[i]``. Implements ``asks.Rows``.

    ``every_row``: ``rows`` has one entry, which all rows of every batch carry.
    """

    def __init__(
        self, arch: Arch, rows: Sequence[Sequence[Part]], *, every_row: bool = False
    ) -> None:
        distinct: dict[str, int] = {}
        parts: list[tuple[Part, ...]] = []
        index: list[int] = []
        for row in rows:
            key = digest(row)
            if key not in distinct:
                distinct[key] = len(parts)
                parts.append(tuple(row))
            index.append(distinct[key])
        self._arch = arch
        self._index = None if every_row or len(parts) == 1 else index
        self._branches = _branches(arch, parts)
        self._stages, self._met = stages(arch, parts)
        self._lookups = lookups(arch, parts)
        self._routes = routes(arch, parts)
        self._layout: Layout | None = None
        self._told = False
        self._hooks = ExitStack()
        self._seat()

    @property
    def whole_logits(self) -> bool:
        head = self._arch.head
        modules = [branch.module for branch in self._branches]
        modules += [lookup.module for lookup in self._lookups]
        modules += [module for route in self._routes for module in route.modules]
        return any(module is head for module in modules) or any(
            site in ("head_in", "logits") for site, _ in self._stages
        )

    @property
    def whole_prompt(self) -> bool:
        chosen = bool(self._routes) or self._met.n_conditions > 0
        return chosen or any(lookup.asks_again for lookup in self._lookups)

    @property
    def rereads(self) -> bool:
        return any(route.decides_again for route in self._routes)

    def __enter__(self) -> Bank:
        with ExitStack() as hooks:
            for route in self._routes:
                hooks.enter_context(route.hooked(self._told_layout))
            for branch in self._branches:
                handle = branch.module.register_forward_hook(
                    branch.hook, with_kwargs=True, prepend=True
                )  # first: a weight is inside its module, whatever else looks at the output
                hooks.callback(handle.remove)
            for lookup in self._lookups:
                handle = lookup.module.register_forward_hook(
                    lookup.hook(self._told_layout), with_kwargs=True
                )
                hooks.callback(handle.remove)
            for (site, layer), here in self._stages.items():
                hook = self._arch.site(site, layer)
                hooks.callback(hook.register(self._runner(here)).remove)
            if self._stages or self._lookups or self._routes:
                hf = self._arch.hf
                hooks.callback(hf.register_forward_pre_hook(self._look, with_kwargs=True).remove)
                hooks.callback(hf.register_forward_hook(self._forget, always_call=True).remove)
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._hooks.close()

    def at(self, layout: Layout) -> None:
        self._layout, self._told = layout, True

    def keep(self, index: Sequence[int]) -> None:
        for route in self._routes:
            route.keep(index)
        self._met.keep(index)
        if self._index is not None:
            self._index = [self._index[i] for i in index]
            self._seat()

    def _seat(self) -> None:
        for branch in self._branches:
            branch.seat(self._index)
        for lookup in self._lookups:
            lookup.seat(self._index)
        for route in self._routes:
            route.seat(self._index)
        for here in self._stages.values():
            for stage in here:
                stage.seats.seat(self._index)

    def _look(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        """A forward pass that nobody announced: read its layout from its inputs."""
        if not self._told:
            self._layout = Layout.of_forward(args, kwargs)

    def _forget(self, module: nn.Module, args: Any, output: Any) -> None:
        self._layout, self._told = None, False

    def _told_layout(self) -> Layout:
        if self._layout is None:
            raise NotPossible(
                "an activation op met a forward pass of a part of the model",
                "Call the whole model, so that it can be told prompt from padding.",
            )
        return self._layout

    def _runner(self, here: Sequence[Stage]) -> Any:
        def run(acts: Tensor) -> Tensor:
            layout = self._told_layout()
            for stage in here:
                acts = stage(acts, layout)
            return acts

        return run


class _Branch:
    """The side branch of one parameter (one range of its output rows, one bucket of ranks)."""

    def __init__(
        self,
        module: nn.Module,
        rows: tuple[int, int] | None,
        members: Sequence[int],
        deltas: Sequence[LowRank],
    ) -> None:
        self.module = module
        self.rows = slice(None) if rows is None else slice(*rows)
        self.seats = Seats(members)
        self.left_E_O_K = _stack([d.left for d in deltas])
        self.right_E_I_K = _stack([d.right for d in deltas])
        self._taken: tuple[Tensor, Tensor] | None = None

    def seat(self, index: Sequence[int] | None) -> None:
        self.seats.seat(index)
        self._taken = None

    def hook(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Tensor) -> Tensor:
        if self.seats.empty:
            return output
        x = args[0] if args else next(iter(kwargs.values()))
        n_rows = self.seats.n_rows
        if isinstance(module, nn.Embedding):
            return self._embed(x, output)
        if n_rows is not None and x.ndim == 2:  # (rows x tokens, features)
            y_B_T_O = output.reshape(n_rows, -1, output.shape[-1])
            return self._add(x.reshape(n_rows, -1, x.shape[-1]), y_B_T_O).flatten(0, 1)
        return self._add(x, output)

    def _add(self, x_B_T_I: Tensor, y_B_T_O: Tensor) -> Tensor:
        rows_R = self.seats.rows_R
        if rows_R is None:
            left, right = self._factors(x_B_T_I.device)
            delta = (x_B_T_I.float() @ right[0]) @ left[0].T
            return _plus(y_B_T_O, None, self.rows, delta)
        rows_R = rows_R.to(x_B_T_I.device)
        x_R_T_I = x_B_T_I if len(rows_R) == len(x_B_T_I) else x_B_T_I[rows_R]
        return _plus(y_B_T_O, rows_R, self.rows, self._each(x_R_T_I.float()))

    def _each(self, x_R_T_I: Tensor) -> Tensor:
        """``(R, T, O)``: every row through its own factors."""
        left, right = self._factors(x_R_T_I.device)
        which = self.seats.which_R
        one = 4 * right[0].numel() + 4 * left[0].numel()
        if one * len(which) <= STACK_BYTES:
            if self._taken is None:
                at = which.to(left.device)
                self._taken = (left[at], right[at])
            left_R_O_K, right_R_I_K = self._taken
            return (x_R_T_I @ right_R_I_K) @ left_R_O_K.transpose(1, 2)
        out = x_R_T_I.new_empty(*x_R_T_I.shape[:2], left.shape[1])
        for entry in sorted(set(which.tolist())):
            mine = (which == entry).nonzero()[:, 0].to(out.device)
            out[mine] = (x_R_T_I[mine] @ right[entry]) @ left[entry].T
        return out

    def _embed(self, ids_B_T: Tensor, y_B_T_D: Tensor) -> Tensor:
        """``W[ids] += left[ids] @ right.T`` (the table is stored one row per id)."""
        left, right = self._factors(y_B_T_D.device)
        rows_R = self.seats.rows_R
        if rows_R is None:
            return _plus(y_B_T_D, None, slice(None), left[0][ids_B_T] @ right[0].T)
        n_rows = self.seats.n_rows
        assert n_rows is not None
        ids_B_T = ids_B_T.expand(n_rows, -1)
        y_B_T_D = y_B_T_D.expand(n_rows, -1, -1)
        rows_R = rows_R.to(y_B_T_D.device)
        which_R = self.seats.which_R.to(y_B_T_D.device)
        delta = left[which_R[:, None], ids_B_T[rows_R]] @ right[which_R].transpose(1, 2)
        return _plus(y_B_T_D, rows_R, slice(None), delta)

    def _factors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if self.left_E_O_K.device != device:
            self.left_E_O_K = self.left_E_O_K.to(device)
            self.right_E_I_K = self.right_E_I_K.to(device)
        return self.left_E_O_K, self.right_E_I_K


def _plus(y_B_T_O: Tensor, rows_R: Tensor | None, out: slice, delta_R_T_O: Tensor) -> Tensor:
    """``y`` with the float32 ``delta`` added at some rows and output features, out of place."""
    whole = rows_R is None or len(rows_R) == len(y_B_T_O)
    if whole and out == slice(None):
        return (y_B_T_O.float() + delta_R_T_O).to(y_B_T_O.dtype)
    y_B_T_O = y_B_T_O.clone()
    if whole:
        part = y_B_T_O[..., out]
        y_B_T_O[..., out] = (part.float() + delta_R_T_O).to(part.dtype)
    else:
        part = y_B_T_O[rows_R][..., out]
        y_B_T_O[rows_R, :, out] = (part.float() + delta_R_T_O).to(part.dtype)
    return y_B_T_O


def _stack(factors: Sequence[Tensor]) -> Tensor:
    """``(E, n, K)`` float32, ranks padded with zeros."""
    rank = max(f.shape[1] for f in factors)
    out = torch.zeros(len(factors), factors[0].shape[0], rank, device=factors[0].device)
    for at, factor in enumerate(factors):
        out[at, :, : factor.shape[1]] = factor
    return out


def _branches(arch: Arch, parts: Sequence[Sequence[Part]]) -> list[_Branch]:
    found: dict[tuple[str, tuple[int, int] | None, int], dict[int, LowRank]] = {}
    fit = Fit(arch) if any(isinstance(part, WeightDelta) for row in parts for part in row) else None
    for change, row in enumerate(parts):
        weights = [part for part in row if isinstance(part, WeightDelta)]
        if fit is not None:
            fit.targets(weights)  # raises where they do not fit
        for part in weights:
            if not isinstance(part.delta, LowRank):
                raise NotPossible(
                    f"a dense delta of '{part.param}' cannot be one row of a batch",
                    "Use model.using(...), or ask through score/generate, which group it.",
                )
            bucket = (part.delta.rank - 1).bit_length()
            key = (part.param, part.rows, bucket)
            while change in found.setdefault(key, {}):  # a second delta of the same place
                bucket += 64
                key = (part.param, part.rows, bucket)
            found[key][change] = part.delta
    return [
        _Branch(module_of(arch, param, rows), rows, list(members), list(members.values()))
        for (param, rows, _), members in found.items()
    ]
