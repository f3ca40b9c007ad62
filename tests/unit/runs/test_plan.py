from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from truing.errors import BadInput
from truing.runs.plan import Plan, parse
from truing.runs.plan_file import load

RAW: dict[str, Any] = {
    "model": "toy",
    "method": "nudge",
    "benchmark": "custom",
    "data": "facts.jsonl",
}


def plan(**values: Any) -> Plan:
    return parse({**RAW, **values}, root=Path("/plans"))


def test_the_baseline_is_always_there_and_first() -> None:
    assert [m.name for m in plan().methods] == ["none", "nudge"]
    assert [m.name for m in plan(method=["nudge", "none"]).methods] == ["none", "nudge"]
    assert [m.name for m in parse({"model": "toy", "benchmark": "world"}).methods] == ["none"]


def test_defaults_are_filled_in() -> None:
    found = plan()
    assert [r.id for r in found.regimes] == ["single"]
    assert [p.split("/")[1] for p in found.protocols] == ["teacher-forced", "greedy"]
    assert found.methods[1].config["size"] == 0.5


def test_relative_data_starts_at_the_plan(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "plan.toml"
    file.write_text('model = "toy"\nbenchmark = "custom"\ndata = "../facts.jsonl"\n')
    found = load(file)
    path = found.data_path(found.benchmarks[0])
    assert path is not None
    assert path.resolve() == (tmp_path / "facts.jsonl").resolve()


def test_a_resolved_plan_reads_back_equal_from_its_run_folder(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(
        'model = { name = "toy", revision = "abc" }\nseeds = [0, 3]\nregimes = ["batch-4", "sequential,every=2"]\n'
        'methods = [{ name = "nudge", label = "big", config = { size = 2.0, fail = ["x"] } }]\n'
        'benchmarks = [{ name = "custom", data = "facts.jsonl", limit = 5, sample = "seeded" }, "world"]\n'
        'protocols = ["wild,template=bare"]\njudges = ["exact-match"]\n'
    )
    first = load(tmp_path / "plan.toml")
    out = tmp_path / "runs" / "a"
    out.mkdir(parents=True)
    (out / "plan.toml").write_text(first.text(out))
    again = load(out)
    assert first.differences(again) == []
    assert again.data_path(again.benchmarks[0]).resolve() == (tmp_path / "facts.jsonl").resolve()  # type: ignore[union-attr]
    assert [c.id for c in again.cells()] == [c.id for c in first.cells()]
    assert str(tmp_path) not in (out / "plan.toml").read_text()
    assert load(out).folder() == out
    assert load(out, {"out": "elsewhere"}).folder() == Path("elsewhere")
    assert first.folder() == Path("runs/run")


def test_flags_win_over_a_benchmarks_own_values(tmp_path: Path) -> None:
    """A limit, a way of sampling and a file in a [[benchmarks]] table give way as those above it do."""
    (tmp_path / "p.toml").write_text(
        'model = "m"\n[[benchmarks]]\nname = "custom"\ndata = "a.jsonl"\nlimit = 100\n'
        "options = { max_chars = 50 }\n"
    )
    kept = load(tmp_path / "p.toml").benchmarks[0]
    assert (kept.limit, kept.data, kept.sample) == (100, "a.jsonl", "prefix")
    flags = {"limit": 7, "sample": "seeded", "data": str(tmp_path / "b.jsonl")}
    [given] = load(tmp_path / "p.toml", flags).benchmarks
    assert (given.limit, given.sample) == (7, "seeded")
    assert str(given.data).endswith("b.jsonl")
    assert given.options["max_chars"] == 50


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('model = "toy"\nbenchmark = "world"\nlimit = 5\nseed = 1\n')
    found = load(tmp_path / "plan.toml", {"seed": 7, "limit": 2, "methods": ["ice"]})
    assert (found.seeds, found.benchmarks[0].limit) == ((7,), 2)
    assert [m.name for m in found.methods] == ["none", "ice"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"modle": "x"}, ["modle", "model"]),
        ({"method": "nudg"}, ["nudg", "nudge"]),
        ({"benchmark": "custmo"}, ["custmo", "custom"]),
        ({"protocol": "synthetics"}, ["synthetics", "synthetic"]),
        ({"regime": "singel"}, ["singel", "single"]),
        ({"judge": "exact_match"}, ["exact_match", "exact-match"]),
        ({"method": {"name": "nudge", "config": {"sise": 1}}}, ["sise", "size"]),
        ({"method": {"name": "nudge", "size": 1}}, ["size", "config"]),
        ({"options": {"infer_subjects": True}}, ["infer_subjects", "infer_subject"]),
        ({"method": {"name": "nudge", "config": {"size": "big"}}}, ["size", "big"]),
        ({"limit": 0}, ["limit", "0"]),
        ({"at_once": 0}, ["at_once"]),
        ({"seeds": ["x"]}, ["seeds", "x"]),
        ({"models": "other"}, ["model"]),
    ],
)
def test_mistakes_are_named_with_what_was_meant(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        plan(**values)
    assert len(str(caught.value).splitlines()) <= 2
    for word in words:
        assert word in str(caught.value)


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(BadInput, match="3 problems") as caught:
        plan(methd="x", method="nudg", regime="singel")
    text = str(caught.value)
    assert len(text.splitlines()) == 2
    for word in ("methd", "nudg", "singel", "Did you mean nudge", "Did you mean single"):
        assert word in text


@pytest.mark.parametrize(
    "values",
    [
        {"method": ["nudge", "nudge"]},
        {"regimes": ["batch-3", "batch,chunk=3,moments=final"]},
        {"protocols": ["wild", "qa-instruction/greedy/natural/contains"]},
        {"seeds": [1, 1]},
        {"benchmarks": ["world", {"name": "world", "options": {"neighbors": 2}}], "data": None},
    ],
)
def test_nothing_is_asked_twice(values: dict[str, Any]) -> None:
    raw = {k: v for k, v in {**RAW, **values}.items() if v is not None}
    if "benchmarks" in values:
        raw.pop("benchmark")
    with pytest.raises(BadInput, match=r"twice|called"):
        parse(raw)


def test_a_method_may_be_there_twice_with_other_settings() -> None:
    found = plan(method=["nudge", {"name": "nudge", "config": {"size": 1.0}}])
    assert len({c.id for c in found.cells()}) == 3


def test_the_cells_seed_is_the_methods_unless_the_plan_sets_one() -> None:
    found = plan(seeds=[4], method=["nudge", {"name": "nudge", "config": {"seed": 9}}])
    assert [c.method.settings(c.seed).seed for c in found.cells()] == [4, 4, 9]


def test_differences_name_what_changed_and_pass_over_where_data_lies() -> None:
    moved = parse({**RAW, "data": "elsewhere/facts.jsonl"}, root=Path("/plans"))
    assert plan().differences(moved) == []
    other = plan(limit=3, method={"name": "nudge", "config": {"size": 1.0}})
    assert plan().differences(other) == ["benchmarks.0.limit", "methods.1.config.size"]


def test_a_file_that_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("model = \n")
    with pytest.raises(BadInput, match="not TOML"):
        load(tmp_path / "plan.toml")
    with pytest.raises(BadInput, match="cannot read the plan"):
        load(tmp_path / "gone.toml")


def test_plan_text_is_toml() -> None:
    assert tomllib.loads(plan().text(Path("/out")))["methods"][0]["name"] == "none"


def test_a_folder_given_for_several_benchmarks_holds_each_under_its_own_name(
    tmp_path: Path,
) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(
        'model = "m"\nmethods = ["ft_m"]\n'
        '[[benchmarks]]\nname = "custom"\nlabel = "one"\ndata = "here/a.jsonl"\n'
        '[[benchmarks]]\nname = "custom"\nlabel = "two"\ndata = "b.jsonl"\n'
        '[[benchmarks]]\nname = "world"\n',
        "utf-8",
    )
    plan = load(file, {"data": tmp_path / "there"})
    assert [plan.data_path(b) for b in plan.benchmarks] == [
        tmp_path / "there" / "a.jsonl", tmp_path / "there" / "b.jsonl", None,
    ]  # fmt: skip


def test_a_plan_that_names_no_method_runs_those_of_its_benchmark() -> None:
    named = parse({"model": "m", "benchmark": "hallueditbench", "data": "d"}).methods
    assert [m.name for m in named] == [
        "none", "lora", "ft_m", "ft_l", "ice", "rome", "memit", "grace",
    ]  # fmt: skip
    served = parse({"model": "openai:m", "benchmark": "hallueditbench", "data": "d"}).methods
    assert [m.name for m in served] == ["none", "ice"]
