"""Positions mean the same with left and right padding, cached and not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from truing.models.positions import Layout, Positions, pack
from truing.models.spans import Span

KINDS = [
    Positions("all"),
    Positions("all", skip_first=True),
    Positions("prompt"),
    Positions("generation"),
    Positions("last_prompt"),
    Positions("window", start=1, stop=3),
    Positions("window", start=-2),
    Positions("window", start=-3, stop=-1),
    Positions("tokens", ids=(5, 6)),
]
spans = st.lists(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(st.lists(st.integers(3, 9), min_size=n, max_size=n), st.integers(1, n))
    ),
    min_size=1,
    max_size=4,
).map(lambda rows: [Span(tuple(ids), start) for ids, start in rows])


def chosen(layout: Layout, positions: Positions) -> list[list[int]]:
    """Token numbers that are acted on, per row."""
    mask = positions.mask(layout)
    return [layout.position_ids_B_T[row][mask[row]].tolist() for row in range(len(mask))]


@pytest.mark.parametrize("positions", KINDS)
@given(rows=spans)
def test_padding_side_changes_nothing(positions: Positions, rows: list[Span]) -> None:
    left, right = (pack(rows, side=side, pad_id=0) for side in ("left", "right"))
    assert chosen(left, positions) == chosen(right, positions)


@pytest.mark.parametrize("positions", KINDS)
@given(rows=spans)
def test_a_row_alone_is_the_row_in_a_batch(positions: Positions, rows: list[Span]) -> None:
    together = chosen(pack(rows, side="left", pad_id=0), positions)
    alone = [chosen(pack([row], side="left", pad_id=0), positions)[0] for row in rows]
    assert together == alone


@pytest.mark.parametrize("positions", KINDS)
@given(rows=spans, new=st.lists(st.integers(3, 9), min_size=3, max_size=3))
def test_cached_steps_act_where_one_long_pass_does(
    positions: Positions, rows: list[Span], new: list[int]
) -> None:
    prompts = [Span(row.ids, len(row.ids)) for row in rows]
    cached = pack(prompts, side="left", pad_id=0)
    whole = cached
    acted = chosen(cached, positions)
    for token in new:
        next_B = torch.full((len(rows),), token)
        cached, whole = cached.step(next_B), whole.grown(next_B)
        assert cached.phase == "decode"
        assert torch.equal(cached.attention_mask, whole.attention_mask)
        acted = [a + b for a, b in zip(acted, chosen(cached, positions), strict=True)]
    assert acted == chosen(whole, positions)


@given(rows=spans)
def test_a_foreign_forward_pass_is_read_from_its_mask(rows: list[Span]) -> None:
    layout = pack(rows, side="left", pad_id=0)
    read = Layout.of_forward((), {"input_ids": layout.ids_B_T, "attention_mask": layout.attention_mask})
    assert torch.equal(read.position_ids_B_T, layout.position_ids_B_T)
    assert torch.equal(read.mask_B_T, layout.mask_B_T)


@given(rows=spans)
def test_pads_are_never_counted_by_id(rows: list[Span]) -> None:
    layouts = [pack(rows, side="right", pad_id=pad) for pad in (0, rows[0].ids[0])]
    assert torch.equal(layouts[0].mask_B_T, layouts[1].mask_B_T)
    assert torch.equal(layouts[0].position_ids_B_T, layouts[1].position_ids_B_T)


def test_negative_window_numbers_count_from_the_end_of_the_prompt() -> None:
    layout = pack([Span((3, 4, 5, 6, 7), 3)], side="left", pad_id=0)
    assert chosen(layout, Positions("window", start=-1)) == [[2, 3, 4]]
    assert chosen(layout, Positions("last_prompt")) == [[2]]
    assert chosen(layout, Positions("generation")) == [[3, 4]]
