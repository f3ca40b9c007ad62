"""What a capability set is, the registry of sets, and loading one.

A capability item is a question with an accepted answer that no edit is about. Asked of the base and of
the edited model, it shows what an edit cost. A set either reads records of a file or makes its items
itself; third parties register one with ``CAPABILITIES.add``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ValidationError

from truing.benchmarks import files
from truing.benchmarks.draft import Notebook, Rejected, normalised
from truing.benchmarks.files import Record, Source
from truing.benchmarks.forms import Fields, id_field
from truing.benchmarks.loading import Loaded, Quarantined
from truing.benchmarks.sampling import Sampling, distinct
from truing.errors import BadInput
from truing.registry import Entry, Registry
from truing.seeds import Seeds
from truing.types import Case, Probe, Prompt

HEAD = "capability"
MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Item:
    """One question. ``choices``, where there are any, may be compared by likelihood; the first is right."""

    prompt: Prompt
    accepted: tuple[str, ...]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CapabilitySet:
    """A set of items: ``read`` makes one of a record that has the fields ``needs``, or ``make`` all of them.

    ``protocol`` is how its questions are asked and scored unless a plan says otherwise. ``make`` gives
    items by id. ``read`` may raise ``Rejected`` or pydantic's ``ValidationError``.
    """

    name: str
    summary: str
    protocol: str
    paper: str = ""
    needs: tuple[str, ...] = ()
    read: Callable[[Fields], Item] | None = None
    make: Callable[[], Sequence[tuple[str, Item]]] | None = None

    @property
    def aspect(self) -> str:
        """The aspect of its rows: ``capability/<name>``."""
        return f"{HEAD}/{self.name}"


_HERE = "truing.benchmarks.capability"
CAPABILITIES: Registry[CapabilitySet] = Registry(
    "capability set",
    {
        "micro": Entry(
            f"{_HERE}.micro:MICRO", "420 questions on the embedded model's world: no data file"
        ),
        "micro-english": Entry(
            f"{_HERE}.english:ENGLISH",
            "easy English questions, a smoke test for real models: no data file",
        ),
        "boolq": Entry(
            f"{_HERE}.boolq:BOOLQ", "BoolQ: yes/no questions with their passage (needs data)"
        ),
        "boolq-closed": Entry(
            f"{_HERE}.boolq:BOOLQ_CLOSED", "BoolQ without the passage: from memory (needs data)"
        ),
        "boolq-published": Entry(
            f"{_HERE}.boolq:BOOLQ_PUBLISHED",
            "BoolQ in the words of Huang et al. 2025, without the passage (needs data)",
        ),
        "nli": Entry(f"{_HERE}.nli:NLI", "RTE: does one text entail the other (needs data)"),
        "nli-published": Entry(
            f"{_HERE}.nli:NLI_PUBLISHED", "RTE in the words of Huang et al. 2025 (needs data)"
        ),
        "gsm8k": Entry(
            f"{_HERE}.gsm8k:GSM8K", "GSM8K: sums in words, worked out freely (needs data)"
        ),
        "gsm8k-published": Entry(
            f"{_HERE}.gsm8k:GSM8K_PUBLISHED",
            "GSM8K as in Huang et al. 2025: the worked solution is shown, so it measures copying (needs data)",
        ),
        "natural-questions": Entry(
            f"{_HERE}.natural_questions:NATURAL_QUESTIONS",
            "Natural Questions without documents (needs data)",
        ),
        "natural-questions-published": Entry(
            f"{_HERE}.natural_questions:NATURAL_QUESTIONS_PUBLISHED",
            "Natural Questions in the words of Huang et al. 2025 (needs data)",
        ),
        "mmlu_ab": Entry(
            f"{_HERE}.ab:MMLU_AB",
            "MMLU as two lettered options: what steering costs, after Rimsky et al. 2024 (needs data)",
        ),
        "truthfulqa_ab": Entry(
            f"{_HERE}.ab:TRUTHFULQA_AB",
            "TruthfulQA as two lettered options, after Rimsky et al. 2024 (needs data)",
        ),
    },
)


def load(name: str | CapabilitySet, data: Path | str | None = None, *, seed: int = 0) -> Loaded:
    """All items of a set as cases without requests, in an order that ``seed`` and their texts decide.

    The first n cases are therefore a sample without replacement, and a smaller one is part of a larger.
    Bad records are quarantined. Raises ``UnknownName`` for a set that does not exist and ``BadInput``
    for a file that cannot be used, also when not one of its records can.
    """
    chosen = CAPABILITIES.get(name) if isinstance(name, str) else name
    if chosen.make is not None:
        if data is not None:
            raise BadInput(
                f"{chosen.name} makes its own items and reads no file", "Leave out its data."
            )
        cases = [_case(chosen, id, item) for id, item in chosen.make()]
        text = json.dumps([asdict(case) for case in cases], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        source = Source("embedded", digest, 0, "embedded", len(cases))
        return _loaded(chosen, "embedded", cases, (), Notebook(), source, seed)
    if data is None:
        raise BadInput(
            f"{chosen.name} needs a file of records",
            f'For example --capability {chosen.name},data=FILE, or {{ name = "{chosen.name}", data = "FILE" }} in a plan.',
        )
    return _from_file(chosen, Path(data).expanduser(), seed)


def _from_file(chosen: CapabilitySet, path: Path, seed: int) -> Loaded:
    contents = files.read(path)
    notes = Notebook()
    for remark in contents.remarks:
        notes.remark(remark)
    ids = distinct([id_field(record.fields) or str(record.index) for record in contents.records])
    cases: list[Case] = []
    bad: list[Quarantined] = []
    for id, record in zip(ids, contents.records, strict=True):
        try:
            cases.append(_case(chosen, id, _item(chosen, record)))
        except Rejected as why:
            bad.append(Quarantined(id, record.where, why.field, why.reason))
    if not cases:
        raise BadInput(
            f"{path} has no usable record of {chosen.name}; the first: {bad[0]}",
            f"A record has the fields {', '.join(chosen.needs)}.",
        )
    kept = _without_repeats(cases, notes)
    return _loaded(chosen, contents.source.format, kept, tuple(bad), notes, contents.source, seed)


def _item(chosen: CapabilitySet, record: Record) -> Item:
    if record.trouble:
        raise Rejected("", record.trouble)
    for name in chosen.needs:
        if name not in record.fields:
            raise Rejected(name, f"the field {name} is missing")
    assert chosen.read is not None
    try:
        return chosen.read(record.fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Rejected(where, f"{where}: {first['msg']}") from None


def _case(chosen: CapabilitySet, id: str, item: Item) -> Case:
    """Raises ``Rejected`` for an item that no answer could get right, or that is too long."""
    accepted = tuple(dict.fromkeys(a.strip() for a in item.accepted if normalised(a)))
    if not accepted:
        raise Rejected("answer", "no accepted answer is left once punctuation is left out")
    for text in (text_of(item.prompt), *accepted, *item.choices):
        if not text.strip():
            raise Rejected("question", "the question is empty")
        if len(text) > MAX_CHARS:
            raise Rejected("question", f"a text has {len(text)} characters, more than {MAX_CHARS}")
    name = f"{chosen.aspect}/{id}"
    return Case(name, (), (Probe(name, chosen.aspect, item.prompt, accepted, None, item.choices),))


def text_of(prompt: Prompt) -> str:
    """All that a prompt says."""
    return prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)


def _without_repeats(cases: Sequence[Case], notes: Notebook) -> list[Case]:
    kept: dict[str, Case] = {}
    for case in cases:
        if kept.setdefault(text_of(case.probes[0].prompt), case) is not case:
            notes.about(case.id, "another item has the same prompt; only the first is used")
    return list(kept.values())


def _loaded(
    chosen: CapabilitySet,
    form: str,
    cases: Sequence[Case],
    bad: tuple[Quarantined, ...],
    notes: Notebook,
    source: Source,
    seed: int,
) -> Loaded:
    seeds = Seeds(seed).child("capability").child(chosen.name)
    drawn = sorted(cases, key=lambda case: seeds.child(text_of(case.probes[0].prompt)).number)
    sampling = Sampling("seeded", None, seed, source.rows, source.rows, len(cases), ())
    return Loaded(
        chosen.name, chosen.name, form, {}, tuple(drawn), bad, notes.notes(), source, sampling
    )
