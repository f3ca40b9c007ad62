"""Truing's own capability sets as task files of lm-eval, so that it runs without a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from truing.benchmarks.capability.sets import CAPABILITIES, load

PREFIX = "truing_"
SETS = ("micro", "micro-english")
VERSION = 1.0


def names() -> tuple[str, ...]:
    """The tasks that need no file of the user's: ``truing_micro`` and the like."""
    return tuple(task_of(name) for name in SETS)


def task_of(name: str) -> str:
    """The task's name for a capability set."""
    return PREFIX + name.replace("-", "_")


def write(folder: Path, chosen: Sequence[str] = SETS) -> None:
    """One task file and one file of records per set.

    Answers are written freely up to the end of the line and must equal the first accepted one, letter
    case and punctuation aside. A task file is JSON, which is YAML too.
    """
    for name in chosen:
        records = folder / f"{task_of(name)}.jsonl"
        probes = [case.probes[0] for case in load(name).cases]
        lines = [{"prompt": probe.prompt, "answer": probe.accepted[0]} for probe in probes]
        records.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        task = {
            "task": task_of(name),
            "dataset_path": "json",
            "dataset_kwargs": {
                "data_files": {"test": str(records)},
                "cache_dir": str(folder / "datasets"),
            },
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "Please answer the question:\n\nQ: {{prompt}}\nA:",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 50, "do_sample": False},
            "filter_list": [
                {"name": "whole", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}
            ],
            "metric_list": [
                {
                    "metric": "exact_match",
                    "aggregation": "mean",
                    "higher_is_better": True,
                    "ignore_case": True,
                    "ignore_punctuation": True,
                }
            ],
            "metadata": {"version": VERSION, "summary": CAPABILITIES.summary(name)},
        }  # fmt: skip
        (folder / f"{task_of(name)}.yaml").write_text(json.dumps(task, indent=1), "utf-8")
