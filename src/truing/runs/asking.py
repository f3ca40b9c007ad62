"""Asking questions of a model in mixed batches: every question carries its own change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from truing.errors import NoMemory, TruingError
from truing.models.asks import (
    Ask,
    Change,
    Decoding,
    Diverged,
    DivergenceAsk,
    GenerateAsk,
    Generated,
    ScoreAsk,
    Scored,
)
from truing.models.subject import Subject
from truing.protocols.protocol import Protocol
from truing.protocols.questions import Question, ask_for, base_ask_for, needs_base_text
from truing.types import Choice, Probe, Response


@dataclass(frozen=True, slots=True)
class Asked:
    """A question under a change (``None``: the model as it is). ``seed`` is for sampled answers."""

    question: Question
    under: Change | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why there is no answer."""

    reason: str


Answer = Response | Unanswered
Result = Scored | Generated | Diverged
NO_MEMORY = "out of memory at batch size 1"


def questions(
    model: Subject, wanted: Sequence[tuple[Protocol, Probe]], seeds: Sequence[int]
) -> list[Question | Unanswered]:
    """The question for each probe under its protocol, in order. Where the gold is the base model's
    own answer, the base model (``model`` as it is) is asked first."""
    standard: dict[int, Answer] = {}
    free: dict[int, Question] = {}
    for i, (protocol, probe) in enumerate(wanted):
        if needs_base_text(protocol, probe):
            question = _question(base_ask_for, protocol, probe)
            if isinstance(question, Unanswered):
                standard[i] = question
            else:
                free[i] = question
    told = answers(model, [Asked(question, seed=seeds[i]) for i, question in free.items()])
    standard |= dict(zip(free, told, strict=True))
    found: list[Question | Unanswered] = []
    for i, (protocol, probe) in enumerate(wanted):
        text = standard.get(i)
        if isinstance(text, Unanswered):
            found.append(Unanswered(f"the base model gives no standard: {text.reason}"))
        else:
            found.append(_question(ask_for, protocol, probe, None if text is None else text.text))
    return found


def answers(model: Subject, asked: Sequence[Asked]) -> list[Answer]:
    """What ``model`` answers, in order. A question that cannot be asked is :class:`Unanswered`.

    Questions that only the base model's weights decide travel apart from the others, so that
    whether their answers are remembered from before changes nothing about the other batches.
    """
    found: dict[int, Answer] = {}
    ready: dict[int, list[Ask]] = {}
    for i, each in enumerate(asked):
        try:
            asks = asks_of(model, each)
        except TruingError as error:
            found[i] = Unanswered(error.what)
            continue
        trouble = next((why for why in map(model.fits, asks) if why is not None), None)
        if trouble is None:
            ready[i] = asks
        else:
            found[i] = Unanswered(trouble)
    for of_base in (True, False):
        part = {i: asks for i, asks in ready.items() if _of_base(asked[i]) is of_base}
        for i, results in _results(model, part).items():
            found[i] = _response(model, asked[i], results) if results else Unanswered(NO_MEMORY)
    return [found[i] for i in range(len(asked))]


def _question(make: Callable[..., Question], *facts: object) -> Question | Unanswered:
    try:
        return make(*facts)
    except TruingError as error:
        return Unanswered(error.what)


def _of_base(asked: Asked) -> bool:
    return asked.under is None or asked.under.for_prompt(asked.question.prompt).prompt_only


def asks_of(model: Subject, asked: Asked) -> list[Ask]:
    """What is sent to the model for one question: its continuation and choices, a comparison with the
    base model, or a generation. Raises where it cannot be put into tokens."""
    question, under = asked.question, asked.under
    if question.kind == "compare":
        assert question.continuation is not None
        return [DivergenceAsk(question.prompt, question.continuation, under)]
    if question.kind == "score":
        assert question.continuation is not None
        texts = (question.continuation, *question.choices)
        return [ScoreAsk(question.prompt, text, under) for text in texts]
    tokens = question.max_new_tokens
    decoding = Decoding(
        max_new_tokens=len(_gold(model, asked)) if tokens is None else tokens,
        stop=question.stop,
        arm=question.arm,
        top_k=question.top_k,
        seed=asked.seed if question.top_k else 0,
    )
    return [GenerateAsk(question.prompt, decoding, under)]


def _gold(model: Subject, asked: Asked) -> tuple[int, ...]:
    """Token ids of the gold, joined to the prompt as it is sent."""
    assert asked.question.gold is not None
    prompt = model.rewritten(asked.question.prompt, asked.under)
    span = model.speller.join(prompt, asked.question.gold)
    return tuple(span.ids[span.start :])


def _results(model: Subject, ready: Mapping[int, list[Ask]]) -> dict[int, list[Result]]:
    """Results by question. Where memory does not suffice for the smallest batch of all questions,
    each is asked alone; one that still does not fit has no results."""
    try:
        return _together(model, ready)
    except (NoMemory, torch.OutOfMemoryError):
        if len(ready) == 1:
            return {i: [] for i in ready}
    alone: dict[int, list[Result]] = {}
    for i, asks in ready.items():
        alone |= _results(model, {i: asks})
    return alone


def _together(model: Subject, ready: Mapping[int, list[Ask]]) -> dict[int, list[Result]]:
    """All likelihoods in one call, all comparisons and all generations in others."""
    results: dict[int, list[Result]] = {i: [] for i in ready}
    scored = [(i, ask) for i, asks in ready.items() for ask in asks if isinstance(ask, ScoreAsk)]
    compared = [
        (i, ask) for i, asks in ready.items() for ask in asks if isinstance(ask, DivergenceAsk)
    ]
    written = [
        (i, ask) for i, asks in ready.items() for ask in asks if isinstance(ask, GenerateAsk)
    ]
    if scored:
        for (i, _), score in zip(scored, model.score([ask for _, ask in scored]), strict=True):
            results[i].append(score)
    if compared:
        told = model.divergences([ask for _, ask in compared])
        for (i, _), diverged in zip(compared, told, strict=True):
            results[i].append(diverged)
    if written:
        for (i, _), said in zip(written, model.generate([ask for _, ask in written]), strict=True):
            results[i].append(said)
    return results


def _response(model: Subject, asked: Asked, results: Sequence[Result]) -> Answer:
    first = results[0]
    nats = first.nats if isinstance(first, Diverged) else ()
    logprobs = (x for result in results for x in result.logprobs)
    if not all(map(math.isfinite, (*nats, *logprobs))):
        return Unanswered("the model's probabilities are not finite: its weights are damaged")
    if isinstance(first, Generated):
        if first.error is not None:
            return Unanswered(first.error)
        if asked.question.gold is not None:
            return Response(
                first.text,
                token_ids=_gold(model, asked),
                predicted=first.token_ids,
                stop=first.stop,
            )
        return Response(first.text, first.token_ids, (), first.logprobs, first.stop)
    choices = []
    for text, result in zip(asked.question.choices, results[1:], strict=True):
        assert isinstance(result, Scored)
        choices.append(Choice(text, result.logprob, len(result.token_ids)))
    scored = first.scored if isinstance(first, Diverged) else first
    return Response(
        model.speller.decode(scored.predicted),
        scored.token_ids,
        scored.predicted,
        scored.logprobs,
        "forced",
        tuple(choices),
        nats,
    )
