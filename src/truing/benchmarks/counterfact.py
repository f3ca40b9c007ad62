"""CounterFact (Meng et al. 2022, arXiv 2202.05262, section 3.3), as published and flattened.

``nested`` is the file of the ROME and MEMIT projects (also multi_counterfact); ``edit`` the flattening
that keeps one paraphrase and one neighbour per record, so that the published scores over all of them
cannot be computed from it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.draft import Draft, Query, Rejected
from truing.benchmarks.forms import Fields, Form

Count = Annotated[int, Field(ge=0)]


class CounterfactOptions(Options):
    """How many prompts of each kind are kept per record: the first ones in file order."""

    paraphrases: Count | None = Field(
        None, description="Paraphrases kept per record; default: all."
    )
    neighbors: Count | None = Field(
        None, description="Neighbourhood prompts kept per record; default: all (10 as published)."
    )
    attributes: Count | None = Field(
        0,
        description="Prompts about subjects that truly have the new object; unscored as published.",
    )
    generations: Count | None = Field(
        None,
        description="Open prompts about the subject kept per record, for fluency; default: all.",
    )


class _Object(BaseModel):
    text: str = Field(alias="str")
    id: Any = None


class _Rewrite(BaseModel):
    prompt: str
    subject: str
    target_new: _Object
    target_true: _Object
    relation_id: str | None = None


class _Nested(BaseModel):
    requested_rewrite: _Rewrite
    paraphrase_prompts: list[str] = []
    neighborhood_prompts: list[str] = []
    attribute_prompts: list[str] = []
    generation_prompts: list[str] = []


class _Edit(BaseModel):
    prompt: str
    target_new: str
    subject: str
    ground_truth: str | None = None
    rephrase_prompt: str | None = None
    locality_prompt: str | None = None
    locality_ground_truth: str | None = None


def _nested(fields: Fields, options: CounterfactOptions) -> Draft:
    record = _Nested.model_validate(fields)
    rewrite = record.requested_rewrite
    if rewrite.prompt.count("{}") != 1:
        raise Rejected(
            "requested_rewrite.prompt",
            "requested_rewrite.prompt must hold {} once, for the subject",
        )
    new, true = rewrite.target_new.text, rewrite.target_true.text
    near = record.neighborhood_prompts[: options.neighbors]
    same = record.attribute_prompts[: options.attributes]
    tags = [f"relation:{rewrite.relation_id}"] if rewrite.relation_id else []
    if isinstance(rewrite.target_new.id, str) and rewrite.target_new.id:
        tags.append(f"target-id:{rewrite.target_new.id}")
    return Draft(
        prompt=rewrite.prompt.replace("{}", rewrite.subject),
        target_new=new,
        target_old=true,
        subject=rewrite.subject,
        rephrases=tuple(record.paraphrase_prompts[: options.paraphrases]),
        locality=(
            *(Query(prompt, (true,), "neighborhood", (true, new)) for prompt in near),
            *(Query(prompt, (new,), "attribute", (new, true)) for prompt in same),
        ),
        open_prompts=tuple(record.generation_prompts[: options.generations]),
        tags=tuple(tags),
    )


def _edit(fields: Fields, options: CounterfactOptions) -> Draft:
    record = _Edit.model_validate(fields)
    rephrases = () if record.rephrase_prompt is None else (record.rephrase_prompt,)
    near: tuple[Query, ...] = ()
    if record.locality_prompt is not None:
        true = record.locality_ground_truth
        answers = () if true is None else (true,)
        choices = () if true is None else (true, record.target_new)
        near = (Query(record.locality_prompt, answers, "neighborhood", choices),)
    return Draft(
        prompt=record.prompt,
        target_new=record.target_new,
        target_old=record.ground_truth,
        subject=record.subject,
        rephrases=rephrases[: options.paraphrases],
        locality=near[: options.neighbors],
    )


COUNTERFACT = Benchmark(
    name="counterfact",
    summary="counterfactual completions with paraphrases and neighbourhoods",
    paper="Meng et al. 2022, Locating and Editing Factual Associations in GPT, arXiv 2202.05262",
    options=CounterfactOptions,
    forms=(
        Form("nested", (("requested_rewrite",),), _nested),
        Form("edit", (("prompt",), ("target_new",), ("subject",), ("locality_prompt",)), _edit),
    ),
)
