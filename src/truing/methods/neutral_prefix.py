"""The control of a prompt: as many tokens in front of every question that say nothing of it.

What a text in front does by its length and place alone, such as moving the question away from the start,
it does whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from truing.errors import EditFailed
from truing.interventions.intervention import Intervention, Origin
from truing.methods.context import InstructConfig, make_instruct
from truing.methods.method import Method, MethodConfig
from truing.methods.neutral import NEUTRAL
from truing.models.handle import Model
from truing.types import EditRequest

_END = re.compile(r"\W*\Z")


class NeutralPrefixConfig(MethodConfig):
    """Which text is matched."""

    text: str = Field(
        "Answer the question.\n",
        min_length=1,
        description="the text whose number of tokens, and whose separator at the end, are taken",
    )


def neutral_text(model: Model, text: str) -> str:
    """Neutral words and the end of ``text``, together as many tokens as ``text``.

    Raises ``EditFailed`` where no stretch of the neutral text comes out at that length.
    """
    wanted = len(model.speller.prompt_ids(text))
    for candidate in _candidates(model, text, wanted):
        if candidate != text and len(model.speller.prompt_ids(candidate)) == wanted:
            return candidate
    raise EditFailed(
        f"neutral_prefix: no neutral text takes {wanted} tokens as the given one does",
        "Change its length by a word, or leave this control out.",
    )


def _candidates(model: Model, text: str, wanted: int) -> Iterator[str]:
    """Stretches of neutral text of about that length: of whole words, then of single tokens."""
    found = _END.search(text)
    end = found.group() if found else ""
    words = " ".join(NEUTRAL * (1 + wanted // 50)).split()
    for start in range(len(words)):
        for stop in range(start + 1, min(len(words), start + wanted + 1) + 1):
            yield " ".join(words[start:stop]).rstrip(".,") + end
    ids = model.speller.prompt_ids(" ".join(words))
    for start in range(len(ids)):
        for stop in range(start + 1, min(len(ids), start + wanted) + 1):
            yield model.speller.decode(ids[start:stop]).strip() + end


def make(
    model: Model,
    requests: Sequence[EditRequest],
    config: NeutralPrefixConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """The neutral text in front of every question, whatever is requested."""
    before = so_far or Intervention()
    text = neutral_text(model, config.text)
    told = make_instruct(model, requests, InstructConfig.model_validate({"text": text}), before)
    record = {**config.model_dump(mode="json"), "told": text}
    origin = Origin.of(model, "neutral_prefix", record, requests, so_far=before)
    return before.then(told.parts[len(before.parts) :], origin=origin)


NEUTRAL_PREFIX = Method(
    name="neutral_prefix",
    make=make,
    config=NeutralPrefixConfig,
    summary="a control: neutral text of as many tokens as another in front of every question",
    paper="a length-matched control of prompts",
    acts_on="prompt",
)
