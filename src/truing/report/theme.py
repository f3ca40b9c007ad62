"""Colours of figures, light and dark. Chosen to stay apart under the common colour deficiencies.

The page's CSS uses the same values; ``config`` is a Vega-Lite config, so that a spec without it
still draws, with library defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Spec = dict[str, Any]
Name = Literal["light", "dark"]
FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


@dataclass(frozen=True, slots=True)
class Theme:
    """One set of colours. ``protocols`` are used in the order in which protocols appear."""

    ink: str
    muted: str
    line: str
    grid: str
    paper: str
    protocols: tuple[str, ...]
    methods: tuple[str, ...]


THEMES: dict[Name, Theme] = {
    "light": Theme(
        ink="#1c1f26",
        muted="#5c6370",
        line="#b9bcc4",
        grid="#e9e8e4",
        paper="#ffffff",
        protocols=("#d9822b", "#1f5fbf", "#0e8a72", "#8a4fb5", "#7a6a00"),
        methods=(
            "#7d828c",
            "#1f5fbf",
            "#d9822b",
            "#0e8a72",
            "#b0418a",
            "#5a4bc0",
            "#7a6a00",
            "#2b9ac4",
        ),
    ),
    "dark": Theme(
        ink="#ece9e2",
        muted="#a3a8b3",
        line="#555b66",
        grid="#2b2f37",
        paper="#1a1d23",
        protocols=("#f2a65a", "#7db4ff", "#4fd1b2", "#cf9cf0", "#d9c74a"),
        methods=(
            "#9aa0ab",
            "#7db4ff",
            "#f2a65a",
            "#4fd1b2",
            "#f08fc8",
            "#aaa0ff",
            "#d9c74a",
            "#67cfee",
        ),
    ),
}


def config(theme: Theme) -> Spec:
    """The Vega-Lite ``config`` for ``theme``: fonts, axes, legends and the named colour ranges."""
    text = {"labelColor": theme.muted, "titleColor": theme.muted}
    return {
        "background": None,
        "font": FONT,
        "padding": {"left": 2, "right": 8, "top": 4, "bottom": 2},
        "view": {"stroke": None},
        "axis": {
            **text,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "domain": False,
            "ticks": False,
            "gridColor": theme.grid,
            "labelPadding": 8,
            "titlePadding": 10,
        },
        "axisY": {"labelColor": theme.ink, "labelFontSize": 13, "labelLimit": 200},
        "legend": {
            **text,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "orient": "top",
            "offset": 6,
            "columnPadding": 16,
            "labelColor": theme.ink,
        },
        "title": {
            "color": theme.ink,
            "subtitleColor": theme.muted,
            "fontSize": 14,
            "fontWeight": 600,
            "subtitleFontSize": 12,
            "subtitlePadding": 4,
            "anchor": "start",
            "frame": "group",
            "offset": 10,
        },
        "header": {"labelColor": theme.ink, "labelFontSize": 13, "labelFontWeight": 600},
        "text": {"color": theme.ink, "fontSize": 12},
        "rule": {"color": theme.line},
        "range": {"category": list(theme.methods), "ordinal": list(theme.protocols)},
        "style": {
            "connector": {"stroke": theme.line},
            "note": {"fill": theme.muted},
            "net": {"stroke": theme.ink, "fill": theme.ink},
            "halo": {"stroke": theme.paper},
        },
    }
