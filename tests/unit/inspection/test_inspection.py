"""What differs is found where it is, and nothing else is."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asking import dense, low_rank, make, op, under
from truing.errors import BadInput, WrongBase
from truing.inspection import weights
from truing.inspection.answers import claimed, claims_of, compare, probes_of
from truing.inspection.findings import Findings, Task, edit_of, inspect
from truing.interventions.interop import peft as exporter
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.methods.rome import ROME
from truing.models.handle import Model
from truing.protocols.protocol import WILD, WILD_QUESTION, parse
from truing.seeds import Seeds
from truing.types import Case, EditRequest, Probe, Response

REQUEST = EditRequest(
    "spire", "The Glass Spire is in the city of", "Marrow", subject="The Glass Spire"
)
CASES = (
    Case(
        "one",
        (REQUEST,),
        (
            Probe("a", "efficacy", "The Tin Gate is in the city of", ("Marrow",)),
            Probe("b", "locality", "What is the capital of France?"),
            Probe("c", "efficacy", "Why?", ("Because.",), follows="a"),
        ),
    ),
)
PROBES = probes_of(CASES, WILD_QUESTION, 10)
TASK = Task(PROBES, WILD_QUESTION, claims=claims_of(CASES), claims_protocol=WILD_QUESTION)


def look(model: Model, iv: Intervention) -> Findings:
    return inspect(model, "edited", iv, TASK)


def stored(model: Model, hf: Any, folder: Path) -> str:
    hf.save_pretrained(folder)
    model.tok.save_pretrained(folder)
    return str(folder)


def noisy(model: Model) -> Any:
    hf = copy.deepcopy(model.hf)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=draw)
    return hf


def test_a_model_beside_itself_shows_nothing(tmp_path: Path) -> None:
    model = make()
    found = look(model, edit_of(model, stored(model, model.hf, tmp_path / "same")))
    assert found.weights.pattern == "nothing"
    assert found.weights.changed == ()
    assert all(layer.relative == 0 for layer in found.weights.layers)
    assert [value.mean for value in found.activations.moved] == [0, 0, 0]
    assert found.activations.nats.mean == found.activations.first.mean == 0
    assert found.answers.changed.mean == 0
    assert found.answers.listed == ()


def test_a_rome_edit_is_one_tensor_of_rank_one() -> None:
    model = make()
    iv = ROME.make(model, [REQUEST], ROME.config(layer=1, stats="none", steps=5))  # type: ignore[call-arg]
    found = look(model, iv)
    [changed] = found.weights.changed
    assert changed.names == (model.arch.down(1).param,)
    assert changed.layer == 1
    assert changed.spectrum is not None
    assert changed.spectrum.rank == 1
    assert changed.spectrum.first == pytest.approx(1)
    assert found.weights.pattern == "low-rank"
    assert [layer.changed for layer in found.weights.layers] == [0, 1, 0, 0]
    assert found.activations.moved[0].mean == 0
    assert all((value.mean or 0) > 0 for value in found.activations.moved[1:])


def test_an_adapter_is_its_matrices_and_their_rank(tmp_path: Path) -> None:
    model = make()
    parts = [low_rank(model.arch.down(1), 3, rank=2), low_rank(model.arch.attn_proj(2), 5, rank=2)]
    exporter.export(under(*parts), model, tmp_path / "adapter")
    found = look(model, edit_of(model, str(tmp_path / "adapter"))).weights
    assert {t.names[0] for t in found.changed} == {part.param for part in parts}
    assert [t.spectrum.rank for t in found.changed if t.spectrum] == [2, 2]
    assert found.pattern == "low-rank"


@pytest.mark.parametrize("family", ["llama", "llama-tied", "gpt2"])
def test_a_tuned_copy_differs_in_every_tensor(family: str, tmp_path: Path) -> None:
    model = make(family)
    folder = stored(model, noisy(model), tmp_path / "tuned")
    found = weights.compare(model.arch, edit_of(model, folder))
    assert found.pattern == "full"
    assert len(found.changed) == found.tensors
    assert all(layer.changed == layer.tensors for layer in found.layers)


def test_one_matrix_trained_in_all_directions_is_a_part() -> None:
    model = make()
    found = weights.compare(model.arch, under(dense(model.arch.down(1), 3)))
    assert found.pattern == "partial"
    assert found.changed[0].relative == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_rounded_copy_is_called_rounding_from_either_side(
    kind: torch.dtype, tmp_path: Path
) -> None:
    model = make()
    rounded = copy.deepcopy(model.hf).to(kind)
    found = weights.compare(
        model.arch, edit_of(model, stored(model, rounded, tmp_path / "rounded"))
    )
    assert found.pattern == "rounding"
    name = str(kind).removeprefix("torch.")
    assert {t.rounding for t in found.changed} == {name}
    assert name in str(found)
    back = Model.of(rounded.float(), model.tok, cache=tmp_path)
    again = weights.compare(back.arch, edit_of(back, stored(model, model.hf, tmp_path / "full")))
    assert again.pattern == "rounding"


def test_an_edit_shows_through_the_rounding_of_the_checkpoint(tmp_path: Path) -> None:
    model = make()
    place = model.arch.down(1)
    with model.using(under(low_rank(place, 3, size=0.5))):
        short = copy.deepcopy(model.hf).to(torch.bfloat16)
    found = weights.compare(model.arch, edit_of(model, stored(model, short, tmp_path / "short")))
    assert found.pattern == "low-rank"
    [real] = [t for t in found.changed if t.rounding is None]
    assert real.names == (place.param,)
    assert real.spectrum is not None
    assert real.spectrum.rank == 1


def test_a_prompt_in_front_is_no_weight_and_moves_what_is_read() -> None:
    model = make()
    found = look(model, under(PromptPrefix("New fact: the eagle flies. ")))
    assert found.weights.pattern == "nothing"
    assert found.weights.elsewhere == {"PromptPrefix": 1}
    assert all((value.mean or 0) > 0 for value in found.activations.moved)


def test_steering_is_no_weight_and_shows_from_its_layer_on() -> None:
    model = make()
    found = look(model, under(op(model, "resid_post", 1, "add", 0)))
    assert found.weights.elsewhere == {"ActivationOp": 1}
    assert found.activations.moved[0].mean == 0
    assert (found.activations.moved[1].mean or 0) > 0
    assert (found.activations.nats.mean or 0) > 0


def test_a_change_that_drowns_in_rounding_has_no_rank() -> None:
    base = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)).bfloat16().float()
    noise = torch.randn(40, 30, generator=torch.Generator().manual_seed(1))
    new = (base * (1 + 2**-8 * noise)).bfloat16().float()
    assert weights.spectrum_of(new - base, weights.floor(base, new)).rank == 0


@given(st.integers(1, 6), st.integers(0, 99), st.floats(1e-3, 1e3))
def test_the_rank_of_a_change_is_found_at_any_size(rank: int, seed: int, size: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    base = torch.randn(24, 16, generator=draw)
    change = torch.randn(24, rank, generator=draw) @ torch.randn(rank, 16, generator=draw)
    new = base + size * change
    found = weights.spectrum_of(new - base, weights.floor(base, new))
    assert found.rank == rank
    assert 1 <= found.effective <= rank + 1e-6
    assert 0 < found.first <= 1


def test_matrices_without_a_spectrum_are_counted() -> None:
    model = make()
    iv = under(*(low_rank(model.arch.down(layer), layer, size=1 + layer) for layer in range(3)))
    found = weights.compare(model.arch, iv, spectra=2)
    assert found.unseen == 1
    assert [t.spectrum is None for t in found.changed] == [True, False, False]


def test_claims_are_held_against_the_answers() -> None:
    claims = [Probe(id, "efficacy", id, ("Marrow",)) for id in "abc"]
    base = {"a": Response("Orvale"), "b": Response("Marrow"), "c": Response("Orvale")}
    edited = {"a": Response("It is Marrow."), "b": Response("Marrow"), "c": Response("Orvale.")}
    found = claimed(claims, base, edited, WILD, seeds=Seeds(0))
    assert (found.held.mean, found.held.n) == (pytest.approx(2 / 3), 3)
    assert found.known.mean == pytest.approx(1 / 3)
    assert [(c.before, c.now, c.changed) for c in found.each] == [
        (False, True, True), (True, True, False), (False, False, False),
    ]  # fmt: skip


def test_an_answer_that_cannot_be_had_from_both_is_no_answer() -> None:
    probes = [Probe(id, "efficacy", id, ("Marrow",)) for id in "ab"]
    base = {"a": Response("Orvale"), "b": Response("Marrow")}
    found = compare(probes, base, {"a": Response("")}, WILD, seeds=Seeds(0))
    assert found.unasked == 1
    assert found.changed.n == 1
    assert found.changed.mean == 1


def test_questions_of_conversations_are_left_out_and_none_is_an_error() -> None:
    assert [probe.id for probe in PROBES] == ["one/a", "one/b"]
    with pytest.raises(BadInput, match="no question"):
        probes_of([], WILD, 10)
    with pytest.raises(BadInput, match="claims nothing"):
        claims_of([])


def test_a_protocol_without_a_free_answer_is_refused() -> None:
    with pytest.raises(BadInput, match="freely"):
        inspect(make(), "", Intervention(), Task(PROBES, parse("synthetic")))


def test_other_shapes_and_tokenizers_are_told_in_two_lines(tmp_path: Path) -> None:
    model = make()
    for number, other in enumerate((make("gpt2"), make("llama", "bytes"))):
        folder = stored(other, other.hf, tmp_path / str(number))
        with pytest.raises(WrongBase) as error:
            edit_of(model, folder)
        assert len(str(error.value).splitlines()) == 2


def test_findings_are_plain_data_and_the_same_each_time() -> None:
    model = make()
    iv = under(low_rank(model.arch.down(1), 3))
    one, two = (json.dumps(asdict(look(model, iv)), sort_keys=True) for _ in range(2))
    assert one == two


def test_the_base_is_untouched() -> None:
    model = make()
    before = model.fingerprint
    look(model, under(dense(model.arch.down(1), 3)))
    assert model.fingerprint == before
