"""Judges that must be asked, on stored rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from judged_rows import ScriptedSpeaker, row
from toy_runs import registered, toy_model, toy_plan
from truing.errors import BadInput, NotPossible
from truing.judges import specs
from truing.judges.specs import JudgeSettings, JudgeSpec, parse_all
from truing.protocols.protocol import SYNTHETIC, WILD
from truing.runs.asked import EVERYTHING, Selection, judge_run, note_rubrics, workload
from truing.runs.concord import OWN, pairs
from truing.runs.execute import execute
from truing.runs.plan import parse as parse_plan
from truing.runs.store import Store, read_manifest, read_rows, read_summary, read_verdicts
from truing.runs.verdict_counts import counts
from truing.types import Measure, Row

Say = Callable[[str], str]


def by_gold(text: str) -> str:
    return "A" if "Given answer: Orvale" in text else "B"


def never(text: str) -> str:
    return "B"


def quiet(judge: str, done: int, of: int) -> None:
    return None


@pytest.fixture
def speakers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, ScriptedSpeaker]:
    """Local judges by model: those put in here speak instead."""
    found: dict[str, ScriptedSpeaker] = {}

    def local(spec: JudgeSpec, settings: JudgeSettings) -> ScriptedSpeaker:
        return found[spec.target]

    monkeypatch.setattr(specs, "_local", local)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    found["good"] = ScriptedSpeaker(by_gold, name="local:good")
    found["harsh"] = ScriptedSpeaker(never, name="local:harsh")
    return found


def written(folder: Path, rows: Sequence[Row]) -> Path:
    cells = [
        {"id": ident, "model": "m", "method": ident, "registered": ident, "config": {},
         "benchmark": "b", "regime": "single", "seed": 0}
        for ident in ("none", "rome")
    ]  # fmt: skip
    with Store(folder) as store:
        store.write_manifest({"cells": cells})
        store.add_rows(rows)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [row("Paris", key=f"n{i}", case=f"c{i}", cell="none") for i in range(6)]
    rows += [
        row("Orvale" if i < 4 else f"in a town {i}", key=f"r{i}", case=f"c{i}") for i in range(6)
    ]
    rows += [
        row("Orvale", key="forced", protocol=SYNTHETIC.id),
        row("Orvale", key="noise", moment="base"),
    ]
    rows += [row("Paris", key="kept", aspect="locality/near", accepted=())]
    return written(tmp_path / "run", rows)


def judged(folder: Path, *names: str, only: Selection = EVERYTHING) -> Sequence[Measure]:
    specs_ = parse_all(list(names))
    return judge_run(folder, specs_, JudgeSettings(), only, quiet).measures


def pick(measures: Sequence[Measure], judge: str, aspect: str = "efficacy") -> dict[str, Measure]:
    return {m.method: m for m in measures if m.judge == judge and m.aspect == aspect}


def test_an_asked_judge_has_a_column_of_its_own(run: Path, speakers: object) -> None:
    measures = judged(run, "local:good")
    found = pick(measures, "local:good/correctness")
    assert (found["rome"].value.mean, found["rome"].value.n) == (pytest.approx(4 / 6), 6)
    assert found["none"].value.mean == 0.0
    versus = found["rome"].versus
    assert versus is not None
    assert (versus.delta, versus.n_pairs) == (pytest.approx(4 / 6), 6)
    assert found["rome"].metric == "efficacy"
    assert not found["rome"].compatibility
    assert {m.judge for m in measures if m.method == "rome"} >= {"exact-match", "contains"}
    summary = read_summary(run)
    assert summary is not None
    assert summary.measures == tuple(measures)


def test_locality_is_judged_against_the_base_model(
    run: Path, speakers: dict[str, ScriptedSpeaker]
) -> None:
    speakers["good"] = ScriptedSpeaker(
        lambda text: "A" if "Accepted answer: Paris\nGiven answer: Paris" in text else "B",
        name="local:good",
    )
    found = pick(judged(run, "local:good"), "local:good/correctness", "locality/near")
    assert found["rome"].value.mean == 1.0


def test_forced_answers_and_the_noise_check_are_not_judged(run: Path, speakers: object) -> None:
    judged(run, "local:good")
    rows = {v.row for v in read_verdicts(run) if v.judge == "local:good/correctness"}
    assert rows == {r.key for r in read_rows(run)} - {"forced", "noise"}


def test_published_wordings_are_marked(run: Path, speakers: object) -> None:
    found = pick(
        judged(run, "local:good/correctness-published"), "local:good/correctness-published"
    )
    assert found["rome"].compatibility


def test_ratings_have_a_metric_of_their_own(
    run: Path, speakers: dict[str, ScriptedSpeaker]
) -> None:
    speakers["good"] = ScriptedSpeaker(lambda text: "4", name="local:good")
    found = pick(judged(run, "local:good/personality-openness"), "local:good/personality-openness")
    assert (found["rome"].metric, found["rome"].value.mean) == ("trait-rating", 0.75)


def test_only_the_rows_that_are_chosen_are_judged(run: Path, speakers: object) -> None:
    judged(run, "local:good", only=Selection.of(["locality"], []))
    assert [c.n for c in counts(run, ["local:good/correctness"])] == [1]
    judged(run, "local:good", only=Selection.of([], ["wild"]))
    assert [c.aspect for c in counts(run, ["local:good/correctness"])] == ["locality/near"]
    with pytest.raises(BadInput):
        Selection.of([], ["wilder"])
    assert Selection.of([], ["wild"]).protocols == (WILD.id,)


def test_what_was_judged_is_not_judged_again(
    run: Path, speakers: dict[str, ScriptedSpeaker], tmp_path: Path
) -> None:
    speakers["good"] = ScriptedSpeaker(by_gold, name="local:good", stop_after=2)
    with pytest.raises(NotPossible, match="budget"):
        judged(run, "local:good")
    some = sum(count.n for count in counts(run, ["local:good/correctness"]))
    assert 0 < some < 13
    assert read_summary(run) is not None
    (tmp_path / "cache" / "replies.sqlite3").unlink()
    speakers["good"] = ScriptedSpeaker(by_gold, name="local:good")
    judged(run, "local:good")
    verdicts = [v.row for v in read_verdicts(run) if v.judge == "local:good/correctness"]
    assert len(verdicts) == len(set(verdicts)) == 13
    told: list[tuple[str, int, int]] = []
    judge_run(run, parse_all(["local:good"]), JudgeSettings(), EVERYTHING,
              lambda *args: told.append(args))  # fmt: skip
    assert told == [("local:good/correctness", 0, 0)]


def test_progress_counts_up_to_all_rows(run: Path, speakers: object) -> None:
    told: list[tuple[str, int, int]] = []
    judge_run(run, parse_all(["local:good"]), JudgeSettings(), EVERYTHING,
              lambda *args: told.append(args))  # fmt: skip
    assert told[0][1:] == (0, 13)
    assert told[-1][1:] == (13, 13)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_rules_are_completed_too_and_counted(run: Path, speakers: object) -> None:
    judged(run, "rules", "contains-any")
    said = Counter(v.judge for v in read_verdicts(run))
    assert said["exact-match"] == 13
    assert said["contains-any"] == 15
    for count in counts(run, ["contains-any"]):
        assert (
            count.n
            == count.correct + count.wrong + count.abstain + count.invalid + count.degenerate
        )


def test_other_words_of_a_rubric_do_not_share_a_column(run: Path, speakers: object) -> None:
    judged(run, "local:good")
    manifest = read_manifest(run)
    assert set(manifest["rubrics"]) == {"correctness"}
    with Store(run) as store:
        store.write_manifest({**manifest, "rubrics": {"correctness": "other"}})
    with pytest.raises(BadInput, match="other words"):
        judged(run, "local:good")
    assert note_rubrics({"a": 1}, []) == {"a": 1}


def test_agreement_is_over_rows_that_both_judged_by_aspect(run: Path, speakers: object) -> None:
    judged(run, "local:good", "local:harsh")
    names = ["local:good/correctness", "local:harsh/correctness"]
    found = [p for p in pairs(run, names) if (p.one, p.other) == tuple(names)]
    assert len({p.aspect for p in found}) == len(found) > 1
    assert sum(p.rows for p in found) == 13
    same = [p.rows * p.percent.value for p in found if p.percent and p.percent.value is not None]
    assert sum(same) == pytest.approx(9)
    assert all(p.kappa is not None for p in found)
    own = [p for p in pairs(run, names) if (p.one, p.other) == (names[0], OWN)]
    same = [p.rows * p.percent.value for p in own if p.percent and p.percent.value is not None]
    assert sum(same) == pytest.approx(12)


def test_grades_are_compared_by_their_size_and_never_with_states(
    run: Path, speakers: dict[str, ScriptedSpeaker]
) -> None:
    names = ["local:good/fluency", "local:harsh/fluency", "local:good/correctness"]
    speakers["good"] = ScriptedSpeaker(lambda t: "2" if "Orvale" in t else "1", name="local:good")
    speakers["harsh"] = ScriptedSpeaker(lambda t: "2" if "Orvale" in t else "1", name="local:harsh")
    judged(run, *names)
    graded = [p for p in pairs(run, names) if OWN not in (p.one, p.other)]
    assert {(p.one, p.other) for p in graded} == {tuple(names[:2])}
    alphas = [p.alpha.value for p in graded if p.alpha.value is not None]
    assert alphas
    assert set(alphas) == {1.0}
    assert all(p.kappa is None for p in graded)


def test_a_workload_is_told_without_asking(run: Path, speakers: dict[str, ScriptedSpeaker]) -> None:
    specs_ = parse_all(["rules,local:good,panel:local:good/preference,local:harsh/preference"])
    found = workload(run, specs_, EVERYTHING)
    rows, cost = found["local:good/correctness"]
    assert (rows, cost.chats) == (13, 13)
    assert cost.tokens_in > 13 * 50
    assert speakers["good"].asked == []


def test_a_plan_may_name_asked_judges(tmp_path: Path, speakers: dict[str, ScriptedSpeaker]) -> None:
    with registered():
        plan = toy_plan(
            tmp_path, count=2, protocols=["wild"], judges=["local:good/behavior", "contains-any"]
        )
        assert plan.judges == ("local:good/behavior", "contains-any")
        speakers["good"] = ScriptedSpeaker(lambda t: "A", name="local:good", stop_after=1)
        load = lambda spec: toy_model(spec, cache=tmp_path / "cache")  # noqa: E731
        with pytest.raises(NotPossible, match="--resume"):
            execute(plan, tmp_path / "out", load=load)
        assert read_manifest(tmp_path / "out")["finished"] is None
        speakers["good"] = ScriptedSpeaker(lambda t: "A", name="local:good")
        result = execute(plan, tmp_path / "out", load=load, resume=True)
    assert read_manifest(result.folder)["finished"] is not None
    assert set(read_manifest(result.folder)["rubrics"]) == {"behavior"}
    columns = {m.judge for m in result.summary.measures if m.aspect == "efficacy"}
    assert {"local:good/behavior", "contains-any", "contains"} <= columns


def test_a_plan_with_a_judge_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown judge 'contain'"):
        parse_plan({"model": "truing/pocket", "benchmark": "world", "judges": ["contain"]})
