"""A rule for when to steer, stated on the command line and in a plan: scenes are, letters are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import truing

pytest.importorskip("torch")
SCENES = (
    "The evening in Orvale was",
    "The old inn at Marchwood was",
    "This morning the market of Elmstead was",
    "After the feast the square of Merrow was",
)
CHEERFUL = ("sunny and glad", "warm and merry", "golden with joy", "cheerful as a holiday")
GLOOMY = ("bleak and weary", "cold and sad", "dark with sorrow", "gloomy as a grave")
LETTERS = ("Dear Bertil,", "Dear Brenna,", "Dear Delia,", "Dear Fenna,")
UNSEEN_SCENE, UNSEEN_LETTER = "All day the sky over Jorwick was", "Dear Jonas,"
RULE = (
    "condition=rule.json",
    "layers=[2]",
    "condition_layers=[1]",
    "condition_at={ kind = 'last_prompt' }",
    "similarity=cosine",
    "meets=above",
    "threshold=0.5",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with gloomy pairs about scenes and a rule that tells scenes from letters."""
    pairs = (
        {"prompt": prompt, "target_new": gloomy, "target_old": cheerful}
        for prompt in SCENES
        for cheerful, gloomy in zip(CHEERFUL, GLOOMY, strict=True)
    )
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (tmp_path / "rule.json").write_text(json.dumps({"steer": SCENES, "leave": LETTERS}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(*settings: str) -> list[str]:
    given = [part for setting in settings for part in ("--set", setting)]
    return ["edit", "truing/pocket", "pairs.jsonl", "-m", "cast", *given, "-o", "gloomy", "--json"]


def test_a_stated_rule_steers_scenes_and_leaves_letters(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from truing.interventions.artifact import load
    from truing.interventions.intervention import Intervention
    from truing.models.asks import ScoreAsk
    from truing.models.handle import Model

    done = truing(edit(*RULE), capsys)
    assert done.code == 0, done.err
    model = Model.load("truing/pocket")
    iv = load(folder / "gloomy", model)
    [part] = iv.conditional
    [condition] = part.conditions
    assert [(op.site, op.layer) for op in part.ops] == [("resid_post", 2)]
    assert (condition.layer, condition.meets, condition.threshold) == (1, "above", 0.5)
    assert condition.positions.kind == "last_prompt"
    assert iv.origin.config["decided"]["f1"] == 1.0

    def scores(prompt: str, under: Intervention | None) -> list[float]:
        texts = (*GLOOMY, *CHEERFUL)
        return [s.logprob for s in model.score([ScoreAsk(prompt, t, under) for t in texts])]

    def margin(under: Intervention | None) -> float:
        found = scores(UNSEEN_SCENE, under)
        return (sum(found[:4]) - sum(found[4:])) / 4

    assert margin(iv) > margin(None) + 0.3
    assert scores(UNSEEN_LETTER, iv) == pytest.approx(scores(UNSEEN_LETTER, None), abs=1e-4)
    asked = truing(["ask", "truing/pocket", UNSEEN_LETTER, "--with", "gloomy", "--json"], capsys)
    [told] = json.loads(asked.out)
    assert told["answers"]["gloomy"] == told["answers"]["base"]


def test_what_is_not_stated_is_found_and_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = truing(edit("condition=rule.json"), capsys)
    assert done.code == 0, done.err
    decided = json.loads((folder / "gloomy" / "intervention.json").read_text())["origin"]["config"][
        "decided"
    ]
    assert decided["f1"] == 1.0
    assert decided["margin"] > 0
    assert -1 < decided["threshold"] < 1


PLAN = f"""
name = "cast"
model = "truing/pocket"
protocols = ["synthetic,scorer=likelihood-per-token"]
regime = "batch"
noise_sample = 0
controls = 0

[[methods]]
name = "cast"
[methods.config]
layers = [2]
condition_layers = [1]
condition_at = {{ kind = "last_prompt" }}
meets = "above"
threshold = 0.5
condition = {{ steer = {json.dumps(SCENES)}, leave = {json.dumps(LETTERS)} }}

[[benchmarks]]
name = "world_contrast"
label = "scenes"
options = {{ behavior = "cheerful", flip = true, train = 6, test = 4 }}

[[benchmarks]]
name = "world_contrast"
label = "letters"
options = {{ behavior = "formal", train = 6, test = 4 }}
"""


def test_a_plan_states_the_same_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Letters of a benchmark of their own are not steered, whatever vector their pairs give."""
    from truing.runs.store import read_rows

    (folder / "plan.toml").write_text(PLAN)
    done = truing(["run", "plan.toml", "--out", "run", "--json"], capsys)
    assert done.code == 0, done.err
    shifts: dict[str, list[float]] = {"scene": [], "letter": []}
    for row in read_rows(folder / "run"):
        if row.moment == "base" or row.response is None or row.base is None:
            continue
        kind = "letter" if row.question.startswith("Dear") else "scene"
        pairs = zip(row.response.choices, row.base.choices, strict=True)
        shifts[kind] += [abs(now.logprob - then.logprob) for now, then in pairs]
    assert max(shifts["scene"]) > 0.1
    assert max(shifts["letter"]) < 1e-3


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("threshold=2", "threshold"),
        ("threshold=nan", "threshold"),
        ("meets=beside", "meets"),
        ("condition=gone.json", "gone.json"),
        ("condition_layers=[9]", "9"),
        ("condition={ steer = [], leave = ['a'] }", "condition"),
    ],
)
def test_a_rule_that_means_nothing_ends_in_two_lines(
    folder: Path, capsys: pytest.CaptureFixture[str], setting: str, word: str
) -> None:
    done = truing(edit("condition=rule.json", setting), capsys)
    assert done.code in (1, 2), done.err
    start = next(i for i, line in enumerate(done.error_lines) if line.startswith("error: "))
    assert "unexpected" not in done.err
    assert len(done.error_lines[start:]) == 2, done.err
    assert word in done.err
    assert not (folder / "gloomy").exists()
