"""``truing reproduce pres2024:...``: published numbers of steering beside those that the scores give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group

from truing.cli.output import emit, note, rows_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from truing.runs.published_pres2024 import Recomputed
    from truing.scoring.steering import Change
    from truing.types import Value


def show(name: str, data: Path, as_json: bool) -> None:
    """All published numbers of the table ``name``, then the same runs measured per token."""
    from truing.runs.published_pres2024 import PAPER, recompute

    found = recompute(name, data)
    agreeing, published = sum(r.agreeing for r in found), sum(2 * len(r.published) for r in found)
    note(f"{PAPER}. {agreeing} of {published} published numbers come out of the released scores.")
    for r in found:
        if r.note:
            note(f"{r.run}: {r.note}.")
    emit(found, Group(_published(name, found), _per_token(found)), as_json)


def _published(name: str, found: list[Recomputed]) -> RenderableType:
    shares = max(len(r.published) for r in found)
    rows = []
    for r in found:
        cells = []
        for i, ours in enumerate(r.ours[:shares]):
            told = "—" if not r.published else "{:+g}, {:+g}".format(*r.published[i])
            cells.append(f"{told}\n{ours.promote:+.4f}, {ours.suppress:+.4f}\nn {ours.n}")
        agree = f"{r.agreeing} of {2 * len(r.published)}" if r.published else "—"
        rows.append((r.run, r.positive, *cells, agree))
    heads = [f"hardest {100 * h.share:.0f} %" for h in found[0].ours[:shares]]
    title = f"{name}: promote, suppress; published above, from the scores below"
    return rows_table(title, ("run", "promoted", *heads, "agree"), rows)


def _per_token(found: list[Recomputed]) -> RenderableType:
    rows = []
    for r in found:
        s = r.per_token
        before, after, p = s.preference.base, s.preference.now, s.preference.difference.p
        rows.append(
            (
                r.run, r.positive, _change(s.promotion), _change(s.suppression), _change(s.margin),
                _number(s.margin.difference.effect, "+.2f"),
                f"{_number(before.mean, '.2f')} → {_number(after.mean, '.2f')}\n"
                f"+{s.gained} −{s.lost}, p {_number(p, '.3f')}",
                f"{_value(s.separation.base)}\n→ {_value(s.separation.now)}",
                _value(s.anti_steered),
            )
        )  # fmt: skip
    columns = (
        "run", "promoted", "promotion [95%]", "suppression [95%]", "margin shift [95%]", "d_z",
        "preferred", "AUC [95%]", "anti-steered [95%]",
    )  # fmt: skip
    return rows_table("The same runs per token: nats, all pairs", columns, rows)


def _change(c: Change) -> str:
    d = c.difference
    return f"{_number(d.delta, '+.3f')}\n[{_number(d.low, '+.2f')}, {_number(d.high, '+.2f')}]"


def _value(v: Value) -> str:
    return f"{_number(v.mean, '.2f')} [{_number(v.low, '.2f')}, {_number(v.high, '.2f')}]"


def _number(x: float | None, form: str) -> str:
    return "—" if x is None else format(x, form)
