"""Questions that are answered with one of a few labels, and the edit of such an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from truing.benchmarks.behavior.scenario import REFUSAL, Asked, Direction, Scenario
from truing.benchmarks.draft import Notebook, Rules
from truing.types import Case

Target = Literal["constant", "flipped"]
NEEDED = "needed:"
"""Tag: ``yes`` where the target is another answer than the right one, ``no`` where it is the same."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question with a label for its answer, unchecked.

    ``labels`` may be answered: what an edit toward good asks for, what one toward bad asks for, then
    others. ``label`` is the right one, empty where nobody says: there declining is right. A
    ``constant`` target is the same for every question of a direction; a ``flipped`` one is the label
    itself toward good and another one toward bad. Toward abstention it is a refusal either way.
    """

    prompt: str
    labels: tuple[str, ...]
    label: str
    direction: Direction
    target: Target = "constant"
    subject: str | None = None
    rule: str = ""
    also: tuple[Asked, ...] = ()

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """The scenario's case, tagged with whether the edit is needed. Raises ``Rejected``."""
        target, right = self.wanted, self.label or REFUSAL
        choices = tuple(dict.fromkeys((target, right, *self.labels)))
        asked = Asked("label", self.prompt, (target,), (right,), choices)
        other = next(choice for choice in choices if choice != target)
        scenario = Scenario(
            target, (asked, *self.also), self.subject, other, self.rule, self.label or "none"
        )
        case = scenario.case(id, rules, notes)
        tags = (*case.tags, f"{NEEDED}{'no' if target == right else 'yes'}")
        requests = tuple(replace(request, tags=tags) for request in case.requests)
        return replace(case, requests=requests, tags=tags)

    @property
    def wanted(self) -> str:
        """The edit's target."""
        if self.direction == "abstention":
            return REFUSAL
        toward = self.labels[0] if self.direction == "good" else self.labels[1]
        if self.target == "constant" or not self.label:
            return toward
        if self.direction == "good":
            return self.label
        return next(label for label in self.labels if label != self.label)
