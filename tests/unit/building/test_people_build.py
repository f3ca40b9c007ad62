"""Sets of edits of people: balance, determinism, who is asked about whom, and what the reader makes of it."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.benchmarks.loading import Loaded, load
from truing.building.people.build import Built, build
from truing.building.people.choose import Size
from truing.building.people.spec import in_the_past
from truing.errors import BadInput, NotPossible, TruingError
from truing.runs.group_changes import seesaw_membership

SPEC = """
edits = "language"
asks = "work"
groups = ["gender", "origin"]
balance = "gender"
least = 1
dead = "died"

[properties.language]
prompts = ["{} is a speaker of", "The language of {} is"]

[properties.work]
prompts = ["{} works as a"]
"""
VALUES = ("Aveli", "Brisk", "Calvic", "Dunnish")
Row = dict[str, Any]


def row(number: int, gender: Any, language: Any, **other: Any) -> Row:
    return {
        "id": f"Q{number:03}", "name": f"Person {number:03}", "gender": gender, "language": language,
        "work": ("smith", "miner")[number % 2], "origin": "north", "died": "", **other,
    }  # fmt: skip


ROWS = [row(i, ("women", "men")[i % 2], VALUES[i // 2 % 4]) for i in range(32)]


def made(
    folder: Path, rows: Sequence[Row] = ROWS, spec: str = SPEC, size: Size | None = None, seed: int = 0
) -> Built:  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "people.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    (folder / "spec.toml").write_text(spec)
    asked = size or Size(people=4)
    return build(folder / "people.jsonl", folder / "spec.toml", folder / "out", asked, seed)


def records(folder: Path) -> Any:
    return json.loads((folder / "out" / "seesaw_cf_language_work.json").read_text())


def read(folder: Path, **options: Any) -> Loaded:
    return load("seesaw", folder / "out", options={"set": "language_work", **options})


def spread(edits: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(edit["requested_rewrite"]["target_new"]["str"]) for edit in edits]


PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(("women", "men", "both", "")),
        st.lists(st.sampled_from(VALUES), max_size=2),
    ),
    min_size=8,
    max_size=40,
)


def rows_of(drawn: Sequence[tuple[str, list[str]]]) -> list[Row]:
    """Drawn people, and enough others that there is always something to edit and to ask."""
    genders = {"both": ["women", "men"], "": []}
    extra = [row(900 + i, ("women", "men")[i % 2], VALUES[i // 2 % 4]) for i in range(24)]
    return [row(i, genders.get(g, [g]), v) for i, (g, v) in enumerate(drawn)] + extra


@settings(max_examples=25, deadline=None)
@given(PEOPLE, st.integers(2, 12), st.integers(0, 5))
def test_groups_are_edited_and_asked_about_alike_and_nobody_is_both(
    drawn: list[tuple[str, list[str]]], people: int, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        edits = made(Path(name), rows_of(drawn), size=Size(None, people), seed=seed).chosen.edits
    edited = Counter(edit.group for edit in edits)
    assert edited["women"] == edited["men"] > 0
    subjects = {edit.subject.id for edit in edits}
    assert len(subjects) == len(edits)
    for edit in edits:
        own = edit.subject.properties["language"]
        assert edit.old in own
        assert edit.new not in own
        assert len(edit.others["women"]) == len(edit.others["men"]) <= people // 2
        assert len({person.id for person in edit.people}) == len(edit.people) > 0
        for group, others in edit.others.items():
            for person in others:
                assert person.groups["gender"] == (group,)
                assert edit.new in person.properties["language"]
                assert edit.old not in person.properties["language"]
                assert person.id not in subjects


@settings(max_examples=15, deadline=None)
@given(PEOPLE, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_a_byte_of_the_set(
    drawn: list[tuple[str, list[str]]], random: Any
) -> None:
    rows = rows_of(drawn)
    texts = []
    for order in (rows, random.sample(rows, len(rows))):
        with tempfile.TemporaryDirectory() as name:
            made(Path(name), order, seed=3)
            found = sorted((Path(name) / "out").rglob("*language_work.json"))
            texts.append([path.read_bytes() for path in found])
    assert len(texts[0]) == 2
    assert texts[0] == texts[1]


def test_the_same_seed_gives_the_same_folder_and_another_seed_another_set(tmp_path: Path) -> None:
    def files() -> dict[str, bytes]:
        there = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in there}

    made(tmp_path)
    first = files()
    made(tmp_path)
    assert files() == first
    made(tmp_path, seed=1)
    assert files() != first


def test_the_reader_finds_every_part_and_groups_without_lookup_tables(tmp_path: Path) -> None:
    built = made(tmp_path)
    found = read(tmp_path, candidates=None)
    assert (found.quarantined, len(found.cases)) == ((), len(built.chosen.edits))
    others = {person.id for edit in built.chosen.edits for person in edit.people}
    said = f"of {len(others)} other people, 0 no gender, 0 no origin in the data"
    assert said in map(str, found.notes)
    for case, edit in zip(found.cases, built.chosen.edits, strict=True):
        request = case.requests[0]
        assert case.tags == ("edits:language", "asks:work")
        assert (request.subject, request.target_new) == (edit.subject.name, edit.new)
        parts = Counter(probe.aspect for probe in case.probes)
        assert parts["generalization"] == 1
        assert parts["locality/cross-subject"] == len(edit.people) > 0
        asked = [p for p in case.probes if p.aspect == "locality/cross-property-guided"]
        (own,) = edit.subject.properties["work"]
        assert [p.choices for p in asked] == [(own, "smith" if own == "miner" else "miner")]
    groups = seesaw_membership(tmp_path / "out" / "seesaw_cf_language_work.json")
    for edit in built.chosen.edits:
        for person in (edit.subject, *edit.people):
            assert groups[person.id] == person.groups


def test_fewer_people_than_the_set_has_are_still_balanced(tmp_path: Path) -> None:
    made(tmp_path)
    groups = seesaw_membership(tmp_path / "out")
    for case in read(tmp_path, people=2).cases:
        asked = [p.group for p in case.probes if p.aspect == "locality/cross-subject"]
        assert sorted(groups[str(person)]["gender"] for person in asked) == [("men",), ("women",)]


def test_a_property_named_like_a_published_one_keeps_its_own_words_and_groups(
    tmp_path: Path,
) -> None:
    """Two hundred others and the codes of Wikidata: neither published wordings nor the published order."""
    rows = [row(i, ("women", "men")[i % 2], VALUES[i // 2 % 2]) for i in range(440)]
    renamed = (
        SPEC.replace("properties.language]", 'properties.P101]\ncolumn = "language"')
        .replace("properties.work]", 'properties.P21]\ncolumn = "work"')
        .replace('"language"\nasks = "work"', '"P101"\nasks = "P21"')
    )
    made(tmp_path, rows, renamed, Size(2, 200))
    found = load("seesaw", tmp_path / "out", options={"set": "P101_P21", "people": None})
    words = [p.prompt for p in found.cases[0].probes if p.aspect == "generalization"]
    assert words == [f"The language of {found.cases[0].requests[0].subject} is"]
    guided = "locality/cross-property-guided"
    choices = {p.choices for c in found.cases for p in c.probes if p.aspect == guided}
    assert choices
    assert choices <= {("smith", "miner"), ("miner", "smith")}
    groups = seesaw_membership(tmp_path / "out")
    by_row = {r["id"]: (r["gender"],) for r in rows}
    others = [p.group for p in found.cases[0].probes if p.aspect == "locality/cross-subject"]
    assert len(others) == 200
    assert all(groups[str(person)]["gender"] == by_row[str(person)] for person in others)


def test_two_hundred_others_have_no_gender_unless_the_table_has_one(tmp_path: Path) -> None:
    rows = [row(i, "", VALUES[i // 2 % 2], origin=("north", "south")[i % 2]) for i in range(440)]
    spec = SPEC.replace('["gender", "origin"]', '["origin"]').replace('"gender"', '"origin"')
    made(tmp_path, rows, spec, Size(2, 200))
    assert {axis for each in seesaw_membership(tmp_path / "out").values() for axis in each} == {
        "origin"
    }


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("{} is from", "{} was from"),
        ("{} works in the field of", "{} worked in the field of"),
        ("The isle that {} is on", "The isle that {} was on"),
        ("In the island of {}", "In the island of {}"),
        ("is {} from", "is {} from"),
    ],
)
def test_only_whole_verbs_within_a_template_go_into_the_past(now: str, then: str) -> None:
    assert in_the_past(now) == then


def test_the_dead_were_but_their_names_stay(tmp_path: Path) -> None:
    rows = [{**r, "name": f"Iris is {r['id']}", "died": "1900-01-01"} for r in ROWS]
    made(tmp_path, rows)
    for each in records(tmp_path):
        name = each["requested_rewrite"]["subject"]
        assert each["requested_rewrite"]["prompt"] == "{} was a speaker of"
        assert each["paraphrase_prompts"] == [f"The language of {name} was"]
        assert each["generation_prompts"] == [f"{name} worked as a", f"{name} was"]
        assert all(p.startswith("Iris is Q") for p in each["attribute_prompts"])
        assert all(p.endswith(" was a speaker of") for p in each["attribute_prompts"])
    living = [{**r, "died": "no"} for r in ROWS]
    made(tmp_path, living)
    assert records(tmp_path)[0]["requested_rewrite"]["prompt"] == "{} is a speaker of"


def test_new_values_are_of_another_category_and_spread_evenly(tmp_path: Path) -> None:
    kinds = {"Aveli": "old", "Brisk": "old", "Calvic": "young", "Dunnish": "young"}
    (tmp_path / "kinds.csv").write_text(
        "value,category\n" + "".join(f"{v},{k}\n" for v, k in kinds.items())
    )
    spec = SPEC.replace("[properties.language]", '[properties.language]\ncategories = "kinds.csv"')
    made(tmp_path, spec=spec)
    for each in records(tmp_path):
        rewrite = each["requested_rewrite"]
        assert kinds[rewrite["target_new"]["str"]] != kinds[rewrite["target_true"]["str"]]
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["source"]["categories"]["file"] == "kinds.csv"


def test_new_values_are_spread_evenly(tmp_path: Path) -> None:
    made(tmp_path)
    counts = Counter(spread(records(tmp_path)))
    assert set(counts) == set(VALUES)
    assert max(counts.values()) - min(counts.values()) <= 2


def test_the_card_says_who_is_left_out_what_repeats_and_what_is_uneven(tmp_path: Path) -> None:
    rows = [
        *ROWS, ROWS[3],
        row(50, "women", " Aveli "), row(51, "", "Aveli"), row(52, ["women", "men"], "Aveli"),
        row(53, "men", "Rare"), row(54, "men", "Aveli", name="Twin"), row(55, "men", "Brisk", name="twin"),
        row(56, "men", "", origin="south"),
    ]  # fmt: skip
    built = made(tmp_path, rows, size=Size(100, 12))
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert (card["source"]["rows"], card["source"]["repeated rows"], card["source"]["people"]) == (
        40, 1, 39,
    )  # fmt: skip
    assert card["source"]["cells with spaces at an end, removed"] == 1
    left = card["people left out"]
    assert left["in all"] == 4
    assert left["no gender"] == {"people": 1, "the first": "line 35"}
    assert left["in several groups of gender"]["people"] == 1
    assert left["somebody else has the same name"]["people"] == 2
    assert card["people not edited"]["no language"]["people"] == 1
    quarantined = card["values of language"]["quarantined"]
    assert "Rare" in list(chain.from_iterable(quarantined.values()))
    told = "\n".join(card["warnings"].values())
    assert told.splitlines() == list(built.warnings)
    assert "100 cases were asked for and" in told
    assert "fewer than 6 other people of each group, for want of men, women" in told
    assert "1 people have no gender, the first: line 35" in told
    assert "groups of one person by origin: south" in told
    page = (tmp_path / "out" / "DATASET.md").read_text()
    assert "nobody has checked them here" in page
    assert card["other people"]["places"] == sum(len(e.people) for e in built.chosen.edits)


def test_two_values_that_are_most_of_the_edits_are_told(tmp_path: Path) -> None:
    spec = SPEC.replace(
        "[properties.language]", '[properties.language]\ncandidates = ["Aveli", "Brisk"]'
    )
    built = made(tmp_path, spec=spec)
    assert "100% of the edits are to Aveli and Brisk" in built.warnings
    assert built.chosen.quarantined == {"not a candidate": ("Calvic", "Dunnish")}


FEW = [row(0, "women", "Aveli"), row(1, "women", "Brisk"), row(2, "men", "Aveli")]
ALONE = [*ROWS, row(60, "others", "Aveli")]


@pytest.mark.parametrize(
    ("rows", "spec", "size", "why"),
    [
        ([], SPEC, None, "is empty"),
        ([{"id": "Q1", "name": "A"}], SPEC, None, "no row has anything in a column 'died'"),
        (ROWS, SPEC.replace('"gender", ', '"sex", ').replace('"gender"', '"sex"'), None, "column 'sex'"),
        ([*ROWS, {**ROWS[0], "work": "baker"}], SPEC, None, "line 33 and line 1 say different things of 'Q000'"),
        ([*ROWS, row(40, "men", {"a": 1})], SPEC, None, "line 33: 'language' is neither text"),
        ([*ROWS, {**row(40, "men", "Aveli"), "name": " "}], SPEC, None, "line 33: there is no name"),
        (FEW, SPEC, None, "line 3: nobody else is in group 'men'"),
        (ALONE, SPEC, None, "line 33: nobody else is in group 'others'"),
        (ROWS, SPEC.replace("least", 'compare = ["men", "elves"]\nleast'), None, "in group 'elves'"),
        (ROWS, SPEC.replace("least", 'compare = ["men"]\nleast'), None, "1 group to compare"),
        (ROWS, SPEC, Size(1, 4), "1 cases are fewer than one of each of 2 groups"),
        (ROWS, SPEC, Size(None, 1), "1 people are fewer than 1 of each of 2 groups"),
        (ROWS, SPEC.replace("least", 'compare = ["women", "man"]\nleast'), None, "Groups there: men, women."),
        ([{**r, "name": "Ann"} for r in ROWS], SPEC, None, "no group to compare (left out: somebody else has the same name: 32)"),
        ([{**r, "name": "Ann"} for r in ROWS], SPEC.replace("least", 'compare = ["women", "men"]\nleast'), None,
         "in group 'men' of 'gender' (left out: somebody else has the same name: 32)"),
        (ROWS, SPEC.replace("least = 1", "least = 0"), None, "'least' must be 1 or more, and is 0"),
        (ROWS, SPEC.replace("least = 1", "lest = 1"), None, "'lest'\nDid you mean least?"),
        (ROWS, SPEC.replace("edits =", "edts ="), None, "'edts'\nDid you mean edits?"),
        (ROWS, SPEC.replace('asks = "work"', ""), None, "'asks' is missing\nKeys there are: id, name,"),
        (ROWS, SPEC.replace('prompts = ["{} works as a"]', 'prmpts = []'), None, "key of [properties.work] in"),
        (ROWS, SPEC.replace('["{} works as a"]', '"{} is"'), None, "'prompts' must be a list, and is '{} is'"),
        (ROWS, SPEC + 'candidates = [""]\ncolumn = 3', None, "'column' must be text, and is 3"),
        (ROWS, SPEC.replace("[properties.work]", 'candidates = ["Avely", "Brisk"]\n[properties.work]'), None,
         "unknown candidate of 'language' 'Avely'\nDid you mean Aveli?"),
        (ROWS, SPEC.replace("{} works", "they work"), None, "'prompts': a prompt holds {} once"),
        (ROWS, SPEC.replace('asks = "work"', 'asks = "wrk"'), None, "unknown property in"),
        (ROWS, SPEC.replace('asks = "work"', 'asks = "language"'), None, "what is edited is also asked"),
        (ROWS, SPEC.replace('balance = "gender"', 'balance = "age"'), None, "unknown column to balance"),
        (ROWS, SPEC.replace("[properties.language]", '[properties.language]\ncolumn = "gender"'), None,
         "people with the new value are all of one group"),
        (ROWS, SPEC + "past = []\n[[", None, "is not TOML"),
        (ROWS, SPEC + 'past = ["{} did", "{} was"]', None, "has 1 prompts and 2 in the past"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said_in_two_lines_and_nothing_is_written(
    tmp_path: Path, rows: list[Row], spec: str, size: Size | None, why: str
) -> None:
    with pytest.raises(BadInput) as raised:
        made(tmp_path, rows, spec, size)
    assert why in str(raised.value)
    assert len(str(raised.value).splitlines()) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{**r, "language": "Aveli"} for r in ROWS], "can be edited .*no other value fits: "),
        ([row(i, ("women", "men")[i % 2], f"L{i}") for i in range(8)], "no value of 'language' is left"),
        ([{**r, "work": "smith"} for r in ROWS], "fewer than two answers"),
    ],
)  # fmt: skip
def test_where_nothing_is_left_the_reasons_are_counted(
    tmp_path: Path, rows: list[Row], why: str
) -> None:
    with pytest.raises(NotPossible, match=why):
        made(tmp_path, rows)


def test_who_cannot_be_edited_makes_room_for_others(tmp_path: Path) -> None:
    """Brisk alone has enough people, and most women have it: only the two others can be edited."""
    languages = ["Brisk"] * 10 + ["Aveli", "Calvic"]
    women = [row(i, "women", language) for i, language in enumerate(languages)]
    men = [row(20 + i, "men", ("Brisk", "Dunnish")[i % 2]) for i in range(12)]
    edits = made(tmp_path, [*women, *men], size=Size(4, 4)).chosen.edits
    assert sorted(edit.old for edit in edits) == ["Aveli", "Calvic", "Dunnish", "Dunnish"]
    assert {edit.new for edit in edits} == {"Brisk"}


def test_people_of_the_published_files_become_a_set(data_dir: Path, tmp_path: Path) -> None:
    file = data_dir / "seesaw" / "subject_info" / "P101_subject_info.json"
    if not file.is_file():
        pytest.skip(f"{file} is absent; set TRUING_DATA")
    rows = [
        {
            "id": id, "name": person["name"], "gender": person["properties"].get("P21", []),
            "language": person["properties"].get("P27", []), "origin": "somewhere",
            "work": person["properties"].get("P101", []), "died": person["properties"].get("P570"),
        }
        for id, person in json.loads(file.read_text()).items()
    ]  # fmt: skip
    built = made(tmp_path, rows, size=Size(None, 6))
    assert len(built.table.people) == len(rows) == 149
    assert len(read(tmp_path).cases) == len(built.chosen.edits) > 0
    for each, edit in zip(records(tmp_path), built.chosen.edits, strict=True):
        verb = "was" if edit.subject.dead else "is"
        assert each["requested_rewrite"]["prompt"] == f"{{}} {verb} a speaker of"


def test_a_value_in_two_categories_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "kinds.csv").write_text("value,category\nAveli,old\nAveli,young\n")
    spec = SPEC.replace("[properties.language]", '[properties.language]\ncategories = "kinds.csv"')
    with pytest.raises(BadInput, match="line 3 puts 'Aveli' in 'young'"):
        made(tmp_path, spec=spec)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(TruingError, match=r"holds notes\.txt, which is not of the set"):
        made(tmp_path)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_cells_of_csv_hold_several_values(tmp_path: Path) -> None:
    lines = ["id,name,gender,language,work,origin,died"]
    lines += [
        f"{r['id']},{r['name']},{r['gender']},{r['language']}|N/A| Elvish,{r['work']},north,no"
        for r in ROWS
    ]
    (tmp_path / "people.csv").write_text("\n".join(lines))
    spec = SPEC.replace("least", 'separator = "|"\nmissing = ["N/A"]\nleast')
    (tmp_path / "spec.toml").write_text(spec)
    table, wanted = tmp_path / "people.csv", tmp_path / "spec.toml"
    built = build(table, wanted, tmp_path / "out", Size(people=4), 0)
    assert {len(edit.subject.properties["language"]) for edit in built.chosen.edits} == {2}
    assert "Elvish" not in {edit.new for edit in built.chosen.edits}


def test_what_to_choose_from_stands_once_and_the_card_says_what_is_left_out(
    tmp_path: Path,
) -> None:
    made(tmp_path)
    listed = json.loads((tmp_path / "out" / "candidates.json").read_text())
    assert listed == {"work": ["miner", "smith"]}
    assert all("candidates" not in each["asked"] for each in records(tmp_path))
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["data"]["files"]["candidates"]["file"] == "candidates.json"
    work = card["settings"]["properties"]["work"]
    assert (work["column"], work["candidates"]) == ("work", "all values of the column")
    assert card["settings"]["compare"] == "all groups of gender"
    page = (tmp_path / "out" / "DATASET.md").read_text()
    assert "| properties: work: column | work |" in page
    assert "(empty)" not in page
