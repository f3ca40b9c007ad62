"""MELO: keys made, split and joined; blocks found again by their prompts only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asking import make
from truing.interventions.artifact import load
from truing.interventions.intervention import ByKey, Intervention
from truing.methods import melo
from truing.methods.melo import Database, MeloConfig
from truing.models.asks import Decoding, GenerateAsk, ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow")
B = EditRequest("b", "Mara Velt's mother tongue is", "French")
C = EditRequest("c", "It was so that", "x")
CONFIG = MeloConfig(key_layer=0, layers=(1, 2), radius=0.01, steps=8, lr=0.02)
EMPTY = Database(torch.zeros(0, 2), torch.zeros(0), (), (), ())


def take(database: Database, x: float, label: int, block: int) -> Database:
    return database.take(torch.tensor([x, 0.0]), (label,), block, 1.0)


def test_a_far_key_stands_alone() -> None:
    found = take(take(EMPTY, 0.0, 7, 0), 2.5, 7, 1)
    assert found.radii_M.tolist() == [1.0, 1.0]
    assert found.leads_to == (0, 1)


def test_a_near_key_with_another_answer_splits_the_radii() -> None:
    found = take(take(EMPTY, 0.0, 7, 0), 1.0, 8, 1)
    assert found.radii_M.tolist() == pytest.approx([0.5 - 1e-5, 0.5])
    assert found.leads_to == (0, 1)


def test_a_near_key_with_the_same_answer_joins() -> None:
    """The centre is the mean, every member stays within the radius, the newer block answers."""
    found = take(take(EMPTY, 0.0, 7, 0), 1.5, 7, 1)
    assert found.keys_M_D.tolist() == [[0.75, 0.0]]
    assert found.radii_M.tolist() == [1.75]
    assert (found.leads_to, found.members) == ((1,), (2,))
    third = take(found, 0.0, 7, 2)
    assert third.keys_M_D[0, 0] == pytest.approx(0.5)
    assert float(third.radii_M[0]) >= 1.0


def nll(model: Model, request: EditRequest, iv: Intervention | None) -> float:
    [scored] = model.score([ScoreAsk(request.prompt, request.target_new, iv)])
    return -scored.logprob


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
def test_an_edit_is_met_by_its_prompt_only(family: str) -> None:
    model = make(family)
    iv = melo.make(model, [A], CONFIG)
    assert nll(model, A, iv) < nll(model, A, None) - 0.1
    assert nll(model, B, iv) == pytest.approx(nll(model, B, None), abs=1e-5)


def test_each_call_has_a_block_of_its_own_and_keeps_the_others() -> None:
    model = make("llama")
    first = melo.make(model, [A], CONFIG)
    both = melo.make(model, [B], CONFIG, first)
    [part] = both.routed
    assert len(part.alternatives) == 2
    assert nll(model, A, both) == pytest.approx(nll(model, A, first), abs=1e-4)
    assert nll(model, B, both) < nll(model, B, None) - 0.1
    together = melo.make(model, [A, B], CONFIG)
    [shared] = together.routed
    assert len(shared.alternatives) == 1
    assert isinstance(shared.router, ByKey)
    assert shared.router.leads_to.tolist() == [0, 0]


def test_a_block_depends_on_its_requests_and_the_seed_only() -> None:
    model = make("llama")
    chained = melo.make(model, [B], CONFIG, melo.make(model, [A], CONFIG)).routed[0]
    alone = melo.make(model, [B], CONFIG).routed[0]
    assert [d.digest for d in chained.alternatives[1]] == [d.digest for d in alone.alternatives[0]]
    other = melo.make(model, [B], CONFIG.model_copy(update={"seed": 1})).routed[0]
    assert alone.digest != other.digest


def test_a_chain_goes_on_from_what_was_saved(tmp_path: Path) -> None:
    model = make("llama")
    first = melo.make(model, [A], CONFIG)
    first.save(str(tmp_path / "iv"))
    again = load(tmp_path / "iv", model)
    same = replace(A, id="again")
    one = melo.make(model, [same, C], CONFIG, first)
    other = melo.make(model, [same, C], CONFIG, again)
    assert one.id == other.id
    assert len(one.memo["melo.0.labels"]) == 2, "the same prompt and answer join their key"


def test_generation_goes_on_under_what_the_prompt_chose() -> None:
    model = make("llama")
    iv = melo.make(model, [A], CONFIG)
    decoding = Decoding(max_new_tokens=6)
    [said] = model.generate([GenerateAsk(A.prompt, decoding, iv)])
    with model.using(Intervention(iv.routed[0].alternatives[0])):
        [want] = model.generate([GenerateAsk(A.prompt, decoding)])
    assert said.token_ids == want.token_ids
