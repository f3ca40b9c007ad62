"""Which settings a model gets, and prefixes that are sampled."""

from __future__ import annotations

from pathlib import Path

import pytest

from asking import make
from truing.methods import ft, memit, rome
from truing.methods.kernels.contexts import STARTERS, sample
from truing.methods.method import MethodConfig
from truing.methods.settings import KNOWN, at_depth, key_of, look_up
from truing.models.answers import NoAnswers
from truing.seeds import Seeds

TABLES = {"rome": rome.TABLE, "memit": memit.TABLE, "ft": ft.TABLE}


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.key)
def test_a_model_is_known_by_its_hub_id(known: object) -> None:
    model = make()
    model.name = known.hubs[0]  # type: ignore[attr-defined]
    assert key_of(model) == known.key  # type: ignore[attr-defined]


def test_a_folder_is_known_by_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("gpt2")
    model.name = "/models/mine"
    assert key_of(model) is None
    shape = ("gpt2", model.arch.n_layers, model.arch.down(0).d_in)
    monkeypatch.setattr("truing.methods.settings.KNOWN", (type(KNOWN[0])("mine", (), shape),))
    assert key_of(model) == "mine"


@pytest.mark.parametrize("name", TABLES)
def test_tables_hold_known_models_only(name: str) -> None:
    assert set(TABLES[name]) <= {known.key for known in KNOWN}
    assert "pocket" in TABLES[name]


def test_unknown_models_get_a_guess_that_says_so() -> None:
    row, source = look_up(make(), rome.TABLE, rome.guess)
    assert source == "heuristic"
    assert row == rome.guess(3)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4, 12, 32, 80])
def test_guesses_exist_and_can_reach_the_logits(n_layers: int) -> None:
    layers = [rome.guess(n_layers).layer, ft.guess(n_layers).layer, *memit.guess(n_layers).layers]
    assert all(0 <= layer < n_layers for layer in layers)
    if n_layers > 1:
        assert max(layers) < n_layers - 1
    assert at_depth(32, 0.2) == 6


def test_prefixes_are_sentences_that_the_seed_decides() -> None:
    model = make()
    model.answers = NoAnswers()
    counts = ((3, 5), (6, 2))
    found = sample(model, counts, Seeds(1))
    assert found == sample(model, counts, Seeds(1))
    assert found != sample(model, counts, Seeds(2))
    assert len(found) == 7
    for i, prefix in enumerate(found):
        assert prefix.startswith(STARTERS[i % 5])
        assert prefix.endswith(". ")
        assert "\n" not in prefix


def test_facts_hold_the_content_of_files_that_settings_name(tmp_path: Path) -> None:
    """Two runs with one path and other content behind it are two runs."""

    class Config(MethodConfig):
        checkpoint: Path | None = None

    folder = tmp_path / "editor"
    nothing = Config(checkpoint=folder).facts()
    folder.mkdir()
    (folder / "a").write_text("one")
    one = Config(checkpoint=folder).facts()
    (folder / "a").write_text("two")
    two = Config(checkpoint=folder).facts()
    assert len({str(facts["checkpoint"]) for facts in (nothing, one, two)}) == 3
    assert Config().facts()["checkpoint"] is None
    (folder / "a").write_text("one")
    assert Config(checkpoint=folder).facts() == one
    assert Config(checkpoint=folder / "a").facts() != one
