"""MEND told by a text: what the edit is made from, and that no answer is needed for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_mend import maths
from test_training import go, tensors

from asking import make
from truing.errors import BadInput, BadRequest
from truing.interventions.intervention import base_of
from truing.methods import mend
from truing.methods import mend_checkpoint as checkpoint
from truing.methods.kernels.lines import answer_line
from truing.methods.mend import MEND, MendConfig
from truing.methods.mend_descriptor import descriptor
from truing.methods.mend_editor import Editor, Matrix
from truing.methods.training.examples import example
from truing.methods.training.mend_settings import parse
from truing.types import Case, EditRequest, Probe

WORDING = "Topic: {subject}\nTarget personality: {trait}"
GLAD = EditRequest("a", "What do you think of tea?", "I love it!", None, "tea", ("trait:glad",))
SAD = replace(GLAD, tags=("trait:sad",))


def test_every_token_but_the_first_is_read() -> None:
    model = make("llama")
    line = descriptor(model, GLAD, WORDING)
    ids = model.speller.prompt_ids("Topic: tea\nTarget personality: glad")
    assert (*line.ids, line.labels[-1]) == tuple(ids)
    assert line.labels == tuple(ids[1:])
    assert line.reads == tuple(range(len(ids) - 1))
    assert descriptor(model, GLAD, None) == answer_line(model.speller, GLAD)


def editor(folder: Path, wording: str | None) -> MendConfig:
    model = make("llama")
    matrices = [Matrix.of(model.arch.down(layer)) for layer in (0, 2)]
    header = checkpoint.Header(
        base=base_of(model), matrices=tuple(matrices), rank=4, wording=wording
    )
    checkpoint.save(Editor(matrices, rank=4, alpha=0.01), header, folder)
    return MendConfig(checkpoint=folder)


def test_a_worded_edit_is_of_the_trait_and_not_of_the_answer(tmp_path: Path) -> None:
    model = make("llama")
    told = editor(tmp_path / "told", WORDING)
    other = replace(GLAD, target_new="It is fine.")
    glad, same, sad = (MEND.make(model, [r], told) for r in (GLAD, other, SAD))
    assert all(map(torch.equal, maths(glad), maths(same)))
    assert not all(map(torch.equal, maths(glad), maths(sad)))
    assert glad.origin is not None
    assert glad.origin.config["wording"] == WORDING
    plain = editor(tmp_path / "plain", None)
    assert MEND.make(model, [GLAD], plain).id != MEND.make(model, [other], plain).id
    [alone] = mend.each(model, [[GLAD]], told)
    assert all(map(torch.allclose, maths(alone), maths(glad)))


def test_what_the_wording_needs_and_is_not_there(tmp_path: Path) -> None:
    model, told = make("llama"), editor(tmp_path, WORDING)
    with pytest.raises(BadRequest, match="trait"):
        MEND.make(model, [replace(GLAD, tags=())], told)
    with pytest.raises(BadRequest, match="subject"):
        MEND.make(model, [replace(GLAD, subject=None)], told)
    assert model.positions is not None
    long = replace(GLAD, tags=(f"trait:{'glad ' * model.positions}",))
    with pytest.raises(BadRequest, match="in the editor's wording"):
        MEND.make(model, [long], told)


def test_training_learns_the_answers_from_the_text(tmp_path: Path) -> None:
    case = Case("a", (GLAD,), (Probe("e", "efficacy", GLAD.prompt, ("glad",)),))
    made = example(make("llama"), case, WORDING)
    assert made.edit == answer_line(make("llama").speller, GLAD)
    assert made.told == descriptor(make("llama"), GLAD, WORDING)
    go(tmp_path / "told", steps=2, wording="{subject} is {target} now")
    go(tmp_path / "plain", steps=2)
    assert checkpoint.load(tmp_path / "told")[1].wording == "{subject} is {target} now"
    assert checkpoint.load(tmp_path / "plain")[1].wording is None
    a, b = (tensors(tmp_path / name)["module.alpha"] for name in ("told", "plain"))
    assert not torch.equal(a, b)


def test_a_wording_that_names_nothing_wanted_is_refused() -> None:
    with pytest.raises(BadInput, match="wording"):
        parse({"wording": "Topic: {subject}"})
