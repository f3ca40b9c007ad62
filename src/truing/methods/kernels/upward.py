"""Differentiable passes that compute only what an edit can move.

Attention is causal: a change at block l and token t moves blocks from l on and tokens from t on.
Everything before and below is computed once: earlier tokens stay as a KV cache, lower blocks hand
on what they put out the first time. Logits are read only where they are needed.
:func:`best_passes` checks on the first pass that the shortcut gives what whole passes give, and
takes whole passes where it does not or where activation ops are in force.

Shape letters: B rows, T columns of a pass, N reads over all rows, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from truing.methods.kernels.lines import Line
from truing.models.asks import Rows
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward
from truing.models.positions import Layout, behind, pack
from truing.models.spans import Span

NOWHERE = torch.tensor([0])
"""Rows and columns of the logits of a pass whose logits nobody wants."""
ENOUGH_ROWS = 4
"""CPU libraries sum products of fewer rows less precisely: the head's gradient, a sum over the
vocabulary, was off by 2e-5 with three rows and by 1e-6 with four (float32, V = 4096)."""


class Passes(Protocol):
    """Passes over fixed rows. ``at_B``: the column of each line's ``at`` in a pass."""

    at_B: Tensor

    def logits(self) -> Tensor:
        """``(N, V)`` float32 in the order of the lines' reads; carries gradients of hooks."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""


class Whole:
    """Whole passes, right-padded, with everything that is in force."""

    def __init__(self, model: Model, lines: Sequence[Line]) -> None:
        self._model, self._lines = model, list(lines)
        self._layout = pack([line.span for line in lines], side="right", pad_id=PAD)
        self._place()

    def _place(self) -> None:
        self._rows_N, self._columns_N = _reads(self._lines)
        self.at_B = torch.tensor([line.at for line in self._lines])

    def logits(self) -> Tensor:
        in_force = self._model.in_force
        return _read(self._model, self._layout, in_force, self._rows_N, self._columns_N)

    def keep(self, rows: Sequence[int]) -> None:
        self._lines = [self._lines[row] for row in rows]
        self._layout = self._layout.keep(rows)
        self._place()


class Unsuitable(Exception):
    """This model's passes cannot be cut short."""


def cuttable(past: Any) -> DynamicCache:
    """``past`` where its layers grow by concatenation and nothing else is in it; else ``Unsuitable``."""
    known = (DynamicLayer, DynamicSlidingWindowLayer)
    if type(past) is not DynamicCache or any(type(each) not in known for each in past.layers):
        raise Unsuitable
    found: DynamicCache = past
    return found


class Upward:
    """Passes from block ``start`` up, over each line's tokens from ``firsts[row]`` on.

    ``start`` may be the number of blocks: then only the final norm and the head are left.
    """

    def __init__(
        self, model: Model, lines: Sequence[Line], firsts: Sequence[int], start: int
    ) -> None:
        self._model, self._start = model, start
        self._lines, self._firsts = list(lines), list(firsts)
        self._place()
        head, self._tail = _split(lines, firsts)
        with evaluating(model.hf):
            self._past = self._read_head(head)
            self._below = self._read_below() if start else None

    def _place(self) -> None:
        firsts_B = torch.tensor(self._firsts)
        self._rows_N, at_N = _reads(self._lines)
        self._columns_N = at_N - firsts_B[self._rows_N]
        self.at_B = torch.tensor([line.at for line in self._lines]) - firsts_B

    def _read_head(self, head: Layout | None) -> DynamicCache | None:
        if head is None:
            return None
        _, past = forward(self._model, head, (), NOWHERE, NOWHERE, use_cache=True)
        return cuttable(past)

    def _read_below(self) -> Any:
        put_out: list[Any] = []
        block = self._model.arch.block(self._start - 1)
        handle = block.register_forward_hook(lambda module, args, out: put_out.append(out))
        try:
            self._pass()
        finally:
            handle.remove()
        return put_out[-1]

    def _pass(self) -> Tensor:
        past = untouched(self._past)
        return _read(self._model, self._tail, (), self._rows_N, self._columns_N, past)

    def logits(self) -> Tensor:
        below = [self._model.arch.block(layer) for layer in range(self._start)]
        with replaced(below, lambda *args, **kwargs: self._below):
            return self._pass()

    def keep(self, rows: Sequence[int]) -> None:
        self._lines = [self._lines[row] for row in rows]
        self._firsts = [self._firsts[row] for row in rows]
        self._place()
        self._tail = self._tail.keep(rows)
        at = torch.tensor(rows, device=self._model.device)
        self._past = untouched(self._past)
        if self._past is not None:
            self._past.batch_select_indices(at)
        self._below = select(self._below, at)


def best_passes(
    model: Model,
    lines: Sequence[Line],
    firsts: Sequence[int],
    start: int,
    watching: AbstractContextManager[object] | None = None,
) -> tuple[Passes, Tensor]:
    """The cheapest passes that give right logits, and the logits ``(N, V)`` of an unchanged pass,
    which is a whole one and goes on inside ``watching`` (hooks that only look).

    What the shortcut gives must agree with a whole pass to the square root of the precision.
    """
    whole, hooked = Whole(model, lines), model.hooked
    with evaluating(model.hf), watching or nullcontext():
        want = whole.logits()
    if hooked:
        return whole, want
    try:
        upward = Upward(model, lines, firsts, start)
        with evaluating(model.hf):
            got = upward.logits()
    except torch.OutOfMemoryError:
        raise
    except Exception:  # any architecture may object to being cut short; whole passes always work
        return whole, want
    close = torch.finfo(model.hf.dtype).eps ** 0.5 * want.abs().max()
    return (upward, want) if bool((got - want).abs().max() <= close) else (whole, want)


@contextmanager
def frozen(hf: nn.Module) -> Iterator[None]:
    """Inside, no dropout, and gradients flow through activations but not into parameters."""
    training = hf.training
    trainable = [p for p in hf.parameters() if p.requires_grad]
    try:
        hf.eval()
        for parameter in trainable:
            parameter.requires_grad_(False)
        with torch.enable_grad():
            yield
    finally:
        hf.train(training)
        for parameter in trainable:
            parameter.requires_grad_(True)


def _reads(lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
    """Row and position of every read, in order."""
    rows = [row for row, line in enumerate(lines) for _ in line.reads]
    return torch.tensor(rows), torch.tensor([at for line in lines for at in line.reads])


def _read(
    model: Model,
    layout: Layout,
    hooks: Sequence[Rows],
    rows_N: Tensor,
    columns_N: Tensor,
    past: DynamicCache | None = None,
) -> Tensor:
    """Logits ``(N, V)`` float32. A few reads are repeated up to ``ENOUGH_ROWS``."""
    n = len(rows_N)
    repeats = -(-ENOUGH_ROWS // n)
    out, _ = forward(
        model,
        layout,
        hooks,
        rows_N.repeat(repeats),
        columns_N.repeat(repeats),
        past=past,
        use_cache=past is not None,
    )
    return out[:n].float()


def _split(lines: Sequence[Line], firsts: Sequence[int]) -> tuple[Layout | None, Layout]:
    """Left-padded heads (tokens before ``firsts``; None where there are none) and their tails,
    right-padded, so that columns of heads and tails together are each row's tokens in order."""
    cut = list(zip(lines, firsts, strict=True))
    tail = pack(
        [Span(line.ids[at:], len(line.ids) - at) for line, at in cut], side="right", pad_id=PAD
    )
    if not max(firsts):
        return None, tail
    head = pack([Span(line.ids[:at], at) for line, at in cut], side="left", pad_id=PAD)
    return head, behind(head, tail)


def untouched(past: DynamicCache | None) -> DynamicCache | None:
    """A cache to write to that shares its tensors with ``past``; its layers grow by
    concatenation, so the shared tensors stay as they are."""
    if past is None:
        return None
    fresh = copy.copy(past)
    fresh.layers = [copy.copy(layer) for layer in past.layers]
    return fresh


@contextmanager
def replaced(modules: Sequence[nn.Module], forward: Callable[..., Any]) -> Iterator[None]:
    """Inside, ``modules`` compute ``forward``; hooks on them still run."""
    with ExitStack() as stack:
        for module in modules:
            stack.callback(_put_back, module, vars(module).get("forward"))
            module.forward = forward
        yield


def _put_back(module: nn.Module, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward


def select(below: Any, rows: Tensor) -> Any:
    """The rows of everything in a block's output that has rows."""
    if isinstance(below, Tensor):
        return below[rows.to(below.device)]
    if isinstance(below, tuple):
        return tuple(select(each, rows) for each in below)
    return below
