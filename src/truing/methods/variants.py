"""Declared variants of any method: what it trains on (under which template, and whether the answer
ends), how much side effect its result may have, and whether the edit is undone by another edit.

Published methods train on the bare statement and say nothing about what follows the target. A model
is asked under a template and should stop after its answer; these two settings of every method that
acts on weights or activations make the request say so. They stand in the origin like any setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from truing.errors import BadInput, BadRequest, NotPossible
from truing.methods.method import CHAT, SLOT, Method, MethodConfig, refuse_without_weights
from truing.models import chat
from truing.models.asks import Decoding, GenerateAsk
from truing.types import EditRequest, Message

if TYPE_CHECKING:
    from truing.interventions.intervention import Intervention
    from truing.models.handle import Model


def make(
    method: Method,
    model: Model,
    requests: Sequence[EditRequest],
    config: Any,
    so_far: Intervention | None = None,
) -> Intervention:
    """``method.make`` on the requests in the wording, and within the budget, that ``config`` asks
    for."""
    if not model.has_weights:
        refuse_without_weights(method, model.name)
    _check_budget(method, config, so_far)
    _check_repair(method, config)
    made = method.make(model, worded(method, model, requests, config), config, so_far)
    return _budgeted(model, _repaired(method, model, requests, config, made), config)


def make_each(
    method: Method, model: Model, groups: Sequence[Sequence[EditRequest]], config: Any
) -> list[Intervention]:
    """``method.each`` likewise; the method must offer it."""
    assert method.each is not None
    if not model.has_weights:
        refuse_without_weights(method, model.name)
    _check_budget(method, config, None)
    _check_repair(method, config)
    made = method.each(model, [worded(method, model, g, config) for g in groups], config)
    return [
        _budgeted(model, _repaired(method, model, group, config, each), config)
        for group, each in zip(groups, made, strict=True)
    ]


def _check_repair(method: Method, config: MethodConfig) -> None:
    """Raise ``NotPossible`` where an edit cannot be edited back."""
    if config.repair is None:
        return
    if not method.sequential or method.acts_on == "nothing":
        raise NotPossible(
            f"{method.name} cannot build on an earlier edit, so it cannot edit back",
            "Leave repair out, or use a method that edits in sequence.",
        )
    if config.max_kl is not None:
        raise NotPossible(
            "repair makes a second edit and max_kl scales both as one", "Give one of the two."
        )


def _repaired(
    method: Method,
    model: Model,
    requests: Sequence[EditRequest],
    config: MethodConfig,
    made: Intervention,
) -> Intervention:
    """``made`` with a second edit on top of it, back to where the requests started."""
    if config.repair is None:
        return made
    olds = [r.target_old for r in requests] if config.repair == "old" else _own(model, requests)
    back = [
        replace(r, target_new=_there(r, old), target_old=r.target_new)
        for r, old in zip(requests, olds, strict=True)
    ]
    return method.make(model, worded(method, model, back, config), config, made)


def _own(model: Model, requests: Sequence[EditRequest]) -> list[str]:
    """The first line that the base model answers to each prompt."""
    asks = [GenerateAsk(r.prompt, Decoding(stop=("\n",))) for r in requests]
    return [answer.text.strip() for answer in model.generate(asks)]


def _there(request: EditRequest, old: str | None) -> str:
    if not old:
        raise BadRequest(
            f"request {request.id} has nothing to go back to",
            "Give target_old, or repair='base' where the base model answers the prompt.",
        )
    return old


def _check_budget(method: Method, config: MethodConfig, so_far: Intervention | None) -> None:
    """Raise ``NotPossible`` where a budget of side effects cannot be kept by scaling."""
    if config.max_kl is None:
        return
    if method.acts_on in ("prompt", "nothing"):
        raise NotPossible(
            f"{method.name} puts text in front: there is no fraction of it",
            "Leave max_kl out, or use a method that changes weights or activations.",
        )
    if so_far is not None and so_far.parts:
        raise NotPossible(
            "max_kl scales an intervention as a whole, and earlier edits are in force",
            "Use it in a regime that restores the model, or in one batch.",
        )


def _budgeted(model: Model, made: Intervention, config: MethodConfig) -> Intervention:
    if config.max_kl is None:
        return made
    from truing.methods.steering.strength import scaled, within

    return within(model, partial(scaled, made), config.max_kl)[1]


def worded(
    method: Method, model: Model, requests: Sequence[EditRequest], config: MethodConfig
) -> list[EditRequest]:
    """The requests with their prompts in the template and the end of the answer in their targets.

    Raises ``BadInput`` for a template without a slot, ``NotPossible`` for a method that trains on
    nothing, a chat without a template, and a tokenizer without an end token.
    """
    if config.template is None and not config.append_eos:
        return list(requests)
    if method.acts_on in ("prompt", "nothing"):
        raise NotPossible(
            f"{method.name} trains on nothing: template and append_eos mean nothing to it",
            "Leave them out; how it is asked is the protocol's matter.",
        )
    end = _end(model, config.template) if config.append_eos else ""
    return [
        replace(
            r,
            prompt=_prompt(model, r.prompt, config.template),
            target_new=r.target_new + end,
            target_old=None if r.target_old is None else r.target_old + end,
        )
        for r in requests
    ]


def _prompt(model: Model, prompt: str, template: str | None) -> str:
    if template is None:
        return prompt
    if template == CHAT:
        turns = (Message("user", prompt),)
        return chat.render(model.tok, turns) + chat.gap(model.tok, turns)
    if SLOT not in template:
        raise BadInput(
            f"the template {template!r} has no place for the prompt", f"Write {SLOT} where it goes."
        )
    return template.replace(SLOT, prompt)


def _end(model: Model, template: str | None) -> str:
    """What ends an answer, as text: the turn's end in a chat, else the tokenizer's EOS."""
    turn = chat.turn_end(model.tok) if template == CHAT else None
    token = model.tok.eos_token if turn is None else model.tok.convert_ids_to_tokens(turn)
    if not token:
        raise NotPossible(
            f"the tokenizer of '{model.name}' has no token that ends an answer",
            "Leave append_eos out.",
        )
    return str(token)
