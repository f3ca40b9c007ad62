"""Which other topics a case asks about: those that follow, whoever counts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from truing.benchmarks.opinions import OpinionOptions, asked_together, tagged
from truing.types import Case, EditRequest, Probe

TRAITS = ("openness", "neuroticism")
TOPICS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(TRAITS)), min_size=1, max_size=14, unique=True
)


def case(number: int, trait: str) -> Case:
    topic = f"T{number}"
    request = EditRequest(id=f"{topic}/{trait}", prompt=topic, target_new="x")
    probe = Probe(f"{topic}/{trait}/efficacy", "efficacy", topic, ("x",))
    return Case(f"{topic}/{trait}", (request,), (probe,), (f"trait:{trait}", f"topic:{topic}"))


@given(TOPICS, st.integers(1, 7), st.booleans())
def test_each_is_met_first_after_the_case_and_round(
    drawn: list[tuple[int, str]], count: int, same: bool
) -> None:
    cases = [case(*each) for each in drawn]
    chosen = OpinionOptions(outer="same-trait" if same else "next", outer_topics=count)
    made = asked_together(lambda topic, trait: (trait,))(cases, cases, chosen)
    for place, (own, after) in enumerate(zip(cases, made, strict=True)):
        first: dict[str, str] = {}
        for other in (*cases[place + 1 :], *cases[:place]):
            topic = tagged(other, "topic:")
            ours = not same or tagged(other, "trait:") == tagged(own, "trait:")
            if ours and topic != tagged(own, "topic:"):
                first.setdefault(topic, other.id)
        wanted = list(first.values())
        asked = [p.id.partition("/leakage/")[2] for p in after.probes if p.aspect == "leakage"]
        assert len(asked) == min(count, len(wanted))
        if same:
            assert set(asked) <= set(wanted)
        else:
            assert asked == wanted[:count]
