"""The value v* that an edited matrix (or block) should put out at the subject's last token.

One vector delta per request is added at that token in every row of the request and optimised with
Adam: -log p(target) averaged over contexts, plus a KL term that keeps what the subject is, plus
weight decay. Requests are independent problems of one batch: their results do not depend on each
other. Meng et al. 2022, eq. 4; Meng et al. 2023, eq. 16. Several places get a delta each, optimised
together under the one loss (Li et al. 2024, PMET).

Shape letters: N requests, P places, B rows over all requests, R reads over all rows, D width,
V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor

from truing.errors import EditFailed
from truing.methods.kernels.adam import Adam
from truing.methods.kernels.capture import Place
from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import best_passes, frozen
from truing.models.handle import Model

STAY = 0.875
"""A batch goes on without its finished wishes once no more than this share of it is active."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Settings of the optimisation.

    ``steps`` passes are made, the last without an update (so at most steps - 1 updates), fewer
    once the loss is below ``stop_below``. ``weight_decay`` multiplies ||delta|| / ||start||^2,
    ``clamp`` bounds ||delta|| by clamp x ||start||, ``kl`` weighs KL(edited || unedited) of the
    next-token distribution at the subject's last token of "{subject} is a".
    """

    steps: int
    lr: float
    weight_decay: float
    clamp: float
    kl: float
    stop_below: float = 0.05


@dataclass(frozen=True, slots=True)
class Won:
    """What changes for a request while every label is the likeliest token: its NLL weighs
    ``weight`` in the next pass, and it is done where its weighted KL term is at most ``kl``."""

    weight: float
    kl: float


@dataclass(frozen=True, slots=True)
class Wish:
    """One request: ``rewrites`` (the bare prompt first) read the target, ``essence`` the KL."""

    name: str
    rewrites: tuple[Line, ...]
    essence: Line

    @property
    def lines(self) -> tuple[Line, ...]:
        return (*self.rewrites, self.essence)

    @property
    def reads(self) -> int:
        return sum(len(line.reads) for line in self.lines)

    @property
    def tail(self) -> int:
        """Tokens of the longest line from the subject's last on."""
        return max(len(line.ids) - line.at for line in self.lines)


@dataclass(frozen=True)
class Wanted:
    """``start_D``: what the place puts out for the bare prompt; ``delta_D``: what was found. Both
    float32. ``losses``/``nlls`` (nats) are those of every pass, ``nlls`` without KL and decay."""

    start_D: Tensor
    delta_D: Tensor
    losses: tuple[float, ...]
    nlls: tuple[float, ...]

    @property
    def value_D(self) -> Tensor:
        """v* = start + delta."""
        return self.start_D + self.delta_D


def optimise(
    model: Model, place: Place, wishes: Sequence[Wish], objective: Objective
) -> list[Wanted]:
    """v* at ``place`` for every wish, in order.

    Raises ``EditFailed`` naming the requests whose loss is not finite.
    """
    return [wanted for (wanted,) in optimise_together(model, [place], wishes, objective)]


def optimise_together(
    model: Model,
    places: Sequence[Place],
    wishes: Sequence[Wish],
    objective: Objective,
    won: Won | None = None,
) -> list[tuple[Wanted, ...]]:
    """For every wish a value at each of ``places``, which all serve the one loss. Raises as
    :func:`optimise`."""
    found: dict[int, tuple[Wanted, ...]] = {}
    waiting = sorted(range(len(wishes)), key=lambda number: wishes[number].tail)
    while waiting:
        take = _how_many(model, [wishes[number] for number in waiting])
        batch = waiting[:take]
        try:
            values = _Search(model, places, [wishes[i] for i in batch], objective, won).run()
        except torch.OutOfMemoryError:
            if take == 1:
                raise
            model.budget.tokens = max(1, model.budget.tokens // 2)
            torch.cuda.empty_cache()
            continue
        found |= dict(zip(batch, values, strict=True))
        waiting = waiting[take:]
    return [found[number] for number in range(len(wishes))]


def _how_many(model: Model, wishes: Sequence[Wish]) -> int:
    """How many wishes (from the first) make one batch. Whole lines stay within the token budget,
    and what is differentiated, whose activations are kept, within a quarter of it and 2^26 logits.
    """
    vocabulary = int(model.hf.config.get_text_config().vocab_size)
    width = tail = rows = reads = 0
    for number, wish in enumerate(wishes):
        width = max(width, *(len(line.ids) for line in wish.lines))
        tail = max(tail, wish.tail)
        rows, reads = rows + len(wish.lines), reads + wish.reads
        budget = model.budget.tokens
        if number and (
            rows * width > budget or rows * tail > budget // 4 or reads * vocabulary > 2**26
        ):
            return number
    return len(wishes)


@dataclass(frozen=True)
class _Books:
    """Which row and which read belongs to which wish. ``wish_B``: of each row. Of each label (L):
    its read, wish, token and share in the mean. ``essence_N``: the read that the KL compares."""

    wish_B: Tensor
    read_L: Tensor
    wish_L: Tensor
    label_L: Tensor
    share_L: Tensor
    essence_N: Tensor

    @classmethod
    def of(cls, wishes: Sequence[Wish]) -> _Books:
        wish_B: list[int] = []
        labels: list[tuple[int, int, int, float]] = []
        essence_N: list[int] = []
        read = 0
        for number, wish in enumerate(wishes):
            wish_B += [number] * len(wish.lines)
            for line in wish.rewrites:
                share = 1 / (len(wish.rewrites) * len(line.labels))
                labels += [(read + i, number, t, share) for i, t in enumerate(line.labels)]
                read += len(line.reads)
            essence_N.append(read)
            read += 1
        reads, owners, tokens, shares = zip(*labels, strict=True)
        return cls(
            torch.tensor(wish_B),
            torch.tensor(reads),
            torch.tensor(owners),
            torch.tensor(tokens),
            torch.tensor(shares),
            torch.tensor(essence_N),
        )

    def to(self, home: torch.device) -> _Books:
        return _Books(*(getattr(self, f.name).to(home) for f in fields(self)))


class _Search:
    """A batch of wishes on its way to their values. ``live``: numbers of the wishes in the batch;
    every tensor with N has one row per live wish."""

    def __init__(
        self,
        model: Model,
        places: Sequence[Place],
        wishes: Sequence[Wish],
        objective: Objective,
        won: Won | None = None,
    ) -> None:
        self._model, self._places, self._wishes = model, places, wishes
        self._objective, self._won = objective, won
        lines = [line for wish in wishes for line in wish.lines]
        above = min(place.layer + (place.site == "resid_post") for place in places)
        seen: dict[int, Tensor] = {}

        def see(number: int, acts_B_T_D: Tensor) -> None:
            seen.setdefault(number, acts_B_T_D.detach())

        firsts = [line.at for line in lines]
        self._passes, unedited_R_V = best_passes(model, lines, firsts, above, self._hooked(see))
        home = unedited_R_V.device
        self._books = _Books.of(wishes).to(home)
        self._unedited_N_V = unedited_R_V[self._books.essence_N].log_softmax(-1)
        starts = [_bare(seen[number], wishes).to(home) for number in range(len(places))]
        self._start_N_P_D = torch.stack(starts, 1)
        self._starts = self._start_N_P_D
        self._live = list(range(len(wishes)))
        self._delta_N_P_D = torch.zeros_like(self._start_N_P_D)
        self._active_N = torch.ones(len(wishes), dtype=torch.bool, device=home)
        self._weight_N = torch.ones(len(wishes), device=home)
        self._adam = Adam(self._delta_N_P_D, objective.lr)
        self._found = torch.zeros_like(self._start_N_P_D)
        self._losses: list[list[float]] = [[] for _ in wishes]
        self._nlls: list[list[float]] = [[] for _ in wishes]

    @contextmanager
    def _hooked(self, act: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
        """Inside, ``act`` meets the activations of every place, by its number."""
        with ExitStack() as stack:
            for number, place in enumerate(self._places):
                stack.enter_context(place.hook(self._model).register(partial(act, number)))
            yield

    def run(self) -> list[tuple[Wanted, ...]]:
        with frozen(self._model.hf):
            for step in range(self._objective.steps):
                self._delta_N_P_D.requires_grad_(True)
                loss_N, nll_N = self._measure()
                self._note(loss_N.tolist(), nll_N.tolist())
                self._active_N &= ~self._done_N & (loss_N.detach() >= self._objective.stop_below)
                if step == self._objective.steps - 1 or not bool(self._active_N.any()):
                    break
                self._move(loss_N)
                if int(self._active_N.sum()) <= STAY * len(self._live):
                    self._leave()
        self._found[self._live] = self._delta_N_P_D.detach()
        return [
            tuple(
                Wanted(start_D, delta_D, tuple(losses), tuple(nlls))
                for start_D, delta_D in zip(start_P_D, delta_P_D, strict=True)
            )
            for start_P_D, delta_P_D, losses, nlls in zip(
                self._starts, self._found, self._losses, self._nlls, strict=True
            )
        ]

    def _measure(self) -> tuple[Tensor, Tensor]:
        """Loss and NLL of every live wish."""
        with self._hooked(self._add):
            logits_R_V = self._passes.logits()
        books, objective = self._books, self._objective
        logits_L_V = logits_R_V[books.read_L]
        picked_L = logits_L_V.gather(1, books.label_L[:, None])[:, 0]
        nll_L = (logits_L_V.logsumexp(-1) - picked_L) * books.share_L
        zeros_N = torch.zeros_like(self._weight_N)
        nll_N = zeros_N.index_add(0, books.wish_L, nll_L)
        now_N_V = logits_R_V[books.essence_N].log_softmax(-1)
        kl_N = objective.kl * (now_N_V.exp() * (now_N_V - self._unedited_N_V)).sum(-1)
        decay_N = (self._delta_N_P_D.norm(dim=-1) / self._start_N_P_D.norm(dim=-1) ** 2).sum(-1)
        loss_N = self._weight_N * nll_N + kl_N + objective.weight_decay * decay_N
        self._done_N = torch.zeros_like(self._active_N)
        if self._won is not None:
            missed_L = (logits_L_V.argmax(-1) != books.label_L).float()
            won_N = zeros_N.index_add(0, books.wish_L, missed_L) == 0
            self._done_N = won_N & (kl_N.detach() <= self._won.kl)
            self._weight_N = torch.where(won_N, self._won.weight, 1.0)
        return loss_N, nll_N

    def _add(self, number: int, acts_B_T_D: Tensor) -> Tensor:
        """The activations of a place with every row's delta at its token."""
        home = acts_B_T_D.device
        wish_B = self._books.wish_B.to(home)
        at = (torch.arange(len(wish_B), device=home), self._passes.at_B.to(home))
        delta_B_D = self._delta_N_P_D[:, number].to(home, acts_B_T_D.dtype)[wish_B]
        return acts_B_T_D.index_put(at, delta_B_D, accumulate=True)

    def _note(self, losses: Sequence[float], nlls: Sequence[float]) -> None:
        failed = []
        for at, active in enumerate(self._active_N.tolist()):
            if active:
                self._losses[self._live[at]].append(losses[at])
                self._nlls[self._live[at]].append(nlls[at])
                if not math.isfinite(losses[at]):
                    failed.append(self._wishes[self._live[at]].name)
        if failed:
            raise EditFailed(
                f"the loss of {', '.join(repr(name) for name in failed)} is not finite after "
                f"{len(self._losses[self._live[0]]) - 1} updates",
                "Lower lr or clamp, or load the model in float32 or bfloat16.",
            )

    def _move(self, loss_N: Tensor) -> None:
        """One Adam step, then back into the ball of radius clamp x ||start||."""
        (grads,) = torch.autograd.grad(loss_N[self._active_N].sum(), self._delta_N_P_D)
        moved = self._adam.step(self._delta_N_P_D.detach(), grads, self._active_N)
        limit_N_P = self._objective.clamp * self._start_N_P_D.norm(dim=-1)
        norm_N_P = moved.norm(dim=-1)
        scale_N_P = torch.where(
            norm_N_P > limit_N_P, limit_N_P / norm_N_P, torch.ones_like(norm_N_P)
        )
        self._delta_N_P_D = moved * scale_N_P[..., None]

    def _leave(self) -> None:
        """Finished wishes leave the batch with what they have."""
        self._found[self._live] = self._delta_N_P_D
        left_N = self._active_N.nonzero()[:, 0]
        staying = set(left_N.tolist())
        owners = self._books.wish_B.tolist()
        self._passes.keep([row for row, wish in enumerate(owners) if wish in staying])
        self._live = [self._live[at] for at in left_N.tolist()]
        self._books = _Books.of([self._wishes[number] for number in self._live]).to(left_N.device)
        self._delta_N_P_D = self._delta_N_P_D[left_N]
        self._start_N_P_D = self._start_N_P_D[left_N]
        self._unedited_N_V = self._unedited_N_V[left_N]
        self._active_N, self._weight_N = self._active_N[left_N], self._weight_N[left_N]
        self._adam.keep(left_N)


def _bare(acts_B_T_D: Tensor, wishes: Sequence[Wish]) -> Tensor:
    """``(N, D)`` float32: what the place puts out for each wish's bare prompt."""
    rows = [0]
    for wish in wishes:
        rows.append(rows[-1] + len(wish.lines))
    at_N = torch.tensor([wish.rewrites[0].at for wish in wishes], device=acts_B_T_D.device)
    first_N = torch.tensor(rows[:-1], device=acts_B_T_D.device)
    return acts_B_T_D[first_N, at_N].float()
