"""The same rows under many changes, without computing again what no change moves.

Attention is causal. What lies below the block where a change acts is computed once for all changes, and
so are prompts that no change reaches; prompts that changes do reach are read once per change, whatever
follows them. Changes with the same first block share passes, one seat per change and row.

Shape letters: B rows, P different prompts, C changes, N reads over all rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import DynamicCache

from truing.methods.kernels.upward import NOWHERE, cuttable, replaced, select, untouched
from truing.models.asks import Change, Rows
from truing.models.engine import LOGIT_FLOATS
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward, stacked
from truing.models.positions import Layout, behind, pack
from truing.models.spans import Span

T = TypeVar("T")


class Shared:
    """Rows that changes are tried on, each read at its prompt's last token and at every token since.

    ``reach_prompts``: whether changes act before the last token of a prompt. What every block puts out
    without a change is kept: rows x tokens x layers x width numbers. Raises ``Unsuitable`` for a model
    whose cache cannot be handed from pass to pass.
    """

    def __init__(self, model: Model, spans: Sequence[Span], *, reach_prompts: bool) -> None:
        prompts: dict[tuple[int, ...], int] = {}
        for span in spans:
            prompts.setdefault(span.ids[: span.start - 1], len(prompts))
        self._model = model
        self._prompt_B = torch.tensor([prompts[span.ids[: span.start - 1]] for span in spans])
        rest = pack([Span(s.ids[s.start - 1 :], 1) for s in spans], side="right", pad_id=PAD)
        self._rows_N, self._columns_N = rest.mask_B_T.nonzero(as_tuple=True)
        self._head: Layout | None = None
        self._tail = rest
        if any(prompts):
            begun = [Span(ids, len(ids) + 1) for ids in prompts]
            self._head = pack(begun, side="left", pad_id=PAD)
            self._tail = behind(self._head.keep(self._prompt_B.tolist()), rest)
        self._rereads = reach_prompts and self._head is not None
        self._past: DynamicCache | None = None
        self._head_put_out: list[Any] = []
        with evaluating(model.hf):
            if self._head is not None:
                self._head_put_out, past = self._whole(self._head, None)
                self._past = cuttable(past)
            self._tail_put_out, _ = self._whole(self._tail, _rows(self._past, self._prompt_B, 0))

    @property
    def at_once(self) -> int:
        """How many changes share a pass."""
        model = self._model
        tokens = self._tail.ids_B_T.numel()
        if self._rereads and self._head is not None:
            tokens = max(tokens, self._head.ids_B_T.numel())
        vocabulary = int(model.hf.config.get_text_config().vocab_size)
        fit = min(model.budget.tokens // tokens, LOGIT_FLOATS // (len(self._rows_N) * vocabulary))
        return max(1, fit)

    def read(
        self, start: int, changes: Sequence[Change | None], look: Callable[[Tensor], T]
    ) -> list[T]:
        """What ``look`` makes of the logits ``(N, V)`` under each of ``changes``, none of which acts
        before the output of block ``start - 1``. Reads are in the order of rows and their tokens."""
        found: list[T] = []
        with evaluating(self._model.hf):
            for at in range(0, len(changes), self.at_once):
                here = changes[at : at + self.at_once]
                logits = self._under(start, here)
                found += [look(logits_N_V) for logits_N_V in logits.tensor_split(len(here))]
        return found

    def _under(self, start: int, changes: Sequence[Change | None]) -> Tensor:
        n_rows, n = len(self._prompt_B), len(changes)
        rows = torch.arange(n_rows).repeat(n)
        if not self._rereads or self._head is None:
            past = _rows(self._past, self._prompt_B.repeat(n), start)
            with stacked(self._model, _each(changes, n_rows)) as hooks:
                return self._upward(start, rows, hooks, past)
        n_prompts = len(self._head.ids_B_T)
        prompts = torch.arange(n_prompts).repeat(n)
        with stacked(self._model, _each(changes, n_prompts)) as hooks:
            with self._below(start, self._head_put_out, prompts):
                head = self._head.keep(prompts.tolist())
                _, past = forward(self._model, head, hooks, NOWHERE, NOWHERE, use_cache=True)
            assert self._past is not None
            past.layers[:start] = self._past.layers[:start]
            seats = torch.cat([self._prompt_B + n_prompts * change for change in range(n)])
            for each in hooks:
                each.keep(seats.tolist())
            return self._upward(start, rows, hooks, _rows(past, seats, start))

    def _upward(
        self, start: int, rows: Tensor, hooks: Sequence[Rows], past: DynamicCache | None
    ) -> Tensor:
        """Logits ``(C N, V)`` of the tails of ``rows`` (all rows, over and over)."""
        n, n_rows = len(rows) // len(self._prompt_B), len(self._prompt_B)
        rows_N = torch.cat([self._rows_N + n_rows * change for change in range(n)])
        columns_N = self._columns_N.repeat(n)
        tail = self._tail.keep(rows.tolist())
        with self._below(start, self._tail_put_out, rows):
            logits, _ = forward(
                self._model,
                tail,
                hooks,
                rows_N,
                columns_N,
                past=past,
                use_cache=past is not None,
            )
        return logits

    def _below(
        self, start: int, put_out: Sequence[Any], rows: Tensor
    ) -> AbstractContextManager[None]:
        """Inside, the blocks below ``start`` hand on what ``rows`` had there without a change."""
        if not start:
            return nullcontext()
        known = select(put_out[start - 1], rows)
        blocks = [self._model.arch.block(layer) for layer in range(start)]
        return replaced(blocks, lambda *args, **kwargs: known)

    def _whole(self, layout: Layout, past: DynamicCache | None) -> tuple[list[Any], Any]:
        """What every block puts out, and the cache."""
        put_out: dict[int, Any] = {}

        def keep(layer: int, module: object, args: object, out: Any) -> None:
            put_out[layer] = out

        with ExitStack() as stack:
            for layer in range(self._model.arch.n_layers):
                block = self._model.arch.block(layer)
                stack.callback(block.register_forward_hook(partial(keep, layer)).remove)
            _, cache = forward(self._model, layout, (), NOWHERE, NOWHERE, past=past, use_cache=True)
        return [put_out[layer] for layer in sorted(put_out)], cache


def _each(changes: Sequence[Change | None], n: int) -> list[Change | None]:
    return [change for change in changes for _ in range(n)]


def _rows(past: DynamicCache | None, rows: Tensor, start: int) -> DynamicCache | None:
    """A cache to write to that holds ``rows`` of the layers from ``start`` on; nobody reads those below,
    which tell no more than how long it is."""
    fresh = untouched(past)
    if fresh is not None:
        for layer in fresh.layers[start:]:
            layer.batch_select_indices(rows.to(layer.keys.device))
    return fresh
