"""Efficacy of MEMIT on Llama-2-7b-chat: is the new target likelier than the old one on the edited prompt?

Of three stored sets of edits two were saved from an unedited model: every likelihood is the same before
and after, bit by bit. In the third one, targets were scored from one position too early: the model's
own first choice is the right token in one of 1796 cases, for facts that it surely knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from truing.errors import BadInput
from truing.runs.flextape.line import Line, folder_in, read_table
from truing.runs.flextape.stored import observed, share

FILE = "eff_nll_llamac.csv"
PUBLISHED: Mapping[str, tuple[float, float]] = {
    "P103": (0.374, 0.506),
    "P21_P101": (0.414, 0.414),
    "P27_P101": (0.532, 0.532),
}
"""Before and after the edit. The edits of the last two are of gender and of citizenship."""
NO_EDIT = "no edit was made: all {n} cases are the same before and after, bit by bit"
SHIFTED = (
    "scored at positions shifted by a token that the tokenizer puts in front (inferred): the likeliest "
    "tokens are the old target in {right} of {of} answers, before and after"
)
_COLUMNS = ("pre_target_new", "pre_target_true", "post_target_new", "post_target_true")
_FLAGS = ("pre_correct", "post_correct")


def recompute(data: Path) -> list[Line]:
    """Both shares of each set. None can be mended. Raises ``BadInput`` where the file is absent or has
    another shape."""
    path = folder_in(data, "results") / FILE
    rows = read_table(path, "dataset", *_COLUMNS, *_FLAGS)
    return [line for name in PUBLISHED for line in _lines(name, _of(name, rows, path))]


def _of(name: str, rows: list[dict[str, str]], path: Path) -> list[list[float]]:
    """The four likelihoods and two flags of every case of a set."""
    try:
        found = [
            [float(row[column]) for column in (*_COLUMNS, *_FLAGS)]
            for row in rows
            if row["dataset"] == name
        ]
    except ValueError as error:
        raise BadInput(f"{path}: {error}", "Pass the file as it is.") from None
    if not found:
        raise BadInput(f"{path} has no cases of {name}", "Pass the file as it is.")
    return found


def _lines(name: str, cases: list[list[float]]) -> Iterator[Line]:
    n = len(cases)
    edited = any(case[0:2] != case[2:4] for case in cases)
    right = int(sum(case[4] + case[5] for case in cases))
    reason = SHIFTED.format(right=right, of=2 * n) if edited else NO_EDIT.format(n=n)
    for at, (method, published) in enumerate(zip(("NONE", "MEMIT"), PUBLISHED[name], strict=True)):
        likelier = [
            observed(str(i), case[2 * at] < case[2 * at + 1]) for i, case in enumerate(cases)
        ]
        yield Line(
            f"llamac {name} {method}", "new target likelier", published, share(likelier), n, None, 0,
            reason,
        )  # fmt: skip
