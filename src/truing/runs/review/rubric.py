"""What people are asked about answers, and what each of their replies is worth."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from truing.errors import BadInput, UnknownName
from truing.protocols.questions import is_fluency
from truing.scoring.flaws import FLAWS
from truing.types import Row, State


class Parsed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Label(Parsed):
    """A reply. ``score`` from 0 to 1; ``None`` where the reply decides nothing."""

    text: str = Field(min_length=1, max_length=60)
    score: float | None = Field(default=None, ge=0, le=1)

    @property
    def state(self) -> State:
        if self.score is None:
            return "abstain"
        return "correct" if self.score == 1 else "wrong"


BETTER, SAME, WORSE = Label(text="better", score=1), Label(text="same", score=0.5), Label(text="worse", score=0)  # fmt: skip
CANNOT_TELL = Label(text="cannot tell")
COMPARED = (BETTER, SAME, WORSE, CANNOT_TELL)


class Rubric(Parsed):
    """One question to people. Every answer gets a label of its own, or, where it ``compares``, an
    answer is set against the base model's and the reply says which of the two it is. The labels then
    say what that means of the edited answer: it, neither, the base model's, undecided.

    ``accepted`` says whether the accepted answers are shown, or only the first one, which names what the
    others are examples of.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    question: str = Field(min_length=1)
    labels: tuple[Label, ...] = COMPARED
    compares: bool = False
    accepted: bool | Literal["first"] = True

    @model_validator(mode="after")
    def _labels_fit(self) -> Rubric:
        texts = [label.text for label in self.labels]
        if self.compares and [label.score for label in self.labels] != [1, 0.5, 0, None]:
            raise ValueError("a rubric that compares has labels of its own: leave them out, or give four "
                             "with the scores 1, 0.5, 0 and none")  # fmt: skip
        if not self.compares and self.labels == COMPARED:
            raise ValueError("no labels")
        if len(set(texts)) < max(2, len(texts)) or len(texts) > 9:
            raise ValueError("two to nine different labels")
        return self

    def applies(self, row: Row) -> bool:
        """Whether there is something to ask about the row's answer."""
        if self.compares:
            return row.response is not None and row.base is not None
        fits = self.name != CORRECTNESS.name or (bool(row.accepted) and not is_fluency(row.aspect))
        return row.response is not None and fits

    def shown(self, accepted: tuple[str, ...]) -> tuple[str, ...]:
        """Those of a row's accepted answers that people see."""
        if not self.accepted:
            return ()
        return accepted[:1] if self.accepted == "first" else accepted

    def label(self, text: str) -> Label:
        """The label with this text. Raises ``UnknownName``."""
        for label in self.labels:
            if label.text == text:
                return label
        raise UnknownName("label", text, [label.text for label in self.labels])

    def column(self, annotator: str | None) -> str:
        """The name of the judge whose verdicts hold this person's decisions, or all people's."""
        if self.name == CORRECTNESS.name:
            return "human" if annotator is None else f"human:{annotator}"
        return f"human:{annotator or EVERYONE}/{self.name}"


EVERYONE = "all"
CORRECTNESS = Rubric(
    name="correctness",
    question="Does the answer say what the accepted answer says?",
    labels=(Label(text="correct", score=1), Label(text="wrong", score=0), CANNOT_TELL),
)
PREFERENCE = Rubric(
    name="preference",
    question="Which is the better answer to the question?",
    compares=True,
    accepted=False,
)
TRAIT = Rubric(
    name="personality",
    question="How well does the answer fit a person of the trait that is shown as accepted? 1: not at all. "
    "2: rather not. 3: neither well nor badly. 4: rather well. 5: very well.",
    labels=(*(Label(text=str(n), score=(n - 1) / 4) for n in range(1, 6)), CANNOT_TELL),
    accepted="first",
)
MORE_OR_LESS = (
    Label(text="more", score=1), Label(text="same", score=0.5), Label(text="less", score=0), CANNOT_TELL,
)  # fmt: skip
FLAW_RUBRICS = tuple(
    Rubric(
        name=f"flaw-{name}",
        question=f"Which text has more {said}?",
        labels=MORE_OR_LESS,
        compares=True,
        accepted=False,
    )
    for name, said in FLAWS.items()
)
RUBRICS: Mapping[str, Rubric] = MappingProxyType(
    {r.name: r for r in (CORRECTNESS, PREFERENCE, TRAIT, *FLAW_RUBRICS)}
)


def rubric(name: str) -> Rubric:
    """A rubric by its name, or from a TOML file with the fields of :class:`Rubric`.

    Raises ``UnknownName`` for a name that is neither, ``BadInput`` for a file that holds none.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in RUBRICS:
            raise UnknownName("rubric", name, [*RUBRICS, "FILE.toml"])
        return RUBRICS[name]
    try:
        found = Rubric.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "Give a rubric's file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}", "Mend it.") from None
    except ValidationError as error:
        raise BadInput(
            f"{path}: {_first(error)}",
            "A rubric has name, question and labels = [{ text, score }, ...], or compares = true.",
        ) from None
    if found.name in RUBRICS:
        raise BadInput(f"{path}: '{found.name}' is a built-in rubric", "Give it another name.")
    return found


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
