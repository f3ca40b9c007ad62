"""What a SERAC editor learns from: a scope from pairs of texts, an adapter from edits that are told.

Mitchell et al. 2022, section 3.2. Per edit of a pass: the counterfactual model, the base with a low-rank
adapter, reads the gold edit and a question, dressed in one of the frames, and

    edit_weight * mean NLL of the target, for the edit's prompt and a rephrase
    + locality_weight * mean KL(base || adapter with the edit told) where unrelated answers stand
    + scope_weight * balanced cross-entropy of the scope

The KL term is ours: a question that the scope lets in by mistake should still be answered as before.
Learned on few subjects, it makes the adapter doubt what it is told of any other subject; ``unrelated=0``
leaves it out, as the paper does.
Questions out of scope are the case's own locality prompts and those of the most similar other cases by
TF-IDF (the paper takes neighbours by a sentence encoder). The threshold is the one that parts the
validation pairs best, and validation answers by the rule that edits will be asked by.

Shape letters: B rows, N reads over all rows, V vocabulary, F inputs, D outputs, K rank.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from truing.errors import BadInput, TruingError
from truing.interventions.intervention import LowRank, base_of, versions
from truing.interventions.scope import WordScope
from truing.methods import serac_checkpoint as checkpoint
from truing.methods.context import tell
from truing.methods.kernels.branches import Branch, branched
from truing.methods.kernels.factors import first_right
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kernels.upward import Whole, frozen
from truing.methods.retrieval import TfIdf
from truing.methods.training.evidence import staying, wanted
from truing.methods.training.examples import Split, read_line
from truing.methods.training.loop import Schedule, Values
from truing.methods.training.scope import Pair, ScopeLearner, balanced, threshold, vocabulary
from truing.methods.training.serac_settings import SeracTraining, Settings
from truing.models.handle import Model
from truing.models.passes import evaluating
from truing.seeds import Seeds
from truing.types import Case, EditRequest


@dataclass(frozen=True)
class Lesson:
    """A case as texts: ``told`` is the edit; ``rephrases`` are questions with the answers that it should
    bring about, ``unrelated`` should stay; ``others`` are prompts of similar cases, about something else."""

    request: EditRequest
    told: str
    rephrases: tuple[EditRequest, ...]
    unrelated: tuple[EditRequest, ...]
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, case: Case, wording: str) -> Lesson:
        request = case.requests[0]
        return cls(request, tell(request, wording), tuple(wanted(case)), tuple(staying(case)))

    @property
    def inside(self) -> tuple[str, ...]:
        """Prompts in the edit's scope, its own first."""
        return tuple(dict.fromkeys((self.request.prompt, *(r.prompt for r in self.rephrases))))

    @property
    def outside(self) -> tuple[str, ...]:
        """The case's own prompts out of the edit's scope."""
        return tuple(dict.fromkeys(request.prompt for request in self.unrelated))


def lessons(cases: Sequence[Case], wording: str, neighbours: int) -> list[Lesson]:
    """All cases with their neighbours among them, which are about other subjects."""
    found = [Lesson.of(case, wording) for case in cases]
    similar = TfIdf([lesson.request.prompt for lesson in found])
    complete = []
    for lesson in found:
        others: list[str] = []
        for at in similar.ranked(lesson.request.prompt):
            other = found[at]
            if len(others) >= neighbours:
                break
            if (other.request.subject or other.request.prompt) != (
                lesson.request.subject or lesson.request.prompt
            ):
                others += other.inside[:2]
        complete.append(replace(lesson, others=tuple(others[:neighbours])))
    return complete


class SeracModule(nn.Module):
    """The scope, and the adapter's factors: ``right`` (K, F) at random, ``left`` (K, D) zero."""

    def __init__(self, settings: Settings, listed: dict[str, float], seeds: Seeds) -> None:
        super().__init__()
        chosen = settings.chosen
        self.scope = ScopeLearner(listed, chosen.kinship, seeds.child("vectors").number)
        self.right = nn.ParameterList(
            first_right(slot, chosen.rank, seeds) for slot in settings.slots
        )
        self.left = nn.ParameterList(torch.zeros(chosen.rank, s.d_out) for s in settings.slots)


class SeracCourse:
    """A :class:`~truing.methods.training.loop.Course`: a scope and an adapter of one model."""

    def __init__(
        self, model: Model, settings: Settings, split: Split, data: Mapping[str, Any]
    ) -> None:
        chosen = settings.chosen
        self._model, self._settings, self._split = model, settings, split
        self._data = dict(data)
        self._train = lessons(split.train, chosen.wording, chosen.neighbours)
        some = split.validation[: chosen.validate_on]
        self._validation = lessons(some, chosen.wording, chosen.neighbours)
        self._check()
        self._seeds = Seeds(chosen.seed).child("serac")
        texts = [
            (lesson.request.subject or lesson.request.id, frame.replace("{}", text))
            for lesson in self._train
            for frame in chosen.frames
            for text in (*lesson.inside, *lesson.outside)
        ]
        self._module = SeracModule(settings, vocabulary(texts), self._seeds.child("start"))
        self._module.to(model.device)
        self._order = lru_cache(maxsize=2)(self._shuffled)
        self._cut = 0.5

    @classmethod
    def of(
        cls, model: Model, chosen: SeracTraining, split: Split, data: Mapping[str, Any]
    ) -> tuple[SeracCourse, Schedule]:
        """A course and its schedule with every setting resolved for ``model``."""
        settings = Settings.of(model, chosen)
        tuned = settings.tuned
        schedule = Schedule(
            tuned.steps, tuned.accumulate, chosen.clip, tuned.validate_every, tuned.patience,
            chosen.keep_every,
        )  # fmt: skip
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
    def module(self) -> SeracModule:
        return self._module

    def groups(self) -> list[dict[str, Any]]:
        adapter = [*self._module.right, *self._module.left]
        return [
            {"params": adapter, "lr": self._settings.tuned.lr},
            {"params": list(self._module.scope.parameters()), "lr": self._settings.chosen.scope_lr},
        ]

    def loss(self, pass_number: int) -> tuple[Tensor, Values]:
        rng = self._seeds.child("pass").child(str(pass_number)).random()
        some, how = self._chosen(pass_number), self._settings.chosen
        frame = [rng.choice(how.frames) for _ in some]
        wanted = [
            self._wanted(lesson, each, frame[at])
            for at, lesson in enumerate(some)
            for each in (lesson.request, *_some(lesson.rephrases, how.rephrases, rng))
        ]
        kept = [
            (lesson, each)
            for lesson in some
            for each in _some(lesson.unrelated, how.unrelated, rng)
        ]
        nll, kl = self._answers(wanted, kept)
        pairs = [
            pair
            for lesson, dress in zip(some, frame, strict=True)
            for pair in self._pairs(lesson, (dress,))
        ]
        scope = balanced(self._module.scope(pairs), pairs)
        loss = self._settings.tuned.edit_weight * nll
        loss = loss + how.locality_weight * kl + how.scope_weight * scope
        parts = {"loss": loss, "nll": nll, "kl": kl, "scope": scope}
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    def validate(self) -> Values:
        """By the rule that edits will be asked by: shares of target tokens that are right and of
        unrelated prompts that are left alone, plain prompts; and the losses."""
        how, size = self._settings.chosen, self._settings.tuned.batch
        pairs = [p for lesson in self._validation for p in self._pairs(lesson, how.frames)]
        with torch.no_grad():
            logits_P = self._module.scope(pairs)
            scope_loss = float(balanced(logits_P, pairs))
            nll, seen = 0.0, 0
            for at in range(0, len(self._validation), size):
                some = self._validation[at : at + size]
                wanted = [self._wanted(le, le.request, f) for le in some for f in how.frames]
                wanted += [self._wanted(le, r, "{}") for le in some for r in le.rephrases[:1]]
                nll += float(self._answers(wanted, [])[0]) * len(some)
                seen += len(some)
            scope = self._calibrated(pairs)
            shares = self._shares(scope)
        weights = self._settings.tuned.edit_weight, how.scope_weight
        loss = weights[0] * nll / seen + weights[1] * scope_loss
        return {"loss": loss, "nll": nll / seen, "scope": scope_loss, **shares}

    def publish(self, folder: Path, step: int, metrics: Mapping[str, float]) -> None:
        scope = self._module.scope.scope(self._cut)
        header = checkpoint.Header(
            base=base_of(self._model),
            matrices=self._settings.matrices,
            wording=self._settings.chosen.wording,
            scope=checkpoint.header_of(scope),
            step=step,
            config=self._settings.record,
            metrics=dict(metrics),
            data={**self._data, **self._split.ids()},
            versions=versions(),
        )
        factors = [
            LowRank(left.detach().T.contiguous(), right.detach().T.contiguous())
            for left, right in zip(self._module.left, self._module.right, strict=True)
        ]
        checkpoint.save(header, scope, factors, folder)

    def _wanted(self, lesson: Lesson, asked: EditRequest, frame: str) -> Line:
        request = replace(asked, prompt=frame.replace("{}", asked.prompt))
        return answer_line(self._model.speller, request, lesson.told)

    def _answers(
        self, wanted: Sequence[Line], unrelated: Sequence[tuple[Lesson, EditRequest]]
    ) -> tuple[Tensor, Tensor]:
        """Mean NLL of the targets, and mean KL where unrelated answers stand, every row the same."""
        speller = self._model.speller
        pairs = [
            (read_line(speller, asked), read_line(speller, asked, lesson.told))
            for lesson, asked in unrelated
        ]
        kept = [(plain, told) for plain, told in pairs if len(plain.reads) == len(told.reads)]
        base_N_V = None
        if kept:
            with evaluating(self._model.hf):
                base_N_V = Whole(self._model, [plain for plain, _ in kept]).logits()
        lines = [*wanted, *(told for _, told in kept)]
        with frozen(self._model.hf), branched(self._branches(), torch.zeros(len(lines)).long()):
            logits_N_V = Whole(self._model, lines).logits()
        cut = sum(len(line.reads) for line in wanted)
        labels_N = torch.tensor([label for line in wanted for label in line.labels])
        said_N_V = logits_N_V[:cut]
        picked_N = said_N_V.gather(1, labels_N.to(said_N_V.device)[:, None])[:, 0]
        nll_N = said_N_V.logsumexp(-1) - picked_N
        nll = (nll_N * _each_row_alike(wanted).to(nll_N.device)).sum()
        if base_N_V is None:
            return nll, nll.new_zeros(())
        before_N_V, after_N_V = base_N_V.log_softmax(-1), logits_N_V[cut:].log_softmax(-1)
        kl_N = (before_N_V.exp() * (before_N_V - after_N_V)).sum(-1)
        return nll, (kl_N * _each_row_alike([t for _, t in kept]).to(kl_N.device)).sum()

    def _branches(self) -> list[Branch]:
        return [
            Branch(slot, left[None], right[None])
            for slot, left, right in zip(
                self._settings.slots, self._module.left, self._module.right, strict=True
            )
        ]

    def _pairs(self, lesson: Lesson, frames: Sequence[str]) -> list[Pair]:
        own = lesson.inside
        foreign = (*lesson.outside, *lesson.others)
        return [
            Pair(lesson.request.prompt, frame.replace("{}", text), about)
            for frame in frames
            for texts, about in ((own, True), (foreign, False))
            for text in texts
        ]

    def _calibrated(self, pairs: Sequence[Pair]) -> WordScope:
        """The scope as it is, with the threshold that parts ``pairs`` best."""
        found = torch.sigmoid(self._module.scope(pairs).double()).tolist()
        sides: dict[bool, list[float]] = {True: [], False: []}
        for p, pair in zip(found, pairs, strict=True):
            sides[pair.about].append(p)
        self._cut = threshold(sides[True], sides[False])
        return self._module.scope.scope(self._cut)

    def _shares(self, scope: WordScope) -> Values:
        told: list[tuple[str, Line]] = []
        base: list[tuple[str, Line]] = []
        kept: list[bool] = []
        for lesson in self._validation:
            ask = scope.over([lesson.request.prompt])
            questions = [("efficacy", lesson.request)]
            questions += [("generalization", each) for each in lesson.rephrases]
            for name, each in questions:
                if ask(each.prompt)[0] >= scope.threshold:
                    told.append((name, self._wanted(lesson, each, "{}")))
                else:
                    base.append((name, answer_line(self._model.speller, each)))
            kept += [bool(ask(text)[0] < scope.threshold) for text in lesson.outside]
        right: dict[str, list[float]] = {}
        for rows, branches in ((told, self._branches()), (base, [])):
            for at in range(0, len(rows), 64):
                some = rows[at : at + 64]
                which = torch.zeros(len(some), dtype=torch.long)
                with evaluating(self._model.hf), branched(branches, which):
                    said_N = Whole(self._model, [line for _, line in some]).logits().argmax(-1)
                place = 0
                for name, line in some:
                    said = said_N[place : place + len(line.reads)].tolist()
                    place += len(line.reads)
                    same = [a == b for a, b in zip(said, line.labels, strict=True)]
                    right.setdefault(name, []).append(sum(same) / len(same))
        values = {name: sum(each) / len(each) for name, each in right.items()}
        return values | ({"locality": sum(kept) / len(kept)} if kept else {})

    def _chosen(self, pass_number: int) -> list[Lesson]:
        """The lessons of a pass: every case once before any comes again."""
        size, n = self._settings.tuned.batch, len(self._train)
        places = range(pass_number * size, (pass_number + 1) * size)
        return [self._train[self._order(at // n)[at % n]] for at in places]

    def _shuffled(self, epoch: int) -> list[int]:
        order = list(range(len(self._train)))
        self._seeds.child("epoch").child(str(epoch)).random().shuffle(order)
        return order

    def _check(self) -> None:
        """Raise ``BadInput``, naming the case, for texts that the model cannot take."""
        for lesson in (*self._train, *self._validation):
            try:
                for frame in self._settings.chosen.frames:
                    self._wanted(lesson, lesson.request, frame)
            except TruingError as error:
                raise BadInput(f"case {lesson.request.id}: {error.what}", error.next) from None


def _each_row_alike(lines: Sequence[Line]) -> Tensor:
    """``(N,)``, adding up to one: every row counts the same, within it every read."""
    n = len(lines)
    return torch.tensor([1 / (n * len(line.reads)) for line in lines for _ in line.reads])


def _some(found: Sequence[Any], n: int, rng: random.Random) -> list[Any]:
    return rng.sample(list(found), min(n, len(found)))
