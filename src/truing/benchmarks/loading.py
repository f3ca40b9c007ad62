"""Loading the cases of a benchmark: which records are taken, which cannot be used, and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from truing.benchmarks.benchmark import BENCHMARKS, Benchmark, Options, parse_options
from truing.benchmarks.draft import Note, Notebook, Rejected
from truing.benchmarks.files import Record, Source
from truing.benchmarks.forms import Form, complaint, explain, form_of, id_field
from truing.benchmarks.sampling import How, Sampling, Selection, distinct
from truing.errors import BadInput, UnknownName
from truing.types import Case


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that cannot be used: its id, where it is, which field is wrong and why."""

    record: str
    where: str
    field: str
    reason: str

    def __str__(self) -> str:
        name = "" if self.where == f"record {self.record}" else f" (id {self.record})"
        return f"{self.where}{name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Cases, and everything one needs to know to trust and to repeat the selection.

    ``dataset`` is the benchmark's name with the options that decide what is asked; ``form`` the layout
    that was found in the file.
    """

    benchmark: str
    dataset: str
    form: str
    options: Mapping[str, Any]
    cases: tuple[Case, ...]
    quarantined: tuple[Quarantined, ...]
    notes: tuple[Note, ...]
    source: Source
    sampling: Sampling

    def refuse_quarantined(self) -> None:
        """Raise ``BadInput`` listing the first bad records, unless there are none."""
        if not self.quarantined:
            return
        first = "; ".join(str(bad) for bad in self.quarantined[:3])
        more = len(self.quarantined) - 3
        tail = f"; and {more} more" if more > 0 else ""
        raise BadInput(
            f"{self.source.path}: {len(self.quarantined)} of {self.sampling.selected} records cannot be used: "
            f"{first}{tail}",
            "Mend them, or leave them out with --skip-invalid.",
        )


def load(
    name: str | Benchmark,
    data: Path | str | None = None,
    *,
    limit: int | None = None,
    sample: How = "prefix",
    seed: int = 0,
    skip: int = 0,
    aspects: Sequence[str] | None = None,
    options: Mapping[str, Any] | Options | None = None,
) -> Loaded:
    """Cases of a benchmark.

    ``limit`` selects that many records of the file before any is checked: the first ones
    (``prefix``), or ``seeded``: drawn without replacement by content, so that neither the order of
    the file nor other records decide, and a smaller sample is part of a larger one. ``skip`` leaves
    out that many in front: with the same seed, ``skip=50`` has nothing in common with ``limit=50``.
    ``aspects`` keeps only probes of these aspects (``locality`` has all of its parts).
    Bad records among the selected are quarantined and never replaced.

    Raises ``UnknownName`` for a benchmark or option that does not exist and ``BadInput`` for a file
    that cannot be used, also when not one of its records can.
    """
    benchmark = BENCHMARKS.get(name) if isinstance(name, str) else name
    chosen = parse_options(benchmark, options)
    if limit is not None and limit < 1:
        raise BadInput(f"limit is {limit}", "Give 1 or more, or leave it out to take every record.")
    if sample not in ("prefix", "seeded"):
        raise UnknownName("way to sample", sample, ("prefix", "seeded"))
    if skip < 0:
        raise BadInput(f"skip is {skip}", "Give 0 or more.")
    selection = Selection(limit, sample, seed, skip)
    if benchmark.cases is not None:
        loaded = _made(benchmark, chosen, data, selection)
    elif data is None:
        raise BadInput(f"{benchmark.name} needs a file of records", _how_to_get(benchmark.name))
    else:
        loaded = _from_file(benchmark, chosen, Path(data).expanduser(), selection)
    return loaded if aspects is None else replace(loaded, cases=_only(loaded.cases, aspects))


def _only(cases: Sequence[Case], aspects: Sequence[str]) -> tuple[Case, ...]:
    """The same cases with probes of these aspects alone; those without any are still edited."""
    there = sorted({probe.aspect for case in cases for probe in case.probes})
    known = {*there, *(aspect.partition("/")[0] for aspect in there)}
    for aspect in aspects:
        if aspect not in known:
            raise UnknownName("aspect", aspect, known)
    wanted = tuple(a for a in there if a in aspects or a.partition("/")[0] in aspects)
    return tuple(
        replace(case, probes=tuple(p for p in case.probes if p.aspect in wanted)) for case in cases
    )


def _made(
    benchmark: Benchmark,
    options: Options,
    data: Path | str | None,
    selection: Selection,
) -> Loaded:
    assert benchmark.cases is not None
    if data is not None:
        raise BadInput(
            f"{benchmark.name} makes its own cases and reads no file", "Leave out --data."
        )
    cases = tuple(benchmark.cases(options))
    source = Source("embedded", _digest(cases), 0, "embedded", len(cases))
    picked = [cases[i] for i in selection.of([case.id for case in cases])]
    if not picked:
        raise _nothing_left(benchmark.name, selection, len(cases))
    sampling = selection.record(len(cases), len(picked), [case.id for case in picked])
    if benchmark.together is not None:
        picked = list(benchmark.together(picked, cases, options))
    return Loaded(
        benchmark.name, options.dataset(benchmark.name), "embedded", options.model_dump(mode="json"),
        tuple(picked), (), (), source, sampling,
    )  # fmt: skip


def _from_file(benchmark: Benchmark, options: Options, path: Path, selection: Selection) -> Loaded:
    contents = benchmark.read(path, options)
    records = contents.records
    forms = [form_of(benchmark.forms, record) for record in records]
    if not any(forms):
        raise explain(benchmark, BENCHMARKS, records, path)
    notes = Notebook()
    for remark in contents.remarks:
        notes.remark(remark)
    ids = _ids(records, forms, notes)
    picked = selection.of([_content(record) for record in records])
    if not picked:
        raise _nothing_left(str(path), selection, len(records))
    cases: list[Case] = []
    bad: list[Quarantined] = []
    for i in picked:
        try:
            cases.append(_case(benchmark, options, records[i], forms[i], ids[i], notes))
        except Rejected as why:
            bad.append(Quarantined(ids[i], records[i].where, why.field, why.reason))
    if not cases:
        count = "the record" if len(bad) == 1 else f"none of the {len(bad)} selected records"
        verb = "cannot be used" if len(bad) == 1 else "can be used; the first"
        raise BadInput(
            f"{path}: {count} {verb}: {bad[0]}",
            "Mend the file, or check the benchmark's name and options.",
        )
    if benchmark.together is not None:
        cases = list(benchmark.together(cases, _usable(benchmark, options, records, ids), options))
    _note_conflicts(cases, notes)
    sampling = selection.record(len(records), len(picked), [case.id for case in cases])
    found = "+".join(sorted({form.name for i in picked if (form := forms[i]) is not None}))
    return Loaded(
        benchmark.name, options.dataset(benchmark.name), found, options.model_dump(mode="json"),
        tuple(cases), tuple(bad), notes.notes(), contents.source, sampling,
    )  # fmt: skip


def _usable(
    benchmark: Benchmark, options: Options, records: Sequence[Record], ids: Sequence[str]
) -> list[Case]:
    """The cases of all records that can be used; what is said of them is said of the selected ones."""
    found = []
    for record, id in zip(records, ids, strict=True):
        try:
            form = form_of(benchmark.forms, record)
            found.append(_case(benchmark, options, record, form, id, Notebook()))
        except Rejected:
            continue
    return found


def _nothing_left(name: str, selection: Selection, total: int) -> BadInput:
    return BadInput(
        f"{name} has {total} records and skip leaves out the first {selection.skip}",
        "Give a smaller skip.",
    )


def _case(
    benchmark: Benchmark,
    options: Options,
    record: Record,
    form: Form | None,
    id: str,
    notes: Notebook,
) -> Case:
    if record.trouble:
        raise Rejected("", record.trouble)
    if form is None:
        raise Rejected(*benchmark.forms[0].missing(record.fields))
    try:
        draft = form.draft(record.fields, options)
    except ValidationError as error:
        raise Rejected(*complaint(error)) from None
    for remark in form.remarks(record.fields):
        notes.about(id, remark)
    return draft.case(id, options.rules(), notes)


def _content(record: Record) -> str:
    """What decides whether a record is drawn: all of it, and nothing else."""
    if record.trouble:
        return f"{record.where}\x1f{record.trouble}"
    return json.dumps(record.fields, sort_keys=True, default=str)


def _digest(cases: Sequence[Case]) -> str:
    text = json.dumps(cases, sort_keys=True, default=_named)
    return hashlib.sha256(text.encode()).hexdigest()


def _named(record: Any) -> dict[str, Any]:
    """A dataclass by the names of its fields; ``asdict`` would copy everything inside too."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _ids(records: Sequence[Record], forms: Sequence[Form | None], notes: Notebook) -> list[str]:
    """Every record's own id where it has one, else its position; repeated ids are told apart."""
    own = [
        (form.identify if form else id_field)(record.fields) or str(record.index)
        for record, form in zip(records, forms, strict=True)
    ]
    ids = distinct(own)
    for before, after in zip(own, ids, strict=True):
        if before != after:
            notes.about(after, "the id occurs more than once in the file and was made distinct")
    return ids


def _note_conflicts(cases: Sequence[Case], notes: Notebook) -> None:
    """Edits that cannot all hold when they are made one after the other. Requests that nothing is
    asked about need not hold."""
    targets: dict[str, set[str]] = {}
    subjects: dict[str, set[str]] = {}
    for case in cases:
        for request in case.requests:
            targets.setdefault(request.prompt, set()).add(request.target_new)
            if request.subject is not None:
                subjects.setdefault(request.subject, set()).add(request.target_new)
    for case in cases:
        if not (case.requests and case.probes):
            continue
        request = case.requests[0]
        if len(targets[request.prompt]) > 1:
            notes.about(
                case.id, "another record has the same prompt and another target; both cannot hold"
            )
        elif request.subject is not None and len(subjects[request.subject]) > 1:
            text = "another record has the same subject and another target; edits made in sequence may conflict"
            notes.about(case.id, text)


def _how_to_get(name: str) -> str:
    from truing.benchmarks.catalogue import for_benchmark

    sources = [entry.name for entry in for_benchmark(name)]
    if not sources:
        return "Pass --data FILE."
    return f"Pass --data FILE; `truing data get {sources[0]}` downloads one ({', '.join(sources)})."
