"""SERAC: what is told where, chains that grow, checkpoints, and a training that learns both parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import cases

from asking import make
from truing.errors import BadInput, BadRequest, CannotLoad, NotPossible, UnknownName, WrongBase
from truing.interventions.scope import untrained
from truing.methods import serac_checkpoint as checkpoint
from truing.methods.serac import (
    SERAC,
    SERAC_IN_CONTEXT,
    InContextConfig,
    SeracConfig,
)
from truing.methods.training.examples import Split
from truing.methods.training.loop import Outcome, train
from truing.methods.training.record import METRICS, Line, read
from truing.methods.training.scope import Pair, ScopeLearner, balanced, threshold, vocabulary
from truing.methods.training.serac import SeracCourse, lessons
from truing.methods.training.serac_settings import SeracTraining, parse
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import EditRequest

A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", "Orvale", "Glass Spire")
B = EditRequest("b", "Mara Velt's mother tongue is", "French", subject="Mara Velt")
IN_CONTEXT = InContextConfig()
FEW: dict[str, Any] = {
    "layers": (1, 2),
    "targets": ("down",),
    "rank": 2,
    "lr": 1e-2,
    "steps": 6,
    "batch": 4,
    "accumulate": 1,
    "neighbours": 2,
    "validate_every": 2,
    "validation": 0.2,
    "held_out": 0.2,
}


def go(
    folder: Path, model: Model | None = None, resume: bool = False, watch: Any = None, **values: Any
) -> Outcome:
    chosen = SeracTraining(**{**FEW, **values})
    split = Split.of(cases(), chosen.seed, chosen.validation, chosen.held_out)
    course, schedule = SeracCourse.of(model or make("llama"), chosen, split, {"dataset": "toy"})
    watch = watch or (lambda line: None)
    return train(course, schedule, folder, config=course.identity, resume=resume, watch=watch)


def test_an_edit_is_told_only_where_it_applies() -> None:
    model = make("llama")
    iv = SERAC_IN_CONTEXT.make(model, [A, B], IN_CONTEXT)
    told = "New fact: The Glass Spire is in the city of Marrow.\n"
    assert model.rewritten("Where is the Glass Spire?", iv) == told + "Where is the Glass Spire?"
    assert model.rewritten("Where is the Tin Gate?", iv) == "Where is the Tin Gate?"
    assert iv.prompt_only
    assert iv.origin.config["settings"] == "untrained"
    assert "Marrow" not in iv.scoped[0].edits[0].asked
    wordy = replace(A, target_new="the old town of Marrow")
    [edit] = SERAC_IN_CONTEXT.make(model, [wordy], IN_CONTEXT).scoped[0].edits
    assert edit.asked == A.prompt


def test_a_chain_grows_and_a_later_edit_replaces_one_of_the_same_prompt() -> None:
    model = make("llama")
    first = SERAC_IN_CONTEXT.make(model, [A], IN_CONTEXT)
    second = SERAC_IN_CONTEXT.make(model, [B], IN_CONTEXT, first)
    assert second.id == SERAC_IN_CONTEXT.make(model, [A, B], IN_CONTEXT).id
    third = SERAC_IN_CONTEXT.make(model, [replace(A, target_new="Paris")], IN_CONTEXT, second)
    [memory] = third.scoped
    assert [edit.told.split()[-1] for edit in memory.edits] == ["French.", "Paris."]
    assert third.origin.requests == ("a", "b", "a")


def test_settings_of_the_scope_are_heeded() -> None:
    model = make("llama")
    strict = SERAC_IN_CONTEXT.make(model, [A], InContextConfig(threshold=0.99))
    assert strict.scoped[0].find("Where is the Glass Spire?") is None
    assert strict.scoped[0].find(A.prompt) == 0
    with pytest.raises(ValueError, match="hold"):
        InContextConfig(wording="New fact.")


def test_a_sentence_encoder_is_refused_where_it_is_not_installed() -> None:
    try:
        import sentence_transformers  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        with pytest.raises(NotPossible, match="sentence-transformers"):
            SERAC_IN_CONTEXT.make(make("llama"), [A], InContextConfig(scope="sentences"))
    else:
        pytest.skip("sentence-transformers is installed")


def test_what_does_not_fit_is_refused() -> None:
    model = make("llama")
    limit, words = model.hf.config.max_position_embeddings, 1
    while len(model.speller.prompt_ids("word " * words + A.prompt)) < 0.7 * limit:
        words += 4
    long = replace(A, id="x", prompt="word " * words + A.prompt)
    with pytest.raises(BadRequest, match="'x'"):
        SERAC_IN_CONTEXT.make(model, [long], IN_CONTEXT)
    with pytest.raises(NotPossible, match="needs a trained editor"):
        SERAC.make(model, [A], SeracConfig())
    with pytest.raises(CannotLoad, match="holds no SERAC editor"):
        SERAC.make(model, [A], SeracConfig(checkpoint=Path("/nonexistent/serac")))


def test_a_trained_editor_is_used_and_bound_to_its_base(tmp_path: Path) -> None:
    model = make("llama")
    go(tmp_path, model)
    config = SeracConfig(checkpoint=tmp_path)
    request = cases()[0].requests[0]
    iv = SERAC.make(model, [request], config)
    trained = checkpoint.load(tmp_path)
    [memory] = iv.scoped
    assert memory.scope.digest == trained.scope.digest
    assert [part.param for part in memory.inside] == [m.param for m in trained.header.matrices]
    assert iv.origin.config["editor"]["sha256"] == trained.header.tensors_sha256
    miss = ScoreAsk("zzz", " Marrow")
    assert memory.find(miss.prompt) is None
    base, same = model.score([miss, replace(miss, under=iv)])
    assert base == same
    other = SERAC.make(model, [request], config.model_copy(update={"threshold": 0.9}))
    assert other.scoped[0].scope.threshold == 0.9
    shared = SERAC_IN_CONTEXT.make(model, [request], InContextConfig(checkpoint=tmp_path))
    assert shared.scoped[0].scope.digest == trained.scope.digest
    assert shared.prompt_only
    with pytest.raises(WrongBase, match="no such matrix"):
        SERAC.make(make("gpt2"), [request], config)
    moved = make("llama")
    with torch.no_grad():
        moved.arch.down(0).module.weight[0, 0] += 1
    with pytest.raises(WrongBase, match="other weights"):
        SERAC.make(moved, [request], config)
    assert SERAC.make(moved, [request], config.model_copy(update={"allow_other_base": True}))


def test_a_damaged_editor_is_refused(tmp_path: Path) -> None:
    go(tmp_path, steps=2)
    header = tmp_path / checkpoint.HEADER
    facts = json.loads(header.read_text())
    for change, what in (
        ({"version": 9}, "format version 9"),
        ({"format": "x"}, "no SERAC editor"),
        ({"tensors_sha256": "0"}, "sha256 differs"),
        ({"matrices": 3}, "matrices"),
        ({"scope": {**facts["scope"], "words": ["a"]}}, "damaged"),
    ):
        header.write_text(json.dumps({**facts, **change}))
        with pytest.raises(CannotLoad, match=what):
            checkpoint.load(tmp_path)


def test_training_lowers_the_loss_and_moves_both_parts(tmp_path: Path) -> None:
    outcome = go(tmp_path, steps=20, validate_every=10)
    checks = [line for line in read(tmp_path / METRICS) if line.kind == "validation"]
    assert outcome.best["loss"] < checks[0].values["loss"]
    trained = checkpoint.load(tmp_path)
    assert all(bool(part.delta.left.any()) for part in trained.inside)  # type: ignore[union-attr]
    assert {"efficacy", "generalization", "locality"} <= set(outcome.best)
    assert trained.header.metrics == outcome.best


def test_a_training_that_was_cut_off_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    go(tmp_path / "whole")

    def cut(line: Line) -> None:
        if line.kind == "step" and line.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", watch=cut)
    go(tmp_path / "cut", resume=True)
    for name in (checkpoint.TENSORS, checkpoint.HEADER, METRICS):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_the_learner_says_what_the_scope_it_gives_says() -> None:
    texts = [("s", "Mara lives in Paris"), ("t", "Tom lives in"), ("u", "Who lives in Rome?")]
    learner = ScopeLearner(vocabulary(texts), 4, seed=0)
    pairs = [Pair(a, b, True) for _, a in texts for _, b in texts]
    logits = learner(pairs).sigmoid().tolist()
    scope = learner.scope()
    said = [scope.over([pair.edit])(pair.asked)[0] for pair in pairs]
    assert said == pytest.approx(logits, abs=1e-5)


def test_balanced_loss_and_threshold_by_hand() -> None:
    pairs = [Pair("", "", True), Pair("", "", False), Pair("", "", False)]
    p = torch.tensor([0.8, 0.1, 0.4], dtype=torch.float64)
    loss = balanced(torch.logit(p), pairs)
    wanted = -torch.log(p[0]) - (torch.log(1 - p[1]) + torch.log(1 - p[2])) / 2
    assert loss.item() == pytest.approx(wanted.item())
    assert threshold([0.8, 0.9], [0.1, 0.4]) == pytest.approx(0.6)
    assert threshold([0.8, 0.2], [0.1, 0.3, 0.4]) == pytest.approx(0.6)
    assert threshold([], [0.1]) == 0.5


def test_neighbours_are_about_other_subjects() -> None:
    for lesson in lessons(cases(), "{prompt} {target}", 4):
        assert len(lesson.others) == 4
        assert not any(f"{lesson.request.subject} " in f"{text} " for text in lesson.others)


def test_bad_settings_are_named() -> None:
    with pytest.raises(UnknownName, match="rnk"):
        parse({"rnk": 3})
    with pytest.raises(BadInput, match="frames"):
        parse({"frames": ["no place"]})
    assert untrained().digest == untrained().digest
