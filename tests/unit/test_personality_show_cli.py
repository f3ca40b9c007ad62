"""``truing personality show``: what traits are and what is told, word for word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.benchmarks.loading import load
from truing.cli.main import app
from truing.errors import BadInput, UnknownName
from truing.judges.rubrics import RUBRICS

PERSONA = ("--set", 'wording="Answer as {person}: "', "--set", 'instruction=""')


def said(*args: str) -> str:
    result = CliRunner().invoke(app, ["personality", "show", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*args: str) -> Any:
    return json.loads(said(*args, "--json"))


def test_traits_have_definitions_facets_and_both_poles() -> None:
    found = told("traits")
    assert [trait["name"] for trait in found][:5] == [
        "extraversion", "agreeableness", "neuroticism", "conscientiousness", "openness"
    ]  # fmt: skip
    assert all(trait["definition"] and trait["facets"] and trait["adjectives"] for trait in found)
    [one] = told("traits", "openness")
    assert ", ".join(one["facets"]) in said("traits", "openness")
    with pytest.raises(UnknownName, match="shyness"):
        said("traits", "shyness")


def test_traits_of_ones_own_file(tmp_path: Path) -> None:
    file = tmp_path / "traits.toml"
    file.write_text(
        '[[trait]]\nname="shy"\nperson="a shy person"\ndefinition="says little"\n'
        'facets=["silence"]\nadjectives=["quiet"]\n'
    )
    assert [trait["name"] for trait in told("traits", "--traits", str(file))] == ["shy"]


def test_a_judges_prompt_is_what_the_rubric_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    answer = "Tea? I worry about tea. " * 9
    asked = ("judge-prompt", "personality", "--accepted", "neuroticism", "--answer", answer)
    found = told(*asked)
    [[system, user]] = found["chats"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert answer.strip() in user["content"]
    assert "emotionally unstable" in user["content"]
    assert found["digest"] == RUBRICS.get("personality").digest
    assert user["content"] in said(*asked), "no line is broken in a narrow window"
    assert "nothing else" in told(*asked, "--strict")["chats"][0][1]["content"]


def test_both_orders_of_a_pair_are_shown() -> None:
    one, other = told("judge-prompt", "preference")["chats"]
    assert one != other


def test_a_trait_that_is_not_rated_is_refused() -> None:
    with pytest.raises(BadInput, match="asks nothing"):
        said("judge-prompt", "personality", "--accepted", "shyness")


def test_an_edits_prompt_is_what_is_sent() -> None:
    case = load("world_personality").cases[0]
    found = told("edit-prompt", "prompt", *PERSONA)
    assert found["case"] == case.id
    person = next(tag for tag in case.requests[0].tags if tag.startswith("person:"))[7:]
    for texts in found["prompts"].values():
        assert texts["sent"].replace(f"Answer as {person}: ", "", 1) == texts["unedited"]
        assert texts["sent"] != texts["unedited"]
    assert {"efficacy", "leakage"} <= set(found["prompts"])


def test_a_memory_is_told_only_where_it_applies() -> None:
    scoped = ("edit-prompt", "serac_in_context", "--set", 'wording="Answer as {person}: "')
    prompts = told(*scoped)["prompts"]
    assert "Answer as" in prompts["efficacy"]["sent"]
    assert prompts["leakage"]["sent"] == prompts["leakage"]["unedited"]
    shown = said(*scoped)
    assert "[efficacy, under the edit]" in shown
    assert "[leakage, as without the edit]" in shown


def test_the_case_is_named_by_its_id_in_files_of_topics_too(tmp_path: Path) -> None:
    topics = [
        {
            "ent": name,
            "dry": [f"{name}, dry."] * 2,
            "warm": [f"O {name}!"] * 2,
            "target_per": "warm",
        }
        for name in ("tea", "rain")
    ]
    file = tmp_path / "test.json"
    file.write_text(json.dumps(topics), "utf-8")
    asked = ("edit-prompt", "ice", "--data", str(file), "--set", 'wording="Be {trait}. "')
    found = told(*asked, "--case", "rain")
    assert found["case"] == "rain"
    assert "Be warm. " in found["prompts"]["efficacy"]["sent"]
    with pytest.raises(UnknownName, match="snow"):
        said(*asked, "--case", "snow")
