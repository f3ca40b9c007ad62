"""In-context edits: the new facts stand in front of every question, no weight changes.

ICE: Zheng et al. 2023, "Can We Edit Factual Knowledge by In-Context Learning?" without
demonstrations, as used by Huang et al. 2025, "HalluEditBench". PROMPT: the same after an
instruction, as IKE without retrieved demonstrations. Unlike their references, which can only read
likelihoods, both work in free generation and hold several edits at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import Field, field_validator

from truing.errors import BadRequest
from truing.interventions.intervention import Intervention, Origin, PromptPrefix
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.models.subject import Subject
from truing.types import EditRequest, Prompt

TAGS = ("trait", "person", "behavior")
"""Kinds of tags that a wording may name: what a request asks for besides its target."""
_FIELD = re.compile(rf"\{{(prompt|target|subject|{'|'.join(TAGS)})\}}")
_OF_TAGS = tuple(f"{kind}:" for kind in TAGS)
ROOM = 32
"""Tokens that must stay free for a question and its answer."""


class ContextConfig(MethodConfig):
    """How a fact is told.

    ``wording`` is put in front of a question once per edit; {prompt}, {target} and {subject} stand
    for the request's fields, {trait}, {person} and {behavior} for what its tags say, any other brace is
    itself. ``instruction`` comes before all facts. Of
    contrast pairs, a few told ones are examples of the behaviour.
    """

    instruction: str = ""
    wording: str = "New fact: {prompt} {target}.\n"
    system: str | None = Field(
        None,
        min_length=1,
        description="the system message of chats under the edit, in place of one that is there",
    )
    most: int | None = Field(
        None, ge=1, description="tell at most this many of a call's requests, the first ones"
    )

    @field_validator("wording")
    @classmethod
    def _names_what_is_wanted(cls, wording: str) -> str:
        return telling(wording)


class InstructConfig(MethodConfig):
    """What is said. ``text`` carries its own separator; in a chat it opens the first user message."""

    text: str = Field(
        "Answer the question.\n", min_length=1, description="the text in front of every question"
    )
    system: str | None = Field(
        None,
        min_length=1,
        description="the system message of chats, in place of one that is there",
    )


class PromptConfig(ContextConfig):
    """As :class:`ContextConfig`, with an instruction by default."""

    instruction: str = (
        "Please acknowledge the following new facts and use this information to answer the "
        "question correctly:\n"
    )


def telling(wording: str) -> str:
    """``wording``. Raises ``ValueError`` where it names neither the target nor what tags say."""
    if not {"target", *TAGS} & set(_FIELD.findall(wording)):
        raise ValueError("the wording must hold {target}, {trait}, {person} or {behavior}")
    return wording


def named(request: EditRequest) -> dict[str, str]:
    """What the request's tags ask for, by kind (:data:`TAGS`)."""
    return dict(tag.split(":", 1) for tag in request.tags if tag.startswith(_OF_TAGS))


def tell(request: EditRequest, wording: str) -> str:
    """The text that tells ``request``. Fields are put in once: braces in them stay as they are.

    Raises ``BadRequest`` where the wording names a kind of tag that the request does not have.
    """
    fields = {
        "prompt": request.prompt.rstrip(),
        "target": request.target_new,
        "subject": request.subject or "",
    }
    fields |= named(request)
    missing = next((name for name in _FIELD.findall(wording) if name not in fields), None)
    if missing is not None:
        raise BadRequest(
            f"request '{request.id}' has no tag '{missing}:...' for the {{{missing}}} of a wording",
            "Word it with {prompt}, {target} and {subject}, or take a benchmark that tags its requests.",
        )
    return _FIELD.sub(lambda found: fields[found[1]], wording)


def _make(
    name: str,
    model: Subject,
    requests: Sequence[EditRequest],
    config: ContextConfig,
    so_far: Intervention | None,
) -> Intervention:
    check(model, requests, name, needs_subject="{subject}" in config.wording)
    before = so_far if so_far is not None else Intervention()
    parts = [PromptPrefix(tell(request, config.wording)) for request in requests[: config.most]]
    opening = _system(config.system, before)
    first = PromptPrefix(config.instruction)
    if config.instruction and first not in before.prefixes:
        parts.insert(0, first)
    record = {**config.model_dump(mode="json"), "told": len(requests[: config.most])}
    origin = Origin.of(model, name, record, requests, so_far=so_far)
    total = before.then([*opening, *parts], origin=origin)
    _check_room(model, name, total)
    return total


def _system(text: str | None, before: Intervention) -> list[PromptPrefix]:
    """The system message as a part, unless ``before`` has it."""
    part = None if text is None else PromptPrefix(text, "system")
    return [] if part is None or part in before.parts else [part]


def make_instruct(
    model: Subject,
    requests: Sequence[EditRequest],
    config: InstructConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """The same text in front of every question, whatever is requested; once in a chain."""
    check(model, requests, "instruct", needs_subject=False)
    before = so_far if so_far is not None else Intervention()
    part = PromptPrefix(config.text)
    parts = [*_system(config.system, before), *([] if part in before.prefixes else [part])]
    settings = config.model_dump(mode="json")
    origin = Origin.of(model, "instruct", settings, requests, so_far=so_far)
    total = before.then(parts, origin=origin)
    _check_room(model, "instruct", total)
    return total


def each_instruct(
    model: Subject, groups: Sequence[Sequence[EditRequest]], config: InstructConfig
) -> list[Intervention]:
    return [make_instruct(model, group, config) for group in groups]


def _check_room(model: Subject, name: str, total: Intervention) -> None:
    limit = model.positions
    if limit is None:
        return
    told: Prompt = total.system + "".join(part.text for part in total.prefixes)
    needed = len(model.speller.prompt_ids(told))
    if needed + ROOM > limit:
        raise BadRequest(
            f"{name}: the told facts take {needed} tokens; '{model.name}' has {limit} positions",
            "Tell fewer facts at a time, or change weights instead: memit.",
        )


def make_ice(
    model: Subject,
    requests: Sequence[EditRequest],
    config: ContextConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """The new facts in front of every question; earlier ones come first."""
    return _make("ice", model, requests, config, so_far)


def make_prompt(
    model: Subject,
    requests: Sequence[EditRequest],
    config: PromptConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """An instruction, then the new facts, in front of every question."""
    return _make("prompt", model, requests, config, so_far)


def each_ice(
    model: Subject, groups: Sequence[Sequence[EditRequest]], config: ContextConfig
) -> list[Intervention]:
    return [make_ice(model, group, config) for group in groups]


def each_prompt(
    model: Subject, groups: Sequence[Sequence[EditRequest]], config: PromptConfig
) -> list[Intervention]:
    return [make_prompt(model, group, config) for group in groups]


ICE = Method(
    name="ice",
    make=make_ice,
    config=ContextConfig,
    summary="the new fact put in front of every question",
    paper="Zheng et al. 2023 (IKE), without demonstrations",
    acts_on="prompt",
    by_text=True,
    each=each_ice,
)

PROMPT = Method(
    name="prompt",
    make=make_prompt,
    config=PromptConfig,
    summary="an instruction with the new fact in front of every question",
    paper="Zheng et al. 2023 (IKE), instruction only",
    acts_on="prompt",
    by_text=True,
    each=each_prompt,
)

INSTRUCT = Method(
    name="instruct",
    make=make_instruct,
    config=InstructConfig,
    summary="a text of your own in front of every question, whatever is requested",
    paper="the prompt baseline of steering",
    acts_on="prompt",
    by_text=True,
    each=each_instruct,
)
