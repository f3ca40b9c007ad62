"""Packing questions into forward passes.

Every row of a batch may carry its own change. Rows whose change cannot be stacked (dense deltas)
are grouped by change, and the change is applied to the whole model for its group.

Shape letters: B rows, T tokens, N needed positions over all rows, V vocabulary, D width.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from truing.errors import BadInput, NoMemory, NotPossible, TruingError
from truing.models.answers import base_key, model_facts
from truing.models.asks import Ask, Change, Decoding, DivergenceAsk, GenerateAsk, ScoreAsk
from truing.models.passes import evaluating
from truing.models.spans import Span

if TYPE_CHECKING:
    from truing.models.handle import Model

CPU_TOKENS = 2048
ACCELERATOR_TOKENS = 32768
LOGIT_FLOATS = 2**27
"""At most this many float32 logits (512 MiB) are asked of one forward pass, rows permitting."""

T = TypeVar("T")


@dataclass
class Budget:
    """Rows x tokens of one forward pass; halves on out-of-memory and stays halved."""

    tokens: int

    @classmethod
    def for_model(cls, hf: Any, tokens: int | None) -> Budget:
        if tokens is not None and tokens < 1:
            raise BadInput(f"token_budget is {tokens}", "Give a positive number of tokens.")
        if tokens is None:
            on_cpu = next(hf.parameters()).device.type == "cpu"
            tokens = CPU_TOKENS if on_cpu else ACCELERATOR_TOKENS
        return cls(tokens)


@dataclass(frozen=True)
class Job:
    """One question as the model sees it. ``change`` is ``None`` where the base model answers."""

    span: Span
    change: Change | None
    decoding: Decoding | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        under = None if self.change is None else self.change.id
        return (under, self.span.ids, self.span.start, self.decoding)

    @property
    def family(self) -> tuple[object, ...]:
        """Equal for jobs whose prompts, and the changes they are read under, are equal."""
        return (None if self.change is None else self.change.id, self.span.prompt)

    @property
    def new(self) -> int:
        return self.decoding.max_new_tokens if self.decoding else 0

    @property
    def length(self) -> int:
        return len(self.span.ids) + self.new

    @property
    def logits(self) -> int:
        return 1 if self.decoding else len(self.span.ids) - self.span.start


@dataclass(frozen=True)
class Work(Generic[T]):
    """How a kind of question is answered: ``run`` one batch; ``dump``/``load`` for the cache."""

    kind: str
    run: Callable[[Model, Sequence[Job], Sequence[Change | None]], list[T]]
    dump: Callable[[T], str]
    load: Callable[[str], T | None]


def job_of(model: Model, ask: ScoreAsk | GenerateAsk) -> Job:
    """Tokens of one ask, prefixes joined. Raises where it cannot be asked of this model."""
    prompt = model.rewritten(ask.prompt, ask.under)
    change = model.carried(ask.prompt, ask.under)
    if isinstance(ask, ScoreAsk):
        job = Job(model.speller.join(prompt, ask.continuation), change)
    else:
        ids = model.speller.prompt_ids(prompt)
        job = Job(Span(tuple(ids), len(ids)), change, ask.decoding)
        if ask.decoding.max_new_tokens < 1:
            raise BadInput(
                f"max_new_tokens is {ask.decoding.max_new_tokens}", "Ask for at least one."
            )
        if ask.decoding.top_k and ask.decoding.temperature <= 0:
            raise BadInput(
                f"temperature is {ask.decoding.temperature}", "Leave top_k at 0 for greedy."
            )
    check(model, job)
    return job


def pair_of(model: Model, ask: DivergenceAsk) -> tuple[Job, Job]:
    """The job of the base and that of the change. Raises ``NotPossible`` where what the change puts in
    front makes other tokens of the same continuation."""
    base = job_of(model, ScoreAsk(ask.prompt, ask.continuation))
    changed = job_of(model, ScoreAsk(ask.prompt, ask.continuation, ask.under))
    if base.span.continuation != changed.span.continuation:
        raise NotPossible(
            "what is told in front makes other tokens of the text, so there is nothing to compare",
            "End what is told in a space or a newline.",
        )
    return base, changed


def check(model: Model, job: Job) -> None:
    """Raise BadInput where the model has not as many positions as the job needs."""
    if job.span.start == 0:
        raise BadInput(
            "no token of the prompt is left in front of the continuation",
            "Give a longer prompt.",
        )
    limit = max_positions(model.hf)
    if limit is not None and job.length > limit:
        raise BadInput(
            f"the question needs {job.length} tokens ({job.span.start} of them the prompt); "
            f"'{model.name}' has positions for {limit}",
            "Shorten the prompt (in-context edits add to it), or ask for fewer new tokens.",
        )


def fits(model: Model, ask: Ask) -> str | None:
    """Why ``ask`` cannot be answered, or ``None``."""
    try:
        if isinstance(ask, DivergenceAsk):
            pair_of(model, ask)
        else:
            job_of(model, ask)
    except TruingError as error:
        return error.what
    return None


def max_positions(hf: Any) -> int | None:
    """How many positions the model has; ``None`` where its configuration sets no limit."""
    config = hf.config.get_text_config()
    for name in ("max_position_embeddings", "max_seq_len"):
        limit = getattr(config, name, None)
        if isinstance(limit, int) and limit > 0:
            return limit
    return None


def answer(
    model: Model, jobs: Sequence[Job], work: Work[T], progress: Callable[[int], None] | None
) -> list[T]:
    """Answers in the order of ``jobs``. Equal jobs are computed once; base answers are cached."""
    if not jobs:
        return []
    places: dict[tuple[object, ...], list[int]] = {}
    for at, job in enumerate(jobs):
        places.setdefault(job.identity, []).append(at)
    found: dict[tuple[object, ...], T] = {}
    facts = model_facts(model)
    keys: dict[tuple[object, ...], str] = {}
    if facts is not None:
        for identity, where in places.items():
            job = jobs[where[0]]
            if job.change is None:
                keys[identity] = base_key(
                    facts, work.kind, job.span.ids, job.span.start, job.decoding
                )
        known = model.answers.get(list(keys.values()))
        for identity, key in keys.items():
            value = work.load(known[key]) if key in known else None
            if value is not None:
                found[identity] = value
    if progress is not None and found:
        progress(sum(len(places[identity]) for identity in found))
    todo = [jobs[where[0]] for identity, where in places.items() if identity not in found]
    with evaluating(model.hf), closing(batches(model, todo, work)) as stream:
        for batch, values in stream:
            fresh = {job.identity: value for job, value in zip(batch, values, strict=True)}
            found |= fresh
            model.answers.put({keys[i]: work.dump(v) for i, v in fresh.items() if i in keys})
            if progress is not None:
                progress(sum(len(places[identity]) for identity in fresh))
    return [found[job.identity] for job in jobs]


def batches(
    model: Model, jobs: Sequence[Job], work: Work[T]
) -> Generator[tuple[list[Job], list[T]], None, None]:
    """Answered batches. Close it (``closing``) so that no change stays in force after an error."""
    mixed: dict[type | None, list[Job]] = {}
    grouped: dict[str, list[Job]] = {}
    for job in jobs:
        if job.change is None or job.change.per_row:
            kind = None if job.change is None else type(job.change)
            mixed.setdefault(kind, []).append(job)
        else:
            grouped.setdefault(job.change.id, []).append(job)
    if len(mixed) > 1 and None in mixed:  # base rows travel with others
        base = mixed.pop(None)
        next(iter(mixed.values())).extend(base)
    for stream in mixed.values():
        yield from _adaptive(model, stream, work, [job.change for job in stream])
    for stream in grouped.values():
        change = stream[0].change
        assert change is not None
        with model.applied(change):
            yield from _adaptive(model, stream, work, [None] * len(stream))


def _adaptive(
    model: Model, jobs: Sequence[Job], work: Work[T], changes: Sequence[Change | None]
) -> Iterator[tuple[list[Job], list[T]]]:
    """Batches by token budget, longest first; a batch that does not fit in memory is halved."""
    waiting = _order(jobs)
    while waiting:
        take = _first_batch(model, [jobs[i] for i in waiting])
        batch = [jobs[i] for i in waiting[:take]]
        failed: BaseException | None = None
        try:
            values = work.run(model, batch, [changes[i] for i in waiting[:take]])
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            failed = error.with_traceback(None)
        if failed is not None and take == 1:
            raise NoMemory(
                f"one question of {batch[0].length} tokens does not fit in memory ({failed})",
                "Shorten it, or load the model in a smaller dtype or onto a larger device.",
            )
        if failed is not None:
            model.budget.tokens = max(1, take * max(job.length for job in batch) // 2)
            del failed
            gc.collect()
            torch.cuda.empty_cache()
            continue
        waiting = waiting[take:]
        yield batch, values


def _order(jobs: Sequence[Job]) -> list[int]:
    """Longest first; jobs that share a prompt and a change stay together."""
    longest: dict[object, int] = {}
    for job in jobs:
        longest[job.family] = max(longest.get(job.family, 0), job.length)
    place = {family: at for at, family in enumerate(longest)}
    return sorted(range(len(jobs)), key=lambda i: (-longest[jobs[i].family], place[jobs[i].family]))


def _first_batch(model: Model, jobs: Sequence[Job]) -> int:
    """How many of ``jobs`` (longest first) make the next batch."""
    vocabulary = int(model.hf.config.get_text_config().vocab_size)
    limit = max_positions(model.hf)
    prompt = new = logits = take = 0
    for job in jobs:
        prompt, new = max(prompt, len(job.span.ids)), max(new, job.new)
        width, logits = prompt + new, logits + job.logits
        if take and (
            (take + 1) * width > model.budget.tokens
            or logits * vocabulary > LOGIT_FLOATS
            or (limit is not None and width > limit)  # padded rows have no more positions either
        ):
            break
        take += 1
    return take


def _out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in text for words in ("not enough memory", "out of memory", "can't allocate memory")
    )
