"""The nouns that every room shares. Plain frozen data, no torch.

Tensors live in :mod:`truing.interventions`; everything here can be written to JSON and read back
with :class:`pydantic.TypeAdapter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
State = Literal["correct", "wrong", "abstain", "invalid", "degenerate"]
Moment = Literal["base", "immediate", "final", "step"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: Role
    content: str


Chat = tuple[Message, ...]
Prompt = str | Chat


@dataclass(frozen=True, slots=True)
class EditRequest:
    """One change that is asked for.

    ``prompt`` is the full text and holds ``subject`` exactly once when there is one.
    ``target_new`` and ``target_old`` carry no leading space; joining is the work of
    :mod:`truing.models.spans`.
    """

    id: str
    prompt: str
    target_new: str
    target_old: str | None = None
    subject: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """One question that is asked of the model under an intervention.

    ``aspect`` is what the answer is evidence for: ``efficacy``, ``generalization``, ``locality``,
    ``portability``, ``fluency``; a slash names a part (``portability/two-hop``).
    ``accepted`` holds the answers that count as right; ``()`` means that the base model's own
    answer is the standard (locality).
    ``reference`` is the text over which teacher forcing reads likelihoods; ``None`` means the
    first accepted answer or, without one, the base model's own greedy answer.
    ``choices`` are compared by likelihood; the first is the one that should win. In a free answer
    they are what it can be read as.
    ``group`` joins probes whose errors are not independent beyond the case.
    ``follows`` is the id of a probe of the same case: ``prompt`` then is the next user turn of the
    conversation that this probe began, after the answer that the model gave.
    """

    id: str
    aspect: str
    prompt: Prompt
    accepted: tuple[str, ...] = ()
    reference: str | None = None
    choices: tuple[str, ...] = ()
    group: str | None = None
    follows: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Edit requests and the probes that measure them. The unit of sampling and of pairing."""

    id: str
    requests: tuple[EditRequest, ...]
    probes: tuple[Probe, ...]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The likelihood of one choice: natural-log probability summed over ``n_tokens`` tokens."""

    text: str
    logprob: float
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Response:
    """What a model answered.

    Generated: ``text`` is the decoded answer without special tokens, ``token_ids`` what was
    generated, ``stop`` one of ``eos``, ``stop``, ``length``.
    Teacher-forced: ``token_ids`` are the reference's tokens, ``predicted`` the argmax at the same
    positions, ``text`` the decoded ``predicted``, ``logprobs`` those of ``token_ids`` (nats),
    ``stop`` is ``forced``. Where it was compared with the base model, ``divergences`` holds
    KL(base || this) at each of ``token_ids``, in nats over the whole vocabulary.
    Gold-length answers, forced or free, hold the reference's ids in ``token_ids`` and the model's
    in ``predicted``.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    predicted: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    stop: str = ""
    choices: tuple[Choice, ...] = ()
    divergences: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: one probe of one case, asked at one moment under one protocol.

    ``key`` is a hash of everything that decides the row and nothing else. ``step`` counts the
    edits that were in force. ``prompt`` is the text as sent, templates and prefixes included.
    ``base`` is the unedited model's response to the same question. ``seconds`` is this row's share
    of its batch's wall time. ``error`` says why there is no response (the row still counts).
    ``question`` is what was asked before templates and prefixes: what a judge is shown. ``choices``
    are those of a probe that was answered freely.
    """

    key: str
    cell: str
    case: str
    probe: str
    aspect: str
    protocol: str
    moment: Moment
    step: int
    prompt: str
    accepted: tuple[str, ...]
    response: Response | None
    base: Response | None
    group: str | None = None
    seconds: float | None = None
    error: str | None = None
    question: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge says of one row. ``score`` is in [0, 1] or ``None``; ``None`` is never 0."""

    row: str
    judge: str
    state: State
    score: float | None
    why: str = ""
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A number with what it takes to trust it.

    ``n`` counts the scored observations, ``clusters`` the independent units. ``low``/``high``
    bound the ``interval`` (for example ``95% bootstrap over cases``). The counts say how many rows
    were in each state that is not simply right or wrong; ``missing`` rows have no verdict.
    """

    n: int
    mean: float | None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    clusters: int = 0
    abstain: int = 0
    invalid: int = 0
    degenerate: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired comparison with ``against`` (usually method ``none``) on the same cases.

    ``effect`` is the standardised difference: Cohen's h for shares, d_z over cases for other numbers.
    ``detectable`` is the smallest difference that a test with this comparison's own standard error
    finds with 80 % power at alpha .05: what an absent finding can and cannot mean.
    """

    against: str
    delta: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    test: str
    n_pairs: int
    effect: float | None = None
    detectable: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """One cell of a result table: which number, under which conditions, and its value.

    ``metric`` is a name of the glossary (:mod:`truing.scoring.metrics`); ``judge`` the scorer that
    made the verdicts; ``compatibility`` marks a published metric kept for comparison only.
    ``flags`` warn (for example ``nothing-changed``); a flagged measure is shown, never averaged.
    """

    cell: str
    model: str
    method: str
    benchmark: str
    regime: str
    moment: Moment
    step: int
    protocol: str
    aspect: str
    metric: str
    judge: str
    value: Value
    versus: Comparison | None = None
    compatibility: bool = False
    flags: tuple[str, ...] = ()
