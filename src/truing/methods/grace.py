"""GRACE: a codebook of answers at one layer, looked up by the prompt's last token.

Hartvigsen et al. 2023, "Aging with GRACE: Lifelong Model Editing with Discrete Key-Value Adaptors",
algorithm 1. A key is what goes into a linear module at the last prompt token; where a question's
comes within an entry's radius, the module puts out the entry's value there instead. Weights stay.

An edit whose key is farther than both radii from every entry gets an entry of its own; one that is
near an entry with another answer splits the radii; one that is near an entry with the same answer
widens it (or moves its key, ``expand="moving-average"``) and trains its value further.

Which entry answers is decided once, when the prompt is read (:class:`Codebook`). Published code asks
the codebook again at every generated token when a KV cache is in use (``decides="each-pass"``), tells answers apart by the mean
of padded label tensors (other prompt lengths count as other answers, different answers can agree), and
puts new labels in front of old ones while keys go to the end. Here an answer is its tuple of token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.interventions.intervention import Codebook, Intervention, Origin
from truing.interventions.routed import Decides
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kernels.replacing import Problem, Training, passing, train_values
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.settings import at_depth, given, look_up
from truing.models.arch import Slot
from truing.models.handle import Model
from truing.seeds import Seeds
from truing.types import EditRequest

LABELS = "grace.labels"
NEAR = 1e-5
"""By how much the older entry's radius stays below half the distance after a split."""


class GraceConfig(MethodConfig):
    """Hyper-parameters; None means: the model's tuned value, or a guess by depth."""

    layer: int | None = Field(None, ge=0, description="the layer whose MLP is wrapped")
    module: Literal["up", "down"] | None = Field(
        None,
        description="up: the first projection of the MLP (without a gate: c_fc); down: the last",
    )
    radius: float | None = Field(None, gt=0, description="deferral radius of a new entry")
    steps: int | None = Field(None, ge=1, description="updates of a value")
    lr: float | None = Field(None, gt=0, description="Adam's step size")
    stop_below: float = Field(0.0, ge=0, description="end below this loss (0: never, as published)")
    start: Literal["cold", "warm"] = Field(
        "cold", description="cold: uniform in [0, 1); warm: what the module puts out"
    )
    expand: Literal["coverage", "moving-average"] = Field(
        "coverage", description="what an entry does about a new key with its answer"
    )
    decides: Decides = Field(
        "once", description="once: when the prompt is read; each-pass: every token, as published"
    )


@dataclass(frozen=True, slots=True)
class Tuned:
    """A row of the table: published settings, or measured ones for the embedded model."""

    layer: int
    module: Literal["up", "down"] = "down"
    radius: float = 1.0
    steps: int = 50
    lr: float = 1.0


TABLE = {
    "pocket": Tuned(layer=3, steps=60, lr=0.5),
    "gpt2-xl": Tuned(layer=35, module="up", steps=100),
    "gpt-j-6b": Tuned(layer=25, steps=100),
    "llama-2-7b": Tuned(layer=27, steps=100),
    "llama-3-8b": Tuned(layer=27, steps=100),
    "mistral-7b": Tuned(layer=27, steps=100),
    "qwen2.5-7b": Tuned(layer=18, steps=100),
}


def guess(n_layers: int) -> Tuned:
    """For models that nobody tuned: the depth of the 7B models."""
    return Tuned(at_depth(n_layers, 27 / 32), steps=100)


@dataclass(frozen=True)
class Book:
    """A codebook in the making: every entry with the ids of its answer."""

    keys_N_I: Tensor
    values_N_O: Tensor
    radii_N: Tensor
    labels: tuple[tuple[int, ...], ...]

    def take(
        self, key_I: Tensor, start_O: Tensor, label: tuple[int, ...], radius: float, expand: str
    ) -> tuple[Book, int]:
        """The book with an entry for this key and answer, and that entry's number (algorithm 1)."""
        if not self.labels:
            return self._with(key_I, start_O, radius, label)
        distance_N = (self.keys_N_I - key_I).norm(dim=1)
        at = int(distance_N.argmin())
        distance = float(distance_N[at])
        if distance > radius + float(self.radii_N[at]):
            return self._with(key_I, start_O, radius, label)
        radii_N = self.radii_N.clone()
        if self.labels[at] != label:
            radii_N[at] = distance / 2 - NEAR
            return replace(self, radii_N=radii_N)._with(key_I, start_O, distance / 2, label)
        keys_N_I = self.keys_N_I
        if distance > float(self.radii_N[at]):
            radii_N[at] = distance
            if expand == "moving-average":
                keys_N_I = keys_N_I.clone()
                keys_N_I[at] = (keys_N_I[at] + key_I) / 2
        return replace(self, keys_N_I=keys_N_I, radii_N=radii_N), at

    def _with(
        self, key_I: Tensor, value_O: Tensor, radius: float, label: tuple[int, ...]
    ) -> tuple[Book, int]:
        book = Book(
            torch.cat([self.keys_N_I, key_I[None]]),
            torch.cat([self.values_N_O, value_O[None]]),
            torch.cat([self.radii_N, torch.tensor([radius])]),
            (*self.labels, label),
        )
        return book, len(self.labels)

    def valued(self, at: int, value_O: Tensor) -> Book:
        """The book with another value at entry ``at``."""
        values_N_O = self.values_N_O.clone()
        values_N_O[at] = value_O
        return replace(self, values_N_O=values_N_O)


@dataclass(frozen=True)
class Grace:
    """GRACE on one model: the wrapped module and the settings."""

    model: Model
    slot: Slot
    layer: int
    radius: float
    training: Training
    config: GraceConfig
    record: dict[str, object]

    @classmethod
    def of(cls, model: Model, config: GraceConfig) -> Grace:
        tuned, source = look_up(model, TABLE, guess)
        layer, module = given(config.layer, tuned.layer), given(config.module, tuned.module)
        slot = model.arch.down(layer) if module == "down" else model.arch.mlp_in(layer)[-1]
        training = Training(
            given(config.steps, tuned.steps), given(config.lr, tuned.lr), config.stop_below
        )
        radius = given(config.radius, tuned.radius)
        record = {
            **config.model_dump(mode="json"),
            "layer": layer,
            "module": module,
            "radius": radius,
            "steps": training.steps,
            "lr": training.lr,
            "settings": source,
        }
        return cls(model, slot, layer, radius, training, config, record)

    def book_of(self, before: Intervention) -> Book:
        """The entries so far."""
        mine = [book for book in before.codebooks if book.param == self.slot.param]
        if not mine:
            empty = torch.zeros(0)
            return Book(torch.zeros(0, self.slot.d_in), torch.zeros(0, self.slot.d_out), empty, ())
        labels = before.memo[LABELS].tolist()
        told = tuple(tuple(i for i in row if i >= 0) for row in labels)
        return Book(mine[-1].keys, mine[-1].values, mine[-1].radii, told)

    def lines(self, requests: Sequence[EditRequest]) -> list[Line]:
        """Prompt and target, acting at the last prompt token, where the first target token is read."""
        lines = [answer_line(self.model.speller, request) for request in requests]
        return [replace(line, at=line.reads[0]) for line in lines]

    def starts(self, requests: Sequence[EditRequest], puts_out_N_O: Tensor) -> list[Tensor]:
        """Where the requests' values begin."""
        if self.config.start == "warm":
            return list(puts_out_N_O)
        seeds, found = Seeds(self.config.seed).child("grace"), []
        for request in requests:
            generator = torch.Generator().manual_seed(seeds.child(request.id).number)
            found.append(torch.rand(puts_out_N_O.shape[1], generator=generator))
        return found

    def trained(self, problems: Sequence[Problem]) -> list[Tensor]:
        """Values of independent problems."""
        found = train_values(self.model, self.slot.module, self.layer, problems, self.training)
        return [each.value_O for each in found]

    def finished(
        self, book: Book, requests: Sequence[EditRequest], before: Intervention
    ) -> Intervention:
        """The total: ``before`` with its codebook of this module replaced."""
        others = tuple(
            part
            for part in before.parts
            if not (isinstance(part, Codebook) and part.param == self.slot.param)
        )
        width = max(map(len, book.labels))
        labels = torch.tensor([[*row, *[-1] * (width - len(row))] for row in book.labels])
        codebook = Codebook(
            self.slot.param, book.keys_N_I, book.values_N_O, book.radii_N, self.config.decides
        )
        record = {**self.record, "entries": len(book.labels)}
        seeds = {"seed": self.config.seed}
        origin = Origin.of(self.model, "grace", record, requests, seeds=seeds, so_far=before)
        memo = {**before.memo, LABELS: labels}
        return Intervention((*others, codebook), memo, origin)


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: GraceConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """Requests one after the other into the codebook. Values of different entries do not meet, so
    they are trained side by side; an entry that several requests share is trained in their order."""
    check(model, requests, "grace", needs_subject=False)
    before = so_far or Intervention()
    grace = Grace.of(model, config)
    lines = grace.lines(requests)
    others = Intervention(tuple(p for p in before.parts if not isinstance(p, Codebook)))
    with model.applied(others):
        keys_N_I, outs_N_O = passing(model, grace.slot.module, lines)
        book, entries = grace.book_of(before), []
        starts = grace.starts(requests, outs_N_O)
        for key_I, start_O, line in zip(keys_N_I, starts, lines, strict=True):
            book, at = book.take(key_I, start_O, line.labels, grace.radius, config.expand)
            entries.append(at)
        for turn in _turns(entries):
            problems = [
                Problem(requests[i].id, lines[i], book.values_N_O[entries[i]]) for i in turn
            ]
            for i, value_O in zip(turn, grace.trained(problems), strict=True):
                book = book.valued(entries[i], value_O)
    return grace.finished(book, requests, before)


def _turns(entries: Sequence[int]) -> list[list[int]]:
    """Requests that can be trained together: no two of one entry, an entry's in order."""
    turns: list[list[int]] = []
    seen: dict[int, int] = {}
    for number, entry in enumerate(entries):
        turn = seen[entry] = seen.get(entry, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(number)
    return turns


def each(
    model: Model, groups: Sequence[Sequence[EditRequest]], config: GraceConfig
) -> list[Intervention]:
    """One codebook per group; groups of one request are trained side by side."""
    single = [number for number, group in enumerate(groups) if len(group) == 1]
    made = {n: make(model, groups[n], config) for n in range(len(groups)) if n not in set(single)}
    if single:
        requests = [groups[number][0] for number in single]
        check(model, requests, "grace", needs_subject=False)
        grace = Grace.of(model, config)
        lines = grace.lines(requests)
        keys_N_I, outs_N_O = passing(model, grace.slot.module, lines)
        starts = grace.starts(requests, outs_N_O)
        problems = [
            Problem(request.id, line, start_O)
            for request, line, start_O in zip(requests, lines, starts, strict=True)
        ]
        empty = grace.book_of(Intervention())
        values = grace.trained(problems)
        for number, request, line, key_I, value_O in zip(
            single, requests, lines, keys_N_I, values, strict=True
        ):
            book, _ = empty.take(key_I, value_O, line.labels, grace.radius, config.expand)
            made[number] = grace.finished(book, [request], Intervention())
    return [made[number] for number in range(len(groups))]


GRACE = Method(
    name="grace",
    make=make,
    config=GraceConfig,
    summary="a codebook of answers at one layer, looked up by the prompt's last token",
    paper="Hartvigsen et al. 2023 (GRACE)",
    acts_on="activations",
    tunes=("radius",),
    each=each,
)
