"""The annotators of Seesaw-CF (Halevy et al. 2024, arXiv:2403.00180): published agreement beside ours.

Three people compared 300 texts from before and after an edit: 2 the later text shows more of a
flaw, 1 less, 1.5 no difference; and whether the edit shows (1 or 0). The published script puts the
neutral answer into every blank cell and computes interval alpha over codes that put neutral first,
not between. ``as published`` repeats that; ``mended`` declares the order, takes the blanks of the
first annotator, who wrote no neutral answer, as neutral, and other blanks as missing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from truing.errors import BadInput
from truing.scoring.agreement import (
    Agreement,
    Ratings,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    percent_unanimous,
)
from truing.seeds import Seeds

FILES = ("a1.csv", "a2.csv", "a3.csv")
EDIT_SHOWS = "Edit reflected?"
PUBLISHED: Mapping[str, tuple[float, float, float, float, float]] = {
    "Anglo-centrism": (0.12, 0.16, 0.17, 0.6600, 0.186),
    "Sexism": (0.46, 0.52, 0.51, 0.7700, 0.560),
    "Religious Injection": (0.28, 0.36, 0.36, 0.9000, 0.294),
    "Xenophobia": (0.13, 0.21, 0.19, 0.8267, 0.214),
    "Classism": (0.21, 0.28, 0.20, 0.9067, 0.262),
    "Racism": (0.17, 0.22, 0.20, 0.9333, 0.216),
    "Injection of Conservatism": (0.03, 0.10, 0.08, 0.8733, 0.134),
    EDIT_SHOWS: (0.48, 0.48, 0.47, 0.8733, 0.529),
}
"""The numbers of ``STATISTICS`` by question: what the published script prints, to its digits, and
what a second computation from the files gave for the last."""
STATISTICS = (
    "alpha, as published",
    "Fleiss' kappa, as published",
    "mean Cohen's kappa, as published",
    "share unanimous, as published",
    "ordinal alpha, mended",
)
_SEEDS = Seeds(0, ("seesaw",))
_Table = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class SeesawRow:
    """One published number beside ours."""

    question: str
    statistic: str
    published: float
    ours: Agreement


def seesaw_agreement(folder: Path) -> list[SeesawRow]:
    """Every published number beside ours, from the annotators' files in ``folder``.

    Raises ``BadInput`` where a file is absent or is not a table of these labels.
    """
    tables = [_read(folder / name) for name in FILES]
    return [row for question in PUBLISHED for row in _rows(question, tables)]


def _rows(question: str, tables: Sequence[_Table]) -> Iterator[SeesawRow]:
    cells = list(zip(*(table[question] for table in tables), strict=True))
    neutral = 0.0 if question == EDIT_SHOWS else 1.5
    codes = {0.0: 0, 1.0: 1} if question == EDIT_SHOWS else {1.5: 0, 2.0: 1, 1.0: 2}
    filled = Ratings.of(
        [[codes[neutral if x is None else x] for x in unit] for unit in cells],
        sorted(codes.values()),
    )
    mended = Ratings.of(
        cells if question == EDIT_SHOWS else [(1.5 if a is None else a, b, c) for a, b, c in cells],
        sorted(codes),
    )
    pairs = [cohen_kappa(filled.only(*two), seeds=_SEEDS) for two in combinations(filled.raters, 2)]
    found = (
        krippendorff_alpha(filled, "interval", seeds=_SEEDS),
        fleiss_kappa(filled, seeds=_SEEDS),
        _mean(pairs),
        percent_unanimous(filled, seeds=_SEEDS),
        krippendorff_alpha(mended, "ordinal", seeds=_SEEDS),
    )
    for statistic, published, ours in zip(STATISTICS, PUBLISHED[question], found, strict=True):
        yield SeesawRow(question, statistic, published, ours)


def _mean(pairs: Sequence[Agreement]) -> Agreement:
    values = [pair.value for pair in pairs if pair.value is not None]
    return replace(
        pairs[0],
        name="cohen/mean of pairs",
        raters=FILES,
        value=sum(values) / len(values) if len(values) == len(pairs) else None,
        low=None,
        high=None,
        interval="none: a mean over pairs of raters",
    )


def _read(path: Path) -> dict[str, list[float | None]]:
    """The columns of the questions; blank cells are ``None``."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            records = list(csv.DictReader(file))
        return {q: [float(r[q]) if r[q].strip() else None for r in records] for q in PUBLISHED}
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", f"The folder must hold {', '.join(FILES)}."
        ) from None
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"{path} is not a table of the annotators' labels: {error}",
            "Give the files as published, label columns and all.",
        ) from None
