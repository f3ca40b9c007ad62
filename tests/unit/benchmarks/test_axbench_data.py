"""AxBench's files: concepts, their texts, and pairs to steer with."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import axbench_folder as folders
from truing.benchmarks import parquet
from truing.benchmarks.axbench import AXBENCH, drawn, instructions_of, read
from truing.benchmarks.loading import load
from truing.errors import BadInput

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "steering/axbench"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.write(tmp_path / "moods", *folders.moods(6))


def test_a_concept_has_its_texts_and_shares_those_without_it_by_genre(folder: Path) -> None:
    bench = read(folder)
    cheerful, gloomy = bench.concepts
    assert (cheerful.text, cheerful.genre) == (folders.CONCEPTS[0], "text")
    assert [len(x) for x in (cheerful.train, cheerful.positive, cheerful.negative)] == [6, 6, 6]
    assert (len(cheerful.hard), len(gloomy.hard)) == (1, 0)
    assert {genre: len(texts) for genre, texts in bench.without.items()} == {"text": 6, "math": 6}
    assert not set(cheerful.train) & {*cheerful.positive, *bench.without["text"]}


def test_negatives_are_drawn_from_the_genre_without_replacement(folder: Path) -> None:
    bench = read(folder)
    concept = bench.concepts[1]
    one, same, other = (bench.against(concept, seed) for seed in (0, 0, 1))
    assert sorted(map(str, one)) == sorted(map(str, bench.without["math"]))
    assert one == same != other


def test_names_of_the_three_files_may_begin_alike(tmp_path: Path) -> None:
    here = folders.write(tmp_path, *folders.moods(2), begin="concept2_")
    assert len(read(here, 1).concepts) == 1
    (here / "concept2_latent_eval.parquet").unlink()
    with pytest.raises(BadInput, match=r"latent_eval\.parquet does not exist"):
        read(here)


def test_two_releases_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    folders.write(tmp_path, *folders.moods(2), begin="a_")
    folders.write(tmp_path, *folders.moods(2), begin="b_")
    with pytest.raises(BadInput, match="several training files"):
        read(tmp_path)


def test_a_concept_without_texts_is_told(tmp_path: Path) -> None:
    train, held = folders.moods(2)
    part = [r for r in train if r["concept_id"] != 1]
    with pytest.raises(BadInput, match=r"concept 1 .* no training texts"):
        read(folders.write(tmp_path / "train", part, held))
    part = [r for r in train if r["concept_id"] >= 0]
    with pytest.raises(BadInput, match="genre 'text' without a concept"):
        read(folders.write(tmp_path / "pool", part, held))


def test_a_wrong_record_is_told_with_its_place(tmp_path: Path) -> None:
    train, held = folders.moods(2)
    held[3]["category"] = "neutral"
    with pytest.raises(BadInput, match=r"row 3.*category"):
        read(folders.write(tmp_path, train, held))


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "x.parquet"
    bad.write_text("not columns")
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        parquet.read(bad)
    with pytest.raises(BadInput, match="no file"):
        parquet.read(tmp_path / "absent.parquet")


def test_a_name_with_wildcards_is_one_file(tmp_path: Path) -> None:
    here = folders.write(tmp_path / "a[1]*?", *folders.moods(2))
    assert len(parquet.read(here / "train.parquet")) == 8


def test_a_concept_is_a_case_of_pairs_and_instructions(folder: Path, tmp_path: Path) -> None:
    asked = folders.instructions(tmp_path / "asked.jsonl", 5)
    loaded = load(AXBENCH, folder, options={"instructions": str(asked), "per_concept": 3})
    assert [case.id for case in loaded.cases] == ["0", "1"]
    case = loaded.cases[0]
    bench = read(folder)
    assert [r.target_new for r in case.requests] == [t.answer for t in bench.concepts[0].train]
    assert {r.target_old for r in case.requests} == {t.answer for t in bench.without["text"]}
    assert {p.prompt for p in case.probes} <= set(instructions_of(asked))
    assert len({p.prompt for p in case.probes}) == 3
    assert {p.accepted for p in case.probes} == {(folders.CONCEPTS[0],)}


def test_without_instructions_nothing_is_asked_and_that_is_said(folder: Path) -> None:
    loaded = load(AXBENCH, folder, options={"concept": 1})
    (case,) = loaded.cases
    assert (case.id, case.probes) == ("1", ())
    assert "no instructions" in str(loaded.notes[0])
    with pytest.raises(BadInput, match="no concept 7"):
        load(AXBENCH, folder, options={"concept": 7})


def test_instructions_are_drawn_by_seed_and_concept(tmp_path: Path) -> None:
    asked = instructions_of(folders.instructions(tmp_path / "asked.jsonl", 8))
    draws = [drawn(asked, c, 4, s) for c, s in ((0, 0), (0, 0), (1, 0), (0, 1))]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
    with pytest.raises(BadInput, match="9 instructions"):
        drawn(asked, 0, 9, 0)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps([{"instruction": "a"}, {"question": "b"}]))
    with pytest.raises(BadInput, match="record 1"):
        instructions_of(bad)


def test_the_published_ten_concepts_load() -> None:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is absent; set TRUING_DATA to the folder that holds steering/axbench")
    bench = read(DATA)
    assert len(bench.concepts) == 10
    assert {len(c.train) for c in bench.concepts} == {72}
    assert {(len(c.positive), len(c.negative)) for c in bench.concepts} == {(36, 36)}
    assert sum(len(c.hard) for c in bench.concepts) == 35
    assert {genre: len(texts) for genre, texts in bench.without.items()} == {
        "text": 72,
        "math": 72,
        "code": 72,
    }
    cases = load(AXBENCH, DATA).cases
    assert sum(len(case.requests) for case in cases) == 720
    assert all(r.target_old for case in cases for r in case.requests)
