"""Second moments: what they are, that collecting can be interrupted, and what files are refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from asking import make
from tiny import TEXT
from truing.errors import BadInput, CannotLoad
from truing.methods.kernels import moments
from truing.methods.kernels.moments import Header, Moments, collect, import_npz, load, save
from truing.methods.stats import stats_for
from truing.models.handle import Model

LAYERS = (0, 2)


@pytest.fixture
def model() -> Model:
    return make("llama")


def by_hand(model: Model, texts: list[str], layer: int, skip: int) -> Tensor:
    """The mean of k k^T over all tokens but the first ``skip`` of each text."""
    keys: list[Tensor] = []
    with model.arch.site("mlp_hidden", layer).register(lambda acts: keys.append(acts[0, skip:])):
        for text in texts:
            with torch.no_grad():
                model.hf(input_ids=torch.tensor([model.speller.prompt_ids(text)]))
    all_keys = torch.cat(keys).double()
    return (all_keys.T @ all_keys / len(all_keys)).float()


@pytest.mark.parametrize("skip_bos", [False, True])
def test_they_are_the_mean_outer_product_over_tokens(model: Model, skip_bos: bool) -> None:
    found = collect(model, TEXT[:6], LAYERS, skip_bos=skip_bos)
    for layer in LAYERS:
        want = by_hand(model, TEXT[:6], layer, skip=int(skip_bos))
        assert torch.allclose(found.layer(layer), want, rtol=1e-4, atol=1e-6)
    counted = sum(len(model.speller.prompt_ids(t)) - skip_bos for t in TEXT[:6])
    assert found.header.tokens == counted
    assert found.header.skip_bos is skip_bos


def test_batches_do_not_matter(model: Model) -> None:
    want = collect(model, TEXT, LAYERS)
    model.budget.tokens = 40
    got = collect(model, TEXT, LAYERS)
    assert torch.allclose(got.layer(2), want.layer(2), rtol=1e-5, atol=1e-7)


def test_an_interrupted_collection_goes_on(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{text} {i}" for i, text in enumerate(TEXT)]
    monkeypatch.setattr(moments, "CHUNK", 5)
    want = collect(model, texts, LAYERS)
    point, done = tmp_path / "point", []

    def interrupt(n: int) -> None:
        done.append(n)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(model, texts, LAYERS, checkpoint=point, progress=interrupt)
    assert point.exists()
    got = collect(model, texts, LAYERS, checkpoint=point, progress=done.append)
    assert sum(done) == len(texts), "documents were counted twice or not at all"
    assert not point.exists()
    assert got.header == want.header
    for layer in LAYERS:
        assert torch.equal(got.layer(layer), want.layer(layer))


def test_a_checkpoint_of_something_else_is_not_used(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "CHUNK", 2)
    point = tmp_path / "point"

    def stop(n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(model, TEXT[:4], LAYERS, checkpoint=point, progress=stop)
    other = collect(model, TEXT[2:6], LAYERS, checkpoint=point)
    assert torch.equal(other.layer(0), collect(model, TEXT[2:6], LAYERS).layer(0))


def test_how_far_it_still_moves_is_told(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "CHUNK", 1)
    header = collect(model, TEXT, LAYERS).header
    tokens = [n for n, _ in header.settling]
    assert all(later >= 2 * earlier for earlier, later in pairwise(tokens))
    assert header.change == header.settling[-1][1]
    assert header.settling[-1][1] < header.settling[0][1]


def test_a_file_gives_back_what_was_saved(model: Model, tmp_path: Path) -> None:
    made = collect(model, TEXT[:6], LAYERS, source="a test")
    save(made, tmp_path / "there" / "m.safetensors")
    again = load(tmp_path / "there" / "m.safetensors")
    assert again.header == made.header
    assert again.header.weights == model.fingerprint
    assert torch.equal(again.layer(2), made.layer(2))
    with pytest.raises(BadInput, match="layers 0, 2, not layer 1"):
        again.layer(1)


@pytest.mark.parametrize("damage", ["cut", "not one", "other metadata", "absent"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "m.safetensors"
    save(Moments({0: torch.eye(3)}, Header(tokens=1)), path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif damage == "not one":
        path.write_text("hello")
    elif damage == "absent":
        path.unlink()
    else:
        from safetensors.torch import save_file

        save_file({"layer.0": torch.eye(3)}, path)
    with pytest.raises(CannotLoad):
        load(path)


def test_newer_formats_and_other_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save(Moments({0: torch.eye(3)}, Header(tokens=1, format=2)), path)
    with pytest.raises(CannotLoad, match="format 2"):
        load(path)
    save(Moments({0: torch.ones(3, 2)}, Header(tokens=1)), path)
    with pytest.raises(CannotLoad, match="shape"):
        load(path)


def test_published_files_can_be_imported(tmp_path: Path) -> None:
    total = np.array([[4.0, 2.0], [2.0, 8.0]], dtype=np.float32)
    path = tmp_path / "x_float32_mom2_2.npz"
    np.savez(path, **{"mom2.count": 4, "mom2.mom2": total})
    found = import_npz({3: path})
    assert torch.equal(found.layer(3), torch.tensor([[1.0, 0.5], [0.5, 2.0]]))
    assert found.header.tokens == 4


@pytest.mark.parametrize(
    "content",
    [
        {"mom2.mom2": np.eye(2)},
        {"mom2.count": 0, "mom2.mom2": np.eye(2)},
        {"mom2.count": 1, "mom2.mom2": np.ones((2, 3))},
        {"mom2.count": 1, "mom2.mom2": np.array([[object()]])},
        {"mom2.count": 1, "mom2.mom2": np.full((2, 2), np.nan)},
    ],
)
def test_wrong_published_files_are_refused_and_never_unpickled(
    tmp_path: Path, content: dict[str, object]
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **content)  # type: ignore[arg-type]
    with pytest.raises(CannotLoad):
        import_npz({0: path})


def test_statistics_of_another_model_are_refused(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "m"
    save(collect(model, TEXT[:6], LAYERS), path)
    assert stats_for(model, LAYERS, path).note["tokens"] > 0
    with torch.no_grad():
        model.arch.parameter(model.arch.down(1).param).add_(1e-3)
    with pytest.raises(BadInput, match="other weights"):
        stats_for(model, LAYERS, path)
    assert stats_for(model, LAYERS, path, allow_other=True).factors[0].lower is not None


def test_a_file_of_another_width_is_refused(model: Model, tmp_path: Path) -> None:
    save(Moments({0: torch.eye(5)}, Header(tokens=1)), tmp_path / "m")
    with pytest.raises(BadInput, match="5 wide"):
        stats_for(model, [0], tmp_path / "m")


def test_automatic_statistics_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make("llama")
    model.cache = tmp_path
    first = stats_for(model, [1], "auto")
    monkeypatch.setattr("truing.methods.stats.texts_for", lambda *args: 1 / 0)
    again = stats_for(model, [1], "auto")
    assert again.note == first.note
    assert torch.equal(again.factors[1].lower, first.factors[1].lower)  # type: ignore[arg-type]
    assert first.note["tokens"] >= 4 * model.arch.down(1).d_in
