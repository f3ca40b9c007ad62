"""A model that answers from a script: for tests and demonstrations without weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from truing.errors import NotPossible
from truing.models.asks import Change, GenerateAsk, Generated, ScoreAsk, Scored
from truing.types import Prompt

Say = Callable[[str, str | None], str]
"""What to answer: (prompt as text, id of the change or None) -> answer."""

LIKELY = -0.1
UNLIKELY = -5.0


class Scripted:
    """The verbs of :class:`truing.models.handle.Model`, answered by ``say``.

    Tokens are words. Teacher-forced, a token of the continuation is likely where the scripted
    answer has the same word at the same place, and the scripted word is what is predicted.
    """

    name = "scripted"
    revision: str | None = None
    fingerprint = "scripted"
    tokenizer_fingerprint = "scripted-words"

    def __init__(self, say: Say | Mapping[str, str], max_words: int = 1000) -> None:
        self._say: Say = (lambda p, _: say.get(p, "")) if isinstance(say, Mapping) else say
        self._max_words = max_words
        self._words: dict[str, int] = {}
        self._changes: list[Change] = []
        self.asked: list[ScoreAsk | GenerateAsk] = []

    def score(
        self, asks: Sequence[ScoreAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Scored]:
        """Teacher-forced results over the words of each continuation."""
        self.asked += asks
        results = []
        for ask in asks:
            told = self._ids(ask.continuation)
            said = self._ids(self._answer(ask.prompt, ask.under))
            said += [0] * (len(told) - len(said))
            logprobs = tuple(
                LIKELY if a == b else UNLIKELY for a, b in zip(told, said, strict=False)
            )
            results.append(Scored(tuple(told), logprobs, tuple(said[: len(told)])))
        if progress is not None and asks:
            progress(len(asks))
        return results

    def generate(
        self, asks: Sequence[GenerateAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Generated]:
        """The scripted answers, cut at stop strings and at ``max_new_tokens`` words."""
        self.asked += asks
        results = []
        for ask in asks:
            text, stop = self._answer(ask.prompt, ask.under), "eos"
            start = len(text) - len(text.lstrip()) if ask.decoding.arm else 0
            cuts = [at for at in (text.find(s, start) for s in ask.decoding.stop if s) if at >= 0]
            if cuts:
                text, stop = text[: min(cuts)], "stop"
            words = text.split()
            if len(words) > ask.decoding.max_new_tokens:
                text, stop = " ".join(words[: ask.decoding.max_new_tokens]), "length"
            ids = tuple(self._ids(text))
            results.append(Generated(text, ids, (LIKELY,) * len(ids), stop))
        if progress is not None and asks:
            progress(len(asks))
        return results

    def hidden(
        self, prompts: Sequence[Prompt], site: str, layer: int, positions: str = "last"
    ) -> list[object]:
        raise NotPossible(
            "a scripted model has no activations", "It has score, generate and using."
        )

    def fits(self, ask: ScoreAsk | GenerateAsk) -> str | None:
        """Why ``ask`` cannot be answered, or ``None``."""
        words = len(self.render(ask.prompt, ask.under).split())
        if words > self._max_words:
            return f"the question has {words} words; the scripted model reads {self._max_words}"
        return None

    def render(self, prompt: Prompt, under: Change | None = None) -> str:
        """The prompt as text; a chat's turns one under the other."""
        asked = prompt
        for change in (under, *reversed(self._changes)):
            prompt = prompt if change is None else change.for_prompt(asked).rewrite(prompt)
        return prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)

    @contextmanager
    def using(self, change: Change) -> Iterator[Scripted]:
        """Inside the block questions without a change of their own are asked under ``change``."""
        self._changes.append(change)
        try:
            yield self
        finally:
            self._changes.pop()

    @contextmanager
    def uncached(self) -> Iterator[Scripted]:
        """A scripted model has no cache; here for the same verbs."""
        yield self

    def _answer(self, prompt: Prompt, under: Change | None) -> str:
        change = under if under is not None else (self._changes[-1] if self._changes else None)
        change = None if change is None else change.for_prompt(prompt)
        return self._say(self.render(prompt, under), None if change is None else change.id)

    def _ids(self, text: str) -> list[int]:
        return [self._words.setdefault(word, len(self._words) + 1) for word in text.split()]
