"""zsRE (Levy et al. 2017, arXiv 1706.04115) as edit requests, in the layouts of MEND and KnowEdit.

Code bases edit towards different targets: ``alt``, a wrong answer that a model proposed (MEND, KnowEdit),
``answers[0]``, the true answer (ROME, MEMIT), or a field ``ans`` (UltraEdit). Numbers for different
targets are not comparable, so the choice is part of the data set id.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from truing.benchmarks.benchmark import Benchmark, Options
from truing.benchmarks.draft import Draft, Query, Rejected
from truing.benchmarks.forms import Fields, Form
from truing.benchmarks.layout import Item, items, queries

_PREFIX = "nq question: "


class ZsreOptions(Options):
    """Which answer is the target, and how the unrelated question is put."""

    always: ClassVar[tuple[str, ...]] = ("target",)

    target: Literal["alt", "answers", "ans"] = Field(
        "alt", description="Field that is the edit target: alt, answers (the true answer) or ans."
    )
    loc: Literal["stored", "question-mark", "plain"] = Field(
        "stored",
        description="The unrelated question: as stored; with '?' appended, as the ROME line of work "
        "scores it; or plain: without 'nq question: ' and with '?'.",
    )


class _Mend(BaseModel):
    src: str
    subject: str | None = None
    alt: str | None = None
    ans: str | None = None
    answers: list[str] | None = None
    rephrase: str | None = None
    loc: str | None = None
    loc_ans: str | None = None


class _KnowEdit(BaseModel):
    prompt: str
    subject: str | None = None
    target_new: str
    ground_truth: list[str] | str | None = None
    rephrase_prompt: str | None = None
    locality: dict[str, list[Item]] = {}
    portability: dict[str, list[Item]] = {}


def _target(options: ZsreOptions, found: dict[str, str | None]) -> str:
    target = found[options.target]
    if target is None:
        present = " or ".join(name for name, value in found.items() if value is not None) or "none"
        raise Rejected(
            options.target,
            f"target={options.target} needs a field that is not there (present: {present})",
        )
    return target


def _mend(fields: Fields, options: ZsreOptions) -> Draft:
    record = _Mend.model_validate(fields)
    true = record.answers[0] if record.answers else None
    target = _target(options, {"alt": record.alt, "answers": true, "ans": record.ans})
    locality: tuple[Query, ...] = ()
    if record.loc is not None:
        answers = () if record.loc_ans is None else (record.loc_ans,)
        locality = (Query(_loc(record.loc, options.loc), answers),)
    return Draft(
        prompt=record.src,
        target_new=target,
        target_old=None if options.target == "answers" else true,
        subject=record.subject,
        rephrases=() if record.rephrase is None else (record.rephrase,),
        locality=locality,
    )


def _loc(text: str, how: str) -> str:
    if how == "stored":
        return text
    return (text.removeprefix(_PREFIX) if how == "plain" else text) + "?"


def _knowedit(fields: Fields, options: ZsreOptions) -> Draft:
    record = _KnowEdit.model_validate(fields)
    truth = record.ground_truth
    true = (truth[0] if truth else None) if isinstance(truth, list) else truth
    target = _target(options, {"alt": record.target_new, "answers": true, "ans": None})
    follows = options.target == "alt"
    return Draft(
        prompt=record.prompt,
        target_new=target,
        target_old=true if follows else None,
        subject=record.subject,
        rephrases=() if record.rephrase_prompt is None else (record.rephrase_prompt,),
        locality=queries(items(record.locality)),
        portability=queries(items(record.portability)) if follows else (),
    )


ZSRE = Benchmark(
    name="zsre",
    summary="relation-extraction questions",
    paper="Levy et al. 2017, arXiv 1706.04115; edit requests: Mitchell et al. 2022, arXiv 2110.11309; "
    "KnowEdit: Zhang et al. 2024, arXiv 2401.01286",
    options=ZsreOptions,
    forms=(
        Form("mend", (("src",), ("alt", "answers", "ans")), _mend),
        Form("knowedit", (("prompt",), ("target_new",), ("cond", "portability")), _knowedit),
    ),
)
