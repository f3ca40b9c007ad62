"""Contrast pairs: a prompt with a side to promote and a side to suppress.

Training pairs become edit requests without probes; test pairs become probes that no request is about. So
whatever makes one intervention of many requests (a vector, a weight edit, a prompt) is measured on pairs
that it has not seen. No prompt is on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from pydantic import Field

from truing.benchmarks.benchmark import Options
from truing.benchmarks.draft import Notebook, Rejected, Rules, check_text
from truing.benchmarks.files import Contents, Record
from truing.benchmarks.sampling import Selection
from truing.types import Case, EditRequest, Probe

ASPECT = "preference"
Part = Literal["train", "test"]
PromptOf = Callable[[Record], str | None]


class PairOptions(Options):
    """Which side is promoted, and from how many pairs the intervention is made."""

    flip: bool = Field(False, description="Promote the other side: both parts are turned around.")
    train: int | None = Field(
        None, ge=1, description="At most this many training pairs, drawn by content."
    )


class SplitOptions(PairOptions):
    """How pairs are parted that do not say where they belong."""

    holdout: float = Field(
        0.5, gt=0, lt=1, description="Share of the prompts that is kept for testing."
    )
    split_seed: int = Field(0, description="Another number draws other prompts for testing.")


@dataclass(frozen=True, slots=True)
class Wording:
    """One prompt and its two continuations.

    ``kind`` names a part of the aspect. ``like_positive`` and ``like_negative`` are further texts by
    which a free answer is known to be of that side.
    """

    prompt: str
    positive: str
    negative: str
    kind: str = ""
    like_positive: tuple[str, ...] = ()
    like_negative: tuple[str, ...] = ()

    def flipped(self) -> Wording:
        return replace(
            self,
            positive=self.negative,
            negative=self.positive,
            like_positive=self.like_negative,
            like_negative=self.like_positive,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """A contrast pair, unchecked, in one wording or several; a request is made of the first.

    ``group`` joins test pairs that are not independent; without one, those with the same prompt are.
    """

    part: Part
    wordings: tuple[Wording, ...]
    behavior: str = ""
    group: str | None = None

    def turned(self, flip: bool) -> Pair:
        """The pair, with its sides exchanged if ``flip``."""
        return replace(self, wordings=tuple(w.flipped() for w in self.wordings)) if flip else self

    def case(self, id: str, rules: Rules, notes: Notebook) -> Case:
        """A request without probes (``train``), or probes without a request (``test``).

        Raises ``Rejected`` for an empty prompt or side, equal sides, a text beyond
        ``rules.max_chars`` or broken Unicode.
        """
        for wording in self.wordings:
            _check(wording, rules)
        check_text("behavior", self.behavior, rules.max_chars)
        tags = (f"behavior:{self.behavior}",) if self.behavior else ()
        if self.part == "test":
            return Case(id, (), tuple(self._probe(id, wording) for wording in self.wordings), tags)
        first = self.wordings[0]
        new, old = first.positive.strip(), first.negative.strip()
        return Case(id, (EditRequest(id, first.prompt, new, old, None, tags),), (), tags)

    def _probe(self, id: str, wording: Wording) -> Probe:
        aspect = f"{ASPECT}/{wording.kind}" if wording.kind else ASPECT
        positive, negative = wording.positive.strip(), wording.negative.strip()
        accepted = tuple(dict.fromkeys((positive, *wording.like_positive)))
        group = self.group or f"prompt {sha256(folded(wording.prompt).encode()).hexdigest()[:12]}"
        return Probe(
            f"{id}/{aspect}",
            aspect,
            wording.prompt,
            accepted,
            reference=positive,
            choices=(positive, negative),
            group=group,
        )


def _check(wording: Wording, rules: Rules) -> None:
    sides = {"positive": wording.positive, "negative": wording.negative}
    for name, text in {"prompt": wording.prompt, **sides}.items():
        check_text(name, text, rules.max_chars)
        if not text.strip():
            raise Rejected(name, f"{name} is empty")
    if wording.positive.strip() == wording.negative.strip():
        raise Rejected("negative", f"both sides are {wording.positive.strip()[:40]!r}")


def folded(text: str) -> str:
    """What makes two prompts the same: letter case and spaces do not count."""
    return " ".join(text.casefold().split())


def prompt_of(record: Record) -> str | None:
    """The record's prompt; ``None`` where it has none that can be read."""
    prompt = record.fields.get("prompt")
    return folded(prompt) if isinstance(prompt, str) else None


def part_of(record: Record) -> str | None:
    """What the record says of where it belongs; ``None`` where it says nothing."""
    part = record.fields.get("split")
    return part if isinstance(part, str) and part else None


def parted(records: Sequence[Record], chosen: SplitOptions) -> list[Record]:
    """Records that say where they belong. Those that do not, follow one of the same prompt that does;
    of the other prompts, ``holdout`` are drawn for testing, by the prompts alone."""
    stated = {prompt_of(r): part for r in records if (part := part_of(r))}
    open_ = sorted({p for r in records if (p := prompt_of(r)) is not None and p not in stated})
    count = min(max(1, round(chosen.holdout * len(open_))), len(open_) - 1) if open_ else 0
    drawn = {open_[i] for i in Selection(count, "seeded", chosen.split_seed).of(open_)}
    return [
        replace(r, fields={**r.fields, "split": stated.get(p, "test" if p in drawn else "train")})
        if (p := prompt_of(r)) is not None and r.fields.get("split") in (None, "")
        else r
        for r in records
    ]


def arranged(contents: Contents, chosen: PairOptions, prompt: PromptOf = prompt_of) -> Contents:
    """``contents`` without training pairs whose prompt is tested, with no more of them than asked
    for, and with both parts spread evenly, so that a beginning has its share of each. Says what was
    left out. Equal values of ``prompt`` are the same prompt."""
    records, remarks = contents.records, list(contents.remarks)
    tested = {prompt(r) for r in records if part_of(r) == "test"} - {None}
    kept = [r for r in records if part_of(r) != "train" or prompt(r) not in tested]
    if len(kept) < len(records):
        remarks.append(
            f"{len(records) - len(kept)} training pair(s) have the prompt of a test pair and were left out"
        )
    train = [r for r in kept if part_of(r) == "train"]
    if chosen.train is not None and len(train) > chosen.train:
        drawn = Selection(chosen.train, "seeded").of([_content(r) for r in train])
        remarks.append(f"{chosen.train} of {len(train)} training pairs are used")
        train = [train[i] for i in drawn]
    rest = [r for r in kept if part_of(r) != "train"]
    return replace(contents, records=tuple(_spread(train, rest)), remarks=tuple(remarks))


def _content(record: Record) -> str:
    return json.dumps(record.fields, sort_keys=True, default=str)


def _spread(*parts: Iterable[Record]) -> list[Record]:
    """All parts, each spread evenly over the whole and in its own order."""
    placed = [
        ((i + 0.5) / len(whole), number, record)
        for number, whole in enumerate(list(part) for part in parts)
        for i, record in enumerate(whole)
    ]
    return [record for _, _, record in sorted(placed, key=lambda p: p[:2])]
