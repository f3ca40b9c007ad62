"""Probes that follow others: the model's own answers stand in the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toy_runs import toy_model, toy_plan
from truing.benchmarks.benchmark import BENCHMARKS, Benchmark
from truing.models.handle import Model
from truing.registry import Entry
from truing.runs.cells import ModelSpec
from truing.runs.execute import execute
from truing.runs.keys import Keys
from truing.runs.plan import Plan
from truing.runs.store import read_manifest, read_rows
from truing.types import Case, EditRequest, Message, Probe, Row

PRESSURE = ("Are you sure?", "Really?")


def conversation(chat: bool, id: str) -> tuple[Probe, ...]:
    question = f"Where is the Tin Spire {id}?"
    first: Any = (Message("user", question),) if chat else question
    turns = [Probe(f"{id}/0", "efficacy", first, ("Velt",))]
    for text in PRESSURE:
        turns.append(
            Probe(f"{id}/{len(turns)}", "robustness", text, ("Yes",), follows=turns[-1].id)
        )
    return tuple(turns)


def plan_of(folder: Path, patch: pytest.MonkeyPatch, cases: Sequence[Case], **values: Any) -> Plan:
    talks = Benchmark("talks", "conversations", cases=lambda options: cases)
    patch.setitem(BENCHMARKS._entries, "talks", Entry("<added>", "conversations"))
    patch.setitem(BENCHMARKS._loaded, "talks", talks)
    raw = {"benchmark": "talks", "data": None, "protocols": ["wild,template=bare"], **values}
    return toy_plan(folder, **raw)


def some(chat: bool = False, count: int = 3) -> list[Case]:
    return [
        Case(
            f"c{i}",
            (EditRequest(f"c{i}", f"The Tin Spire {i} is in", "Velt", subject=f"Tin Spire {i}"),),
            conversation(chat, str(i)),
        )
        for i in range(count)
    ]


def run(plan: Plan, folder: Path, *, resume: bool = False) -> dict[tuple[str, str, str], Row]:
    def load(spec: ModelSpec) -> Model:
        return toy_model(spec, cache=folder / "cache")

    execute(plan, folder / "run", resume=resume, load=load)
    method = {c["id"]: c["method"] for c in read_manifest(folder / "run")["cells"]}
    rows = [row for row in read_rows(folder / "run") if row.moment == "immediate"]
    return {(method[row.cell], row.case, row.probe): row for row in rows}


def test_each_turn_holds_what_the_model_answered_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = run(plan_of(tmp_path, monkeypatch, some()), tmp_path)
    told = {row.response.text for row in rows.values() if row.response is not None}
    assert len(told) > 1  # the edit changes answers, so the two conversations differ
    for method in ("none", "nudge"):
        for i in range(3):
            turns = [rows[method, f"c{i}", f"{i}/{turn}"] for turn in range(3)]
            for before, after, text in zip(turns, turns[1:], PRESSURE, strict=False):
                assert before.response is not None
                said = before.response.text.strip()
                assert after.prompt == f"{before.prompt.rstrip()} {said}\n{text}"
                assert after.question == text


def test_the_base_model_has_its_own_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = run(plan_of(tmp_path, monkeypatch, some()), tmp_path)
    for (method, case, probe), row in rows.items():
        if method == "nudge":
            assert row.base == rows["none", case, probe].response


def test_a_chat_goes_on_as_a_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(tmp_path, monkeypatch, some(chat=True, count=1), protocols=["wild-chat"])

    def load(spec: ModelSpec) -> Model:
        model = toy_model(spec, cache=tmp_path / "cache")
        model.tok.chat_template = (
            "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant]"
        )
        return model

    execute(plan, tmp_path / "run", load=load)
    rows = {row.probe: row for row in read_rows(tmp_path / "run") if row.moment == "immediate"}
    first = rows["0/0"].response
    assert first is not None
    assert rows["0/1"].prompt.startswith(f"{rows['0/0'].prompt}")
    assert rows["0/1"].prompt.endswith(f"\n[user] {PRESSURE[0]}\n[assistant]")


def test_likelihood_protocols_leave_later_turns_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = run(plan_of(tmp_path, monkeypatch, some(), protocols=["synthetic"]), tmp_path)
    assert {row.aspect for row in rows.values()} == {"efficacy"}


def test_a_turn_after_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = some(count=1)[0]
    lost = replace(case, probes=tuple(p for p in case.probes if p.id != "0/1"))
    rows = run(plan_of(tmp_path, monkeypatch, [lost, *some(count=2)[1:]]), tmp_path)
    assert rows["nudge", "c0", "0/2"].error == "the question that it follows is not asked"
    assert rows["nudge", "c1", "1/2"].error is None


def test_keys_of_probes_that_follow_nothing_are_as_before() -> None:
    keys = Keys("shared")
    case = some(count=1)[0]
    plain, after = case.probes[0], replace(case.probes[0], follows="x")
    facts = (keys.row("", case, each, "p", "immediate", 1) for each in (plain, after))
    assert len({*facts}) == 2
    assert keys.row("", case, plain, "p", "immediate", 1) == "306b3a638e1b79260be2cd58dda29199"
