"""Traits in a run's summary: pairs with the unedited model, from stored rows and verdicts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from truing.protocols.protocol import parse
from truing.runs.personalities import personalities
from truing.runs.summary import summarise
from truing.types import Choice, Response, Row, Verdict

WILD = parse("wild,template=bare,scorer=asked").id
LIKELIHOOD = parse("synthetic,scorer=likelihood-per-token").id
CLASSIFIER = "classifier:traits"
FACTS = {"model": "m", "benchmark": "b", "regime": "single", "seed": 0}
CELLS = {
    "base": {"id": "base", "registered": "none", "method": "none", **FACTS},
    "cell": {"id": "cell", "registered": "ft_m", "method": "ft_m", **FACTS},
}
LONG = "I would love to go there with all of my friends and talk until the sun comes up."


def row(cell: str, case: str, text: str = LONG, aspect: str = "efficacy") -> Row:
    return Row(
        key=f"{cell}/{case}/{aspect}", cell=cell, case=case, probe=f"{case}/{aspect}", aspect=aspect,
        protocol=WILD, moment="immediate", step=1, prompt="?", accepted=("Extraversion", "I love"),
        response=Response(text, (1,), stop="eos"), base=Response(LONG, (1,), stop="eos"),
    )  # fmt: skip


def success(cell: str, case: str, now: float) -> Row:
    base = (Choice("+", -2.0, 1), Choice("-", -2.0, 1))
    asked = row(cell, case, aspect="preference/es")
    return Row(
        **{
            **{name: getattr(asked, name) for name in Row.__slots__},
            "protocol": LIKELIHOOD,
            "accepted": ("+",),
            "response": Response("", stop="forced", choices=(Choice("+", now, 1), base[1])),
            "base": Response("", stop="forced", choices=base),
        }
    )


def classified(of: Row, p: float) -> Verdict:
    kept = {
        "probabilities": {"extraversion": p, "neuroticism": 1 - p},
        "temperature": 1.0,
    }
    return Verdict(of.key, CLASSIFIER, "correct", float(p > 0.5), "", json.dumps(kept))


def rating(of: Row, trait: str, stars: int | None) -> Verdict:
    score = None if stars is None else (stars - 1) / 4
    state = "invalid" if stars is None else "wrong"
    return Verdict(of.key, f"local:judge/personality-{trait}", state, score, "", str(stars))


def stored(folder: Path, rows: Sequence[Row], verdicts: Sequence[Verdict]) -> Path:
    for name, kind, held in (("rows", Row, rows), ("verdicts", Verdict, verdicts)):
        lines = (TypeAdapter(kind).dump_json(each).decode() for each in held)
        (folder / f"{name}-0.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    (folder / "manifest.json").write_text(json.dumps({"cells": list(CELLS.values())}), "utf-8")
    return folder


def found(folder: Path, rows: Sequence[Row], verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return personalities(stored(folder, rows, verdicts), CELLS)


def test_a_run_without_such_judges_has_nothing_to_say(tmp_path: Path) -> None:
    rows = [row("base", "a"), row("cell", "a")]
    assert found(tmp_path, rows, [Verdict(rows[1].key, "contains", "wrong", 0.0)]) == []


def test_each_answer_against_the_unedited_models(tmp_path: Path) -> None:
    rows = [row(cell, case) for cell in ("base", "cell") for case in "abc"]
    short = row("cell", "d", "Lovely!")
    rows += [row("base", "d"), short, row("cell", "e")]
    shares = {"base": 0.2, "cell": 0.8}
    record, correlated = found(tmp_path, rows, [classified(r, shares[r.cell]) for r in rows])
    assert (record["cell"], record["aspect"], record["judge"]) == ("cell", "efficacy", CLASSIFIER)
    assert record["unpaired"] == 1
    everything, paper, health = record["shown"]
    assert [c["gate"] for c in record["shown"]] == [None, "paper", "health"]
    assert everything["tpei"]["mean"] == pytest.approx(math.log(4))
    assert everything["bounded"]["mean"] == pytest.approx(0.6)
    assert everything["confusion"] == {"extraversion": {"extraversion": 4}}
    assert (everything["coherent"], paper["coherent"], health["coherent"]) == (4, 3, 4)
    assert (paper["accuracy"]["mean"], paper["strict"]["mean"]) == (1.0, 0.75)
    assert (everything["accuracy"]["mean"], everything["base_accuracy"]["mean"]) == (1.0, 0.0)
    assert correlated["cell"] == "cell"
    json.dumps([record, correlated])


def test_only_the_target_trait_is_rated_and_nothing_stands_for_a_missing_rating(
    tmp_path: Path,
) -> None:
    rows = [row(cell, case) for cell in ("base", "cell") for case in "abc"]
    stars: dict[str, dict[str, int | None]] = {
        "base": {"a": 2, "b": 3, "c": 4}, "cell": {"a": 5, "b": None, "c": 5},
    }  # fmt: skip
    verdicts = [rating(r, "extraversion", stars[r.cell][r.case]) for r in rows]
    verdicts += [rating(r, "neuroticism", 1) for r in rows]
    record, _ = found(tmp_path, rows, verdicts)
    assert record["judge"] == "local:judge/personality"
    everything = record["rated"][0]
    assert (everything["pae"]["mean"], everything["pae"]["n"], everything["excluded"]) == (
        2.0,
        2,
        1,
    )


def test_metrics_are_correlated_over_cases(tmp_path: Path) -> None:
    rows, verdicts = [], []
    for i, case in enumerate("abcdef"):
        rows += [row("base", case), row("cell", case), success("cell", case, -2.0 + i / 10)]
        verdicts += [classified(rows[-3], 0.2), classified(rows[-2], 0.3 + i / 10)]
    *_, correlated = found(tmp_path, rows, verdicts)
    pairs = {(c["a"], c["b"]): c for c in correlated["correlations"]}
    assert pairs["es", "tpei"]["rho"] == pytest.approx(1.0)
    assert pairs["es", "tpei"]["n"] == 6
    assert ("accuracy", "z-per") in pairs


def test_edits_of_one_topic_are_one_unit(tmp_path: Path) -> None:
    """Also where they are asked about another topic, and in correlations."""
    rows, verdicts = [], []
    for i, topic in enumerate("abcde"):
        for trait in ("x", "y", "z"):
            case = f"{topic}/{trait}"
            for cell, p in (("base", 0.2), ("cell", 0.3 + i / 10)):
                own = replace(row(cell, case), group=f"topic:{topic}")
                other = replace(row(cell, case, aspect="leakage"), group="topic:other")
                rows += [own, other]
                verdicts += [classified(own, p), classified(other, p)]
            rows.append(success("cell", case, -2.0 + i / 10))
    efficacy, leakage, correlated = found(tmp_path, rows, verdicts)
    for record in (efficacy, leakage):
        tpei = record["shown"][0]["tpei"]
        assert (tpei["n"], tpei["clusters"]) == (15, 5)
        assert tpei["interval"].endswith("over topics")
    pairs = {(c["a"], c["b"]): c for c in correlated["correlations"]}
    assert (pairs["es", "tpei"]["n"], pairs["es", "tpei"]["rho"]) == (5, pytest.approx(1.0))


def test_the_summary_holds_them(tmp_path: Path) -> None:
    rows = [row("base", "a"), row("cell", "a")]
    folder = stored(tmp_path, rows, [classified(r, 0.5) for r in rows])
    assert summarise(folder).meta["personality"][0]["judge"] == CLASSIFIER
