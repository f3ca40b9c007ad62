"""The one place that turns text into ids: prompts, continuations, subjects, BOS, chat turns.

Ids are joined, never strings: one tokenisation of prompt and continuation together decides the
continuation's ids. Usually the prompt's own ids are a prefix of the joint ids, and the span starts
where they end. Where a merge crosses the boundary (a prompt that ends in a space: ``"of "`` and
``"Paris"`` become ``of``, ``_Paris``), it starts at the first token that differs, because that is
the first token that the continuation has a part in: the one that is scored and trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from truing.errors import BadInput, BadRequest, TruingWarning
from truing.models import chat
from truing.types import Prompt

REMEMBERED = 16384
"""Texts whose ids a speller remembers: the same questions are asked again and again."""


@dataclass(frozen=True, slots=True)
class Span:
    """Token ids of prompt and continuation; the continuation starts at index ``start``."""

    ids: tuple[int, ...]
    start: int

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.ids[: self.start]

    @property
    def continuation(self) -> tuple[int, ...]:
        return self.ids[self.start :]


class Speller:
    """Text to ids and back for one tokenizer.

    ``opening`` are the ids that the tokenizer puts in front of every text (a BOS, or nothing).
    An EOS that some tokenizers put behind every text is left out: the text goes on.
    """

    def __init__(self, tok: Any) -> None:
        self.tok = tok
        self.bos_id: int | None = tok.bos_token_id
        self.opening = _opening(tok)
        self.has_offsets = bool(getattr(tok, "is_fast", False))
        self._body = lru_cache(maxsize=REMEMBERED)(self._tokenise)

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts a BOS in front of every text."""
        return self.bos_id is not None and self.bos_id in self.opening

    @property
    def has_chat(self) -> bool:
        """Whether chat prompts are possible."""
        return chat.has_template(self.tok)

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Ids of a prompt, with the BOS that the tokenizer adds, exactly once (a chat template
        or the text itself may have written it already).

        Raises ``NotPossible`` for a chat that the tokenizer has no template for and ``BadInput``
        for a prompt that is no tokens at all.
        """
        return self._prompt_ids(self.text(prompt))

    def text(self, prompt: Prompt) -> str:
        """A prompt as one string, before tokenisation. A chat goes through the template, up to
        where the assistant speaks."""
        return prompt if isinstance(prompt, str) else chat.render(self.tok, prompt)

    def join(self, prompt: Prompt, continuation: str) -> Span:
        """Prompt and continuation as ids.

        Exactly one space stands between text and continuation, unless the text ends in
        whitespace; in a chat there is what the template puts before the assistant's words.
        Raises ``BadInput`` when the continuation is no tokens.
        """
        text = self.text(prompt)
        if isinstance(prompt, str) or prompt[-1].role == "assistant":
            rest = spaced(text, continuation)
        else:
            rest = chat.gap(self.tok, prompt) + continuation.lstrip()
        before, joint = self._prompt_ids(text), self._ids(text + rest)
        start = _common(before, joint)
        if start == len(joint) or not continuation.strip():
            raise BadInput(
                f"the continuation {continuation!r} adds no tokens after the prompt",
                "Give a text that is not empty.",
            )
        return Span(tuple(joint), start)

    def subject_last(self, text: str, subject: str, *, before: str = "") -> int:
        """Index of the token that covers the last character of ``subject`` in ``before + text``.

        ``subject`` must be in ``text`` exactly once; ``before`` is a context put in front. The
        index counts the special tokens in front (BOS). Raises ``BadRequest``.
        """
        found = occurrences(text, subject)
        if len(found) != 1:
            how = "is not" if not found else f"is {len(found)} times"
            raise BadRequest(
                f"subject {subject!r} {how} in {_short(text)!r}",
                "Methods that locate the subject need it exactly once.",
            )
        last = found[0] + len(subject.rstrip() or subject) - 1
        return self.token_at(before + text, len(before) + last)

    def token_at(self, text: str, character: int) -> int:
        """Index of the last token that covers ``text[character]``, special tokens counted.

        A character may be several tokens (bytes), and a token several characters (``isian`` of
        ``Parisian`` covers the last character of ``Paris``).
        """
        if not self.has_offsets:
            return self._token_at(text, character)
        found = self.tok(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = found["offset_mapping"]
        covering = [i for i, (a, b) in enumerate(offsets) if a <= character < b]
        if not covering:  # a normaliser dropped the character: the nearest token before it
            covering = [i for i, (a, b) in enumerate(offsets) if a < b <= character]
        if not covering:
            raise BadRequest(
                f"no token covers character {character} of {_short(text)!r}",
                "The tokenizer drops it; write the subject differently.",
            )
        return covering[-1] + len(self._front(found["input_ids"]))

    def _token_at(self, text: str, character: int) -> int:
        """Without offsets: the last token of the text up to there, if the whole text agrees."""
        part, whole = self._ids(text[: character + 1]), self._ids(text)
        at = _common(part, whole)
        if at == len(part):
            return at - 1
        warnings.warn(
            f"{type(self.tok).__name__} gives no offsets, and a token of {_short(text)!r} reaches "
            f"beyond {_short(text[: character + 1])!r}: its place is worked out from the text",
            TruingWarning,
            stacklevel=3,
        )
        length = len(self.decode(part))
        return next(
            (n for n in range(at, len(whole)) if len(self.decode(whole[: n + 1])) >= length), at
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids without special tokens."""
        return str(
            self.tok.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def stop_ids(self, *configs: Any) -> frozenset[int]:
        """Every id that ends an answer: the tokenizer's EOS, those of ``configs`` (model and
        generation configs), and the token with which the chat template ends a turn."""
        found: set[int] = set()
        for source in (self.tok, *configs):
            text = source.get_text_config() if hasattr(source, "get_text_config") else source
            for each in (source, text):
                value = getattr(each, "eos_token_id", None)
                found |= {value} if isinstance(value, int) else set(value or ())
        end = chat.turn_end(self.tok)
        return frozenset(found if end is None else found | {end})

    def _prompt_ids(self, text: str) -> list[int]:
        ids = self._ids(text)
        if not ids:
            raise BadInput(
                "the prompt is empty for this tokenizer", "Give some text to start from."
            )
        return ids

    def _ids(self, text: str) -> list[int]:
        body = self._body(text)
        return [*self._front(body), *body]

    def _tokenise(self, text: str) -> tuple[int, ...]:
        return tuple(self.tok(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _front(self, body: Sequence[int]) -> tuple[int, ...]:
        """What is to be put in front of ``body``: nothing, where it begins with it already."""
        done = self.opening == tuple(body[: len(self.opening)])
        return () if done else self.opening


def _opening(tok: Any) -> tuple[int, ...]:
    bare = list(tok("a", add_special_tokens=False)["input_ids"])
    full = list(tok("a")["input_ids"])
    for at in range(len(full) - len(bare) + 1):
        if full[at : at + len(bare)] == bare:
            return tuple(full[:at])
    return ()


def spaced(prompt: str, continuation: str) -> str:
    """The continuation with exactly one space in front iff ``prompt`` does not end in whitespace."""
    text = continuation.lstrip()
    return text if not prompt or prompt[-1].isspace() else " " + text


def occurrences(text: str, subject: str) -> list[int]:
    """Start of every occurrence, overlapping ones too."""
    if not subject:
        return []
    return [at for at in range(len(text)) if text.startswith(subject, at)]


def _common(before: Iterable[int], joint: Iterable[int]) -> int:
    """How many first elements are equal."""
    n = 0
    for a, b in zip(before, joint, strict=False):
        if a != b:
            break
        n += 1
    return n


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
