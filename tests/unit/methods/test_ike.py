"""IKE: which demonstrations are told, in which words and order, and what they cost."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asking import make
from tiny import tiny
from truing.benchmarks.loading import load
from truing.errors import BadInput, BadRequest, NotPossible
from truing.interventions.intervention import Intervention, PromptPrefix
from truing.methods.context import ICE, ContextConfig
from truing.methods.ike import FACT, IKE, LEAD, RESERVED, IkeConfig, demonstrations, told
from truing.methods.retrieval import Sentences, TfIdf, words
from truing.models.handle import Model
from truing.types import EditRequest

RECORDS = Path(__file__).resolve().parents[2] / "demonstrations.jsonl"
A = EditRequest("a", "The Glass Spire is in the city of", "Marrow", subject="Glass Spire")
B = EditRequest("b", "Mara Velt's mother tongue is", "French", subject="Mara Velt")
BRIDGE = EditRequest("c", "In Orvale, The Old Bridge is", "famous", subject="The Old Bridge")


def config(**values: Any) -> IkeConfig:
    return IkeConfig.model_validate({"demonstrations": RECORDS, "k": 3, **values})


def texts(iv: Intervention) -> list[str]:
    return [part.text for part in iv.prefixes]


def shown(iv: Intervention) -> list[str]:
    return [text for text in texts(iv) if text.endswith("\n\n")]


def ranked_by_hand(query: str, corpus: list[str]) -> list[float]:
    """Cosine of every text and the query, from the definition."""
    df = Counter(word for text in corpus for word in words(text))

    def vector(text: str) -> dict[str, float]:
        return {
            word: count * (math.log((1 + len(corpus)) / (1 + df[word])) + 1)
            for word, count in words(text).items()
            if word in df
        }

    def norm(v: dict[str, float]) -> float:
        return math.sqrt(sum(x * x for x in v.values()))

    asked = vector(query)
    found = []
    for text in corpus:
        own = vector(text)
        size = norm(asked) * norm(own)
        found.append(sum(asked[w] * own.get(w, 0.0) for w in asked) / size if size else 0.0)
    return found


sentences = st.lists(st.sampled_from(["Glass", "spire", "the", "TIN", "gate", "é", "42", "?"]), max_size=7)  # fmt: skip


@given(corpus=st.lists(sentences.map(" ".join), max_size=12), query=sentences.map(" ".join))
def test_the_order_is_that_of_the_cosine(corpus: list[str], query: str) -> None:
    order = TfIdf(corpus).ranked(query)
    by_hand = np.round(ranked_by_hand(query, corpus), 10) if corpus else np.zeros(0)
    assert order == sorted(range(len(corpus)), key=lambda i: (-by_hand[i], i))


def test_every_record_gives_copy_update_and_retain() -> None:
    cases = load("custom", RECORDS).cases
    fact = "New Fact: The Old Bridge is in the city of Orvale\n"
    assert [each.text for each in demonstrations(cases[0])] == [
        fact + "Prompt: The Old Bridge is in the city of Orvale\n\n",
        fact + "Prompt: The Old Bridge stands in Orvale\n\n",
        fact + "Prompt: The Copper Arch is in the city of Pellin\n\n",
    ]
    assert [len(list(demonstrations(case))) for case in cases] == [3, 3, 2, 2]


def test_the_question_follows_the_demonstrations_and_the_fact() -> None:
    iv = IKE.make(make(), [A], config())
    *three, fact, lead = texts(iv)
    assert len(three) == 3
    assert fact == "New Fact: The Glass Spire is in the city of Marrow\n"
    assert lead == "Prompt: "
    assert iv.prompt_only
    assert iv.rewrite("Where?") == "".join(three) + fact + "Prompt: Where?"


def test_most_similar_come_first() -> None:
    corpus = [each.text for case in load("custom", RECORDS).cases for each in demonstrations(case)]
    iv = IKE.make(make(), [A], config(k=10))
    assert len(shown(iv)) == 10
    similar = ranked_by_hand(told(A) + LEAD + A.prompt, corpus)
    assert [similar[corpus.index(text)] for text in shown(iv)] == sorted(similar, reverse=True)
    assert shown(IKE.make(make(), [A], config(k=4))) == shown(iv)[:4]


def test_one_space_between_prompt_and_target() -> None:
    one, other = (told(EditRequest("w", prompt, "Mara")) for prompt in ("Who? ", "Who?"))
    assert one == other == "New Fact: Who? Mara\n"


def test_what_is_edited_never_demonstrates_itself() -> None:
    model = make()
    for request in (BRIDGE, EditRequest("d", "The Old Bridge stands in", "Pellin")):
        iv = IKE.make(model, [request], config(k=10))
        assert len(shown(iv)) in (7, 9)
        assert not any(request.subject and request.subject in text for text in shown(iv))
        assert not any(request.prompt in text for text in shown(iv))
    copper = EditRequest("e", "The Copper Arch is in the city of", "Orvale")
    assert not any("Copper Arch" in text for text in shown(IKE.make(model, [copper], config(k=10))))


def test_case_and_part_words_count_when_names_are_compared(tmp_path: Path) -> None:
    model = make()
    shouted = EditRequest("x", "THE OLD BRIDGE is", "gone", subject="THE OLD BRIDGE")
    assert len(shown(IKE.make(model, [shouted], config(k=10)))) == 7
    part = EditRequest("y", "The Old Brid is", "gone", subject="The Old Brid")
    assert len(shown(IKE.make(model, [part], config(k=10)))) == 10


def test_several_edits_share_one_context() -> None:
    model = make()
    both = IKE.make(model, [A, B], config(k=2))
    assert texts(both)[-3:] == [told(A), told(B), LEAD]
    alone = [shown(IKE.make(model, [r], config(k=2))) for r in (A, B)]
    mixed = [text for pair in zip(*alone, strict=True) for text in pair]
    # "Who built the Salt Tower? Mara Velt" names B's subject and is told for neither
    assert shown(both) == [text for text in mixed if "Mara Velt" not in text]
    assert not any("Mara Velt" in text for text in shown(both))


def test_a_later_edit_joins_the_same_context() -> None:
    model = make()
    first = IKE.make(model, [A], config())
    chained = IKE.make(model, [B], config(), first)
    assert chained.origin.requests == ("a", "b")
    assert texts(chained)[-3:] == [told(A), told(B), LEAD]
    assert texts(chained).count(LEAD) == 1
    assert len(set(shown(chained))) == len(shown(chained))
    assert shown(chained)[:3] == shown(IKE.make(model, [B], config()))
    onto = IKE.make(model, [BRIDGE], config(), chained)
    assert any("Old Bridge" in text for text in shown(chained))
    assert not any("Old Bridge" in text for text in shown(onto))


def test_what_another_method_told_stays_in_front() -> None:
    model = make()
    iv = IKE.make(model, [A], config(), ICE.make(model, [B], ContextConfig()))
    assert texts(iv)[0] == "New fact: Mara Velt's mother tongue is French.\n"
    assert texts(iv)[1].startswith(FACT)


def test_the_context_cost_is_in_the_origin() -> None:
    model = make()
    record = IKE.make(model, [A], config()).origin.config
    iv = IKE.make(model, [A], config())
    assert record["tokens"] == len(model.speller.prompt_ids("".join(texts(iv))))
    assert (record["told"], record["left_out"], record["k"]) == (3, 0, 3)
    assert record["pool"]["records"] == 4
    assert record["pool"]["sha256"] == load("custom", RECORDS).source.sha256


def test_a_context_that_is_too_long_is_refused_or_cut() -> None:
    model = make("gpt2")
    long = [EditRequest(str(i), f"{A.prompt} no {i},", "Marrow") for i in range(18)]
    with pytest.raises(BadRequest, match="512 positions") as caught:
        IKE.make(model, long, config(k=10))
    assert "max_tokens" in str(caught.value.next)
    whole = IKE.make(model, [A], config(k=5))
    cost = whole.origin.config["tokens"]
    cut = IKE.make(model, [A], config(k=5, max_tokens=cost - 1))
    assert shown(cut) == shown(whole)[:-1]
    assert cut.origin.config["left_out"] == 1
    assert cut.origin.config["tokens"] < cost
    with pytest.raises(BadRequest, match="facts alone"):
        IKE.make(model, [A], config(max_tokens=3))


def test_without_demonstrations_it_says_what_to_do() -> None:
    with pytest.raises(BadInput, match="no demonstrations for 'llama'") as caught:
        IKE.make(make(), [A], IkeConfig())
    assert "ice" in str(caught.value.next)
    assert texts(IKE.make(make(), [A], IkeConfig(k=0))) == [told(A), LEAD]
    with pytest.raises(BadInput, match="does not exist"):
        IKE.make(make(), [A], config(demonstrations="/nonexistent/records.jsonl"))


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    model = make()
    seen = []
    for city in ("Orvale", "Pellin"):
        record = {"prompt": "The Tin Gate is in", "target_new": city, "subject": "Tin Gate"}
        path.write_text(json.dumps(record) + "\n", "utf-8")
        seen.append(shown(IKE.make(model, [A], config(demonstrations=path))))
    assert "Orvale" in seen[0][0]
    assert "Pellin" in seen[1][0]


def test_the_embedded_model_is_shown_facts_that_smaller_runs_do_not_edit() -> None:
    hf, tok = tiny()
    model = Model.of(hf, tok, name="truing/pocket")
    cases = load("world").cases
    iv = IKE.make(model, cases[0].requests, IkeConfig(k=20, max_tokens=100_000))
    assert iv.origin.config["pool"]["records"] == RESERVED
    reserved = {each.text for case in cases[-RESERVED:] for each in demonstrations(case)}
    assert len(shown(iv)) == 20
    assert set(shown(iv)) <= reserved
    subject = cases[0].requests[0].subject
    assert subject is not None
    assert not any(subject in text for text in shown(iv))


def test_a_sentence_encoder_is_used_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(NotPossible, match="not installed") as caught:
        IKE.make(make(), [A], config(retriever="sentence", encoder="absent"))
    assert "tfidf" in str(caught.value.next)

    class Lengths:
        def __init__(self, name: str) -> None:
            assert name == "lengths"

        def encode(self, found: list[str], **how: Any) -> Any:
            assert how["normalize_embeddings"]
            angles = np.array([len(text) / 100 for text in found])
            return np.stack([np.cos(angles), np.sin(angles)], 1)

    library = SimpleNamespace(SentenceTransformer=Lengths)
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    assert Sentences(["a" * 30, "a" * 9, "a" * 12], "lengths").ranked("b" * 10) == [1, 2, 0]
    iv = IKE.make(make(), [A], config(retriever="sentence", encoder="lengths"))
    assert iv.origin.config["retriever"] == "sentence"
    assert len(shown(iv)) == 3


def test_it_survives_saving(tmp_path: Path) -> None:
    from truing.interventions.artifact import load as load_intervention

    model = make()
    iv = IKE.make(model, [A], config())
    iv.save(str(tmp_path / "ike"))
    again = load_intervention(tmp_path / "ike", model)
    assert again.id == iv.id
    assert all(isinstance(part, PromptPrefix) for part in again.parts)
