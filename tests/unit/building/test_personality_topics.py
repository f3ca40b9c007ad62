"""Topics: read, screened, drawn by popularity, split before anything is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.building.personality.topics import Screen, Shares, Topic, choose, read
from truing.errors import BadInput, NotPossible

DATA = Path(os.environ.get("TRUING_DATA", "../shared/data")) / "personality"


def names(count: int) -> list[Topic]:
    return [Topic(f"topic number {i}") for i in range(count)]


def test_topics_of_a_list_and_of_records(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("chess\n\n  boat trips \n")
    (tmp_path / "b.csv").write_text("topic,views\nchess,12\nboat trips,\n")
    (tmp_path / "c.json").write_text(json.dumps([{"ent": "chess", "extraversion": ["x"]}]))
    assert read(tmp_path / "a.txt")[0] == [Topic("chess"), Topic("boat trips")]
    assert read(tmp_path / "b.csv")[0] == [Topic("chess", 12.0), Topic("boat trips")]
    assert read(tmp_path / "c.json")[0] == [Topic("chess")]
    assert read(tmp_path / "b.csv")[1]["in the file"] == 2


def test_bad_records_are_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("topic,views\nchess,12\ndancing,many\n")
    with pytest.raises(BadInput, match=r"line 3: views 'many' is no count"):
        read(tmp_path / "t.csv")
    (tmp_path / "u.jsonl").write_text('{"topic": "chess"}\n{"views": 3}\n')
    with pytest.raises(BadInput, match=r"line 2: there is no text in topic"):
        read(tmp_path / "u.jsonl")


def test_what_is_left_out_is_counted_by_reason() -> None:
    topics = [
        Topic("chess", 9000), Topic("Chess ", 9000), Topic("Main", 9000), Topic("1984", 9000),
        Topic("Mercury (planet)", 9000), Topic("dancing", 10), Topic("old songs", 9000),
        Topic("the Nazi party", 9000), Topic("Susan Sontag", 9000),
    ]  # fmt: skip
    screen = Screen(least_views=5000, without=frozenset({"politics"}))
    chosen = choose(topics, screen, Shares(), 0, known=["Old  Songs"])
    assert [topic.name for topic in chosen.topics] == ["chess", "Susan Sontag"]
    assert chosen.left_out == {
        "repeated": 1, "unclear": 3, "too few views": 1, "in another set": 1, "flag: politics": 1,
    }  # fmt: skip
    assert chosen.flagged == {"person": 1}


def test_a_threshold_needs_views() -> None:
    with pytest.raises(BadInput, match="topic 'chess' has no views"):
        choose([Topic("chess")], Screen(least_views=5), Shares(), 0)


def test_no_topic_left_says_why() -> None:
    with pytest.raises(NotPossible, match=r"no topic is left: unclear \(1\)"):
        choose([Topic("Main")], Screen(), Shares(), 0)


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 9))
def test_a_draw_keeps_the_distribution_of_views(views: list[float], most: int, seed: int) -> None:
    topics = [Topic(f"topic number {i}", v) for i, v in enumerate(views)]
    chosen = choose(topics, Screen(most=most), Shares(), seed)
    assert len(chosen.topics) == min(most, len(topics))
    for stratum in range(7):
        there = sum(10**stratum <= v < 10 ** (stratum + 1) for v in views)
        kept = sum(10**stratum <= (t.views or 0) < 10 ** (stratum + 1) for t in chosen.topics)
        assert abs(kept - there * min(1.0, most / len(topics))) < 1


@given(st.integers(1, 60), st.floats(0, 0.5), st.floats(0, 0.5), st.randoms())
def test_the_split_is_decided_by_names_and_seed(
    count: int, dev: float, test: float, rng: object
) -> None:
    topics = names(count)
    chosen = choose(topics, Screen(), Shares(dev, test), 3)
    assert chosen.splits.count("test") == round(test * count)
    assert chosen.splits.count("train") >= count - round(test * count) - round(dev * count)
    rng.shuffle(topics)  # type: ignore[attr-defined]
    again = choose(topics, Screen(), Shares(dev, test), 3)
    assert dict(zip(chosen.topics, chosen.splits, strict=True)) == dict(
        zip(again.topics, again.splits, strict=True)
    )


def test_shares_are_shares() -> None:
    with pytest.raises(BadInput, match="are no shares"):
        Shares(0.6, 0.5)


@pytest.mark.skipif(not DATA.is_dir(), reason="TRUING_DATA holds no folder personality")
def test_topics_of_the_published_test_set() -> None:
    topics, source = read(DATA / "test.json")
    assert source["in the file"] == len(topics) == 200
    again = choose(topics, Screen(), Shares(), 0)
    assert again.left_out["unclear"] >= 1  # "Main" is one of them
    with pytest.raises(NotPossible, match="in another set"):
        choose(topics, Screen(), Shares(), 0, known=[topic.name for topic in topics])
