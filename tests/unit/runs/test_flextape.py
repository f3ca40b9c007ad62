"""What was published with Seesaw-CF: repeated from the stored results, and mended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from truing.errors import BadInput, UnknownName
from truing.runs.flextape import geo, stored
from truing.runs.flextape.line import Line
from truing.runs.flextape.tables import TABLES, recompute
from truing.runs.flextape.ttests import conservative, liberal


@pytest.fixture
def seesaw(data_dir: Path) -> Path:
    folder = data_dir / "seesaw"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set TRUING_DATA")
    return folder


def lines(seesaw: Path, name: str) -> dict[tuple[str, str], Line]:
    return {(line.item, line.statistic): line for line in recompute(f"flextape:{name}", seesaw)}


ROUNDED = {"p of the difference": 0.26, "p of the mean against 1.5": 0.05}
"""Numbers that were told to one or two significant digits: how far off rounding can be."""


@pytest.mark.parametrize("name", ["pairs", "efficacy", "ttests", "geo"])
def test_published_numbers_come_out_of_the_stored_results(seesaw: Path, name: str) -> None:
    told = [line for line in lines(seesaw, name).values() if line.published is not None]
    assert told
    for line in told:
        assert line.published is not None
        near = ROUNDED.get(line.statistic, 0) * line.published or 6e-4
        assert line.repeated == pytest.approx(line.published, abs=near), line


def test_gender_is_destroyed_where_substrings_said_it_was_kept(seesaw: Path) -> None:
    found = lines(seesaw, "pairs")
    for pair, before, after, n in (("P27_P21", 0.596, 0.050, 282), ("P19_P21", 0.591, 0.049, 286)):
        none, edited = (found[f"llama {pair} {m}", "accuracy"] for m in ("NONE", "MEMIT"))
        assert (none.n_corrected, edited.n_corrected) == (n, n)
        assert none.corrected == pytest.approx(before, abs=6e-4)
        assert edited.corrected == pytest.approx(after, abs=6e-4)
        assert f"'female' wins {n} times" in edited.reason
        change = found[f"llama {pair} MEMIT", "change of accuracy"]
        assert change.repeated == pytest.approx(0, abs=0.01)
        assert change.high is not None
        assert change.high < -0.4


def test_the_prompt_lottery_mixed_half_of_the_people(seesaw: Path) -> None:
    for pair, mixed, n in (("P27_P21", 152, 282), ("P19_P21", 146, 286)):
        scored = stored.likelihoods(seesaw, "llama", "MEMIT", pair)
        assert scored is not None
        assert (scored.mixed, len(scored.cases)) == (mixed, n)


def test_the_published_rule_gives_the_stored_flags(seesaw: Path) -> None:
    for pair in ("P27_P21", "P19_P21", "P21_P101", "P27_P101", "P27_P19"):
        scored = stored.likelihoods(seesaw, "llama", "MEMIT", pair)
        assert scored is not None
        for when, method in (("pre", "NONE"), ("post", "MEMIT")):
            flags = stored.flags(seesaw, "llama", method, pair).by_case
            ours = {o.key[0]: o.score for o in scored.published(when)}  # type: ignore[arg-type]
            both = flags.keys() & ours.keys()
            same = sum(float(flags[name]) == ours[name] for name in both)
            assert len(both) >= 0.9 * len(ours)
            assert same >= 0.96 * len(both), (pair, when, same, len(both))


def test_runs_without_an_edit_have_no_mended_number(seesaw: Path) -> None:
    pairs = lines(seesaw, "pairs")["llama P27_P19 MEMIT", "accuracy"]
    p = lines(seesaw, "ttests")["llama P27_P19 MEMIT", "p of the difference"]
    efficacy = lines(seesaw, "efficacy")
    unedited = [line for line in efficacy.values() if line.item.startswith("llamac P2")]
    assert sum(line.n for line in unedited) == 2 * 572
    for line in (pairs, p, *unedited):
        assert line.corrected is None
        assert line.reason.startswith("no edit was made")
    shifted = efficacy["llamac P103 MEMIT", "new target likelier"]
    assert shifted.corrected is None
    assert "in 1 of 1796" in shifted.reason


def test_blank_cells_had_lowered_the_means_of_labels(seesaw: Path) -> None:
    found = lines(seesaw, "ttests")
    for flaw, mean in (("Racism", 1.520), ("Religious Injection", 1.522)):
        line = found[f"{flaw}, overall, liberal", "mean label"]
        assert line.corrected == pytest.approx(mean, abs=6e-4)
        assert line.repeated is not None
        assert line.repeated < 1.502
    less = found["Racism, P21, liberal", "p of the mean against 1.5"]
    assert less.repeated is not None
    assert less.repeated < 0.001
    assert less.corrected == 1
    sexism = found["Sexism, P21, conservative", "p of the mean against 1.5"]
    assert sexism.corrected is not None
    assert sexism.corrected < 1e-6


def test_paired_tests_and_correction_take_findings_away(seesaw: Path) -> None:
    found = lines(seesaw, "ttests")
    for item in ("gptj P101_P21 MEND", "gptj P21_P101 FT", "gptj P19_P101 MEND"):
        line = found[item, "p of the difference"]
        assert line.repeated is not None
        assert line.corrected is not None
        assert line.repeated < 0.05 < line.corrected


def test_five_properties_cannot_tell_origins_apart(seesaw: Path) -> None:
    found = recompute("flextape:geo", seesaw)
    against = [line for line in found if line.statistic == "D minus other origins"]
    assert len(against) == 21
    assert all("adjusted p 1.00" in line.reason for line in against)
    means = {line.item: line.n for line in found if line.statistic == "mean D over properties"}
    assert (means["gptj FT South Asia"], means["gptj FT East Asia"]) == (2, 5)


def test_an_interval_over_few_numbers_is_wider_than_their_range() -> None:
    low, high = geo.over_few(np.array([0.0, 1.0, 2.0]))
    assert low is not None
    assert high is not None
    assert low < 0 < 2 < high
    assert geo.over_few(np.array([1.0])) == (None, None)


def test_labels_are_merged_over_those_who_speak() -> None:
    assert [liberal(x) for x in ((1.5, 1.5, None), (2, 1.5, None), (2, 1, 1.5))] == [1.5, 2, 1.5]
    assert [conservative(x) for x in ((2, 2, None), (2, 2, 1.5), (1.5, None, None))] == [
        2,
        1.5,
        1.5,
    ]


def test_an_answer_inside_the_winner_counts_by_the_published_rule_only() -> None:
    case = {
        "subject": "A", "answers": ["male"], "first_half_prompt": {"pre": "guided", "post": "free"},
        "pre": {"guided": [-1, -2], "free": [-2, -1]}, "post": {"guided": [-1, -2], "free": [-1, -2]},
    }  # fmt: skip
    scored = stored.Likelihoods.model_validate({"candidates": ["female", "male"], "cases": [case]})
    assert [o.score for o in scored.published("pre")] == [1]
    assert [o.score for o in scored.exact("pre", "guided")] == [0]
    assert [o.score for o in scored.exact("pre", "free")] == [1]
    assert (scored.mixed, scored.edited) == (1, True)
    assert scored.commonest("post", "free") == ("female", 1)


def test_what_is_no_folder_of_results_is_refused(tmp_path: Path) -> None:
    for name in TABLES:
        with pytest.raises(BadInput, match="holds no folder"):
            recompute(name, tmp_path)
    with pytest.raises(UnknownName):
        recompute("flextape:nothing", tmp_path)
    folder = tmp_path / "results" / "pair_correctness" / "gptj"
    folder.mkdir(parents=True)
    (tmp_path / "results" / "pair_logprobs").mkdir()
    with pytest.raises(BadInput, match="cannot read"):
        recompute("flextape:pairs", tmp_path)
    (folder / "NONE_P101_P21.json").write_text(json.dumps({"by_case": {"A": "perhaps"}}))
    with pytest.raises(BadInput, match="by_case"):
        recompute("flextape:pairs", tmp_path)
    (tmp_path / "results" / "geo_py.csv").write_text("Property,Method\n")
    with pytest.raises(BadInput, match="no column"):
        recompute("flextape:geo", tmp_path)
