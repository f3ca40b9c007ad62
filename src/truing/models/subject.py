"""What a run needs of a model, wherever the model is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from truing.models.asks import (
    Ask,
    Change,
    Diverged,
    DivergenceAsk,
    GenerateAsk,
    Generated,
    ScoreAsk,
    Scored,
)
from truing.types import Prompt

if TYPE_CHECKING:
    from truing.models.arch import Arch
    from truing.models.spans import Speller


class Subject(Protocol):
    """Something that answers questions under interventions: a :class:`truing.models.handle.Model`
    on this machine or a :class:`truing.models.served.ServedModel` behind a server.

    ``has_weights``: whether its weights are here, and with them likelihoods, activations and tokens.
    Where they are not, ``score``, ``divergences``, ``arch`` and ``speller`` raise ``NotPossible``, and only changes of the prompt
    can be in force. ``positions``: how many tokens it reads and writes at most, where that is known.
    """

    @property
    def name(self) -> str: ...
    @property
    def has_weights(self) -> bool: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def tokenizer_fingerprint(self) -> str: ...
    @property
    def positions(self) -> int | None: ...
    @property
    def arch(self) -> Arch: ...
    @property
    def speller(self) -> Speller: ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What identifies it, for manifests: JSON-like, without secrets."""

    def score(
        self, asks: Sequence[ScoreAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Scored]: ...

    def generate(
        self, asks: Sequence[GenerateAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Generated]: ...

    def divergences(
        self, asks: Sequence[DivergenceAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Diverged]: ...

    def fits(self, ask: Ask) -> str | None:
        """Why ``ask`` cannot be answered, or ``None``."""

    def rewritten(self, prompt: Prompt, under: Change | None = None) -> Prompt:
        """``prompt`` as it is sent under ``under`` and what is in force."""

    def render(self, prompt: Prompt, under: Change | None = None) -> str:
        """The same as text."""

    def using(self, change: Change) -> AbstractContextManager[Subject]:
        """Inside, questions are asked under ``change``."""

    def uncached(self) -> AbstractContextManager[Subject]:
        """Inside, answers are neither read from the disk cache nor written."""

    def remembering_at_once(self) -> AbstractContextManager[None]:
        """Inside, work may be cut short and done again without having changed what the cache makes
        of later batches."""
