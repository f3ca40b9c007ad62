"""Prompts of the published capability test, as chats.

Huang et al. 2025 (Model Editing as a Double-Edged Sword, arXiv 2506.20606) ask with a system prompt and
a user turn. Only their wording is kept: not their token limits (which cut answers off), nor their
scoring (which finds a label inside other words).
"""

from __future__ import annotations

from truing.types import Chat, Message

PAPER = "Huang et al. 2025, Model Editing as a Double-Edged Sword, arXiv 2506.20606"
TRUE_OR_FALSE = "Answer the given question. Your answer should be exactly 'True' or 'False'."
CONCISELY = "Answer the question concisely."
IN_NUMERALS = "Answer in arabic numerals, without repeating the question."


def published(system: str, user: str) -> Chat:
    """A system prompt and one user turn."""
    return (Message("system", system), Message("user", user))
