"""What to ask a model for one probe under one protocol. Pure data; the runner does the asking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from truing.errors import BadInput
from truing.protocols.protocol import KL, LIKELIHOOD_SCORERS, Protocol
from truing.protocols.stopping import TRUNCATIONS, Truncation, answer_text
from truing.protocols.templates import TEMPLATES
from truing.types import Probe, Prompt

EDIT_SUCCESS = "preference/es"
FLUENCY_TOKENS = 100
FLUENCY_TOP_K = 5


@dataclass(frozen=True, slots=True)
class Question:
    """One question, ready to be turned into asks.

    ``kind`` ``score``: read the likelihood and the argmax over ``continuation`` (no leading
    space), and the likelihood of each of ``choices`` after the same prompt.
    ``kind`` ``compare``: what is expected at each token of ``continuation``, beside the base model.
    ``kind`` ``generate``: greedy (``top_k`` 0) or seeded sampling from the ``top_k`` likeliest
    tokens, at most ``max_new_tokens``; where that is ``None``, exactly as many as ``gold`` has when
    it is joined to ``prompt``. ``stop`` and ``arm`` are those of
    :class:`truing.models.asks.Decoding`.

    With a gold length, forced or free, the response holds the gold ids in ``token_ids`` and the
    model's own in ``predicted`` (shorter where it stopped early); otherwise ``token_ids`` is what
    was generated.
    """

    prompt: Prompt
    kind: Literal["score", "compare", "generate"]
    continuation: str | None = None
    choices: tuple[str, ...] = ()
    gold: str | None = None
    max_new_tokens: int | None = None
    stop: tuple[str, ...] = ()
    arm: bool = True
    top_k: int = 0


def applies(protocol: Protocol, probe: Probe) -> bool:
    """Whether ``protocol`` can measure ``probe`` at all.

    Fluency and the later turns of a conversation need a free answer. The likelihood scorers need
    two choices, or a probe that is compared with the base model. The scorer ``kl`` and probes of the
    aspect ``drawdown`` are for each other alone, and edit success is a comparison of likelihoods.
    Everything else can always be asked.
    """
    if (protocol.scorer == KL) is not is_drawdown(probe.aspect):
        return False
    if probe.aspect == EDIT_SUCCESS:
        return protocol.scorer in LIKELIHOOD_SCORERS
    if is_fluency(probe.aspect) or probe.follows is not None:
        return not protocol.forced and protocol.truncation != "gold-length"
    if protocol.scorer in LIKELIHOOD_SCORERS:
        return len(probe.choices) >= 2 or not probe.accepted
    return True


def is_fluency(aspect: str) -> bool:
    return aspect.partition("/")[0] == "fluency"


def is_drawdown(aspect: str) -> bool:
    return aspect.partition("/")[0] == "drawdown"


def needs_base_text(protocol: Protocol, probe: Probe) -> bool:
    """Whether the base model must answer freely first, to give the text that sets the gold."""
    return (
        protocol.truncation == "gold-length"
        and not is_fluency(probe.aspect)
        and _own_gold(protocol, probe) is None
    )


def base_ask_for(protocol: Protocol, probe: Probe) -> Question:
    """The free question whose answer by the base model is the ``base_text`` of :func:`ask_for`."""
    return _free(TEMPLATES[protocol.template].apply(probe.prompt), TRUNCATIONS["natural"])


def ask_for(protocol: Protocol, probe: Probe, base_text: str | None = None) -> Question:
    """The question for ``probe``. ``base_text`` is the base model's free answer, as generated.

    The gold of a gold-length question is ``probe.reference``, else the first accepted answer, else
    the first choice (likelihood scorers), else the first sentence of ``base_text``. Raises
    ``BadInput`` when the protocol cannot measure this probe or there is no gold.
    """
    if not applies(protocol, probe):
        raise BadInput(
            f"probe {probe.id} ({probe.aspect}) cannot be asked under {protocol.id}",
            "Fluency needs a free protocol such as wild, likelihood two choices, drawdown the protocol drawdown.",
        )
    prompt = TEMPLATES[protocol.template].apply(probe.prompt)
    if is_fluency(probe.aspect):
        return Question(prompt, "generate", max_new_tokens=FLUENCY_TOKENS, top_k=FLUENCY_TOP_K)
    rule = TRUNCATIONS[protocol.truncation]
    if rule.max_new_tokens is not None:
        return _free(prompt, rule)
    gold = _own_gold(protocol, probe)
    if gold is None:
        gold = answer_text(base_text or "", "natural")
    if not gold:
        raise BadInput(
            f"probe {probe.id} ({probe.aspect}) has no gold text: "
            + (
                "the base model's answer is empty"
                if base_text is not None
                else "nothing is accepted"
            ),
            "Give the probe a reference or an accepted answer, or ask it under a free protocol.",
        )
    if not protocol.forced:
        return Question(prompt, "generate", gold=gold)
    if protocol.scorer == KL:
        return Question(prompt, "compare", continuation=gold)
    choices = probe.choices if protocol.scorer in LIKELIHOOD_SCORERS else ()
    return Question(prompt, "score", continuation=gold, choices=choices)


def next_ask_for(protocol: Protocol, probe: Probe, before: Question, answer: str) -> Question:
    """The question for a probe that follows ``before``, to which the model said ``answer``.

    Raises ``BadInput`` for a template that knows one turn only."""
    prompt = TEMPLATES[protocol.template].after(before.prompt, answer, shown(probe.prompt))
    return replace(ask_for(protocol, probe), prompt=prompt)


def shown(prompt: Prompt) -> str:
    """A prompt as a judge is shown it: of a chat, what was said, each turn after who said it."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in prompt)


def _free(prompt: Prompt, rule: Truncation) -> Question:
    return Question(
        prompt, "generate", max_new_tokens=rule.max_new_tokens, stop=rule.stop, arm=rule.arm
    )


def _own_gold(protocol: Protocol, probe: Probe) -> str | None:
    if probe.reference is not None:
        return probe.reference
    if probe.accepted:
        return probe.accepted[0]
    if protocol.scorer in LIKELIHOOD_SCORERS and probe.choices:
        return probe.choices[0]
    return None
