"""Contrast pairs of one's own: ``{prompt, positive, negative[, behavior, split]}``.

``positive`` is the side to promote, ``negative`` the side to suppress; ``split`` is ``train`` or ``test``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, Field

from truing.benchmarks import files
from truing.benchmarks.benchmark import Benchmark
from truing.benchmarks.contrast_pairs import Pair, Part, SplitOptions, Wording, arranged, parted
from truing.benchmarks.files import Contents, Record
from truing.benchmarks.forms import Fields, Form
from truing.errors import UnknownName


class ContrastOptions(SplitOptions):
    """Which behaviour of a file that holds several."""

    behavior: str | None = Field(None, description="Only pairs of this behaviour.")


class _Record(BaseModel, coerce_numbers_to_str=True):
    prompt: str
    positive: str
    negative: str
    behavior: str = ""
    split: Part


def read(path: Path, chosen: ContrastOptions) -> Contents:
    """The pairs of a file, parted. Raises ``UnknownName`` for a behaviour that it does not hold."""
    contents = _only(files.read(path), chosen.behavior)
    return arranged(replace(contents, records=tuple(parted(contents.records, chosen))), chosen)


def _only(contents: Contents, behavior: str | None) -> Contents:
    found = Counter(name for r in contents.records if (name := _behavior(r)))
    remark = ""
    if behavior is None:
        if len(found) > 1:
            named = ", ".join(sorted(found))
            remark = (
                f"the file holds several behaviours, which are one here: {named} (option behavior)"
            )
        kept = contents.records
    elif behavior not in found:
        raise UnknownName(f"behavior of {contents.source.path}", behavior, found)
    else:
        kept = tuple(r for r in contents.records if r.trouble or _behavior(r) == behavior)
        if len(kept) < len(contents.records):
            others = len(contents.records) - len(kept)
            remark = f"{others} record(s) of other behaviours were left out"
    remarks = (*contents.remarks, remark) if remark else contents.remarks
    return replace(contents, records=kept, remarks=remarks)


def _behavior(record: Record) -> str:
    name = record.fields.get("behavior")
    return name if isinstance(name, str) else ""


def _draft(fields: Fields, chosen: ContrastOptions) -> Pair:
    record = _Record.model_validate(fields)
    wording = Wording(record.prompt, record.positive, record.negative)
    return Pair(record.split, (wording,), record.behavior).turned(chosen.flip)


CONTRAST = Benchmark(
    name="contrast",
    summary="your own contrast pairs",
    options=ContrastOptions,
    own_data=True,
    read=read,
    forms=(Form("contrast", (("prompt",), ("positive",), ("negative",)), _draft),),
)
