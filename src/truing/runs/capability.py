"""Capability items of a run: which are asked, under which edits, under which protocol.

A chain ends in one edited model, so every item is asked of it once: at the final moment, and at the steps
in between that the regime measures. Where the model is restored between edits there are as many edited
models as edits, and asking every item under each is out of reach. There the items are *dealt*: each is
asked under one edit, and the edits share them as evenly as can be. For a given number of questions no
other choice covers more edits, and no two answers to one item are counted as two items. Items and deal are
the same for every method, the baseline included, so that all are compared on the same pairs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from truing.benchmarks.capability.sets import HEAD, text_of
from truing.benchmarks.loading import Loaded
from truing.errors import BadInput
from truing.protocols.protocol import Protocol
from truing.protocols.questions import applies
from truing.runs.regime import Regime
from truing.scoring.power import detectable_drop
from truing.seeds import Seeds
from truing.types import Case, EditRequest, Probe

Items = Mapping[str, Mapping[str, tuple[Case, ...]]]
"""By benchmark label, then by aspect."""


class CapabilitySpec(BaseModel):
    """A capability set: where its data lies, how many items, and the protocol they are asked under."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    protocol: str
    data: str | None = None
    n: int = Field(default=200, ge=1)
    seed: int = 0

    @property
    def aspect(self) -> str:
        return f"{HEAD}/{self.name}"

    def facts(self, loaded: Loaded, items: Items) -> dict[str, Any]:
        """The manifest's account of the set. The path is as the plan gives it."""
        return {
            "protocol": self.protocol,
            "path": self.data,
            "sha256": loaded.source.sha256,
            "rows": loaded.source.rows,
            "usable": len(loaded.cases),
            "quarantined": len(loaded.quarantined),
            "asked": {label: len(sets[self.aspect]) for label, sets in items.items()},
            "notes": [str(note) for note in loaded.notes],
        }


@dataclass(frozen=True)
class Protocols:
    """Under which protocols a probe is asked: those of the plan, or its aspect's ``own``."""

    of_plan: tuple[Protocol, ...]
    own: Mapping[str, Protocol]

    def of(self, probes: Iterable[Probe]) -> Iterator[tuple[Protocol, Probe]]:
        """Every probe under every protocol that can measure it."""
        plain = [probe for probe in probes if probe.aspect not in self.own]
        for protocol in self.of_plan:
            for probe in plain:
                if applies(protocol, probe):
                    yield protocol, probe
        for probe in probes:
            own = self.own.get(probe.aspect)
            if own is not None and applies(own, probe):
                yield own, probe


def items_for(
    specs: Sequence[CapabilitySpec], loaded: Mapping[str, Loaded], edited: Sequence[Case]
) -> dict[str, tuple[Case, ...]]:
    """The items of each set that the edits of ``edited`` are not about, by aspect."""
    return {spec.aspect: untouched(loaded[spec.name].cases, edited, spec.n) for spec in specs}


def untouched(items: Sequence[Case], edited: Sequence[Case], n: int) -> tuple[Case, ...]:
    """The first ``n`` items that no edit is about: that name no edited subject and repeat no edit prompt.

    Raises ``BadInput`` where not one is left.
    """
    requests = [request for case in edited for request in case.requests]
    about = _about(requests)
    prompts = {_folded(request.prompt) for request in requests}
    found: list[Case] = []
    for item in items:
        text = _folded(text_of(item.probes[0].prompt))
        if text not in prompts and not (about and about.search(text)):
            found.append(item)
        if len(found) == n:
            break
    if not found:
        raise BadInput(
            f"every item of {items[0].probes[0].aspect} names a subject that is edited",
            "Take another capability set, or edit fewer facts with --limit.",
        )
    return tuple(found)


def _about(requests: Sequence[EditRequest]) -> re.Pattern[str] | None:
    subjects = {_folded(request.subject) for request in requests if request.subject}
    if not subjects:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(s) for s in sorted(subjects))})(?!\w)")


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def dealt(cases: Sequence[Case], items: Sequence[Case], seeds: Seeds) -> tuple[Case, ...]:
    """``cases`` with the items' probes shared out among them, each probe to one case."""
    order = sorted(range(len(cases)), key=lambda i: seeds.child("deal").child(cases[i].id).number)
    hands: list[list[Probe]] = [[] for _ in cases]
    for number, item in enumerate(items):
        hands[order[number % len(order)]] += item.probes
    return tuple(
        replace(case, probes=(*case.probes, *hand)) for case, hand in zip(cases, hands, strict=True)
    )


def refuse_unmeasured(regimes: Iterable[Regime]) -> None:
    """Raise ``BadInput`` for a chain that is never measured after an edit of other cases."""
    for regime in regimes:
        if not (regime.independent or "final" in regime.moments or regime.every or regime.at):
            raise BadInput(
                f"regime {regime.id} has no moment at which capability is measured",
                "Add the moment final (moments=immediate+final), every=K or at=K.",
            )


def power_lines(items: Items) -> list[str]:
    """For each set, the smallest drop that its number of items finds."""
    sizes = {
        (aspect, len(cases)): None for sets in items.values() for aspect, cases in sets.items()
    }
    return [f"{aspect}: {detectable_drop(n)}" for aspect, n in sizes]


def changed_items(before: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Sets whose records or items are not what they were when the run began."""
    was = before.get("capability", {})
    return [
        f"{name}: the capability items"
        for name, now in facts.items()
        if name in was and any(was[name].get(k) != now[k] for k in ("sha256", "asked"))
    ]
