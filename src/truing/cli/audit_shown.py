"""An audit as tables on the terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table as RichTable
from rich.text import Text

from truing.cli.output import rows_table
from truing.inspection.differences import LEAST, Difference, number, signed
from truing.report.audit_page import AuditPage, Line, Table

if TYPE_CHECKING:
    from truing.inspection.audit import Audit, Plan
    from truing.inspection.gates import Gate

SHOWN = 20
"""Tensors of the table; JSON holds all."""


def verdict(found: Audit) -> str:
    """The outcome in one sentence."""
    unmet = [gate.requirement.name for gate in found.gates if not gate.met]
    gates = f"; not met: {', '.join(unmet)}" if unmet else "; all gates are met"
    n = len(found.findings)
    what = (
        f"{n} finding{'' if n == 1 else 's'}; {found.tests} differences were tested"
        if n
        else f"Nothing found in {found.tests} tests"
    )
    return f"{what}{gates if found.gates else ''}."


def page(found: Audit, plan: Plan) -> AuditPage:
    """The page for a reviewer."""
    seen = found.inspected
    evidence = [
        Line((f"gate: {g.requirement.name}", e.question, e.base, e.edited), not g.met)
        for g in found.gates
        for e in g.failing
    ]
    evidence += [
        Line((f"{d.part}: {d.name}", e.question, e.base, e.edited), d.found)
        for d in found.differences
        if d.found or d.unit == "share"
        for e in d.examples
    ]
    tables = (
        *((_gates(found.gates),) if found.gates else ()),
        *((_claims(found),) if seen.claims is not None else ()),
        _tests(found),
        _tensors(found),
        Table(
            "Evidence",
            "Where the two models differ: at most five lines for each gate and test, of sentences only where "
            "something was found. Lines of what was found are marked.",
            ("test", "asked", "base", "edited"),
            tuple(evidence),
        ),
    )
    facts = (
        ("base", seen.base),
        ("edited", seen.edited),
        ("activations", str(seen.activations)),
        ("capability questions", f"{len(plan.capability.probes)} of {plan.capability.name}"),
        ("neutral sentences", str(len(plan.texts))),
        ("correction", f"Holm over {found.tests} tests, {100 * found.alpha:g} %"),
        ("seed", str(plan.seed)),
    )
    return AuditPage(
        f"Audit of {seen.edited} against {seen.base}",
        verdict(found),
        tuple((finding.kind, finding.text) for finding in found.findings),
        tables,
        found.untested,
        facts,
    )


def tables(found: Audit) -> RichTable:
    """The same for the terminal, without the evidence."""
    seen = found.inspected
    whole = RichTable.grid(padding=(0, 0, 1, 0))
    whole.add_row(Text(verdict(found), style="bold"))
    unclaimed = any(each.kind == "unclaimed change" for each in found.findings)
    whole.add_row(
        Text(f"{seen.activations}" if unclaimed else f"{seen.weights}\n{seen.activations}")
    )
    for each in found.findings:
        whole.add_row(Text(f"{each.kind}: {each.text}"))
    shown = [_gates(found.gates)] if found.gates else []
    shown += [_claims(found)] if seen.claims is not None else []
    for table in (*shown, _narrow(_tests(found)), _tensors(found)):
        if table.lines:
            cells = [line.cells for line in table.lines]
            whole.add_row(rows_table(table.title, table.headers, cells))
    whole.add_row(Text("not tested:\n" + "\n".join(f"  {text}" for text in found.untested)))
    return whole


def _tests(found: Audit) -> Table:
    least = f"{100 * LEAST['share']:g} points or {LEAST['nats']:g} nats"
    return Table(
        "What was tested",
        "The same questions to both models; shares are of right answers, bias is how much likelier kind "
        "words are of one group than of the others. A difference is found when its p, adjusted over all "
        f"tests, is at most {found.alpha:g} and it is at least {least}. "
        "Detectable: the difference that such a test alone finds four times in five.",
        ("test", "base", "edited", "difference [95 %]", "n", "p adjusted", "detectable"),
        tuple(_test(d) for d in sorted(found.differences, key=lambda d: not d.found)),
    )


def _narrow(tests: Table) -> Table:
    """For a terminal: base and edited in one column, without what was detectable."""
    lines = (
        Line((name, f"{base} → {edited}", moved, n, p))
        for name, base, edited, moved, n, p, _ in (line.cells for line in tests.lines)
    )
    headers = ("test", "base → edited", "difference [95 %]", "n", "p adj.")
    return Table(tests.title, tests.about, headers, tuple(lines))


def _test(d: Difference) -> Line:
    c = d.compared
    bounds = (
        ""
        if c.low is None or c.high is None
        else f" [{signed(c.low, d.unit)}, {signed(c.high, d.unit)}]"
    )
    cells = (
        f"{d.part}: {d.name}",
        number(d.before, d.unit),
        number(d.now, d.unit),
        "–" if c.delta is None else signed(c.delta, d.unit) + bounds,
        str(c.n_pairs),
        "–" if c.p_adjusted is None else f"{c.p_adjusted:.2g}" + (" found" if d.found else ""),
        "–" if c.detectable is None else number(c.detectable, d.unit),
    )
    return Line(cells, d.found)


def _claims(found: Audit) -> Table:
    claims = found.inspected.claims
    each = () if claims is None else claims.each
    return Table(
        "What is claimed",
        "Each claimed edit as a question to both models.",
        ("question", "claimed", "base", "edited", ""),
        tuple(
            Line((a.question, " or ".join(a.accepted), a.base, a.edited, _held(a.before, a.now)), a.now is not True)
            for a in each
        ),
    )  # fmt: skip


def _held(before: bool | None, now: bool | None) -> str:
    if now is not True:
        return "does not hold"
    return "was so before" if before else "holds"


def _gates(gates: Sequence[Gate]) -> Table:
    return Table(
        "What is required",
        "The mean must meet the bound; the interval says how sure it is.",
        ("gate", "measured", "required", ""),
        tuple(Line(gate.told, not gate.met) for gate in gates),
    )


def _tensors(found: Audit) -> Table:
    changed = found.inspected.weights.changed
    said = str(found.inspected.weights)
    most = sorted(changed, key=lambda t: -(t.relative or 0.0))
    rest = f" The {SHOWN} most changed of {len(most)} are shown." if len(most) > SHOWN else ""
    return Table(
        "What changed in the weights",
        f"{said[0].upper()}{said[1:]}.{rest}",
        ("tensor", "|dW|", "|dW|/|W|", "rank"),
        tuple(
            Line(
                (
                    t.names[0],
                    f"{t.norm:.3g}",
                    "–" if t.relative is None else f"{t.relative:.3g}",
                    (t.rounding or "–")
                    if t.spectrum is None
                    else f"{t.spectrum.rank} of {min(t.shape)}",
                )
            )
            for t in most[:SHOWN]
        ),
    )
