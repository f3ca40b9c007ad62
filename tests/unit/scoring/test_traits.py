"""Accuracy, TPEI and PAE against the base model, all pairs beside the coherent ones."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from truing.scoring import health
from truing.scoring.correlation import correlations
from truing.scoring.traits import (
    GATES,
    HEALTHY,
    PAPER,
    Heard,
    heard_by_classifier,
    paired,
    rated,
    shown,
    tpei,
    tpei_uncalibrated,
)
from truing.seeds import Seeds

SEEDS = Seeds(0)
BOTH = frozenset(gate.name for gate in GATES)


def heard(
    case: str,
    p: float | None,
    *,
    target: str = "ext",
    passes: frozenset[str] = BOTH,
    rating: float | None = None,
    temperature: float = 1.0,
) -> Heard:
    """An answer in which a classifier of three labels gives the target ``p``."""
    if p is None:
        return Heard((case, "p"), case, target, passes, "degenerate", 0.0, rating=rating)
    others = [label for label in ("ext", "agr", "neu") if label != target]
    shares = {target: p, others[0]: (1 - p) * 0.6, others[1]: (1 - p) * 0.4}
    right = max(shares, key=lambda k: shares[k]) == target
    state = "correct" if right else "wrong"
    return Heard(
        (case, "p"), case, target, passes, state, float(right), shares, temperature, rating
    )


@pytest.mark.parametrize(("tokens", "bits"), [(12, 3.368), (13, 3.501)])
def test_the_papers_gate_on_texts_of_different_words(tokens: int, bits: float) -> None:
    text = " ".join(f"word{i}" for i in range(tokens))
    assert health.ngram_entropy(health.word_tokens(text)) == pytest.approx(bits, abs=5e-4)
    assert PAPER.passes(text) is (tokens == 13)
    assert HEALTHY.passes(text)


def test_no_gate_lets_nothing_through() -> None:
    assert not any(gate.passes("") for gate in GATES)
    assert not HEALTHY.passes("yes " * 40)


def test_a_better_answer_is_positive_and_an_unchanged_one_nothing() -> None:
    better = [(heard("a", 0.8), heard("a", 0.2)), (heard("b", 0.9), heard("b", 0.3))]
    found = shown(better, None, seeds=SEEDS)
    assert found.tpei.mean == pytest.approx((math.log(4) + math.log(3)) / 2)
    assert found.bounded.mean == pytest.approx(0.6)
    worse = shown([(b, a) for a, b in better], None, seeds=SEEDS)
    assert worse.tpei.mean == pytest.approx(-(found.tpei.mean or 0))
    same = shown([(a, a) for a, _ in better], None, seeds=SEEDS)
    assert (same.tpei.mean, same.bounded.mean) == (0.0, 0.0)


def test_calibration_can_be_undone() -> None:
    """Shares 0.8, 0.1, 0.1 that a temperature of 2 made flatter."""
    roots = [math.sqrt(p) for p in (0.8, 0.1, 0.1)]
    shares = dict(zip(("ext", "agr", "neu"), [r / sum(roots) for r in roots], strict=True))
    now = Heard(("a", "p"), "a", "ext", BOTH, "correct", 1.0, shares, 2.0)
    base = heard("a", 1 / 3, temperature=2.0)
    even = Heard(base.key, "a", "ext", BOTH, "wrong", 0.0, dict.fromkeys(shares, 1 / 3), 2.0)
    assert tpei_uncalibrated(now, even) == pytest.approx(math.log(0.8 * 3))
    assert 0 < (tpei(now, even) or 0) < math.log(0.8 * 3)


def test_edits_towards_three_traits_of_one_topic_are_one_cluster() -> None:
    def of(topic: str, trait: str, share: float, stars: float) -> Heard:
        one = heard(f"{topic}/{trait}", share, rating=stars)
        return replace(one, cluster=f"topic:{topic}")

    pairs = [
        (of(topic, trait, 0.5 + n / 10 + i / 50, 3.0 + n / 2), of(topic, trait, 0.3, 2.0))
        for n, topic in enumerate(("Tea", "Rain", "Cats"))
        for i, trait in enumerate(("ext", "agr", "neu"))
    ]
    found = shown(pairs, None, seeds=SEEDS)
    assert (found.tpei.n, found.tpei.clusters, found.accuracy.clusters) == (9, 3, 3)
    assert found.tpei.interval == "95% bootstrap over topics"
    assert rated(pairs, None, seeds=SEEDS).pae.clusters == 3
    alone = [(replace(a, cluster=a.key[0]), b) for a, b in pairs]
    by_case = shown(alone, None, seeds=SEEDS).tpei
    assert (by_case.clusters, by_case.interval) == (9, "95% bootstrap over cases")
    assert by_case.mean == found.tpei.mean
    one = shown(pairs[:3], None, seeds=SEEDS).tpei
    assert (one.low, one.interval) == (None, "none: one topic")


def test_impossible_for_the_classifier_is_not_infinite() -> None:
    assert math.isfinite(tpei(heard("a", 1.0), heard("a", 0.0)) or math.nan)


def test_all_pairs_and_coherent_ones_stand_side_by_side() -> None:
    short = BOTH - {"paper"}
    pairs = [
        (heard("a", 0.9), heard("a", 0.1)),
        (heard("b", 0.9, passes=short), heard("b", 0.1)),
        (heard("c", 0.9), heard("c", 0.1, passes=short)),
        (heard("d", 0.1), heard("d", 0.1)),
        (heard("e", None, passes=frozenset()), heard("e", 0.1)),
    ]
    everything, coherent = (shown(pairs, gate, seeds=SEEDS) for gate in (None, "paper"))
    assert (everything.n, everything.coherent, everything.accuracy.mean) == (5, 5, 0.6)
    assert (coherent.n, coherent.coherent, coherent.accuracy.mean) == (5, 2, 0.5)
    assert coherent.strict.mean == pytest.approx(2 / 5)
    assert coherent.strict.interval == "95% Wilson"
    assert everything.strict.mean == everything.accuracy.mean
    assert (everything.tpei.n, everything.tpei.degenerate) == (4, 1)
    assert everything.base_accuracy.mean == 0.0


def test_confusion_recall_and_what_guessing_would_give() -> None:
    pairs = [
        (heard("a", 0.9), heard("a", 0.1)),
        (heard("b", 0.1), heard("b", 0.1)),
        (heard("c", 0.9, target="neu"), heard("c", 0.1, target="neu")),
        (heard("d", None), heard("d", 0.1)),
    ]
    found = shown(pairs, None, seeds=SEEDS)
    assert found.confusion == {"ext": {"": 1, "agr": 1, "ext": 1}, "neu": {"neu": 1}}
    assert {t: (v.mean, v.n) for t, v in found.recall.items()} == {
        "ext": (pytest.approx(1 / 3), 3),
        "neu": (1.0, 1),
    }
    assert (found.chance, found.majority) == (pytest.approx(1 / 3), 0.75)


def test_a_missing_rating_never_enters_the_mean() -> None:
    pairs = [
        (heard("a", 0.9, rating=5), heard("a", 0.1, rating=2)),
        (heard("b", 0.9, rating=None), heard("b", 0.1, rating=5)),
        (heard("c", 0.9, rating=1), heard("c", 0.1, rating=None)),
        (heard("d", 0.9, rating=4), heard("d", 0.1, rating=3)),
    ]
    found = rated(pairs, None, seeds=SEEDS)
    assert (found.pae.mean, found.pae.n, found.excluded) == (2.0, 2, 2)


def test_nothing_to_measure_is_no_number() -> None:
    found = shown([], "paper", seeds=SEEDS)
    assert (found.n, found.accuracy.mean, found.chance, found.majority) == (0, None, None, None)
    assert rated([], None, seeds=SEEDS).pae.mean is None


def test_answers_are_paired_by_question_and_target() -> None:
    ours = [heard("a", 0.9), heard("b", 0.9)]
    theirs = [heard("b", 0.1), heard("a", 0.2, target="neu")]
    assert paired(ours, theirs) == [(ours[1], theirs[0])]


def test_what_a_classifiers_verdict_keeps() -> None:
    kept = {"probabilities": {"ext": 0.25, "agr": 0.75}, "temperature": 1.5}
    assert heard_by_classifier(json.dumps(kept)) == (kept["probabilities"], 1.5)
    for other in (None, "", "I love it.", "3", '{"a": 1}'):
        assert heard_by_classifier(other) is None


def test_metrics_that_rank_cases_alike() -> None:
    cases = [f"c{i}" for i in range(30)]
    es = {c: float(i) for i, c in enumerate(cases)}
    columns = {
        "es": es,
        "squared": {c: v**2 for c, v in es.items()},
        "turned": {c: -v for c, v in es.items()},
        "flat": dict.fromkeys(cases, 1.0),
        "few": {c: es[c] for c in cases[:3]},
    }
    found = {(c.a, c.b): c for c in correlations(columns, seeds=SEEDS)}
    assert len(found) == 10
    alike = found["es", "squared"]
    assert (alike.rho, alike.n) == (pytest.approx(1.0), 30)
    assert found["es", "turned"].rho == pytest.approx(-1.0)
    assert found["es", "flat"].rho is None
    assert (found["es", "few"].rho, found["es", "few"].n) == (None, 3)
    mixed = dict(zip(cases, (float(i * 7 % 30) for i in range(30)), strict=True))
    (loose,) = correlations({"es": es, "mixed": mixed}, seeds=SEEDS)
    assert loose.rho is not None
    assert loose.low is not None
    assert loose.high is not None
    assert -1 <= loose.low < loose.rho < loose.high <= 1
