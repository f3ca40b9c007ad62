"""Detecting a concept: pooled scores, ranks, thresholds, and rare positives."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.errors import BadInput
from truing.scoring.detection import auroc, detection, f1, pooled, youden
from truing.scoring.intervals import Floats

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "steering/axbench"


def a(*scores: float) -> Floats:
    return np.array(scores, dtype=np.float64)


def test_a_text_scores_as_its_largest_token() -> None:
    assert pooled([a(1, 5, 2), a(-3), a(0, -1)]).tolist() == [5, -3, 0]
    with pytest.raises(BadInput, match="no token"):
        pooled([a(1), a()])


@pytest.mark.parametrize(
    ("positive", "negative", "area", "threshold"),
    [
        (a(3, 4), a(1, 2), 1.0, 3),
        (a(1, 2), a(3, 4), 0.0, 1),
        (a(1, 1), a(1), 0.5, 1),
        (a(2, 4), a(1, 3), 0.75, 4),
        (a(1, 3), a(1, 2, 0), 0.75, 3),
    ],
)
def test_known_small_cases(
    positive: Floats, negative: Floats, area: float, threshold: float
) -> None:
    assert auroc(positive, negative) == pytest.approx(area)
    assert youden(positive, negative) == threshold


def test_rare_positives_cost_precision_alone() -> None:
    """Nine of ten are found, one of ten others too: with equal shares precision is 0.9; at one in a
    hundred it is 0.009 / (0.009 + 0.099)."""
    assert f1(0.9, 0.1, 0.5) == pytest.approx(0.9)
    precision = 0.009 / 0.108
    assert f1(0.9, 0.1, 0.01) == pytest.approx(2 * precision * 0.9 / (precision + 0.9))
    assert f1(0.0, 0.3, 0.5) == 0.0
    assert f1(1.0, 0.0, 0.01) == 1.0


def test_hard_negatives_count_apart() -> None:
    found = detection(a(0.8, 0.9, 0.7, 0.2), a(0.1, 0.3, 0.0, 0.6), a(0.75, 0.1))
    assert found.threshold == 0.7
    assert found.auroc == pytest.approx(14 / 16)
    assert found.f1 == pytest.approx(2 * 3 / (3 + 0 + 4))
    assert found.f1_rare == pytest.approx(found.f1)  # no false alarms, whatever the shares
    assert found.hard == 0.5
    assert (found.n_positive, found.n_negative, found.n_hard) == (4, 4, 2)
    assert detection(a(1), a(0)).hard is None


def test_what_cannot_be_scored_is_refused() -> None:
    for positive, negative in ((a(), a(1)), (a(1), a())):
        with pytest.raises(BadInput, match="with and without"):
            detection(positive, negative)
    with pytest.raises(BadInput, match="not finite"):
        detection(a(1), a(0), a(np.nan))


scores = st.lists(st.integers(-5, 5), min_size=1, max_size=12).map(lambda s: a(*s))


@settings(max_examples=100, deadline=None)
@given(scores, scores)
def test_areas_and_thresholds_are_those_of_their_definitions(p: Floats, n: Floats) -> None:
    wins = sum(float(x > y) + 0.5 * float(x == y) for x in p for y in n) / (len(p) * len(n))
    assert auroc(p, n) == pytest.approx(wins)
    assert auroc(n, p) == pytest.approx(1 - wins)
    assert auroc(2 * p - 7, 2 * n - 7) == pytest.approx(wins)

    def j(threshold: float) -> float:
        return float((p >= threshold).mean() - (n >= threshold).mean())

    assert j(youden(p, n)) == pytest.approx(max(j(t) for t in np.concatenate([p, n])))
    found = detection(p, n)
    assert 0 <= found.f1_rare <= 1
    if len(p) / (len(p) + len(n)) > 0.01:
        assert found.f1_rare <= found.f1 + 1e-12


def test_it_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    p, n = rng.normal(0.7, 1, 40).round(1), rng.normal(0, 1, 60).round(1)
    labels, together = [1] * 40 + [0] * 60, np.concatenate([p, n])
    found = detection(p, n)
    assert found.auroc == pytest.approx(metrics.roc_auc_score(labels, together))
    assert found.f1 == pytest.approx(metrics.f1_score(labels, together >= found.threshold))


def test_words_alone_detect_the_published_concepts() -> None:
    """The protocol on its data, with the difference of word counts in place of a model's direction:
    scores of words, the largest of each text, concept by concept."""
    parquet = pytest.importorskip("pyarrow.parquet")
    files = [DATA / f"concept10_2b_l20_{name}.parquet" for name in ("train", "latent_eval")]
    if not all(file.exists() for file in files):
        pytest.skip(f"{DATA} is absent; set TRUING_DATA to the folder that holds steering/axbench")
    train, held = (parquet.read_table(file).to_pylist() for file in files)
    negative = counts([row["output"] for row in train if row["category"] == "negative"])
    areas = []
    for concept in range(10):
        mine = counts([row["output"] for row in train if row["concept_id"] == concept])
        weight = {word: mine[word] - negative[word] for word in mine}
        texts: dict[str, list[Floats]] = {}
        for row in held:
            if row["concept_id"] == concept:
                found = a(*(weight.get(word, 0.0) for word in row["output"].lower().split()))
                texts.setdefault(row["category"], []).append(found)
        shown = detection(*(pooled(texts[kind]) for kind in ("positive", "negative")))
        assert (shown.n_positive, shown.n_negative) == (36, 36)
        areas.append(shown.auroc)
    assert np.mean(areas) > 0.75
    assert min(areas) > 0.5


def counts(texts: list[str]) -> Counter[str]:
    """In what share of ``texts`` a word occurs."""
    found: Counter[str] = Counter()
    for text in texts:
        for word in set(text.lower().split()):
            found[word] += 1 / len(texts)  # type: ignore[assignment]
    return found
