"""What a benchmark is, the registry of benchmarks, and loading one.

A benchmark is either a way to read records of a file (one :class:`Form` per layout that is in use) or a
function that makes its cases itself. Third parties register a :class:`Benchmark` with
``BENCHMARKS.add``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from truing.benchmarks import files
from truing.benchmarks.draft import Draft, Note, Notebook, Rejected, Rules
from truing.benchmarks.files import Contents, Record, Source
from truing.benchmarks.forms import Form, complaint, explain, form_of, id_field
from truing.benchmarks.sampling import How, Sampling, Selection, distinct
from truing.errors import BadInput, UnknownName
from truing.registry import Entry, Registry
from truing.types import Case

__all__ = ["BENCHMARKS", "Benchmark", "Draft", "Form", "Loaded", "Note", "Options", "Quarantined", "Rejected",
           "Rules", "Sampling", "Source", "load", "parse_options"]  # fmt: skip


class Options(BaseModel):
    """Choices that a benchmark offers. Frozen; unknown names are refused.

    Names in ``always`` are part of the data set id even at their default, others where they differ.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    always: ClassVar[tuple[str, ...]] = ()

    max_chars: int = Field(
        20_000,
        gt=0,
        description="Longest text that is accepted, in characters; longer ones are quarantined.",
    )

    def dataset(self, name: str) -> str:
        """The id of the data: the benchmark's name and the options that decide what is asked."""
        parts = [
            f"{key}={getattr(self, key)}"
            for key, info in type(self).model_fields.items()
            if key in self.always or (key != "max_chars" and getattr(self, key) != info.default)
        ]
        return f"{name}[{','.join(parts)}]" if parts else name

    def rules(self) -> Rules:
        """The rules that records are checked by."""
        return Rules(max_chars=self.max_chars)


def one_file(path: Path, options: Options) -> Contents:
    """The records of a file as they are."""
    return files.read(path)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark as the rest of Truing sees it: ``forms`` to read a file, or ``cases`` to make them.

    ``read`` gives the records, where they are not simply those of one file (several files, two records
    for one case); it raises ``BadInput`` for what cannot be used as a whole.
    ``cases`` gets the options and gives cases with distinct ids, in an order whose beginning is a fair
    sample. ``together`` gets the selected cases, all usable ones and the options, and gives the selected
    cases with what they are asked of the others. ``paper`` is where the benchmark is defined;
    ``methods`` are those that it was published with, which run when a plan names none. ``own_data``: the records are the user's, who
    can mend bad ones; those of published data are as they are. ``training``: the options that give the part
    to train editors on, where there is one that what is measured by default has no subject of.
    """

    name: str
    summary: str
    paper: str = ""
    options: type[Options] = Options
    forms: tuple[Form, ...] = ()
    read: Callable[[Path, Any], Contents] = one_file
    cases: Callable[[Any], Sequence[Case]] | None = None
    together: Callable[[Sequence[Case], Sequence[Case], Any], Sequence[Case]] | None = None
    methods: tuple[str, ...] = ()
    own_data: bool = False
    training: Options | None = None


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


BENCHMARKS: Registry[Benchmark] = Registry(
    "benchmark",
    {
        "counterfact": Entry(
            "truing.benchmarks.counterfact:COUNTERFACT",
            "CounterFact: counterfactual completions with paraphrases and neighbourhoods (needs --data)",
        ),
        "zsre": Entry(
            "truing.benchmarks.zsre:ZSRE",
            "zsRE: relation-extraction questions, MEND and KnowEdit layouts (needs --data)",
        ),
        "qaedit": Entry(
            "truing.benchmarks.qaedit:QAEDIT",
            "QAEdit: real questions from NQ, TriviaQA and SimpleQA (needs --data)",
        ),
        "custom": Entry(
            "truing.benchmarks.custom:CUSTOM",
            "your own facts: JSON, JSON lines or CSV with prompt and target_new (needs --data)",
        ),
        "world": Entry(
            "truing.benchmarks.world_facts:WORLD",
            "counterfactual edits of the embedded model's world: works offline, no data file",
        ),
        "contrast": Entry(
            "truing.benchmarks.contrast:CONTRAST",
            "your own contrast pairs: JSON, JSON lines or CSV with prompt, positive, negative (needs --data)",
        ),
        "caa": Entry(
            "truing.benchmarks.caa:CAA",
            "CAA: A/B and open-ended questions about seven behaviours (needs --data, a folder)",
        ),
        "pres2024": Entry(
            "truing.benchmarks.pres2024:PRES2024",
            "Pres et al. 2024: open-ended answers that show a behaviour or its opposite (needs --data)",
        ),
        "moralchoice": Entry(
            "truing.benchmarks.behavior.moralchoice:MORALCHOICE",
            "MoralChoice: act well, badly or not at all in clear and ambiguous dilemmas (needs --data)",
        ),
        "moral_rules": Entry(
            "truing.benchmarks.behavior.rules:MORAL_RULES",
            "ten rules of common morality as edits: works offline; dilemmas of a MoralChoice file show impact",
        ),
        "hallueditbench": Entry(
            "truing.benchmarks.hallueditbench:HALLUEDITBENCH",
            "HalluEditBench: facts a model had wrong, eleven kinds of question, doubt (needs --data, a folder)",
        ),
        "world_behavior": Entry(
            "truing.benchmarks.world_behavior:WORLD_BEHAVIOR",
            "behaviour edits of the embedded model's dilemmas and judgements: works offline, no data file",
        ),
        "axbench": Entry(
            "truing.benchmarks.axbench:AXBENCH",
            "AxBench: concepts to steer towards, from texts with and without them (needs --data, a folder)",
        ),
        "ethics": Entry(
            "truing.benchmarks.behavior.ethics:ETHICS",
            "ETHICS: moral judgements of five kinds as edits (needs --data, a folder)",
        ),
        "social_chemistry": Entry(
            "truing.benchmarks.behavior.social_chemistry:SOCIAL_CHEMISTRY",
            "Social Chemistry 101: actions judged good or bad as edits (needs --data)",
        ),
        "jiminy": Entry(
            "truing.benchmarks.behavior.jiminy:JIMINY",
            "Jiminy Cricket: scenes of text games judged good or bad as edits (needs --data)",
        ),
        "trustllm": Entry(
            "truing.benchmarks.behavior.trustllm:TRUSTLLM",
            "TrustLLM machine ethics: awareness, dilemmas and judgements as edits (needs --data)",
        ),
        "personality": Entry(
            "truing.benchmarks.personality:PERSONALITY",
            "PersonalityEdit: opinions on a topic that show a personality trait (needs --data)",
        ),
        "world_personality": Entry(
            "truing.benchmarks.world_personality:WORLD_PERSONALITY",
            "opinions of the embedded world that show a personality trait: works offline, no data file",
        ),
        "seesaw": Entry(
            "truing.benchmarks.seesaw.records:SEESAW",
            "Seesaw-CF: edits of people, asked of other people and other properties (needs --data, a folder)",
        ),
        "world_people": Entry(
            "truing.benchmarks.world_people:WORLD_PEOPLE",
            "edits of people of one origin in the embedded world, others by origin: works offline, no data file",
        ),
        "world_contrast": Entry(
            "truing.benchmarks.world_contrast:WORLD_CONTRAST",
            "moods, manners, conduct and traits of the embedded world as contrast pairs: works offline",
        ),
    },
)


def parse_options(benchmark: Benchmark, values: Mapping[str, Any] | Options | None) -> Options:
    """``values`` as the benchmark's options.

    Raises ``UnknownName`` for a name it does not have, ``BadInput`` for a value that does not fit.
    """
    if isinstance(values, benchmark.options):
        return values
    given = values.model_dump() if isinstance(values, Options) else dict(values or {})
    fields = benchmark.options.model_fields
    for key in given:
        if key not in fields:
            raise UnknownName(f"option of {benchmark.name}", key, fields)
    try:
        return benchmark.options.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = "missing" if first["type"] == "missing" else f"{first['input']!r}: {first['msg']}"
        raise BadInput(
            f"{benchmark.name}: option '{where}' is {found}",
            f"{where}: {fields[str(first['loc'][0])].description or 'see the documentation'}",
        ) from None


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
    text = json.dumps([asdict(case) for case in cases], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
