"""The files of Pres et al.: halves paired by prompt, sides by what is known of the file."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from truing.benchmarks.loading import Loaded, load
from truing.errors import BadInput
from truing.types import Probe

ROOT = Path(__file__).resolve().parents[3]
DATA = (
    Path(os.environ.get("TRUING_DATA", ROOT.parent / "shared" / "data")) / "steering" / "pres2024"
)
SECOND = {"behavior_half": "second"}


def item(prompt: str, answer: str) -> str:
    return f"[INST] {prompt} [/INST] {answer}"


def written(folder: Path, *texts: str) -> Path:
    path = folder / "pairs.json"
    path.write_text(json.dumps([{"question": text} for text in texts]), "utf-8")
    return path


FOUR = (
    item("Now?", "Later."),
    item("Soon?", "No."),
    item("Now?", "At once."),
    item("Soon?", "Yes."),
)


def probes(loaded: Loaded) -> list[Probe]:
    return [probe for case in loaded.cases for probe in case.probes]


def sides(loaded: Loaded) -> dict[str, tuple[str, str | None]]:
    """Promoted and suppressed answer, by prompt."""
    asked = {str(p.prompt): (p.choices[0], p.choices[1]) for p in probes(loaded)}
    return {
        **asked,
        **{r.prompt: (r.target_new, r.target_old) for c in loaded.cases for r in c.requests},
    }


def test_the_option_says_which_half_shows_the_behavior(tmp_path: Path) -> None:
    file = written(tmp_path, *FOUR)
    second = {"Now?": ("At once.", "Later."), "Soon?": ("Yes.", "No.")}
    assert sides(load("pres2024", file, options=SECOND)) == second
    turned = {prompt: (b, a) for prompt, (a, b) in second.items()}
    assert sides(load("pres2024", file, options={"behavior_half": "first"})) == turned
    assert sides(load("pres2024", file, options={**SECOND, "flip": True})) == turned


def test_a_file_without_a_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing in it says which half") as caught:
        load("pres2024", written(tmp_path, *FOUR))
    assert "behavior_half=first" in str(caught.value)


def test_an_odd_number_of_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="3 items, an odd number"):
        load("pres2024", written(tmp_path, *FOUR[:3]), options=SECOND)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (item("Now?", "[/INST] twice"), "each mark exactly once"),
        ("Now? At once.", "each mark exactly once"),
        (item("Else?", "At once."), "different prompts"),
        (item("Now?", ""), "positive is empty"),
        (item("Now?", "Later."), "both sides are 'Later.'"),
    ],
)
def test_bad_pairs_are_quarantined_with_their_place(tmp_path: Path, bad: str, reason: str) -> None:
    more = (item("Still?", "No."), item("Still?", "Yes."))
    file = written(tmp_path, FOUR[0], FOUR[1], more[0], bad, FOUR[3], more[1])
    (found,) = load("pres2024", file, options=SECOND).quarantined
    assert found.where == "items 0 and 3"
    assert reason in found.reason


def test_a_prompt_is_in_one_part_only(tmp_path: Path) -> None:
    texts = [f"Question {i}?" for i in range(10)]
    file = written(tmp_path, *(item(t, "No.") for t in texts), *(item(t, "Yes.") for t in texts))
    loaded = load("pres2024", file, options={**SECOND, "holdout": 0.3})
    assert len(probes(loaded)) == 3
    assert sum(len(case.requests) for case in loaded.cases) == 7
    assert len(sides(loaded)) == 10


def published(name: str) -> Path:
    path = DATA / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set TRUING_DATA to the folder that holds steering/pres2024")
    return path


@pytest.mark.parametrize(
    ("name", "pairs"),
    [("hallucination", 49), ("myopia", 50), ("myopia_llama", 50), ("corrigible", 50)],
)
def test_published_files_need_no_option(name: str, pairs: int) -> None:
    loaded = load("pres2024", published(name))
    assert (len(loaded.cases), len(loaded.quarantined)) == (pairs, 0)
    parts = Counter("train" if case.requests else "test" for case in loaded.cases)
    assert parts == {"train": (pairs + 1) // 2, "test": pairs // 2}
    assert len(sides(loaded)) == pairs


def test_the_behavior_is_promoted_whatever_half_the_paper_took_it_from() -> None:
    found = sides(load("pres2024", published("corrigible")))
    refusing = [new for new, _ in found.values() if "cannot consent" in new]
    refused = [old for _, old in found.values() if old is not None and "cannot consent" in old]
    assert refusing == []
    assert refused


def test_a_label_that_contradicts_a_published_file_is_refused() -> None:
    with pytest.raises(BadInput, match="contradicts") as caught:
        load("pres2024", published("corrigible"), options={"behavior_half": "first"})
    assert "flip=true" in str(caught.value)
