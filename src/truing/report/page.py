"""The report: one HTML file that opens anywhere, without a network and, for its tables, without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from truing import __version__
from truing.errors import StoreError
from truing.report import cases, facts, sentences, theme, words
from truing.report.arm_table import HEADERS as ARM_HEADERS
from truing.report.arm_table import ArmTable, arm_tables
from truing.report.arms import is_control, without_controls
from truing.report.figures import Figure, amounts, beside, retention, tradeoff
from truing.report.glossary import entries, undefined
from truing.report.grid import Cells, Column, Grid, column_of, grids, setting_title, variants
from truing.report.html import environment, policy, script_json, static
from truing.report.load import Run, read_run
from truing.report.moral_section import Published, moral_parts
from truing.report.moral_table import OF_ANSWERS, OF_ARMS
from truing.report.people_section import people_parts
from truing.report.personality_section import persona_parts
from truing.report.pressure_figure import figures as pressure_figures
from truing.report.steering_figures import figures as steering_figures
from truing.types import Measure, Moment, Row

VENDORED = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
OWN = ("page.js", "cases.js")
NONE_PUBLISHED: Published = MappingProxyType({})
SHOWN_READINGS = (("fluency", "ngram-entropy"), ("efficacy", "repetition-rate"))


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one grid, by section of the page."""

    grid: Grid
    findings: list[sentences.Finding]
    noise: str
    beside: list[Figure]
    arms: list[ArmTable]
    steering: list[Figure]
    pressure: list[Figure]
    side_effects: list[Figure]
    retention: list[Figure]


def write(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    cases_per_cell: int = 50,
    published: Published = NONE_PUBLISHED,
) -> Path:
    """Write the report of one or several run folders and return its path.

    ``out`` defaults to ``report.html`` in the first folder. Of every cell the rows of its first
    ``cases_per_cell`` cases can be browsed; numbers always come from all rows. ``published`` are a
    paper's numbers by cell, to stand beside ours. Raises ``StoreError`` for a folder that is not a
    finished run or a page that cannot be written, ``BadInput`` for runs whose results would collide.
    """
    runs = [read_run(folder, cases_per_cell=cases_per_cell) for folder in folders]
    target = out or folders[0] / "report.html"
    page = render(runs, cases_per_cell=cases_per_cell, published=published)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"cannot write {target}: {error.strerror}", "Give a file in a folder that is there."
        ) from None
    return target


def render(
    runs: Sequence[Run], *, cases_per_cell: int = 50, published: Published = NONE_PUBLISHED
) -> str:
    """The page as a string."""
    measures = [m for run in runs for m in run.measures]
    cells: dict[str, Any] = {k: v for run in runs for k, v in run.cells.items()}
    laid_out = grids(measures, cells)
    rows = [row for run in runs for row in run.rows]
    metas = [run.meta for run in runs]
    groups = [_group(grid, measures, rows, cells, metas) for grid in laid_out]
    morals = moral_parts(laid_out, cells, metas, published)
    personality = persona_parts(laid_out, cells, metas)
    people = people_parts(laid_out, cells, metas)
    places = {(cell, moment): text for (_, cell, moment), text in cases.settings(runs).items()}
    lines = variants(measures, cells)
    packed = cases.pack(runs, lines)
    drawn = [
        f
        for g in groups
        for f in (*g.beside, *g.steering, *g.pressure, *g.side_effects, *g.retention)
    ]
    drawn += [f for part in morals for f in part.figures]
    drawn += [f for part in personality for f in part.figures]
    drawn += [f for part in people for f in part.figures]
    figures = {f.id: f.spec for f in drawn}
    themes = {name: theme.config(colours) for name, colours in theme.THEMES.items()}
    scripts = [Markup(static(f"vendor/{name}")) for name in VENDORED] if figures else []
    first = Markup(static("first.js"))
    scripts += [Markup(static(name)) for name in OWN]
    env = environment()
    env.filters["score"] = lambda x, share: words.number(x, share=share)
    env.filters["by_aspect"] = _by_aspect
    return env.get_template("page.html").render(
        version=__version__,
        title=" + ".join(run.name for run in runs),
        runs=runs,
        groups=groups,
        morals=morals,
        personality=personality,
        people=people,
        referred=bool(published),
        moral_headers=(OF_ARMS, OF_ANSWERS),
        lead=next(
            (t for g in groups if (t := sentences.lead(without_controls(g.grid, cells)))), ""
        ),
        strip=facts.strip(runs),
        shown=facts.shown(runs, cases_per_cell),
        methods=facts.methods(runs),
        provenance=[(run, facts.flatten(facts.provenance(run)), run.plan) for run in runs],
        warnings=facts.warnings(runs),
        quarantined=facts.quarantined(runs),
        protocols=[(p, words.axes(p)) for p in facts.protocols(runs)],
        glossary=entries(measures),
        undefined=undefined(measures),
        briefs=cases.briefs(packed),
        case_data=script_json(packed),
        figure_data=script_json({"specs": figures, "themes": themes}),
        style=Markup(static("page.css")),
        scripts=scripts,
        first=first,
        policy=policy([first, *scripts]),
        when=facts.when(runs),
        arm_headers=ARM_HEADERS,
        controls={line for cell, line in lines.items() if is_control(cells.get(cell, {}))},
        bounds=next((m["degenerate"] for m in metas if "degenerate" in m), None),
        words=words,
        setting_title=setting_title,
        place_title=lambda grid, moment: _place_title(grid, moment, laid_out),
        place=lambda m: "" if m is None else places.get((m.cell, m.moment), ""),
    )


def _group(
    whole: Grid,
    measures: Sequence[Measure],
    rows: Sequence[Row],
    cells: Cells,
    metas: Sequence[Mapping[str, Any]],
) -> Group:
    moment = sentences.main_moment(whole)
    grid = without_controls(whole, cells)
    aspects = list(dict.fromkeys(c.aspect for c in grid.select("score", moment)))
    heads = {a: a.partition("/")[0] for a in aspects}
    costs = [a for a in aspects if heads[a] == "locality"]
    free = [p for p in grid.protocols if words.family(p) == "wild"]
    trades = [tradeoff(grid, (free or grid.protocols)[0], moment, "efficacy", c) for c in costs[:1]]
    readings = [
        c
        for c in grid.select("reading", moment)
        if (c.aspect.partition("/")[0], c.metric) in SHOWN_READINGS
    ]
    return Group(
        whole,
        sentences.findings(grid),
        sentences.noise(grid),
        _present(
            beside(grid, a, moment) for a in aspects if heads[a] not in ("locality", "fluency")
        ),
        arm_tables(whole, moment, cells, metas),
        steering_figures(whole, moment, rows, cells, metas),
        pressure_figures(whole, moment, metas),
        _present(
            (
                *(beside(grid, a, moment) for a in costs),
                *trades,
                *(beside(grid, a, moment) for a in aspects if heads[a] == "fluency"),
                *(amounts(grid, c) for c in readings),
            )
        ),
        _curves(grid, measures, cells),
    )


def _curves(grid: Grid, measures: Sequence[Measure], cells: Cells) -> list[Figure]:
    mine = [
        m
        for m in measures
        if (m.model, m.benchmark, m.regime) == (grid.model, grid.benchmark, grid.regime)
        and m.moment != "base"
    ]
    mine = [m for m in mine if column_of(m).kind(grid.whole) == "score"]
    if not any(m.moment == "step" for m in mine) and len({m.moment for m in mine}) < 2:
        return []
    labels = {cell: line.label for cell, line in variants(mine, cells).items()}
    keys = dict.fromkeys((m.aspect, m.protocol, m.judge, m.metric) for m in mine)
    ordered = sorted(keys, key=lambda k: (words.family(k[1]) != "wild", words.aspect_order(k[0])))
    return _present(
        retention([m for m in mine if (m.aspect, m.protocol, m.judge, m.metric) == key], labels)
        for key in ordered
    )


def _present(found: Any) -> list[Figure]:
    return [f for f in found if f is not None]


def _place_title(grid: Grid, moment: Moment, among: Sequence[Grid]) -> str:
    title = setting_title(grid, among)
    plain = moment != "base" and len(grid.edited_moments) < 2
    return title if plain else f"{title}, {words.moment(moment)}"


def _by_aspect(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Aspects in order, with the number of neighbouring columns that each spans."""
    return [
        (aspect, len(list(group))) for aspect, group in groupby(columns, key=lambda c: c.aspect)
    ]
