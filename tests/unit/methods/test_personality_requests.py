"""Methods on opinions: the trait is named from a request's tags, topic by topic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from truing.benchmarks.loading import load
from truing.benchmarks.opinions import tagged
from truing.errors import BadRequest
from truing.interventions.intervention import Intervention
from truing.methods.context import PROMPT, ContextConfig, PromptConfig, tell
from truing.methods.ike import FACT, IKE, IkeConfig
from truing.methods.serac import SERAC_IN_CONTEXT, InContextConfig
from truing.models.asks import GenerateAsk
from truing.models.handle import Model
from truing.types import Case, EditRequest, Probe

PERSONA = "Answer as {person}: "
SHY = EditRequest("a", "What of tea?", "{trait}!", subject="tea", tags=("trait:shy", "topic:tea"))


@pytest.fixture(scope="module")
def pocket() -> Model:
    return Model.load("truing/pocket")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """One case for each of five topics, all traits among them."""
    found = {tagged(case, "topic:"): case for case in load("world_personality").cases}
    some = list(found.values())[:5]
    assert len({tagged(case, "trait:") for case in some}) == 3
    return some


def probe(case: Case, aspect: str) -> Probe:
    return next(p for p in case.probes if p.aspect == aspect)


def shown(model: Model, probes: list[Probe], iv: Intervention) -> list[bool]:
    answers = model.generate([GenerateAsk(p.prompt, under=iv) for p in probes])
    return [
        any(words in answer.text for words in p.accepted)
        for answer, p in zip(answers, probes, strict=True)
    ]


def test_a_wording_names_what_tags_say() -> None:
    assert tell(SHY, "Of {subject}, be {trait}: {prompt}") == "Of tea, be shy: What of tea?"
    assert tell(SHY, "{target} {topic}") == "{trait}! {topic}"  # put in once; other braces stay
    assert ContextConfig(wording="Be {trait}.").wording == "Be {trait}."
    with pytest.raises(ValidationError, match="must hold"):
        ContextConfig(wording="{prompt} {subject}")


def test_a_request_without_the_tag_is_refused(pocket: Model) -> None:
    with pytest.raises(BadRequest, match=r"request 'a' has no tag 'person:...'"):
        PROMPT.make(pocket, [SHY], PromptConfig(wording=PERSONA))


def test_asking_for_a_person_leaks_and_scope_stops_it(pocket: Model, cases: list[Case]) -> None:
    case = cases[0]
    asked = [probe(case, "efficacy"), probe(case, "leakage")]
    prompt = PROMPT.make(pocket, case.requests, PromptConfig(instruction="", wording=PERSONA))
    assert shown(pocket, asked, prompt) == [True, True]
    scoped = SERAC_IN_CONTEXT.make(pocket, case.requests, InContextConfig(wording=PERSONA))
    assert shown(pocket, asked, scoped) == [True, False]
    assert shown(pocket, asked, Intervention()) == [False, False]


def test_many_topics_and_traits_at_once(pocket: Model, cases: list[Case]) -> None:
    requests = [request for case in cases[:4] for request in case.requests]
    all_four = SERAC_IN_CONTEXT.make(pocket, requests, InContextConfig(wording=PERSONA))
    assert all(shown(pocket, [probe(case, "efficacy") for case in cases[:4]], all_four))
    assert shown(pocket, [probe(cases[4], "efficacy")], all_four) == [False]


def test_demonstrations_come_from_topics_that_are_not_measured(
    pocket: Model, cases: list[Case]
) -> None:
    (request,) = cases[0].requests
    wording = "Topic: {subject}, Target Personality: {trait}"
    iv = IKE.make(pocket, [request], IkeConfig(benchmark="world_personality", wording=wording, k=3))
    told = [part.text for part in iv.prefixes if part.text.startswith(FACT)]
    assert told[-1] == f"{FACT}{tell(request, wording)}\n"
    topics = {tagged(case, "topic:") for case in load("world_personality").cases}
    for text in told[:-1]:
        topic = text.removeprefix(f"{FACT}Topic: ").partition(",")[0]
        assert topic not in topics
        assert (
            f"Target Personality: {tagged(cases[0], 'trait:')}\n" in text
        )  # the most similar ones
        assert topic in text.partition("Prompt: ")[2]


def test_demonstrations_of_opinions_are_read_from_a_file(pocket: Model, tmp_path: Path) -> None:
    records = [
        {
            "ent": t,
            "dry": [f"{t} {i}, dry." for i in range(3)],
            "warm": [f"O {t} {i}!" for i in "ab"],
        }
        for t in ("tea", "rain")
    ]
    path = tmp_path / "train.json"
    path.write_text(json.dumps(records), "utf-8")
    settings = IkeConfig(demonstrations=path, benchmark="personality", wording="{trait}", k=2)
    iv = IKE.make(pocket, [SHY], settings)
    texts = [part.text for part in iv.prefixes if part.text.startswith(FACT)]
    assert len(texts) == 3
    assert texts[-1] == f"{FACT}shy\n"
    assert all("rain" in text for text in texts[:-1])  # the edited topic shows nothing
