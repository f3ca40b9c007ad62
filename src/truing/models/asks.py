"""What can be asked of a model, and what comes back.

``under`` is the intervention that a row carries. This module knows interventions only through
:class:`Change`, which :mod:`truing.interventions` implements, so that models never import them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from truing.types import Prompt

if TYPE_CHECKING:
    from truing.models.arch import Arch
    from truing.models.positions import Layout


class Rows(Protocol):
    """Per-row hooks of one batch. A context manager: hooks live only inside it."""

    def __enter__(self) -> Rows: ...

    def __exit__(self, *exc: object) -> None: ...

    def at(self, layout: Layout) -> None:
        """Tell the hooks where prompt, continuation and padding are before each forward pass."""

    def keep(self, index: Sequence[int]) -> None:
        """Rows have left the batch: row i of the next forward pass is the old row ``index[i]``."""

    @property
    def whole_logits(self) -> bool:
        """Whether hooks act at or after the head, so that it must see every position."""

    @property
    def whole_prompt(self) -> bool:
        """Whether hooks decide by the whole prompt, so that no pass may read a part of it."""

    @property
    def rereads(self) -> bool:
        """Whether hooks decide anew over all tokens so far, so that none may come from a cache."""


class Change(Protocol):
    """What the engine needs to know of an intervention."""

    @property
    def id(self) -> str:
        """Content hash: equal ids give equal answers."""

    @property
    def per_row(self) -> bool:
        """Whether it can be one row of a mixed batch (dense weight deltas can not)."""

    @property
    def prompt_only(self) -> bool:
        """Whether it changes the prompt at most, so that the model answers as the base model."""

    def for_prompt(self, prompt: Prompt) -> Change:
        """What of it a row that asks ``prompt`` carries: memories of edits go by the text."""

    def recall(self, prompt: Prompt, row: Change | None) -> Change | None:
        """``row`` (``None``: the base model) with what the memories of this change, which is in
        force for the whole model, add to it for ``prompt``."""

    def rewrite(self, prompt: Prompt) -> Prompt:
        """The prompt as the model shall see it (prompt prefixes)."""

    def whole(self, arch: Arch) -> Rows:
        """Apply to the whole model; on exit every touched tensor is restored bit for bit."""

    def stack(self, arch: Arch, rows: Sequence[Change | None]) -> Rows:
        """Hooks that give row i of a batch the change ``rows[i]`` (``None``: the base model)."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer is generated. Greedy unless ``top_k`` is set (then seeded sampling).

    ``stop`` strings end the answer where they occur and are cut off; with ``arm`` they are ignored
    until the answer holds something other than whitespace, so that a leading newline ends nothing.
    """

    max_new_tokens: int = 50
    stop: tuple[str, ...] = ()
    arm: bool = True
    top_k: int = 0
    temperature: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ScoreAsk:
    """Read the likelihood of ``continuation`` after ``prompt`` (tokenised jointly)."""

    prompt: Prompt
    continuation: str
    under: Change | None = None


@dataclass(frozen=True, slots=True)
class GenerateAsk:
    """Let the model answer ``prompt``."""

    prompt: Prompt
    decoding: Decoding = Decoding()
    under: Change | None = None


@dataclass(frozen=True, slots=True)
class DivergenceAsk:
    """Compare what is expected at each token of ``continuation`` after ``prompt`` with and without
    ``under``. The prefixes of ``under`` stand in front of the one and not of the other."""

    prompt: Prompt
    continuation: str
    under: Change | None = None


Ask = ScoreAsk | GenerateAsk | DivergenceAsk


@dataclass(frozen=True, slots=True)
class Scored:
    """Per-token results over the continuation: ids, natural-log probabilities, argmax ids."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    predicted: tuple[int, ...]

    @property
    def logprob(self) -> float:
        return sum(self.logprobs)

    @property
    def matches(self) -> tuple[bool, ...]:
        return tuple(a == b for a, b in zip(self.token_ids, self.predicted, strict=True))


@dataclass(frozen=True, slots=True)
class Diverged:
    """``scored`` under the change, and KL(base || changed) at the same tokens in nats, float32."""

    scored: Scored
    nats: tuple[float, ...]

    @property
    def logprobs(self) -> tuple[float, ...]:
        return self.scored.logprobs


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer: text without special tokens, ids as generated, log-probs of those ids, and why
    it ended: ``eos``, ``stop`` (a stop string) or ``length``. ``error`` says why there is no answer
    where somebody else, who was asked for it, gave none."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stop: str
    error: str | None = None
