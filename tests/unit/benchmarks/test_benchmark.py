"""Loading a benchmark: options, selection, quarantine, ids, and errors that say what to do."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.benchmarks.benchmark import BENCHMARKS, Benchmark, Draft, Form, parse_options
from truing.benchmarks.loading import Loaded, load
from truing.benchmarks.sampling import Selection, distinct
from truing.errors import BadInput, UnknownName

FACT = {
    "prompt": "The Glass Spire is in the city of",
    "target_new": "Orvale",
    "subject": "The Glass Spire",
}


def facts(tmp_path: Path, *records: Any) -> Path:
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def numbered(n: int) -> list[dict[str, Any]]:
    return [{"id": i, "prompt": f"Gate {i} is in", "target_new": f"Town{i}"} for i in range(n)]


def refused(*args: Any, **kwargs: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load(*args, **kwargs)
    assert len(str(caught.value).splitlines()) == 2
    return caught.value


def test_every_registered_benchmark_has_words_and_options() -> None:
    assert set(BENCHMARKS) == {
        "counterfact", "zsre", "qaedit", "custom", "world", "contrast", "caa", "pres2024", "world_contrast",
        "axbench", "ethics", "social_chemistry", "jiminy", "trustllm", "moralchoice", "moral_rules",
        "world_behavior", "hallueditbench", "personality", "world_personality",
        "seesaw", "world_people",
    }  # fmt: skip
    for name in BENCHMARKS:
        benchmark = BENCHMARKS.get(name)
        assert benchmark.name == name
        assert BENCHMARKS.summary(name)
        assert (benchmark.cases is None) is bool(benchmark.forms)
        for field in benchmark.options.model_fields.values():
            assert field.description


def test_unknown_benchmarks_options_and_values_are_named() -> None:
    with pytest.raises(UnknownName, match="counterfact"):
        load("counterfacts", Path("x"))
    with pytest.raises(UnknownName, match="Did you mean target"):
        parse_options(BENCHMARKS.get("zsre"), {"targets": "alt"})
    with pytest.raises(BadInput, match="option 'target' is 'answer'"):
        parse_options(BENCHMARKS.get("zsre"), {"target": "answer"})
    with pytest.raises(UnknownName, match="seeded"):
        load("custom", Path("x"), sample="seedde")  # type: ignore[arg-type]


def test_a_benchmark_of_files_without_a_file_says_how_to_get_one() -> None:
    assert "truing data get" in str(refused("qaedit"))
    assert "--data" in str(refused("custom"))
    assert "Leave out --data" in str(refused("world", Path("x")))


def test_a_file_of_another_layout_says_what_was_found_and_what_fits(tmp_path: Path) -> None:
    error = refused("counterfact", facts(tmp_path, {"src": "q", "alt": "a", "subject": "q"}))
    assert "src, alt, subject" in error.what
    assert "requested_rewrite" in error.what
    assert "zsre" in str(error.next)
    error = refused("custom", facts(tmp_path, {"question": "Who?", "answer": "Nobody"}))
    assert "question, answer" in error.what
    error = refused("custom", facts(tmp_path, {"promt": "Who is", "target_new": "x"}))
    assert "promt" in str(error.next)
    assert "facts.jsonl" in refused("custom", facts(tmp_path, 1, 2)).what


def test_bad_records_are_quarantined_with_place_field_and_reason(tmp_path: Path) -> None:
    path = facts(
        tmp_path,
        FACT,
        {**FACT, "target_new": " "},
        {**FACT, "subject": "The Copper Gate"},
        {**FACT, "prompt": "x" * 100_000, "subject": None},
        {"prompt": "no target"},
        {**FACT, "target_new": ["a"]},
        {**FACT, "locality": [{"answer": "no prompt"}]},
        "text",
        {**FACT, "prompt": "half \ud800", "subject": None},
    )
    path.write_text(path.read_text() + '{"prompt": ', encoding="utf-8")
    loaded = load("custom", path)
    assert len(loaded.cases) == 1
    assert [(bad.where, bad.field) for bad in loaded.quarantined] == [
        ("line 2", "target_new"), ("line 3", "subject"), ("line 4", "prompt"), ("line 5", "target_new"),
        ("line 6", "target_new"), ("line 7", "locality[0].prompt"), ("line 8", ""), ("line 9", "prompt"),
        ("line 10", ""),
    ]  # fmt: skip
    reasons = " ".join(bad.reason for bad in loaded.quarantined)
    for words in (
        "is empty",
        "not in the prompt",
        "100000 characters",
        "missing",
        "a list",
        "text",
        "surrogate",
        "torn",
    ):
        assert words in reasons
    assert (loaded.sampling.total, loaded.sampling.selected, loaded.sampling.kept) == (10, 10, 1)
    with pytest.raises(BadInput) as caught:
        loaded.refuse_quarantined()
    assert "9 of 10" in str(caught.value)
    assert "and 6 more" in str(caught.value)
    assert "--skip-invalid" in str(caught.value)


def test_the_length_limit_is_an_option(tmp_path: Path) -> None:
    path = facts(tmp_path, {**FACT, "prompt": "The Glass Spire " + "x" * 30_000})
    assert "30016 characters" in str(refused("custom", path))
    assert len(load("custom", path, options={"max_chars": 40_000}).cases) == 1


def test_a_clean_file_is_not_refused(tmp_path: Path) -> None:
    loaded = load("custom", facts(tmp_path, FACT))
    loaded.refuse_quarantined()
    assert loaded.source.rows == 1
    assert len(loaded.source.sha256) == 64


def test_a_file_of_bad_records_only_is_refused(tmp_path: Path) -> None:
    error = refused(
        "custom", facts(tmp_path, {**FACT, "target_new": ""}, {**FACT, "target_new": ")"})
    )
    assert "none of the 2" in error.what
    assert "target_new is empty" in error.what


def test_repeated_ids_are_told_apart_and_noted(tmp_path: Path) -> None:
    rows = [{**FACT, "id": id} for id in (5, 5, "5#2", 5, "6", {"no": "id"})]
    loaded = load("custom", facts(tmp_path, *rows))
    ids = [case.id for case in loaded.cases]
    assert ids == ["5", "5#3", "5#2", "5#4", "6", "5#5"]
    assert any("more than once" in note.text for note in loaded.notes)


def test_ids_do_not_depend_on_the_selection(tmp_path: Path) -> None:
    rows = [{**FACT, "id": 1, "target_new": f"Town{i}"} for i in range(20)]
    path = facts(tmp_path, *rows)
    every = {case.requests[0].target_new: case.id for case in load("custom", path).cases}
    some = load("custom", path, limit=5, sample="seeded", seed=3).cases
    assert all(every[case.requests[0].target_new] == case.id for case in some)


def test_a_prefix_is_the_first_records_of_the_file_bad_ones_included(tmp_path: Path) -> None:
    rows = numbered(6)
    rows[1]["target_new"] = ""
    loaded = load("custom", facts(tmp_path, *rows), limit=3)
    assert [case.id for case in loaded.cases] == ["0", "2"]
    assert [bad.record for bad in loaded.quarantined] == ["1"]
    assert (loaded.sampling.how, loaded.sampling.limit, loaded.sampling.seed) == ("prefix", 3, None)
    assert (loaded.sampling.total, loaded.sampling.selected, loaded.sampling.kept) == (6, 3, 2)
    assert loaded.sampling.ids == ("0", "2")
    rows[5]["target_new"] = ""
    load("custom", facts(tmp_path, *rows[2:]), limit=3).refuse_quarantined()


def test_a_limit_beyond_the_file_takes_all_and_zero_is_refused(tmp_path: Path) -> None:
    path = facts(tmp_path, *numbered(3))
    loaded = load("custom", path, limit=10, sample="seeded", seed=1)
    assert (loaded.sampling.how, loaded.sampling.seed, len(loaded.cases)) == ("all", None, 3)
    assert "limit" in str(refused("custom", path, limit=0))


def test_a_seeded_sample_does_not_depend_on_the_order_of_the_file(tmp_path: Path) -> None:
    rows = numbered(40)

    def drawn(rows: list[dict[str, Any]], limit: int, seed: int) -> set[str]:
        loaded = load("custom", facts(tmp_path, *rows), limit=limit, sample="seeded", seed=seed)
        return {case.id for case in loaded.cases}

    sample = drawn(rows, 10, 0)
    shuffled = random.Random(1).sample(rows, len(rows))
    assert drawn(shuffled, 10, 0) == sample == drawn(rows, 10, 0)
    assert sample < drawn(rows, 20, 0)
    assert drawn(rows, 10, 1) != sample
    assert sample != {str(i) for i in range(10)}


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.text(max_size=3), max_size=30),
    limit=st.none() | st.integers(1, 40),
    how=st.sampled_from(["prefix", "seeded"]),
    seed=st.integers(0, 5),
)
def test_a_selection_is_a_sorted_subset_of_the_asked_size(
    keys: list[str], limit: int | None, how: Any, seed: int
) -> None:
    chosen = Selection(limit, how, seed).of(keys)
    assert chosen == sorted(set(chosen)) == Selection(limit, how, seed).of(keys)
    assert len(chosen) == min(len(keys), len(keys) if limit is None else limit)
    assert all(0 <= i < len(keys) for i in chosen)


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.text(max_size=3), max_size=30),
    limit=st.integers(1, 40),
    how=st.sampled_from(["prefix", "seeded"]),
    seed=st.integers(0, 5),
)
def test_what_is_skipped_and_what_follows_are_the_whole(
    keys: list[str], limit: int, how: Any, seed: int
) -> None:
    first = Selection(limit, how, seed).of(keys)
    rest = Selection(None, how, seed, skip=limit).of(keys)
    assert sorted([*first, *rest]) == list(range(len(keys)))


def test_only_wanted_aspects_are_asked_and_every_case_stays() -> None:
    every = load("world", limit=5)
    some = load("world", limit=5, aspects=["efficacy", "locality"])
    assert [c.id for c in some.cases] == [c.id for c in every.cases]
    wanted = [
        p
        for c in every.cases
        for p in c.probes
        if p.aspect.split("/")[0] in ("efficacy", "locality")
    ]
    assert [p for c in some.cases for p in c.probes] == wanted
    with pytest.raises(UnknownName, match="localty"):
        load("world", limit=5, aspects=["localty"])


def test_skipping_everything_is_told() -> None:
    with pytest.raises(BadInput, match="skip leaves out"):
        load("world", limit=5, skip=100_000)


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.sampled_from(["a", "b", "a#2", "a#3", "b#2", "a#2#2"]), max_size=12))
def test_ids_become_distinct_and_single_ones_stay(ids: list[str]) -> None:
    names = distinct(ids)
    assert len(set(names)) == len(ids)
    assert all(name == id or name.startswith(f"{id}#") for id, name in zip(ids, names, strict=True))
    assert all(id in names for id in ids)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
SEEDS: dict[str, dict[str, Any]] = {
    "custom": {**FACT, "rephrases": ["To see The Glass Spire go to"], "locality": [{"prompt": "q", "answer": "a"}],
               "portability": {"kind": [{"prompt": "q", "ground_truth": [["a", "b"]]}]}},
    "counterfact": {"case_id": 1, "requested_rewrite": {
        "prompt": "{} is in", "subject": "Oz", "target_new": {"str": "A"}, "target_true": {"str": "B"}},
        "paraphrase_prompts": ["Oz lies in"], "neighborhood_prompts": ["Id is in"]},
    "zsre": {"src": "Where is Oz?", "subject": "Oz", "alt": "A", "answers": ["B"], "loc": "nq question: q", "loc_ans": "c"},
    "qaedit": {"id": 1, "source": "NQ", "prompt": "Where is Oz?", "target": "A", "subject": "Oz",
               "rephrase": "Oz is where?", "locality": [{"loc": "q", "loc_ans": "c"}]},
}  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(SEEDS)), data=st.data())
def test_mutated_records_load_or_are_refused_and_ids_stay_unique(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows: list[Any] = [copy.deepcopy(SEEDS[name]) for _ in range(3)]
    for row in rows:
        for key in data.draw(st.lists(st.sampled_from([*row, "id", "source", "new"]), max_size=3)):
            if data.draw(st.booleans()):
                row[key] = data.draw(JSON)
            else:
                row.pop(key, None)
    if data.draw(st.integers(0, 4)) == 0:
        rows.append(data.draw(JSON))
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    try:
        loaded = load(name, path)
    except BadInput as error:
        lines = str(error).split("\n")
    else:
        lines = []
        _whole_and_distinct(loaded, len(rows))
    assert len(lines) <= 2


def _whole_and_distinct(loaded: Loaded, rows: int) -> None:
    assert len(loaded.cases) + len(loaded.quarantined) == rows
    ids = [case.id for case in loaded.cases] + [bad.record for bad in loaded.quarantined]
    assert len(set(ids)) == len(ids)
    probes = [probe.id for case in loaded.cases for probe in case.probes]
    assert len(set(probes)) == len(probes)
    for case in loaded.cases:
        for request in case.requests:
            assert request.target_new == request.target_new.strip() != ""
            assert request.subject is None or request.prompt.count(request.subject) == 1
    assert all(bad.reason for bad in loaded.quarantined)


def test_a_benchmark_of_ones_own_is_one_object(tmp_path: Path) -> None:
    def draft(fields: Any, options: Any) -> Draft:
        return Draft(prompt=str(fields["q"]), target_new=str(fields["a"]))

    mine = Benchmark("mine", "my questions", forms=(Form("mine", (("q",), ("a",)), draft),))
    loaded = load(mine, facts(tmp_path, {"q": "Who?", "a": "Me"}))
    assert isinstance(loaded, Loaded)
    assert loaded.cases[0].requests[0].target_new == "Me"
    assert loaded.dataset == "mine"
