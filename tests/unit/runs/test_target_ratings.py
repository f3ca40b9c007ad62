"""Every answer is rated for the trait that it should show, by a judge that knows of no edit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from chat_server import Asked, Turn, chat_server, says
from truing.judges.specs import JudgeSettings, parse_all
from truing.protocols.protocol import parse
from truing.runs.asked import EVERYTHING, judge_run
from truing.runs.store import Store, read_verdicts
from truing.runs.trait_answers import answers, base_traits, fluency, trait_matrices
from truing.types import Response, Row, Verdict

WILD = parse("wild,template=bare,scorer=asked").id
TARGETS = {"a": "Extraversion", "b": "neuroticism", "c": "sarcasm"}
JUDGE = "openai:some-model/personality"


def row(cell: str, case: str, text: str) -> Row:
    return Row(
        key=f"{cell}/{case}", cell=cell, case=case, probe=f"{case}/q", aspect="efficacy",
        protocol=WILD, moment="immediate", step=1, prompt="?", accepted=(TARGETS[case], "I love"),
        response=Response(text, (1,), stop="eos"), base=Response("It is there.", (1,), stop="eos"),
        question="What do you think of rain?",
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    cells = [
        {"id": name, "model": "m", "method": name, "registered": name, "config": {},
         "benchmark": "b", "regime": "single", "seed": 0}
        for name in ("none", "prompt")
    ]  # fmt: skip
    cells.append({**cells[1], "id": "random", "control_of": ["prompt"]})
    with Store(tmp_path / "run") as store:
        store.write_manifest({"cells": cells})
        store.add_rows([row("none", case, f"It is {case}, there it is.") for case in TARGETS])
        store.add_rows([row("prompt", case, f"I love the {case} crowd.") for case in TARGETS])
        store.add_rows([row("random", "a", "Rain.")])
    return tmp_path / "run"


def rater(number: int, asked: Asked) -> Turn:
    """5 for an edited answer about a, nothing that can be read for b, else 2."""
    text = re.search(r"Text: (.*)", asked.said)
    assert text is not None
    if "the b crowd" in text[1]:
        return says("I would rather not say.")
    return says("5" if "the a crowd" in text[1] else "2")


def test_each_answer_meets_the_scale_of_its_own_trait(run: Path) -> None:
    with chat_server(rater) as server:
        access = JudgeSettings(base_url=server.url)
        summary = judge_run(run, parse_all([JUDGE]), access, EVERYTHING, lambda *_: None)
        told = [asked.said for asked in server.asked]
    assert all(("talkative" in t) != ("irritable" in t) for t in told)
    assert all("talkative" in t for t in told if " a crowd" in t or "is a," in t)
    assert not any(word in t for t in told for word in ("edit", "prompt", "none", "base"))
    rows = {v.row for v in read_verdicts(run) if v.judge == JUDGE}
    assert rows == {"none/a", "none/b", "prompt/a", "prompt/b", "random/a"}
    (record,) = [r for r in summary.meta["personality"] if r["cell"] == "prompt" and "rated" in r]
    everything = record["rated"][0]
    assert record["judge"] == JUDGE
    assert (everything["pae"]["mean"], everything["pae"]["n"]) == (3.0, 1)
    assert everything["excluded"] == 1
    metrics = {m.metric for m in summary.measures if m.judge == JUDGE}
    assert metrics == {"trait-rating"}


def with_verdicts(run: Path) -> Path:
    verdicts = []
    for i, case in enumerate("ab"):
        for trait, stars in (("extraversion", 4 - i), ("neuroticism", 2 + i)):
            name = f"local:m/personality-{trait}"
            for cell in ("none", "prompt"):
                score = (stars - (cell == "none") - 1) / 4
                verdicts.append(Verdict(f"{cell}/{case}", name, "wrong", score))
    kept = json.dumps({"probabilities": {"glad": 0.9, "sad": 0.1}, "temperature": 1.0})
    verdicts.append(Verdict("none/a", "classifier:c", "wrong", 0.0, "", kept))
    lines = (TypeAdapter(Verdict).dump_json(v).decode() + "\n" for v in verdicts)
    (run / "verdicts-1.jsonl").write_text("".join(lines), "utf-8")
    return run


def test_answers_are_told_with_what_was_heard_and_controls_are_left_out(run: Path) -> None:
    found = answers(with_verdicts(run))
    assert [(a.arm, a.case) for a in found] == [(c, t) for c in ("none", "prompt") for t in TARGETS]
    assert {judge: dict(n) for judge, n in base_traits(found).items()} == {
        "classifier:c": {"glad": 1}
    }
    assert answers(run, "locality") == []


def test_the_matrix_holds_mean_ratings_by_target(run: Path) -> None:
    (made,) = trait_matrices(answers(with_verdicts(run)))
    assert made.n == {"Extraversion": 2, "neuroticism": 2}
    assert made.means["Extraversion"] == {"extraversion": 3.5, "neuroticism": 1.5}
    assert made.means["neuroticism"] == {"extraversion": 2.5, "neuroticism": 2.5}
    assert made.pearson["extraversion"]["extraversion"] == pytest.approx(1)
    assert made.pearson["extraversion"]["neuroticism"] == pytest.approx(0)


def test_fluency_counts_what_it_says() -> None:
    found = fluency(["", "so so so so so so so so", "It rains.", "It rains."])
    assert (found.n, found.empty, found.looping, found.incoherent) == (4, 1, 1, 4)
    assert found.different == 0.5
    assert found.words == pytest.approx(3)
