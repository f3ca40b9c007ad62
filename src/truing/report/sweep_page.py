"""What a sweep of layers and strengths found: one HTML file that works without a network or scripts."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from truing import __version__
from truing.report.heatmap import Heatmap, svg
from truing.report.html import environment, policy, static


def render(
    title: str,
    verdict: Sequence[str],
    facts: Sequence[tuple[str, str]],
    maps: Sequence[Heatmap],
) -> str:
    """The page as a string: sentences of the outcome, the maps, and what was swept by name."""
    return (
        environment()
        .get_template("sweep.html")
        .render(
            version=__version__,
            title=title,
            verdict=verdict,
            facts=facts,
            figure=Markup(svg(maps)),
            style=Markup(static("page.css")),
            policy=policy([]),
        )
    )
