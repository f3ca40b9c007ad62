"""The Model: a causal language model that answers questions under interventions."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from truing.models import diverge, engine, generate, hidden, loading, score
from truing.models.answers import Answers, NoAnswers, Pending
from truing.models.arch import Arch, Site, describe
from truing.models.asks import (
    Ask,
    Change,
    Diverged,
    DivergenceAsk,
    GenerateAsk,
    Generated,
    Rows,
    ScoreAsk,
    Scored,
)
from truing.models.fingerprint import tokenizer_fingerprint, weight_fingerprint
from truing.models.positions import Layout
from truing.models.spans import Speller
from truing.types import Prompt

Progress = Callable[[int], None]


def default_cache() -> Path:
    """``$TRUING_CACHE`` or ``~/.cache/truing``."""
    return Path(os.environ.get("TRUING_CACHE") or Path.home() / ".cache" / "truing")


class Model:
    """A model and its tokenizer, with five verbs: score, generate, hidden, divergences, using.

    The weights are the caller's (``hf``) and stay as they are; ``using`` changes them for a while.
    ``token_budget`` bounds rows x tokens of one forward pass; it halves on out-of-memory and stays
    halved. ``None``: 2048 on CPU, 32768 elsewhere. A :class:`truing.models.subject.Subject`.
    """

    has_weights = True

    def __init__(
        self,
        hf: nn.Module,
        tok: Any,
        arch: Arch,
        *,
        name: str,
        revision: str | None = None,
        cache: Path | None = None,
        token_budget: int | None = None,
    ) -> None:
        self.hf: Any = hf
        self.tok = tok
        self.arch = arch
        self.name = name
        self.revision = revision
        self.cache = default_cache() if cache is None else cache
        self.speller = Speller(tok)
        self.budget = engine.Budget.for_model(hf, token_budget)
        self.answers: Answers | NoAnswers | Pending = Answers(self.cache / "answers.sqlite3")
        self.in_force: list[Rows] = []
        self._prefixing: list[Change] = []
        self._own_hooks = _hooks(hf)
        self.stop_ids = self.speller.stop_ids(hf.config, getattr(hf, "generation_config", None))
        self._takes_positions = "position_ids" in inspect.signature(hf.forward).parameters

    @classmethod
    def load(
        cls,
        name: str,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        device_map: str | dict[str, Any] | None = None,
        trust_remote_code: bool = False,
        cache: Path | None = None,
        token_budget: int | None = None,
    ) -> Model:
        """Load a hub id, a folder, or ``truing/pocket`` (the embedded model)."""
        hf, tok = loading.load(
            name,
            revision=revision,
            dtype=dtype,
            device=device,
            device_map=device_map,
            trust_remote_code=trust_remote_code,
        )
        return cls(
            hf,
            tok,
            describe(hf),
            name=name,
            revision=revision,
            cache=cache,
            token_budget=token_budget,
        )

    @classmethod
    def of(
        cls,
        hf: nn.Module,
        tok: Any,
        *,
        name: str = "local",
        revision: str | None = None,
        cache: Path | None = None,
        token_budget: int | None = None,
    ) -> Model:
        """A Model over a ``transformers`` causal LM that is already loaded."""
        return cls(
            hf,
            tok,
            describe(hf),
            name=name,
            revision=revision,
            cache=cache,
            token_budget=token_budget,
        )

    @property
    def fingerprint(self) -> str:
        """Content hash of the current weights; in-place edits change it."""
        return weight_fingerprint(self.hf)

    @property
    def tokenizer_fingerprint(self) -> str:
        return tokenizer_fingerprint(self.tok)

    @property
    def positions(self) -> int | None:
        """How many positions it has; ``None`` where its configuration sets no limit."""
        return engine.max_positions(self.hf)

    @property
    def facts(self) -> dict[str, Any]:
        """What identifies it, for manifests. Hashes its weights (seconds for large models)."""
        config = self.hf.config
        return {
            "revision": self.revision,
            "fingerprint": self.fingerprint,
            "tokenizer": self.tokenizer_fingerprint,
            "tokenizer_class": type(self.tok).__name__,
            "model_type": str(config.model_type),
            "dtype": str(self.hf.dtype).removeprefix("torch."),
            "attention": getattr(config, "_attn_implementation", None),
            "parameters": sum(p.numel() for p in self.hf.parameters()),
            "token_budget": self.budget.tokens,
        }

    def score(self, asks: Sequence[ScoreAsk], *, progress: Progress | None = None) -> list[Scored]:
        """Token log-probs (nats, float32 log-softmax) and argmax ids, in the order of ``asks``.

        ``progress`` gets the number of asks finished since it was called last.
        """
        return score.score(self, asks, progress)

    def generate(
        self, asks: Sequence[GenerateAsk], *, progress: Progress | None = None
    ) -> list[Generated]:
        """Answers, in the order of ``asks``. ``progress`` as in :meth:`score`."""
        return generate.generate(self, asks, progress)

    def hidden(
        self,
        prompts: Sequence[Prompt],
        site: Site,
        layer: int,
        positions: Literal["last", "all"] = "last",
    ) -> list[Tensor]:
        """Activations at a hook point, float32: per prompt ``(d,)`` at its last token, or with
        ``positions="all"`` ``(tokens, d)``."""
        return hidden.hidden(self, prompts, site, layer, positions)

    def divergences(
        self, asks: Sequence[DivergenceAsk], *, progress: Progress | None = None
    ) -> list[Diverged]:
        """KL(base || changed) at each token of the asks' continuations (nats, float32, whole
        vocabulary), in the order of ``asks``; exactly 0 where the change leaves a row to the base.

        The base is this model with what is in force. ``progress`` as in :meth:`score`.
        """
        return diverge.divergences(self, asks, progress)

    def fits(self, ask: Ask) -> str | None:
        """Why ``ask`` cannot be answered (too long, empty, no chat template, ...), or ``None``."""
        return engine.fits(self, ask)

    def render(self, prompt: Prompt, under: Change | None = None) -> str:
        """The text that the model reads, templates, prefixes and special tokens included."""
        ids = self.speller.prompt_ids(self.rewritten(prompt, under))
        return str(self.tok.decode(ids, skip_special_tokens=False))

    def rewritten(self, prompt: Prompt, under: Change | None = None) -> Prompt:
        """``prompt`` with the prefixes of ``under`` and of everything in force.

        What a memory of edits says to it is decided on ``prompt`` as it is given.
        """
        asked = prompt
        for change in (under, *reversed(self._prefixing)):
            prompt = prompt if change is None else change.for_prompt(asked).rewrite(prompt)
        return prompt

    def carried(self, prompt: Prompt, under: Change | None = None) -> Change | None:
        """The change that a row of a batch carries when it asks ``prompt`` under ``under``:
        ``None`` where the base model answers (or the model with what is in force)."""
        row = None if under is None else under.for_prompt(prompt)
        row = None if row is None or row.prompt_only else row
        for change in self._prefixing:
            row = change.recall(prompt, row)
        return row

    @contextmanager
    def using(self, change: Change) -> Iterator[Model]:
        """Apply ``change`` to the whole model inside the block.

        On exit, also after an exception, every touched tensor is restored bit for bit from a copy.
        Nests. Questions inside are asked under it (and its prompt prefixes) and never cached. Its
        memories of edits act on questions, which have a text, not on bare calls of ``hf``.
        """
        with self.applied(change):
            self._prefixing.append(change)
            try:
                yield self
            finally:
                self._prefixing.pop()

    @contextmanager
    def applied(self, change: Change) -> Iterator[None]:
        """:meth:`using` without its prompt prefixes and memories of edits."""
        with change.whole(self.arch) as rows:
            self.in_force.append(rows)
            try:
                yield
            finally:
                self.in_force.pop()

    @contextmanager
    def uncached(self) -> Iterator[Model]:
        """Inside the block base answers are neither read from the disk cache nor written."""
        before, self.answers = self.answers, NoAnswers()
        try:
            yield self
        finally:
            self.answers = before

    @contextmanager
    def remembering_at_once(self) -> Iterator[None]:
        """Inside, new base answers reach the disk cache all together at the end, or none of them:
        work that was cut short and is done again meets the cache as it was and packs the same
        batches."""
        store = self.answers
        self.answers = pending = Pending(store)
        try:
            yield
            store.put(pending.new)
        finally:
            self.answers = store

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        weight = self.hf.get_input_embeddings().weight
        assert isinstance(weight, Tensor)
        return weight.device

    @property
    def hooked(self) -> bool:
        """Whether somebody else's hooks sit on the model, which the weights do not show."""
        return _hooks(self.hf) != self._own_hooks

    def inputs(self, layout: Layout) -> dict[str, Tensor]:
        """Keyword arguments of one forward pass over ``layout``."""
        home = self.device
        inputs = {
            "input_ids": layout.ids_B_T.to(home),
            "attention_mask": layout.attention_mask.to(home),
        }
        if self._takes_positions:
            inputs["position_ids"] = layout.position_ids_B_T.to(home)
        return inputs


def _hooks(hf: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in hf.modules())
