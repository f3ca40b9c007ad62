"""How numbers, names and sentences are written. Shared by terminal tables, figures and the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

from truing.errors import BadInput
from truing.protocols.protocol import AXES, KL, LIKELIHOOD_SCORERS, PROTOCOLS, differences, parse
from truing.scoring.metrics import GLOSSARY
from truing.types import Comparison, Measure, Value

Family = Literal["synthetic", "wild", "likelihood"]
SCORES = (
    "efficacy",
    "generalization",
    "locality",
    "portability",
    "preference",
    "accuracy",
    "fluency",
    "trait-rating",
    "concept-grade",
    "instruction-grade",
    "fluency-grade",
    "win-rate",
    "flaw",
    "review-score",
)
ASPECTS: dict[str, str] = {
    "efficacy": "Efficacy",
    "generalization": "Generalization",
    "locality": "Locality",
    "portability": "Portability",
    "fluency": "Fluency",
    "drawdown": "Drawdown",
    "persistence": "Persistence",
    "preference": "Preference",
    "robustness": "Under doubt",
    "robustness-control": "Under doubt, control",
    "moral": "Morals",
    "impact": "Impact",
    "capability": "Capability",
}
ASPECT_QUESTIONS: dict[str, str] = {
    "efficacy": "Does the edited statement hold?",
    "generalization": "Does it hold when asked in other words?",
    "locality": "Do unrelated neighbours still get the base model's answer?",
    "portability": "Do facts that follow from the edit hold too?",
    "fluency": "Does the model still write healthy text?",
    "persistence": "Does it still show later in the conversation?",
    "drawdown": "How far did what is expected in other texts move?",
    "preference": "Does the side to promote win?",
    "robustness": "Does the edited fact hold when the answer is doubted?",
    "robustness-control": "Is a false claim, or a false answer, not agreed with?",
    "moral": "Is the answer right where the edit was made, whatever the edit wants?",
    "impact": "Is the answer right in scenarios that no edit is about?",
    "capability": "Can the model still do what no edit is about?",
}
FLAG_MEANINGS: dict[str, str] = {
    "nothing-changed": "the model answers as before: nothing that was edited had an effect",
    "degenerate": "the model is broken: what it no longer says is no success",
}


@cache
def protocol(ident: str) -> str:
    """What people call a protocol id: its preset's name, or the nearest preset and what differs."""
    try:
        found = parse(ident)
    except BadInput:
        return ident
    if found.name != found.id:
        return found.name
    presets = [PROTOCOLS.get(name) for name in ("synthetic", "wild")]
    near = min(presets, key=lambda p: len(differences(p, found)))
    swaps = [f"{axis}={getattr(found, axis)}" for axis in differences(near, found)]
    return ", ".join((near.name, *swaps))


@cache
def family(ident: str) -> Family:
    """``synthetic``: the answer is fed; ``wild``: the model writes its own; or likelihoods alone."""
    try:
        found = parse(ident)
    except BadInput:
        return "wild"
    if found.scorer in LIKELIHOOD_SCORERS or found.scorer == KL:
        return "likelihood"
    return "synthetic" if found.forced else "wild"


def axes(ident: str) -> tuple[tuple[str, str], ...]:
    """The four axes of a protocol id and their values; none for an id that cannot be read."""
    try:
        found = parse(ident)
    except BadInput:
        return ()
    return tuple((axis, str(getattr(found, axis))) for axis in AXES)


def aspect_title(aspect: str) -> str:
    """``portability/two-hop`` becomes ``Portability · two-hop``."""
    head, _, part = aspect.partition("/")
    title = ASPECTS.get(head, head[:1].upper() + head[1:])
    return f"{title} · {part}" if part else title


def aspect_question(aspect: str) -> str:
    return ASPECT_QUESTIONS.get(aspect.partition("/")[0], "")


def aspect_order(aspect: str) -> tuple[int, str]:
    """Sort key: the order in which the aspects are explained, then by name."""
    heads = list(ASPECTS)
    head = aspect.partition("/")[0]
    return (heads.index(head) if head in heads else len(heads), aspect)


def is_share(measure: Measure) -> bool:
    """Whether the number is a share in [0, 1] (or a difference of shares) that reads as per cent."""
    metric = GLOSSARY.get(measure.metric)
    return metric is not None and metric.unit in ("share", "points")


def is_score(metric: str) -> bool:
    """Whether the metric is a judged aspect, not a reading (length, entropy) or a derived number."""
    return metric in SCORES


def metric_title(metric: str) -> str:
    """The glossary's title, with the unit where it is not a share."""
    known = GLOSSARY.get(metric)
    if known is None:
        return metric
    return known.title if known.unit in ("share", "points") else f"{known.title}, {known.unit}"


def number(x: float | None, *, share: bool, digits: int = 1) -> str:
    """``62.5`` for a share of 0.625, ``3.84`` for other numbers, an em dash for no number."""
    if x is None:
        return "—"
    if share:
        text = f"{100 * x:.{digits}f}"
        return "100" if float(text) == 100 else text
    return f"{x:.2f}" if abs(x) < 100 else f"{x:.0f}"


def percent(x: float) -> str:
    """``62 %``: for sentences. 99.6 % is not rounded to a perfect 100 %, nor 0.4 % to nothing."""
    whole = math.floor(100 * x + 0.5)
    if (whole == 100 and x < 1) or (whole == 0 and x > 0):
        return f"{100 * x:.1f}\u202f%"
    return f"{whole}\u202f%"


def interval(value: Value, *, share: bool) -> str:
    """``47–76``, ``-0.2 to 0.1``; a decimal only where n carries one. Empty when the value has no interval."""
    if value.low is None or value.high is None:
        return ""
    digits = 0 if value.n < 400 else 1
    low, high = (number(x, share=share, digits=digits) for x in (value.low, value.high))
    return f"{low} to {high}" if value.low < 0 else f"{low}–{high}"


def mark(versus: Comparison | None) -> str:
    """Stars for the corrected p against the baseline: ``*`` < .05, ``**`` < .01, ``***`` < .001."""
    p = None if versus is None else versus.p_adjusted if versus.p_adjusted is not None else versus.p
    if p is None:
        return ""
    return "***" if p < 0.001 else "**" if p < 0.01 else "*" if p < 0.05 else ""


def p_text(p: float) -> str:
    """``p = .031``, never ``p = 0``."""
    return "p < .001" if p < 0.001 else f"p = {f'{p:.3f}'.removeprefix('0')}"


def versus_text(versus: Comparison, *, share: bool) -> str:
    """``+61.0 points against none (52.1 to 69.9), p < .001, h = +1.20, exact McNemar, 40 pairs (80 %
    power for 12.5 points)``."""
    if versus.delta is None:
        return f"not comparable with {versus.against}"
    unit = " points" if share else ""
    text = f"{_signed(versus.delta, share)}{unit} against {versus.against}"
    if versus.low is not None and versus.high is not None:
        text += f" ({_signed(versus.low, share)} to {_signed(versus.high, share)})"
    p = versus.p_adjusted if versus.p_adjusted is not None else versus.p
    if p is not None:
        text += f", {p_text(p)}{' corrected' if versus.p_adjusted is not None else ''}"
    if versus.effect is not None:
        text += f", {'h' if share else 'd'} = {versus.effect:+.2f}"
    text += f", {versus.test}, {versus.n_pairs} pairs"
    if versus.detectable is not None:
        least = number(versus.detectable, share=share, digits=1)
        text += f" (80 % power for {least}{unit})"
    return text


def states(value: Value) -> tuple[str, ...]:
    """``("2 abstain", "1 invalid")``: what could not simply be scored."""
    counts = (
        ("abstain", value.abstain),
        ("invalid", value.invalid),
        ("degenerate", value.degenerate),
        ("missing", value.missing),
    )
    return tuple(f"{count} {name}" for name, count in counts if count)


def join(names: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def plural(n: int, noun: str) -> str:
    """``1 case``, ``2,431 cases``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _signed(x: float, share: bool) -> str:
    return f"{'+' if x >= 0 else '−'}{number(abs(x), share=share)}"


def moment(name: str) -> str:
    """``right after each edit``, ``after all edits``, ...: when something was measured."""
    return {
        "base": "unedited, asked again",
        "immediate": "right after each edit",
        "final": "after all edits",
        "step": "along the way",
    }.get(name, name)


def regime(name: str) -> str:
    """``batch-10`` becomes ``Batches of 10``; unknown regimes keep their name."""
    known = {
        "single": "Single edits",
        "sequential": "Sequential edits",
        "batch-all": "All edits at once",
    }
    if name in known:
        return known[name]
    head, _, rest = name.partition("-")
    size, _, restored = rest.partition("-")
    if head != "batch" or not size.isdigit():
        return name
    return f"Batches of {size}" + (", restored in between" if restored == "restored" else "")
