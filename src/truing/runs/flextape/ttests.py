"""The t-tests of Seesaw-CF beside tests that fit.

Accuracies before and after an edit are of the same people, and were tested as two groups: mended by the
exact McNemar test, over all comparisons of a model. Labels of texts (2 more of a flaw, 1 less, 1.5 same)
were averaged over annotators by a rule that made blank cells "less"; means were tested against 1.5:
mended by leaving blanks out (those of the
first annotator, who wrote no neutral answer, are "same") and by the exact sign test, over all questions and parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from truing.errors import BadInput
from truing.runs.flextape import stored
from truing.runs.flextape.line import Line, folder_in, read_table
from truing.runs.flextape.pairs import NO_EDIT
from truing.runs.flextape.stored import METHODS, PAIRS
from truing.runs.seesaw_agreement import EDIT_SHOWS, FILES
from truing.runs.seesaw_agreement import PUBLISHED as QUESTIONS
from truing.scoring.intervals import Floats
from truing.scoring.observations import Observation
from truing.scoring.paired import Pairs, compare, correct, holm, mcnemar
from truing.scoring.stats import value_of
from truing.seeds import Seeds

PUBLISHED: Mapping[str, tuple[tuple[float | None, ...], float | None]] = {
    "P101_P21": ((None, 0.045, 0.32), None),
    "P21_P101": ((0.035, 2e-15, 5e-8), 4e-23),
    "P27_P21": ((None, 0.10, 0.56), None),
    "P27_P101": ((0.66, 6e-4, 0.13), 2e-25),
    "P27_P19": ((None, None, None), None),
    "P101_P27": ((0.77, 8e-7, 0.034), 2e-6),
    "P19_P21": ((None, None, None), 0.16),
    "P19_P101": ((0.40, 0.037, 0.003), 8e-31),
}
"""By pair, p of GPT-J under FT, MEND and MEMIT, then of Llama-2-7b under MEMIT."""
PUBLISHED_LABELS: Mapping[str, float] = {"Sexism, P21, conservative": 4e-7}
"""The one p that was told of the labels."""
PARTS: Mapping[str, str | None] = {
    "overall": None,
    "P101": "P101_P21",
    "P21": "P21_P101",
    "P27": "P27_P21",
}
PAIRED = "the same people before and after: exact McNemar, Holm over {m} comparisons of the model"
SIGNS = "{more} more, {less} less: exact sign test, Holm over {m} questions and parts"
MERGED = (
    "another label for {differing} of {n} texts; {blank} of them have a blank cell, which was counted as "
    "a label"
)
SAME = 1.5
_SEEDS = Seeds(0, ("flextape", "ttests"))
_Labels = tuple[float | None, ...]


def recompute(data: Path) -> list[Line]:
    """The tests of accuracies, then means and tests of the labels. Raises ``BadInput``."""
    return [*_accuracies(data), *_labels(folder_in(data, "annotations"))]


def _accuracies(data: Path) -> Iterator[Line]:
    for number, (model, methods) in enumerate(METHODS.items()):
        keys, told, before, after = [], [], [], []
        for pair in PAIRS:
            of_model = (PUBLISHED[pair][0], (PUBLISHED[pair][1],))[number]
            for method, p in zip(methods[1:], of_model, strict=True):
                keys.append((model, method, pair))
                told.append(p)
                before.append(stored.flags(data, model, "NONE", pair).observations())
                after.append(stored.flags(data, model, method, pair).observations())
        tests = correct(
            [
                compare(a, b, against="NONE", seeds=_SEEDS.child(" ".join(key)))
                for key, a, b in zip(keys, after, before, strict=True)
            ]
        )
        for key, p, a, b, test in zip(keys, told, after, before, tests, strict=True):
            scored = stored.likelihoods(data, *key)
            unedited = scored is not None and not scored.edited
            adjusted = None if test is None or unedited else test.p_adjusted
            model, method, pair = key
            yield Line(
                f"{model} {pair} {method}", "p of the difference", p, _two_groups(a, b), len(a), adjusted,
                0 if test is None or unedited else test.n_pairs,
                NO_EDIT.format(stored.UNCHANGED) if unedited else PAIRED.format(m=len(tests)),
            )  # fmt: skip


def _two_groups(after: Sequence[Observation], before: Sequence[Observation]) -> float | None:
    """The published test: equal-variance t between two groups; ``None`` where nothing varies."""
    a, b = (np.array([o.score for o in side], dtype=np.float64) for side in (after, before))
    if np.ptp(a) == np.ptp(b) == 0:
        return None
    moments = [x for side in (a, b) for x in (side.mean(), side.std(ddof=1), len(side))]
    return float(stats.ttest_ind_from_stats(*moments).pvalue)


def liberal(labels: _Labels) -> float:
    """What somebody says and nobody contradicts, else "same"."""
    said = {label for label in labels if label is not None}
    return 2.0 if 2 in said and 1 not in said else 1.0 if 1 in said and 2 not in said else SAME


def conservative(labels: _Labels) -> float:
    """What all who say something say, else "same"."""
    said = {label for label in labels if label is not None}
    return said.pop() if len(said) == 1 else SAME


RULES: Mapping[str, tuple[str, Callable[[_Labels], float]]] = {
    "liberal": ("3way.csv", liberal),
    "conservative": ("3way_cons.csv", conservative),
}


def _labels(folder: Path) -> Iterator[Line]:
    questions = [question for question in QUESTIONS if question != EDIT_SHOWS]
    people = [read_table(folder / name, "props", *questions) for name in FILES]
    for rule, (file, merge) in RULES.items():
        table = read_table(folder / file, "item_id", "props", *questions)
        items = [row for row in table if not row["item_id"].startswith("mean_")]
        told = {row["item_id"]: row for row in table if row["item_id"].startswith("mean_")}
        found = []
        for question in questions:
            said = _said(people, question, folder)
            for part, props in PARTS.items():
                where = [i for i, row in enumerate(items) if props in (None, row["props"])]
                theirs = np.array([_number(items[i][question], folder) for i in where], dtype=float)
                ours = np.array([merge(said[i]) for i in where], dtype=float)
                blank = np.array([None in said[i] for i in where])
                published = _number(told[f"mean_{part}"][question], folder)
                found.append((question, part, published, theirs, ours, blank))
        adjusted = holm([_signs(ours) for *_, ours, _ in found])
        for (question, part, published, theirs, ours, blank), p in zip(
            found, adjusted, strict=True
        ):
            item = f"{question}, {part}, {rule}"
            yield _mean(item, published, theirs, ours, blank[theirs != ours])
            reason = SIGNS.format(
                more=int((ours > SAME).sum()), less=int((ours < SAME).sum()), m=len(found)
            )
            yield Line(
                item, "p of the mean against 1.5", PUBLISHED_LABELS.get(item), _one_sample(theirs), len(theirs), p,
                len(ours), reason,
            )  # fmt: skip


def _mean(
    item: str,
    published: float | None,
    theirs: Floats,
    ours: Floats,
    differing_blank: NDArray[np.bool_],
) -> Line:
    """``differing_blank`` says of every text whose label differs whether a cell of it is blank."""
    observations = [Observation((str(i), ""), str(i), float(x), None) for i, x in enumerate(ours)]
    value = value_of(observations, seeds=_SEEDS.child(item), bounded=False)
    differing, blank = len(differing_blank), int(differing_blank.sum())
    reason = (
        MERGED.format(differing=differing, n=len(ours), blank=blank) if differing else "same labels"
    )
    return Line(
        item, "mean label", published, float(theirs.mean()), len(theirs), value.mean, value.n, reason,
        value.low, value.high,
    )  # fmt: skip


def _said(
    people: Sequence[Sequence[Mapping[str, str]]], question: str, folder: Path
) -> list[_Labels]:
    """The labels of every text; the first annotator wrote no neutral answer, so blanks of theirs are."""
    cells = [[_number(row[question], folder) for row in rows] for rows in people]
    first = [SAME if x is None else x for x in cells[0]]
    return list(zip(first, *cells[1:], strict=True))


def _signs(labels: Floats) -> float:
    """Two-sided exact sign test of "as often more as less"."""
    same = np.full(len(labels), SAME)
    return mcnemar(Pairs(labels, same, np.arange(len(labels))))


def _one_sample(labels: Floats) -> float | None:
    """The published test; ``None`` where all labels are the same."""
    return None if np.ptp(labels) == 0 else float(stats.ttest_1samp(labels, SAME).pvalue)


def _number(cell: str, folder: Path) -> float | None:
    try:
        return float(cell) if cell.strip() else None
    except ValueError:
        raise BadInput(f"{folder}: '{cell}' is no label", "Give the files as published.") from None
