"""Facts of one's own: ``{prompt, target_new[, subject, target_old, rephrases, locality, portability]}``.

A record may spell a field the way other data sets do; which spelling was read as what is noted.
Without a subject one is inferred from the prompt and its rephrases, tagged and shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.draft import Draft, Query, Rules
from truing.benchmarks.forms import ID_FIELDS, Fields, Form
from truing.benchmarks.layout import Answers, Item, Items, Texts, queries

SPELLINGS: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "src", "edit_prompt"),
    "target_new": ("target_new", "target", "alt", "new_target"),
    "target_old": ("target_old", "ground_truth", "target_true", "old_target", "answers"),
    "subject": ("subject",),
    "rephrases": (
        "rephrases", "rephrase", "rephrase_prompt", "rephrase_prompts", "paraphrases", "paraphrase_prompts",
    ),
    "locality": ("locality", "neighborhood_prompts"),
    "locality_prompt": ("locality_prompt", "loc"),
    "locality_answer": ("locality_answer", "locality_ground_truth", "loc_ans"),
    "portability": ("portability",),
    "open_prompts": ("open_prompts", "generation_prompts"),
    "tags": ("tags",),
}  # fmt: skip
_KNOWN = frozenset(name for names in SPELLINGS.values() for name in names) | set(ID_FIELDS)


class CustomOptions(Options):
    """How records without a subject are read."""

    infer_subject: bool = Field(
        True, description="Guess the subject where none is given; the guess is tagged and shown."
    )

    def rules(self) -> Rules:
        return Rules(max_chars=self.max_chars, infer_subject=self.infer_subject)


class _Record(BaseModel, coerce_numbers_to_str=True):
    prompt: str
    target_new: str
    target_old: Answers = []
    subject: str | None = None
    rephrases: Texts = []
    locality: Items = []
    locality_prompt: str | None = None
    locality_answer: Answers = []
    portability: Items = []
    open_prompts: Texts = []
    tags: Texts = []


def _spelled(fields: Fields) -> dict[str, str]:
    """For each field of Truing that the record has, the name under which it is there."""
    found = {}
    for name, spellings in SPELLINGS.items():
        there = next((s for s in spellings if fields.get(s) is not None), None)
        if there is None and any(s in fields for s in spellings):
            there = next(s for s in spellings if s in fields)
        if there is not None:
            found[name] = there
    return found


def _draft(fields: Fields, options: CustomOptions) -> Draft:
    present: dict[str, Any] = {
        name: fields[there]
        for name, there in _spelled(fields).items()
        if fields[there] is not None or name in ("prompt", "target_new")
    }
    record = _Record.model_validate(present)
    extra: tuple[Query, ...] = ()
    if record.locality_prompt is not None:
        item = Item(prompt=record.locality_prompt, answer=record.locality_answer)
        extra = queries([item])
    return Draft(
        prompt=record.prompt,
        target_new=record.target_new,
        target_old=record.target_old[0] if record.target_old else None,
        subject=record.subject,
        rephrases=tuple(record.rephrases),
        locality=(*extra, *queries(record.locality)),
        portability=queries(record.portability),
        open_prompts=tuple(record.open_prompts),
        tags=tuple(record.tags),
    )


def _remarks(fields: Fields) -> Iterable[str]:
    spelled = _spelled(fields)
    for name, there in spelled.items():
        if name != there:
            yield f"the field '{there}' was read as {name}"
    for key in fields:
        if key in spelled.values() or key in ID_FIELDS:
            continue
        if key in _KNOWN:
            yield f"the field '{key}' was ignored beside another of the same meaning"
            continue
        near = difflib.get_close_matches(key, sorted(_KNOWN), n=1, cutoff=0.75)
        yield f"the field '{key[:40]}' was ignored" + (
            f"; did you mean '{near[0]}'?" if near else ""
        )


CUSTOM = Benchmark(
    name="custom",
    summary="your own facts",
    options=CustomOptions,
    own_data=True,
    forms=(
        Form("custom", (SPELLINGS["prompt"], SPELLINGS["target_new"]), _draft, remarks=_remarks),
    ),
)
