"""Where things are in a batch: prompt, continuation, padding, cache step.

Position ids come from the attention mask, never from counting pad ids. Left and right padding,
cached and uncached passes describe the same positions.

Shape letters: B rows, T columns of this forward pass, P columns already in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from truing.errors import BadInput, UnknownName
from truing.models.spans import Span

Side = Literal["left", "right"]
Kind = Literal["all", "prompt", "generation", "last_prompt", "window", "tokens"]


@dataclass(frozen=True, eq=False)
class Layout:
    """The columns of one forward pass.

    ``ids_B_T``: int64 token ids. ``mask_B_T``: bool, true where there is a token.
    ``attention_mask``: int64 ``(B, P+T)`` over cache and columns. ``position_ids_B_T``: int64, a
    token's number in its own row (padding: 0). ``prompt_len_B``: int64, the number of prompt tokens
    of each row; tokens from there on are continuation.
    """

    ids_B_T: Tensor
    mask_B_T: Tensor
    attention_mask: Tensor
    position_ids_B_T: Tensor
    prompt_len_B: Tensor

    @property
    def phase(self) -> Literal["prefill", "decode"]:
        """``decode`` where earlier columns are in the cache."""
        return "decode" if self.attention_mask.shape[1] > self.ids_B_T.shape[1] else "prefill"

    def step(self, next_B: Tensor) -> Layout:
        """The next cached pass: one new token per row."""
        ids_B_1 = next_B.to(self.ids_B_T)[:, None]
        ones_B_1 = torch.ones_like(self.attention_mask[:, :1])
        lengths_B = self.attention_mask.sum(1)
        return Layout(
            ids_B_1,
            ones_B_1.bool(),
            torch.cat([self.attention_mask, ones_B_1], 1),
            lengths_B[:, None],
            self.prompt_len_B,
        )

    def grown(self, next_B: Tensor) -> Layout:
        """The next pass without a cache: everything again and one new token per row.

        Needs left padding (or no padding)."""
        ones_B_1 = torch.ones_like(self.attention_mask[:, :1])
        mask_B_T = torch.cat([self.mask_B_T, ones_B_1.bool()], 1)
        return Layout(
            torch.cat([self.ids_B_T, next_B.to(self.ids_B_T)[:, None]], 1),
            mask_B_T,
            mask_B_T.long(),
            position_ids(mask_B_T),
            self.prompt_len_B,
        )

    def keep(self, index: Sequence[int]) -> Layout:
        """The layout of rows ``index`` only."""
        at = torch.as_tensor(index, dtype=torch.long)
        return Layout(
            self.ids_B_T[at],
            self.mask_B_T[at],
            self.attention_mask[at],
            self.position_ids_B_T[at],
            self.prompt_len_B[at],
        )

    @classmethod
    def of_forward(cls, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Layout:
        """The layout of a call that somebody else makes, read from its inputs.

        Everything of a first pass counts as prompt, everything of a cached pass as generation
        whose first token it holds: where the prompt ended is not known there.
        Raises ``BadInput`` for a pass without token ids.
        """
        ids = kwargs.get("input_ids", args[0] if args else None)
        if not isinstance(ids, Tensor):
            raise BadInput(
                "a forward pass without input_ids meets an activation op",
                "Call the model with token ids, so that positions are known.",
            )
        n_rows, width = ids.shape
        mask = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        if not isinstance(mask, Tensor) or mask.ndim != 2:
            past = kwargs.get("past_key_values")
            seen = int(past.get_seq_length()) if past is not None else 0
            mask = torch.ones(n_rows, seen + width, dtype=torch.long)
        mask = mask.detach().cpu().long()
        columns_B_T = mask[:, -width:].bool()
        earlier_B = mask[:, :-width].sum(1)
        positions_B_T = position_ids(mask.bool())[:, -width:]
        cached = mask.shape[1] > width
        prompt_len_B = earlier_B if cached else columns_B_T.sum(1)
        return cls(ids.detach().cpu(), columns_B_T, mask, positions_B_T, prompt_len_B)


def position_ids(mask_B_T: Tensor) -> Tensor:
    """A token's number in its own row, from the mask; padding gets 0. int64 ``(B, T)``."""
    return (mask_B_T.long().cumsum(1) - 1).clamp(min=0) * mask_B_T.long()


def pack(spans: Sequence[Span], *, side: Side, pad_id: int) -> Layout:
    """One batch of ``spans``, padded on ``side``."""
    width = max(len(span.ids) for span in spans)
    ids_B_T = torch.full((len(spans), width), pad_id, dtype=torch.long)
    mask_B_T = torch.zeros((len(spans), width), dtype=torch.bool)
    for row, span in enumerate(spans):
        n = len(span.ids)
        at = slice(width - n, width) if side == "left" else slice(0, n)
        ids_B_T[row, at] = torch.tensor(span.ids, dtype=torch.long)
        mask_B_T[row, at] = True
    return Layout(
        ids_B_T,
        mask_B_T,
        mask_B_T.long(),
        position_ids(mask_B_T),
        torch.tensor([span.start for span in spans], dtype=torch.long),
    )


def behind(begun: Layout, rest: Layout) -> Layout:
    """The layout of ``rest`` (padded right) where ``begun`` (padded left) is in the cache, so that the
    columns of both together are each row's tokens in order."""
    mask_B_T = rest.mask_B_T
    seen_B_1 = begun.attention_mask.sum(1, keepdim=True)
    return Layout(
        rest.ids_B_T,
        mask_B_T,
        torch.cat([begun.attention_mask, mask_B_T.long()], 1),
        (rest.position_ids_B_T + seen_B_1) * mask_B_T,
        begun.prompt_len_B,
    )


@dataclass(frozen=True)
class Positions:
    """Which tokens an activation op acts on. The same in scoring and in generating.

    A token's number counts from 0 in its own row, padding left out. The activation of a token
    decides the token after it: to reach the whole answer, start at the last prompt token.

    ``all``; ``prompt``; ``last_prompt`` (the last prompt token); ``generation`` (the continuation;
    ``start``/``stop`` count from its first token: ``stop=5`` is its first five); ``window``
    (``start <= number < stop``; negative numbers count from the end of the prompt, so that
    ``start=-1`` is the last prompt token and all that follows); ``tokens`` (ids in ``ids``).
    ``stop=None``: to the end. ``skip_first`` leaves out the first token of a row (BOS).
    """

    kind: Kind = "all"
    start: int = 0
    stop: int | None = None
    ids: tuple[int, ...] = ()
    skip_first: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UnknownName("kind of positions", self.kind, get_args(Kind))

    def mask(self, layout: Layout) -> Tensor:
        """Bool ``(B, T)``: where to act in this forward pass; never on padding."""
        at_B_T = layout.position_ids_B_T
        prompt_B_1 = layout.prompt_len_B[:, None]
        chosen = layout.mask_B_T
        if self.kind == "prompt":
            chosen = chosen & (at_B_T < prompt_B_1)
        elif self.kind == "generation":
            chosen = chosen & (at_B_T >= prompt_B_1 + self.start)
            if self.stop is not None:
                chosen = chosen & (at_B_T < prompt_B_1 + self.stop)
        elif self.kind == "last_prompt":
            chosen = chosen & (at_B_T == prompt_B_1 - 1)
        elif self.kind == "window":
            chosen = chosen & (at_B_T >= _absolute(self.start, prompt_B_1))
            if self.stop is not None:
                chosen = chosen & (at_B_T < _absolute(self.stop, prompt_B_1))
        elif self.kind == "tokens":
            if not self.ids:
                raise BadInput("positions 'tokens' name no ids", "Give at least one token id.")
            wanted = torch.tensor(self.ids, dtype=layout.ids_B_T.dtype)
            chosen = chosen & torch.isin(layout.ids_B_T, wanted)
        if self.skip_first:
            chosen = chosen & (at_B_T > 0)
        return chosen


def _absolute(number: int, prompt_B_1: Tensor) -> Tensor:
    return torch.full_like(prompt_B_1, number) if number >= 0 else prompt_B_1 + number
