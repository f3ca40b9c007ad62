"""IKE: the new fact after demonstrations of what a new fact changes and what it leaves alone.

Zheng et al. 2023, "Can We Edit Factual Knowledge by In-Context Learning?" Every record of a training
file gives three demonstrations: *copy* (the fact, asked as it is told), *update* (asked in other
words) and *retain* (another fact, which stays). Those most similar to the edit stand in front, most
similar first, then the new fact and what is asked:

    New Fact: {p} {t}
    Prompt: {p} {t}          or {rephrase} {t}, or {another prompt} {its own answer}

    ...
    New Fact: {p} {t}
    Prompt: {question}

What the reference got wrong: its cache of embeddings is named after the size of the training set, not its
content; it can only teacher-force, for one edit at a time, and nothing of it can be saved; nothing keeps
the record that is edited from being its own demonstration. Here a demonstration that names an edited
subject or holds an edited prompt is never used, several edits share one context, and what that context
costs is in the origin. The paper's fixed shares of the three kinds and its order (nearest last) are not
those of the reference, which takes what is nearest of all three; Truing follows the reference.

Demonstrations should come from other records than those that are measured: a *retain* line that happens
to be somebody's locality question gives its answer away. For the embedded model they are the last
``RESERVED`` facts of its world in the order of the benchmark ``world``, which smaller runs do not reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from truing.benchmarks.benchmark import BENCHMARKS
from truing.benchmarks.loading import load
from truing.errors import BadInput, BadRequest, NotPossible
from truing.interventions.intervention import Intervention, Origin, Part, PromptPrefix
from truing.methods.context import ROOM, named, tell, telling
from truing.methods.method import Method, MethodConfig
from truing.methods.requests import check
from truing.methods.retrieval import Retriever, Sentences, TfIdf
from truing.methods.settings import given, key_of
from truing.methods.training.evidence import wanted
from truing.models.handle import Model
from truing.models.spans import spaced
from truing.models.subject import Subject
from truing.types import Case, EditRequest

FACT, LEAD = "New Fact: ", "Prompt: "
FACT_WORDING = "{prompt} {target}"
RESERVED = 200
Kind = Literal["tfidf", "sentence"]


class IkeConfig(MethodConfig):
    """Where demonstrations come from and how many are told; None means: the model's tuned value."""

    demonstrations: Path | None = Field(
        None,
        description="file of records with rephrases and locality, in the layout of the benchmark; "
        "none is needed for the embedded model",
    )
    benchmark: str | None = Field(
        None,
        description="how demonstrations are read: custom (where a file is given), personality, ...; or the "
        "embedded benchmark that they are of: world (the embedded model's), world_personality",
    )
    wording: str = Field(
        FACT_WORDING,
        description="how an edit is told; {prompt}, {target}, {subject} are its fields, {trait}, "
        "{person}, {behavior} what its tags say",
    )
    k: int | None = Field(None, ge=0, description="demonstrations per edit")
    retriever: Kind = Field("tfidf", description="tfidf, or sentence (needs sentence-transformers)")
    encoder: str = Field("all-MiniLM-L6-v2", description="the sentence encoder")
    max_tokens: int | None = Field(
        None, ge=1, description="leave out demonstrations, the last first, beyond this many tokens"
    )

    @field_validator("wording")
    @classmethod
    def _names_what_is_wanted(cls, wording: str) -> str:
        return telling(wording)


@dataclass(frozen=True, slots=True)
class Tuned:
    """``max_tokens`` None: nothing is left out, a context that is too long is refused."""

    k: int = 16
    max_tokens: int | None = None


TABLE = {"pocket": Tuned(k=1, max_tokens=384)}
"""Other models: the published 16. The embedded one follows a fact less, the more it is shown."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A demonstration, what it asks, and the request of the record it comes from."""

    text: str
    asked: str
    request: EditRequest


def told(request: EditRequest, wording: str = FACT_WORDING) -> str:
    """``New Fact: {prompt} {target}``, or what else the wording says, on a line of its own."""
    return f"{FACT}{tell(request, wording)}\n"


def demonstrations(case: Case, wording: str = FACT_WORDING) -> Iterator[Demonstration]:
    """Copy, update and retain, as far as the record has another phrasing and another fact.

    Of an opinion, update is another one of the same trait; nothing is known to be retained.
    """
    request = case.requests[0]
    update = next(wanted(case), None)
    other = next((p for p in case.probes if p.aspect.startswith("locality") and p.reference), None)
    asked = [(request.prompt, request.target_new)]
    if update is not None:
        asked.append((update.prompt, update.target_new))
    if other is not None:
        asked.append((str(other.prompt), str(other.reference)))
    for prompt, answer in asked:
        text = f"{told(request, wording)}{LEAD}{prompt}{spaced(prompt, answer)}\n\n"
        yield Demonstration(text, prompt, request)


@dataclass(frozen=True)
class Pool:
    """Demonstrations, how the similar ones are found, and what to record about them."""

    texts: tuple[Demonstration, ...]
    retriever: Retriever
    note: dict[str, Any]
    wording: str = FACT_WORDING

    def similar(self, request: EditRequest) -> Iterator[Demonstration]:
        """Most similar first, to the edit told and asked as it is; those of the same trait, where tags
        name one, before all others."""
        if self.texts:
            query = f"{told(request, self.wording)}{LEAD}{request.prompt}\n\n"
            ranked = [self.texts[at] for at in self.retriever.ranked(query)]
            yield from sorted(ranked, key=lambda each: named(each.request) != named(request))


def _key(model: Subject) -> str | None:
    """The model's key in :data:`TABLE`; one behind a server has none."""
    return key_of(model) if isinstance(model, Model) else None


def _pool(model: Subject, config: IkeConfig) -> Pool:
    if config.demonstrations is not None:
        path = config.demonstrations.expanduser()
        modified = path.stat().st_mtime_ns if path.exists() else 0
        return _read(str(path), modified, config.benchmark or "custom", _how(config))
    if config.benchmark is not None or _key(model) == "pocket":
        return _read(None, 0, config.benchmark or "world", _how(config))
    raise BadInput(
        f"ike has no demonstrations for '{model.name}'",
        "Set demonstrations to a file of records with rephrases and locality; ice needs none.",
    )


def _how(config: IkeConfig) -> tuple[str, Kind, str]:
    return config.wording, config.retriever, config.encoder


@lru_cache(maxsize=2)
def _read(path: str | None, modified: int, benchmark: str, how: tuple[str, Kind, str]) -> Pool:
    """Remembered by file and time of change: a chain of edits asks for the same pool every time.

    Of a benchmark with a part for training, that part; of other embedded ones, the reserved cases.
    """
    wording, retriever, encoder = how
    part = BENCHMARKS.get(benchmark).training
    loaded = load(benchmark, path, options=part)
    cases = loaded.cases if path is not None or part is not None else loaded.cases[-RESERVED:]
    texts = tuple(each for case in cases for each in demonstrations(case, wording))
    note = {
        "source": loaded.source.path,
        "sha256": loaded.source.sha256,
        "records": len(cases),
        "unusable": len(loaded.quarantined),
    }
    plain = [each.text for each in texts]
    found = TfIdf(plain) if retriever == "tfidf" else Sentences(plain, encoder)
    return Pool(texts, found, note, wording)


def _names(name: str | None, text: str) -> bool:
    """Whether ``text`` holds ``name`` as whole words."""
    wanted = re.escape((name or "").strip())
    return bool(wanted) and re.search(rf"(?<!\w){wanted}(?!\w)", text, re.IGNORECASE) is not None


def _mentions(text: str, requests: Sequence[EditRequest]) -> bool:
    """Whether a demonstration is about something that is edited."""
    return any(_names(r.subject, text) or _names(r.prompt, text) for r in requests)


def _chosen(pool: Pool, requests: Sequence[EditRequest], facts: str, k: int) -> list[str]:
    """The ``k`` most similar ones of each request; everybody's best first, then the second best."""

    def usable(each: Demonstration) -> bool:
        about = (each.request.subject, each.request.prompt, each.asked)
        return not _mentions(each.text, requests) and not any(_names(x, facts) for x in about)

    lists = []
    for request in requests:
        usables = (each.text for each in pool.similar(request) if usable(each))
        lists.append([text for text, _ in zip(usables, range(k), strict=False)])
    rounds = zip_longest(*lists)
    return list(dict.fromkeys(text for round in rounds for text in round if text is not None))


@dataclass(frozen=True)
class _Context:
    """What a total tells: other methods' prefixes, demonstrations, facts, then the lead."""

    others: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    @classmethod
    def of(cls, iv: Intervention) -> _Context:
        texts = [part.text for part in iv.prefixes if part.text != LEAD]
        shown = [t for t in texts if t.startswith(FACT) and t.endswith("\n\n")]
        facts = [t for t in texts if t.startswith(FACT) and not t.endswith("\n\n")]
        others = [t for t in texts if not t.startswith(FACT)]
        return cls(tuple(others), tuple(shown), tuple(facts))

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.others, *self.shown, *self.facts, LEAD)

    def tokens(self, model: Subject) -> int | None:
        """``None`` where the model's tokens are not known."""
        return len(model.speller.prompt_ids("".join(self.texts))) if model.has_weights else None

    def within(self, model: Subject, most: int | None) -> _Context:
        """With as many demonstrations as fit, from the first on."""
        shown = self.shown
        while most is not None and shown and (self._with(shown).tokens(model) or 0) > most:
            shown = shown[:-1]
        return self._with(shown)

    def _with(self, shown: tuple[str, ...]) -> _Context:
        return _Context(self.others, shown, self.facts)


def make(
    model: Subject,
    requests: Sequence[EditRequest],
    config: IkeConfig,
    so_far: Intervention | None = None,
) -> Intervention:
    """Demonstrations for the new facts, then those of earlier ones, then all facts in order.

    ``max_tokens`` cuts the demonstrations from their end: the least similar ones of the oldest edits.
    Raises ``BadRequest`` where the context does not fit, or the facts alone exceed ``max_tokens``.
    """
    check(model, requests, "ike", needs_subject=False)
    before = so_far if so_far is not None else Intervention()
    tuned = TABLE.get(_key(model) or "")
    settings = tuned or Tuned()
    k, most = given(config.k, settings.k), given(config.max_tokens, settings.max_tokens)
    if most is not None and not model.has_weights:
        raise NotPossible(
            f"ike: the tokens of '{model.name}' cannot be counted here",
            "Set k instead of max_tokens.",
        )
    pool = _pool(model, config) if k else Pool((), TfIdf(()), {})
    old = _Context.of(before)
    facts = (*old.facts, *(told(r, config.wording) for r in requests))
    fresh = _chosen(pool, requests, "".join(facts), k)
    kept = [text for text in old.shown if text not in fresh and not _mentions(text, requests)]
    wanted = _Context(old.others, (*fresh, *kept), facts)
    context = wanted.within(model, most)
    tokens = context.tokens(model)
    if tokens is not None:
        _check_room(model, context, tokens, most)
    record = {
        **config.model_dump(mode="json"),
        "k": k,
        "max_tokens": most,
        "settings": "published" if tuned is None else "table:pocket",
        "pool": dict(pool.note),
        "told": len(context.shown),
        "left_out": len(wanted.shown) - len(context.shown),
        "tokens": tokens,
    }
    origin = Origin.of(model, "ike", record, requests, so_far=so_far)
    parts: list[Part] = [part for part in before.parts if part not in before.prefixes]
    base = Intervention(tuple(parts), before.memo)
    return base.then([PromptPrefix(text) for text in context.texts], origin=origin)


def _check_room(model: Subject, context: _Context, tokens: int, most: int | None) -> None:
    limit = model.positions
    count = f"{len(context.shown)} demonstrations and {len(context.facts)} fact(s)"
    if most is not None and tokens > most:
        raise BadRequest(
            f"ike: the facts alone take {tokens} tokens; max_tokens is {most}",
            "Raise max_tokens, or tell fewer facts at a time.",
        )
    if limit is not None and tokens + ROOM > limit:
        raise BadRequest(
            f"ike: {count} take {tokens} tokens; '{model.name}' has {limit} positions, "
            f"{ROOM} of them kept for a question and its answer",
            "Set max_tokens to leave out the least similar demonstrations, or lower k.",
        )


def each(
    model: Subject, groups: Sequence[Sequence[EditRequest]], config: IkeConfig
) -> list[Intervention]:
    """A context of its own for every group."""
    return [make(model, group, config) for group in groups]


IKE = Method(
    name="ike",
    make=make,
    config=IkeConfig,
    summary="the new fact after demonstrations of what such facts change and what they do not",
    paper="Zheng et al. 2023 (IKE)",
    acts_on="prompt",
    tunes=("k",),
    by_text=True,
    each=each,
)
