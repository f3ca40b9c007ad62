"""Causal tracing: which states, restored, bring an answer back that noise on the subject destroyed.

Meng et al. 2022, "Locating and Editing Factual Associations in GPT", section 2: run the prompt as it
is, run it with noise on the embeddings of the subject's tokens, and run it with the same noise while
one state (or a window of MLP or attention outputs around a layer) is put back to what it was. The
indirect effect of a state is the probability of the answer then, less the probability under noise.

Shape letters: T tokens, L layers, S noise samples, B rows of a pass, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from truing.errors import BadInput, BadRequest
from truing.models.handle import Model
from truing.models.passes import PAD, evaluating, forward
from truing.models.positions import pack
from truing.models.spans import Span, occurrences
from truing.seeds import Seeds

Kind = Literal["state", "mlp", "attention"]
SITES: Mapping[Kind, Literal["resid_post", "mlp_out", "attn_out"]] = {
    "state": "resid_post",
    "mlp": "mlp_out",
    "attention": "attn_out",
}
ROLES = ("before", "first subject", "middle subject", "last subject", "next", "further", "last")
"""Where a token stands; tokens of one role are averaged over prompts."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Gaussian noise: ``strength`` standard deviations of the prompt's embeddings, ``samples`` draws."""

    strength: float = 3.0
    samples: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, the subject in it, and the answer (None: what the model says)."""

    prompt: str
    subject: str
    answer: str | None = None


@dataclass(frozen=True)
class Trace:
    """Probabilities of the answer's first token ``answer``: ``clean``, ``corrupted`` (mean over noise)
    and ``restored`` by kind, ``(T, L)`` float32. ``subject`` is the range (start, stop) of tokens."""

    question: Question
    tokens: tuple[str, ...]
    subject: tuple[int, int]
    answer: str
    clean: float
    corrupted: float
    restored: Mapping[Kind, Tensor]

    def effects(self, kind: Kind) -> Tensor:
        """Indirect effects ``(T, L)``."""
        return self.restored[kind] - self.corrupted

    def role(self, token: int) -> str:
        """Which of :data:`ROLES` a token plays."""
        start, stop = self.subject
        if token < start:
            return "before"
        if token < stop:
            ends = {stop - 1: "last subject", start: "first subject"}
            return ends.get(token, "middle subject")
        if token == len(self.tokens) - 1:
            return "last"
        return "next" if token == stop else "further"


def trace(
    model: Model,
    question: Question,
    *,
    kinds: Sequence[Kind] = ("state", "mlp", "attention"),
    window: int | None = None,
    noise: Noise = Noise(),
    progress: Callable[[int], None] = lambda rows: None,
) -> Trace:
    """Trace one question. MLP and attention outputs are restored over ``window`` layers around each
    (``None``: a fifth of all, which is the published 10 of 48).

    ``progress`` is told of rows that are done (``rows_of`` says how many there will be). Raises
    ``BadRequest`` where the subject is not in the prompt once, ``BadInput`` for an answer that is no
    token."""
    ids = model.speller.prompt_ids(question.prompt)
    start, stop = _subject(model, question)
    run = _Run(model, ids, (start, stop), noise)
    with evaluating(model.hf):
        logits_V, clean = run.clean([SITES[kind] for kind in kinds])
        token = _answer(model, question, logits_V)
        probability = float(logits_V.softmax(-1)[token])
        corrupted = float(run.noisy([None] * noise.samples, clean, [], token).mean())
        restored: dict[Kind, Tensor] = {}
        for kind in kinds:
            width = 1 if kind == "state" else window or max(1, round(model.arch.n_layers / 5))
            restored[kind] = run.restored(SITES[kind], clean, width, token, progress)
    tokens = tuple(model.speller.tok.decode([i]) for i in ids)
    said = str(model.speller.tok.decode([token])).strip()
    return Trace(question, tokens, (start, stop), said, probability, corrupted, restored)


def rows_of(model: Model, question: Question, kinds: int = 3, samples: int = 10) -> int:
    """How many rows a trace computes."""
    tokens = len(model.speller.prompt_ids(question.prompt))
    return tokens * model.arch.n_layers * samples * kinds


def averaged(traces: Sequence[Trace], kind: Kind) -> dict[str, Tensor]:
    """Mean indirect effect ``(L,)`` by role, over prompts (a prompt's tokens of a role count once)."""
    found: dict[str, list[Tensor]] = {}
    for each in traces:
        effects_T_L = each.effects(kind)
        for role in ROLES:
            mine = [t for t in range(len(each.tokens)) if each.role(t) == role]
            if mine:
                found.setdefault(role, []).append(effects_T_L[mine].mean(0))
    return {role: torch.stack(found[role]).mean(0) for role in ROLES if role in found}


def _subject(model: Model, question: Question) -> tuple[int, int]:
    found = occurrences(question.prompt, question.subject)
    if len(found) != 1:
        how = "is not" if not found else f"is {len(found)} times"
        raise BadRequest(
            f"subject {question.subject!r} {how} in {question.prompt!r}",
            "Tracing puts noise on the subject and needs it exactly once.",
        )
    first = model.speller.token_at(question.prompt, found[0])
    last = model.speller.token_at(question.prompt, found[0] + len(question.subject) - 1)
    return first, last + 1


def _answer(model: Model, question: Question, logits_V: Tensor) -> int:
    if question.answer is None:
        return int(logits_V.argmax())
    return model.speller.join(question.prompt, question.answer).continuation[0]


class _Run:
    """Passes over one prompt."""

    def __init__(
        self, model: Model, ids: Sequence[int], subject: tuple[int, int], noise: Noise
    ) -> None:
        if noise.samples < 1 or noise.strength <= 0:
            raise BadInput("noise needs a strength above 0 and at least one sample", None)
        self._model, self._ids, self._subject = model, tuple(ids), subject
        self._noise = noise
        self._noise_S_N_D = torch.empty(0)

    def clean(self, sites: Sequence[str]) -> tuple[Tensor, dict[tuple[str, int], Tensor]]:
        """Logits ``(V,)`` float32 of the last token and all states ``(T, D)`` of the sites."""
        arch, caught = self._model.arch, {}

        def keep(where: tuple[str, int], acts_B_T_D: Tensor) -> None:
            caught[where] = acts_B_T_D[0].detach().clone()

        def embedded(module: nn.Module, args: Any, output: Tensor) -> None:
            start, stop = self._subject
            generator = torch.Generator().manual_seed(Seeds(self._noise.seed).child("noise").number)
            size = (self._noise.samples, stop - start, output.shape[-1])
            sigma = self._noise.strength * float(output.float().std())
            self._noise_S_N_D = sigma * torch.randn(size, generator=generator)

        with ExitStack() as stack:
            stack.callback(arch.embed.register_forward_hook(embedded).remove)
            for site in sites:
                for layer in range(arch.n_layers):
                    hook = arch.site(site, layer)
                    stack.callback(hook.register(partial(keep, (site, layer))).remove)
            logits_B_V = self._last(1)
        return logits_B_V[0].float(), caught

    def _last(self, n_rows: int) -> Tensor:
        """Logits of the last token of ``n_rows`` copies of the prompt."""
        span = Span(self._ids, len(self._ids))
        layout = pack([span] * n_rows, side="right", pad_id=PAD)
        columns = torch.full((n_rows,), len(self._ids) - 1)
        model = self._model
        return forward(model, layout, model.in_force, torch.arange(n_rows), columns)[0]

    def noisy(
        self,
        tokens: Sequence[int | None],
        clean: Mapping[tuple[str, int], Tensor],
        places: Sequence[tuple[str, int]],
        answer: int,
    ) -> Tensor:
        """Probability of the answer ``(B,)`` per row: row b carries noise sample ``b % samples`` and
        has token ``tokens[b]`` restored at ``places``."""
        n = self._noise.samples
        noise_B_N_D = self._noise_S_N_D[[b % n for b in range(len(tokens))]]
        start, stop = self._subject

        def disturb(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            output = output.expand(len(tokens), *output.shape[1:]).clone()
            output[:, start:stop] += noise_B_N_D.to(output.device, output.dtype)
            return output

        def restore(where: tuple[str, int], acts_B_T_D: Tensor) -> Tensor:
            new = acts_B_T_D.clone()
            for row, token in enumerate(tokens):
                if token is not None:
                    new[row, token] = clean[where][token]
            return new

        arch = self._model.arch
        with ExitStack() as stack:
            stack.callback(arch.embed.register_forward_hook(disturb).remove)
            for site, layer in places:
                hook = arch.site(site, layer)
                stack.callback(hook.register(partial(restore, (site, layer))).remove)
            logits_B_V = self._last(len(tokens))
        return logits_B_V.float().softmax(-1)[:, answer].cpu()

    def restored(
        self,
        site: str,
        clean: Mapping[tuple[str, int], Tensor],
        window: int,
        answer: int,
        progress: Callable[[int], None],
    ) -> Tensor:
        """``(T, L)``: the answer's probability with each token's states around each layer restored."""
        n_layers, n = self._model.arch.n_layers, self._noise.samples
        together = max(1, self._model.budget.tokens // (n * len(self._ids)))
        found = torch.zeros(len(self._ids), n_layers)
        for layer in range(n_layers):
            low = max(0, layer - window // 2)
            high = min(n_layers, layer - window // 2 + window)
            places = [(site, at) for at in range(low, high)]
            for first in range(0, len(self._ids), together):
                mine = range(first, min(first + together, len(self._ids)))
                rows = [token for token in mine for _ in range(n)]
                chances = self.noisy(rows, clean, places, answer)
                found[list(mine), layer] = chances.reshape(len(mine), n).mean(1)
                progress(len(rows))
        return found
