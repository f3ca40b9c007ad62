"""Totals of parts: adding deltas up changes nothing but the bookkeeping."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from truing.errors import BadInput
from truing.interventions.intervention import Intervention, Origin
from truing.interventions.parts import (
    ActivationOp,
    Dense,
    LowRank,
    PromptPrefix,
    WeightDelta,
    total,
)
from truing.models.positions import Positions
from truing.types import Message

EVERYWHERE = Positions()


def low(seed: int, d_out: int = 12, d_in: int = 16, rank: int = 1) -> LowRank:
    g = torch.Generator().manual_seed(seed)
    return LowRank(torch.randn(d_out, rank, generator=g), torch.randn(d_in, rank, generator=g))


def math_of(parts: tuple[object, ...], param: str) -> Tensor:
    found = torch.zeros(12, 16, dtype=torch.float64)
    for part in parts:
        if isinstance(part, WeightDelta) and part.param == param:
            delta = part.delta
            found += (delta.math() if isinstance(delta, LowRank) else delta.delta).double()
    return found


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.sampled_from(["a.weight", "b.weight"]), st.integers(1, 4)),
        min_size=1,
        max_size=6,
    )
)
def test_the_total_is_the_sum(steps: list[tuple[int, str, int]]) -> None:
    parts = tuple(WeightDelta(name, low(seed, rank=rank)) for seed, name, rank in steps)
    merged = total(parts)
    assert len(merged) == len({name for _, name, _ in steps})
    for name in ("a.weight", "b.weight"):
        torch.testing.assert_close(
            math_of(merged, name), math_of(parts, name), atol=1e-4, rtol=1e-5
        )
    for part in merged:
        if isinstance(part, WeightDelta) and isinstance(part.delta, LowRank) and len(parts) > 1:
            alone = sum(name == part.param for _, name, _ in steps) == 1
            assert alone or part.delta.rank <= 6


@pytest.mark.parametrize("ranks", [(3, 3, 3), (7,), (6, 1)])
def test_a_sum_of_high_rank_is_stored_dense(ranks: tuple[int, ...]) -> None:
    parts = tuple(WeightDelta("a.weight", low(n, rank=rank)) for n, rank in enumerate(ranks))
    merged = total(parts)
    wanted = math_of(parts, "a.weight")
    torch.testing.assert_close(math_of(merged, "a.weight"), wanted, atol=1e-4, rtol=1e-4)
    assert len(merged) == 1
    assert isinstance(merged[0], WeightDelta)
    assert isinstance(merged[0].delta, Dense)
    assert merged[0].delta.orientation == "math"


def test_stored_and_math_orientation_are_never_mixed_up() -> None:
    parts = (
        WeightDelta("a.weight", Dense(torch.ones(16, 12))),
        WeightDelta("a.weight", Dense(torch.ones(16, 12))),
        WeightDelta("a.weight", low(1)),
    )
    merged = total(parts)
    kinds = {type(p.delta) for p in merged if isinstance(p, WeightDelta)}
    assert kinds == {LowRank, Dense}
    dense = next(
        p.delta for p in merged if isinstance(p, WeightDelta) and isinstance(p.delta, Dense)
    )
    assert torch.equal(dense.delta, torch.full((16, 12), 2.0))


def test_rows_of_a_fused_projection_stay_apart() -> None:
    merged = total(
        [
            WeightDelta("a.weight", low(1), rows=(0, 12)),
            WeightDelta("a.weight", low(2), rows=(12, 24)),
            WeightDelta("a.weight", low(3), rows=(0, 12)),
        ]
    )
    assert [(p.rows, p.delta.rank) for p in merged] == [((0, 12), 2), ((12, 24), 1)]


def test_deltas_of_different_models_do_not_add_up() -> None:
    with pytest.raises(BadInput, match="different shapes"):
        total([WeightDelta("a.weight", low(1)), WeightDelta("a.weight", low(1, d_out=10))])


def test_equal_content_equal_id() -> None:
    a = Intervention((WeightDelta("a.weight", low(1)), PromptPrefix("x ")))
    same = Intervention(
        (WeightDelta("a.weight", low(1)), PromptPrefix("x ")), memo={"m": torch.ones(1)}
    )
    assert a.id == same.id
    assert a == same
    assert hash(a) == hash(same)
    others = [
        Intervention(),
        Intervention((WeightDelta("b.weight", low(1)), PromptPrefix("x "))),
        Intervention((WeightDelta("a.weight", low(2)), PromptPrefix("x "))),
        Intervention((WeightDelta("a.weight", low(1)), PromptPrefix("x"))),
        Intervention((WeightDelta("a.weight", low(1), rows=(0, 12)), PromptPrefix("x "))),
        Intervention((PromptPrefix("x "), WeightDelta("a.weight", low(1)))),
    ]
    assert len({a.id, *(other.id for other in others)}) == len(others) + 1


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 2.0},
        {"layer": 1},
        {"site": "mlp_out"},
        {"positions": Positions("last_prompt")},
        {"vector": torch.tensor([1.0, 3.0])},
        {"op": "ablate"},
    ],
)
def test_every_field_of_an_op_is_in_the_id(change: dict[str, object]) -> None:
    facts: dict[str, object] = {
        "site": "resid_post",
        "layer": 0,
        "op": "add",
        "vector": torch.tensor([1.0, 2.0]),
        "positions": EVERYWHERE,
        "scale": 1.0,
    }
    a, b = ActivationOp(**facts), ActivationOp(**(facts | change))  # type: ignore[arg-type]
    assert Intervention((a,)).id != Intervention((b,)).id


def test_sums_keep_both_memos_and_both_requests() -> None:
    a = Intervention((PromptPrefix("a "),), {"x": torch.ones(1)}, Origin("m", requests=("1",)))
    b = Intervention((PromptPrefix("b "),), {"y": torch.ones(1)}, Origin("n", requests=("2",)))
    both = a + b
    assert both.rewrite("q") == "a b q"
    assert set(both.memo) == {"x", "y"}
    assert both.origin.requests == ("1", "2")
    assert both.origin.method == "m + n"
    assert (a + Intervention()).id == a.id == (Intervention() + a).id


def test_prefixes_open_the_first_user_message() -> None:
    iv = Intervention((PromptPrefix("Fact. "), PromptPrefix("Fact 2. ")))
    chat = (
        Message("system", "s"),
        Message("user", "one"),
        Message("assistant", "a"),
        Message("user", "two"),
    )
    changed = iv.rewrite(chat)
    assert isinstance(changed, tuple)
    assert [m.content for m in changed] == ["s", "Fact. Fact 2. one", "a", "two"]
    assert iv.prompt_only
    assert iv.per_row


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"vector": torch.zeros(0)}, "shape"),
        ({"vector": torch.ones(2, 2)}, "shape"),
        ({"vector": torch.tensor([1.0, float("nan")])}, "not finite"),
        ({"scale": float("inf")}, "scale"),
        ({"low": 0.0}, "no bounds"),
        ({"op": "clamp"}, "neither"),
        ({"op": "clamp", "low": 1.0, "high": 0.0}, "above"),
        ({"op": "ablate", "vector": torch.zeros(2)}, "length zero"),
        ({"op": "ablate", "vector": torch.ones(2, 2)}, "span fewer"),
        ({"op": "abblate"}, "unknown activation op"),
    ],
)
def test_ops_that_make_no_sense_are_refused(facts: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        "site": "resid_post",
        "layer": 0,
        "op": "add",
        "vector": torch.ones(2),
        "positions": EVERYWHERE,
    }
    with pytest.raises(BadInput, match=message):
        ActivationOp(**(good | facts))  # type: ignore[arg-type]
