"""MEND: factors are the gradient, the network starts as the identity, checkpoints keep their word."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asking import make
from truing.errors import CannotLoad, NotPossible, WrongBase
from truing.interventions.intervention import Intervention, base_of
from truing.methods import mend_checkpoint as checkpoint
from truing.methods.kernels.branches import Branch, branched
from truing.methods.kernels.gradient_factors import gradient_factors
from truing.methods.kernels.lines import Line, answer_line
from truing.methods.kernels.upward import Whole
from truing.methods.mend import MEND, MendConfig
from truing.methods.mend_editor import Editor, Matrix, Normaliser, automatic_rank
from truing.models.arch import Slot
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire")
B = EditRequest("b", "Mara Velt's mother tongue is", "French, no", subject="Mara Velt")
FAMILIES = ("llama", "gpt2", "phi3", "opt", "falcon", "gpt_neox", "gemma2")
ALPHA = 0.01


def slots_of(model: Model, layers: Iterable[int] = (0, 2)) -> list[Slot]:
    arch = model.arch
    return [slot for layer in layers for slot in (*arch.mlp_in(layer), arch.down(layer))]


def fresh(model: Model, seed: int = 0) -> Editor:
    matrices = [Matrix.of(slot) for slot in slots_of(model)]
    return Editor(matrices, rank=4, alpha=ALPHA, seed=seed)


def shaken(model: Model, seed: int = 0) -> Editor:
    """An editor whose every number is random, as if it had been trained."""
    editor = fresh(model, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in editor.networks():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    for number, matrix in enumerate(editor.matrices):
        rows = torch.randn(7, matrix.d_in + matrix.d_out, generator=generator)
        editor.observe(number, rows[:, : matrix.d_in], rows[:, matrix.d_in :])
    return editor


def saved(model: Model, folder: Path, editor: Editor | None = None) -> MendConfig:
    editor = editor or fresh(model)
    header = checkpoint.Header(base=base_of(model), matrices=editor.matrices, rank=editor.rank)
    checkpoint.save(editor, header, folder)
    return MendConfig(checkpoint=folder)


def nll(model: Model, line: Line) -> Tensor:
    table = model.hf(input_ids=torch.tensor([line.ids])).logits[0].float().log_softmax(-1)
    return -table[list(line.reads), list(line.labels)].mean()


@pytest.mark.parametrize("family", FAMILIES)
def test_factors_are_the_gradient_of_the_matrix(family: str) -> None:
    model = make(family)
    slots = slots_of(model)
    lines = [answer_line(model.speller, request) for request in (A, B)]
    for line, signals in zip(lines, gradient_factors(model, slots, lines), strict=True):
        stored = [slot.stored.requires_grad_(True) for slot in slots]
        grads = torch.autograd.grad(nll(model, line), stored)
        for slot, grad, signal in zip(slots, grads, signals, strict=True):
            slot.stored.requires_grad_(False)
            math = grad.T if slot.transposed else grad
            want = math if slot.rows is None else math[slot.rows]
            got = signal.grads_R_D.T @ signal.inputs_R_F
            assert torch.allclose(got, want, rtol=1e-4, atol=1e-6 * float(want.abs().max() + 1))
            assert float(want.abs().max()) > 0


def test_tokens_that_the_loss_does_not_reach_are_left_out() -> None:
    """Below, attention carries every prompt token; in the last MLP only read tokens count."""
    model = make("llama")
    slots = [model.arch.down(0), model.arch.down(2)]
    short, long = (answer_line(model.speller, request) for request in (B, A))
    below, last = gradient_factors(model, slots, [short, long])[0]
    assert len(below.inputs_R_F) == len(short.ids)
    assert len(last.inputs_R_F) == len(short.labels)


def test_padding_and_neighbours_change_nothing() -> None:
    model = make("gpt2")
    slots = slots_of(model)
    lines = [answer_line(model.speller, request) for request in (A, B)]
    together = gradient_factors(model, slots, lines)
    for line, signals in zip(lines, together, strict=True):
        [alone] = gradient_factors(model, slots, [line])
        for one, other in zip(signals, alone, strict=True):
            assert torch.allclose(one.inputs_R_F, other.inputs_R_F, atol=1e-5)
            assert torch.allclose(one.grads_R_D, other.grads_R_D, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3", "opt"])
def test_branches_are_the_edited_model(family: str) -> None:
    """Each row under its own change, as if its model had the change in its weights."""
    model = make(family)
    lines = [answer_line(model.speller, request) for request in (A, B)]
    slots, editor = slots_of(model), shaken(model)
    signals = gradient_factors(model, slots, lines)
    branches, parts = [], []
    for number, slot in enumerate(slots):
        pairs = [editor(number, s[number].inputs_R_F, s[number].grads_R_D) for s in signals]
        left, right = (
            torch.nn.utils.rnn.pad_sequence([p[k] for p in pairs], batch_first=True).detach()
            for k in (0, 1)
        )
        branches.append(Branch(slot, left, right))
        parts.append((slot, left[1].T @ right[1]))
    with torch.no_grad(), branched(branches, torch.tensor([0, 1])):
        got = Whole(model, lines).logits()[-len(lines[1].reads) :]
    state = {name: t.clone() for name, t in model.hf.state_dict().items()}
    with torch.no_grad():
        for slot, delta in parts:
            slot.stored.add_(slot.to_stored(delta))
        want = Whole(model, [lines[1]]).logits()
        before = want.clone()
        model.hf.load_state_dict(state)
        assert not torch.allclose(Whole(model, [lines[1]]).logits(), before, atol=1e-3)
    assert torch.allclose(got, want, atol=2e-3)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_an_untrained_editor_makes_the_scaled_raw_gradient(family: str, tmp_path: Path) -> None:
    """U = 0: the network is the identity, so that the edit is one step down the gradient."""
    model = make(family)
    iv = MEND.make(model, [A], saved(model, tmp_path))
    line = answer_line(model.speller, A)
    for part in iv.weights:
        slot = next(s for s in slots_of(model) if (s.param, s.bounds) == (part.param, part.rows))
        slot.stored.requires_grad_(True)
        [grad] = torch.autograd.grad(nll(model, line), [slot.stored])
        slot.stored.requires_grad_(False)
        want = -ALPHA * (grad.T if slot.transposed else grad)
        got = part.delta.math() if hasattr(part.delta, "math") else part.delta.delta
        assert torch.allclose(got, want, rtol=1e-3, atol=1e-7)
    before = nll(model, line)
    with model.using(iv):
        assert nll(model, line) < before, "the edit goes down, not up"


def test_after_statistics_it_starts_from_normalised_factors() -> None:
    model = make("llama")
    editor = fresh(model)
    matrix = editor.matrices[0]
    inputs, grads = torch.randn(9, matrix.d_in) * 3 + 1, torch.randn(9, matrix.d_out) * 1e-3
    editor.observe(0, inputs, grads)
    left, right = editor(0, inputs, grads)
    assert torch.allclose(right, (inputs - inputs.mean(0)) / inputs.std(0), atol=1e-4)
    assert torch.allclose(
        left, -ALPHA * (grads - grads.mean(0)) / (grads.std(0) + 1e-7), rtol=1e-3, atol=1e-5
    )


def test_statistics_do_not_depend_on_how_rows_come() -> None:
    rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(3)) * 2 + 5
    whole, parts = Normaliser(6), Normaliser(6)
    whole.observe(rows)
    for at in (slice(0, 1), slice(1, 20), slice(20, 20), slice(20, 50)):
        parts.observe(rows[at])
    parts.observe(torch.full((1, 6), torch.nan))
    for one in (whole, parts):
        assert torch.allclose(one.mean, rows.mean(0), atol=1e-5)
        assert torch.allclose(one(rows), (rows - rows.mean(0)) / rows.std(0), atol=1e-4)


def test_every_unit_learns_from_the_first_step() -> None:
    """At U = 0 all units stand at exactly zero; a gradient of zero there would freeze them."""
    editor = fresh(make("llama"))
    matrix = editor.matrices[0]
    left, right = editor(0, torch.randn(5, matrix.d_in), torch.randn(5, matrix.d_out))
    (left.sum() + right.sum()).backward()  # type: ignore[no-untyped-call]
    for name, parameter in editor.transforms[matrix.shape].named_parameters():
        if name.endswith(("up", "bias")):
            assert parameter.grad is not None
            assert bool(parameter.grad.any()), name


def test_matrices_of_one_shape_share_a_network_and_not_their_scales() -> None:
    model = make("llama")
    editor = fresh(model)
    assert set(editor.transforms) == {"32x48", "48x32"}
    block = editor.transforms["32x48"].blocks[0]  # type: ignore[union-attr,index]
    assert block.scale.shape[0] == 4, "gate and up of two layers"
    assert automatic_rank(4096, 11008) == 1888
    assert automatic_rank(16384, 4096) == 1920


def test_requests_of_a_batch_in_any_order(tmp_path: Path) -> None:
    model = make("llama")
    config = saved(model, tmp_path, shaken(model))
    one, other = MEND.make(model, [A, B], config), MEND.make(model, [B, A], config)
    for a, b in zip(maths(one), maths(other), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    apart = [MEND.make(model, [r], config) for r in (A, B)]
    for a, b, c in zip(maths(one), maths(apart[0]), maths(apart[1]), strict=True):
        assert torch.allclose(a, b + c, atol=1e-5)


def maths(iv: Intervention) -> list[Tensor]:
    return [
        part.delta.math() if hasattr(part.delta, "math") else part.delta.delta
        for part in iv.weights
    ]


def test_a_chain_takes_gradients_from_the_edited_weights(tmp_path: Path) -> None:
    model = make("llama")
    config = saved(model, tmp_path)
    first, second = MEND.make(model, [A], config), MEND.make(model, [B], config)
    chained = MEND.make(model, [B], config, first)
    with model.applied(first):
        later = MEND.make(model, [B], config.model_copy(update={"allow_other_base": True}))
    for total, a, b, c in zip(*map(maths, (chained, first, second, later)), strict=True):
        assert torch.allclose(total, a + c, atol=1e-5)
        assert not torch.allclose(total, a + b, atol=1e-7)


def test_nothing_of_the_model_changes_and_an_edit_reverts(tmp_path: Path) -> None:
    model = make("llama")
    before = {name: t.clone() for name, t in model.hf.state_dict().items()}
    iv = MEND.make(model, [A], saved(model, tmp_path, shaken(model)))
    with model.using(iv):
        assert any(not torch.equal(before[n], t) for n, t in model.hf.state_dict().items())
    assert all(torch.equal(before[n], t) for n, t in model.hf.state_dict().items())
    assert not any(p.requires_grad for p in model.hf.parameters())
    assert not model.hooked


def test_two_editors_do_not_meet(tmp_path: Path) -> None:
    """Not in memory either: a checkpoint that is written over is read again."""
    model = make("llama")
    one = saved(model, tmp_path / "one", shaken(model, 1))
    two = saved(model, tmp_path / "two", shaken(model, 5))
    first = MEND.make(model, [A], one)
    assert MEND.make(model, [A], two).id != first.id
    assert MEND.make(model, [A], one).id == first.id
    saved(model, tmp_path / "one", shaken(model, 5))
    assert MEND.make(model, [A], one).id == MEND.make(model, [A], two).id


def test_many_independent_edits_share_their_passes(tmp_path: Path) -> None:
    model = make("gpt2")
    config = saved(model, tmp_path, shaken(model))
    assert MEND.each is not None
    for group, iv in zip([[A], [B, A]], MEND.each(model, [[A], [B, A]], config), strict=True):
        for a, b in zip(maths(iv), maths(MEND.make(model, group, config)), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    model = make("llama")
    editor = shaken(model)
    saved(model, tmp_path, editor)
    again, header = checkpoint.load(tmp_path)
    assert header.base.weights == model.fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mend.json", "tensors.safetensors"]
    for name, tensor in editor.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    model = make("llama")
    config = saved(model, tmp_path)
    header, tensors = tmp_path / "mend.json", tmp_path / "tensors.safetensors"
    whole, blob = header.read_text(), tensors.read_bytes()
    facts = json.loads(whole)
    damages = {
        "not the file": lambda: tensors.write_bytes(blob[:-8] + b"\xff" * 8),
        "No such file": tensors.unlink,
        "not complete JSON": lambda: header.write_text(whole[:50]),
        "format version 2": lambda: header.write_text(json.dumps({**facts, "version": 2})),
        "no MEND editor": lambda: header.write_text(json.dumps({"format": "other"})),
        "rank": lambda: header.write_text(json.dumps({**facts, "rank": "many"})),
        "size mismatch": lambda: header.write_text(json.dumps({**facts, "rank": 5})),
        "mend.json is missing": header.unlink,
    }
    for words, damage in damages.items():
        header.write_text(whole)
        tensors.write_bytes(blob)
        damage()
        with pytest.raises(CannotLoad, match=words) as caught:
            MEND.make(model, [A], config)
        assert caught.value.next


def test_an_editor_of_another_model_is_refused(tmp_path: Path) -> None:
    model = make("llama")
    config = saved(model, tmp_path)
    other = make("llama")
    with torch.no_grad():
        other.arch.down(1).stored.add_(0.1)
    with pytest.raises(WrongBase, match="other weights"):
        MEND.make(other, [A], config)
    MEND.make(other, [A], config.model_copy(update={"allow_other_base": True}))
    with pytest.raises(WrongBase, match="no such matrix"):
        MEND.make(make("gpt2"), [A], config)
    square = saved(make("gpt2-square"), tmp_path / "square")
    with pytest.raises(WrongBase, match="no such matrix"):
        MEND.make(make("gpt2"), [A], square.model_copy(update={"allow_other_base": True}))


def test_without_a_checkpoint_it_says_how_to_get_one() -> None:
    with pytest.raises(NotPossible) as caught:
        MEND.make(make("llama"), [A], MendConfig())
    assert "truing train mend" in str(caught.value.next)


def test_it_needs_no_subject_and_tells_where_it_came_from(tmp_path: Path) -> None:
    model = make("llama")
    iv = MEND.make(model, [replace(A, subject=None)], saved(model, tmp_path))
    assert iv.origin.method == "mend"
    assert iv.origin.config["editor"]["base"] == model.name
