"""What somebody who was asked replied: a server, or a model on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """What a speaker said to one chat. ``text`` is ``None`` where there is no reply, and ``error``
    says why. ``label_logprobs``: natural-log probability of each of the labels that were asked for,
    in their order, as the whole reply's beginning (``None``: the speaker cannot tell).

    Of servers also: ``ended`` why it ended, as the server calls it (``stop``, ``length``),
    ``answered_by`` which model it says answered, with its fingerprint where it gives one, and
    ``left_out`` the settings that it refused and that were therefore not sent."""

    text: str | None
    label_logprobs: tuple[float, ...] | None = None
    error: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    ended: str | None = None
    answered_by: str | None = None
    left_out: tuple[str, ...] = ()
