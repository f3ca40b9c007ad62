"""Cross-property accuracy: does an edit of one property keep the model from another of the same person?

The published number counts an answer as right when it is a substring of the likeliest candidate, and
takes one of two prompts, whichever a Python set gave first, for every person and process anew. Where the
likelihoods are stored, the mended number takes exact answers and the guided prompt for everybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from truing.runs.flextape import stored
from truing.runs.flextape.line import Line
from truing.runs.flextape.stored import GENDER, METHODS, PAIRS, Likelihoods, When, share
from truing.scoring.paired import compare
from truing.scoring.stats import value_of
from truing.seeds import Seeds

PUBLISHED: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "P101_P21": ((1.000, 1.000, 0.986, 0.996), (1.000, 1.000)),
    "P21_P101": ((0.237, 0.165, 0.018, 0.072), (0.330, 0.022)),
    "P27_P21": ((0.996, 0.996, 0.982, 0.993), (1.000, 1.000)),
    "P27_P101": ((0.181, 0.196, 0.081, 0.133), (0.321, 0.004)),
    "P27_P19": ((0.004, 0.004, 0.004, 0.004), (0.241, 0.241)),
    "P101_P27": ((0.279, 0.268, 0.112, 0.201), (0.297, 0.128)),
    "P19_P21": ((0.996, 1.000, 1.000, 1.000), (1.000, 0.993)),
    "P19_P101": ((0.218, 0.189, 0.149, 0.124), (0.382, 0.011)),
}
"""By pair, the stored accuracies to three places: GPT-J under ``METHODS['gptj']``, then Llama-2-7b."""
LOTTERY = "one of two prompts was drawn for each person and run"
SUBSTRING = "'male' is in 'female', so that every answer counts as right"
IDS = "the candidates were Wikidata ids, not names of places"
NO_EDIT = "no edit was made: no likelihood moves by {:.0e} nats"
MENDED = (
    "guided prompt for all, exact answers, the {n} people whose likelihoods are stored; {lottery}; "
    "prompts before and after differ for {mixed}; '{most}' wins {count} times"
)
_SEEDS = Seeds(0, ("flextape", "pairs"))


def recompute(data: Path) -> list[Line]:
    """Every stored accuracy, by model, pair and method. Raises ``BadInput`` where a file is absent."""
    return [line for model in METHODS for pair in PAIRS for line in _lines(data, model, pair)]


def _lines(data: Path, model: str, pair: str) -> Iterator[Line]:
    methods = METHODS[model]
    scored = stored.likelihoods(data, model, methods[-1], pair)
    accuracies: list[Line] = []
    for method, published in zip(methods, PUBLISHED[pair][list(METHODS).index(model)], strict=True):
        right = stored.flags(data, model, method, pair).observations()
        found = Line(
            f"{model} {pair} {method}", "accuracy", published, share(right), len(right), None, 0,
            _unmended(model, pair),
        )  # fmt: skip
        if scored is not None and (scored.edited or method == "NONE"):
            found = _mended(found, scored, "pre" if method == "NONE" else "post")
        elif scored is not None:
            found = replace(found, reason=NO_EDIT.format(stored.UNCHANGED))
        accuracies.append(found)
    yield from accuracies
    if scored is not None and scored.edited:
        yield _change(accuracies[0], accuracies[-1], scored)


def _unmended(model: str, pair: str) -> str:
    """What is wrong with a number that the stored flags alone cannot mend."""
    asked = pair.partition("_")[2]
    if asked == GENDER:
        return f"{SUBSTRING}; {LOTTERY}"
    return f"{IDS}; {LOTTERY}" if (model, asked) == ("gptj", "P19") else LOTTERY


def _mended(line: Line, scored: Likelihoods, when: When) -> Line:
    value = value_of(scored.exact(when, "guided"), seeds=_SEEDS.child(line.item))
    most, count = scored.commonest(when, "guided")
    reason = MENDED.format(
        n=value.n, lottery=line.reason, mixed=scored.mixed, most=most, count=count
    )
    return replace(
        line,
        corrected=value.mean,
        n_corrected=value.n,
        reason=reason,
        low=value.low,
        high=value.high,
    )


def _change(before: Line, after: Line, scored: Likelihoods) -> Line:
    """After minus before: as published, repeated and mended."""
    found = compare(
        scored.exact("post", "guided"),
        scored.exact("pre", "guided"),
        against="NONE",
        seeds=_SEEDS.child(f"{after.item}/change"),
    )
    return Line(
        after.item, "change of accuracy", _minus(after.published, before.published),
        _minus(after.repeated, before.repeated), after.n, found.delta, found.n_pairs,
        f"as the two accuracies; {found.test}: p {found.p:.1e}",
        found.low, found.high,
    )  # fmt: skip


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
