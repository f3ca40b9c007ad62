"""The one place that turns text into ids: prompts, continuations, subjects, BOS, chat turns.

Ids are joined, never strings: one joint tokenisation of prompt and continuation decides the
continuation's ids. Where a merge crosses the boundary, the span starts at the first token that the
prompt alone does not have, because that is the first token the continuation decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from truing.errors import BadInput, BadRequest, NotPossible
from truing.types import Chat, Prompt


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
    """Text to ids and back for one tokenizer."""

    def __init__(self, tok: Any) -> None:
        self.tok = tok
        self.bos_id: int | None = tok.bos_token_id
        self.adds_bos = self.bos_id is not None and self._ids("a")[:1] == [self.bos_id]
        self.has_offsets = bool(getattr(tok, "is_fast", False))
        self.has_chat = bool(getattr(tok, "chat_template", None))

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """Ids of a prompt, with the BOS that the tokenizer adds, exactly once.

        A chat prompt goes through the tokenizer's own template, up to where the assistant speaks.
        Raises ``NotPossible`` for a chat without a template and ``BadInput`` for a prompt that is
        no tokens at all.
        """
        ids = self._ids(self.text(prompt)) if isinstance(prompt, str) else self._chat_ids(prompt)
        if not ids:
            raise BadInput("the prompt is empty for this tokenizer", "Give some text to start from.")
        return ids

    def text(self, prompt: Prompt) -> str:
        """A prompt as one string, before tokenisation."""
        if isinstance(prompt, str):
            return prompt
        if not self.has_chat:
            raise NotPossible(
                f"the tokenizer ({type(self.tok).__name__}) has no chat template",
                "Use a protocol with string prompts, or a chat model.",
            )
        turns = [{"role": m.role, "content": m.content} for m in prompt]
        return str(self.tok.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def join(self, prompt: Prompt, continuation: str) -> Span:
        """Prompt and continuation as ids.

        Exactly one space stands between a string prompt and its continuation, unless the prompt
        ends in whitespace; after a chat template nothing is put between. Raises ``BadInput`` when
        the continuation is no tokens.
        """
        if isinstance(prompt, str):
            before = self.prompt_ids(prompt)
            joint = self._ids(prompt + spaced(prompt, continuation))
        else:
            before = self._chat_ids(prompt)
            joint = self._with_bos_once(self._ids(self.text(prompt) + continuation.lstrip()))
        start = _common(before, joint)
        if start == len(joint) or not continuation.strip():
            raise BadInput(
                f"the continuation {continuation!r} adds no tokens after the prompt",
                "Give a text that is not empty.",
            )
        if start == 0:
            raise BadInput(
                f"the first token of {prompt!r} already reaches into the continuation",
                "Give a longer prompt, or a tokenizer that adds a BOS.",
            )
        return Span(tuple(joint), start)

    def subject_last(self, text: str, subject: str, *, before: str = "") -> int:
        """Index of the token that covers the last character of ``subject`` in ``before + text``.

        ``subject`` must be in ``text`` exactly once; ``before`` is a context put in front. The
        index counts special tokens in front (BOS). Raises ``BadRequest``.
        """
        found = occurrences(text, subject)
        if len(found) != 1:
            how = "is not" if not found else f"is {len(found)} times"
            raise BadRequest(
                f"subject {subject!r} {how} in {_short(text)!r}",
                "Methods that locate the subject need it exactly once.",
            )
        last = len(before) + found[0] + len(subject) - 1
        return self.token_at(before + text, last)

    def token_at(self, text: str, character: int) -> int:
        """Index of the token that covers ``text[character]``, special tokens counted.

        Without offsets (slow tokenizers) it is the last token of ``text[: character + 1]``
        tokenised alone, which differs where a merge crosses that boundary.
        """
        if not self.has_offsets:
            return len(self._ids(text[: character + 1])) - 1
        offsets = self.tok(text, return_offsets_mapping=True)["offset_mapping"]
        covering = [i for i, (a, b) in enumerate(offsets) if a <= character < b]
        if not covering:  # a normaliser dropped the character: the nearest token before it
            covering = [i for i, (a, b) in enumerate(offsets) if a < b <= character]
        if not covering:
            raise BadRequest(
                f"no token covers character {character} of {_short(text)!r}",
                "The tokenizer drops it; write the subject differently.",
            )
        return covering[-1]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids without special tokens."""
        return str(self.tok.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def stop_ids(self, *configs: Any) -> frozenset[int]:
        """Every id that ends an answer: the tokenizer's EOS, those of ``configs`` (model and
        generation configs), and the token with which the chat template ends a turn."""
        found: set[int] = set()
        for source in (self.tok, *configs):
            value = getattr(source, "eos_token_id", None)
            found |= {value} if isinstance(value, int) else set(value or ())
        end = self._turn_end()
        return frozenset(found if end is None else found | {end})

    def _turn_end(self) -> int | None:
        """The special token right after an assistant's words in the chat template."""
        if not self.has_chat:
            return None
        mark = "truingword"
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": mark}]
        try:
            text = str(self.tok.apply_chat_template(turns, tokenize=False))
        except Exception:  # templates are programs; one that fails here names no turn end
            return None
        tail = text.rpartition(mark)[2]
        ids = self.tok(tail, add_special_tokens=False)["input_ids"] if tail else []
        special = set(self.tok.all_special_ids) | set(self.tok.added_tokens_decoder)
        first = next((i for i in ids if self.tok.decode([i]).strip()), None)
        return first if first in special else None

    def _chat_ids(self, prompt: Chat) -> list[int]:
        return self._with_bos_once(self._ids(self.text(prompt)))

    def _with_bos_once(self, ids: list[int]) -> list[int]:
        """Templates often write the BOS that the tokenizer adds as well."""
        while len(ids) > 1 and ids[0] == ids[1] == self.bos_id:
            ids = ids[1:]
        return ids

    def _ids(self, text: str) -> list[int]:
        return list(self.tok(text)["input_ids"]) if not self._ends() else self._unended(text)

    def _ends(self) -> bool:
        """Whether the tokenizer puts an EOS behind every text."""
        cached: bool | None = self.__dict__.get("_adds_eos")
        if cached is None:
            ids = self.tok("a")["input_ids"]
            cached = len(ids) > 1 and ids[-1] == self.tok.eos_token_id
            self.__dict__["_adds_eos"] = cached
        return cached

    def _unended(self, text: str) -> list[int]:
        ids = list(self.tok(text)["input_ids"])
        return ids[:-1] if ids and ids[-1] == self.tok.eos_token_id else ids


def spaced(prompt: str, continuation: str) -> str:
    """The continuation with exactly one space in front iff ``prompt`` does not end in whitespace."""
    text = continuation.lstrip()
    return text if not prompt or prompt[-1].isspace() else " " + text


def occurrences(text: str, subject: str) -> list[int]:
    """Start of every occurrence, overlapping ones too."""
    found: list[int] = []
    at = text.find(subject) if subject else -1
    while at >= 0:
        found.append(at)
        at = text.find(subject, at + 1)
    return found


def _common(before: Sequence[int], joint: Sequence[int]) -> int:
    n = 0
    for a, b in zip(before, joint, strict=False):
        if a != b:
            break
        n += 1
    return n


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
