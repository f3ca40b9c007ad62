"""Questions beside the edit, as records hold them: text, objects, lists, or lists by kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from truing.benchmarks.draft import Query

PROMPT_NAMES = ("prompt", "question", "loc")
ANSWER_NAMES = ("answer", "answers", "ground_truth", "loc_ans", "target")


def _flat(value: Any) -> Any:
    """Answers as a list: one text, a list, or a list of lists of aliases."""
    if value is None:
        return []
    if not isinstance(value, list):
        return [value]
    return [part for item in value for part in (item if isinstance(item, list) else [item])]


Answers = Annotated[list[str], BeforeValidator(_flat)]


class Item(BaseModel, coerce_numbers_to_str=True):
    """One question with its true answers."""

    prompt: str = Field(validation_alias=AliasChoices(*PROMPT_NAMES))
    answer: Answers = Field(default=[], validation_alias=AliasChoices(*ANSWER_NAMES))
    kind: str = ""


def _spread(value: Any) -> Any:
    """A list of items from one text, one object, a list, or an object of lists by kind."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return [{"prompt": value}]
    if isinstance(value, dict) and not any(name in value for name in PROMPT_NAMES):
        return [
            {"kind": kind, **item} if isinstance(item, dict) else {"prompt": item, "kind": kind}
            for kind, group in value.items()
            for item in (group if isinstance(group, list) else [group])
        ]
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [{"prompt": item} if isinstance(item, str) else item for item in values]


Items = Annotated[list[Item], BeforeValidator(_spread)]


def _texts(value: Any) -> Any:
    """A list of texts from one text, a list, or a JSON list in a CSV cell."""
    if value is None:
        return []
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return [value]
        else:
            return [value]
    return value


Texts = Annotated[list[str], BeforeValidator(_texts)]


def items(groups: Mapping[str, Sequence[Item]]) -> list[Item]:
    """Items that are stored by kind, each with its kind."""
    return [
        item.model_copy(update={"kind": kind}) for kind, group in groups.items() for item in group
    ]


def queries(found: Sequence[Item]) -> tuple[Query, ...]:
    """Items as questions beside the edit."""
    return tuple(Query(item.prompt, tuple(item.answer), item.kind) for item in found)
