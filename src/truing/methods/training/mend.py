"""What a MEND editor learns from: edits whose effect on the model is differentiated.

Mitchell et al. 2022, section 3.2 and algorithm 1. Per edit: the factors of its gradient on the base
model, no second derivatives; the editor's change as a low-rank side branch of its own copy of the
model; then

    edit_weight * mean NLL of the target, for the edit prompt and a rephrase
    + locality_weight * mean KL(base || edited) where unrelated answers stand

and the gradient of both with respect to the network and alpha. Copies stand side by side in one
batch. The published trainer for facts reads the edit loss on the edit prompt alone, the original one
on the rephrase alone; here both count.

Shape letters: E edits, B rows, N reads over all rows, R tokens, F inputs, D outputs, V vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from truing.interventions.intervention import base_of, versions
from truing.methods import mend_checkpoint as checkpoint
from truing.methods.kernels.branches import Branch, branched
from truing.methods.kernels.gradient_factors import gradient_factors
from truing.methods.kernels.lines import Line
from truing.methods.kernels.upward import Whole, frozen
from truing.methods.mend_editor import Editor
from truing.methods.training.examples import Example, Split, examples
from truing.methods.training.loop import Schedule, Values
from truing.methods.training.mend_settings import MendTraining, Settings
from truing.models.handle import Model
from truing.models.passes import evaluating
from truing.seeds import Seeds


@dataclass(frozen=True)
class Draw:
    """Edits of one pass: per edit the lines that tell its requests, those that should give its
    targets (the requests' own first), and those that should stay."""

    edits: tuple[tuple[Line, ...], ...]
    wanted: tuple[tuple[Line, ...], ...]
    unrelated: tuple[tuple[Line, ...], ...]


class MendCourse:
    """A :class:`~truing.methods.training.loop.Course`: an editor of one model, learning."""

    def __init__(
        self,
        model: Model,
        settings: Settings,
        split: Split,
        data: Mapping[str, Any],
    ) -> None:
        self._model, self._settings, self._split = model, settings, split
        self._data = dict(data)
        wording = settings.chosen.wording
        self._train = examples(model, split.train, wording)
        self._validation = examples(model, split.validation, wording)[: settings.chosen.validate_on]
        self._seeds = Seeds(settings.chosen.seed).child("mend")
        seed = self._seeds.child("network").number
        self._editor = Editor(
            settings.matrices, rank=settings.rank, alpha=settings.alpha, seed=seed
        ).to(model.device)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @classmethod
    def of(
        cls, model: Model, chosen: MendTraining, split: Split, data: Mapping[str, Any]
    ) -> tuple[MendCourse, Schedule]:
        """A course and its schedule with every setting resolved for ``model``."""
        settings = Settings.of(model, chosen)
        schedule = Schedule(
            steps=settings.steps,
            accumulate=settings.accumulate,
            clip=chosen.clip,
            validate_every=settings.validate_every,
            patience=settings.patience,
            keep_every=chosen.keep_every,
        )
        return cls(model, settings, split, data), schedule

    @property
    def record(self) -> dict[str, Any]:
        return self._settings.record

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal where a training goes on. More steps are a longer training."""
        same = {key: value for key, value in self.record.items() if key != "steps"}
        return {**same, "model": self._model.fingerprint, "data": self._split.digest}

    @property
    def module(self) -> Editor:
        return self._editor

    def groups(self) -> list[dict[str, Any]]:
        return [
            {"params": self._editor.networks(), "lr": self._settings.lr},
            {"params": [self._editor.alpha], "lr": self._settings.alpha_lr},
        ]

    def loss(self, pass_number: int) -> tuple[Tensor, Values]:
        rng = self._seeds.child("pass").child(str(pass_number)).random()
        return self._outcome(self._draw(self._chosen(pass_number), rng, self._train), learn=True)

    def validate(self) -> Values:
        """Means over the validation cases; what is asked of each is the same every time."""
        size = self._settings.batch * self._settings.chosen.edits
        total: Values = {}
        with torch.no_grad():
            for at in range(0, len(self._validation), size):
                part = self._validation[at : at + size]
                rng = self._seeds.child("validation").child(str(at)).random()
                _, values = self._outcome(self._draw(part, rng, self._validation), learn=False)
                share = len(part) / len(self._validation)
                total = {k: total.get(k, 0.0) + share * v for k, v in values.items()}
        return total

    def publish(self, folder: Path, step: int, metrics: Mapping[str, float]) -> None:
        header = checkpoint.Header(
            base=base_of(self._model),
            matrices=self._settings.matrices,
            rank=self._settings.rank,
            wording=self._settings.chosen.wording,
            step=step,
            config=self._settings.record,
            metrics=dict(metrics),
            data={**self._data, **self._split.ids()},
            versions=versions(),
        )
        checkpoint.save(self._editor, header, folder)

    def _chosen(self, pass_number: int) -> list[Example]:
        """The examples of a pass: every case once before any comes again."""
        size, n = self._settings.batch * self._settings.chosen.edits, len(self._train)
        places = range(pass_number * size, (pass_number + 1) * size)
        return [self._train[self._order(at // n)[at % n]] for at in places]

    def _shuffled(self, epoch: int) -> list[int]:
        order = list(range(len(self._train)))
        self._seeds.child("epoch").child(str(epoch)).random().shuffle(order)
        return order

    def _draw(
        self, chosen: Sequence[Example], rng: random.Random, everyone: Sequence[Example]
    ) -> Draw:
        how = self._settings.chosen
        groups = [chosen[at : at + how.edits] for at in range(0, len(chosen), how.edits)]
        wanted, unrelated = [], []
        for group in groups:
            more = [line for e in group for line in _some(e.rephrases, how.rephrases, rng)]
            wanted.append((*(e.edit for e in group), *more))
            ids = {e.id for e in group}
            others = [e.own for e in rng.sample(everyone, min(len(everyone), 4 + how.others))
                      if e.id not in ids]  # fmt: skip
            own = [line for e in group for line in _some(e.unrelated, how.unrelated, rng)]
            unrelated.append((*own, *others[: how.others]))
        return Draw(
            tuple(tuple(e.told for e in group) for group in groups),
            tuple(wanted),
            tuple(unrelated),
        )

    def _outcome(self, draw: Draw, *, learn: bool) -> tuple[Tensor, Values]:
        branches = self._branches(draw, learn)
        wanted, staying = _flat(draw.wanted), _flat(draw.unrelated)
        lines = [line for _, line in (*wanted, *staying)]
        which_B = torch.tensor([edit for edit, _ in (*wanted, *staying)])
        base_N_V = None
        if staying:
            with evaluating(self._model.hf):
                base_N_V = Whole(self._model, [line for _, line in staying]).logits()
        with frozen(self._model.hf), branched(branches, which_B):
            logits_N_V = Whole(self._model, lines).logits()
        cut = sum(len(line.reads) for _, line in wanted)
        asked = _Asked.of(wanted, draw.wanted, [len(group) for group in draw.edits])
        edit, values = asked.edit_loss(logits_N_V[:cut])
        kl, kept = logits_N_V.new_zeros(()), 1.0
        if base_N_V is not None:
            kl, kept = _Asked.of(staying, draw.unrelated, [0] * len(draw.edits)).drift(
                base_N_V, logits_N_V[cut:]
            )
        weight = self._settings.chosen.locality_weight
        loss = self._settings.edit_weight * edit + weight * kl
        values |= {
            "loss": float(loss.detach()),
            "nll": float(edit.detach()),
            "kl": float(kl.detach()),
            "locality": kept,
        }
        return loss, values

    def _branches(self, draw: Draw, learn: bool) -> list[Branch]:
        slots = self._settings.slots
        flat = [line for group in draw.edits for line in group]
        signals = gradient_factors(self._model, slots, flat)
        branches = []
        for number, slot in enumerate(slots):
            own = [each[number] for each in signals]
            home = self._editor.alpha.device
            inputs_R_F = torch.cat([s.inputs_R_F for s in own]).to(home)
            grads_R_D = torch.cat([s.grads_R_D for s in own]).to(home)
            if learn:
                self._editor.observe(number, inputs_R_F, grads_R_D)
            left_R_D, right_R_F = self._editor(number, inputs_R_F, grads_R_D)
            sizes, at = [], 0
            for group in draw.edits:
                sizes.append(sum(len(s.inputs_R_F) for s in own[at : at + len(group)]))
                at += len(group)
            left, right = (
                pad_sequence(list(rows.split(sizes)), batch_first=True)
                for rows in (left_R_D, right_R_F)
            )
            branches.append(Branch(slot, left, right))
        return branches


@dataclass(frozen=True)
class _Asked:
    """Reads of some rows. ``share_N`` adds up to one: every edit counts the same, within it every
    row, within it every read. ``first_N``: the row is an edit's own request."""

    labels_N: Tensor
    share_N: Tensor
    first_N: Tensor

    @classmethod
    def of(
        cls,
        flat: Sequence[tuple[int, Line]],
        groups: Sequence[Sequence[Line]],
        own: Sequence[int],
    ) -> _Asked:
        """``own``: how many rows of each group, its first ones, are requests themselves."""
        labels: list[int] = []
        share: list[float] = []
        first: list[bool] = []
        n = sum(1 for group in groups if group)
        place = [at for group in groups for at in range(len(group))]
        for at, (edit, line) in zip(place, flat, strict=True):
            reads = len(line.reads)
            labels += line.labels or (0,) * reads
            share += [1 / (n * len(groups[edit]) * reads)] * reads
            first += [at < own[edit]] * reads
        return cls(torch.tensor(labels), torch.tensor(share), torch.tensor(first))

    def edit_loss(self, logits_N_V: Tensor) -> tuple[Tensor, Values]:
        """Mean NLL, and the shares of target tokens that are the likeliest."""
        home = logits_N_V.device
        labels_N, share_N = self.labels_N.to(home), self.share_N.to(home)
        picked_N = logits_N_V.gather(1, labels_N[:, None])[:, 0]
        nll = ((logits_N_V.logsumexp(-1) - picked_N) * share_N).sum()
        right_N = (logits_N_V.argmax(-1) == labels_N).float()
        values = {}
        for name, chosen_N in (("efficacy", self.first_N), ("generalization", ~self.first_N)):
            weight_N = share_N * chosen_N.to(home)
            if bool(chosen_N.any()):
                values[name] = float((weight_N * right_N).sum() / weight_N.sum())
        return nll, values

    def drift(self, base_N_V: Tensor, edited_N_V: Tensor) -> tuple[Tensor, float]:
        """Mean KL(base || edited), and the share of reads whose likeliest token stayed."""
        share_N = self.share_N.to(edited_N_V.device)
        before_N_V, after_N_V = base_N_V.log_softmax(-1), edited_N_V.log_softmax(-1)
        kl_N = (before_N_V.exp() * (before_N_V - after_N_V)).sum(-1)
        kept_N = (base_N_V.argmax(-1) == edited_N_V.argmax(-1)).float()
        return (kl_N * share_N).sum(), float((kept_N * share_N).sum())


def _flat(groups: Sequence[Sequence[Line]]) -> list[tuple[int, Line]]:
    return [(number, line) for number, group in enumerate(groups) for line in group]


def _some(lines: Sequence[Line], n: int, rng: random.Random) -> list[Line]:
    return rng.sample(list(lines), min(n, len(lines)))
