"""The rows of a run, packed for the case browser.

Texts repeat across methods and protocols, so they are kept once and rows refer to them by number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report import words
from truing.report.grid import Line
from truing.report.load import Run
from truing.types import Response, Row, Verdict

PAGE = 40
MARKS = re.compile(r"^(?:<[^<>\s]{1,30}>\s*)+")
Packed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Brief:
    """One row of the browser's first page, for readers without scripts."""

    state: str
    line: str
    protocol: str
    setting: str
    aspect: str
    question: str
    answer: str
    why: str


class Strings:
    """Texts by number, each kept once. Number 0 stands for no text."""

    def __init__(self) -> None:
        self.held: list[str] = [""]
        self._index: dict[str, int] = {"": 0}

    def add(self, text: str | None) -> int:
        if not text:
            return 0
        if text not in self._index:
            self._index[text] = len(self.held)
            self.held.append(text)
        return self._index[text]


def pack(runs: Sequence[Run], lines: Mapping[str, Line]) -> Packed:
    """Everything the browser shows: ``{strings, cells, fields, rows}``; rows are lists of numbers.

    Rows at intermediate steps and of the noise check are left out.
    """
    strings = Strings()
    cells: dict[str, int] = {}
    held: list[Packed] = []
    rows: list[list[Any]] = []
    places = settings(runs)
    for run in runs:
        for row in ordered(run):
            name = places[run.name, row.cell, row.moment]
            key = f"{run.name}/{row.cell}/{row.protocol}/{row.moment}"
            if key not in cells:
                cells[key] = len(held)
                line = lines.get(row.cell)
                held.append(
                    {
                        "method": line.label if line else row.cell,
                        "protocol": words.protocol(row.protocol),
                        "family": words.family(row.protocol),
                        "setting": name,
                    }
                )
            rows.append(_packed(row, run.verdicts.get(row.key, ()), cells[key], strings))
    _add_questions(rows, strings)
    return {"page": PAGE, "strings": strings.held, "cells": held, "fields": FIELDS, "rows": rows}


def briefs(packed: Packed) -> list[Brief]:
    """The first page of the browser as text."""
    strings, cells = packed["strings"], packed["cells"]
    at = {name: i for i, name in enumerate(FIELDS)}
    found = []
    for row in packed["rows"][:PAGE]:
        cell = cells[row[at["cell"]]]
        verdict = row[at["verdicts"]][0] if row[at["verdicts"]] else None
        found.append(
            Brief(
                state=strings[verdict[1]] if verdict else "unjudged",
                line=cell["method"],
                protocol=cell["protocol"],
                setting=cell["setting"],
                aspect=strings[row[at["aspect"]]],
                question=strings[row[at["question"]]],
                answer=strings[row[at["answer"]]] or strings[row[at["error"]]],
                why=strings[verdict[3]] if verdict else "",
            )
        )
    return found


FIELDS = (
    "key", "cell", "case", "probe", "aspect", "step", "prompt", "question", "accepted", "answer", "base",
    "stop", "error", "verdicts", "choices",
)  # fmt: skip


def browsable(run: Run) -> list[Row]:
    """The kept rows without intermediate steps and without the noise check's second pass."""
    return [r for r in run.rows if r.moment in ("immediate", "final")]


def ordered(run: Run) -> list[Row]:
    """Rows case by case, so that the same question under all methods stands together."""
    order = {case: i for i, case in enumerate(dict.fromkeys(r.case for r in run.rows))}
    kept = browsable(run)
    return sorted(kept, key=lambda r: (order[r.case], words.aspect_order(r.aspect), r.probe))


def settings(runs: Sequence[Run]) -> dict[tuple[str, str, str], str]:
    """(run, cell, moment) to what a person calls it; model and benchmark only where several are."""
    facts: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for run in runs:
        for m in run.measures:
            facts[run.name, m.cell, m.moment] = (
                m.model,
                m.benchmark,
                words.regime(m.regime),
                words.moment(m.moment),
            )
        for row in run.rows:
            facts.setdefault(
                (run.name, row.cell, row.moment), ("", "", row.cell, words.moment(row.moment))
            )
    several = [len({f[i] for f in facts.values()}) > 1 for i in range(2)]
    moments: dict[str, set[str]] = {}
    for key, f in facts.items():
        if key[2] not in ("step", "base"):
            moments.setdefault(f[2], set()).add(f[3])

    def told(f: tuple[str, ...]) -> str:
        parts = [*(f[i] for i in range(2) if several[i]), f[2]]
        return " · ".join(p for p in parts if p)

    def timed(key: tuple[str, str, str], f: tuple[str, ...]) -> str:
        plain = key[2] != "base" and len(moments.get(f[2], ())) < 2
        return told(f) if plain else " · ".join((told(f), f[3]))

    return {key: timed(key, f) for key, f in facts.items()}


def _packed(row: Row, verdicts: Sequence[Verdict], cell: int, strings: Strings) -> list[Any]:
    r = row.response
    values: Packed = {
        "key": row.key,
        "cell": cell,
        "case": strings.add(row.case),
        "probe": strings.add(row.probe),
        "aspect": strings.add(row.aspect),
        "step": row.step,
        "prompt": strings.add(row.prompt),
        "question": 0,
        "accepted": [strings.add(a) for a in row.accepted],
        "answer": strings.add(_text(r)),
        "base": strings.add(_text(row.base)),
        "stop": strings.add(r.stop if r else None),
        "error": strings.add(row.error),
        "verdicts": [
            [
                strings.add(v.judge),
                strings.add(v.state),
                None if v.score is None else round(v.score, 4),
                strings.add(v.why),
                strings.add(v.raw),
            ]
            for v in verdicts
        ],
        "choices": [
            [strings.add(c.text), round(c.logprob, 3), c.n_tokens] for c in (r.choices if r else ())
        ],
    }
    return [values[name] for name in FIELDS]


def _text(response: Response | None) -> str | None:
    if response is None:
        return None
    return response.text.strip("\n") if response.text.strip() else "␣ (empty)"


def _add_questions(rows: list[list[Any]], strings: Strings) -> None:
    """Give every row the shortest prompt of its case and probe, without the tokenizer's opening
    marks: the question as a person would ask it."""
    case, probe, prompt, question = (
        FIELDS.index(n) for n in ("case", "probe", "prompt", "question")
    )
    shortest: dict[tuple[int, int], int] = {}
    for row in rows:
        key = (row[case], row[probe])
        held = shortest.setdefault(key, row[prompt])
        if len(strings.held[row[prompt]]) < len(strings.held[held]):
            shortest[key] = row[prompt]
    for row in rows:
        row[question] = strings.add(MARKS.sub("", strings.held[shortest[row[case], row[probe]]]))
