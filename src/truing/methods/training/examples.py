"""From cases to what a learned editor trains on, and which cases it never sees.

Cases about one subject stay together: training on one fact about somebody and testing on another
would tell how well the editor remembers, not how well it edits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from truing.errors import BadInput, TruingError
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.mend_descriptor import descriptor
from truing.methods.training.evidence import staying, wanted
from truing.models.handle import Model
from truing.models.spans import Speller
from truing.seeds import Seeds
from truing.types import Case, EditRequest


@dataclass(frozen=True)
class Split:
    """Cases to train on, to choose the best step by, and for nobody to see."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    held_out: tuple[Case, ...]

    @classmethod
    def of(cls, cases: Sequence[Case], seed: int, validation: float, held_out: float) -> Split:
        """Shares of the subjects, decided by the seed and each subject alone.

        Raises ``BadInput`` where a part that is needed would be empty.
        """
        groups: dict[str, list[Case]] = {}
        for case in cases:
            groups.setdefault(case.requests[0].subject or case.id, []).append(case)
        seeds = Seeds(seed).child("split")
        names = sorted(groups, key=lambda name: seeds.child(name).number)
        n_validation = max(1, round(validation * len(names)))
        n_held_out = round(held_out * len(names))
        if len(names) - n_validation - n_held_out < 1:
            raise BadInput(
                f"{len(names)} subject(s) in {len(cases)} case(s) are too few to train, validate "
                "and hold out",
                "Give more records, or lower the shares of validation and held_out.",
            )
        cut = n_validation + n_held_out
        parts = (names[cut:], names[:n_validation], names[n_validation:cut])
        train, valid, held = (tuple(c for name in part for c in groups[name]) for part in parts)
        return cls(train, valid, held)

    @property
    def digest(self) -> str:
        """Content hash of all parts."""
        parts = [[asdict(c) for c in part] for part in (self.train, self.validation, self.held_out)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def ids(self) -> dict[str, list[str]]:
        return {
            "trained_on": [case.id for case in self.train],
            "validated_on": [case.id for case in self.validation],
            "held_out": [case.id for case in self.held_out],
        }


@dataclass(frozen=True)
class Example:
    """A case as rows of tokens. ``told`` is what the edit is made from, ``edit`` the request;
    ``rephrases`` ask for the same target or for another text that it should bring about; ``unrelated``
    are read where their answers stand and should stay as they are; ``own`` is the edit's prompt with the
    answer of before, unrelated for every other case."""

    id: str
    told: Line
    edit: Line
    rephrases: tuple[Line, ...]
    unrelated: tuple[Line, ...]
    own: Line


def example(model: Model, case: Case, wording: str | None = None) -> Example:
    """``case`` (its first request) as an example, told in ``wording``.

    Raises ``TruingError`` for texts that the model cannot take.
    """
    request, speller = case.requests[0], model.speller
    old = request.target_old or request.target_new
    return Example(
        case.id,
        descriptor(model, request, wording),
        answer_line(speller, request),
        tuple(answer_line(speller, other) for other in wanted(case)),
        tuple(read_line(speller, other) for other in staying(case)),
        answer_line(speller, replace(request, target_new=old)),
    )


def examples(model: Model, cases: Sequence[Case], wording: str | None = None) -> list[Example]:
    """All of them; errors name the case."""
    found = []
    for case in cases:
        try:
            found.append(example(model, case, wording))
        except TruingError as error:
            raise BadInput(f"case {case.id}: {error.what}", error.next) from None
    return found


def read_line(speller: Speller, asked: EditRequest, told: str = "") -> Line:
    """A row, after ``told``, read where its answer stands, or after the prompt where there is none."""
    if asked.target_new:
        return answer_line(speller, asked, told)
    ids = tuple(speller.prompt_ids(told + asked.prompt))
    return Line(ids, 0, (len(ids) - 1,))


def as_records(cases: Sequence[Case]) -> str:
    """Cases as JSON lines that the ``custom`` benchmark reads."""
    return "".join(json.dumps(_record(case), ensure_ascii=False) + "\n" for case in cases)


def _record(case: Case) -> dict[str, Any]:
    request = case.requests[0]
    asked: dict[str, list[Any]] = {"generalization": [], "locality": [], "portability": []}
    for probe in case.probes:
        aspect, _, kind = probe.aspect.partition("/")
        if aspect == "generalization":
            asked[aspect].append(probe.prompt)
        elif aspect in asked:
            answers = list(probe.accepted) or ([probe.reference] if probe.reference else [])
            asked[aspect].append({"prompt": probe.prompt, "answer": answers, "kind": kind})
    record = {
        "id": case.id,
        "prompt": request.prompt,
        "target_new": request.target_new,
        "target_old": request.target_old,
        "subject": request.subject,
        "rephrases": asked["generalization"],
        "locality": asked["locality"],
        "portability": asked["portability"],
    }
    return {key: value for key, value in record.items() if value}
