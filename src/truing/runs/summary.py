"""From stored rows and verdicts to measures. Needs no model; can be done again at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from truing.runs.by_topic import topic_means
from truing.runs.judging import extra_judges, verdicts_on
from truing.runs.morals import morals
from truing.runs.people_summary import long_texts, people
from truing.runs.personalities import personalities
from truing.runs.pressed import under_pressure
from truing.runs.steered import collapses, doses, effects_of, flagged, verdicts
from truing.runs.store import (
    Summary,
    is_run,
    read_edits,
    read_manifest,
    read_rows,
    read_summary,
    read_verdicts,
    write_summary,
)
from truing.runs.tally import Place, Tally, by_edit_and_question, crossed, read_off, scored
from truing.scoring import judge as judging
from truing.scoring.collapse import BOUNDS
from truing.scoring.crossed import mean_of
from truing.scoring.metrics import metric_for
from truing.scoring.observations import Observation
from truing.scoring.paired import compare, correct
from truing.scoring.readings import READINGS
from truing.scoring.stats import noise_floor, retention, value_of
from truing.seeds import Seeds
from truing.types import Measure, Value, Verdict

CORRECTION = "holm"
FAMILY = (
    "all tests of one model, benchmark and regime; readings, compatibility columns and intermediate "
    "steps are families of their own"
)
NOTHING_CHANGED = "nothing-changed"


def load_or_summarise(folder: Path) -> Summary:
    """The stored summary; where there is none, made from the rows and, if possible, stored."""
    found = read_summary(folder)
    if found is None:
        found = summarise(folder)
        if is_run(folder):
            write_summary(folder, found)
    return found


def summarise(folder: Path, correction: str = CORRECTION) -> Summary:
    """Measures of a run, from its rows and verdicts alone.

    Verdicts that are missing are made here by the rules and not stored. ``correction`` (``holm``
    or ``bh``) is over the family of tests of one table.
    """
    manifest = read_manifest(folder)
    cells = {cell["id"]: cell for cell in manifest.get("cells", [])}
    tally = _tally(folder, tuple(cells))
    made = _Making(tally, cells)
    measures = made.scores() + made.readings() + made.retention() + made.noise()
    effects = effects_of(read_edits(folder))
    reasons = collapses(measures, effects)
    measures = flagged(_corrected(measures, correction), reasons)
    meta = {
        "interval": "95%",
        "correction": correction,
        "family": FAMILY,
        "scoring": judging.versions(),
        "edits": costs(folder),
        "effects": {
            cell: {**asdict(seen), "told": str(seen), "warnings": list(seen.warnings)}
            for cell, seen in effects.items()
        },
        "arms": [
            {**asdict(arm), "success": arm.success, "told": str(arm)}
            for arm in verdicts(measures, cells, reasons)
        ],
        "doses": doses(tally, cells),
        "morals": morals(tally),
        "personality": personalities(folder, cells),
        "people": people(folder, cells),
        "long_texts": long_texts(folder, cells, list(tally.entries)),
        "pressure": under_pressure(tally),
        "topics": topic_means(tally, cells, manifest.get("data", {})),
        "degenerate": asdict(BOUNDS),
    }
    return Summary(tuple(measures), meta)


def costs(folder: Path) -> dict[str, dict[str, Any]]:
    """What making the edits took, by cell: ``edits`` requests, ``failed`` cases and why, mean
    ``seconds_per_edit``, ``peak_bytes`` of memory (``None``: not known), and the method's ``config``
    as it resolved it."""
    found: dict[str, dict[str, Any]] = {}
    reasons: dict[str, Counter[str]] = {}
    for edit in read_edits(folder):
        cell = found.setdefault(
            edit.cell, {"edits": 0, "cases": 0, "failed": 0, "seconds": 0.0, "peak_bytes": None}
        )
        cell["edits"] += edit.requests
        cell["cases"] += len(edit.cases)
        cell["failed"] += len(edit.failed)
        cell["seconds"] += edit.seconds
        if edit.peak_bytes is not None:
            cell["peak_bytes"] = max(cell["peak_bytes"] or 0, edit.peak_bytes)
        if edit.config:
            cell["config"] = edit.config
        reasons.setdefault(edit.cell, Counter()).update(
            why.splitlines()[0] for why in edit.failed.values()
        )
    for name, cell in found.items():
        cell["seconds_per_edit"] = cell["seconds"] / cell["edits"] if cell["edits"] else None
        cell["reasons"] = dict(reasons[name].most_common(5))
    return found


def _tally(folder: Path, cells: Sequence[str]) -> Tally:
    stored: dict[str, list[Verdict]] = {}
    for verdict in read_verdicts(folder):
        slim = replace(verdict, why="", raw=None)
        stored.setdefault(verdict.row, []).append(slim)
    extra = extra_judges(folder)
    tally = Tally()
    for row in read_rows(folder):
        verdicts = stored.pop(row.key, None)
        if verdicts is None:
            verdicts = verdicts_on(row, extra)
        tally.add(row, verdicts)
    tally.put_in_order(cells)
    tally.add_parents()
    return tally


@dataclass(frozen=True)
class _Making:
    """Measures of one tally. ``cells`` is the manifest's account of them, by id."""

    tally: Tally
    cells: Mapping[str, Mapping[str, Any]]

    def scores(self) -> list[Measure]:
        """Mean scores of every judge, against the baseline."""
        found = []
        for place, judges in self.tally.judges.items():
            for judge, compatibility in judges.items():
                ours = scored(self.tally.entries[place], judge)
                theirs = self._baseline(place)
                found.append(
                    self._measure(
                        place,
                        metric_for(place.aspect, judge),
                        judge,
                        ours,
                        None if theirs is None else scored(self.tally.entries[theirs], judge),
                        compatibility=compatibility,
                    )
                )
        return found

    def readings(self) -> list[Measure]:
        """Means of the numbers that are not right or wrong."""
        found = []
        for place, entries in self.tally.entries.items():
            for metric in dict.fromkeys(m for entry in entries for m in entry.readings):
                theirs = self._baseline(place)
                found.append(
                    self._measure(
                        place,
                        metric,
                        READINGS[metric].judge,
                        read_off(entries, metric),
                        None if theirs is None else read_off(self.tally.entries[theirs], metric),
                        bounded=READINGS[metric].bounded,
                    )
                )
        return found

    def retention(self) -> list[Measure]:
        """Of what held right after its edit, what holds at the end."""
        found = []
        for place, judges in self.tally.judges.items():
            if place.moment != "final" or not judges or self._is_baseline(place.cell):
                continue
            judge = next(iter(judges))
            before = [
                observation
                for other, entries in self.tally.entries.items()
                if other.moment == "immediate" and other[:3] == place[:3]
                for observation in scored(entries, judge)
            ]
            if before:
                after = scored(self.tally.entries[place], judge)
                value = retention(before, after, seeds=_seeds(place, "retention", judge))
                found.append(self._as_measure(place, "retention", judge, value))
        return found

    def noise(self) -> list[Measure]:
        """How often the base model's answer changes when nothing but the batching does."""
        found = []
        for (cell, protocol, aspect), rows in self.tally.noise.items():
            place = Place(cell, protocol, aspect, "base", 0)
            first = [replace(row, response=row.base) for row in rows]
            value = noise_floor(first, rows, seeds=_seeds(place, "noise-floor", ""))
            found.append(self._as_measure(place, "noise-floor", judging.SAME_AS_BASE, value))
        return found

    def _measure(
        self,
        place: Place,
        metric: str,
        judge: str,
        ours: Sequence[Observation],
        theirs: Sequence[Observation] | None,
        *,
        bounded: bool = True,
        compatibility: bool = False,
    ) -> Measure:
        seeds = _seeds(place, metric, judge)
        entries = self.tally.entries[place]
        if crossed(entries):
            crossing = by_edit_and_question(entries, ours)
            value = mean_of(crossing, seeds=seeds, bounded_scores=bounded)
        else:
            value = value_of(ours, seeds=seeds, bounded=bounded)
        measure = self._as_measure(place, metric, judge, value)
        versus = None
        if theirs is not None and not self._is_baseline(place.cell):
            versus = compare(ours, theirs, against="none", seeds=seeds, bounded=bounded)
        return replace(measure, versus=versus, compatibility=compatibility)

    def _as_measure(self, place: Place, metric: str, judge: str, value: Value) -> Measure:
        cell = self.cells.get(place.cell, {})
        unmoved = not self._is_baseline(place.cell) and self.tally.unmoved(place)
        return Measure(
            cell=place.cell,
            model=str(cell.get("model", "?")),
            method=str(cell.get("method", "?")),
            benchmark=str(cell.get("benchmark", "?")),
            regime=str(cell.get("regime", "?")),
            moment=place.moment,
            step=place.step,
            protocol=place.protocol,
            aspect=place.aspect,
            metric=metric,
            judge=judge,
            value=value,
            flags=(NOTHING_CHANGED,) if unmoved else (),
        )

    def _is_baseline(self, cell: str) -> bool:
        return self.cells.get(cell, {}).get("registered") == "none"

    def _baseline(self, place: Place) -> Place | None:
        """The same place of the baseline's cell."""
        mine = self.cells.get(place.cell, {})
        for ident, cell in self.cells.items():
            same = all(cell.get(k) == mine.get(k) for k in ("model", "benchmark", "regime", "seed"))
            if same and self._is_baseline(ident):
                there = place._replace(cell=ident)
                return there if there in self.tally.entries else None
        return None


def _corrected(measures: Sequence[Measure], correction: str) -> list[Measure]:
    families: dict[tuple[object, ...], list[int]] = {}
    for i, m in enumerate(measures):
        table = (m.model, m.benchmark, m.regime)
        family = (*table, m.metric in READINGS, m.compatibility, m.moment == "step")
        families.setdefault(family, []).append(i)
    found = list(measures)
    for members in families.values():
        adjusted = correct([measures[i].versus for i in members], correction)
        for i, versus in zip(members, adjusted, strict=True):
            found[i] = replace(measures[i], versus=versus)
    return found


def _seeds(place: Place, metric: str, judge: str) -> Seeds:
    return Seeds(0, ("summary", place.protocol, place.aspect, place.moment, metric, judge))
