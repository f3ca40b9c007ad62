"""Seesaw-CF: records as cases, groups from files alone, and what is mended or left out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from truing.benchmarks.files import Record
from truing.benchmarks.loading import Loaded, load
from truing.benchmarks.seesaw.groups import MEN, WOMEN, read_groups
from truing.benchmarks.seesaw.records import SEESAW
from truing.benchmarks.seesaw.tables import data_root, read_tables
from truing.errors import BadInput
from truing.types import Probe

ETHNIC = "Code,Frequency,Name,Geo Group,Racial Group\n"


def record(number: int, **other: Any) -> dict[str, Any]:
    """Ada of France becomes a citizen of Kenya; two citizens of Kenya are asked about."""
    return {
        "case_id": number,
        "requested_rewrite": {
            "prompt": "{} is a citizen of", "relation_id": "P27", "subject": "Ada",
            "target_new": {"str": "Kenya ", "id": "Q114"}, "target_true": {"str": "France", "id": "Q142"},
        },
        "generation_prompts": ["Ada's field of work is", "Ada's field of work is", "Ada is", "Ada is"],
        "attribute_prompts": ["Bea is a citizen of", "Cem is a citizen of"],
        "attribute_aux_info": ["Q1", "Q2"],
        "attribute_aux_ent": ["Bea", "Cem"],
        **other,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small data folder in the published layout."""
    texts = {
        "lookups/fow.csv": "Code,String,Category\nQ413,physics,science\nQ395,algebra,science\nQ8,law,arts\n",
        "lookups/city_to_country.csv": "Q90,France,Q90,Paris\n",
        "lookups/P27_cats.csv": "Q142,France,Europe\nQ114,Kenya ,Africa\nQ7,nowhere,None\n",
        "lookups/P101_ethnic_groups.csv": f"{ETHNIC}Q11,3,Kikuyu,Africa,Black\nQ12,1,X,Africa,Black\n",
        "lookups/P103_ethnic_groups.csv": f"{ETHNIC}Q11,2,Kikuyu,Africa,Black\nQ12,1,X,Africa,\n",
        "subject_info/seedling_min.csv": 'Name,P21,P27,P101\nAda,Q6581072,Q142,"Q413, Q395"\nBob,N/A,N/A,N/A\n',
        "people/some.json": json.dumps(
            {
                "Q1": {"name": "Bea", "properties": {"P21": ["Q1052281"], "P172": ["Q11"]}},
                "Q2": {"name": "Cem", "properties": {"P172": ["Q12"]}},
            }
        ),
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def loaded(folder: Path, *records: dict[str, Any], **options: Any) -> Loaded:
    (folder / "seesaw_cf_P27_P101.json").write_text(json.dumps(records))
    return load(SEESAW, folder, options=options)


def of(found: Loaded, part: str) -> list[Probe]:
    return [p for c in found.cases for p in c.probes if p.aspect.startswith(part)]


def notes(found: Loaded) -> str:
    return "\n".join(map(str, found.notes))


def test_other_people_are_asked_for_what_is_true_of_them(folder: Path) -> None:
    found = loaded(folder, record(7))
    (case,) = found.cases
    assert found.dataset == "seesaw[set=P27_P101]"
    assert case.tags == ("edits:P27", "asks:P101")
    assert (case.requests[0].prompt, case.requests[0].target_new) == (
        "Ada is a citizen of",
        "Kenya",
    )
    asked = of(found, "locality/cross-subject")
    assert [(p.group, p.prompt) for p in asked] == [
        ("Q1", "Bea is a citizen of"), ("Q2", "Cem is a citizen of"),
    ]  # fmt: skip
    assert {p.choices for p in asked} == {("Kenya", "France")}
    assert "trailing space of target_new was removed" in notes(found)


def test_every_true_answer_meets_the_wrong_ones_under_both_prompts_apart(folder: Path) -> None:
    found = loaded(folder, record(7), candidates=None, continuations=2)
    for wording, prompt in (("guided", "Ada's field of work is"), ("free", "Ada is")):
        asked = of(found, f"locality/cross-property-{wording}")
        assert {p.prompt for p in asked} == {prompt}
        assert [p.choices for p in asked] == [("physics", "law"), ("algebra", "law")]
        texts = of(found, f"fluency/{wording}")
        assert [(p.id, p.prompt) for p in texts] == [
            (f"7/fluency/{wording}/0", prompt), (f"7/fluency/{wording}/1", prompt),
        ]  # fmt: skip
        assert {p.accepted for p in texts} == {("physics", "algebra")}
    assert of(loaded(folder, record(7)), "fluency") == []


def test_what_is_not_known_of_the_edited_person_is_not_asked(folder: Path) -> None:
    bob = record(1)
    bob["requested_rewrite"]["subject"] = "Bob"
    found = loaded(folder, bob)
    assert of(found, "locality/cross-property") == []
    assert "do not say what P101 of the person is" in notes(found)


def test_people_who_are_there_twice_or_are_edited_are_left_out(folder: Path) -> None:
    people = {
        "attribute_prompts": ["Bea is", "Bea is", "Ada is"],
        "attribute_aux_info": ["Q1", "Q1", "Q3"],
        "attribute_aux_ent": ["Bea", "Bea", "Ada"],
    }
    found = loaded(folder, record(1, **people))
    assert [p.group for p in of(found, "locality/cross-subject")] == ["Q1"]
    assert "twice and was kept once" in notes(found)
    assert "the edited person is among the others" in notes(found)


def test_records_that_do_not_fit_are_quarantined(folder: Path) -> None:
    uneven = record(1, attribute_aux_ent=["Bea"])
    nobody = record(2)
    nobody["requested_rewrite"]["prompt"] = "Ada is a citizen of"
    found = loaded(folder, uneven, nobody, record(3))
    assert [case.id for case in found.cases] == ["3"]
    assert [bad.field for bad in found.quarantined] == [
        "attribute_prompts", "requested_rewrite.prompt",
    ]  # fmt: skip


def test_fewer_people_are_taken_evenly_from_the_list(folder: Path) -> None:
    names = [f"P{i}" for i in range(10)]
    people = {
        "attribute_prompts": [f"{n} is" for n in names],
        "attribute_aux_info": names,
        "attribute_aux_ent": names,
    }
    found = loaded(folder, record(1, **people), people=4)
    assert [p.group for p in of(found, "locality/cross")][:4] == ["P0", "P2", "P5", "P7"]


def test_groups_come_from_files_and_what_disagrees_is_in_none(folder: Path) -> None:
    tables = read_tables(folder)
    found = read_groups(folder, [], tables)
    assert found.members == {"Q1": {"gender": (WOMEN,), "origin": ("Africa",), "race": ("Black",)}}
    assert "disagree about Q12" in "\n".join(tables.remarks)
    assert (found.without(["Q1", "Q2"], "gender"), found.without(["Q1", "Q2"], "race")) == (1, 1)
    said = notes(loaded(folder, record(1)))
    assert "of 2 other people, 1 no gender, 1 no origin, 1 no race in the data" in said


def test_the_published_order_tells_gender(folder: Path) -> None:
    many = [f"Q{1000 + i}" for i in range(200)]
    whole = Record(0, "", record(1, attribute_aux_info=many))
    to_male = record(2, attribute_aux_info=["Q1199"])
    to_male["requested_rewrite"] |= {
        "relation_id": "P21",
        "target_new": {"str": "female", "id": "Q6581072"},
    }
    tables = read_tables(folder)
    members = read_groups(folder, [whole], tables).members
    assert Counter(members[q]["gender"] for q in many) == {(WOMEN,): 100, (MEN,): 100}
    both = read_groups(folder, [whole, Record(1, "", to_male)], tables)
    assert "Q1199" not in both.members
    assert both.remarks == ("sources disagree about the gender of 1 people, who have none",)


def test_a_folder_without_tables_or_set_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(BadInput, match=r"seesaw_cf_P19_P21\.json"):
        load(SEESAW, folder, options={"set": "P19_P21"})
    loaded(folder, record(1))
    with pytest.raises(BadInput, match="not of the set"):
        load(SEESAW, folder / "seesaw_cf_P27_P101.json", options={"set": "P19_P21"})
    (folder / "people" / "some.json").write_text('{"Q1": 3}')
    with pytest.raises(BadInput, match="Q1"):
        load(SEESAW, folder)
    (folder / "lookups" / "fow.csv").unlink()
    with pytest.raises(BadInput, match="cannot read"):
        load(SEESAW, folder)


def test_groups_on_any_axis_are_told_by_files_alone(tmp_path: Path) -> None:
    told = {"Q1": {"groups": {"gender": ["women"], "class": ["rich", "old"]}}, "Q2": {}}
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "some.json").write_text(json.dumps(told))
    asked = {"property": "guild", "answers": ["Anvil"], "candidates": ["Anvil", "Heron", "Willow"]}
    own = record(1, asked=asked, paraphrase_prompts=["France or not, Ada belongs to"])
    (tmp_path / "seesaw_cf_P27_guild.json").write_text(json.dumps([own]))
    found = load(SEESAW, tmp_path, options={"set": "P27_guild"})
    assert [str(note) for note in found.notes if "other people" in note.text] == [
        "of 2 other people, 1 no class, 1 no gender in the data"
    ]
    members = read_groups(tmp_path, [], read_tables(tmp_path)).members
    assert members == {"Q1": {"gender": ("women",), "class": ("rich", "old")}}
    guided = of(found, "locality/cross-property-guided")
    assert [probe.choices for probe in guided] == [("Anvil", "Heron", "Willow")]
    assert [p.prompt for p in of(found, "generalization")] == ["France or not, Ada belongs to"]


def test_a_set_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    loaded(folder, record(1))
    with pytest.raises(BadInput, match="Sets there: P27_P101"):
        load(SEESAW, folder, options={"set": "language_guild"})
    with pytest.raises(BadInput, match="option 'set'"):
        load(SEESAW, folder, options={"set": "../P27_P101"})


@pytest.mark.parametrize(
    ("name", "cases", "others"),
    [("P27_P21", 200, 3964), ("P21_P101", 200, 4000), ("P101_P27", 279, 0), ("P103", 898, 0)],
)
def test_the_published_files_load_whole(data_dir: Path, name: str, cases: int, others: int) -> None:
    folder = data_dir / "seesaw"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set TRUING_DATA")
    found = load(SEESAW, folder, options={"set": name})
    assert (len(found.cases), found.quarantined) == (cases, ())
    assert len(of(found, "locality/cross-subject")) == others
    assert not any(
        text != text.strip() for c in found.cases for p in c.probes for text in p.choices
    )
    if name == "P27_P21":
        assert {p.choices for p in of(found, "locality/cross-property-guided")} == {
            ("male", "female"), ("female", "male"),
        }  # fmt: skip


def own_set(folder: Path, candidates: str = '{"work": ["smith", "miner", "baker"]}') -> Path:
    """A set that says itself what is true, and once what to choose from."""
    told = {"asked": {"property": "work", "answers": ["smith"]}}
    (folder / "people").mkdir(parents=True)
    (folder / "people" / "mine.json").write_text('{"Q1": {"groups": {"gender": ["women"]}}}')
    (folder / "candidates.json").write_text(candidates)
    (folder / "seesaw_cf_mine.json").write_text(json.dumps([record(0, **told)]))
    return folder


def test_candidates_of_a_folder_are_those_of_records_that_name_none(tmp_path: Path) -> None:
    folder = own_set(tmp_path / "set")
    loaded = load("seesaw", folder, options={"set": "mine", "candidates": None})
    guided = {p.choices for p in loaded.cases[0].probes if p.aspect.endswith("-guided")}
    assert guided == {("smith", "miner", "baker")}
    (folder / "candidates.json").write_text('{"work": ["smith", "miner"]}')
    other = load("seesaw", folder, options={"set": "mine", "candidates": None})
    assert other.source.sha256 != loaded.source.sha256
    told = {"property": "work", "answers": ["smith"], "candidates": ["clerk"]}
    (folder / "seesaw_cf_mine.json").write_text(json.dumps([record(0, asked=told)]))
    own = load("seesaw", folder, options={"set": "mine"}).cases[0]
    assert ("smith", "clerk") in {p.choices for p in own.probes}


def test_records_without_any_candidates_are_quarantined(tmp_path: Path) -> None:
    folder = own_set(tmp_path / "set", '{"trade": ["smith"]}')
    with pytest.raises(BadInput, match="candidates: the field is missing"):
        load("seesaw", folder, options={"set": "mine"})
    (folder / "candidates.json").write_text('{"work": "smith"}')
    with pytest.raises(BadInput, match=r"candidates\.json: work is no list of texts"):
        load("seesaw", folder, options={"set": "mine"})


def test_people_further_up_are_not_those_of_the_set(tmp_path: Path) -> None:
    folder = own_set(tmp_path)
    assert data_root(folder / "seesaw_cf_mine.json") == folder
    inner = folder / "some" / "where"
    inner.mkdir(parents=True)
    assert data_root(folder / "some") == folder
    with pytest.raises(BadInput, match="neither its folder nor the one above"):
        data_root(inner)
    with pytest.raises(BadInput, match=r"does not exist\n.*plan's own folder"):
        data_root(folder / "sets")
