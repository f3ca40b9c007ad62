"""A memory of edits that acts only on questions about them.

Mitchell et al. 2022, "Memory-Based Model Editing at Scale", section 3: the scope function picks the edit
that a question is most probably about; at its threshold or above the edit's text stands in front of the
question and the counterfactual model answers, otherwise the base model does. The counterfactual model is
the base with low-rank deltas, or the base itself.

The decision falls on the text, before anything is tokenised: a question that misses is a question to the
base model and nothing else, one that hits is an ordinary row with a prefix and deltas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from truing.errors import BadInput
from truing.interventions.hashing import content_hash
from truing.interventions.scope import Ask, Scope, question
from truing.types import Prompt

if TYPE_CHECKING:
    from truing.interventions.parts import WeightDelta


@dataclass(frozen=True, slots=True)
class Remembered:
    """One edit of a memory: the prompt it was made for, without its target, and the text that a
    question about it is told, exactly as written."""

    asked: str
    told: str


@dataclass(frozen=True, eq=False)
class Scoped:
    """Edits, the scope that decides which one a question is about, and the deltas (low rank) that
    a row in scope carries besides the edit's text."""

    scope: Scope
    edits: tuple[Remembered, ...]
    inside: tuple[WeightDelta, ...] = ()

    def __post_init__(self) -> None:
        if not self.edits:
            raise BadInput("a memory without edits", "Give at least one.")
        for part in self.inside:
            if not hasattr(part.delta, "left"):
                raise BadInput(
                    f"a memory's delta of '{part.param}' is dense: it has to act row by row",
                    "Give a low-rank delta.",
                )

    @cached_property
    def digest(self) -> str:
        edits = [[edit.asked, edit.told] for edit in self.edits]
        return content_hash(["scoped", self.family, edits])

    @cached_property
    def family(self) -> str:
        """Equal for memories that differ only in their edits."""
        return content_hash([self.scope.digest, *(part.digest for part in self.inside)])

    @cached_property
    def _ask(self) -> Ask:
        return self.scope.over([edit.asked for edit in self.edits])

    def find(self, prompt: Prompt) -> int | None:
        """The edit that ``prompt`` is about; of several that are equally probable, the latest.

        A chat is judged by its last user message. ``None``: out of the scope of all of them.
        """
        text = question(prompt)
        if text is None:
            return None
        found_N = self._ask(text)
        at = len(found_N) - 1 - int(found_N[::-1].argmax())
        return at if found_N[at] >= self.scope.threshold else None

    def joined(self, later: Sequence[Remembered]) -> Scoped:
        """With ``later`` edits; one of the same prompt takes the place of the earlier."""
        edits = {edit.asked: edit for edit in self.edits}
        for edit in later:
            edits.pop(edit.asked, None)
            edits[edit.asked] = edit
        return replace(self, edits=tuple(edits.values()))


def merged(memories: Sequence[Scoped]) -> Scoped:
    """Memories of one family as one, in order."""
    first, *rest = memories
    return first.joined([edit for memory in rest for edit in memory.edits])
