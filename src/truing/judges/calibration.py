"""How good a judge is, on answers whose labels are known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from truing.errors import BadInput
from truing.judges.base import AskedJudge
from truing.protocols.protocol import WILD_PUBLISHED_QUESTION
from truing.scoring.agreement import Agreement, Ratings, cohen_kappa, krippendorff_alpha
from truing.scoring.intervals import wilson
from truing.scoring.stats import CONFIDENCE
from truing.seeds import Seeds
from truing.types import Response, Row, State, Value, Verdict

STATES: tuple[State, ...] = ("correct", "wrong", "abstain", "degenerate")
PROTOCOL = WILD_PUBLISHED_QUESTION.id
"""Its truncation leaves an answer whole, but for one full stop at its end."""
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class Item(BaseModel):
    """One labelled answer. ``kind`` says what makes it easy or hard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answer: str
    accepted: tuple[str, ...] = Field(min_length=1)
    label: Literal["correct", "wrong", "abstain", "degenerate"]
    kind: str = ""

    def row(self, key: str) -> Row:
        """The item as a row of a run."""
        return Row(
            key=key, cell="", case=key, probe="item", aspect="question", protocol=PROTOCOL,
            moment="immediate", step=1, prompt=self.question, accepted=self.accepted,
            response=Response(self.answer, stop="eos"), base=None, question=self.question,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bin:
    """Verdicts with scores from ``low`` up to ``high``: how many, their mean score, and the share
    of them whose label is ``correct``, with its interval."""

    low: float
    high: float
    n: int
    score: float
    correct: float
    bounds: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """One judge against the labels.

    ``accuracy`` is the share of the judged items of which the judge rightly says "correct" or
    anything else; invalid ones are left out and counted. ``kappa`` is of these two labels, ``alpha``
    of all four. ``confusion`` maps (label, state) to a count; ``kinds`` maps a
    kind of item to (right, judged).
    """

    judge: str
    items: int
    accuracy: Value
    kappa: Agreement
    alpha: Agreement
    confusion: Mapping[tuple[str, str], int]
    kinds: Mapping[str, tuple[int, int]]
    reliability: tuple[Bin, ...]


def shipped() -> Path:
    """The labelled answers that come with Truing: general facts and the embedded model's world.

    Written and labelled by this project, hard kinds more often than models produce them: they
    compare judges and show what each misses; they do not say how often it errs on a run.
    """
    return Path(str(files("truing.judges").joinpath("labelled.jsonl")))


def read_items(path: Path) -> list[Item]:
    """The items of a JSON lines file. Raises ``BadInput`` naming the line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {error}", "Give a JSON lines file.") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(Item.model_validate(json.loads(line)))
        except (json.JSONDecodeError, ValidationError) as error:
            what = (
                f"'{'.'.join(map(str, error.errors()[0]['loc']))}': {error.errors()[0]['msg']}"
                if isinstance(error, ValidationError)
                else f"no JSON ({error.msg})"
            )
            raise BadInput(
                f"{path} line {number}: {what}",
                "Each line has question, answer, accepted (a list) and label.",
            ) from None
    if not found:
        raise BadInput(f"{path} holds no labelled answer", "Give at least one.")
    return found


def calibrate(judge: AskedJudge, items: Sequence[Item], watch: Callable[[], None]) -> Calibration:
    """Let ``judge`` judge the items; ``watch`` is called at each verdict. Raises what the judge
    raises."""
    verdicts: dict[str, Verdict] = {}

    def heard(verdict: Verdict) -> None:
        verdicts[verdict.row] = verdict
        watch()

    judge.judge_all([item.row(str(i)) for i, item in enumerate(items)], heard)
    missing = Verdict("", judge.name, "invalid", None, "no verdict")
    said = [verdicts.get(str(i), missing) for i in range(len(items))]
    return compared(judge.name, items, said)


def compared(judge: str, items: Sequence[Item], said: Sequence[Verdict]) -> Calibration:
    """Verdicts against labels, in the same order."""
    states = [None if v.state == "invalid" else v.state for v in said]
    pairs = [(item, state) for item, state in zip(items, states, strict=True) if state is not None]
    right = [(item.label == "correct") == (state == "correct") for item, state in pairs]
    share = sum(right) / len(right) if right else None
    low, high = wilson(share, len(right), CONFIDENCE) if share is not None else (None, None)
    kinds: dict[str, tuple[int, int]] = {}
    for (item, _), ok in zip(pairs, right, strict=True):
        good, all_ = kinds.get(item.kind, (0, 0))
        kinds[item.kind] = (good + ok, all_ + 1)
    seeds = Seeds(0, ("calibration", judge))
    two = [
        ("correct" if item.label == "correct" else "other",
         None if state is None else "correct" if state == "correct" else "other")
        for item, state in zip(items, states, strict=True)
    ]  # fmt: skip
    four = [(item.label, state) for item, state in zip(items, states, strict=True)]
    return Calibration(
        judge=judge,
        items=len(items),
        accuracy=Value(
            len(right), share, low, high, "95% Wilson" if right else "", len(right),
            invalid=len(items) - len(right),
        ),
        kappa=cohen_kappa(
            Ratings.of(two, ("correct", "other"), raters=("labels", judge)), seeds=seeds
        ),
        alpha=krippendorff_alpha(Ratings.of(four, STATES, raters=("labels", judge)), seeds=seeds),
        confusion=Counter((item.label, v.state) for item, v in zip(items, said, strict=True)),
        kinds=kinds,
        reliability=_reliability(items, said),
    )  # fmt: skip


def _reliability(items: Sequence[Item], said: Sequence[Verdict]) -> tuple[Bin, ...]:
    found = []
    for low, high in pairwise(BINS):
        held = [
            (v.score, item.label == "correct")
            for item, v in zip(items, said, strict=True)
            if v.score is not None and (low <= v.score < high or v.score == high == BINS[-1])
        ]
        if held:
            n, correct = len(held), sum(right for _, right in held)
            bounds = wilson(correct / n, n, CONFIDENCE)
            found.append(Bin(low, high, n, sum(s for s, _ in held) / n, correct / n, bounds))
    return tuple(found)
