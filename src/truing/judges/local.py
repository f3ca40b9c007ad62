"""``local:MODEL``: a model on this machine as a judge. The judged model may be its own judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from truing.errors import NotPossible
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.chat import has_template, render
from truing.servers.reply import Reply
from truing.types import Chat, Message, Prompt

if TYPE_CHECKING:
    from truing.models.handle import Model

VERSION = "local-1"
DECODING = Decoding(max_new_tokens=16, stop=("\n",))
AT_ONCE = 32
"""Chats that are asked together."""


class LocalSpeaker:
    """A :class:`truing.judges.base.Speaker` over a model, which ``load`` gives when first asked.

    Each reply holds the greedy text and the log-probability of every label, all of its tokens
    summed, as the continuation of the chat. Without a chat template the chat becomes a transcript.
    """

    def __init__(self, name: str, load: Callable[[], Model]) -> None:
        self.name = f"local:{name}"
        self._load = load

    @cached_property
    def model(self) -> Model:
        return self._load()

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        model = self.model
        return {
            "speaker": VERSION,
            "weights": model.fingerprint,
            "tokenizer": model.tokenizer_fingerprint,
            "template": getattr(model.tok, "chat_template", None),
            "max_new_tokens": DECODING.max_new_tokens,
        }

    def replies(self, chats: Sequence[Chat], labels: Sequence[str]) -> Iterator[tuple[int, Reply]]:
        """As :class:`truing.judges.base.Speaker`. A chat that is too long gets an error."""
        prompts = [self._prompt(chat) for chat in chats]
        able: list[int] = []
        for i, prompt in enumerate(prompts):
            trouble = self.model.fits(GenerateAsk(prompt, DECODING))
            if trouble is None:
                able.append(i)
            else:
                yield i, Reply(None, error=trouble)
        for at in range(0, len(able), AT_ONCE):
            portion = able[at : at + AT_ONCE]
            yield from zip(portion, self._some([prompts[i] for i in portion], labels), strict=True)

    def _some(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[Reply]:
        with self.model.uncached() as model:
            said = model.generate([GenerateAsk(prompt, DECODING) for prompt in prompts])
            scored = model.score([ScoreAsk(p, label) for p in prompts for label in labels])
        width = len(labels)
        return [
            Reply(
                told.text.strip(),
                tuple(s.logprob for s in scored[i * width : (i + 1) * width]) or None,
                tokens_in=len(self.model.speller.prompt_ids(prompt)),
                tokens_out=len(told.token_ids),
            )
            for i, (prompt, told) in enumerate(zip(prompts, said, strict=True))
        ]

    def _prompt(self, chat: Chat) -> Prompt:
        if not has_template(self.model.tok):
            return transcript(chat)
        return chat if self._takes_system else without_system(chat)

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the chat template has a place for a system message."""
        try:
            render(self.model.tok, (Message("system", "a"), Message("user", "b")))
        except NotPossible:
            return False
        return True


def without_system(chat: Chat) -> Chat:
    """The system text at the head of the user's."""
    system = [message.content for message in chat if message.role == "system"]
    first, *rest = (message for message in chat if message.role != "system")
    return (Message(first.role, "\n\n".join([*system, first.content])), *rest)


def transcript(chat: Chat) -> str:
    """A chat as plain text, up to where the judge speaks."""
    return "\n\n".join([*(message.content for message in chat), "Reply:"])
