"""Codebooks in a batch: rows whose prompt hits an entry have a module's output replaced there.

Shape letters: B batch rows, T tokens, R rows with a last prompt token in this pass, N entries,
I/O in and out features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from truing.interventions.fit import check_codebook, module_of
from truing.interventions.parts import Codebook, Part
from truing.interventions.seats import Seats
from truing.models.positions import Layout, Positions

if TYPE_CHECKING:
    from truing.models.arch import Arch

LAST, ALL = Positions("last_prompt"), Positions("all")


def find(keys_N_I: Tensor, radii_N: Tensor, asked_R_I: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest key of each query (Euclidean, float32) and whether the query is within its
    radius: int64 and bool, both ``(R,)``."""
    distance_R_N = torch.cdist(
        asked_R_I.float(), keys_N_I.float(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    nearest_R, at_R = distance_R_N.min(1)
    return at_R, nearest_R <= radii_N.to(nearest_R)[at_R]


class Lookup:
    """The codebooks of one module, one per change that has one."""

    def __init__(
        self, module: nn.Module, members: Sequence[int], books: Sequence[Codebook]
    ) -> None:
        self.module = module
        self._seats = Seats(members)
        self._books = list(books)

    @property
    def asks_again(self) -> bool:
        """Whether a book looks up more than prompts."""
        return any(book.decides == "each-pass" for book in self._books)

    def seat(self, index: Sequence[int] | None) -> None:
        self._seats.seat(index)

    def hook(self, layout: Callable[[], Layout]) -> Callable[..., Tensor]:
        """A forward hook of the module; ``layout`` tells the pass that is going on."""

        def run(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Tensor) -> Tensor:
            if self._seats.empty:
                return output
            x = args[0] if args else next(iter(kwargs.values()))
            here = layout()
            n_rows = here.ids_B_T.shape[0]
            x_B_T_I = x.reshape(n_rows, -1, x.shape[-1])
            y_B_T_O = output.reshape(n_rows, -1, output.shape[-1])
            return self._replaced(x_B_T_I, y_B_T_O, here).reshape(output.shape)

        return run

    def _replaced(self, x_B_T_I: Tensor, y_B_T_O: Tensor, layout: Layout) -> Tensor:
        seats = self._seats
        for entry, book in enumerate(self._books):
            asked = ALL if book.decides == "each-pass" and layout.phase == "decode" else LAST
            row_R, column_R = asked.mask(layout).nonzero(as_tuple=True)
            if seats.rows_R is None:
                mine_R = torch.ones_like(row_R, dtype=torch.bool)
            else:
                mine_R = torch.isin(row_R, seats.rows_R[seats.which_R == entry])
            rows, columns = row_R[mine_R].to(x_B_T_I.device), column_R[mine_R].to(x_B_T_I.device)
            if not len(rows):
                continue
            at, hit = find(book.keys.to(x_B_T_I.device), book.radii, x_B_T_I[rows, columns])
            new = book.values.to(y_B_T_O.device)[at[hit]].to(y_B_T_O.dtype)
            y_B_T_O = y_B_T_O.index_put((rows[hit], columns[hit]), new)
        return y_B_T_O


def lookups(arch: Arch, parts: Sequence[Sequence[Part]]) -> list[Lookup]:
    """What the changes' codebooks need; of several at one module, each acts on what those before
    it leave."""
    found: dict[tuple[int, str], dict[int, Codebook]] = {}
    for change, row in enumerate(parts):
        depth: dict[str, int] = {}
        for part in row:
            if isinstance(part, Codebook):
                check_codebook(arch, part)
                number = depth[part.param] = depth.get(part.param, -1) + 1
                found.setdefault((number, part.param), {})[change] = part
    return [
        Lookup(module_of(arch, param, None), list(members), list(members.values()))
        for (_, param), members in sorted(found.items(), key=lambda item: item[0][0])
    ]
