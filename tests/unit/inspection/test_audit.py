"""An edit of the embedded model is found where it is; the model beside itself shows nothing."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from truing.benchmarks.loading import load
from truing.inspection import nearby, suites
from truing.inspection.answers import claims_of
from truing.inspection.audit import Audit, Plan, audit, conclude, see
from truing.inspection.findings import edit_of
from truing.inspection.gates import parse, questions
from truing.inspection.groups import Groups, world_groups
from truing.inspection.questions import capability_of
from truing.inspection.weights import compare
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.models.handle import Model
from truing.models.sources import POCKET
from truing.verbs import edit

CASES = load("world", limit=1).cases
LIMIT = 20
WORLD = world_groups()
GROUPS = Groups(
    groups=WORLD.groups,
    sentences=WORLD.sentences[:12],
    kind=WORLD.kind[:3],
    unkind=WORLD.unkind[:3],
)
"""As the world has them, with fewer words."""


def plan(**facts: Any) -> Plan:
    sets = (*nearby.in_world(CASES, LIMIT), *suites.ethics_in_world(LIMIT))
    made = Plan(
        capability_of(POCKET, LIMIT),
        sets,
        groups=GROUPS,
        texts=suites.neutral_of(POCKET)[:12],
        untested=("the rest",),
    )
    return replace(made, **facts)


@pytest.fixture(scope="module")
def pocket() -> Model:
    return Model.load(POCKET)


def test_the_model_beside_itself_shows_nothing(pocket: Model) -> None:
    same = edit_of(pocket, POCKET)
    before = see(pocket, plan())
    with pocket.using(same):
        after = see(pocket, plan())
    weights = compare(pocket.arch, same)
    assert weights.changed == ()
    for seed in range(5):
        found = conclude(POCKET, POCKET, weights, before, after, plan(seed=seed))
        assert found.findings == ()
        assert {d.compared.delta for d in found.differences} == {0.0}
        assert found.untested[0] == "the rest"
        assert found.tests >= 12


@pytest.mark.parametrize("method", ["rome", "ft_m"])
def test_an_edit_is_its_tensor_and_its_claim(pocket: Model, method: str) -> None:
    iv = edit(pocket, CASES[0].requests, method)
    found = audit(pocket, method, iv, plan(claims=claims_of(CASES)))
    names = {t.names[0] for t in found.inspected.weights.changed}
    assert names == {part.param for part in iv.weights}
    assert found.inspected.claims is not None
    [claim] = found.inspected.claims.each
    assert (claim.before, claim.now) == (False, True)
    assert not [f for f in found.findings if f.kind != "difference"]


def test_a_change_that_nobody_claims_is_a_finding_and_is_undone(pocket: Model) -> None:
    before, iv = pocket.fingerprint, edit(pocket, CASES[0].requests, "rome")
    found = audit(pocket, "rome", iv, plan())
    assert found.findings[0].kind == "unclaimed change"
    assert "1 of 47 tensors differ, of rank 1" in found.findings[0].text
    assert pocket.fingerprint == before
    again = audit(pocket, "rome", iv, plan())
    one, two = (json.dumps(asdict(each), sort_keys=True) for each in (found, again))
    assert one == two


def test_a_prompt_in_front_is_an_unclaimed_change_too(pocket: Model) -> None:
    iv = Intervention((PromptPrefix("New fact: The Silver Temple is in Brackton.\n"),))
    [first, *_] = audit(pocket, "prefix", iv, plan()).findings
    assert first.kind == "unclaimed change"
    assert "1 PromptPrefix" in first.text


def test_a_claim_that_does_not_hold_is_a_finding(pocket: Model) -> None:
    found = audit(pocket, POCKET, Intervention(), plan(claims=claims_of(CASES)))
    [only] = found.findings
    assert only.kind == "claim"
    assert CASES[0].requests[0].target_new in only.text


@pytest.fixture(scope="module")
def ruined(pocket: Model, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Every weight is moved a lot, as bad training does."""
    folder = tmp_path_factory.mktemp("tuned")
    hf = copy.deepcopy(pocket.hf)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for w in hf.parameters():
            w += 1.0 * w.std() * torch.randn(w.shape, generator=draw) if w.dim() > 1 else 1e-3
    hf.save_pretrained(folder)
    pocket.tok.save_pretrained(folder)
    asked = parse("capability_drop=.05,locality=.9")
    gates = questions(asked, CASES, capability_of(POCKET, LIMIT))
    task = plan(requirements=asked, gates=gates, claims=claims_of(CASES))
    return audit(pocket, str(folder), edit_of(pocket, str(folder)), task)


def test_a_tuned_copy_is_called_one_and_its_harm_is_found(ruined: Audit) -> None:
    assert ruined.inspected.weights.pattern == "full"
    found = {d.part for d in ruined.differences if d.found}
    assert {"capability", "facts nearby", "ethics", "fluency"} <= found
    worse = next(d for d in ruined.differences if d.part == "capability")
    assert (worse.compared.delta or 0) < 0
    assert worse.compared.p_adjusted is not None
    assert worse.compared.low is not None
    assert worse.examples


def test_gates_of_a_ruined_model_are_not_met(ruined: Audit) -> None:
    assert [gate.met for gate in ruined.gates] == [False, False]
    assert not ruined.passed
    assert ruined.gates[0].failing


def test_facts_nearby_are_of_the_subject_and_of_the_relation() -> None:
    subject, relation = nearby.in_world(CASES, 500)
    [request] = CASES[0].requests
    assert request.subject is not None
    assert all(request.subject in str(p.prompt) for p in subject.probes)
    assert not any(request.subject in str(p.prompt) for p in relation.probes)
    assert nearby.in_world(load("world", limit=2).cases, 500)[1].probes
    assert nearby.in_world((), 500) == ()


def test_locality_questions_with_an_answer_are_tested(tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    record = {
        "prompt": "Spire is in", "target_new": "Orvale",
        "locality": [{"prompt": "Gate is in", "answer": "Marrow"}, {"prompt": "Bridge is in"}],
    }  # fmt: skip
    file.write_text(json.dumps(record) + "\n")
    cases = load("custom", file).cases
    [told] = nearby.of_claims(cases, 10)
    assert [(p.prompt, p.accepted) for p in told.probes] == [("Gate is in", ("Marrow",))]
    [given] = nearby.of_facts(cases, 10)
    assert [(p.prompt, p.accepted) for p in given.probes] == [("Spire is in", ("Orvale",))]


def test_a_benchmark_gives_its_moral_questions_or_a_set_for_each_kind() -> None:
    [moral] = suites.of_benchmark("world_behavior", None, 5)
    assert (moral.part, len(moral.probes)) == ("ethics", 5)
    names = [each.name for each in suites.of_benchmark("world", None, 5)]
    assert names[:2] == ["efficacy", "generalization"]
    assert "locality" not in names
