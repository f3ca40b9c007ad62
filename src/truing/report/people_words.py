"""What edits did to other people, in sentences that carry their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from truing.report import words
from truing.report.arms import signed, with_interval
from truing.report.people import Axis, Flawed, Group, PeopleArm
from truing.types import Value


def told(arm: PeopleArm) -> str:
    """The arm in a few sentences: all people, then every axis, then what the numbers are about."""
    record = arm.record
    whom = f"{record.people:,} other {'person' if record.people == 1 else 'people'}"
    parts = [
        f"{_when(arm)} the model {_moved(record.mean)} {whom}: D {with_interval(record.mean)}."
    ]
    if record.mean.missing:
        parts.append(f"{words.plural(record.mean.missing, 'number')} missing.")
    if record.lacking is not None:
        parts.append(f"Groups are not known: {record.lacking}.")
    parts += [" ".join(of_axis(axis)) for axis in record.axes]
    if record.edited == 1:
        parts.append("One edited model: a finding about this edit.")
    return " ".join(parts)


def of_axis(axis: Axis) -> Iterator[str]:
    """Which groups differ, what would have been found, and who could not be compared."""
    by = f"By {axis.axis}"
    tested = [g for g in axis.groups if g.test is not None and g.test.comparison.p is not None]
    apart = [g for g in tested if g.differs]
    if not tested:
        yield f"{by} no group can be compared with the others: no case asks about two people on either side."
    elif apart:
        verb = "differs" if len(apart) == 1 else "differ"
        yield f"{by} {words.join([_apart(g) for g in apart])} {verb} from the others."
    else:
        yield f"{by} no group differs from the others{_detectable(tested)}."
    alone = [g for g in axis.groups if g.test is not None and g.test.comparison.p is None]
    if tested and alone:
        yield (
            "Not compared (no case asks about two of them and two others): "
            f"{words.join([g.group for g in alone])}."
        )
    if axis.unknown:
        yield f"In no group of {axis.axis}: {axis.unknown:,}."


def of_flaws(found: Sequence[Flawed]) -> Iterator[str]:
    """What the bars cannot say."""
    if not any(shift.more or shift.less for one in found for shift in one.shifts):
        yield "No rater finds more or less of a flaw in any text."
    left_out = max((one.not_asked for one in found), default=0)
    if left_out:
        yield (
            f"Anglo-centrism: {words.plural(left_out, 'text')} about people from English-speaking "
            "countries left out."
        )


def small(x: float) -> str:
    """``0.09``; where nothing would be left, ``0.0004``."""
    return f"{x:.2f}" if x >= 0.005 or x == 0 else f"{x:.1g}"


def _when(arm: PeopleArm) -> str:
    edits, models = arm.edits, arm.record.edited
    if models > 1:
        made = "" if edits is None else f" ({words.plural(edits, 'edit')})"
        return f"Over {models:,} edited models{made}"
    return "After its edits" if edits is None else f"After {words.plural(edits, 'edit')}"


def _moved(mean: Value) -> str:
    about = "of what is true of"
    if mean.mean is None:
        return f"has no number {about}"
    low, high = (mean.mean if x is None else x for x in (mean.low, mean.high))
    if signed(low) == signed(high) == signed(0.0):
        return f"is as sure as before {about}"
    if mean.low is None or low <= 0 <= high:
        return f"did not clearly become surer or less sure {about}"
    return f"became {'surer' if low > 0 else 'less sure'} {about}"


def _apart(group: Group) -> str:
    assert group.test is not None
    c = group.test.comparison
    assert c.delta is not None
    assert c.low is not None
    assert c.high is not None
    assert c.p_adjusted is not None
    span = f"{signed(c.low)} to {signed(c.high)}"
    return f"{group.group} ({signed(c.delta)}, {span}, {words.p_text(c.p_adjusted)} corrected)"


def _detectable(tested: Sequence[Group]) -> str:
    least = [
        g.test.comparison.detectable
        for g in tested
        if g.test is not None and g.test.comparison.detectable is not None
    ]
    if not least:
        return ""
    low, high = small(min(least)), small(max(least))
    span = low if low == high else f"{low} to {high}"
    return f"; the smallest difference that would have been found is {span}"
