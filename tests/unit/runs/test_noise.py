from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from truing.runs.meter import metered
from truing.runs.noise import sample
from truing.seeds import Seeds
from truing.types import Case, Probe


def cases(n: int) -> list[Case]:
    return [
        Case(
            f"c{i}", (),
            (Probe("e", "efficacy", "?", ("x",)), Probe("l1", "locality", "?"), Probe("l2", "locality", "?")),
        )
        for i in range(n)
    ]  # fmt: skip


@given(st.integers(0, 9), st.integers(0, 40))
def test_a_sample_has_the_size_asked_for(n: int, probes: int) -> None:
    found = sample(cases(n), probes, Seeds(0))
    assert sum(len(c.probes) for c in found) == min(probes, 3 * n)


def test_locality_comes_first_and_from_many_cases() -> None:
    found = sample(cases(5), 7, Seeds(0))
    assert len(found) == 5
    assert {p.aspect for c in found for p in c.probes} == {"locality"}


def test_the_order_of_cases_does_not_decide() -> None:
    assert sample(cases(6), 3, Seeds(0)) == sample(cases(6)[::-1], 3, Seeds(0))
    assert sample(cases(40), 5, Seeds(0)) != sample(cases(40), 5, Seeds(1))


def test_time_and_memory_are_measured() -> None:
    with metered() as meter:
        block = bytearray(30_000_000)
    assert meter.seconds > 0
    assert meter.peak_bytes is None or meter.peak_bytes > len(block)
