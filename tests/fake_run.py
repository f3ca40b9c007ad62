"""Writes a run folder that looks like a real one, without a model.

Several methods on a small fictional world, asked under two protocols and in two regimes, with the
spread of outcomes that real runs show: success under teacher forcing that free generation does not
bear out, neighbours that move, answers that repeat themselves, a judge that abstains, a row that
failed, a cell whose method changed nothing.
"""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from fake_rows import CONFIGS, HOSTILE, RATES, SYNTHETIC, WILD, FakeCell, cells, rows_of
from truing.runs.store import EditRecord
from truing.types import Comparison, Measure, Moment, Row, Value, Verdict


def make(
    folder: Path,
    *,
    seed: int = 0,
    cases: int = 40,
    methods: Sequence[str] = tuple(RATES),
    regimes: Sequence[str] = ("single", "sequential"),
    every: int = 10,
    hostile: bool = False,
) -> Path:
    """Fill ``folder`` and return it. ``hostile`` puts markup and script ends into every text."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = cells(methods, regimes)
    measures: list[Measure] = []
    lines: dict[str, list[str]] = {"rows": [], "verdicts": [], "edits": []}
    for cell in chosen:
        judged: list[tuple[Row, list[Verdict]]] = []
        for protocol in (SYNTHETIC, WILD):
            rng = random.Random(f"{seed}/{cell.id}/{protocol}")
            judged += rows_of(cell, protocol, cases, every, rng, hostile)
        lines["rows"] += [_json(row) for row, _ in judged]
        lines["verdicts"] += [_json(verdict) for _, found in judged for verdict in found]
        lines["edits"] += [_json(edit) for edit in _edits(cell, cases)]
        measures += _measures(cell, judged)
    for kind, held in lines.items():
        (folder / f"{kind}-0.jsonl").write_text("".join(f"{line}\n" for line in held), "utf-8")
    with (folder / "rows-0.jsonl").open("a") as file:
        file.write('{"key": "torn, the writer died he')
    (folder / "summary.json").write_text(json.dumps(_summary(measures)))
    (folder / "manifest.json").write_text(json.dumps(_manifest(chosen, cases, hostile), indent=1))
    (folder / "plan.toml").write_text(
        f'name = "demo"\nmodels = ["truing/pocket"]\nbenchmark = "world"\nlimit = {cases}\nseed = {seed}\n'
        f"methods = {json.dumps(list(methods))}\nprotocols = ['synthetic', 'wild']\n"
        f"regimes = {json.dumps(list(regimes))}\n"
    )
    return folder


def _edits(cell: FakeCell, cases: int) -> Iterator[EditRecord]:
    seconds = {"none": 0.0, "ft_m": 0.61, "rome": 1.32, "memit": 2.05, "ice": 0.001}[cell.method]
    for index in range(cases):
        failed = (
            {f"fact-{index:03d}": "the loss is not finite"}
            if (cell.method, index) == ("memit", 7)
            else {}
        )
        step = index + 1 if cell.regime == "sequential" else 1
        yield EditRecord(cell.id, index, (f"fact-{index:03d}",), 1, step, seconds, None, 1, failed)


def _measures(cell: FakeCell, judged: Sequence[tuple[Row, Sequence[Verdict]]]) -> list[Measure]:
    groups: dict[tuple[str, str, Moment, int], list[tuple[Row, Sequence[Verdict]]]] = {}
    for row, verdicts in judged:
        groups.setdefault((row.protocol, row.aspect, row.moment, row.step), []).append(
            (row, verdicts)
        )
    found = []
    for (protocol, aspect, moment, step), pairs in groups.items():
        head = aspect.partition("/")[0]
        clusters = len({row.case for row, _ in pairs})
        flagged = cell.method == "ft_m" and cell.regime == "single" and head == "portability"
        for number, judge in enumerate(dict.fromkeys(v.judge for _, vs in pairs for v in vs)):
            value = _value([v for _, vs in pairs for v in vs if v.judge == judge], clusters)
            found.append(
                Measure(
                    cell=cell.id,
                    model="truing/pocket",
                    method=cell.method,
                    benchmark="world",
                    regime=cell.regime,
                    moment=moment,
                    step=step,
                    protocol=protocol,
                    aspect=aspect,
                    metric=head,
                    judge=judge,
                    value=value,
                    versus=None
                    if number or cell.method == "none"
                    else _versus(value, aspect, cell, protocol),
                    compatibility=number > 0,
                    flags=("nothing-changed",) if flagged and not number else (),
                )
            )
        if protocol == WILD and aspect in ("efficacy", "fluency"):
            found += _readings(found[-1], [row for row, _ in pairs], clusters)
    return found


def _readings(like: Measure, rows: Sequence[Row], clusters: int) -> Iterator[Measure]:
    texts = [row.response.text.split() for row in rows if row.response]
    numbers = {
        "repetition-rate": [float(len(set(words)) * 3 < len(words)) for words in texts],
        "mean-length": [float(len(words) + 1) for words in texts],
    }
    if like.aspect == "fluency":
        numbers["ngram-entropy"] = [0.4 + 0.9 * math.log2(1 + len(set(words))) for words in texts]
    for metric, found in numbers.items():
        mean = sum(found) / len(found)
        spread = 1.96 * math.sqrt(sum((x - mean) ** 2 for x in found)) / len(found)
        low = max(0.0, mean - spread) if metric == "repetition-rate" else mean - spread
        value = Value(len(found), mean, low, mean + spread, "95% bootstrap over cases", clusters)
        yield dataclasses.replace(
            like,
            metric=metric,
            judge="health",
            value=value,
            versus=None,
            compatibility=False,
            flags=(),
        )


def _value(verdicts: Sequence[Verdict], clusters: int) -> Value:
    """The mean with a Wilson interval, under the name that real runs give theirs."""
    scores = [v.score for v in verdicts if v.score is not None]
    if not scores:
        return Value(0, None)
    n, mean, z = len(scores), sum(scores) / len(scores), 1.96
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    low, high = max(0.0, min(mean, middle - spread)), min(1.0, max(mean, middle + spread))
    abstain, invalid, degenerate = (
        sum(v.state == s for v in verdicts) for s in ("abstain", "invalid", "degenerate")
    )
    return Value(
        n, mean, low, high, "95% bootstrap over cases", clusters, abstain, invalid, degenerate
    )


def _versus(value: Value, aspect: str, cell: FakeCell, protocol: str) -> Comparison | None:
    single_s, single_w, _, _ = RATES["none"].get(aspect, (1.0, 1.0, 1.0, 1.0))
    if value.mean is None:
        return None
    delta = value.mean - (single_s if protocol == SYNTHETIC else single_w)
    p = 2.0 ** (-abs(delta) * value.n / 2)
    return Comparison(
        "none",
        delta,
        delta - 0.08,
        delta + 0.08,
        p,
        min(1.0, 3 * p),
        "paired permutation over cases",
        value.n,
    )


def _summary(measures: Sequence[Measure]) -> dict[str, object]:
    return {
        "format": 1,
        "measures": [dataclasses.asdict(m) for m in measures],
        "meta": {"interval": "95% bootstrap over cases"},
    }


def _manifest(chosen: Sequence[FakeCell], cases: int, hostile: bool) -> dict[str, object]:
    return {
        "format": 1,
        "truing": "0.1.0",
        "name": "demo",
        "created": "2026-03-02T09:14:07Z",
        "finished": "2026-03-02T09:31:52Z",
        "command": f"truing run plans/demo.toml --out runs/demo {HOSTILE if hostile else ''}".strip(),
        "versions": {"python": "3.11.9", "torch": "2.13.0", "transformers": "5.23.0"},
        "hardware": {"machine": "x86_64", "cpus": 2, "threads": 1, "accelerator": None},
        "models": {
            "truing/pocket": {
                "revision": None,
                "dtype": "float32",
                "fingerprint": "sha256:6f1c0a9be2",
                "tokenizer": "sha256:91d2aa",
            }
        },
        "data": {
            "world": {"sha256": "b2c4d1e00a", "rows": 400, "used": cases, "sampling": "first cases"}
        },
        "seeds": {"runs": [0], "samples": [0]},
        "cells": [
            {
                "id": c.id,
                "model": "truing/pocket",
                "method": c.method,
                "config": CONFIGS[c.method],
                "registered": c.method,
                "benchmark": "world",
                "regime": c.regime,
                "moments": ["immediate", "final"],
                "every": 10,
                "protocols": [SYNTHETIC, WILD],
                "seed": 0,
            }
            for c in chosen
        ],
        "warnings": [
            "rome: no second-moment statistics were found for truing/pocket; they were collected from 400 texts"
        ],
        "quarantined": [
            {
                "record": "fact-113",
                "where": "world.json:113",
                "field": "subject",
                "reason": f"subject 'Tin Gate' is not in the prompt{HOSTILE if hostile else ''}",
            }
        ],
    }


def _json(thing: object) -> str:
    return json.dumps(dataclasses.asdict(thing), ensure_ascii=False)  # type: ignore[call-overload]
