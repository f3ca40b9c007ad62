"""Published tables from their files, and beside a run."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.cli.main import app
from truing.errors import BadInput, UnknownName
from truing.runs import references, referred
from truing.types import Measure, Value

DATA = Path(os.environ.get("TRUING_DATA", "../shared/data"))
HEAD = (
    "eval_dataset,model,method,variant,direction,n_rows,acc_pre,acc_post,strict_acc_pre,"
    "strict_acc_post,abstention_pre,abstention_post,invalid_pre,invalid_post\n"
)
LINES = (
    "socialchemistry-100,llama3-8b,FT-M,,2bad,400,98.9,58.8,94,35.8,0,39,5,0\n"
    "socialchemistry-100,llama3-8b,ROME,,2bad,400,98.9,73.5,94,73.5,0,0,5,\n"
    "socialchemistry-100,mistral-7b,FT-M,api,2abstention,400,97,73,97,73,0,0,0,0\n"
)
IMPACT = references.table("behaviorbench:impact-table")
PROTOCOL = "bare/greedy/natural/as-asked"


def write(folder: Path, text: str) -> Path:
    (folder / IMPACT.file).write_text(text)
    return folder


def test_a_line_is_one_number_of_each_kind_as_a_share(tmp_path: Path) -> None:
    found = references.read(IMPACT, write(tmp_path, HEAD + LINES))
    assert len(found) == 3 * len(IMPACT.quantities)
    first, strict = found[:2]
    assert (first.dataset, first.model, first.method, first.direction, first.n) == (
        "socialchemistry-100", "llama3-8b", "FT-M", "2bad", 400,
    )  # fmt: skip
    assert (first.before, first.after) == pytest.approx((0.989, 0.588))
    assert (strict.quantity.name, strict.after) == ("strict", 0.358)


def test_an_empty_cell_is_missing_and_no_zero(tmp_path: Path) -> None:
    rome_invalid = references.read(IMPACT, write(tmp_path, HEAD + LINES))[7]
    assert (rome_invalid.method, rome_invalid.quantity.name) == ("ROME", "invalid")
    assert rome_invalid.before == 0.05
    assert rome_invalid.after is None
    assert referred.percents(rome_invalid) == "5.0 → — %"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD.replace("strict_acc_post", "other") + LINES, "no column strict_acc_post"),
        (HEAD + LINES.replace("58.8", "158.8"), "acc_post is '158.8'"),
        (HEAD + LINES.replace("58.8", "nan"), "acc_post is 'nan'"),
        (HEAD + LINES.replace("58.8", "many"), "acc_post is 'many'"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused_in_two_lines(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        references.read(IMPACT, write(tmp_path, text))
    assert said in refused.value.what
    assert len(str(refused.value).splitlines()) == 2


def test_the_table_must_be_there_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no files named"):
        references.read(IMPACT, tmp_path)
    (tmp_path / "again").mkdir()
    write(tmp_path, HEAD + LINES)
    write(tmp_path / "again", HEAD + LINES)
    with pytest.raises(BadInput, match="holds 2 files named"):
        references.read(IMPACT, tmp_path)
    assert references.read(IMPACT, tmp_path / IMPACT.file)


def test_models_and_methods_are_chosen_by_the_papers_names_or_ours(tmp_path: Path) -> None:
    found = references.read(IMPACT, write(tmp_path, HEAD + LINES))
    assert {r.method for r in references.chosen(found, "llama3-8b", ["rome"])} == {"ROME"}
    assert {r.model for r in references.chosen(found, None, ["FT-M"])} == {
        "llama3-8b",
        "mistral-7b",
    }
    with pytest.raises(UnknownName, match="llama3-8b"):
        references.chosen(found, "llama3", None)
    with pytest.raises(UnknownName):
        references.chosen(found, None, ["memit"])


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA} (TRUING_DATA)")
@pytest.mark.parametrize("name", references.TABLES)
def test_every_table_reads_its_file(name: str) -> None:
    wanted = references.table(name)
    found = references.read(wanted, DATA / name.partition(":")[0])
    assert {r.quantity.name for r in found} == {q.name for q in wanted.quantities}
    assert all(r.after is None or 0 <= r.after <= 1 for r in found)
    assert {r.method for r in found} <= set(references.METHODS.values())


@pytest.mark.parametrize(
    ("benchmark", "options", "path", "name"),
    [
        ("moralchoice", {"form": "open"}, "d/moralchoice_low_ambiguity_100.json", "moralchoice-open-low-ambiguity"),
        ("moralchoice", {"form": "two-choice"}, "moralchoice_high_ambiguity_101.json", "moralchoice-two-choice-high-ambiguity"),
        ("moralchoice", {"form": "open"}, "my-own.json", ""),
        ("ethics", {"subset": "hard-short"}, "ethics", "ethics-hard-short"),
        ("ethics", {"subset": "justice"}, "ethics", "ethics-justice"),
        ("jiminy", {"neutral": False}, "jiminy_sub_100.json", "jiminy-subset"),
        ("jiminy", {"neutral": True}, "test.parquet", "jiminy-neutral"),
        ("world_behavior", {"direction": "bad"}, None, ""),
    ],
)  # fmt: skip
def test_data_has_the_papers_name_where_it_is_the_papers_data(
    benchmark: str, options: dict[str, Any], path: str | None, name: str
) -> None:
    told = {"benchmark": benchmark, "options": options, "path": path}
    assert referred.dataset_of(told) == name


def a_run(folder: Path, direction: str = "bad") -> Path:
    """A run of ft_m and lora on Social Chemistry, with a summary and no rows."""
    cells = [
        {
            "id": method, "model": "meta-llama/Meta-Llama-3-8B-Instruct", "method": method,
            "registered": method, "benchmark": "label", "regime": "single", "seed": 0,
            "protocols": [PROTOCOL],
        }
        for method in ("none", "ft_m", "lora")
    ]  # fmt: skip
    value = asdict(Value(9, 0.5, 0.2, 0.8))
    measures = ("accuracy", "strict", "abstention", "invalid", "declined")
    moral = {name: {**value, "mean": 0.1 * i} for i, name in enumerate(measures)}
    records = [
        {"cell": cell["id"], "protocol": PROTOCOL, "aspect": "impact", "moment": "immediate",
         "step": 1, "moral": moral}
        for cell in cells
    ]  # fmt: skip
    yes = Measure(
        "ft_m", "m", "ft_m", "label", "single", "immediate", 1, PROTOCOL, "generalization/yes",
        "generalization", "as-asked", Value(9, 0.4),
    )  # fmt: skip
    strict = {**asdict(yes), "judge": "as-asked-strict", "compatibility": True}
    strict["value"]["mean"] = 0.3
    data = {
        "label": {
            "benchmark": "social_chemistry",
            "options": {"direction": direction},
            "path": "s.json",
        }
    }
    folder.mkdir()
    manifest = {"format": 1, "name": "r", "cells": cells, "data": data}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "rows-0.jsonl").write_text("")
    summary = {"format": 1, "measures": [asdict(yes), strict], "meta": {"morals": records}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_a_runs_numbers_stand_beside_the_papers_for_the_same_model_data_and_direction(
    tmp_path: Path,
) -> None:
    found = references.read(IMPACT, write(tmp_path, HEAD + LINES))
    both = referred.beside(found, a_run(tmp_path / "run"), None)
    assert [(b.reference.method, b.arm) for b in both[::4]] == [("FT-M", "ft_m"), ("ROME", "")]
    published, strict = both[0], both[1]
    assert (published.before, published.after) == (ours(0.0), ours(0.0))
    assert strict.after is not None
    assert strict.after.mean == pytest.approx(0.1)
    assert referred.told(both)["ft_m"][1] == "impact, strict: 94.0 → 35.8 %"


def ours(mean: float) -> Value:
    return Value(9, mean, 0.2, 0.8)


def test_another_direction_or_model_is_not_put_beside(tmp_path: Path) -> None:
    found = references.read(IMPACT, write(tmp_path, HEAD + LINES))
    run = a_run(tmp_path / "run", "good")
    assert referred.beside(found, run, None) == []
    assert referred.beside(found, run, "mistral-7b") == []


def test_toward_abstention_the_papers_accuracy_is_the_share_that_declines(tmp_path: Path) -> None:
    """Fault B11's other face: the published formula changes with the direction."""
    found = references.read(IMPACT, write(tmp_path, HEAD + LINES))
    both = referred.beside(found, a_run(tmp_path / "run", "abstention"), "mistral-7b")
    assert both[0].after is not None
    assert both[0].after.mean == pytest.approx(0.4)
    assert referred.told(both)["ft_m"][0].startswith("impact, as published (api)")


def test_answers_counted_by_another_standard_are_not_put_beside(tmp_path: Path) -> None:
    """Published yes and no questions count the moral answer: toward bad the opposite of the target."""
    generalization = references.table("behaviorbench:generalization")
    yes = next(q for q in generalization.quantities if q.name == "yes")
    run = {d: a_run(tmp_path / d, d) for d in ("bad", "good")}
    for direction, comparable in (("bad", False), ("good", True)):
        row = references.Reference(
            "socialchemistry-100", f"2{direction}", "llama3-8b", "FT-M", "", yes, 100, 0.1, 0.2
        )
        (both,) = referred.beside([row], run[direction], None)
        assert both.comparable is comparable
        assert (both.after is not None) is comparable
        if both.after is not None:
            assert both.after.mean == 0.3


def test_a_hallueditbench_run_finds_its_model_by_the_papers_folder_name(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["data"]["label"] = {"benchmark": "hallueditbench", "options": {}, "path": "d"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    overall = references.table("hallueditbench:overall")
    rows = [
        references.Reference("", "", "meta_llama_3_8b_instruct", "FT-M", "", q, 2230, 0.5, 0.6)
        for q in overall.quantities
    ]
    found = {b.reference.quantity.name: b for b in referred.beside(rows, run, None)}
    assert found["yes"].after is not None
    assert found["no"].after is None
    assert all(b.comparable for b in found.values())
    assert referred.beside(rows, run, "llama_2_7b_chat_hf") == []


def test_the_verb_prints_the_table_and_a_run_beside_it(tmp_path: Path) -> None:
    data, run = write(tmp_path, HEAD + LINES), a_run(tmp_path / "run")
    name = "behaviorbench:impact-table"
    given = ["reproduce", name, "--data", str(data)]
    printed = CliRunner().invoke(app, [*given, "--like", "llama3-8b"], env={"COLUMNS": "160"})
    assert printed.exit_code == 0
    assert "98.9 → 58.8" in printed.stdout
    beside = CliRunner().invoke(app, [*given, "--run", str(run)], env={"COLUMNS": "200"})
    assert "10.0 → 10.0 [20.0, 80.0]" in beside.stdout
    told = CliRunner().invoke(app, [*given, "--run", str(run), "--method", "ft_m", "--json"])
    assert {b["arm"] for b in json.loads(told.stdout)} == {"ft_m"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["behaviorbench:impact-table", "--model", "m"], "no model is run"),
        (["behaviorbench:impact-tables"], "unknown published table"),
        (["wild:table", "--run", "r"], "not shown beside a run"),
    ],
)
def test_the_verb_refuses_what_it_cannot_show(tmp_path: Path, more: list[str], said: str) -> None:
    refused = CliRunner().invoke(app, ["reproduce", *more, "--data", str(tmp_path)])
    assert isinstance(refused.exception, BadInput)
    assert said in refused.exception.what
