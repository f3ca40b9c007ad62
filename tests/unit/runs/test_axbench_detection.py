"""Concepts detected by directions: AxBench's protocol on small and on published data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import axbench_folder as folders
from asking import make
from truing.benchmarks.axbench import AxBench, read
from truing.errors import BadInput, UnknownName
from truing.models.handle import Model
from truing.runs.axbench_detection import (
    CONTROL,
    Key,
    Setting,
    averages,
    detect,
    find_directions,
    read_scores,
    texts_of,
)
from truing.scoring.detection import auroc
from truing.seeds import Seeds

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "steering/axbench"


@pytest.fixture
def bench(tmp_path: Path) -> AxBench:
    return read(folders.write(tmp_path, *folders.moods(5)))


def hidden(model: Model, texts: Any, layer: int) -> list[torch.Tensor]:
    """Each answer's activations, read another way."""
    found = []
    for text in texts:
        (all_T_D,) = model.hidden(
            [f"{text.question} {text.answer}"], "resid_post", layer, positions="all"
        )
        found.append(all_T_D[model.speller.join(text.question, text.answer).start :])
    return found


def test_directions_and_scores_are_what_the_protocol_says(bench: AxBench) -> None:
    model, setting = make(), Setting(1)
    read_: list[int] = []
    found = find_directions(model, bench, setting, read_.append)
    scores = read_scores(model, bench, setting, found, read_.append)
    assert sum(read_) <= texts_of(bench)
    concept = bench.concepts[0]
    new, old = (
        torch.stack([acts.mean(0) for acts in hidden(model, side, 1)])
        for side in (concept.train, bench.without["text"])
    )
    expected = torch.nn.functional.normalize(new.mean(0) - old.mean(0), dim=0)
    torch.testing.assert_close(found[Key("caa", 0)], expected, atol=1e-4, rtol=1e-4)
    for each in found.values():
        assert float(each.norm()) == pytest.approx(1, abs=1e-5)
    tokens = [acts @ expected for acts in hidden(model, concept.positive, 1)]
    got = scores[Key("caa", 0)]
    np.testing.assert_allclose(got.positive_P, [float(t.max()) for t in tokens], atol=1e-3)
    assert got.highest >= got.positive_P.max()
    assert got.highest == pytest.approx(
        max(got.positive_P.max(), got.negative_N.max(), got.hard_H.max()), abs=1e-5
    )


def test_mean_pooling_leaves_the_largest_activation_as_it_is(bench: AxBench) -> None:
    model = make()
    most, mean = Setting(1, ("caa",)), Setting(1, ("caa",), pool="mean")
    found = find_directions(model, bench, most)
    one, other = (read_scores(model, bench, s, found)[Key("caa", 1)] for s in (most, mean))
    assert (one.positive_P >= other.positive_P - 1e-6).all()
    assert one.highest == other.highest


def test_each_text_is_read_once_whatever_the_methods(
    bench: AxBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for methods in (("caa",), ("caa", "pca", "probe", CONTROL)):
        model, setting, passes = make(), Setting(1, methods), []
        model.hf.register_forward_pre_hook(
            lambda m, a, k, seen=passes: seen.append(k["input_ids"].shape), with_kwargs=True
        )
        read_scores(model, bench, setting, find_directions(model, bench, setting))
        counts.append(sum(rows for rows, _ in passes))
    assert counts[0] == counts[1] <= texts_of(bench)


def test_seeds_decide_the_control_and_what_is_drawn(bench: AxBench) -> None:
    model = make()
    one, same, other = (
        find_directions(model, bench, Setting(1, (CONTROL,), seed=s))[Key(CONTROL, 0)]
        for s in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_averages_count_concepts_without_hard_negatives(bench: AxBench) -> None:
    model, setting = make(), Setting(1, ("caa", CONTROL))
    rows = detect(bench, read_scores(model, bench, setting, find_directions(model, bench, setting)))
    assert [(r.method, r.concept) for r in rows] == [
        ("caa", 0), (CONTROL, 0), ("caa", 1), (CONTROL, 1),
    ]  # fmt: skip
    caa, control = averages(rows, Seeds(0))
    assert (caa.method, control.method) == ("caa", CONTROL)
    assert caa.auroc.mean == pytest.approx(np.mean([r.found.auroc for r in rows[::2]]))
    assert (caa.hard.n, caa.hard.missing, caa.auroc.clusters) == (1, 1, 2)


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(UnknownName, match="'cax'"):
        Setting(1, ("cax",))
    with pytest.raises(BadInput, match="twice"):
        Setting(1, ("caa", "caa"))
    with pytest.raises(BadInput, match="layer 3"):
        Setting(3).place(make())


def areas(limit: int) -> dict[str, float]:
    """Each direction's mean area under the ROC curve over the first published concepts."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is absent; set TRUING_DATA to the folder that holds steering/axbench")
    model, bench = Model.load("truing/pocket"), read(DATA, limit)
    setting = Setting(2, ("caa", "probe", CONTROL))
    scores = read_scores(model, bench, setting, find_directions(model, bench, setting))
    found: dict[str, list[float]] = {}
    for key, each in scores.items():
        found.setdefault(key.method, []).append(auroc(each.positive_P, each.negative_N))
    return {method: float(np.mean(mine)) for method, mine in found.items()}


def test_the_embedded_model_detects_a_published_concept() -> None:
    found = areas(1)
    assert found["caa"] > 0.8
    assert found["caa"] > found[CONTROL] + 0.1


@pytest.mark.slow
def test_the_embedded_model_detects_the_published_concepts() -> None:
    found = areas(10)
    assert found["caa"] == pytest.approx(0.82, abs=0.02)
    assert found["caa"] > found["probe"] > found[CONTROL] + 0.1
