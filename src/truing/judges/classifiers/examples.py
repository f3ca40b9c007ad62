"""Labelled texts, and parting them without leaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from truing.errors import BadInput
from truing.seeds import Seeds


@dataclass(frozen=True, slots=True)
class Example:
    """A text and the name of its label. Examples of one ``group`` (a topic, an author) stay on one
    side of a split; without a group, equal texts do."""

    text: str
    label: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """``dev`` chooses and calibrates, ``test`` is only measured on (empty: measured elsewhere)."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        """Raises ``BadInput`` where nothing can be learned or measured."""
        names = labels_of(self.train)
        if len(names) < 2:
            raise BadInput(
                f"the training texts have {len(names)} label(s)", "Two different ones are needed."
            )
        for side, examples in (("dev", self.dev), ("test", self.test)):
            unknown = sorted({e.label for e in examples} - set(names))
            if unknown:
                raise BadInput(
                    f"the label '{unknown[0]}' is among the {side} texts, not among those to learn "
                    f"from ({', '.join(names)})",
                    "Mend its spelling, or add texts with it.",
                )
        if not self.dev:
            raise BadInput("there are no dev texts", "Add texts: a tenth is taken for dev.")


def labels_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """The labels in the order of their names."""
    return tuple(sorted({example.label for example in examples}))


def split(examples: Sequence[Example], *, seed: int, dev: float = 0.1, test: float = 0.1) -> Split:
    """Part by whole groups. The seed and the groups decide, not the order of the examples.

    A side gets groups until it has its share of the texts. Raises ``BadInput`` as :class:`Split`.
    """
    sizes: dict[str, int] = {}
    for example in examples:
        sizes[_group(example)] = sizes.get(_group(example), 0) + 1
    order = sorted(sizes)
    Seeds(seed).child("split").random().shuffle(order)
    side: dict[str, str] = {}
    for name, share in (("test", test), ("dev", dev)):
        taken, wanted = 0, share * len(examples)
        while taken < wanted and order:
            group = order.pop()
            side[group], taken = name, taken + sizes[group]
    parts: dict[str, list[Example]] = {"train": [], "dev": [], "test": []}
    for example in examples:
        parts[side.get(_group(example), "train")].append(example)
    return Split(tuple(parts["train"]), tuple(parts["dev"]), tuple(parts["test"]))


def digest(examples: Sequence[Example]) -> str:
    """SHA-256 of texts, labels and groups in their order."""
    told = hashlib.sha256()
    for example in examples:
        told.update(json.dumps([example.text, example.label, example.group]).encode() + b"\n")
    return told.hexdigest()


def _group(example: Example) -> str:
    return f"text {example.text.strip()}" if example.group is None else f"group {example.group}"
