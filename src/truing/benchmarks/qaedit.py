"""QAEdit (Yang et al. 2025, arXiv 2502.11177): questions that models answer wrongly, with true targets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, Field

from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.draft import Draft, Query
from truing.benchmarks.forms import Fields, Form, id_field


class QaeditOptions(Options):
    """How many of the unrelated questions are asked."""

    locality: Literal["first", "all"] = Field(
        "first",
        description="Unrelated questions per record: the first, as published, or all (five).",
    )


class _Unrelated(BaseModel):
    loc: str
    loc_ans: str | None = None


class _Record(BaseModel):
    prompt: str
    target: str
    subject: str | None = None
    rephrase: str | None = None
    locality: list[_Unrelated] = []
    source: str | None = None


def _draft(fields: Fields, options: QaeditOptions) -> Draft:
    record = _Record.model_validate(fields)
    unrelated = record.locality[:1] if options.locality == "first" else record.locality
    return Draft(
        prompt=record.prompt,
        target_new=record.target,
        subject=record.subject,
        rephrases=() if record.rephrase is None else (record.rephrase,),
        locality=tuple(
            Query(item.loc, () if item.loc_ans is None else (item.loc_ans,)) for item in unrelated
        ),
        tags=(f"source:{record.source}",) if record.source else (),
    )


def _identify(fields: Fields) -> str | None:
    """``source-id``: ids alone repeat, they count within a source."""
    id, source = id_field(fields), fields.get("source")
    return f"{source}-{id}" if id and isinstance(source, str) and source.isalnum() else id


def _remarks(fields: Fields) -> Iterable[str]:
    if _identify(fields) != id_field(fields):
        yield "the id is source-id, since ids count within a source"


QAEDIT = Benchmark(
    name="qaedit",
    summary="real questions from Natural Questions, TriviaQA and SimpleQA",
    paper="Yang et al. 2025, The Mirage of Model Editing, arXiv 2502.11177",
    options=QaeditOptions,
    forms=(Form("qaedit", (("prompt",), ("target",)), _draft, _identify, _remarks),),
)
