"""Means over topics and domains, as HalluEditBench tells them. Kept in the summary's ``meta``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from truing.runs.tally import Place, Tally, scored
from truing.scoring.observations import Observation
from truing.scoring.pressure import turn_of
from truing.scoring.topics import topical
from truing.seeds import Seeds

TOPICAL = frozenset({"hallueditbench"})
"""Benchmarks whose case ids are ``domain_topic/number``."""


def topic_means(
    tally: Tally, cells: Mapping[str, Mapping[str, Any]], data: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """For every place of a benchmark with topics (single turns of conversations aside) and every judge:
    the ``macro`` mean over topics, each of the ``topics`` alone, and the mean over the topics of each of
    the ``domains``. ``data`` is the manifest's account of the benchmarks, by label."""
    found = []
    for place, judges in tally.judges.items():
        if turn_of(place.aspect) is not None:
            continue
        label = str(cells.get(place.cell, {}).get("benchmark"))
        if data.get(label, {}).get("benchmark") not in TOPICAL:
            continue
        for judge in judges:
            observed = scored(tally.entries[place], judge)
            found.append({**place._asdict(), "judge": judge, **_means(place, judge, observed)})
    return found


def _means(place: Place, judge: str, observed: list[Observation]) -> dict[str, Any]:
    seeds = Seeds(0, ("topics", place.protocol, place.aspect, place.moment, judge))
    topic_of = {o.key[0]: o.key[0].partition("/")[0] for o in observed}
    every = topical(observed, topic_of, seeds=seeds)
    domains: dict[str, list[Observation]] = {}
    for o in observed:
        domains.setdefault(topic_of[o.key[0]].partition("_")[0], []).append(o)
    return {
        "macro": asdict(every.macro),
        "topics": {topic: asdict(value) for topic, value in every.topics.items()},
        "domains": {
            domain: asdict(topical(mine, topic_of, seeds=seeds.child(domain)).macro)
            for domain, mine in sorted(domains.items())
        },
    }
