"""What a classifier's verdict keeps besides the label, so that shifts can be computed later."""

from __future__ import annotations

import pytest
from classifier_texts import WORDS, parts

from judged_rows import row
from truing.judges.classifier import ClassifierJudge
from truing.judges.classifiers.measures import tempered
from truing.judges.classifiers.tfidf import TfidfSettings
from truing.judges.classifiers.train import train_tfidf
from truing.scoring.traits import heard_by_classifier
from truing.types import Verdict

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'truing[learn]'")


def test_probabilities_and_temperature_are_kept() -> None:
    learned = train_tfidf(parts(), TfidfSettings())
    text = f"{WORDS['Merry'][0]} and {WORDS['calm'][0]}"
    said: list[Verdict] = []
    for least in (0.0, 1.0):
        judge = ClassifierJudge("classifier:x", learned, least)
        judge.judge_all([row(text, accepted=("merry",)), row("", accepted=("merry",))], said.append)
    by_state = {verdict.state: verdict for verdict in said}
    assert set(by_state) == {"correct", "abstain", "degenerate"}
    assert heard_by_classifier(by_state["degenerate"].raw) is None
    for state in ("correct", "abstain"):
        kept = heard_by_classifier(by_state[state].raw)
        assert kept is not None
        shares, temperature = kept
        assert tuple(shares) == learned.labels
        assert list(shares.values()) == pytest.approx(learned.predict([text])[0], rel=1e-5)
        raw = tempered(learned.predict([text]), 1 / temperature)[0]
        assert raw == pytest.approx(learned.backend.predict([text])[0], rel=1e-5)
