"""Chat templates: conversations as the text that a model was trained on."""

from __future__ import annotations

from typing import Any

from truing.errors import BadInput, NotPossible
from truing.types import Chat

_MARK = "truingword"


def has_template(tok: Any) -> bool:
    """Whether the tokenizer brings a chat template."""
    return bool(getattr(tok, "chat_template", None))


def render(tok: Any, chat: Chat) -> str:
    """``chat`` up to where the assistant speaks, as text; special tokens are written out.

    A conversation that ends in the assistant's words is left open there, so that the model goes
    on with them. Raises ``NotPossible`` where there is no template or it refuses the conversation.
    """
    if not chat:
        raise BadInput("the conversation has no messages", "Give at least one user message.")
    if not has_template(tok):
        raise NotPossible(
            f"the tokenizer ({type(tok).__name__}) has no chat template",
            "Use a protocol with string prompts, or a chat model.",
        )
    turns = [{"role": message.role, "content": message.content} for message in chat]
    open_ended = chat[-1].role == "assistant"
    try:
        text = tok.apply_chat_template(
            turns,
            tokenize=False,
            add_generation_prompt=not open_ended,
            continue_final_message=open_ended,
        )
    except Exception as error:  # templates are programs of the model's makers
        why = (" ".join(str(error).split()) or type(error).__name__)[:200]
        roles = ", ".join(message.role for message in chat)
        raise NotPossible(
            f"the chat template refuses this conversation ({roles}): {why}",
            "Put the system text into the user message, or let the turns alternate.",
        ) from None
    return str(text)


def gap(tok: Any, chat: Chat) -> str:
    """The whitespace that the template writes between its opening of the assistant's turn and the
    assistant's words (often none)."""
    if chat[-1].role == "assistant":
        return ""
    before = render(tok, chat)
    turns = [{"role": m.role, "content": m.content} for m in chat]
    try:
        said = tok.apply_chat_template(
            [*turns, {"role": "assistant", "content": _MARK}], tokenize=False
        )
    except Exception:  # a template that cannot show answers names no gap
        return ""
    after = str(said).removeprefix(before)
    between = after.partition(_MARK)[0]
    return between if len(after) < len(said) and between.isspace() else ""


def turn_end(tok: Any) -> int | None:
    """The special token with which the template ends the assistant's turn."""
    if not has_template(tok):
        return None
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _MARK}]
    try:
        text = str(tok.apply_chat_template(turns, tokenize=False))
    except Exception:  # a template that cannot show answers names no end
        return None
    tail = text.rpartition(_MARK)[2]
    ids = tok(tail, add_special_tokens=False)["input_ids"] if tail else []
    special = {*tok.all_special_ids, *getattr(tok, "added_tokens_decoder", ())}
    first = next((i for i in ids if tok.decode([i]).strip()), None)
    return first if first in special else None
