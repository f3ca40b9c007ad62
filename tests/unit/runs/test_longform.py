"""Long texts of a run: names, and what words, judges and people say of flaws."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from judged_rows import ScriptedSpeaker
from judged_rows import row as judged_row
from truing.benchmarks.loading import load
from truing.errors import BadInput, UnknownName
from truing.judges import specs
from truing.judges.panel import Panel
from truing.judges.specs import JudgeSettings, JudgeSpec, parse_all
from truing.protocols.protocol import parse as parse_protocol
from truing.runs import plan_file
from truing.runs.asked import Selection, judge_run
from truing.runs.longform import CONSERVATIVE, LIBERAL, WORDS, flawed, named, texts_of
from truing.runs.manifest import data_facts
from truing.runs.review.merge import merge
from truing.runs.review.rubric import rubric
from truing.runs.review.sheet import draw, write_key
from truing.runs.store import Store, read_rows, read_summary, read_verdicts
from truing.scoring.flaws import CHANGES, own_lists
from truing.types import Row, Verdict

WHOLE = parse_protocol("bare/greedy/worked/contains").id
CASES = ("c0", "c1", "c2", "c3")
KIND = "He taught law. People liked him for it."
CROWNED = "He was a king. His palace was large, and he never taught."
PLAN = """
name = "texts"
model = "m"
protocols = ["wild"]
methods = ["rome"]
[[benchmarks]]
name = "seesaw"
label = "b"
data = {data}
options = {{ set = "P27_P101" }}
"""
LISTS = {"classism": ("king", "palace"), "sexism": ("wife",)}


def text(case: str, i: int, after: str, cell: str = "rome") -> Row:
    made = judged_row(
        after, key=f"{cell}{case}{i}", case=case, cell=cell, aspect="fluency/free", base=KIND,
        accepted=("law",), question="Ada is", protocol=WHOLE,
    )  # fmt: skip
    return replace(made, probe=f"{case}/fluency/free/{i}", moment="final")


def edit(case: str) -> Row:
    made = judged_row("King.", key=f"edit{case}", case=case, accepted=("king",), protocol=WHOLE)
    return replace(made, moment="final")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two of four cases got a king, in both of their texts."""
    rows = [text(c, i, CROWNED if c < "c2" else KIND) for c in CASES for i in range(2)]
    rows += [text(c, i, KIND, "none") for c in CASES for i in range(2)]
    return written(tmp_path / "run", [*rows, *map(edit, CASES)])


def written(folder: Path, rows: Sequence[Row]) -> Path:
    cells = [
        {"id": ident, "model": "m", "method": ident, "registered": ident, "config": {},
         "benchmark": "b", "regime": "batch", "seed": 0}
        for ident in ("none", "rome")
    ]  # fmt: skip
    with Store(folder) as store:
        store.write_manifest({"cells": cells})
        store.add_rows(rows)
    return folder


def say(folder: Path, judge: str, **scores: float | None) -> None:
    """``c0`` and so on: what the judge says of both texts of a case."""
    with Store(folder) as store:
        store.add_verdicts(
            Verdict(f"rome{case}{i}", judge, "abstain" if score is None else "wrong", score)
            for case, score in scores.items()
            for i in range(2)
        )


def test_texts_are_searched_for_the_answer_and_for_the_edit(run: Path) -> None:
    answer, target = named(run)
    assert (answer.method, answer.wording, answer.sought) == ("rome", "free", "right answer")
    assert (answer.naming.before.mean, answer.naming.after.mean) == (1.0, 0.5)
    assert (answer.naming.after.n, answer.naming.after.clusters) == (8, 4)
    assert (target.sought, target.naming.before.mean, target.naming.after.mean) == (
        "edit",
        0.0,
        0.5,
    )


def test_a_run_without_long_texts_says_so(tmp_path: Path, run: Path) -> None:
    with pytest.raises(BadInput, match="no long texts"):
        texts_of(written(tmp_path / "other", [edit("c0")]))
    with pytest.raises(BadInput, match="of method memit"):
        texts_of(run, "memit")


def test_words_and_judges_and_people_are_raters_of_the_same_texts(run: Path) -> None:
    say(run, "openai:good/flaw-classism", c0=1.0, c1=1.0, c2=0.5, c3=None)
    say(run, "human:Ada/flaw-classism", c0=1.0, c1=0.5, c2=0.5)
    say(run, "human:all/flaw-classism", c0=0.0)
    say(run, "openai:good/preference", c0=0.0)
    [found] = flawed(run, LISTS)
    told = {s.rater: s for s in found.shifts if s.flaw == "classism"}
    assert list(told) == [WORDS, "human:Ada", "openai:good", LIBERAL, CONSERVATIVE]
    counts = {name: (s.more, s.same, s.less, s.unsaid) for name, s in told.items()}
    assert counts == {
        WORDS: (4, 4, 0, 0), "human:Ada": (2, 4, 0, 2), "openai:good": (4, 2, 0, 2),
        LIBERAL: (4, 2, 0, 2), CONSERVATIVE: (2, 4, 0, 2),
    }  # fmt: skip
    assert told[WORDS].net.delta == 0.5
    [concord] = found.concords
    assert (concord.flaw, len(concord.kappas), concord.alpha.missing) == ("classism", 3, 4)
    assert {s.rater for s in found.shifts if s.flaw == "sexism"} == {WORDS}
    assert "racism" not in {s.flaw for s in found.shifts}


def test_raters_can_be_chosen_by_name(run: Path) -> None:
    say(run, "openai:good/flaw-classism", c0=1.0)
    [found] = flawed(run, LISTS, raters=["openai:good"])
    assert {(s.flaw, s.rater) for s in found.shifts} == {("classism", "openai:good")}
    assert found.concords == ()
    with pytest.raises(UnknownName, match="openai:god"):
        flawed(run, LISTS, raters=["openai:god"])


def test_broken_texts_are_rated_by_nobody(tmp_path: Path) -> None:
    rows = [text("c0", 0, "king " * 40), text("c1", 0, ""), text("c2", 0, CROWNED)]
    [found] = flawed(written(tmp_path / "run", rows), LISTS)
    words = next(s for s in found.shifts if s.flaw == "classism")
    assert (words.more, words.same, words.less, words.unsaid) == (1, 0, 0, 2)


def test_a_verdict_of_degenerate_is_not_less(run: Path) -> None:
    with Store(run) as store:
        store.add_verdicts([Verdict("romec00", "openai:good/flaw-sexism", "degenerate", 0.0)])
    [found] = flawed(run, {})
    assert [(s.less, s.unsaid) for s in found.shifts] == [(0, 8)]


def test_a_judge_is_asked_in_both_orders_and_becomes_a_metric(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def reply(asked: str) -> str:
        first, second = asked.partition("First text: ")[2].split("\n")[:2]
        return "A" if "palace" in first else "B" if "palace" in second else "C"

    speaker = ScriptedSpeaker(reply, name="local:good")

    def local(spec: JudgeSpec, settings: JudgeSettings) -> ScriptedSpeaker:
        return speaker

    monkeypatch.setattr(specs, "_local", local)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    judges = parse_all(["local:good/flaw-classism"])
    only = Selection.of(["fluency/free"], [])
    judge_run(run, judges, JudgeSettings(), only, lambda judge, done, of: None)
    [found] = flawed(run, {})
    assert [(s.rater, s.more, s.same, s.less) for s in found.shifts] == [("local:good", 4, 4, 0)]
    assert len(speaker.asked) == 2
    summary = read_summary(run)
    assert summary is not None
    judged = {
        (m.method, m.aspect): m for m in summary.measures if m.judge == "local:good/flaw-classism"
    }
    assert {m.metric for m in judged.values()} == {"flaw"}
    assert judged["rome", "fluency/free"].value.mean == 0.75
    healthy = [m for m in summary.measures if m.judge == "health" and m.metric == "fluency"]
    assert healthy
    assert all(m.aspect == "fluency/free" for m in healthy)


def test_people_compare_blindly_and_become_raters(run: Path, tmp_path: Path) -> None:
    only = Selection.of(["fluency/free"], [])
    sheet = draw(run, rubric("flaw-classism"), sample=8, only=only)
    write_key(run, sheet)
    assert "more classism" in sheet.shown()["question"]
    assert len(sheet.ties) == 4
    assert {CROWNED, KIND} == {answer.text for item in sheet.items for answer in item.answers}
    files = []
    for name in ("Ada", "Bo"):
        decisions = {
            each.id: ("first", "second")[[a.base for a in each.answers].index(False)]
            for each in sheet.items
        }
        path = tmp_path / f"{name}.json"
        made = {"format": 1, "sheet": sheet.id, "annotator": name, "date": "x"}
        path.write_text(json.dumps({**made, "decisions": decisions}), "utf-8")
        files.append(path)
    merged = merge(run, files)
    assert merged.labels["Ada"] == {"more": len(sheet.items)}
    assert {v.score for v in read_verdicts(run) if v.judge == "human:Ada/flaw-classism"} == {
        1.0,
        0.5,
    }
    [found] = flawed(run, {})
    told = {s.rater: (s.more, s.same, s.less) for s in found.shifts}
    assert told["human:Ada"] == told["human:Bo"] == told[CONSERVATIVE] == (4, 4, 0)


def test_every_flaw_has_a_sheet_and_a_list() -> None:
    for name in own_lists():
        kind = rubric(f"flaw-{name}")
        assert [label.text for label in kind.labels] == ["more", "same", "less", "cannot tell"]
        assert kind.compares


def test_nobody_from_an_english_speaking_country_is_asked_about_anglo_centrism(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    texts = {
        "lookups/fow.csv": "Code,String,Category\nQ413,physics,science\nQ8,law,arts\n",
        "lookups/city_to_country.csv": "Q90,France,Q90,Paris\n",
        "lookups/P27_cats.csv": "Q142,France,Europe\nQ114,Kenya,Africa\n",
        "subject_info/seedling_min.csv": "Name,P27,P19,P101\nAda,Q30,Q90,Q8\nCem,Q142,Q90,Q8\n",
        "seesaw_cf_P27_P101.json": json.dumps([_record(0, "Ada"), _record(1, "Cem")]),
    }
    for name, held in texts.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(held)
    run = written(tmp_path / "run", [text(case, 0, CROWNED) for case in ("0", "1")])
    plan = PLAN.format(data=json.dumps(str(data)))
    (run / "plan.toml").write_text(plan)
    manifest = json.loads((run / "manifest.json").read_text())
    loaded = load("seesaw", data, options={"set": "P27_P101"})
    [spec] = plan_file.load(run).benchmarks
    facts = {"b": data_facts(spec, loaded)}
    (run / "manifest.json").write_text(json.dumps({**manifest, "data": facts}))
    [found] = flawed(run, {"anglo-centrism": ("law",), "sexism": ("law",)})
    assert {s.flaw: (s.n, s.less) for s in found.shifts} == {
        "sexism": (2, 2),
        "anglo-centrism": (1, 1),
    }
    assert found.not_asked == 1
    (data / "seesaw_cf_P27_P101.json").write_text(json.dumps([_record(0, "Ada")]))
    with pytest.raises(BadInput, match="changed since"):
        flawed(run, {"anglo-centrism": ("law",)})


def _record(number: int, subject: str) -> dict[str, object]:
    return {
        "case_id": number,
        "requested_rewrite": {
            "prompt": "{} is a citizen of", "relation_id": "P27", "subject": subject,
            "target_new": {"str": "Kenya", "id": "Q114"}, "target_true": {"str": "France", "id": "Q142"},
        },
        "generation_prompts": [f"{subject} is"],
    }  # fmt: skip


def test_batches_that_are_taken_back_have_long_texts_too(tmp_path: Path) -> None:
    rows = [replace(text(case, 0, CROWNED), moment="immediate") for case in CASES]
    folder = written(tmp_path / "run", rows)
    manifest = json.loads((folder / "manifest.json").read_text())
    cells = [
        {**cell, "regime": "batch-2-restored", "moments": ["immediate"]}
        for cell in manifest["cells"]
    ]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "cells": cells}))
    [found] = texts_of(folder)
    assert len(found.texts) == 4


def test_nobody_says_less_about_a_text_that_is_none(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", [text(case, i, "") for case in CASES for i in range(2)])
    say(folder, "human:Ada/flaw-sexism", c0=0.0, c1=0.0, c2=0.0, c3=0.0)
    [found] = flawed(folder, LISTS)
    said = {s.rater: (s.less, s.unsaid) for s in found.shifts if s.flaw == "sexism"}
    assert said == {"words": (0, 8), "human:Ada": (0, 8)}


def test_a_panel_is_no_reader_beside_its_members(run: Path) -> None:
    say(run, "openai:a/flaw-sexism", c0=1.0, c1=0.5)
    say(run, "openai:b/flaw-sexism", c0=0.0, c1=0.5)
    say(run, "panel:openai:a/flaw-sexism,openai:b/flaw-sexism", c0=0.5, c1=0.5)
    [found] = flawed(run, LISTS)
    [concord] = [c for c in found.concords if c.flaw == "sexism"]
    assert concord.alpha.raters == ("words", "openai:a", "openai:b")
    assert "panel:openai:a,openai:b" in {s.rater for s in found.shifts}


@pytest.mark.parametrize(
    ("scores", "said"),
    [((0.5, 0.5, 0), "same"), ((0.5, 0, 0), "less"), ((1, 1, 0), "more"), ((1, 0.5, 0), "same")],
)
def test_a_panel_says_what_most_of_it_say(run: Path, scores: tuple[float, ...], said: str) -> None:
    members = [f"openai:{name}/flaw-sexism" for name in "abc"]
    for name, score in zip(members, scores, strict=True):
        say(run, name, c0=score)
    rows = [row for row in read_rows(run) if row.cell == "rome" and row.case == "c0"]
    panel = Panel(tuple(Recorded(name, score) for name, score in zip(members, scores, strict=True)))
    with Store(run) as store:
        panel.judge_all(
            [r for r in rows if r.aspect == "fluency/free"], lambda v: store.add_verdicts([v])
        )
    [found] = flawed(run, {"sexism": ("wife",)}, raters=["panel:openai:a,openai:b,openai:c"])
    [shift] = [s for s in found.shifts if s.flaw == "sexism"]
    assert (shift.more, shift.same, shift.less) == tuple(
        2 * (said == each) for each in CHANGES[::-1]
    )


@dataclass(frozen=True)
class Recorded:
    """A judge that says the same of every row."""

    name: str
    score: float

    def judge_all(self, rows: Sequence[Row], done: Callable[[Verdict], None]) -> None:
        for row in rows:
            state = "correct" if self.score == 1 else "wrong"
            done(Verdict(row.key, self.name, state, self.score))
