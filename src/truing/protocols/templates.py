"""The template axis: how a probe's prompt is dressed before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from truing.errors import BadInput, UnknownName
from truing.types import Chat, Message, Prompt

LLAMA2_SYSTEM = "You are a helpful, respectful and honest assistant."


@dataclass(frozen=True, slots=True)
class Template:
    """One way of dressing a prompt.

    ``text`` makes a prompt from the question's text. ``next`` is what stands after an answer when a
    conversation in plain text goes on. ``dress_chat`` says what happens to a prompt that already is a
    chat: ``keep`` sends it as it is, ``last-user`` dresses its last user turn, ``refuse`` raises
    ``BadInput``.
    """

    name: str
    summary: str
    text: Callable[[str], Prompt]
    next: Callable[[str], str] | None = None
    dress_chat: str = "keep"

    def apply(self, prompt: Prompt) -> Prompt:
        """The prompt as the model shall get it. Never reads braces or other markup in it."""
        if isinstance(prompt, str):
            return self.text(prompt)
        if self.dress_chat == "keep":
            return prompt
        if self.dress_chat == "refuse":
            raise BadInput(
                f"template '{self.name}' takes plain text, and this prompt is a chat",
                "Use template=chat, which sends the chat through the tokenizer's own template.",
            )
        return self._dress_last_user(prompt)

    def after(self, prompt: Prompt, answer: str, text: str) -> Prompt:
        """The conversation of ``prompt``, the model's ``answer``, and ``text`` as the next turn.

        Raises ``BadInput`` where plain text has no way to go on."""
        if not isinstance(prompt, str):
            return (*prompt, Message("assistant", answer), Message("user", text))
        if self.next is None:
            raise BadInput(
                f"template '{self.name}' has one turn, and this probe goes on with a conversation",
                "Use template=chat, bare or qa-instruction.",
            )
        return f"{prompt.rstrip()} {answer}{self.next(text)}"

    def _dress_last_user(self, chat: Chat) -> Chat:
        turns = [i for i, message in enumerate(chat) if message.role == "user"]
        if not turns:
            raise BadInput("a chat prompt has no user turn", "Add one: it holds the question.")
        at = turns[-1]
        dressed = self.text(chat[at].content)
        assert isinstance(dressed, str)
        return (*chat[:at], Message("user", dressed), *chat[at + 1 :])


def _bare(text: str) -> Prompt:
    return text


def _qa(text: str) -> Prompt:
    return f"Please answer the question:\n\nQ: {text}\nA:"


def _next_line(text: str) -> str:
    return f"\n{text}"


def _next_qa(text: str) -> str:
    return f"\nQ: {text}\nA:"


def _chat(text: str) -> Prompt:
    return (Message("user", text),)


def _llama2(text: str) -> Prompt:
    return f"<s>[INST] <<SYS>>\n{LLAMA2_SYSTEM}\n<</SYS>>\n\n{text} [/INST]</s>"


TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        t.name: t
        for t in (
            Template("bare", "the prompt unchanged", _bare, _next_line),
            Template(
                "qa-instruction",
                "an instruction, 'Q:', the prompt, 'A:' (Yang et al. 2025)",
                _qa,
                _next_qa,
                "last-user",
            ),
            Template("chat", "one user turn in the tokenizer's own chat template", _chat),
            Template(
                "llama2",
                "hand-written Llama-2 markup with its trailing </s>, as published, for comparison",
                _llama2,
                dress_chat="refuse",
            ),
        )
    }
)
ALIASES: Mapping[str, str] = MappingProxyType({"question": "bare"})
"""Other names of the same thing. The published "question only" sends the prompt unchanged, which
is what ``bare`` does; one measurement has one id, so the alias never reaches an id."""


def canonical(name: str) -> str:
    """The template's one name. Raises ``UnknownName``."""
    name = ALIASES.get(name, name)
    if name not in TEMPLATES:
        raise UnknownName("template", name, [*TEMPLATES, *ALIASES])
    return name
