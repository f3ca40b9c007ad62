"""Positions mean the same with left and right padding, cached and not, scoring and generating."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tiny import tiny_model
from truing.errors import BadInput, UnknownName
from truing.models.positions import Layout, Positions, pack
from truing.models.spans import Span

KINDS = [
    Positions("all"),
    Positions("all", skip_first=True),
    Positions("prompt"),
    Positions("prompt", skip_first=True),
    Positions("generation"),
    Positions("generation", start=1, stop=2),
    Positions("last_prompt"),
    Positions("window", start=1, stop=3),
    Positions("window", start=-2),
    Positions("window", start=-3, stop=-1),
    Positions("tokens", ids=(5, 6)),
]
EVERY = pytest.mark.parametrize("positions", KINDS)
quick = settings(max_examples=40, deadline=None)
spans = st.lists(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(st.lists(st.integers(3, 9), min_size=n, max_size=n), st.integers(1, n))
    ),
    min_size=1,
    max_size=4,
).map(lambda rows: [Span(tuple(ids), start) for ids, start in rows])
tokens = st.lists(st.integers(3, 9), min_size=3, max_size=3)


def chosen(layout: Layout, positions: Positions) -> list[list[int]]:
    """Token numbers that are acted on, per row."""
    mask = positions.mask(layout)
    return [layout.position_ids_B_T[row][mask[row]].tolist() for row in range(len(mask))]


def prompts_of(rows: list[Span]) -> list[Span]:
    return [Span(row.ids, len(row.ids)) for row in rows]


@EVERY
@quick
@given(rows=spans)
def test_padding_side_changes_nothing(positions: Positions, rows: list[Span]) -> None:
    left, right = (pack(rows, side=side, pad_id=0) for side in ("left", "right"))
    assert chosen(left, positions) == chosen(right, positions)


@EVERY
@quick
@given(rows=spans)
def test_a_row_alone_is_the_row_in_a_batch(positions: Positions, rows: list[Span]) -> None:
    together = chosen(pack(rows, side="left", pad_id=0), positions)
    alone = [chosen(pack([row], side="left", pad_id=0), positions)[0] for row in rows]
    assert together == alone


@EVERY
@quick
@given(rows=spans, new=tokens)
def test_generating_acts_where_scoring_the_answer_does(
    positions: Positions, rows: list[Span], new: list[int]
) -> None:
    cached = whole = pack(prompts_of(rows), side="left", pad_id=0)
    acted = chosen(cached, positions)
    for token in new:
        next_B = torch.full((len(rows),), token)
        cached, whole = cached.step(next_B), whole.grown(next_B)
        assert (cached.phase, whole.phase) == ("decode", "prefill")
        assert torch.equal(cached.attention_mask, whole.attention_mask)
        acted = [a + b for a, b in zip(acted, chosen(cached, positions), strict=True)]
    scored = [Span((*row.ids, *new), len(row.ids)) for row in rows]
    assert acted == chosen(whole, positions)
    assert acted == chosen(pack(scored, side="right", pad_id=0), positions)


@EVERY
@quick
@given(rows=spans, data=st.data())
def test_rows_that_stay_stay_the_same(positions: Positions, rows: list[Span], data: Any) -> None:
    index = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, unique=True))
    layout = pack(prompts_of(rows), side="left", pad_id=0).step(torch.full((len(rows),), 5))
    kept = layout.keep(index)
    assert chosen(kept, positions) == [chosen(layout, positions)[row] for row in index]
    assert torch.equal(
        kept.step(torch.tensor([6] * len(index))).mask_B_T, torch.ones(len(index), 1).bool()
    )


@quick
@given(rows=spans, new=tokens)
def test_a_foreign_forward_pass_is_read_from_its_inputs(rows: list[Span], new: list[int]) -> None:
    layout = pack(prompts_of(rows), side="left", pad_id=0)
    for token in (None, *new):
        if token is not None:
            layout = layout.step(torch.full((len(rows),), token))
        inputs = {"input_ids": layout.ids_B_T, "attention_mask": layout.attention_mask}
        read = Layout.of_forward((), inputs)
        assert read.phase == layout.phase
        for fact in ("ids_B_T", "mask_B_T", "attention_mask", "position_ids_B_T"):
            assert torch.equal(getattr(read, fact), getattr(layout, fact))
        for kind in ("all", "prompt", "generation"):
            assert chosen(read, Positions(kind)) == chosen(layout, Positions(kind))


def test_a_foreign_pass_may_come_without_a_mask_and_with_a_cache() -> None:
    hf, seen = tiny_model(), []
    handle = hf.register_forward_pre_hook(
        lambda m, args, kwargs: seen.append(Layout.of_forward(args, kwargs)), with_kwargs=True
    )
    with torch.no_grad():
        past = hf(torch.tensor([[3, 4, 5]]), use_cache=True).past_key_values
        hf(input_ids=torch.tensor([[6]]), past_key_values=past)
    handle.remove()
    assert [x.phase for x in seen] == ["prefill", "decode"]
    assert [x.position_ids_B_T.tolist() for x in seen] == [[[0, 1, 2]], [[3]]]
    assert [chosen(x, Positions("generation")) for x in seen] == [[[]], [[3]]]


def test_a_pass_without_ids_is_refused() -> None:
    with pytest.raises(BadInput, match="input_ids"):
        Layout.of_forward((), {"inputs_embeds": torch.zeros(1, 2, 3)})


@quick
@given(rows=spans)
def test_pads_are_never_counted_by_id(rows: list[Span]) -> None:
    layouts = [pack(rows, side="right", pad_id=pad) for pad in (0, rows[0].ids[0])]
    assert torch.equal(layouts[0].mask_B_T, layouts[1].mask_B_T)
    assert torch.equal(layouts[0].position_ids_B_T, layouts[1].position_ids_B_T)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "falcon-alibi", "mistral", "gemma2"])
def test_logits_do_not_depend_on_padding(name: str, side: Any) -> None:
    hf = tiny_model(name)
    rows = [Span((3, 4, 5, 6, 7, 8), 2), Span((9, 8), 1), Span((5, 6, 7), 3)]
    layout = pack(rows, side=side, pad_id=0)
    inputs = {"input_ids": layout.ids_B_T, "attention_mask": layout.attention_mask}
    if name != "falcon-alibi":
        inputs["position_ids"] = layout.position_ids_B_T
    with torch.no_grad():
        logits = hf(**inputs).logits
        for row, span in enumerate(rows):
            alone = hf(input_ids=torch.tensor([span.ids])).logits[0]
            torch.testing.assert_close(
                logits[row][layout.mask_B_T[row]], alone, rtol=1e-4, atol=1e-5
            )


def test_numbers_count_as_they_are_documented() -> None:
    layout = pack([Span((3, 4, 5, 6, 7), 3)], side="left", pad_id=0)
    assert chosen(layout, Positions("window", start=-1)) == [[2, 3, 4]]
    assert chosen(layout, Positions("last_prompt")) == [[2]]
    assert chosen(layout, Positions("generation")) == [[3, 4]]
    assert chosen(layout, Positions("generation", stop=1)) == [[3]]
    assert chosen(layout, Positions("prompt", skip_first=True)) == [[1, 2]]
    assert chosen(layout, Positions("tokens", ids=(4, 7))) == [[1, 4]]


def test_tokens_without_ids_would_act_nowhere() -> None:
    with pytest.raises(BadInput, match="name no ids"):
        Positions("tokens").mask(pack([Span((3,), 1)], side="left", pad_id=0))


def test_a_misspelt_kind_is_refused_with_the_near_miss() -> None:
    with pytest.raises(UnknownName, match="last_prompt"):
        Positions("lastprompt")  # type: ignore[arg-type]


@EVERY
def test_positions_can_be_written_down(positions: Positions) -> None:
    adapter = TypeAdapter(Positions)
    assert adapter.validate_json(adapter.dump_json(positions)) == positions
