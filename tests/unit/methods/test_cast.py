"""A vector that acts only where the prompt is of the kind that is to be steered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from asking import make
from truing.errors import BadInput, EditFailed, NotPossible
from truing.interventions.intervention import Intervention
from truing.methods.method import METHODS
from truing.methods.steering.cast import Examples, best_cut, find_condition
from truing.methods.steering.effect import effect
from truing.methods.steering.strength import scaled
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.models.positions import Positions
from truing.types import EditRequest

PAIRS = [
    EditRequest("a", "The Glass Spire is in the city of", "Marrow", "Orvale"),
    EditRequest("b", "Mara Velt's mother tongue is", "French", "Orvalian of the old kind"),
]
STEER = ("aaa bab aaab aa", "aba aaa aab", "bab aaa aba aab a", "aab aab aaa")
LEAVE = ("ZYX 901 XXY 12", "901 YYZ", "XYZZY 0192 ZZ", "YZX 12 ZX")
TEXTS = {"steer": STEER, "leave": LEAVE}


def cast(model: Model, so_far: Intervention | None = None, **facts: Any) -> Intervention:
    config = METHODS.get("cast").config.model_validate({"condition": TEXTS, **facts})
    return METHODS.get("cast").make(model, PAIRS, config, so_far)


def logprobs(model: Model, texts: tuple[str, ...], iv: Intervention | None) -> list[float]:
    return [s.logprob for s in model.score([ScoreAsk(text, "Marrow", iv) for text in texts])]


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"condition_at": {"kind": "last_prompt"}, "strength": 2.0},
        {"similarity": "projected", "layers": [1, 2]},
    ],
)
def test_texts_to_steer_get_the_vector_of_caa_and_the_others_nothing(facts: Any) -> None:
    model = make()
    iv = cast(model, **facts)
    [part] = iv.conditional
    plain = {name: value for name, value in facts.items() if name in ("strength", "layers")}
    caa = METHODS.get("caa")
    always = caa.make(model, PAIRS, caa.config.model_validate(plain))
    assert [op.digest for op in part.ops] == [op.digest for op in always.ops]
    decided = iv.origin.config["decided"]
    assert decided["f1"] == 1.0
    assert decided["margin"] > 1e-4
    assert (decided["steer"], decided["leave"]) == (4, 4)
    assert decided["layer"] == part.conditions[0].layer <= min(op.layer for op in part.ops)
    steered, left = logprobs(model, STEER, iv), logprobs(model, LEAVE, iv)
    assert steered == pytest.approx(logprobs(model, STEER, always), abs=1e-4)
    assert left == pytest.approx(logprobs(model, LEAVE, None), abs=1e-4)
    assert steered != pytest.approx(logprobs(model, STEER, None), abs=1e-3)


def test_texts_of_the_same_kind_that_it_never_saw_are_told_apart_too() -> None:
    model = make()
    iv = cast(model)
    new, other = ("aab aba bab aaa", "aaa aaa bab"), ("YX 19 ZZX 20", "ZZ 291 YY")
    assert logprobs(model, new, iv) != pytest.approx(logprobs(model, new, None), abs=1e-3)
    assert logprobs(model, other, iv) == pytest.approx(logprobs(model, other, None), abs=1e-4)


def test_a_chain_keeps_the_first_and_decides_under_it() -> None:
    model = make()
    first = cast(model)
    again = cast(model, so_far=first, strength=0.2)
    assert again.conditional[0].digest == first.conditional[0].digest
    assert len(again.conditional) == 2
    assert again.origin.method == "cast"
    assert again.origin.requests == ("a", "b", "a", "b")
    assert logprobs(model, LEAVE, again) == pytest.approx(logprobs(model, LEAVE, None), abs=1e-4)


def test_a_file_says_the_same_as_the_texts_and_its_content_counts(tmp_path: Path) -> None:
    model, path = make(), tmp_path / "condition.json"
    path.write_text(json.dumps(TEXTS))
    assert cast(model, condition=path).id == cast(model).id
    config = METHODS.get("cast").config.model_validate({"condition": path})
    before = config.facts()
    path.write_text(json.dumps({**TEXTS, "leave": LEAVE[:3]}))
    assert config.facts() != before
    for wrong in ('{"steer": ["a"]}', '{"steer": [], "leave": ["a"]}', "nothing"):
        path.write_text(wrong)
        with pytest.raises(BadInput, match="is not what it should be"):
            cast(model, condition=path)
    with pytest.raises(BadInput, match="cannot read"):
        cast(model, condition=tmp_path / "missing.json")


def test_without_texts_the_pairs_prompts_stand_against_neutral_text() -> None:
    model = make()
    iv = cast(model, condition=None)
    assert iv.origin.config["decided"]["steer"] == len(PAIRS)
    with pytest.raises(NotPossible, match="template"):
        cast(model, condition=None, template="Q: {} A:")


def test_settings_that_mean_nothing_are_refused() -> None:
    model = make(kind="bytes")
    with pytest.raises(ValidationError):
        Examples(steer=(), leave=("a",))
    with pytest.raises(BadInput, match="one token"):
        cast(model, condition={"steer": ["a"], "leave": ["bb"]})
    with pytest.raises(EditFailed):
        cast(model, condition={"steer": ["abc"], "leave": ["abc"]})
    with pytest.raises(BadInput, match="before its condition"):
        cast(model, layers=[0], condition_layers=[2])


def test_the_lowest_of_the_best_blocks_decides() -> None:
    model = make()
    layers = (0, 1, 2)
    condition, cut = find_condition(model, Examples(steer=STEER, leave=LEAVE), layers)
    for layer in layers:
        alone, other = find_condition(model, Examples(steer=STEER, leave=LEAVE), [layer])
        assert alone.layer == layer
        assert (other.f1, other.margin) <= (cut.f1, cut.margin)
    assert condition.positions == Positions("prompt", skip_first=True)


@pytest.mark.parametrize(
    ("steer", "leave", "threshold", "meets", "f1", "margin"),
    [
        ([0.8, 0.6], [0.1, 0.2], 0.4, "above", 1.0, 0.4),
        ([-0.5, -0.1], [0.3, 0.9], 0.1, "below", 1.0, 0.4),
        ([0.9, 0.5, 0.1], [0.3, 0.2], 0.4, "above", 0.8, 0.2),
        ([0.9, 0.5], [0.7, 0.1], 0.3, "above", 0.8, 0.4),
    ],
)
def test_the_best_cut_of_known_similarities(
    steer: list[float], leave: list[float], threshold: float, meets: str, f1: float, margin: float
) -> None:
    cut = best_cut(torch.tensor(steer), torch.tensor(leave))
    assert cut.meets == meets
    assert (cut.threshold, cut.f1, cut.margin) == pytest.approx((threshold, f1, margin))


shares = st.lists(st.integers(-20, 20).map(lambda n: n / 20), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(shares, shares)
def test_no_threshold_of_a_grid_does_better(steer: list[float], leave: list[float]) -> None:
    """F1 as it is defined, over a grid finer than the similarities; everything or nothing is no cut."""
    if len({*steer, *leave}) == 1:
        with pytest.raises(EditFailed):
            best_cut(torch.tensor(steer), torch.tensor(leave))
        return
    cut = best_cut(torch.tensor(steer), torch.tensor(leave))
    best = 0.0
    for threshold in (n / 40 + 1e-4 for n in range(-40, 40)):
        for sign in (1, -1):
            hits = sum(sign * (s - threshold) > 0 for s in steer)
            false = sum(sign * (s - threshold) > 0 for s in leave)
            if 0 < hits + false < len(steer) + len(leave):
                best = max(best, 2 * hits / (hits + false + len(steer)))
    assert cut.f1 == pytest.approx(best)


def test_a_conditional_vector_can_be_scaled_and_is_seen_where_it_acts() -> None:
    model = make()
    iv = cast(model)
    [part], [double] = iv.conditional, scaled(iv, 2.0).conditional
    assert double.ops[0].scale == pytest.approx(2 * part.ops[0].scale)
    [met] = effect(model, iv, STEER, new_tokens=4).fired
    [left] = effect(model, iv, LEAVE, new_tokens=4).fired
    assert met.decode.changed == met.decode.tokens > 0
    assert left.decode.changed == 0


@given(shares, shares, st.integers(-20, 20).map(lambda n: n / 20))
def test_a_cut_that_is_stated_is_taken_and_its_f1_is_counted(
    steer: list[float], leave: list[float], threshold: float
) -> None:
    if len({*steer, *leave}) == 1:
        return
    two = torch.tensor(steer, dtype=torch.float64), torch.tensor(leave, dtype=torch.float64)
    for side, sign in (("above", 1), ("below", -1)):
        cut = best_cut(*two, threshold, side)  # type: ignore[arg-type]
        hits = sum(sign * (s - threshold) > 0 for s in steer)
        false = sum(sign * (s - threshold) > 0 for s in leave)
        assert (cut.threshold, cut.meets) == (threshold, side)
        assert cut.f1 == pytest.approx(2 * hits / (hits + false + len(steer)))
        assert cut.margin >= 0
        assert best_cut(*two, None, side).f1 >= cut.f1 or hits + false in (0, len(steer + leave))  # type: ignore[arg-type]
    assert best_cut(*two, threshold).f1 == max(
        best_cut(*two, threshold, "above").f1, best_cut(*two, threshold, "below").f1
    )


def test_a_stated_rule_decides() -> None:
    model = make()
    found = cast(model).conditional[0].conditions[0]
    stated = cast(
        model, condition_layers=[found.layer], threshold=found.threshold, meets=found.meets
    )
    assert [part.digest for part in stated.conditional] == [
        p.digest for p in cast(model).conditional
    ]
    assert stated.origin.config["threshold"] == found.threshold
    everybody = cast(model, condition_layers=[1], threshold=-1.0, meets="above")
    assert logprobs(model, LEAVE, everybody) != pytest.approx(
        logprobs(model, LEAVE, None), abs=1e-3
    )
    with pytest.raises(EditFailed, match="above 1 at any block"):
        cast(model, threshold=1.0, meets="above")


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"threshold": float("nan")}, {"meets": "beside"}]
)
def test_a_rule_that_means_nothing_is_no_setting(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        METHODS.get("cast").config.model_validate(wrong)
