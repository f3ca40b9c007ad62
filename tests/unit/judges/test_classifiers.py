"""Classifiers of both kinds: learning, saving without pickle, judging."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from classifier_texts import WORDS, examples, parts
from shell import truing

from truing.errors import BadInput, CannotLoad
from truing.judges.classifier import ClassifierJudge
from truing.judges.classifiers.classifier import Classifier, load
from truing.judges.classifiers.encoder import EncoderSettings
from truing.judges.classifiers.examples import Example, Split, labels_of
from truing.judges.classifiers.tfidf import TfidfSettings
from truing.judges.classifiers.train import train_encoder, train_tfidf
from truing.protocols.protocol import WILD
from truing.types import Response, Row, Verdict

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'truing[learn]'")
TEXTS = [*(e.text for e in examples()), "", "words that nobody has seen", "ß→🙂", "A\nb\t c"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random encoder with a tokenizer."""
    from transformers import BertConfig, BertModel

    from tiny import tiny_tokenizer

    folder = tmp_path_factory.mktemp("bert")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=640, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=48, max_position_embeddings=64, initializer_range=0.1,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
    tiny_tokenizer("bytes", chat=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def linear() -> Classifier:
    return train_tfidf(parts(), TfidfSettings())


@pytest.fixture(scope="module")
def encoder(bert: Path) -> Classifier:
    seen: list[tuple[int, int]] = []
    settings = EncoderSettings(str(bert), epochs=16, lr=1e-2, batch=8, max_tokens=48)
    learned = train_encoder(parts(), settings, lambda done, total: seen.append((done, total)))
    updates = 16 * -(-len(parts().train) // 8)
    assert seen == [(i + 1, updates) for i in range(updates)]
    return learned


@pytest.fixture(params=["linear", "encoder"])
def either(request: pytest.FixtureRequest) -> Classifier:
    found: Classifier = request.getfixturevalue(request.param)
    return found


def test_it_learns_and_tells_how_well(either: Classifier) -> None:
    assert either.labels == ("Merry", "calm", "sour")
    measured = either.evaluate(parts().test)
    assert measured.accuracy > 0.85
    assert either.card.metrics["test"]["accuracy"] == measured.accuracy
    assert either.card.metrics["test"]["ece"] == pytest.approx(measured.ece, abs=1e-6)
    assert set(either.card.metrics["dev"]["uncalibrated"]) == {"log_loss", "ece"}
    dev = either.card.metrics["dev"]
    assert dev["log_loss"] <= dev["uncalibrated"]["log_loss"] + 1e-12
    assert either.card.data["train"]["n"] == len(parts().train)


def test_probabilities_are_probabilities(either: Classifier) -> None:
    p = either.predict(TEXTS)
    assert p.dtype == np.float64
    assert p.shape == (len(TEXTS), 3)
    assert np.allclose(p.sum(1), 1.0)
    assert (p >= 0).all()
    assert either.predict([]).shape == (0, 3)


def test_saved_and_loaded_it_says_exactly_the_same(either: Classifier, tmp_path: Path) -> None:
    saved = either.save(tmp_path / "kept")
    loaded = load(tmp_path / "kept")
    assert np.array_equal(loaded.predict(TEXTS), either.predict(TEXTS))
    assert loaded.card == saved.card
    assert loaded.digest == saved.digest
    files = [p for p in (tmp_path / "kept").rglob("*") if p.is_file()]
    assert {p.suffix for p in files} <= {".json", ".safetensors", ".jinja"}
    with pytest.raises(BadInput, match="not empty"):
        either.save(tmp_path / "kept")


def test_two_labels(tmp_path: Path) -> None:
    learned = train_tfidf(parts(labels=2), TfidfSettings())
    assert learned.evaluate(parts(labels=2).test).accuracy == 1.0
    learned.save(tmp_path / "two")
    assert np.array_equal(load(tmp_path / "two").predict(TEXTS), learned.predict(TEXTS))


def test_the_linear_numbers_are_those_of_the_library(linear: Classifier) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    train = parts().train
    theirs = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
        ),
        LogisticRegression(C=8.0, max_iter=1000),
    ).fit([e.text for e in train], [e.label for e in train])
    columns = [list(theirs.classes_).index(label) for label in linear.labels]
    expected = theirs.predict_proba(TEXTS)[:, columns]
    assert np.allclose(linear.backend.predict(TEXTS), expected, atol=1e-9)


def test_the_seed_decides_an_encoder_and_nothing_else_does(bert: Path) -> None:
    def weights(seed: int, before: int) -> torch.Tensor:
        torch.manual_seed(before)
        settings = EncoderSettings(str(bert), epochs=1, lr=1e-3, batch=8, seed=seed)
        small = Split(parts().train[:24], parts().dev)
        learned = train_encoder(small, settings)
        assert torch.initial_seed() == before
        return learned.backend.hf.classifier.weight  # type: ignore[attr-defined,no-any-return]

    assert torch.equal(weights(1, 11), weights(1, 22))
    assert not torch.equal(weights(1, 11), weights(2, 11))


def test_labels_of_an_encoder_are_bound_by_name(encoder: Classifier, tmp_path: Path) -> None:
    """A model whose columns stand in another order says the same."""
    encoder.save(tmp_path / "kept")
    hf = load(tmp_path / "kept").backend.hf  # type: ignore[attr-defined]
    order = [2, 0, 1]
    with torch.no_grad():
        hf.classifier.weight.copy_(hf.classifier.weight[order].clone())
        hf.classifier.bias.copy_(hf.classifier.bias[order].clone())
    hf.config.id2label = {new: encoder.labels[old] for new, old in enumerate(order)}
    hf.config.label2id = {label: i for i, label in hf.config.id2label.items()}
    other = Classifier(replace(encoder.backend, hf=hf), encoder.card)  # type: ignore[type-var]
    assert np.allclose(other.predict(TEXTS), encoder.predict(TEXTS), atol=1e-6)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "classifier.json").unlink(), "holds no classifier"),
        (lambda f: (f / "classifier.json").write_text("{"), "not complete JSON"),
        (lambda f: (f / "classifier.json").write_text("{}"), "no classifier"),
        (lambda f: (f / "terms.json").write_text("{}"), "sha256 differs"),
        (lambda f: (f / "tensors.safetensors").unlink(), "tensors.safetensors: No such"),
        (lambda f: _edit(f, version=2), "format version 2"),
        (lambda f: _edit(f, temperature=0), "temperature"),
        (lambda f: _edit(f, labels=["a", "b"]), "do not fit its labels"),
        (lambda f: _edit(f, surprise=1), "surprise"),
    ],
)
def test_damage_is_refused(
    linear: Classifier, tmp_path: Path, harm: Callable[[Path], object], words: str
) -> None:
    linear.save(tmp_path / "kept")
    harm(tmp_path / "kept")
    with pytest.raises(CannotLoad, match=words):
        load(tmp_path / "kept")


def _edit(folder: Path, **values: object) -> None:
    path = folder / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_labels_that_it_does_not_know_are_refused(linear: Classifier) -> None:
    with pytest.raises(BadInput, match="does not know the label 'tired'"):
        linear.evaluate([Example("a", "tired")])


# ---- judging


def row(text: str | None, *accepted: str, key: str = "k") -> Row:
    response = None if text is None else Response(text, stop="eos")
    return Row(key, "c", "case", "p", "efficacy", WILD.id, "immediate", 1, "?", accepted, response,
               None, error=None if response else "lost")  # fmt: skip


def judged(judge: ClassifierJudge, *rows: Row) -> list[Verdict]:
    found: list[Verdict] = []
    judge.judge_all(rows, found.append)
    return found


def test_verdicts(linear: Classifier, tmp_path: Path) -> None:
    linear.save(tmp_path / "kept")
    judge = ClassifierJudge.load(tmp_path / "kept")
    merry = "we think a party, laughter and dancing"
    rows = {
        "right": row(merry, "merry", key="right"),
        "wrong": row(merry, "calm", key="wrong"),
        "both": row(merry, "calm", " MERRY ", key="both"),
        "other": row(merry, "paris", key="other"),
        "none": row(merry, key="none"),
        "lost": row(None, "merry", key="lost"),
        "empty": row("...", "merry", key="empty"),
        "loop": row("party party party party party party", "merry", key="loop"),
    }
    said = {v.row: v for v in judged(judge, *rows.values())}
    assert set(said) == set(rows) - {"other", "none"}, "nothing to ask about"
    assert {v.judge for v in said.values()} == {f"classifier:{tmp_path / 'kept'}"}
    assert {key: v.state for key, v in said.items()} == {
        "right": "correct", "wrong": "wrong", "both": "correct",
        "lost": "invalid", "empty": "degenerate", "loop": "degenerate",
    }  # fmt: skip
    p = linear.predict([merry])[0]
    scores = {key: v.score for key, v in said.items()}
    assert (scores["right"], scores["wrong"], scores["both"]) == (1.0, 0.0, 1.0)
    assert (scores["lost"], scores["loop"]) == (None, 0.0)
    assert said["right"].why == f"Merry with probability {p[0]:.3f}; accepted labels {p[0]:.3f}"
    assert said["lost"].why == "no response: lost"


def test_doubt_is_abstention_where_that_is_asked_for(linear: Classifier, tmp_path: Path) -> None:
    linear.save(tmp_path / "kept")
    text = "words that nobody has seen"
    top = linear.predict([text])[0].max()
    sure, unsure = (ClassifierJudge.load(tmp_path / "kept", least) for least in (0.0, top + 0.01))
    assert [v.state for v in judged(sure, row(text, "calm"))] != ["abstain"]
    (verdict,) = judged(unsure, row(text, "calm"))
    assert (verdict.state, verdict.score) == ("abstain", None)
    assert unsure.name != sure.name
    with pytest.raises(BadInput, match="least"):
        ClassifierJudge.load(tmp_path / "kept", 2.0)


def test_many_rows_are_judged_once_each(linear: Classifier) -> None:
    judge = ClassifierJudge("classifier:x", linear)
    rows = [row(e.text, e.label, key=str(i)) for i, e in enumerate(examples(600))]
    found = judged(judge, *rows)
    assert sorted(v.row for v in found) == sorted(r.key for r in rows)
    assert sum(v.state == "correct" for v in found) > 590


# ---- the command line


def records(path: Path, *, n: int = 120) -> Path:
    lines = [json.dumps({"said": e.text, "mood": e.label, "of": e.group}) for e in examples(n)]
    path.write_text("\n".join(lines))
    return path


FIELDS = ["--text", "said", "--label", "mood"]


def test_train_and_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = records(tmp_path / "moods.jsonl"), tmp_path / "moods"
    train = ["classifier", "train", str(data), "--out", str(out), *FIELDS, "--group", "of"]
    done = truing([*train, "--json"], capsys)
    assert done.code == 0, done.err
    card = json.loads(done.out)["card"]
    assert card["labels"] == sorted(WORDS)
    assert [card["data"][part]["n"] for part in ("train", "dev", "test")] == [96, 12, 12]
    told = truing(["classifier", "evaluate", str(out), str(data), *FIELDS], capsys)
    assert told.code == 0, told.err
    assert "accuracy" in told.out
    assert "calibration error" in told.out
    again = truing(train, capsys)
    assert (again.code, len(again.error_lines)) == (2, 2)


def test_topics_with_texts_by_label_are_read_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics: dict[str, dict[str, list[str]]] = {}
    for example in examples():
        topics.setdefault(str(example.group), {}).setdefault(example.label, []).append(example.text)
    data = tmp_path / "topics.json"
    data.write_text(json.dumps([{"ent": name, **texts} for name, texts in topics.items()]), "utf-8")
    out = tmp_path / "learned"
    done = truing(["classifier", "train", str(data), "--out", str(out), "--json"], capsys)
    assert done.code == 0, done.err
    card = json.loads(done.out)["card"]
    assert [card["data"][part]["n"] for part in ("train", "dev", "test")] == [96, 12, 12]


def test_train_an_encoder(tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = records(tmp_path / "moods.jsonl", n=40), tmp_path / "moods"
    done = truing(
        ["classifier", "train", str(data), "--out", str(out), *FIELDS, "--dev", str(data),
         "--backend", "encoder", "--model", str(bert), "--epochs", "1"],
        capsys,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "dev texts" in done.out
    assert labels_of(examples()) == load(out).labels


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--label", "feeling"], "feeling"),
        (["--group", "author"], "author"),
        (["--backend", "encoder"], "needs --model"),
        (["--model", "x"], "takes no --model"),
        (["--dev", "absent.jsonl"], "absent.jsonl"),
    ],
)
def test_what_cannot_be_trained_is_said_in_two_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    data = records(tmp_path / "moods.jsonl")
    out = tmp_path / "out"
    done = truing(["classifier", "train", str(data), "--out", str(out), *FIELDS, *more], capsys)
    assert done.code == 2
    assert words in done.err
    assert len(done.error_lines) <= 3
    assert not out.exists()


# ---- public data


@pytest.mark.slow
def test_traits_of_the_public_opinions(data_dir: Path) -> None:
    """PersonalityEdit (arXiv:2310.02168): near the published 97.75 % of RoBERTa, without a network."""
    folder = data_dir / "personality"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    traits = ("extraversion", "agreeableness", "neuroticism")

    def read(name: str) -> tuple[Example, ...]:
        return tuple(
            Example(text.strip(), trait, record["ent"])
            for record in json.loads((folder / f"{name}.json").read_text("utf-8"))
            for trait in traits
            for text in record[trait]
        )

    split = Split(read("train"), read("dev"), read("test"))
    assert [len(part) for part in (split.train, split.dev, split.test)] == [14403, 1800, 1800]
    learned = train_tfidf(split, TfidfSettings())
    measured = learned.evaluate(split.test)
    assert measured.accuracy >= 0.957
    assert learned.card.metrics["dev"]["accuracy"] >= 0.964
    assert measured.ece < 0.03
