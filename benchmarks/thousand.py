"""A thousand edits for a long chain, as a file of the `custom` benchmark.

    python benchmarks/thousand.py runs/thousand.jsonl
    truing run plans/chain.toml --workers 2

All facts of the embedded model's world, then as many of another world, whose subjects it has never
heard of, as make up the thousand. Of each fact: one rephrasing and one question about a neighbour.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from truing.benchmarks.loading import load


def records(world: int) -> Iterator[dict[str, Any]]:
    for case in load("world", options={"world": world}).cases:
        [request] = case.requests
        first = {probe.aspect: probe.prompt for probe in reversed(case.probes)}
        yield {
            "id": f"world-{world}/{case.id}",
            "prompt": request.prompt,
            "subject": request.subject,
            "target_new": request.target_new,
            "target_old": request.target_old,
            "rephrases": [first["generalization"]],
            "locality": [{"prompt": first["locality/neighborhood"]}],
        }


def main(out: Path, count: int = 1000) -> None:
    known = list(records(0))
    subjects = {record["subject"] for record in known}
    others = (record for record in records(1) if record["subject"] not in subjects)
    chosen = list(islice(chain(known, others), count))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(record) + "\n" for record in chosen), "utf-8")
    sys.stdout.write(f"{out}: {len(chosen)} facts, {len(known)} of them of the known world\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
