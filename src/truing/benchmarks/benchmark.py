"""What a benchmark is, and the registry of benchmarks.

A benchmark is either a way to read records of a file (one :class:`Form` per layout that is in use) or a
function that makes its cases itself. Third parties register a :class:`Benchmark` with
``BENCHMARKS.add``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from truing.benchmarks import files
from truing.benchmarks.draft import Draft, Note, Rejected, Rules
from truing.benchmarks.files import Contents, Source
from truing.benchmarks.forms import Form
from truing.benchmarks.sampling import Sampling
from truing.errors import BadInput, UnknownName
from truing.registry import Entry, Registry
from truing.types import Case

__all__ = [
    "BENCHMARKS", "Benchmark", "Draft", "Form", "Note", "Options", "Rejected", "Rules", "Sampling", "Source",
    "parse_options",
]  # fmt: skip


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
