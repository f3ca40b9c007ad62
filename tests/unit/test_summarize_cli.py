"""``truing summarize``: the table of ROME and MEMIT of a run."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.cli.main import app
from truing.errors import BadInput
from truing.runs.execute import execute
from truing.runs.plan import parse
from truing.runs.store import read_manifest, read_rows

LIKELIHOOD = "synthetic,scorer=likelihood-per-token"


def record(subject: str, new: str, true: str) -> dict[str, Any]:
    """A record in the published layout of CounterFact."""
    return {
        "case_id": subject,
        "requested_rewrite": {
            "prompt": "{} is in the city of",
            "relation_id": "P131",
            "target_new": {"str": new, "id": f"Q-{new}"},
            "target_true": {"str": true, "id": f"Q-{true}"},
            "subject": subject,
        },
        "paraphrase_prompts": [f"To see {subject}, go to", f"{subject} stands in"],
        "neighborhood_prompts": ["The Glass Gate is in the city of", "The Tin Gate is in"],
        "attribute_prompts": ["The Old Mill is in the city of"],
        "generation_prompts": [f"{subject} was built by"],
    }


def run_of(folder: Path, protocols: list[str]) -> Path:
    facts = [
        record("The Silver Temple", "Brackton", "Redclay"),
        record("The Iron Bridge", "Redclay", "Brackton"),
    ]
    (folder / "facts.json").write_text(json.dumps(facts), "utf-8")
    plan = parse(
        {
            "model": "truing/pocket", "methods": ["ft_m"], "benchmark": "counterfact",
            "data": "facts.json", "options": {"attributes": 1}, "protocols": protocols,
            "regimes": ["single"], "noise_sample": 0,
        },
        root=folder,
    )  # fmt: skip
    execute(plan, folder / "run")
    return folder / "run"


def magnitude(run: Path, aspect: str) -> float:
    """From the stored rows of the edited arm, every case asked equally often."""
    edited = {cell["id"] for cell in read_manifest(run)["cells"] if cell["method"] == "ft_m"}
    found = []
    for row in read_rows(run):
        if row.cell in edited and row.aspect == aspect and row.response and row.response.choices:
            first, second = (math.exp(c.logprob / c.n_tokens) for c in row.response.choices)
            found.append(first - second)
    assert len(found) == 4
    return fmean(found)


def test_the_whole_table(tmp_path: Path) -> None:
    run = run_of(tmp_path, [LIKELIHOOD, "synthetic", "wild-question"])
    snippets = [
        {
            "relation_id": "P131",
            "target_id": "Q-Brackton",
            "samples": [{"name": "a tower", "text": "The tower was built by Brackton."}],
        },
        {"target": "nowhere", "texts": ["Nobody was there."]},
    ]
    (tmp_path / "snippets.json").write_text(json.dumps(snippets), "utf-8")
    asked = [
        "summarize", str(run), "--references", str(tmp_path / "snippets.json"),
        "--csv", str(tmp_path / "table.csv"),
    ]  # fmt: skip
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    (table,) = json.loads(done.stdout)
    assert [line["method"] for line in table["lines"]] == ["none", "ft_m"]
    assert table["moment"] == "immediate"
    edited = table["lines"][1]["numbers"]
    assert {*edited} == {
        "S", "ES", "PS", "NS", "EM", "PM", "NM", "SA", "EA", "PA", "NA", "ST", "ET", "PT", "NT", "GE",
        "RS",
    }  # fmt: skip
    assert edited["ES"]["value"]["mean"] == edited["EA"]["value"]["mean"] == 1.0
    for name, aspect in (("PM", "generalization"), ("NM", "locality/neighborhood")):
        assert edited[name]["value"]["mean"] == pytest.approx(magnitude(run, aspect))
    assert edited["ES"]["value"]["n"] == edited["NS"]["value"]["n"] == 2
    assert edited["ES"]["protocol"].endswith("/likelihood-per-token")
    assert edited["EA"]["protocol"].endswith("/token-match")
    assert edited["ES"]["published"]["mean"] == 100.0
    assert edited["RS"]["value"]["n"] == 1
    assert table["notes"] == [
        "RS: 1 of 2 cases have no reference texts, the first: relation_id 'P131', target 'Redclay' "
        "(an entry without relation_id is for any relation)"
    ]
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == sum(len(line["numbers"]) for line in table["lines"])
    printed = CliRunner().invoke(app, ["summarize", str(run), "--published"])
    assert "100.00 (0.00)" in printed.output
    assert "no RS: it needs reference texts" in printed.output


def test_what_a_run_lacks_is_told_and_not_shown_as_zero(tmp_path: Path) -> None:
    run = run_of(tmp_path, ["synthetic"])
    done = CliRunner().invoke(app, ["summarize", str(run), "--json"])
    (table,) = json.loads(done.stdout)
    assert not {"S", "ES", "GE", "RS"} & {*table["lines"][1]["numbers"]}
    assert table["notes"] == [
        "no ES, PS, NS, EM, PM, NM: add the protocol synthetic,scorer=likelihood-per-token to the plan",
        "no GE: add the protocol wild-question to the plan",
    ]
    free = run_of(tmp_path / "run", ["wild-question"])
    with pytest.raises(BadInput, match="no row about rewritten facts"):
        CliRunner().invoke(app, ["summarize", str(free)], catch_exceptions=False)


def test_of_prompts_without_a_second_text_there_is_nothing_to_compare(tmp_path: Path) -> None:
    fact = {
        "prompt": "The Silver Temple is in the city of", "target_new": "Brackton",
        "locality": [{"prompt": "The Tin Gate is in the city of", "answer": "Velt"}],
    }  # fmt: skip
    (tmp_path / "facts.jsonl").write_text(json.dumps(fact), "utf-8")
    plan = parse(
        {
            "model": "truing/pocket", "methods": ["none"], "benchmark": "custom", "data": "facts.jsonl",
            "protocols": [LIKELIHOOD, "synthetic"], "regimes": ["single"], "noise_sample": 0,
        },
        root=tmp_path,
    )  # fmt: skip
    execute(plan, tmp_path / "run")
    done = CliRunner().invoke(app, ["summarize", str(tmp_path / "run"), "--json"])
    (table,) = json.loads(done.stdout)
    assert {*table["lines"][0]["numbers"]} == {"EA", "NA", "ET", "NT", "SA", "ST"}
    assert table["lines"][0]["numbers"]["SA"]["value"]["mean"] is None
    assert table["notes"] == [
        "no ES, PS, NS, EM, PM, NM: the benchmark asks nothing of that kind",
        "no PA, PT: the benchmark asks nothing of that kind",
        "no GE: add the protocol wild-question to the plan",
        "N is locality: the benchmark marks no neighbourhood",
    ]


def test_references_must_name_a_target_and_the_data_must_be_there(tmp_path: Path) -> None:
    run = run_of(tmp_path, [LIKELIHOOD, "wild-question"])
    file = tmp_path / "references.jsonl"
    asked = ["summarize", str(run), "--references", str(file)]
    file.write_text(json.dumps({"relation_id": "P131", "texts": ["Somebody was there."]}), "utf-8")
    with pytest.raises(BadInput, match="no target"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    file.write_text(json.dumps({"target": "brackton", "texts": ["It was there."]}), "utf-8")
    assert CliRunner().invoke(app, asked).exit_code == 0
    (tmp_path / "facts.json").write_text(json.dumps([record("A", "B", "C")]), "utf-8")
    with pytest.raises(BadInput, match="changed since"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
