"""Published numbers of steering come out of the scores behind them, to the digit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from truing.cli import main
from truing.errors import BadInput, UnknownName
from truing.runs.published_pres2024 import LIKELIHOODS, METRICS, Recomputed, recompute

PER_TOKEN = {
    # run, promoted: promotion, suppression, margin shift, its bounds, preferred before and now
    ("iti_truthful", "truthful"): (-0.072, 0.393, 0.321, 0.213, 0.426, 0.86, 0.96),
    ("caa_neg_hallucination_2", "truthful"): (-0.013, 0.160, 0.146, 0.038, 0.257, 0.86, 0.94),
    ("caa_neg_hallucination_1.5", "truthful"): (0.054, 0.004, 0.058, -0.014, 0.128, 0.86, 0.94),
    ("caa_hallucination_2", "hallucinated"): (-0.093, 0.088, -0.005, -0.074, 0.064, 0.14, 0.12),
    ("caa_hallucination_1.5", "hallucinated"): (-0.038, 0.055, 0.017, -0.033, 0.065, 0.14, 0.12),
    ("caa_sycophancy_2", "hallucinated"): (-0.032, 0.043, 0.011, -0.004, 0.026, 0.14, 0.14),
    ("caa_myopia_2", "myopic"): (-0.187, 0.338, 0.151, 0.029, 0.278, 0.44, 0.58),
    ("caa_corrigible_2", "corrigible"): (-0.335, 0.517, 0.182, 0.056, 0.312, 0.68, 0.66),
}


Recompute = Callable[[str], list[Recomputed]]


@cache
def recomputed(name: str, folder: Path) -> list[Recomputed]:
    return recompute(name, folder)


@pytest.fixture
def released(data_dir: Path) -> Recompute:
    """The released scores' tables by name, each computed once."""
    folder = data_dir / "steering" / "pres2024"
    if not (folder / LIKELIHOODS).is_file():
        pytest.skip(f"{folder / LIKELIHOODS} is absent; set TRUING_DATA")
    return lambda name: recomputed(name, folder)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Four pairs of one run whose published sides are swapped."""
    sides = [[-0.5, -0.4, -0.3, -0.2], [-0.6, -0.5, -0.4, -0.3]]
    scores = {
        "datasets": {
            "toy": {
                "half_labels": ["no", "yes"],
                "padded_len": [11, 21],
                "n_cont_tokens": [[5, 5, 5, 5], [10, 10, 10, 10]],
            }
        },
        "runs": [
            {
                "id": "toy_1",
                "dataset": "toy",
                "target_half": 1,
                "control": [*sides[0], *sides[1]],
                "intervened": [*sides[0], *(x + 0.05 for x in sides[1])],
            },
            {"id": "unpublished", "dataset": "toy", "target_half": 0,
             "control": [*sides[0], *sides[1]], "intervened": [*sides[0], *sides[1]]},
        ],
    }  # fmt: skip
    told = {
        "id": "toy_1",
        "paper_table4": [[0.0, -0.12], [0.0, 9.0], [0.0, 9.0]],
        "notebook_output": None,
        "published_with_swapped_labels": True,
    }
    write(tmp_path, scores, {"runs": [told]})
    return tmp_path


def write(folder: Path, scores: Any, metrics: Any) -> None:
    (folder / LIKELIHOODS).write_text(json.dumps(scores), encoding="utf-8")
    (folder / METRICS).write_text(json.dumps(metrics), encoding="utf-8")


def by_run(found: list[Recomputed]) -> dict[tuple[str, str], Recomputed]:
    return {(r.run, r.positive): r for r in found}


@pytest.mark.parametrize(("name", "numbers"), [("pres2024:table4", 36), ("pres2024:notebook", 64)])
def test_every_published_number_comes_out(released: Recompute, name: str, numbers: int) -> None:
    found = released(name)
    assert sum(2 * len(r.published) for r in found) == numbers
    assert sum(r.agreeing for r in found) == numbers
    tolerance = 1e-4 if name == "pres2024:notebook" else 0.005
    for r in found:
        for ours, theirs in zip(r.ours, r.published, strict=False):
            assert ours.promote == pytest.approx(theirs[0], abs=tolerance + 1e-9)
            assert ours.suppress == pytest.approx(theirs[1], abs=tolerance + 1e-9)


def test_the_table_per_token(released: Recompute) -> None:
    found = by_run(released("pres2024:notebook"))
    assert found.keys() == {*PER_TOKEN, ("caa_corrigible_2", "non_corrigible")}
    for key, (promotion, suppression, margin, low, high, before, now) in PER_TOKEN.items():
        s = found[key].per_token
        assert s.promotion.difference.delta == pytest.approx(promotion, abs=1e-3)
        assert s.suppression.difference.delta == pytest.approx(suppression, abs=1e-3)
        assert s.margin.difference.delta == pytest.approx(margin, abs=1e-3)
        assert s.margin.difference.low == pytest.approx(low, abs=0.015)
        assert s.margin.difference.high == pytest.approx(high, abs=0.015)
        assert s.preference.base.mean == pytest.approx(before, abs=0.005)
        assert s.preference.now.mean == pytest.approx(now, abs=0.005)


def test_the_row_with_swapped_sides_is_there_both_ways(released: Recompute) -> None:
    found = by_run(released("pres2024:table4"))
    published = found["caa_corrigible_2", "non_corrigible"]
    right = found["caa_corrigible_2", "corrigible"]
    assert published.agreeing == 6
    assert "swapped" in published.note
    assert right.published == ()
    assert [(h.promote, h.suppress) for h in right.ours] == [
        pytest.approx(pair, abs=1e-3)
        for pair in ((0.133, 0.052), (0.105, 0.030), (0.057, 0.018), (0.032, 0.015))
    ]
    margin = right.per_token.margin.difference.delta
    assert margin is not None
    assert published.per_token.margin.difference.delta == pytest.approx(-margin)


def test_scores_are_turned_into_nats_per_token(small: Path) -> None:
    found = recompute("pres2024:table4", small)
    assert [(r.positive, len(r.published)) for r in found] == [("no", 3), ("yes", 0)]
    published, right = found
    # 0.05 of a score that was divided by 20 and belongs to 10 tokens
    assert right.per_token.promotion.difference.delta == pytest.approx(0.05 * 20 / 10)
    assert right.per_token.suppression.difference.delta == 0.0
    assert published.per_token.suppression.difference.delta == pytest.approx(-0.1)
    assert published.agreeing < 6


def test_nothing_published_gives_no_rows(small: Path) -> None:
    assert recompute("pres2024:notebook", small) == []


def test_absent_and_broken_files_are_said(tmp_path: Path, small: Path) -> None:
    with pytest.raises(BadInput, match="does not hold reference_likelihoods"):
        recompute("pres2024:table4", tmp_path / "nowhere")
    (small / METRICS).write_text('{"runs": [{"id": 3}]}', encoding="utf-8")
    with pytest.raises(BadInput, match=r"runs\.0\.id"):
        recompute("pres2024:table4", small)
    with pytest.raises(UnknownName):
        recompute("pres2024:table5", small)


def test_the_verb_shows_both_tables_and_says_what_is_wrong(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    run(monkeypatch, "pres2024:table4", small)
    shown = capsys.readouterr()
    assert "toy_1" in shown.out
    assert "margin shift" in shown.out
    assert "swapped" in " ".join(shown.err.split())
    run(monkeypatch, "pres2024:table4", small, "--json")
    first, second = json.loads(capsys.readouterr().out)
    assert first["run"] == second["run"] == "toy_1"
    assert second["per_token"]["promotion"]["difference"]["delta"] == pytest.approx(0.1)


def run(monkeypatch: pytest.MonkeyPatch, name: str, data: Path, *more: str) -> None:
    monkeypatch.setattr(sys, "argv", ["truing", "reproduce", name, "--data", str(data), *more])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert not ended.value.code
