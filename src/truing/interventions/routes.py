"""Routed changes in a batch: every row's prompt chooses what acts on the row, once.

Choices are made in a pass that reads prompts and remembered for the passes that go on from its KV
cache. A pass without a cache makes them anew, from the prompt's tokens alone, so that cached,
uncached and teacher-forced answers are the same.

Shape letters: B batch rows, T tokens, R rows of one change, N alternatives, I/O in and out features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from truing.errors import NotPossible
from truing.interventions.fit import Fit, check_routed, transposed
from truing.interventions.lookups import ALL, LAST, find
from truing.interventions.parts import LowRank, Part, WeightDelta
from truing.interventions.routed import ByDistance, ByKey, Routed
from truing.interventions.seats import Seats
from truing.models.positions import Layout, Positions

if TYPE_CHECKING:
    from truing.models.arch import Arch

PROMPT = Positions("prompt")
NONE = -1


class Delta:
    """A weight delta as a function of the module's input. ``out``: the output features it reaches."""

    def __init__(self, part: WeightDelta, flip: bool) -> None:
        delta = part.delta
        self.out = slice(None) if part.rows is None else slice(*part.rows)
        if isinstance(delta, LowRank):
            self._factors = [delta.right.float(), delta.left.float().T]
        else:
            stored = delta.orientation == "stored" and flip
            self._factors = [(delta.delta if stored else delta.delta.T).float()]

    def __call__(self, x_R_T_I: Tensor) -> Tensor:
        """``x dW^T``, float32."""
        if self._factors[0].device != x_R_T_I.device:
            self._factors = [factor.to(x_R_T_I.device) for factor in self._factors]
        out = x_R_T_I.float()
        for factor in self._factors:
            out = out @ factor
        return out


def distances(
    y_R_T_O: Tensor, moved_by_R_T_O: Tensor, act: Callable[[Tensor], Tensor], mask_R_T: Tensor
) -> Tensor:
    """Mean over ``mask_R_T`` of ``||act(y + moved_by) - act(y)||_2``: ``(R,)``, float32."""
    y_R_T_O = y_R_T_O.float()
    apart_R_T = (act(y_R_T_O + moved_by_R_T_O) - act(y_R_T_O)).norm(dim=-1)
    mean_R: Tensor = (apart_R_T * mask_R_T).sum(1) / mask_R_T.sum(1).clamp(min=1)
    return mean_R


class Route:
    """The k-th routed part of every change that has so many. ``modules`` are those it may change."""

    def __init__(self, arch: Arch, members: Sequence[int], parts: Sequence[Routed]) -> None:
        self._arch, self._parts = arch, list(parts)
        self._seats = Seats(members)
        self._chosen_B: Tensor | None = None
        self._at: dict[nn.Module, list[tuple[int, int, Delta]]] = {}
        for entry, part in enumerate(parts):
            for choice, deltas in enumerate(part.alternatives):
                for delta in deltas:
                    module = arch.hf.get_submodule(delta.param.rpartition(".")[0])
                    made = Delta(delta, transposed(arch, delta.param))
                    self._at.setdefault(module, []).append((entry, choice, made))

    @property
    def modules(self) -> list[nn.Module]:
        return list(self._at)

    @property
    def decides_again(self) -> bool:
        """Whether a choice may change with every token."""
        routers = [part.router for part in self._parts]
        return any(isinstance(r, ByDistance) and r.decides == "each-pass" for r in routers)

    def seat(self, index: Sequence[int] | None) -> None:
        self._seats.seat(index)

    def keep(self, index: Sequence[int]) -> None:
        """Row i of the next pass is the old row ``index[i]``."""
        if self._chosen_B is not None:
            self._chosen_B = self._chosen_B[torch.as_tensor(index, dtype=torch.long)]

    @contextmanager
    def hooked(self, layout: Callable[[], Layout]) -> Iterator[None]:
        """Inside, the hooks are on the model; ``layout`` tells the pass that is going on."""
        with ExitStack() as hooks:
            for module in self._at:
                handle = module.register_forward_hook(
                    self._hook(layout), with_kwargs=True, prepend=True
                )
                hooks.callback(handle.remove)
            routers = [p.router for p in self._parts if isinstance(p.router, ByKey)]
            for site, layer in sorted({(router.site, router.layer) for router in routers}):
                hook = self._arch.site(site, layer)
                hooks.enter_context(hook.register(self._look(site, layer, layout)))
            yield

    def _rows(self, entry: int, n_rows: int) -> Tensor:
        """The rows that carry change ``entry``."""
        if self._seats.rows_R is None:
            return torch.arange(n_rows)
        return self._seats.rows_R[self._seats.which_R == entry]

    def _decide(self, rows_R: Tensor, chosen_R: Tensor, n_rows: int) -> None:
        if self._chosen_B is None or len(self._chosen_B) != n_rows:
            self._chosen_B = torch.full((n_rows,), NONE)
        self._chosen_B[rows_R] = chosen_R.cpu()

    def _look(self, site: str, layer: int, layout: Callable[[], Layout]) -> Callable[..., None]:
        """Reads the activation at one hook point: routes by keys."""

        def look(acts_B_T_D: Tensor) -> None:
            here = layout()
            if self._seats.empty or not reads_prompt(here):
                return
            n_rows, home = len(here.ids_B_T), acts_B_T_D.device
            for entry, part in enumerate(self._parts):
                router = part.router
                if not isinstance(router, ByKey) or (router.site, router.layer) != (site, layer):
                    continue
                rows_R = self._rows(entry, n_rows)
                if len(rows_R):
                    at_R = LAST.mask(here)[rows_R].int().argmax(1)
                    asked_R_D = acts_B_T_D[rows_R.to(home), at_R.to(home)]
                    near_R, hit_R = find(router.keys.to(home), router.radii, asked_R_D)
                    lead_R = router.leads_to.to(home)[near_R]
                    self._decide(rows_R, torch.where(hit_R, lead_R, NONE), n_rows)

        return look

    def _hook(self, layout: Callable[[], Layout]) -> Callable[..., Tensor]:
        def run(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Tensor) -> Tensor:
            if self._seats.empty:
                return output
            x = args[0] if args else next(iter(kwargs.values()))
            here = layout()
            n_rows, width = here.ids_B_T.shape
            if x.numel() != n_rows * width * x.shape[-1]:
                raise NotPossible(
                    "a routed matrix meets a part of the batch's tokens only",
                    "Route changes of matrices that every token passes.",
                )
            x_B_T_I = x.reshape(n_rows, width, -1)
            y_B_T_O = output.reshape(n_rows, width, -1)
            if reads_prompt(here):
                self._measure(module, x_B_T_I, y_B_T_O, here)
            return self._changed(module, x_B_T_I, y_B_T_O).reshape(output.shape)

        return run

    def _measure(self, module: nn.Module, x_B_T_I: Tensor, y_B_T_O: Tensor, layout: Layout) -> None:
        """Routes by distance at this module."""
        home = x_B_T_I.device
        for entry, part in enumerate(self._parts):
            mine = [delta for e, _, delta in self._at[module] if e == entry]
            rows_R = self._rows(entry, len(x_B_T_I))
            if not isinstance(part.router, ByDistance) or not mine or not len(rows_R):
                continue
            over = PROMPT if part.router.decides == "once" else ALL
            rows, mask_R_T = rows_R.to(home), over.mask(layout)[rows_R].to(home)
            x_R_T_I, y_R_T_O, act = x_B_T_I[rows], y_B_T_O[rows], ACT2FN[part.router.act]
            apart_N_R = torch.stack(
                [distances(y_R_T_O[..., d.out], d(x_R_T_I), act, mask_R_T) for d in mine]
            )
            enough_N_R = apart_N_R >= part.router.thresholds.to(apart_N_R)[:, None]
            best_R = apart_N_R.masked_fill(~enough_N_R, -torch.inf).argmax(0)
            chosen_R = torch.where(enough_N_R.any(0), best_R, NONE)
            self._decide(rows_R, chosen_R, len(x_B_T_I))

    def _changed(self, module: nn.Module, x_B_T_I: Tensor, y_B_T_O: Tensor) -> Tensor:
        chosen_B = self._chosen_B
        n_rows = len(x_B_T_I)
        if chosen_B is None or len(chosen_B) != n_rows:
            raise NotPossible(
                "a pass goes on from a prompt that was read without the routed change",
                "Read the prompt under it: what acts is chosen there.",
            )
        fresh = y_B_T_O
        for entry, choice, delta in self._at[module]:
            rows_R = self._rows(entry, n_rows)
            rows = rows_R[chosen_B[rows_R] == choice].to(x_B_T_I.device)
            if not len(rows):
                continue
            if fresh is y_B_T_O:
                fresh = y_B_T_O.clone()
            old_R_T_O = fresh[rows][..., delta.out]
            new_R_T_O = (old_R_T_O.float() + delta(x_B_T_I[rows])).to(fresh.dtype)
            fresh[rows, :, delta.out] = new_R_T_O
        return fresh


def reads_prompt(layout: Layout) -> bool:
    """Whether this pass reads prompts, from their first token on."""
    if layout.phase == "prefill":
        return True
    if bool(PROMPT.mask(layout).any()):
        raise NotPossible(
            "a change that the prompt decides met a prompt that is read in pieces",
            "Read prompts in one pass: what acts is chosen by all of their tokens.",
        )
    return False


def routes(arch: Arch, parts: Sequence[Sequence[Part]]) -> list[Route]:
    """What the changes' routed parts need; of several in one change, each acts on what those
    before it leave."""
    found: list[dict[int, Routed]] = []
    fit: Fit | None = None
    for change, row in enumerate(parts):
        for number, part in enumerate(part for part in row if isinstance(part, Routed)):
            fit = fit or Fit(arch)
            check_routed(fit, part)
            if number == len(found):
                found.append({})
            found[number][change] = part
    return [Route(arch, list(members), list(members.values())) for members in reversed(found)]
