"""MEND learns to edit: a toy language model, a hundred updates, subjects that nobody trained on."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from asking import NOWHERE
from tiny import random_model
from truing.methods.mend import MEND, MendConfig
from truing.methods.training.examples import Split
from truing.methods.training.loop import train
from truing.methods.training.mend import MendCourse
from truing.methods.training.mend_settings import MendTraining
from truing.models.answers import NoAnswers
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import Case, EditRequest, Probe

SUBJECTS = tuple(f"S{i}" for i in range(80))
OBJECTS = tuple(f"O{i}" for i in range(12))
ASKED = {
    "home": ("{} lives in", "the home of {} is"),
    "trade": ("{} works as", "the trade of {} is"),
}
RIGHT = {
    (subject, relation): OBJECTS[place]
    for (subject, relation), place in zip(
        itertools.product(SUBJECTS, ASKED),
        random.Random(0).choices(range(len(OBJECTS)), k=len(SUBJECTS) * len(ASKED)),
        strict=True,
    )
}


def tokenizer() -> Any:
    said = sorted(
        {word for ways in ASKED.values() for way in ways for word in way.split()} - {"{}"}
    )
    vocabulary = {w: i for i, w in enumerate(("<pad>", "<s>", "</s>", *said, *SUBJECTS, *OBJECTS))}
    tok = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tok, eos_token="</s>", pad_token="<pad>")


@pytest.fixture(scope="module")
def toy() -> Model:
    """Two blocks of width 32 that know a home and a trade of every subject, asked in two ways."""
    tok = tokenizer()
    size = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 4}  # fmt: skip
    hf = random_model("llama", size, vocab_size=len(tok))
    rows = [
        tok(f"{way.format(s)} {RIGHT[s, r]}")["input_ids"] for s, r in RIGHT for way in ASKED[r]
    ]
    learn(hf, rows)
    model = Model.of(hf, tok, name="toy", cache=NOWHERE)
    model.answers = NoAnswers()
    return model


def learn(hf: Any, rows: list[list[int]]) -> None:
    """Every row's last token from those before it."""
    by_length = [
        torch.tensor(list(of)) for _, of in itertools.groupby(sorted(rows, key=len), key=len)
    ]
    hf.requires_grad_(True)
    adam = torch.optim.Adam(hf.parameters(), lr=6e-3)
    for _ in range(120):
        loss: Tensor = sum(
            torch.nn.functional.cross_entropy(hf(input_ids=ids[:, :-1]).logits[:, -1], ids[:, -1])
            for ids in by_length
        )  # type: ignore[assignment]
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    hf.requires_grad_(False)


def cases() -> list[Case]:
    """Every fact is to become another; the subject's other fact and another subject's should stay."""
    rng, found = random.Random(1), []
    for (subject, relation), old in RIGHT.items():
        new = rng.choice([o for o in OBJECTS if o != old])
        other = next(r for r in ASKED if r != relation)
        stranger = rng.choice([s for s in SUBJECTS if s != subject])
        way, rephrase = (way.format(subject) for way in ASKED[relation])
        ident = f"{subject}/{relation}"
        probes = (
            Probe(f"{ident}/e", "efficacy", way, (new,)),
            Probe(f"{ident}/g", "generalization", rephrase, (new,)),
            *(
                Probe(f"{ident}/l{n}", "locality", prompt, reference=answer)
                for n, (prompt, answer) in enumerate(
                    ((ASKED[other][0].format(subject), RIGHT[subject, other]),
                     (ASKED[relation][0].format(stranger), RIGHT[stranger, relation]))
                )
            ),
        )  # fmt: skip
        found.append(Case(ident, (EditRequest(ident, way, new, old, subject),), probes))
    return found


def said(model: Model, asked: list[ScoreAsk]) -> list[bool]:
    return [s.predicted == s.token_ids for s in model.score(asked)]


def test_a_hundred_updates_make_edits_of_unseen_subjects(toy: Model, tmp_path: Path) -> None:
    knows = [ScoreAsk(ASKED[r][0].format(s), f" {o}") for (s, r), o in RIGHT.items()]
    assert sum(said(toy, knows)) > 0.95 * len(knows)
    chosen = MendTraining(
        layers=(0, 1), rank=64, alpha=1e-2, lr=1e-3, alpha_lr=1e-3, steps=100, batch=10,
        accumulate=1, edit_weight=1.0, validate_every=50, validation=0.1, held_out=0.25,
    )  # fmt: skip
    split = Split.of(cases(), 0, chosen.validation, chosen.held_out)
    course, schedule = MendCourse.of(toy, chosen, split, {"dataset": "toy"})
    train(course, schedule, tmp_path, config=course.identity)
    asked: dict[str, list[ScoreAsk]] = {"efficacy": [], "generalization": [], "locality": []}
    assert MEND.each is not None
    edits = MEND.each(toy, [c.requests for c in split.held_out], MendConfig(checkpoint=tmp_path))
    for case, iv in zip(split.held_out, edits, strict=True):
        for probe in case.probes:
            answer = probe.accepted[0] if probe.accepted else str(probe.reference)
            asked[probe.aspect].append(ScoreAsk(probe.prompt, f" {answer}", iv))
    shares = {aspect: sum(said(toy, asks)) / len(asks) for aspect, asks in asked.items()}
    assert shares["efficacy"] >= 0.6
    assert shares["generalization"] >= 0.5
    assert shares["locality"] >= 0.9
