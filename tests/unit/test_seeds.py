from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from truing.seeds import Seeds


def test_numbers_are_stable_across_versions() -> None:
    assert Seeds(0).child("contexts").number == 3961276863529573827


@given(st.integers(0, 2**32), st.lists(st.text(max_size=5), max_size=4), st.text(max_size=5))
def test_a_child_differs_from_its_parent_and_is_63_bits(
    root: int, path: list[str], name: str
) -> None:
    seeds = Seeds(root, tuple(path))
    child = seeds.child(name)
    assert 0 <= child.number < 2**63
    assert child.number != seeds.number


def test_streams_do_not_depend_on_the_order_of_asking() -> None:
    first = [Seeds(1).child(n).random().random() for n in ("x", "y")]
    second = [Seeds(1).child(n).random().random() for n in ("y", "x")]
    assert first == second[::-1]
